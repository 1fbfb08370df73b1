package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const crc64Header = "X-Amz-Checksum-Crc64nvme"

var (
	crc64NVME = crc64.MakeTable(0x9a6c9329ac4bc9b5)
	zeros     = make([]byte, 1<<20)
)

func (s *server) serveObject(w http.ResponseWriter, r *http.Request, bucketName, key string, query url.Values) error {
	uploadID := query.Get("uploadId")
	switch r.Method {
	case http.MethodPut:
		if uploadID != "" {
			return s.putPart(w, r, uploadID, query.Get("partNumber"))
		}
		if source := r.Header.Get("X-Amz-Copy-Source"); source != "" {
			return s.copyObject(w, r, bucketName, key, source)
		}
		return s.putObject(w, r, bucketName, key)
	case http.MethodHead, http.MethodGet:
		if len(query) > 0 && query.Get("x-id") == "" {
			break // acl, tagging, the parts of an upload
		}
		return s.getObject(w, r, bucketName, key)
	case http.MethodDelete:
		if uploadID != "" {
			return s.abortUpload(w, r, uploadID)
		}
		s.count(r, kindDelete)
		if err := s.store.remove(bucketName, key); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	case http.MethodPost:
		if query.Has("uploads") {
			return s.createUpload(w, r, bucketName, key)
		}
		if uploadID != "" {
			return s.completeUpload(w, r, bucketName, key, uploadID)
		}
	}
	s.count(r, kindOther)
	return errNotImplemented
}

// condition is what a write demands of the object that is there before it.
type condition struct {
	ifNoneMatch, ifMatch string
}

func conditionOf(r *http.Request) condition {
	return condition{r.Header.Get("If-None-Match"), strings.Trim(r.Header.Get("If-Match"), `"`)}
}

func (c condition) check(existing *object) error {
	if c.ifNoneMatch == "*" && existing != nil {
		return errPrecondition
	}
	if c.ifMatch != "" {
		if existing == nil {
			return errNoSuchKey
		}
		if c.ifMatch != existing.etag {
			return errPrecondition
		}
	}
	return nil
}

func (s *server) putObject(w http.ResponseWriter, r *http.Request, bucketName, key string) error {
	s.count(r, kindPut)
	o, err := s.readObject(r)
	if err != nil {
		return err
	}
	if err := s.store.put(bucketName, key, o, conditionOf(r)); err != nil {
		return err
	}
	setHeaders(w, o.checksums)
	if len(o.checksums) > 0 {
		w.Header().Set(checksumType, "FULL_OBJECT")
	}
	w.Header().Set("ETag", `"`+o.etag+`"`)
	return nil
}

func (s *server) copyObject(w http.ResponseWriter, r *http.Request, bucketName, key, source string) error {
	s.count(r, kindCopy)
	source, err := url.PathUnescape(source)
	if err != nil {
		return errBadCopySource
	}
	sourceBucket, sourceKey, found := strings.Cut(strings.TrimPrefix(source, "/"), "/")
	if !found {
		return errBadCopySource
	}
	original, err := s.store.get(sourceBucket, sourceKey)
	if err != nil {
		return err
	}
	o := *original
	o.modified = time.Now().UTC()
	if r.Header.Get("X-Amz-Metadata-Directive") == "REPLACE" {
		o.headers = storedHeaders(r.Header)
	}
	if err := s.store.put(bucketName, key, &o, conditionOf(r)); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/xml")
	fmt.Fprintf(w, xmlHeader+`<CopyObjectResult xmlns="%s"><ETag>&quot;%s&quot;</ETag><LastModified>%s</LastModified></CopyObjectResult>`,
		namespace, o.etag, o.modified.Format(timeFormat))
	return nil
}

func (s *server) getObject(w http.ResponseWriter, r *http.Request, bucketName, key string) error {
	if r.Method == http.MethodHead {
		s.count(r, kindHead)
	} else {
		s.count(r, kindGet)
	}
	o, err := s.store.get(bucketName, key)
	if err != nil {
		return err
	}
	if want := strings.Trim(r.Header.Get("If-Match"), `"`); want != "" && want != o.etag {
		return errPrecondition
	}
	start, length, err := parseRange(r.Header.Get("Range"), o.size)
	if err != nil {
		return err
	}
	header := w.Header()
	setHeaders(w, o.headers)
	header.Set("ETag", `"`+o.etag+`"`)
	header.Set("Last-Modified", o.modified.Format(http.TimeFormat))
	header.Set("Accept-Ranges", "bytes")
	header.Set("Content-Length", strconv.FormatInt(length, 10))
	if strings.EqualFold(r.Header.Get("X-Amz-Checksum-Mode"), "ENABLED") && length == o.size {
		setHeaders(w, o.fullChecksums())
	}
	if length != o.size {
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, start+length-1, o.size))
		w.WriteHeader(http.StatusPartialContent)
	}
	if r.Method == http.MethodGet {
		writeBody(w, o, start, length)
	}
	return nil
}

// writeBody answers zeros for a body that was dropped. A client that went away is not our concern.
func writeBody(w io.Writer, o *object, start, length int64) {
	if o.body != nil {
		w.Write(o.body[start : start+length])
		return
	}
	for length > 0 {
		n := int64(len(zeros))
		if length < n {
			n = length
		}
		if _, err := w.Write(zeros[:n]); err != nil {
			return
		}
		length -= n
	}
}

// fullChecksums returns the checksums that came with the object, and where none did CRC64NVME,
// which S3 computes for itself; the stub does that when asked, to keep PUT cheap.
func (o *object) fullChecksums() map[string]string {
	for name := range o.checksums {
		if name != checksumType && name != "X-Amz-Checksum-Algorithm" {
			sums := map[string]string{checksumType: "FULL_OBJECT"}
			for name, value := range o.checksums {
				sums[name] = value
			}
			return sums
		}
	}
	if o.body == nil && o.size > 0 {
		return nil
	}
	var sum [8]byte
	binary.BigEndian.PutUint64(sum[:], crc64.Checksum(o.body, crc64NVME))
	return map[string]string{crc64Header: base64.StdEncoding.EncodeToString(sum[:]), checksumType: "FULL_OBJECT"}
}

// parseRange reads `bytes=first-last`, `bytes=first-` and `bytes=-count`; anything else, as HTTP
// wants it, is the whole object.
func parseRange(text string, size int64) (start, length int64, err error) {
	firstText, lastText, found := strings.Cut(strings.TrimPrefix(text, "bytes="), "-")
	if !strings.HasPrefix(text, "bytes=") || !found {
		return 0, size, nil
	}
	last, lastErr := strconv.ParseInt(lastText, 10, 64)
	if firstText == "" {
		if lastErr != nil {
			return 0, size, nil
		}
		if last > size {
			last = size
		}
		return size - last, last, nil
	}
	start, err = strconv.ParseInt(firstText, 10, 64)
	if err != nil {
		return 0, size, nil
	}
	if lastErr != nil || last >= size {
		last = size - 1
	}
	if start > last {
		return 0, 0, errRange
	}
	return start, last - start + 1, nil
}

func setHeaders(w http.ResponseWriter, headers map[string]string) {
	for name, value := range headers {
		if value != "" {
			w.Header().Set(name, value)
		}
	}
}
