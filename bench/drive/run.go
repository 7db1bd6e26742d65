package drive

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Measurement is what one run found out.
type Measurement struct {
	Ops    int64 // errors and those not sent included
	Errors int64
	// Conflicts were refused because of other operations (ErrConflict); not among Ops.
	Conflicts int64
	Unsent    int64 // due, but the workers never came to it: the rate is too high
	First     error // the first error of an operation

	Wall time.Duration // from the start to the end of the last operation

	// Latency counts from when an operation was due; in a closed loop that is when it began.
	Latency  *hdrhistogram.Histogram
	ByKind   map[Kind]*hdrhistogram.Histogram
	Service  *hdrhistogram.Histogram // from the real begin; the same as Latency in a closed loop
	Late     *hdrhistogram.Histogram // how late the harness itself began operations; nil in a closed loop
	Seconds  []*hdrhistogram.Histogram
	Warmup   time.Duration // that was needed
	Settled  bool          // the warm-up ended because the rate had become steady
	Steady   bool          // the rate did not drift during the measurement
	Drift    float64       // of the rate: second half / first half
	Usage    Usage         // what the target used
	Measured bool          // Usage is known
	BySecond []Usage       // what was used in each second; shorter than Seconds if the usage is not known
	Trials   []Trial       // of a search for the peak
	Blows    []Blow        // faults that were done
	Phases   []Phase       // between them; none without faults
}

// Rate is in operations per second, without errors and what was not sent.
func (m *Measurement) Rate() float64 {
	return float64(m.Ops-m.Errors-m.Unsent) / max(m.Wall.Seconds(), 1e-9)
}

// Usage is what a target has used since it began.
type Usage struct {
	CPU           time.Duration // user and system
	Allocs        float64       // objects on the Go heap
	WrittenBytes  float64       // by the process, to files
	ReadBytes     float64       // from the disk
	ResidentBytes float64       // now
	DiskBytes     float64       // now, of its files
	UserBytes     float64       // of keys and values that it was given to write
	Stalls        float64       // writes that had to wait
	StallTime     time.Duration
	Simulated     time.Duration // time that passed in simulated worlds
}

// A Meter is a target that knows what it uses.
type Meter interface{ Usage() Usage }

// minus has what is counted since, and what is now.
func (u Usage) minus(before Usage) Usage {
	u.CPU -= before.CPU
	u.Allocs -= before.Allocs
	u.WrittenBytes -= before.WrittenBytes
	u.ReadBytes -= before.ReadBytes
	u.UserBytes -= before.UserBytes
	u.Stalls -= before.Stalls
	u.StallTime -= before.StallTime
	u.Simulated -= before.Simulated
	return u
}

// Options of a run. The zero value is good.
type Options struct {
	Seed  uint64
	Trace []Event // for Choose: FromTrace

	// Slow makes each operation take so much longer, as a share, by burning processor time: to see what
	// a gate notices.
	Slow float64

	// Progress is called about once a second while the run goes on.
	Progress func(phase string, at, of time.Duration, rate float64, p99 time.Duration)
}

// An Event is one operation of a trace.
type Event struct {
	At     time.Duration // from the beginning
	Kind   Kind
	Key    uint64
	Size   int // of what is written, or 0
	Length int // of a scan, query or batch, or 0
}

// A run is one workload on one target.
type run struct {
	w       *Workload
	options Options
	plan    *plan
	target  Target
	workers []*worker
	open    bool
	threads bool // see Workload.Threads
	trace   *replay
}

// Run loads the target with a workload. The target has the entries already.
//
// Errors of operations are counted; Run fails if a value is wrong, if the target
// has no such operation, or if ctx ends.
func Run(ctx context.Context, w *Workload, t Target, o Options) (m *Measurement, err error) {
	r := &run{w: w, options: o, target: t}
	if w.Keys.Choose == FromTrace {
		r.trace = newReplay(o.Trace, w)
		r.open = w.Pace.Speed > 0
	} else {
		r.plan = newPlan(w)
		r.open = w.Pace.Rate > 0
	}
	for i := range w.Workers {
		s, err := t.NewSession(i)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("session %d: %w", i, err), r.close())
		}
		r.workers = append(r.workers, &worker{session: s, slow: o.Slow, rand: rand(o.Seed*1000 + uint64(i) + 1)})
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if r.threads = threads(w, t); r.threads {
		defer spread(len(r.workers))()
	}
	warmedUp, settled, err := r.warmUp(ctx)
	if err != nil {
		return nil, err
	}
	if w.Pace.Peak != nil {
		m, err = r.peak(ctx, t)
	} else {
		m, err = r.measure(ctx, t, w.Pace, time.Duration(w.Length), "measure")
	}
	if m != nil {
		m.Warmup, m.Settled = warmedUp, settled
	}
	return m, err
}

