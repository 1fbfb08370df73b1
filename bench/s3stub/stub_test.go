package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

func TestPagesCoverEveryKeyOnce(t *testing.T) {
	keys := []string{"a/1", "a/2", "b", "c/1", "c/2/x", "d"}
	var got []string
	q := listQuery{delimiter: "/", limit: 2}
	for {
		page := listPage(keys, q)
		got = append(got, fmt.Sprint(page.keys, page.prefixes))
		if page.next == "" {
			break
		}
		q.from = page.next
	}
	want := []string{"[b] [a/]", "[d] [c/]"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("pages %v, want %v", got, want)
	}
}

func TestAWSChunkedFramingIsRemoved(t *testing.T) {
	framed := "5;chunk-signature=00\r\nhello\r\n3\r\n\r\n!\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n"
	reader := &chunkedReader{source: bufio.NewReader(strings.NewReader(framed)), trailers: http.Header{}}
	body, err := io.ReadAll(reader)
	if err != nil || string(body) != "hello\r\n!" {
		t.Errorf("body %q, error %v", body, err)
	}
	if sum := reader.trailers.Get("X-Amz-Checksum-Crc32"); sum != "AAAA" {
		t.Errorf("trailer %q", sum)
	}
}

func TestCutFramingIsAnError(t *testing.T) {
	reader := &chunkedReader{source: bufio.NewReader(strings.NewReader("5\r\nhel")), trailers: http.Header{}}
	if _, err := io.ReadAll(reader); err == nil {
		t.Error("a body that ended early was taken")
	}
}

func TestRanges(t *testing.T) {
	for text, want := range map[string][2]int64{
		"": {0, 10}, "bytes=2-4": {2, 3}, "bytes=7-": {7, 3}, "bytes=-4": {6, 4}, "bytes=5-99": {5, 5},
	} {
		start, length, err := parseRange(text, 10)
		if err != nil || [2]int64{start, length} != want {
			t.Errorf("range %q gave %d+%d, %v", text, start, length, err)
		}
	}
	if _, _, err := parseRange("bytes=10-", 10); err != errRange {
		t.Errorf("a range past the end gave %v", err)
	}
}

