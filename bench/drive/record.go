package drive

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/statordb/stator/bench"
)

// Longest is what a histogram holds; what takes longer counts as that long.
const Longest = 10 * time.Minute

// NewHistogram returns one for nanoseconds: three digits are true.
func NewHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, int64(Longest), 3) }

// newInterval returns a histogram of two digits: one is kept for each second.
func newInterval() *hdrhistogram.Histogram { return hdrhistogram.New(1, int64(Longest), 2) }

// A recorder keeps what one worker measures. Nothing in it is shared but, once a
// second, the series.
type recorder struct {
	latency []tally // by the place of the kind
	service tally   // from the real start; of an open loop: in a closed one it is the same
	late    tally   // how late the harness itself began; of an open loop

	// What was poured out of them.
	latencies      []*hdrhistogram.Histogram
	services, lags *hdrhistogram.Histogram // nil in a closed loop

	interval *hdrhistogram.Histogram // of one second
	number   int64                   // of that second
	until    int64                   // its end, in nanoseconds from the start
	series   *series

	ops, errors, unsent, conflicts int64
	firstError                     error

	outcomes []outcome // of a run with faults
	keep     bool      // them
}

func newRecorder(kinds int, open bool, s *series) *recorder {
	r := &recorder{interval: newInterval(), series: s, until: second}
	for range kinds {
		r.latency, r.latencies = append(r.latency, newTally()), append(r.latencies, NewHistogram())
	}
	if open {
		r.service, r.late = newTally(), newTally()
		r.services, r.lags = NewHistogram(), NewHistogram()
	}
	return r
}

// record takes an operation that ended at the time, in nanoseconds from the start.
func (r *recorder) record(place uint8, end, latency int64) {
	if end >= r.until {
		r.flush()
		r.number = end / second
		r.until = (r.number + 1) * second
	}
	latency = inRange(latency)
	r.ops++
	r.latency[place].add(latency)
	if r.keep {
		r.outcomes = append(r.outcomes, outcome{end: end, latency: latency})
	}
}

// conflicted takes an operation that was refused because of another one.
func (r *recorder) conflicted() { r.conflicts++ }

// failed marks the operation that was recorded last.
func (r *recorder) failed() {
	if r.keep {
		r.outcomes[len(r.outcomes)-1].bad = true
	}
}

func (r *recorder) recordService(service, late int64) {
	r.service.add(inRange(service))
	r.late.add(inRange(late))
}

// flush adds the second to the sums and the series.
func (r *recorder) flush() {
	for i := range r.latency {
		r.latency[i].pour(r.latencies[i], r.interval)
	}
	if r.services != nil {
		r.service.pour(r.services)
		r.late.pour(r.lags)
	}
	if r.interval.TotalCount() > 0 {
		r.series.add(r.number, r.interval)
		r.interval.Reset()
	}
}

// A series has a histogram for each second. All of them are made beforehand.
type series struct {
	mu      sync.Mutex
	seconds []*hdrhistogram.Histogram
}

// maxSeconds bounds a series, to 200 MB. What comes later counts for the last second.
const maxSeconds = 2 * 3600

func newSeries(length time.Duration) *series {
	s := &series{seconds: make([]*hdrhistogram.Histogram, min(maxSeconds, int(length/time.Second)+2))}
	for i := range s.seconds {
		s.seconds[i] = newInterval()
	}
	return s
}

func (s *series) add(second int64, h *hdrhistogram.Histogram) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seconds[min(int(second), len(s.seconds)-1)].Merge(h)
}

// last returns the operations of a second and their percentile, as far as is known.
func (s *series) last(second int) (ops int64, p99 time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.seconds[min(max(second, 0), len(s.seconds)-1)]
	return h.TotalCount(), time.Duration(bench.Quantile(h, 99))
}

// upTo returns the seconds up to the last one that has something.
func (s *series) upTo() []*hdrhistogram.Histogram {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.seconds)
	for n > 0 && s.seconds[n-1].TotalCount() == 0 {
		n--
	}
	return s.seconds[:n]
}
