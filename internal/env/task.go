package env

import (
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
)

// A task is a coroutine of a simulated node: an iter.Pull whose sequence
// yields whenever the task parks. A finished task's coroutine takes the next
// task that is started.
//
// Only the scheduler calls next, so exactly one task runs at a time.
type task struct {
	w     *World
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool

	// The task at hand.
	id       uint64
	name     string
	node     *simNode
	slot     int // place in node.tasks
	f        func()
	priority int64 // PCT

	started bool   // f was called
	parked  bool   // waits for wake
	why     string // what it waits for
	killed  bool   // its node crashed: the next runtime call panics
	gone    bool   // the coroutine has ended (runtime.Goexit)
	leaves  int    // leaves held
	alarm   simTimer
	own     sleeper
}

// errKilled unwinds a task of a crashed node. Only task.run recovers it.
var errKilled = errors.New("env: node crashed (recover must pass on what it does not know)")

func (t *task) String() string { return fmt.Sprintf("%s/%s#%d", t.node.host.name, t.name, t.id) }

// spawn starts a task of n. It becomes runnable; the caller goes on.
func (n *simNode) spawn(name string, f func()) *task {
	w := n.w
	w.enter()
	if n.dead {
		panic(fmt.Sprintf("env: task %s started on node %s, which is down", name, n.host.name))
	}
	t := w.coroutine()
	w.taskSeq++
	t.id, t.name, t.node, t.f = w.taskSeq, name, n, f
	t.started, t.killed, t.leaves = false, false, 0
	if w.opt.Policy == PCT {
		t.priority = int64(w.chance.Uint64() >> 1)
	}
	t.slot = len(n.tasks)
	n.tasks = append(n.tasks, t)
	w.trace.start(t)
	t.ready()
	return t
}

// coroutine returns one that has nothing to do.
func (w *World) coroutine() *task {
	if n := len(w.idle); n > 0 {
		t := w.idle[n-1]
		w.idle = w.idle[:n-1]
		return t
	}
	t := &task{w: w}
	t.own.t = t
	t.alarm = simTimer{w: w, task: t}
	t.next, t.stop = iter.Pull(t.loop)
	return t
}

func (t *task) loop(yield func(struct{}) bool) {
	t.yield = yield
	for {
		t.run()
		t.retire()
		if !yield(struct{}{}) {
			return
		}
	}
}

// run calls the task's function and keeps a panic, with the stack it came
// from. What a killed task panics with no longer matters to anyone.
func (t *task) run() {
	t.started = true
	returned := false
	defer func() {
		if returned {
			return
		}
		t.gone = true // unless recovered
		r := recover()
		switch {
		case t.killed:
		case r == nil:
			t.w.fail(t, "ended by runtime.Goexit (FailNow outside of the test's goroutine?)", debug.Stack())
			return
		default:
			t.w.fail(t, r, debug.Stack())
		}
		t.gone = r == nil
	}()
	t.f()
	returned = true
}

// retire hands the coroutine back.
func (t *task) retire() {
	n := t.node
	last := n.tasks[len(n.tasks)-1]
	n.tasks[t.slot], last.slot = last, t.slot
	n.tasks = n.tasks[:len(n.tasks)-1]
	t.f, t.id, t.parked = nil, 0, false
	t.w.idle = append(t.w.idle, t)
}

// resume runs t until it parks or ends.
func (w *World) resume(t *task) {
	w.count(t)
	w.cur = t
	t.next()
	w.cur = nil
}

// count begins a step of t.
func (w *World) count(t *task) {
	w.step++
	w.clock += max(0, int64(w.opt.StepCost))
	if len(w.changes) > 0 && w.changes[w.step] {
		t.drop()
	}
	w.trace.step(w.step, w.clock, t)
	w.pulse.Store(w.step)
}

// goesOn reports whether the scheduler, if t gave way to it now, would do nothing but
// resume t: at once or, if sleeping is set, when t's alarm goes off, which is set. It
// then has begun that step, and t need not give way: two switches of coroutines
// are most of what a step costs.
func (w *World) goesOn(t *task, sleeping bool) bool {
	if len(w.runnable)+len(w.crashed) > 0 || w.failure != nil || w.clock > w.until || t.node.paused() {
		return false
	}
	heap := w.timers.heap
	if !sleeping {
		if len(heap) > 0 && heap[0].at <= w.clock {
			return false
		}
		w.count(t)
		return true
	}
	at := t.alarm.at
	if heap[0] != &t.alarm || at > w.until || len(heap) > 1 && heap[1].at <= max(at, w.clock) || len(heap) > 2 && heap[2].at <= max(at, w.clock) {
		return false
	}
	w.timers.pop()
	t.alarm.fired = true
	w.clock = max(w.clock, at)
	w.count(t)
	return true
}

// enter begins every runtime call. It returns the running task, nil outside of
// tasks, and unwinds a task whose node has crashed.
func (w *World) enter() *task {
	t := w.cur
	if t != nil && t.killed {
		panic(errKilled)
	}
	return t
}

// running is enter for calls that may park.
func (w *World) running(why string) *task {
	t := w.enter()
	if t == nil {
		panic("env: " + why + " outside of the tasks of a simulated world")
	}
	return t
}

// park lets others run until the task is woken or, reporting true, the true
// time is until.
func (w *World) park(until int64, why string) (timedOut bool) {
	t := w.running(why)
	t.mayPark()
	if until != int64(never) {
		w.timers.push(&t.alarm, until)
		if w.goesOn(t, true) {
			return true
		}
	}
	t.parked, t.why = true, why
	t.yield(struct{}{})
	w.enter()
	return t.alarm.fired
}

// yield lets others run; the task stays runnable.
func (w *World) yield() {
	t := w.enter()
	if t == nil {
		return
	}
	t.mayPark()
	t.drop()
	if w.goesOn(t, false) {
		return
	}
	t.ready()
	t.yield(struct{}{})
	w.enter()
}

func (t *task) mayPark() {
	if t.leaves > 0 {
		panic("env: task parks while it holds a leaf")
	}
	t.alarm.fired = false
}

// wake makes a parked task runnable.
func (t *task) wake() {
	if t.parked {
		t.w.timers.remove(&t.alarm)
		t.ready()
	}
}

// ready adds t to those that can run.
func (t *task) ready() {
	t.parked = false
	if t.node.paused() {
		t.node.held = append(t.node.held, t)
	} else {
		t.w.runnable = append(t.w.runnable, t)
	}
}

// drop gives t the lowest priority (PCT).
func (t *task) drop() {
	t.w.lowest--
	t.priority = t.w.lowest
}

// unwind ends a task of a crashed node: it is resumed once, and the call that
// it parked in panics. A task that never ran is dropped.
func (t *task) unwind() {
	t.w.timers.remove(&t.alarm)
	for _, n := range t.own.entries {
		n.unlink()
	}
	if t.gone {
		return
	}
	if !t.started {
		t.retire()
		return
	}
	t.w.cur = t
	t.next()
	t.w.cur = nil
}
