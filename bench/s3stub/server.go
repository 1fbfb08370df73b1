package main

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	requestID = "BENCH0000000000A"
)

// kind groups requests for the counts in the statistics.
type kind int

const (
	kindPut kind = iota
	kindHead
	kindGet
	kindList
	kindDelete
	kindCopy
	kindMultipartCreate
	kindMultipartPart
	kindMultipartComplete
	kindMultipartAbort
	kindBucket
	kindSTS
	kindOther
	kinds
)

var kindNames = [kinds]string{
	"put", "head", "get", "list", "delete", "copy", "multipart_create", "multipart_part",
	"multipart_complete", "multipart_abort", "bucket", "sts", "other",
}

type serverConfig struct {
	region string
	procs  int
	delay  time.Duration
	keep   int64
}

type server struct {
	config   serverConfig
	store    *store
	counts   [kinds]atomic.Int64
	callers  callers
	received atomic.Int64 // bytes of object bodies
	madeUp   atomic.Int64 // ETags that are no MD5
}

func newServer(config serverConfig) *server {
	return &server{config: config, store: newStore()}
}

// count takes note of a request; what a caller asks for is also counted under its access key.
func (s *server) count(r *http.Request, k kind) {
	s.counts[k].Add(1)
	s.callers.count(accessKey(r), k)
}

// ServeHTTP takes the path apart by hand: http.ServeMux would clean it, and keys are exact.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	bucketName, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	query := url.Values{}
	if r.URL.RawQuery != "" {
		query = r.URL.Query()
	}
	if bucketName == "" && r.Method != http.MethodHead && s.serveControl(w, r, query) {
		return
	}
	s.waitLatency(r)
	header := w.Header()
	header.Set("X-Amz-Request-Id", requestID)
	var err error
	switch {
	case bucketName == "":
		err = s.serveService(w, r)
	case key == "":
		err = s.serveBucket(w, r, bucketName, query)
	default:
		err = s.serveObject(w, r, bucketName, key, query)
	}
	if err != nil {
		writeError(w, r, err)
	}
}

// waitLatency adds the configured latency once for the request, and once more where the client
// waits for "100 Continue" before it sends the body, as a real round trip would.
func (s *server) waitLatency(r *http.Request) {
	if s.config.delay == 0 {
		return
	}
	rounds := time.Duration(1)
	if r.Header.Get("Expect") != "" {
		rounds = 2
	}
	time.Sleep(rounds * s.config.delay)
}