func (r *run) close() error {
	var err error
	for _, w := range r.workers {
		err = errors.Join(err, w.session.Close())
	}
	r.workers = nil
	return err
}

// Warm-up goes on, beyond its least length, until two neighbouring thirds of the
// last windows have rates that differ by less than this, but not longer than
// maxWarmups times that length.
const (
	steadyWithin = 0.05
	maxWarmups   = 3
	windows      = 10 // of the least length
)

func (r *run) simulates() bool { return r.w.Operations[Simulate] > 0 }

// warmUp works until the rate is steady. Fills and replays have no warm-up: they begin with what
// is there, once. Simulated worlds have none, either: no two are alike.
func (r *run) warmUp(ctx context.Context) (took time.Duration, settled bool, err error) {
	least := time.Duration(r.w.Warmup)
	if r.w.Empty || r.trace != nil || r.simulates() || least <= 0 {
		return 0, true, nil
	}
	var rates []float64
	for took < maxWarmups*least {
		m, err := r.measure(ctx, nil, r.w.Pace, least/windows, "warm up")
		if err != nil {
			return took, false, err
		}
		took += m.Wall
		rates = append(rates, m.Rate())
		if took >= least && levelled(rates) {
			return took, true, nil
		}
	}
	return took, false, nil
}

func levelled(rates []float64) bool {
	n := len(rates) / 3
	if n < 2 {
		return false
	}
	last, before := median(rates[len(rates)-n:]), median(rates[len(rates)-2*n:len(rates)-n])
	return math.Abs(last/before-1) < steadyWithin
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s) == 0 {
		return 0
	}
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// measure runs all workers for some time. t is nil if its usage does not matter.
func (r *run) measure(ctx context.Context, t Target, pace Pace, length time.Duration, phase string) (*Measurement, error) {
	open := r.open || pace.Rate > 0
	l := &limits{until: int64(length), giveUp: int64(length + grace(length))}
	if n := r.count(phase); n > 0 {
		l.bound(n, len(r.workers))
	}
	kinds := Kinds
	if r.plan != nil {
		kinds = r.plan.kinds
	}
	if r.trace != nil {
		r.trace.at.Store(0)
	}
	s := newSeries(length + grace(length) + time.Second)
	faults := phase == "measure" && len(r.w.Faults) > 0
	for i, w := range r.workers {
		w.recorder, w.open = newRecorder(len(kinds), open, s), open
		w.recorder.keep = faults
		if open {
			w.waiter = newWaiter(r.threads, pace.Rate)
		}
		w.pacer = newPacer(pace, i, len(r.workers), &w.rand)
		if w.source = (source)(r.plan); r.trace != nil {
			w.source = r.trace
		}
		w.begin()
	}
	meter, _ := t.(Meter)
	var before Usage
	if meter != nil {
		before = meter.Usage()
	}
	l.clock = newClock()
	errs := make([]error, len(r.workers)+1)
	var wg sync.WaitGroup
	for i, w := range r.workers {
		wg.Go(func() {
			if r.threads {
				runtime.LockOSThread() // the thread ends with the worker
				exact()
			}
			errs[i] = w.run(l)
		})
	}
	var breaking sync.WaitGroup
	var blows []Blow
	broken, stopBreaking := context.WithCancel(ctx)
	defer stopBreaking()
	if faults {
		breaking.Go(func() {
			if blows, errs[len(r.workers)] = r.breaks(broken, l, t); errs[len(r.workers)] != nil {
				l.stop.Store(true)
			}
		})
	}
	bySecond := r.watch(ctx, l, s, length, phase, &wg, meter, before)
	wall := time.Duration(l.clock.now())
	stopBreaking()
	breaking.Wait()
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return nil, err
	}
	m := r.merge(kinds, s, wall, open)
	if meter != nil {
		m.Usage, m.Measured, m.BySecond = meter.Usage().minus(before), true, bySecond
	}
	if faults {
		var all []outcome
		for _, w := range r.workers {
			all = append(all, w.recorder.outcomes...)
		}
		m.Blows, m.Phases = blows, phases(all, blows, wall)
	}
	return m, nil
}

