package env

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// newWorld returns a world that is closed with the test.
func newWorld(t testing.TB, seed uint64, o Options) *World {
	w := NewWorld(seed, o)
	t.Cleanup(w.Close)
	return w
}

func TestPanicIsReported(t *testing.T) {
	w := newWorld(t, 77, Options{StepCost: -1})
	e := w.NewNode("n0")
	boom := errors.New("boom")
	e.Go("bomb", func() {
		e.Sleep(time.Second)
		explode(boom)
	})
	err := w.RunUntilIdle()
	var f *Failure
	if !errors.As(err, &f) || !errors.Is(err, boom) {
		t.Fatalf("RunUntilIdle = %v, want a Failure of boom", err)
	}
	if want := "sim failure: seed=77 t=1.000000001s step=2 node=n0 task=bomb: boom"; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got  %s\nwant %s", strings.SplitN(err.Error(), "\n", 2)[0], want)
	}
	if !strings.Contains(err.Error(), "explode") {
		t.Errorf("the report lacks the task's own stack:\n%s", err)
	}
	if err := w.Run(never); err != f {
		t.Errorf("a failed world went on: %v", err)
	}
}

//go:noinline
func explode(err error) { panic(err) }

func TestDeadlockListsWaiters(t *testing.T) {
	w := newWorld(t, 1, Options{})
	e := w.NewNode("n0")
	e.Go("flusher", func() { NewQueue[int](e, 1).Recv() })
	err := w.Do(e, "main", func() {
		l := NewLatch(e)
		l.Lock()
		l.Lock()
	})
	if err == nil {
		t.Fatal("Do returned without an error")
	}
	for _, want := range []string{"sim deadlock: seed=1", "n0/flusher#1: queue recv", "n0/main#2: latch"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
}

// Do gives up although something ticks for ever.
func TestDoLimit(t *testing.T) {
	w := newWorld(t, 1, Options{Limit: time.Minute})
	e := w.NewNode("n0")
	e.Go("ticker", func() {
		for {
			e.Sleep(time.Second)
		}
	})
	if err := w.Do(e, "main", func() { NewFuture[int](e).Await() }); err == nil {
		t.Error("Do returned without an error")
	}
	if w.Now() < Mono(59*time.Second) || w.Now() > Mono(2*time.Minute) {
		t.Errorf("gave up at %s", time.Duration(w.Now()))
	}
}

func TestParkWithLeafPanics(t *testing.T) {
	for name, park := range map[string]func(e *Env){
		"sleep":  func(e *Env) { e.Sleep(1) },
		"yield":  func(e *Env) { e.Yield() },
		"future": func(e *Env) { NewFuture[int](e).Await() },
		"any":    func(e *Env) { WaitAny(e, NewFuture[int](e)) },
		"twice": func(e *Env) {
			var l Leaf
			l.Bind(e)
			l.Lock()
			l.Lock()
		},
	} {
		w := newWorld(t, 1, Options{LeafYields: -1})
		e := w.NewNode("n0")
		err := w.Do(e, "main", func() {
			var l Leaf
			l.Bind(e)
			l.Lock()
			park(e)
		})
		if err == nil || !strings.Contains(err.Error(), "leaf") {
			t.Errorf("%s: %v, want a failure about the leaf", name, err)
		}
	}
}

func TestWaitOutsideOfTaskPanics(t *testing.T) {
	w := newWorld(t, 1, Options{})
	e := w.NewNode("n0")
	defer func() {
		if recover() == nil {
			t.Error("Await outside of a task did not panic")
		}
	}()
	NewFuture[int](e).Await()
}

// A crash unwinds every task of the node, in order; deferred functions run but
// reach nothing; other nodes do not notice.
func TestCrash(t *testing.T) {
	for seed := range uint64(50) {
		w := newWorld(t, seed, Options{LeafYields: 128})
		e, other := w.NewNode("n0"), w.NewNode("n1")
		var unwound []int
		reached, outside := false, NewFuture[int](other)
		q := NewQueue[int](e, 1)
		for i := range 20 {
			e.Go(fmt.Sprint("victim", i), func() {
				defer func() {
					unwound = append(unwound, i)
					defer func() { reached = reached || recover() == nil }()
					outside.Set(1, nil)
				}()
				for {
					switch i % 4 {
					case 0:
						q.Send(i)
					case 1:
						q.Recv()
					case 2:
						WaitAny(e, q, NewFuture[int](e))
						e.Yield()
					case 3:
						e.Sleep(100 * time.Microsecond)
					}
				}
			})
		}
		crashed := false
		w.OnCrash("n0", func() { crashed = true; outside.Ready() })
		other.After(time.Millisecond, func() {
			e.After(time.Millisecond, func() { t.Error("a timer of a dead node fired") })
			w.Crash("n0")
			if len(unwound) > 0 {
				t.Error("tasks unwound inside of Crash")
			}
		})
		if err := w.Run(Mono(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if len(unwound) != 20 || !slices.IsSorted(unwound) {
			t.Errorf("seed %d: unwound %v", seed, unwound)
		}
		if reached || outside.Ready() {
			t.Errorf("seed %d: a dead task reached the world", seed)
		}
		if !crashed || w.Up("n0") || !w.Up("n1") {
			t.Errorf("seed %d: crashed=%v up=%v,%v", seed, crashed, w.Up("n0"), w.Up("n1"))
		}
	}
}

// A task that crashes its own node ends there.
func TestCrashOwnNode(t *testing.T) {
	w := newWorld(t, 3, Options{})
	e := w.NewNode("n0")
	later := false
	e.Go("suicide", func() {
		e.Sleep(time.Second)
		w.Crash("n0")
		later = true
	})
	e.Go("neverstarted", func() {})
	if err := w.RunUntilIdle(); err != nil || later || w.Up("n0") {
		t.Errorf("err=%v later=%v up=%v", err, later, w.Up("n0"))
	}
	e = w.Restart("n0")
	if err := w.Do(e, "again", func() { e.Sleep(time.Second) }); err != nil {
		t.Error(err)
	}
}

// Code that swallows the sentinel gets it again at its next call.
func TestCrashSurvivesRecover(t *testing.T) {
	w := newWorld(t, 3, Options{})
	e := w.NewNode("n0")
	rounds := 0
	e.Go("stubborn", func() {
		for rounds = 0; rounds < 10; rounds++ {
			func() {
				defer func() { _ = recover() }()
				e.Sleep(time.Hour)
			}()
		}
	})
	w.After(time.Second, func() { w.Crash("n0") })
	if err := w.RunUntilIdle(); err != nil || rounds != 10 {
		t.Errorf("err=%v rounds=%d", err, rounds)
	}
	if w.Now() > Mono(2*time.Second) {
		t.Errorf("a dead task slept until %s", time.Duration(w.Now()))
	}
}

func TestRestartIsANewLife(t *testing.T) {
	w := newWorld(t, 3, Options{})
	old := w.NewNode("n0")
	if err := w.Run(Mono(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if old.Now() != Mono(time.Minute) {
		t.Errorf("Now = %s", time.Duration(old.Now()))
	}
	wall, _ := old.Wall()
	w.Crash("n0")
	e := w.Restart("n0")
	if e.Now() != 0 {
		t.Errorf("monotonic clock of the new life starts at %s", time.Duration(e.Now()))
	}
	if again, _ := e.Wall(); again != wall {
		t.Errorf("wall clock moved by %s over a restart", time.Duration(again-wall))
	}
	if old.Rand() == e.Rand() {
		t.Error("both lives draw the same numbers")
	}
	defer func() {
		if recover() == nil {
			t.Error("a task was started on a dead node")
		}
	}()
	old.Go("ghost", func() {})
}

func TestPause(t *testing.T) {
	w := newWorld(t, 3, Options{})
	e, other := w.NewNode("n0"), w.NewNode("n1")
	beats, otherBeats := 0, 0
	beat := func(e *Env, n *int) func() {
		return func() {
			for {
				e.Sleep(time.Second)
				*n++
			}
		}
	}
	e.Go("beat", beat(e, &beats))
	other.Go("beat", beat(other, &otherBeats))
	run := func(until time.Duration, want, wantOther int) {
		t.Helper()
		if err := w.Run(Mono(until + 500*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if beats != want || otherBeats != wantOther {
			t.Errorf("after %s: %d and %d beats, want %d and %d", until, beats, otherBeats, want, wantOther)
		}
	}
	run(10*time.Second, 10, 10)
	w.Pause("n0")
	run(20*time.Second, 10, 20)
	w.Resume("n0")
	run(30*time.Second, 20, 30)
	w.Pause("n0")
	w.Crash("n0")
	run(40*time.Second, 20, 40)
	e = w.Restart("n0")
	e.Go("beat", beat(e, &beats))
	run(50*time.Second, 29, 50) // the new life began at 40.5 s
}

func TestClockRateAndStep(t *testing.T) {
	w := newWorld(t, 3, Options{StepCost: -1})
	fast, slow := w.NewNode("fast"), w.NewNode("slow")
	w.SetClock("fast", 100_000, time.Hour)
	w.SetClock("slow", -100_000, 0)
	wall, _ := slow.Wall()
	var at [2]time.Duration
	fast.Go("sleep", func() { fast.Sleep(11 * time.Second); at[0] = time.Duration(w.Now()) })
	slow.Go("sleep", func() { slow.Sleep(9 * time.Second); at[1] = time.Duration(w.Now()) })
	if err := w.RunUntilIdle(); err != nil {
		t.Fatal(err)
	}
	for i, got := range at {
		if d := got - 10*time.Second; d < 0 || d > time.Microsecond {
			t.Errorf("sleeper %d woke at %s of true time, want 10s", i, got)
		}
	}
	if d := time.Duration(fast.Now() - slow.Now()); d < 1999*time.Millisecond || d > 2001*time.Millisecond {
		t.Errorf("clocks differ by %s, want 2s", d)
	}
	fastWall, _ := fast.Wall()
	slowWall, _ := slow.Wall()
	if d := time.Duration(fastWall - slowWall); d < time.Hour+1999*time.Millisecond || d > time.Hour+2001*time.Millisecond {
		t.Errorf("wall clocks differ by %s, want 1h0m2s", d)
	}
	before := fast.Now()
	w.SetClock("fast", 0, 0)
	if fast.Now() != before {
		t.Error("changing the rate moved the clock")
	}
	if slowWall-wall != Time(slow.Now()) {
		t.Error("wall and monotonic clock of one host run apart")
	}
}

// Streams depend on seed and name, not on who else draws.
func TestStreams(t *testing.T) {
	a, b := newWorld(t, 5, Options{}), newWorld(t, 5, Options{})
	b.Stream("other").Uint64()
	b.NewNode("first")
	ea, eb := a.NewNode("n"), b.NewNode("n")
	if a.Stream("x").Uint64() != b.Stream("x").Uint64() || ea.Rand() != eb.Rand() {
		t.Error("equal names gave different streams")
	}
	if a.Stream("x").Uint64() == a.Stream("y").Uint64() || a.Stream("x").Uint64() == newWorld(t, 6, Options{}).Stream("x").Uint64() {
		t.Error("different streams begin alike")
	}
}

func TestBuggify(t *testing.T) {
	const seeds, draws = 400, 100
	active, fired := 0, 0
	for seed := range uint64(seeds) {
		w := NewWorld(seed, Options{})
		e := w.NewNode("n")
		n := 0
		for range draws {
			if e.Buggify("point") {
				n++
			}
		}
		if n > 0 {
			active++
			fired += n
		}
		w.Close()
	}
	if active < seeds/4-40 || active > seeds/4+40 {
		t.Errorf("point active in %d of %d seeds, want about a quarter", active, seeds)
	}
	if rate := float64(fired) / float64(active*draws); rate < 0.22 || rate > 0.28 {
		t.Errorf("an active point fires %.2f of the time, want about a quarter", rate)
	}
	e := newWorld(t, 1, Options{NoBuggify: true}).NewNode("n")
	for i := range 1000 {
		if e.Buggify(Point(fmt.Sprint(i))) {
			t.Fatal("fired although switched off")
		}
	}
}

func TestMarks(t *testing.T) {
	w := newWorld(t, 1, Options{})
	e := w.NewNode("n")
	e.Sometimes("rare")
	e.Sometimes("rare")
	if m := w.Marks(); len(m) != 1 || m["rare"] != 2 {
		t.Errorf("Marks = %v", m)
	}
}

// Different seeds must explore different orders; each policy repeats itself.
func TestPolicies(t *testing.T) {
	for _, p := range []Policy{Random, FIFO, PCT} {
		orders := map[string]int{}
		for seed := range uint64(50) {
			run := func() (string, uint64) {
				w := NewWorld(seed, Options{Policy: p, ChangePoints: 2, Horizon: 10})
				defer w.Close()
				e := w.NewNode("n")
				var order []byte
				for i := range 4 {
					e.Go("task", func() {
						order = append(order, byte('a'+i))
						e.Yield()
						order = append(order, byte('a'+i))
					})
				}
				if err := w.RunUntilIdle(); err != nil {
					t.Fatal(err)
				}
				return string(order), w.Hash()
			}
			order, hash := run()
			if again, hash2 := run(); again != order || hash2 != hash {
				t.Errorf("policy %d, seed %d: %s (%x), then %s (%x)", p, seed, order, hash, again, hash2)
			}
			orders[order]++
		}
		switch {
		case p == FIFO && (len(orders) != 1 || orders["abcdabcd"] != 50):
			t.Errorf("FIFO gave %v", orders)
		case p != FIFO && len(orders) < 12:
			t.Errorf("policy %d: only %d orders in 50 seeds: %v", p, len(orders), orders)
		}
	}
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for seed := range uint64(20) {
		w := NewWorld(seed, Options{})
		e := w.NewNode("n")
		for i := range 50 {
			e.Go("task", func() {
				if i%2 == 0 {
					NewFuture[int](e).Await()
				}
				if i == 33 {
					e.Sleep(time.Millisecond)
					panic("x")
				}
			})
		}
		_ = w.Run(Mono(time.Duration(seed) * 100 * time.Microsecond))
		e.Go("not started", func() {})
		w.Close()
		w.Close()
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}

// A real blocking call cannot be interrupted, but it is named.
func TestWatchdog(t *testing.T) {
	oldAfter, oldReport := stuckAfter, reportStuck
	defer func() { stuckAfter, reportStuck = oldAfter, oldReport }()
	release := make(chan struct{})
	var report bytes.Buffer
	stuckAfter = 5 * time.Millisecond
	reportStuck = func(text string) {
		if report.Len() == 0 {
			report.WriteString(text)
			close(release)
		}
	}
	w := newWorld(t, 9, Options{})
	e := w.NewNode("n")
	e.Go("other", func() { NewFuture[int](e).Await() })
	e.Go("blocker", func() { blockForReal(release) })
	if err := w.RunUntilIdle(); err != nil {
		t.Fatal(err)
	}
	if got := report.String(); !strings.Contains(got, "sim stuck: seed=9") || !strings.Contains(got, "blockForReal") || strings.Contains(got, "Await") {
		t.Errorf("report:\n%s", got)
	}
}

//go:noinline
func blockForReal(c chan struct{}) { <-c }

func TestTraceText(t *testing.T) {
	var text bytes.Buffer
	w := newWorld(t, 1, Options{Trace: &text})
	e := w.NewNode("n0")
	e.Go("hello", func() {
		e.Trace("x=%d", 1)
		e.Sleep(time.Second)
	})
	if err := w.RunUntilIdle(); err != nil {
		t.Fatal(err)
	}
	w.Crash("n0")
	want := "start n0/hello#1\n1 1µs n0/hello#1\n\tn0: x=1\n2 1.000002001s n0/hello#1\n\tcrash n0\n"
	if got := text.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
