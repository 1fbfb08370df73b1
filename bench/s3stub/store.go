package main

import (
	"sort"
	"strconv"
	"sync"
	"time"
)

// object is one stored object or part. It is never changed once stored, but for the checksum that
// is computed when it is first asked for.
type object struct {
	body      []byte // nil when the body was dropped
	size      int64
	etag      string // without quotes
	modified  time.Time
	headers   map[string]string // content type and x-amz-meta-*, as they came
	checksums map[string]string // x-amz-checksum-*, as they came
}

type bucket struct {
	objects map[string]*object
	sorted  []string // nil when keys went since it was made
}

type upload struct {
	bucket, key string
	parts       map[int]*object
	headers     map[string]string
	checksums   map[string]string // the algorithm and type that were announced
}

// store holds everything. One mutex is enough: the stub runs on one processor by default.
type store struct {
	mu         sync.Mutex
	buckets    map[string]*bucket
	uploads    map[string]*upload
	lastUpload int
	saved      map[string]map[string]*object
}

func newStore() *store {
	return &store{buckets: map[string]*bucket{}, uploads: map[string]*upload{}}
}

func (s *store) createBucket(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[name] == nil {
		s.buckets[name] = &bucket{objects: map[string]*object{}}
	}
}

func (s *store) hasBucket(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buckets[name] != nil
}

func (s *store) get(bucketName, key string) (*object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[bucketName]
	if b == nil {
		return nil, errNoSuchBucket
	}
	o := b.objects[key]
	if o == nil {
		return nil, errNoSuchKey
	}
	return o, nil
}

// put stores the object under the key if the condition holds.
func (s *store) put(bucketName, key string, o *object, when condition) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.putLocked(bucketName, key, o, when)
}

func (s *store) putLocked(bucketName, key string, o *object, when condition) error {
	b := s.buckets[bucketName]
	if b == nil {
		return errNoSuchBucket
	}
	existing := b.objects[key]
	if err := when.check(existing); err != nil {
		return err
	}
	if existing == nil {
		b.insert(key)
	}
	b.objects[key] = o
	return nil
}

func (s *store) remove(bucketName string, keys ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[bucketName]
	if b == nil {
		return errNoSuchBucket
	}
	for _, key := range keys {
		delete(b.objects, key)
	}
	b.sorted = nil
	return nil
}

func (s *store) startUpload(u *upload) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[u.bucket] == nil {
		return "", errNoSuchBucket
	}
	s.lastUpload++
	id := "upload-" + strconv.Itoa(s.lastUpload)
	s.uploads[id] = u
	return id, nil
}

func (s *store) putPart(id string, number int, part *object) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uploads[id]
	if u == nil {
		return errNoSuchUpload
	}
	u.parts[number] = part
	return nil
}

// finishUpload joins the listed parts into an object and stores it if the condition holds; the
// upload stays open when it does not, as in S3.
func (s *store) finishUpload(id string, numbers []int, checksums map[string]string, when condition) (*object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uploads[id]
	if u == nil {
		return nil, errNoSuchUpload
	}
	o, err := u.join(numbers)
	if err != nil {
		return nil, err
	}
	o.checksums = checksums
	if len(checksums) > 0 && checksums[checksumType] == "" {
		o.checksums[checksumType] = u.checksums[checksumType]
	}
	if err := s.putLocked(u.bucket, u.key, o, when); err != nil {
		return nil, err
	}
	delete(s.uploads, id)
	return o, nil
}

func (s *store) abortUpload(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uploads[id] == nil {
		return errNoSuchUpload
	}
	delete(s.uploads, id)
	return nil
}

// openUploads returns the ids of a bucket's open uploads with their keys.
func (s *store) openUploads(bucketName string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := map[string]string{}
	for id, u := range s.uploads {
		if u.bucket == bucketName {
			open[id] = u.key
		}
	}
	return open
}

// totals counts what is stored, and the uploads that are open.
func (s *store) totals() (objects int, bytes int64, uploads int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.buckets {
		objects += len(b.objects)
		for _, o := range b.objects {
			bytes += o.size
		}
	}
	return objects, bytes, len(s.uploads)
}

// save remembers the objects of now for restore; both cost a copy of the maps, not of the bodies.
func (s *store) save() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved = map[string]map[string]*object{}
	for name, b := range s.buckets {
		s.saved[name] = copyObjects(b.objects)
	}
}

// replace empties every bucket, which goes on existing, and drops the open uploads; with restore
// the objects of the last save come back.
func (s *store) replace(restore bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads = map[string]*upload{}
	for name, b := range s.buckets {
		b.sorted = nil
		b.objects = map[string]*object{}
		if restore {
			b.objects = copyObjects(s.saved[name])
		}
	}
}

func copyObjects(from map[string]*object) map[string]*object {
	to := make(map[string]*object, len(from))
	for key, o := range from {
		to[key] = o
	}
	return to
}

// insert keeps the list of keys in order, where there is one: daemons that list while others write
// would otherwise have it sorted anew for every listing. The caller holds the store's mutex.
func (b *bucket) insert(key string) {
	if b.sorted == nil {
		return
	}
	at := sort.SearchStrings(b.sorted, key)
	b.sorted = append(b.sorted, "")
	copy(b.sorted[at+1:], b.sorted[at:])
	b.sorted[at] = key
}

// keys returns the bucket's keys in order. The caller holds the store's mutex.
func (b *bucket) keys() []string {
	if b.sorted == nil {
		b.sorted = make([]string, 0, len(b.objects))
		for key := range b.objects {
			b.sorted = append(b.sorted, key)
		}
		sort.Strings(b.sorted)
	}
	return b.sorted
}
