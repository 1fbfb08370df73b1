package main

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strconv"
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

// listQuery is one request for a page. `from` is the first key that may be listed.
type listQuery struct {
	prefix, delimiter, from string
	limit                   int
}

// listing is one page: keys and common prefixes, and the key that the next page begins with.
type listing struct {
	keys     []string
	prefixes []string
	next     string
}

// listPage picks a page out of keys in order.
func listPage(keys []string, q listQuery) listing {
	var page listing
	if q.limit == 0 {
		return page
	}
	i := sort.SearchStrings(keys, q.prefix)
	if j := sort.SearchStrings(keys, q.from); j > i {
		i = j
	}
	for i < len(keys) && strings.HasPrefix(keys[i], q.prefix) {
		if len(page.keys)+len(page.prefixes) >= q.limit {
			page.next = keys[i]
			break
		}
		rest := keys[i][len(q.prefix):]
		if cut := strings.Index(rest, q.delimiter); q.delimiter != "" && cut >= 0 {
			group := q.prefix + rest[:cut+len(q.delimiter)]
			page.prefixes = append(page.prefixes, group)
			i += sort.Search(len(keys)-i, func(n int) bool { return !strings.HasPrefix(keys[i+n], group) })
			continue
		}
		page.keys = append(page.keys, keys[i])
		i++
	}
	return page
}

func parseListQuery(query url.Values) (listQuery, error) {
	q := listQuery{prefix: query.Get("prefix"), delimiter: query.Get("delimiter"), limit: pageKeys}
	if text := query.Get("max-keys"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return q, &apiError{http.StatusBadRequest, "InvalidArgument", "max-keys is no number"}
		}
		if n < q.limit {
			q.limit = n
		}
	}
	if after := query.Get("start-after"); after != "" {
		q.from = after + "\x00" // the first string after it
	}
	if token := query.Get("continuation-token"); token != "" {
		from, err := base64.URLEncoding.DecodeString(token)
		if err != nil {
			return q, &apiError{http.StatusBadRequest, "InvalidArgument", "the continuation token is not ours"}
		}
		q.from = string(from)
	}
	return q, nil
}

func (s *server) list(w http.ResponseWriter, name string, query url.Values) error {
	q, err := parseListQuery(query)
	if err != nil {
		return err
	}
	show := escape
	if query.Get("encoding-type") == "url" {
		show = percentEncode
	}
	var contents strings.Builder
	s.store.mu.Lock()
	b := s.store.buckets[name]
	if b == nil {
		s.store.mu.Unlock()
		return errNoSuchBucket
	}
	page := listPage(b.keys(), q)
	for _, key := range page.keys {
		o := b.objects[key]
		contents.WriteString("<Contents><Key>" + show(key) + "</Key><LastModified>" + o.modified.Format(timeFormat) +
			"</LastModified><ETag>&quot;" + o.etag + "&quot;</ETag><Size>" + strconv.FormatInt(o.size, 10) +
			"</Size><StorageClass>STANDARD</StorageClass></Contents>")
	}
	s.store.mu.Unlock()
	for _, prefix := range page.prefixes {
		contents.WriteString("<CommonPrefixes><Prefix>" + show(prefix) + "</Prefix></CommonPrefixes>")
	}
	if page.next != "" {
		contents.WriteString("<NextContinuationToken>" + base64.URLEncoding.EncodeToString([]byte(page.next)) + "</NextContinuationToken>")
	}
	if query.Get("encoding-type") == "url" {
		contents.WriteString("<EncodingType>url</EncodingType>")
	}
	fmt.Fprintf(w, xmlHeader+`<ListBucketResult xmlns="%s"><Name>%s</Name><Prefix>%s</Prefix><Delimiter>%s</Delimiter>`+
		`<KeyCount>%d</KeyCount><MaxKeys>%d</MaxKeys><IsTruncated>%t</IsTruncated>%s</ListBucketResult>`,
		namespace, name, show(q.prefix), show(q.delimiter), len(page.keys)+len(page.prefixes), q.limit,
		page.next != "", contents.String())
	return nil
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
