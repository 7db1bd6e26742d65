package env

import "time"

// A Waiter is something that WaitAny can wait for: a Future (ready once set)
// or a Queue (ready while it has items, and once closed).
type Waiter interface {
	source() (*monitor, *waitList)
	readyLocked() bool
}

// WaitAny parks until one of ws is ready and returns its number; of several
// the lowest. It takes nothing from a queue, so another task may be faster:
// follow up with TryRecv.
func WaitAny(e *Env, ws ...Waiter) int { return waitAny(e, never, ws) }

// WaitAnyFor is WaitAny with a limit; it returns -1 when d passed first.
func WaitAnyFor(e *Env, d time.Duration, ws ...Waiter) int {
	return waitAny(e, e.Now().Add(d), ws)
}

func waitAny(e *Env, until Mono, ws []Waiter) int {
	for {
		if i := firstReady(ws); i >= 0 {
			return i
		}
		s := e.takeSleeper()
		timedOut := false
		if !enlist(s, ws) {
			timedOut = s.sleep(e, until, "any")
		}
		withdraw(s, ws)
		e.putSleeper(s)
		if timedOut {
			return firstReady(ws)
		}
	}
}

func firstReady(ws []Waiter) int {
	for i, w := range ws {
		if isReady(w) {
			return i
		}
	}
	return -1
}

func isReady(w Waiter) bool {
	m, _ := w.source()
	m.lock()
	defer m.unlock()
	return w.readyLocked()
}

// enlist puts s on the list of every waiter, until one turns out to be ready.
func enlist(s *sleeper, ws []Waiter) (ready bool) {
	for i, w := range ws {
		m, l := w.source()
		m.lock()
		if ready = w.readyLocked(); !ready {
			l.add(s.entry(i))
		}
		m.unlock()
		if ready {
			return true
		}
	}
	return false
}

// withdraw takes s off all lists. A wake-up meant for one receiver may have
// ended here although we go on to take something else, so it is passed on.
func withdraw(s *sleeper, ws []Waiter) {
	for i, w := range ws {
		m, l := w.source()
		m.lock()
		if i < len(s.entries) && !s.entries[i].unlink() && w.readyLocked() {
			l.wakeOne()
		}
		m.unlock()
	}
	if s.t == nil {
		select {
		case <-s.c:
		default:
		}
	}
}
