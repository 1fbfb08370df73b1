package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// statistics is what /?stats answers, and what the benchmark judges a run by.
type statistics struct {
	Requests      map[string]int64            `json:"requests"`
	Callers       map[string]map[string]int64 `json:"callers"` // the same by access key
	ReceivedBytes int64                       `json:"received_bytes"`
	Objects       int                         `json:"objects"`
	ObjectBytes   int64                       `json:"object_bytes"`
	OpenUploads   int                         `json:"open_uploads"`
	CPUSeconds    float64                     `json:"cpu_seconds"`
	Procs         int                         `json:"procs"`
}

// serveControl answers the benchmark's own questions; none of them is counted or delayed.
//
//	/?stats    counts since the last reset, what is stored, and the processor time of this process
//	/?reset    empty the buckets and the counts
//	/?save     remember the objects of now
//	/?restore  reset, and put the remembered objects back
//	/?forget   the counts alone begin anew
//	/?seed=B   put the objects that the body names into the bucket B, see seed
func (s *server) serveControl(w http.ResponseWriter, r *http.Request, query url.Values) bool {
	switch {
	case query.Has("stats"):
	case query.Has("save"):
		s.store.save()
	case query.Has("reset"), query.Has("restore"):
		s.store.replace(query.Has("restore"))
		s.forget()
	case query.Has("forget"):
		s.forget()
	case query.Has("seed"):
		if err := s.store.seed(query.Get("seed"), r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return true
		}
	default:
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(s.statistics())
	return true
}

func (s *server) forget() {
	for k := range s.counts {
		s.counts[k].Store(0)
	}
	s.callers.reset()
	s.received.Store(0)
}

func (s *server) statistics() statistics {
	stats := statistics{
		Requests:      map[string]int64{},
		Callers:       s.callers.totals(),
		ReceivedBytes: s.received.Load(),
		CPUSeconds:    cpuSeconds(),
		Procs:         s.config.procs,
	}
	for k := range s.counts {
		stats.Requests[kindNames[k]] = s.counts[k].Load()
	}
	stats.Objects, stats.ObjectBytes, stats.OpenUploads = s.store.totals()
	return stats
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	used := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	return used.Seconds()
}

// serveService answers on "/": who the caller is (STS), and the list of buckets.
func (s *server) serveService(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "text/xml")
	if r.Method == http.MethodPost {
		s.count(r, kindSTS)
		if err := r.ParseForm(); err != nil || r.PostForm.Get("Action") != "GetCallerIdentity" {
			return errNotImplemented
		}
		fmt.Fprint(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>`+
			`<Arn>arn:aws:iam::000000000000:user/bench</Arn><UserId>AIDABENCH</UserId><Account>000000000000</Account>`+
			`</GetCallerIdentityResult><ResponseMetadata><RequestId>`+requestID+`</RequestId></ResponseMetadata></GetCallerIdentityResponse>`)
		return nil
	}
	s.count(r, kindOther)
	if r.Method != http.MethodGet {
		return errNotImplemented
	}
	fmt.Fprint(w, xmlHeader+`<ListAllMyBucketsResult xmlns="`+namespace+`"><Owner><ID>bench</ID></Owner><Buckets></Buckets></ListAllMyBucketsResult>`)
	return nil
}
