package drive

import (
	"runtime"
	"time"
)

// A Distant target answers from other processes.
type Distant interface{ Distant() bool }

// Threads reports whether each worker is to have a thread of its own, if the target is Distant, and its sessions wait in system calls that block.
//
// Then the kernel alone decides who runs, as with a program in C, and a worker sees an answer as soon as its thread
// wakes. That is so where few wait at a time: in an open loop, and in a closed one of a few workers. Of many threads that are all ready the kernel would serve
// some again and again and let the others wait; there the runtime's sockets are fairer.
func (w *Workload) Threads() bool {
	return w.Pace.Rate > 0 || w.Pace.Peak != nil || w.Pace.Speed > 0 || w.Workers <= 2*runtime.NumCPU()
}

func threads(w *Workload, t Target) bool {
	d, ok := t.(Distant)
	return ok && d.Distant() && w.Threads()
}

// spread gives the runtime processors for so many threads, and returns what takes them away again: a
// system call that it is not told of keeps one.
func spread(threads int) (back func()) {
	before := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(max(before, threads+runtime.NumCPU()))
	return func() { runtime.GOMAXPROCS(before) }
}

// A waiter is how a worker of an open loop waits until its next operation is due: asleep, and then, since a sleep ends
// late, watching the clock.
//
// How late depends on the machine: 5 µs where a processor is busy, 100 where a virtual one has halted meanwhile. Whoever watches takes a processor away, so
// the waiter learns from each sleep, and watches for as long as nine out of ten were late.
type waiter struct {
	threads bool
	margin  time.Duration
	most    time.Duration // that margin may be
}

// Bounds of the margin, and how far it grows after a sleep that ended later than it; after another one it shrinks by a ninth of that.
const (
	minMargin = 5 * time.Microsecond
	maxMargin = 250 * time.Microsecond
	learning  = 9 * time.Microsecond
)

// watching is the share of one processor that workers with threads may spend on watching the clock, all together, since what they take is not the server's.
// On two processors at 5,000 and 10,000 a second half of one came closest to a program in C; with a tenth operations were 30 to 50 µs late.
const watching = 0.5

// coarse is how long before an operation is due a worker leaves sleeps that end late: those of the runtime, by up to 1 ms, and those that
// it is told of.
const coarse = 2 * time.Millisecond

func newWaiter(threads bool, rate float64) *waiter {
	w := &waiter{threads: threads, most: maxMargin}
	if threads && rate > 0 {
		w.most = max(minMargin, min(maxMargin, time.Duration(watching/rate*float64(time.Second))))
	}
	w.margin = w.most / 2
	return w
}

// until waits until the time and returns when it is.
func (w *waiter) until(c *clock, due int64) int64 {
	for now := c.now(); ; now = c.now() {
		switch left := time.Duration(due - now); {
		case left <= 0:
			return now
		case left <= w.margin:
		case left > 2*coarse && w.threads:
			nap(left - coarse)
		case left > coarse && !w.threads:
			time.Sleep(left - coarse)
		case w.threads:
			shortNap(left - w.margin)
			w.learn(time.Duration(c.now()-due) + w.margin)
		default:
			nap(left - w.margin)
			w.learn(time.Duration(c.now()-due) + w.margin)
		}
	}
}

// learn moves the margin to where a tenth of sleeps end later. One that was cut short says nothing.
func (w *waiter) learn(late time.Duration) {
	switch {
	case late < 0:
	case late > w.margin:
		w.margin = min(w.margin+learning, w.most)
	default:
		w.margin = max(w.margin-learning/9, minMargin)
	}
}
