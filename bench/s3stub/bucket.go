package main

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

const (
	namespace  = "http://s3.amazonaws.com/doc/2006-03-01/"
	timeFormat = "2006-01-02T15:04:05.000Z"
	pageKeys   = 1000
)

func (s *server) serveBucket(w http.ResponseWriter, r *http.Request, name string, query url.Values) error {
	if r.Method == http.MethodPut {
		s.count(r, kindBucket)
		s.store.createBucket(name)
		return nil
	}
	w.Header().Set("X-Amz-Bucket-Region", s.config.region)
	if !s.store.hasBucket(name) {
		s.count(r, kindBucket)
		return errNoSuchBucket
	}
	switch {
	case r.Method == http.MethodHead:
		s.count(r, kindBucket)
		return nil
	case r.Method == http.MethodPost && query.Has("delete"):
		s.count(r, kindDelete)
		return s.deleteMany(w, r, name)
	case r.Method != http.MethodGet:
		s.count(r, kindOther)
		return errNotImplemented
	}
	w.Header().Set("Content-Type", "application/xml")
	switch {
	case query.Has("location"):
		s.count(r, kindBucket)
		fmt.Fprintf(w, xmlHeader+`<LocationConstraint xmlns="%s">%s</LocationConstraint>`, namespace, s.config.region)
	case query.Has("versioning"):
		s.count(r, kindBucket)
		fmt.Fprintf(w, xmlHeader+`<VersioningConfiguration xmlns="%s"></VersioningConfiguration>`, namespace)
	case query.Has("uploads"):
		s.count(r, kindList)
		s.listUploads(w, name)
	case query.Get("list-type") == "2":
		s.count(r, kindList)
		return s.list(w, name, query)
	default:
		s.count(r, kindOther)
		return errNotImplemented
	}
	return nil
}

func (s *server) deleteMany(w http.ResponseWriter, r *http.Request, name string) error {
	var request struct {
		Quiet  bool
		Object []struct{ Key string }
	}
	if err := xml.NewDecoder(r.Body).Decode(&request); err != nil {
		return errMalformed
	}
	var answer strings.Builder
	keys := make([]string, 0, len(request.Object))
	for _, o := range request.Object {
		keys = append(keys, o.Key)
		if !request.Quiet {
			answer.WriteString("<Deleted><Key>" + escape(o.Key) + "</Key></Deleted>")
		}
	}
	if err := s.store.remove(name, keys...); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/xml")
	fmt.Fprintf(w, xmlHeader+`<DeleteResult xmlns="%s">%s</DeleteResult>`, namespace, answer.String())
	return nil
}

func (s *server) listUploads(w http.ResponseWriter, name string) {
	var answer strings.Builder
	for id, key := range s.store.openUploads(name) {
		fmt.Fprintf(&answer, "<Upload><Key>%s</Key><UploadId>%s</UploadId></Upload>", escape(key), id)
	}
	fmt.Fprintf(w, xmlHeader+`<ListMultipartUploadsResult xmlns="%s"><Bucket>%s</Bucket><IsTruncated>false</IsTruncated>%s</ListMultipartUploadsResult>`,
		namespace, name, answer.String())
}

func escape(text string) string {
	var escaped strings.Builder
	// Writing to a strings.Builder cannot fail.
	_ = xml.EscapeText(&escaped, []byte(text))
	return escaped.String()
}

func percentEncode(text string) string {
	return strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(text))
}