// call sends one request with headers given as name, value, name, value.
func call(t *testing.T, s *server, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestConditionalCreate(t *testing.T) {
	s := newServer(serverConfig{keep: 1 << 20})
	s.store.createBucket("b")
	first := call(t, s, "PUT", "/b/k", "one", "If-None-Match", "*")
	second := call(t, s, "PUT", "/b/k", "two", "If-None-Match", "*")
	replaced := call(t, s, "PUT", "/b/k", "two", "If-Match", first.Header().Get("ETag"))
	stale := call(t, s, "PUT", "/b/k", "six", "If-Match", first.Header().Get("ETag"))
	gone := call(t, s, "PUT", "/b/none", "one", "If-Match", first.Header().Get("ETag"))
	if first.Code != 200 || second.Code != 412 || replaced.Code != 200 {
		t.Errorf("create %d, again %d, replace %d", first.Code, second.Code, replaced.Code)
	}
	if stale.Code != 412 || gone.Code != 404 {
		t.Errorf("replace of another ETag %d, of nothing %d", stale.Code, gone.Code)
	}
}

func TestChecksumsAreEchoedOrComputed(t *testing.T) {
	s := newServer(serverConfig{keep: 1 << 20})
	s.store.createBucket("b")
	call(t, s, "PUT", "/b/sent", "x", crc64Header, "c2VudA==")
	call(t, s, "PUT", "/b/none", "123456789")
	for key, want := range map[string]string{"sent": "c2VudA==", "none": "rosUhgp5mIg="} {
		w := call(t, s, "HEAD", "/b/"+key, "", "X-Amz-Checksum-Mode", "ENABLED")
		if got := w.Header().Get(crc64Header); got != want || w.Header().Get(checksumType) != "FULL_OBJECT" {
			t.Errorf("%s: checksum %q, want %q", key, got, want)
		}
	}
}

func TestMultipartCarriesItsFullChecksum(t *testing.T) {
	s := newServer(serverConfig{keep: 1})
	s.store.createBucket("b")
	call(t, s, "POST", "/b/k?uploads", "", "X-Amz-Checksum-Algorithm", "CRC64NVME", checksumType, "FULL_OBJECT")
	call(t, s, "PUT", "/b/k?uploadId=upload-1&partNumber=1", "first")
	call(t, s, "PUT", "/b/k?uploadId=upload-1&partNumber=2", "second")
	list := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part><Part><PartNumber>2</PartNumber></Part></CompleteMultipartUpload>"
	done := call(t, s, "POST", "/b/k?uploadId=upload-1", list, crc64Header, "c3Vt")
	if !strings.Contains(done.Body.String(), "<ChecksumCRC64NVME>c3Vt</ChecksumCRC64NVME>") {
		t.Errorf("answer %d %s", done.Code, done.Body)
	}
	w := call(t, s, "HEAD", "/b/k", "", "X-Amz-Checksum-Mode", "ENABLED")
	if w.Header().Get(crc64Header) != "c3Vt" || w.Header().Get("Content-Length") != "11" {
		t.Errorf("head %v", w.Header())
	}
}

func TestRequestsAreCountedByAccessKey(t *testing.T) {
	s := newServer(serverConfig{keep: 1 << 20})
	s.store.createBucket("b")
	signed := func(key string) string { return "AWS4-HMAC-SHA256 Credential=" + key + "/20250101/r/s3/aws4_request" }
	call(t, s, "PUT", "/b/k", "x", "Authorization", signed("one"))
	call(t, s, "GET", "/b/k", "", "Authorization", signed("two"))
	call(t, s, "GET", "/b/gone", "", "Authorization", signed("two"))
	call(t, s, "GET", "/b/k", "")
	want := map[string]map[string]int64{"one": {"put": 1}, "two": {"get": 2}}
	if got := s.statistics().Callers; !reflect.DeepEqual(got, want) {
		t.Errorf("callers %v, want %v", got, want)
	}
	call(t, s, "POST", "/?reset", "")
	if got := s.statistics().Callers; len(got) != 0 {
		t.Errorf("after a reset %v", got)
	}
}

func TestKeysStayInOrderWhileTheyComeAndGo(t *testing.T) {
	s := newServer(serverConfig{keep: 1 << 20})
	s.store.createBucket("b")
	b := s.store.buckets["b"]
	for _, key := range []string{"m", "a", "z", "m", "b"} {
		b.keys() // so that each key comes into a list that is there
		call(t, s, "PUT", "/b/"+key, "x")
	}
	call(t, s, "DELETE", "/b/m", "")
	if got, want := b.keys(), []string{"a", "b", "z"}; !reflect.DeepEqual(got, want) {
		t.Errorf("keys %v, want %v", got, want)
	}
}

func TestSeededObjectsAreListedAsTheyWereNamed(t *testing.T) {
	s := newServer(serverConfig{keep: 1 << 20})
	s.store.createBucket("b")
	lines := "7 abc 1767225600 audio/p/a b&c.mp3\n0 def 1767225601 audio/p/a.mp3\n1 def 1767225602 rss/p.xml\n"
	call(t, s, "POST", "/?seed=b", lines)
	w := call(t, s, "GET", "/b?list-type=2&prefix=audio/&max-keys=1", "")
	want := "<Key>audio/p/a b&amp;c.mp3</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>" +
		"<ETag>&quot;abc&quot;</ETag><Size>7</Size>"
	if !strings.Contains(w.Body.String(), want) || !strings.Contains(w.Body.String(), "<IsTruncated>true") {
		t.Errorf("page %s", w.Body)
	}
	if got := w.Header().Get("Content-Length"); got != fmt.Sprint(w.Body.Len()) {
		t.Errorf("%s bytes announced, %d sent", got, w.Body.Len())
	}
	w = call(t, s, "GET", "/b?list-type=2&encoding-type=url&start-after=audio/p/a", "")
	if !strings.Contains(w.Body.String(), "<Key>audio/p/a%20b%26c.mp3</Key>") || strings.Count(w.Body.String(), "<Key>") != 3 {
		t.Errorf("page %s", w.Body)
	}
	w = call(t, s, "GET", "/b?list-type=2&delimiter=/", "")
	if !strings.Contains(w.Body.String(), "<Prefix>audio/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>rss/") {
		t.Errorf("page %s", w.Body)
	}
	if got := s.statistics(); got.Objects != 3 || got.ObjectBytes != 8 || got.Requests["list"] != 3 {
		t.Errorf("statistics %+v", got)
	}
	call(t, s, "POST", "/?forget", "")
	if got := s.statistics(); got.Objects != 3 || got.Requests["list"] != 0 {
		t.Errorf("after forgetting %+v", got)
	}
}

func TestSeedThatIsNotAsExpectedPutsNothing(t *testing.T) {
	s := newServer(serverConfig{keep: 1 << 20})
	s.store.createBucket("b")
	for _, line := range []string{"1 abc audio/a.mp3", "x abc 0 audio/a.mp3", "1 abc then audio/a.mp3", "1 abc 0 "} {
		if w := call(t, s, "POST", "/?seed=b", "1 abc 0 first\n"+line); w.Code != 400 || s.statistics().Objects != 0 {
			t.Errorf("%q gave %d, %d objects", line, w.Code, s.statistics().Objects)
		}
	}
}
