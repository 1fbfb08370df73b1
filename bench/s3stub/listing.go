package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// pageBuffers holds answers that are being put together: one of a thousand keys has some 300 KB.
var pageBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 512<<10); return &b }}

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
	inURL := query.Get("encoding-type") == "url"
	buffer := pageBuffers.Get().(*[]byte)
	defer pageBuffers.Put(buffer)
	contents := (*buffer)[:0]
	s.store.mu.Lock()
	b := s.store.buckets[name]
	if b == nil {
		s.store.mu.Unlock()
		return errNoSuchBucket
	}
	page := listPage(b.keys(), q)
	for _, key := range page.keys {
		contents = appendObject(contents, key, b.objects[key], inURL)
	}
	s.store.mu.Unlock()
	for _, prefix := range page.prefixes {
		contents = append(contents, "<CommonPrefixes><Prefix>"...)
		contents = appendKey(contents, prefix, inURL)
		contents = append(contents, "</Prefix></CommonPrefixes>"...)
	}
	*buffer = contents
	head := fmt.Sprintf(xmlHeader+`<ListBucketResult xmlns="%s"><Name>%s</Name><Prefix>%s</Prefix><Delimiter>%s</Delimiter>`+
		`<KeyCount>%d</KeyCount><MaxKeys>%d</MaxKeys><IsTruncated>%t</IsTruncated>`,
		namespace, name, appendKey(nil, q.prefix, inURL), appendKey(nil, q.delimiter, inURL),
		len(page.keys)+len(page.prefixes), q.limit, page.next != "")
	if page.next != "" {
		head += "<NextContinuationToken>" + base64.URLEncoding.EncodeToString([]byte(page.next)) + "</NextContinuationToken>"
	}
	if inURL {
		head += "<EncodingType>url</EncodingType>"
	}
	const tail = "</ListBucketResult>"
	w.Header().Set("Content-Length", strconv.Itoa(len(head)+len(contents)+len(tail)))
	for _, part := range [][]byte{[]byte(head), contents, []byte(tail)} {
		if _, err := w.Write(part); err != nil {
			break // the client has gone
		}
	}
	return nil
}

// appendObject writes one object of a listing. It is done a million times while a client waits, so
// it puts nothing together that is thrown away again.
func appendObject(to []byte, key string, o *object, inURL bool) []byte {
	to = append(to, "<Contents><Key>"...)
	to = appendKey(to, key, inURL)
	to = append(to, "</Key><LastModified>"...)
	to = o.modified.AppendFormat(to, timeFormat)
	to = append(to, "</LastModified><ETag>&quot;"...)
	to = append(to, o.etag...)
	to = append(to, "&quot;</ETag><Size>"...)
	to = strconv.AppendInt(to, o.size, 10)
	return append(to, "</Size><StorageClass>STANDARD</StorageClass></Contents>"...)
}

func appendKey(to []byte, key string, inURL bool) []byte {
	switch {
	case isPlain(key):
		return append(to, key...)
	case inURL:
		return append(to, percentEncode(key)...)
	}
	return append(to, escape(key)...)
}

// isPlain says whether a key is the same in XML and in a URL.
func isPlain(key string) bool {
	for i := 0; i < len(key); i++ {
		c := key[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '/' && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}
