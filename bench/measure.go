package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Sample is what one workload cost one engine once.
type Sample struct {
	Value float64       `json:"value"` // in the workload's unit
	Ops   int           `json:"ops"`
	Wall  time.Duration `json:"wall_ns"` // of all
	CPU   time.Duration `json:"cpu_ns"`  // of the process, user and system, background work included

	// Percentiles of single operations, or of commits; 0 if none was timed.
	P50  time.Duration `json:"p50_ns"`
	P99  time.Duration `json:"p99_ns"`
	P999 time.Duration `json:"p999_ns"`

	Allocs float64 `json:"allocs_per_op"` // on the Go heap
	Note   string  `json:"note,omitempty"`
}

// per says that all steps together were n operations.
func (s *Sample) per(n int) {
	if s.Ops == 0 || n == 0 {
		return
	}
	s.Allocs *= float64(s.Ops) / float64(n)
	s.Ops, s.Value = n, float64(s.Wall)/float64(n)
}

// CPUPerOp is in nanoseconds.
func (s *Sample) CPUPerOp() float64 { return float64(s.CPU) / float64(max(1, s.Ops)) }

// A task is one goroutine of a workload.
type task struct {
	id      int
	ops     int // its part of Workload.Ops
	steps   int // calls of the step function; ops unless the workload says otherwise
	session Session
	data    *dataset
	hist    *hdrhistogram.Histogram

	key, other, value []byte // buffers

	done int // steps
}

// set adds an entry to the next commit.
func (t *task) set(entry uint64, generation uint32) {
	t.key = t.data.shape.AppendKey(t.key[:0], numberOf(entry))
	t.value = AppendValue(t.value[:0], t.data.valueSize, numberOf(entry), generation)
	t.session.Set(t.key, t.value)
}

func (t *task) commit() error { return t.session.Commit() }

// tasks returns one task for each thread of the workload, which clock ends. Of ops
// each gets an even part; task i has every n-th from i on.
func (r *runner) tasks(w *Workload, d *dataset, ops int) ([]*task, error) {
	n := w.threads()
	var tasks []*task
	for i := range n {
		s, err := r.engine.NewSession()
		if err != nil {
			return nil, errorsAnd(err, tasks)
		}
		part := (ops - i + n - 1) / n
		tasks = append(tasks, &task{
			id: i, ops: part, steps: part, session: s, data: d,
			hist: hdrhistogram.New(1, int64(time.Minute), 3),
		})
	}
	return tasks, nil
}

// errorsAnd ends the tasks and adds what went wrong with that.
func errorsAnd(err error, tasks []*task) error {
	for _, t := range tasks {
		err = errors.Join(err, t.session.Close())
	}
	return err
}

type stepFunc func(t *task, i int) error

// clock runs the steps of all tasks at the same time and ends the tasks. At
// Config.Limit it stops.
func (r *runner) clock(w *Workload, tasks []*task, step stepFunc) (Sample, error) {
	return r.clockThen(w, tasks, step, func(*task) error { return nil })
}

// clockThen does also what is to be done by each task when the clock has stopped.
func (r *runner) clockThen(w *Workload, tasks []*task, step stepFunc, then func(*task) error) (Sample, error) {
	errs := make([]error, len(tasks))
	runtime.GC()
	var wg sync.WaitGroup
	var stop atomic.Bool
	endProfile, err := r.profile(w)
	if err != nil {
		return Sample{}, errorsAnd(err, tasks)
	}
	begin := now(r.config.Limit)
	for i, t := range tasks {
		wg.Go(func() { errs[i] = t.run(w, step, begin, &stop) })
	}
	wg.Wait()
	s := begin.sample()
	errs = append(errs, endProfile())
	hist := tasks[0].hist
	steps := 0
	for i, t := range tasks {
		if i > 0 {
			hist.Merge(t.hist)
		}
		if steps += t.done; errs[i] == nil {
			errs[i] = then(t)
		}
		if t.done < t.steps {
			s.Note = fmt.Sprintf("stopped after %v", r.config.Limit)
		}
	}
	s.P50, s.P99, s.P999 = quantile(hist, 50), quantile(hist, 99), quantile(hist, 99.9)
	s.Ops = steps
	s.Allocs /= float64(max(1, steps))
	if s.Value = float64(s.Wall) / float64(max(1, steps)); w.unit() == NanosP99 {
		s.Value = float64(s.P99)
	}
	return s, errorsAnd(errors.Join(errs...), tasks)
}

// profile begins a CPU profile of the sample, if there is to be one. The function that
// it returns ends it.
func (r *runner) profile(w *Workload) (end func() error, err error) {
	if r.config.Profile == "" {
		return func() error { return nil }, nil
	}
	if err := os.MkdirAll(r.config.Profile, 0o755); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s-%s-%d.pprof", w.Name, r.opener.Name, r.round+1)
	f, err := os.Create(filepath.Join(r.config.Profile, name))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

func quantile(h *hdrhistogram.Histogram, q float64) time.Duration {
	return time.Duration(Quantile(h, q))
}

// run does the steps. Time is looked at before and after each timed one.
func (t *task) run(w *Workload, step stepFunc, begin moment, stop *atomic.Bool) error {
	every := w.timeEvery()
	for ; t.done < t.steps; t.done++ {
		if t.done%every != 0 {
			if err := step(t, t.done); err != nil {
				return err
			}
			continue
		}
		before := time.Since(begin.start)
		if before > begin.limit || stop.Load() {
			return nil
		}
		if err := step(t, t.done); err != nil {
			stop.Store(true)
			return err
		}
		t.hist.RecordValue(int64(time.Since(begin.start) - before))
	}
	return nil
}

// A moment is when the clock started.
type moment struct {
	start  time.Time
	limit  time.Duration
	cpu    time.Duration
	allocs uint64
}

func now(limit time.Duration) moment {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return moment{limit: limit, allocs: m.Mallocs, cpu: CPUTime(), start: time.Now()}
}

// sample is what passed since; its allocations are those of all operations.
func (b moment) sample() Sample {
	s := Sample{Wall: time.Since(b.start), CPU: CPUTime() - b.cpu}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.Allocs = float64(m.Mallocs - b.allocs)
	return s
}
