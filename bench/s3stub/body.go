package main

import (
	"bufio"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const checksumType = "X-Amz-Checksum-Type"

var discardBuffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// readObject reads the body of a PUT. A body of more than `keep` bytes is counted and dropped, and
// its ETag is made up unless the client said the MD5: hashing it would only slow the stub.
func (s *server) readObject(r *http.Request) (*object, error) {
	body := io.Reader(r.Body)
	size := r.ContentLength
	var chunks *chunkedReader
	if isAWSChunked(r) {
		chunks = &chunkedReader{source: bufio.NewReaderSize(r.Body, 64<<10), trailers: http.Header{}}
		body = chunks
		size = -1
		if n, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64); err == nil {
			size = n
		}
	}
	o := &object{modified: time.Now().UTC(), headers: storedHeaders(r.Header), checksums: checksumHeaders(r.Header)}
	if size >= 0 && size <= s.config.keep {
		o.body = make([]byte, size)
		if _, err := io.ReadFull(body, o.body); err != nil {
			return nil, errIncomplete
		}
		o.size = size
	}
	// After a kept body this reads what is left of the framing, the trailers included.
	dropped, err := discard(body)
	if err != nil {
		return nil, errIncomplete
	}
	o.size += dropped
	o.etag = s.etagOf(o, r.Header.Get("Content-MD5"))
	if chunks != nil {
		for name, value := range checksumHeaders(chunks.trailers) {
			o.checksums[name] = value
		}
	}
	s.received.Add(o.size)
	return o, nil
}

func (s *server) etagOf(o *object, contentMD5 string) string {
	if o.body != nil {
		sum := md5.Sum(o.body)
		return hex.EncodeToString(sum[:])
	}
	if sum, err := base64.StdEncoding.DecodeString(contentMD5); err == nil && len(sum) == md5.Size {
		return hex.EncodeToString(sum)
	}
	// The suffix tells clients that this is no MD5, as an encrypted object's ETag would.
	return fmt.Sprintf("%016x%016x-1", o.size, s.madeUp.Add(1))
}

func discard(body io.Reader) (int64, error) {
	buffer := discardBuffers.Get().(*[]byte)
	defer discardBuffers.Put(buffer)
	var total int64
	for {
		n, err := body.Read(*buffer)
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func storedHeaders(from http.Header) map[string]string {
	stored := map[string]string{}
	for name, values := range from {
		if name == "Content-Type" || strings.HasPrefix(name, "X-Amz-Meta-") {
			stored[name] = values[0]
		}
	}
	return stored
}

func checksumHeaders(from http.Header) map[string]string {
	sums := map[string]string{}
	for name, values := range from {
		if strings.HasPrefix(name, "X-Amz-Checksum-") && name != "X-Amz-Checksum-Mode" {
			sums[name] = values[0]
		}
	}
	return sums
}

func isAWSChunked(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") ||
		strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked")
}

// chunkedReader undoes the aws-chunked framing: `size[;signature]` CRLF, data, CRLF, and after the
// chunk of size 0 the trailers. It finds the end of a chunk when the next read asks for more.
type chunkedReader struct {
	source   *bufio.Reader
	trailers http.Header
	left     int64
	started  bool
	done     bool
}

func (c *chunkedReader) Read(p []byte) (int, error) {
	if c.done {
		return 0, io.EOF
	}
	if c.left == 0 {
		if err := c.nextChunk(); err != nil {
			return 0, err
		}
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.source.Read(p)
	c.left -= int64(n)
	if err == io.EOF && c.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *chunkedReader) nextChunk() error {
	if c.started {
		if _, err := c.line(); err != nil {
			return err
		}
	}
	c.started = true
	line, err := c.line()
	if err != nil {
		return err
	}
	digits, _, _ := strings.Cut(line, ";")
	if c.left, err = strconv.ParseInt(digits, 16, 64); err != nil || c.left < 0 {
		return fmt.Errorf("chunk size %q: %w", digits, io.ErrUnexpectedEOF)
	}
	if c.left == 0 {
		c.done = true
		return c.readTrailers()
	}
	return nil
}

// readTrailers reads up to the empty line or, as some clients leave that out, to the end, and
// returns io.EOF when all went well.
func (c *chunkedReader) readTrailers() error {
	for {
		line, err := c.line()
		if name, value, found := strings.Cut(line, ":"); found {
			c.trailers.Set(strings.TrimSpace(name), strings.TrimSpace(value))
		}
		if err != nil {
			return err
		}
		if line == "" {
			_, err := discard(c.source)
			if err != nil {
				return err
			}
			return io.EOF
		}
	}
}

func (c *chunkedReader) line() (string, error) {
	line, err := c.source.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}
