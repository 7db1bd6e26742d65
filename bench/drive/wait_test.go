package drive

import (
	randomness "math/rand/v2"
	"runtime"
	"testing"
	"time"
)

// The margin comes to where a tenth of sleeps end later, follows when they change, and keeps its bounds.
func TestMarginLearns(t *testing.T) {
	r := randomness.New(randomness.NewPCG(1, 2))
	for _, c := range []struct {
		name     string
		threads  bool
		rate     float64
		from, to time.Duration // by how much sleeps are late, uniformly
		low, top time.Duration // of the margin
	}{
		{"halted processors", true, 100, 50e3, 150e3, 130e3, 155e3},
		{"busy processors", true, 100, 2e3, 6e3, minMargin, 20e3},
		{"sleeps that are very late", false, 0, 1e6, 2e6, maxMargin, maxMargin},
		{"a rate at which watching would cost too much", true, 10_000, 50e3, 150e3, 50e3, 50e3},
	} {
		w := newWaiter(c.threads, c.rate)
		for range 20_000 {
			w.learn(c.from + time.Duration(r.Int64N(int64(c.to-c.from))))
		}
		if w.margin < c.low || w.margin > c.top {
			t.Errorf("%s: a margin of %v, want %v to %v", c.name, w.margin, c.low, c.top)
		}
		learnt := w.margin
		if w.learn(-time.Microsecond); w.margin != learnt {
			t.Errorf("%s: a sleep that was cut short moved it", c.name)
		}
	}
}

// Nobody is awake too early, however long there is to wait, and waiting allocates nothing.
func TestUntilIsNotEarly(t *testing.T) {
	clock := newClock()
	for _, threads := range []bool{false, true} {
		w := newWaiter(threads, 0)
		for _, wait := range []time.Duration{0, time.Microsecond, 100 * time.Microsecond, coarse, 3 * coarse} {
			due := clock.now() + int64(wait)
			if at := w.until(&clock, due); at < due {
				t.Errorf("threads %v: awake %v early of %v", threads, time.Duration(due-at), wait)
			}
		}
		if n := testing.AllocsPerRun(20, func() { w.until(&clock, clock.now()+int64(300*time.Microsecond)) }); n > 0 {
			t.Errorf("threads %v: %v allocations", threads, n)
		}
	}
}

type distant struct{ Target }

func (distant) Distant() bool { return true }

// Threads are for distant targets, where few wait at a time; the runtime has processors for them while they run.
func TestThreads(t *testing.T) {
	here := &synthetic{do: func(int64) error { return nil }}
	for _, c := range []struct {
		target Target
		rest   string
		want   bool
	}{
		{here, `"workers":1`, false},
		{distant{here}, `"workers":1`, true},
		{distant{here}, `"workers":500`, false},
		{distant{here}, `"workers":500,"pace":{"rate":1000}`, true},
		{distant{here}, `"workers":500,"pace":{"peak":{"percentile":99,"below":"10ms"}}`, true},
	} {
		w := workload(t, `{"name":"w","operations":{"get":1},"keys":{"count":10},"length":"1s",`+c.rest+`}`)
		if got := threads(w, c.target); got != c.want {
			t.Errorf("%s: %v", c.rest, got)
		}
	}
	before, during := runtime.GOMAXPROCS(0), 0
	far := distant{&synthetic{do: func(int64) error {
		during = runtime.GOMAXPROCS(0)
		return nil
	}}}
	if _, err := Run(t.Context(), workload(t, `{"name":"w","operations":{"get":1},"keys":{"count":10},"length":"1s","count":3,"workers":1}`), far, Options{}); err != nil {
		t.Fatal(err)
	}
	if after := runtime.GOMAXPROCS(0); during <= 1 || after != before {
		t.Errorf("%d processors before, %d with a worker that has a thread, %d after", before, during, after)
	}
}
