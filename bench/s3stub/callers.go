package main

import (
	"net/http"
	"strings"
	"sync"
)

// callers counts requests by the access key that signed them, so that clients of several roles can
// be told apart.
type callers struct {
	mu     sync.Mutex
	counts map[string]*[kinds]int64
}

func (c *callers) count(caller string, k kind) {
	if caller == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]*[kinds]int64{}
	}
	if c.counts[caller] == nil {
		c.counts[caller] = &[kinds]int64{}
	}
	c.counts[caller][k]++
}

func (c *callers) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts = nil
}

// totals returns the counts of every caller by the name of the kind; kinds that it did not ask for
// are left out.
func (c *callers) totals() map[string]map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	totals := map[string]map[string]int64{}
	for caller, counts := range c.counts {
		totals[caller] = map[string]int64{}
		for k, n := range counts {
			if n > 0 {
				totals[caller][kindNames[k]] = n
			}
		}
	}
	return totals
}

// accessKey returns the access key of a signed request, which is not checked; "" for an unsigned one.
func accessKey(r *http.Request) string {
	_, rest, found := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !found {
		return ""
	}
	key, _, _ := strings.Cut(rest, "/")
	return key
}
