package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"time"

	"github.com/statordb/stator"
)

// allocations returns how many allocations, and of how many bytes, a request of
// the workload takes in this process: everything from the handler down, in
// memory, one request after the other.
func allocations(w *workload) (count, size float64, err error) {
	db, err := stator.Open("", stator.Options{InMemory: true})
	if err != nil {
		return 0, 0, err
	}
	defer db.Close()
	listener := httptest.NewServer(db.Handler())
	err = load("http://" + strings.TrimPrefix(listener.URL, "http://"))
	listener.Close()
	if err != nil {
		return 0, 0, err
	}
	time.Sleep(100 * time.Millisecond) // what was left over of loading
	const n = 300
	requests := make([]*http.Request, n)
	for i := range requests {
		requests[i] = handlerRequest(w, i)
	}
	answer := &sink{header: http.Header{}}
	var before, after runtime.MemStats
	for i, r := range requests {
		if i == n/10 { // pools and caches are warm
			runtime.ReadMemStats(&before)
		}
		clear(answer.header)
		db.Handler().ServeHTTP(answer, r)
		if answer.status != http.StatusOK {
			return 0, 0, fmt.Errorf("%s in process: status %d", w.name, answer.status)
		}
	}
	runtime.ReadMemStats(&after)
	counted := float64(n - n/10)
	return float64(after.Mallocs-before.Mallocs) / counted, float64(after.TotalAlloc-before.TotalAlloc) / counted, nil
}

func handlerRequest(w *workload, i int) *http.Request {
	body := w.bodies[i%len(w.bodies)]
	r := httptest.NewRequest(http.MethodPost, "/", io.NopCloser(bytes.NewReader(body)))
	r.ContentLength = int64(len(body))
	r.Header = http.Header{
		"Content-Type":  {"application/x-amz-json-1.0"},
		"X-Amz-Date":    {"20260101T000000Z"},
		"X-Amz-Target":  {"DynamoDB_20120810." + w.operation},
		"Authorization": {"AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64)},
	}
	return r
}

// A sink is a ResponseWriter that keeps its header map, as a connection does.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
