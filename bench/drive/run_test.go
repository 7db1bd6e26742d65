package drive

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statordb/stator/bench"
)

// synthetic is a target whose operations are functions.
type synthetic struct {
	do    func(n int64) error
	check error
	n     atomic.Int64
}

func (s *synthetic) NewSession(int) (Session, error) { return s, nil }
func (s *synthetic) Prepare(*Op) error               { return nil }
func (s *synthetic) Do() error                       { return s.do(s.n.Add(1)) }
func (s *synthetic) Check() error                    { return s.check }
func (s *synthetic) Close() error                    { return nil }

func workload(t *testing.T, text string) *Workload {
	t.Helper()
	w, err := Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	w.Warmup = 0
	return w
}

// A target that stalls once delays all operations that were due meanwhile. The open
// loop shows them all; a closed loop sees one slow operation. All bounds are those
// that a busy machine keeps, too: it can only make more operations late.
func TestStallIsNotOmitted(t *testing.T) {
	const stall = 120 * time.Millisecond
	stalls := func() *synthetic {
		return &synthetic{do: func(n int64) error {
			if n == 20 {
				time.Sleep(stall)
			}
			return nil
		}}
	}
	over := func(m *Measurement, d time.Duration) (n int64) {
		for _, b := range m.Latency.Distribution() {
			if b.From >= int64(d) {
				n += b.Count
			}
		}
		return n
	}
	for _, arrivals := range []Arrivals{Constant, Poisson} {
		w := workload(t, fmt.Sprintf(`{"name":"s","operations":{"get":1},"pace":{"rate":1000,"arrivals":%q},"length":"250ms"}`, arrivals))
		m, err := Run(t.Context(), w, stalls(), Options{Seed: 4})
		if err != nil {
			t.Fatal(err)
		}
		// 1000 per second for 120 ms: 60 of them are due in the first half of it and
		// wait for the second half at least.
		if got := over(m, stall/2); got < 40 {
			t.Errorf("%s: %d operations took %v or more, want about 60", arrivals, got, stall/2)
		}
		if m.Ops < 200 || m.Ops > 300 {
			t.Errorf("%s: %d operations, want about 250", arrivals, m.Ops)
		}
		if slow := m.Service.ValueAtQuantile(50); slow > int64(stall/2) {
			t.Errorf("%s: half of the operations took %v once they had begun", arrivals, time.Duration(slow))
		}
	}
	w := workload(t, `{"name":"s","operations":{"get":1},"length":"200ms","count":300}`)
	m, err := Run(t.Context(), w, stalls(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := over(m, stall/2); got < 1 || got > 10 || m.Ops != 300 {
		t.Errorf("closed loop: %d of %d operations were slow, want one", got, m.Ops)
	}
}

// What is due and never sent counts, with the time that it has waited at least.
func TestTooHighARate(t *testing.T) {
	w := workload(t, `{"name":"s","operations":{"get":1},"pace":{"rate":10000,"arrivals":"constant"},"length":"100ms"}`)
	m, err := Run(t.Context(), w, &synthetic{do: func(int64) error { time.Sleep(5 * time.Millisecond); return nil }}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if m.Ops != 1000 || m.Unsent < 900 || m.Latency.TotalCount() != 1000 {
		t.Errorf("%d operations, %d not sent, %d recorded", m.Ops, m.Unsent, m.Latency.TotalCount())
	}
	if rate := m.Rate(); rate > 250 {
		t.Errorf("rate %.0f of a target that can do 200", rate)
	}
}

// The gaps of Poisson arrivals have a mean and a standard deviation that are equal.
func TestArrivals(t *testing.T) {
	r := rand(9)
	p := newPacer(Pace{Rate: 1000, Arrivals: Poisson}, 0, 4, &r)
	var sum, squares float64
	const n = 20_000
	due := make([]int64, n+1)
	p.fill(due)
	last := due[0]
	for _, at := range due[1:] {
		gap := float64(at-last) / 1e6
		sum, squares, last = sum+gap, squares+gap*gap, at
	}
	mean := sum / float64(n)
	deviation := math.Sqrt(squares/float64(n) - mean*mean)
	if math.Abs(mean-4) > 0.15 || math.Abs(deviation-4) > 0.2 {
		t.Errorf("gaps of %.2f ± %.2f ms, want 4 ± 4", mean, deviation)
	}
	for i := range 3 { // constant arrivals of three workers take turns
		c := newPacer(Pace{Rate: 1000, Arrivals: Constant}, i, 3, &r)
		if c.fill(due[:2]); due[0] != int64(i)*1e6 || due[1] != due[0]+3e6 {
			t.Errorf("worker %d: %d, %d", i, due[0], due[1])
		}
	}
}

// The target times its own operations. What the harness says agrees within 5 %.
func TestLatencyAgrees(t *testing.T) {
	for _, pace := range []string{`{}`, `{"rate": 4000}`} {
		var own []time.Duration
		target := &synthetic{do: func(n int64) error {
			begin := time.Now()
			for time.Since(begin) < time.Duration(60+n%60)*time.Microsecond {
			}
			own = append(own, time.Since(begin))
			return nil
		}}
		w := workload(t, `{"name":"s","operations":{"get":1},"length":"150ms","pace":`+pace+`}`)
		m, err := Run(t.Context(), w, target, Options{})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(own)
		for _, q := range []float64{25, 50, 75} {
			// Between neighbouring ranks, for a busy machine makes the tail steep.
			at := func(q float64) float64 { return float64(own[int(float64(len(own)-1)*q/100)]) }
			got, low, high := float64(m.Service.ValueAtQuantile(q)), at(q-3), at(q+3)
			if got < 0.95*low || got > 1.05*high {
				t.Errorf("pace %s, p%v: %.1f µs, the target itself measured %.1f to %.1f", pace, q, got/1e3, low/1e3, high/1e3)
			}
		}
		if int(m.Ops-m.Unsent) != len(own) {
			t.Errorf("%d operations, the target counted %d", m.Ops, len(own))
		}
	}
}

func TestErrors(t *testing.T) {
	w := workload(t, `{"name":"s","operations":{"get":1},"length":"1s","count":100}`)
	bad := errors.New("bad")
	m, err := Run(t.Context(), w, &synthetic{do: func(n int64) error {
		if n%10 == 0 {
			return bad
		}
		return nil
	}}, Options{})
	if err != nil || m.Errors != 10 || !errors.Is(m.First, bad) {
		t.Errorf("%v; %d errors, the first is %v", err, m.Errors, m.First)
	}
	if _, err = Run(t.Context(), w, &synthetic{do: func(int64) error { return fmt.Errorf("no: %w", ErrUnsupported) }}, Options{}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("an unsupported operation: %v", err)
	}
	if _, err = Run(t.Context(), w, &synthetic{do: func(int64) error { return nil }, check: bad}, Options{}); !errors.Is(err, bad) || !strings.Contains(err.Error(), "get of key") {
		t.Errorf("a wrong value: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err = Run(ctx, w, &synthetic{do: func(int64) error { cancel(); time.Sleep(time.Millisecond); return nil }}, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("ended by its context: %v", err)
	}
}

// A target that serves one operation at a time, of 1 ms each, keeps p90 below 20 ms
// up to somewhere below 1000 per second.
func TestPeak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second and more")
	}
	turn := make(chan struct{}, 1)
	target := &synthetic{do: func(int64) error {
		turn <- struct{}{}
		time.Sleep(time.Millisecond)
		<-turn
		return nil
	}}
	w := workload(t, `{"name":"p","operations":{"get":1},"workers":4,"length":"300ms","pace":{"peak":{"percentile":90,"below":"20ms","step":"150ms","share":0.5}}}`)
	m, err := Run(t.Context(), w, target, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if rate := m.Rate(); rate > 500 || len(m.Trials) < trials+1 || len(m.Trials) > trials+4 {
		t.Errorf("half of the peak %.0f/s after %+v", rate, m.Trials)
	}
	best := 0.0
	for _, trial := range m.Trials[:trials] {
		if trial.Kept {
			best = max(best, trial.Rate)
		}
	}
	if half := m.Trials[trials].Rate; best > 0 && half != best/2 {
		t.Errorf("the measurement was made at %.0f/s where %.0f/s was the peak", half, best)
	}
}

// Slow makes operations that burn 50 µs take half as long again.
func TestSlow(t *testing.T) {
	spin := func(int64) error {
		for begin := time.Now(); time.Since(begin) < 50*time.Microsecond; {
		}
		return nil
	}
	w := workload(t, `{"name":"s","operations":{"get":1},"length":"10s","count":300}`)
	m, err := Run(t.Context(), w, &synthetic{do: spin}, Options{Slow: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	if least := m.Latency.Min(); least < 74_000 {
		t.Errorf("an operation took %d ns, want at least 75,000", least)
	}
}

func TestReplay(t *testing.T) {
	w := workload(t, `{"name":"r","keys":{"choose":"trace","trace":"x"},"pace":{"speed":2}}`)
	events := []Event{{At: 0, Kind: Put, Key: 1, Size: 50}, {At: 40 * time.Millisecond, Kind: Get, Key: 1}, {At: 80 * time.Millisecond, Kind: Scan, Key: 0, Length: 3}}
	m, err := Run(t.Context(), w, &synthetic{do: func(int64) error { return nil }}, Options{Trace: events})
	if err != nil {
		t.Fatal(err)
	}
	if m.Ops != 3 || m.ByKind[Put].TotalCount() != 1 || m.ByKind[Scan].TotalCount() != 1 || m.Wall < 40*time.Millisecond {
		t.Errorf("%d operations in %v", m.Ops, m.Wall)
	}
}

// idle is a target that does nothing.
type idle struct{}

func (idle) Prepare(*Op) error { return nil }
func (idle) Do() error         { return nil }
func (idle) Check() error      { return nil }
func (idle) Close() error      { return nil }

func loop(workload *Workload, open bool, count int64) (*worker, *limits) {
	p := newPlan(workload)
	w := &worker{session: idle{}, source: p, open: open,
		recorder: newRecorder(len(p.kinds), open, newSeries(time.Minute)), rand: 1}
	if open {
		w.pacer = newPacer(Pace{Rate: 1e8, Arrivals: Poisson}, 0, 1, &w.rand) // always late: nobody waits
	}
	l := &limits{clock: newClock(), until: math.MaxInt64, giveUp: math.MaxInt64}
	l.bound(count, 1)
	return w, l
}

// The loop allocates nothing.
func TestLoopDoesNotAllocate(t *testing.T) {
	spec := workload(t, `{"name":"l","operations":{"get":95,"put":5},"keys":{"choose":"zipfian","count":1000}}`)
	for _, open := range []bool{false, true} {
		w, l := loop(spec, open, 0)
		if n := testing.AllocsPerRun(20, func() {
			l.left.Store(1000)
			w.run(l)
		}); n > 0 {
			t.Errorf("open %v: %v allocations for 1000 operations", open, n)
		}
	}
}

// What the harness itself costs for each operation.
func BenchmarkLoop(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"uniform", `{"name":"l","operations":{"get":1}}`},
		{"zipfian", `{"name":"l","operations":{"get":95,"put":5},"keys":{"choose":"zipfian"}}`},
		{"poisson", `{"name":"l","operations":{"get":1},"pace":{"rate":1}}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			spec, err := Parse("", []byte(c.text))
			if err != nil {
				b.Fatal(err)
			}
			w, l := loop(spec, spec.Pace.Rate > 0, int64(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			before := bench.CPUTime()
			w.run(l)
			b.ReportMetric(float64(bench.CPUTime()-before)/float64(b.N), "cpu-ns/op") // true on a busy machine, too
		})
	}
}

// What met another operation is counted, in either loop, and is no error; nor is it in the latency.
func TestConflicts(t *testing.T) {
	for _, pace := range []string{``, `"pace": {"rate": 5000},`} {
		s := &synthetic{do: func(n int64) error {
			if n%3 == 0 {
				return fmt.Errorf("item 7: %w", ErrConflict)
			}
			return nil
		}}
		w := workload(t, `{"name": "x", `+pace+` "operations": {"get": 1}, "keys": {"count": 10}, "length": "200ms"}`)
		m, err := Run(t.Context(), w, s, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if n := s.n.Load(); m.Conflicts != n/3 || m.Ops-m.Unsent != n-n/3 || m.Errors != 0 || m.First != nil || m.Latency.TotalCount() != m.Ops {
			t.Errorf("pace %q: of %d operations %d were done, %d met others, %d failed (%v); latencies of %d", pace, n, m.Ops, m.Conflicts, m.Errors, m.First, m.Latency.TotalCount())
		}
	}
}
