package main

import (
	"bufio"
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// seed puts objects without bodies into a bucket, as many as a listing is to have: a line each, of
// size, ETag, time in seconds since 1970 and key, with a space between them. GET answers zeros.
func (s *store) seed(bucketName string, from io.Reader) error {
	objects := map[string]*object{}
	etags := map[string]string{}
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		key, o, err := seeded(lines.Text())
		if err != nil {
			return err
		}
		// Where a million objects have the same bytes, their ETag is kept once.
		if known, found := etags[o.etag]; found {
			o.etag = known
		} else {
			etags[o.etag] = o.etag
		}
		objects[key] = o
	}
	if err := lines.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[bucketName]
	if b == nil {
		return errNoSuchBucket
	}
	for key, o := range objects {
		b.objects[key] = o
	}
	// Sorted, and cleaned up behind, before anybody is measured.
	b.sorted = nil
	b.keys()
	objects = nil
	debug.FreeOSMemory()
	return nil
}

func seeded(line string) (string, *object, error) {
	fields := strings.SplitN(line, " ", 4)
	if len(fields) != 4 || fields[3] == "" {
		return "", nil, fmt.Errorf("%q is not size, ETag, time and key", line)
	}
	size, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return "", nil, err
	}
	seconds, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return "", nil, err
	}
	// A copy, as the field would keep its whole line.
	key := strings.Clone(fields[3])
	etag := strings.Clone(fields[1])
	return key, &object{size: size, etag: etag, modified: time.Unix(seconds, 0).UTC()}, nil
}
