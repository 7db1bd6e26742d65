package env

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"
)

// A Policy chooses the next of the runnable tasks.
type Policy byte

// The policies.
const (
	Random Policy = iota // every runnable task alike
	FIFO                 // in the order in which they became runnable
	PCT                  // by random priorities with a few random changes
)

// Options adjust a World. The zero value is a good default.
type Options struct {
	Policy Policy

	// StepCost is the virtual time that one step of a task takes (default
	// 1 µs). It also keeps a task that polls with Yield from stopping time.
	StepCost time.Duration

	// LeafYields is how many of 256 times taking a Leaf lets other tasks run
	// first (default 4; negative: never).
	LeafYields int

	// NoBuggify switches every Env.Buggify off.
	NoBuggify bool

	// ChangePoints and Horizon belong to PCT: at so many random steps (default
	// 3) below Horizon (default 10,000) the running task's priority drops.
	ChangePoints, Horizon int

	// Limit is the virtual time after which Do gives up (default one hour).
	Limit time.Duration

	// Trace receives one line per step and note, if not nil.
	Trace io.Writer
}

// A World runs the tasks of simulated nodes on one thread in virtual time.
//
//  1. Timers that are due fire.
//  2. The tasks of nodes that crashed are unwound.
//  3. One of the runnable tasks, chosen by the seed, runs until it parks. That
//     is one step; it takes StepCost of virtual time.
//  4. When no task is runnable, time jumps to the next timer.
//
// Everything that happens is a function of the seed and of the code; Hash
// tells whether two runs were the same. Whoever makes a World closes it. It is
// used by one goroutine at a time, and by its own tasks.
type World struct {
	seed  uint64
	opt   Options
	clock int64 // true time in nanoseconds since the world began
	until int64 // when the loop under way ends
	step  uint64

	hosts    map[string]*simHost
	order    []*simHost // in order of creation
	runnable []*task    // of nodes that are neither crashed nor paused
	cur      *task      // nil between steps
	timers   timerHeap
	crashed  []*simNode // tasks still to be cleared away
	idle     []*task    // finished coroutines for reuse
	taskSeq  uint64

	chance  *rand.Rand // choice of tasks
	points  map[Point]*point
	marks   map[Mark]uint64
	changes map[uint64]bool // PCT: steps at which a priority drops
	lowest  int64           // PCT: lowest priority given so far

	trace   trace
	failure *Failure
	halted  bool
	closed  bool

	pulse atomic.Uint64 // step, for the watchdog
}

// NewWorld returns an empty world at time zero.
func NewWorld(seed uint64, o Options) *World {
	if o.StepCost == 0 {
		o.StepCost = time.Microsecond
	}
	if o.LeafYields == 0 {
		o.LeafYields = 4
	}
	if o.ChangePoints == 0 {
		o.ChangePoints = 3
	}
	if o.Horizon == 0 {
		o.Horizon = 10_000
	}
	if o.Limit == 0 {
		o.Limit = time.Hour
	}
	w := &World{
		seed:   seed,
		opt:    o,
		hosts:  map[string]*simHost{},
		points: map[Point]*point{},
		marks:  map[Mark]uint64{},
		trace:  trace{out: o.Trace},
	}
	w.chance = w.Stream("schedule")
	if o.Policy == PCT {
		w.drawChanges()
	}
	return w
}

// Seed returns the seed.
func (w *World) Seed() uint64 { return w.seed }

// Now returns the true time.
func (w *World) Now() Mono { return Mono(w.clock) }

// Steps returns how many steps were run.
func (w *World) Steps() uint64 { return w.step }

// Run runs until the true time is until. It returns the *Failure of the first
// task that panicked; the world then stands still.
func (w *World) Run(until Mono) error {
	w.loop(int64(until), func() bool { return false })
	if w.failure == nil && w.clock < int64(until) {
		w.clock = int64(until)
	}
	return w.err()
}

// RunUntilIdle runs until no task is runnable and no timer is set. It does not
// return while something happens periodically.
func (w *World) RunUntilIdle() error {
	w.loop(int64(never), func() bool { return false })
	return w.err()
}

// Do runs f as a task of e's node and returns once f has. If nothing can wake
// f any more, or Options.Limit passes, or f's node crashes, the error lists
// the tasks that wait.
func (w *World) Do(e *Env, name string, f func()) error {
	done := false
	t := e.sim.spawn(name, func() { f(); done = true })
	id, until := t.id, int64(w.Now().Add(w.opt.Limit))
	w.loop(until, func() bool { return done || t.id != id || t.killed })
	if w.failure != nil || w.halted || done {
		return w.err()
	}
	return fmt.Errorf("sim deadlock: seed=%d t=%s step=%d: task %s/%s cannot go on; waiting:\n%s",
		w.seed, time.Duration(w.clock), w.step, e.sim.host.name, name, strings.Join(w.Parked(), "\n"))
}

// Halt lets the world stand still for good: Run and Do return when the task that
// runs now parks. It is for whoever has seen enough.
func (w *World) Halt() { w.halted = true }

// loop is the outline in World's comment.
func (w *World) loop(until int64, enough func() bool) {
	if w.cur != nil || w.closed {
		panic("env: World run from within a task, or after Close")
	}
	w.until = until
	defer w.watch()()
	for w.failure == nil && !w.halted {
		w.fire()
		w.clear()
		if enough() || w.clock > until {
			return
		}
		if len(w.runnable) > 0 {
			w.resume(w.pick())
			continue
		}
		next, ok := w.timers.next()
		if !ok || next > until {
			return
		}
		w.clock = next
	}
}

// err keeps a nil *Failure from becoming an error.
func (w *World) err() error {
	if w.failure != nil {
		return w.failure
	}
	return nil
}

// fire runs every timer that is due.
func (w *World) fire() {
	for {
		next, ok := w.timers.next()
		if !ok || next > w.clock {
			return
		}
		w.timers.pop().fire()
	}
}

// pick takes the next task off the runnable ones.
func (w *World) pick() *task {
	i, last := 0, len(w.runnable)-1
	switch w.opt.Policy {
	case Random:
		i = w.draw(last + 1)
		t := w.runnable[i]
		w.runnable[i], w.runnable[last] = w.runnable[last], nil
		w.runnable = w.runnable[:last]
		return t
	case PCT:
		for j, t := range w.runnable {
			if t.priority > w.runnable[i].priority {
				i = j
			}
		}
	}
	t := w.runnable[i]
	copy(w.runnable[i:], w.runnable[i+1:])
	w.runnable[last] = nil
	w.runnable = w.runnable[:last]
	return t
}

// After calls f, outside of any task, once d of true time has passed. It is
// for the world itself: faults, networks, devices. f must not park.
func (w *World) After(d time.Duration, f func()) *Timer {
	t := &simTimer{w: w, call: f}
	w.timers.push(t, int64(w.Now().Add(max(0, d))))
	return &Timer{sim: t}
}

// Parked lists the tasks that wait, as "node/task#id: what for", by node and id.
func (w *World) Parked() []string {
	var list []string
	for _, h := range w.order {
		for _, t := range h.node.byID() {
			if t.parked {
				list = append(list, fmt.Sprintf("%s: %s", t, t.why))
			}
		}
	}
	return list
}

// Close ends all tasks. No goroutine of the world is left afterwards.
func (w *World) Close() {
	if w.closed {
		return
	}
	w.cur = nil // a task that ended the goroutine of Run (t.FailNow) left it set
	for _, h := range w.order {
		h.node.kill()
	}
	w.clear()
	for _, t := range w.idle {
		t.stop()
	}
	w.idle, w.closed = nil, true
}