// count is how many operations end the phase; 0: time does.
func (r *run) count(phase string) int64 {
	switch {
	case phase != "measure" || r.trace != nil:
		return 0
	case r.w.Count > 0:
		return int64(r.w.Count)
	case r.w.Empty:
		return int64(r.w.Keys.Count)
	}
	return 0
}

// watch reports on the run until the workers have ended, and stops them if ctx ends. It returns what
// was used in each second, if there is a meter.
func (r *run) watch(ctx context.Context, l *limits, s *series, length time.Duration, phase string, wg *sync.WaitGroup, meter Meter, before Usage) (bySecond []Usage) {
	ended := make(chan struct{})
	go func() {
		wg.Wait()
		close(ended)
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			if meter != nil { // what is left belongs to the second in which the run ended
				bySecond = append(bySecond, meter.Usage().minus(before))
			}
			return bySecond
		case <-ctx.Done():
			l.stop.Store(true)
			<-ended
			return bySecond
		case <-tick.C:
			at := time.Duration(l.clock.now())
			if second := int(at/time.Second) - 1; meter != nil && second < maxSeconds {
				for len(bySecond) < second { // ticks that did not come: what was used is in the next one
					bySecond = append(bySecond, Usage{})
				}
				now := meter.Usage()
				bySecond, before = append(bySecond, now.minus(before)), now
			}
			if ops, p99 := s.last(int(at/time.Second) - 1); r.options.Progress != nil {
				r.options.Progress(phase, at, length, float64(ops), p99)
			}
		}
	}
}

// merge joins what the workers recorded.
func (r *run) merge(kinds []Kind, s *series, wall time.Duration, open bool) *Measurement {
	m := &Measurement{Wall: wall, Latency: NewHistogram(), ByKind: map[Kind]*hdrhistogram.Histogram{}, Seconds: s.upTo()}
	if open {
		m.Service, m.Late = NewHistogram(), NewHistogram()
	}
	for _, w := range r.workers {
		rec := w.recorder
		m.Ops, m.Errors, m.Unsent = m.Ops+rec.ops, m.Errors+rec.errors, m.Unsent+rec.unsent
		m.Conflicts += rec.conflicts
		if m.First == nil {
			m.First = rec.firstError
		}
		for i, h := range rec.latencies {
			if h.TotalCount() == 0 {
				continue
			}
			if m.ByKind[kinds[i]] == nil {
				m.ByKind[kinds[i]] = NewHistogram()
			}
			m.ByKind[kinds[i]].Merge(h)
			m.Latency.Merge(h)
		}
		if open {
			m.Service.Merge(rec.services)
			m.Late.Merge(rec.lags)
		}
	}
	if !open {
		m.Service = m.Latency
	}
	if m.Drift, m.Steady = drift(m.Seconds, wall); r.simulates() {
		m.Drift, m.Steady = 1, true // worlds differ
	}
	return m
}

// drift compares the rates of both halves of a run, without the second in which it ended.
// Of less than four whole seconds nothing is said: steady.
func drift(seconds []*hdrhistogram.Histogram, wall time.Duration) (ratio float64, steady bool) {
	whole := min(len(seconds), int(wall/time.Second))
	if whole < 4 {
		return 1, true
	}
	var rates []float64
	for _, h := range seconds[:whole] {
		rates = append(rates, float64(h.TotalCount()))
	}
	first, second := median(rates[:whole/2]), median(rates[whole-whole/2:])
	if first == 0 {
		return 0, false
	}
	return second / first, math.Abs(second/first-1) < 2*steadyWithin
}
