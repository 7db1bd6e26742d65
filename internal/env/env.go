package env

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
)

// Mono is a monotonic instant: nanoseconds since its Env began.
type Mono int64

// never is the deadline of a wait without a limit.
const never Mono = math.MaxInt64

// Sub returns m-n.
func (m Mono) Sub(n Mono) time.Duration { return time.Duration(m - n) }

// Add returns m+d, or the last instant there is if that overflows.
func (m Mono) Add(d time.Duration) Mono {
	if d > 0 && m > never-Mono(d) {
		return never
	}
	return m + Mono(d)
}

// Time is a wall-clock instant: nanoseconds since the Unix epoch.
type Time int64

// UnixMilli returns t in milliseconds since the Unix epoch.
func (t Time) UnixMilli() int64 { return int64(t) / 1e6 }

// Bound is the claimed uncertainty of a wall-clock reading: the true time lies
// within ±Bound of it, unless the clock is broken.
type Bound = time.Duration

// wallBound is claimed for hosts that run an ordinary NTP client.
const wallBound = 250 * time.Millisecond

// An Env is one node's clock, tasks and chance.
//
// It is a concrete type on purpose: in production sim is nil and every method
// costs one predictable branch more than the thing it wraps; an interface
// doubled the cost of the hot primitives when measured.
//
// An Env is safe for concurrent use.
type Env struct {
	sim      *simNode // nil in production
	start    time.Time
	sleepers sync.Pool // production: parked tasks' channels for reuse; per Env for testing/synctest
}

// New returns an Env of the real world.
func New() *Env { return &Env{start: time.Now()} }

// Up reports, in a simulated world, whether the host that e's node is of has not crashed since
// it was started last.
func (e *Env) Up() bool { return !e.sim.host.node.dead }

// Paused reports, in a simulated world, whether that host is up and paused.
func (e *Env) Paused() bool { return e.sim.host.isPause && e.Up() }

// Simulated reports whether e belongs to a simulated world.
func (e *Env) Simulated() bool { return e.sim != nil }

// Now returns the monotonic time since e began.
func (e *Env) Now() Mono {
	if e.sim != nil {
		return e.sim.now()
	}
	return Mono(time.Since(e.start))
}

// TrueTime returns, in a simulated world, the first moment of its true time, from now on, at
// which the node's clock shows m, if that goes on at its present rate. The node's life may be
// over.
func (e *Env) TrueTime(m Mono) Mono { return Mono(e.sim.worldTime(m)) }

// Wall returns the wall clock and its claimed uncertainty.
func (e *Env) Wall() (Time, Bound) {
	if e.sim != nil {
		return e.sim.wall()
	}
	return Time(time.Now().UnixNano()), wallBound
}

// Sleep parks the calling task for d.
func (e *Env) Sleep(d time.Duration) {
	if e.sim != nil {
		e.sim.sleep(d)
		return
	}
	time.Sleep(d)
}

// Go starts f as a task of this node. The name appears in traces and panics.
// Whoever starts a task owns it: it must be able to stop it and must wait for
// it (see Group).
func (e *Env) Go(name string, f func()) {
	if e.sim != nil {
		e.sim.spawn(name, f)
		return
	}
	go f()
}

// After runs f as a new task once d has passed, unless the timer is stopped.
func (e *Env) After(d time.Duration, f func()) *Timer {
	if e.sim != nil {
		return &Timer{sim: e.sim.after(d, f)}
	}
	return &Timer{real: time.AfterFunc(d, f)}
}

// A Timer is a pending call of Env.After.
type Timer struct {
	real *time.Timer
	sim  *simTimer
}

// Stop cancels the call; it reports whether the call had not started yet.
func (t *Timer) Stop() bool {
	if t.sim != nil {
		return t.sim.stop()
	}
	return t.real.Stop()
}

// Rand returns a uniformly random number from this node's stream.
func (e *Env) Rand() uint64 {
	if e.sim != nil {
		return e.sim.rand()
	}
	return rand.Uint64()
}

// Yield lets other tasks that can run do so first.
func (e *Env) Yield() {
	if e.sim != nil {
		e.sim.w.yield()
		return
	}
	runtime.Gosched()
}

// A Point names a place where rare but legal behaviour can be provoked.
type Point string

// Buggify reports whether the rare path at p should be taken: never in
// production; in the simulator a quarter of the points is active per seed, and
// an active one fires a quarter of the time.
func (e *Env) Buggify(p Point) bool {
	return e.sim != nil && e.sim.w.buggify(p)
}

// A Mark names a rare state worth reaching in tests.
type Mark string

// Sometimes records that the rare state m was reached. Free in production.
func (e *Env) Sometimes(m Mark) {
	if e.sim != nil {
		e.sim.w.sometimes(m)
	}
}

// Trace adds a line to the trace of a simulated world, and so to its hash. It
// does nothing in production, but its arguments are still evaluated: keep it
// off hot paths. Print no pointers.
func (e *Env) Trace(format string, args ...any) {
	if e.sim != nil {
		e.sim.w.Note(e.sim.host.name+": "+format, args...)
	}
}
