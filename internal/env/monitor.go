package env

import (
	"sync"
	"time"
)

// A monitor is the lock inside one Future, Queue, Latch or Group, together
// with the way its users park. It is held for a few instructions only.
type monitor struct {
	e  *Env
	mu sync.Mutex // not used in a simulated world, where one task runs at a time
}

func (m *monitor) lock() {
	if m.e.sim != nil {
		m.e.sim.w.enter()
		return
	}
	m.mu.Lock()
}

func (m *monitor) unlock() {
	if m.e.sim == nil {
		m.mu.Unlock()
	}
}

// A waitList holds the tasks that wait for one condition, oldest first. It is
// guarded by the monitor of the thing that it belongs to.
type waitList struct {
	head, tail *waitEntry
}

// A waitEntry is a sleeper's place on one list.
type waitEntry struct {
	s          *sleeper
	list       *waitList // nil when not linked
	next, prev *waitEntry
}

// A sleeper is a task that waits, on one list or (WaitAny) on several. In
// production it comes from a pool; a simulated task has its own.
//
// Invariant: outside of a wait no entry is linked and c is empty, so a wake-up
// never reaches a later wait.
type sleeper struct {
	c       chan struct{} // production: one token once woken
	t       *task         // simulation
	entries []*waitEntry  // as many as lists were ever waited on at once
}

func (e *Env) takeSleeper() *sleeper {
	if e.sim != nil {
		return &e.sim.w.running("wait").own
	}
	if s, ok := e.sleepers.Get().(*sleeper); ok {
		return s
	}
	return &sleeper{c: make(chan struct{}, 1)}
}

func (e *Env) putSleeper(s *sleeper) {
	if e.sim == nil {
		e.sleepers.Put(s)
	}
}

// entry returns the i-th entry.
func (s *sleeper) entry(i int) *waitEntry {
	for len(s.entries) <= i {
		s.entries = append(s.entries, &waitEntry{s: s})
	}
	return s.entries[i]
}

func (s *sleeper) wake() {
	if s.t != nil {
		s.t.wake()
		return
	}
	select {
	case s.c <- struct{}{}:
	default: // already woken by another list
	}
}

// sleep parks until woken or, reporting true, until the instant until.
func (s *sleeper) sleep(e *Env, until Mono, why string) (timedOut bool) {
	if s.t != nil {
		return s.t.w.park(e.sim.worldTime(until), why)
	}
	if until == never {
		<-s.c
		return false
	}
	timer := time.NewTimer(until.Sub(e.Now()))
	defer timer.Stop()
	select {
	case <-s.c:
		return false
	case <-timer.C:
		return true
	}
}

func (l *waitList) add(n *waitEntry) {
	n.list, n.prev = l, l.tail
	if l.tail != nil {
		l.tail.next = n
	} else {
		l.head = n
	}
	l.tail = n
}

// unlink takes the entry off its list; it reports whether it was on one.
func (n *waitEntry) unlink() bool {
	l := n.list
	if l == nil {
		return false
	}
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		l.head = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		l.tail = n.prev
	}
	n.list, n.next, n.prev = nil, nil, nil
	return true
}

// wakeOne wakes the oldest sleeper; it reports whether there was one.
func (l *waitList) wakeOne() bool {
	n := l.head
	if n == nil {
		return false
	}
	n.unlink()
	n.s.wake()
	return true
}

func (l *waitList) wakeAll() {
	for l.wakeOne() {
	}
}

// wait parks the calling task on l with the monitor unlocked, as sync.Cond
// does, until it is woken or the time is until (reporting true). A task that
// was woken may still find its condition false, and one whose time is up may
// find it true: the caller looks again in both cases.
func (m *monitor) wait(l *waitList, until Mono, why string) (timedOut bool) {
	s := m.e.takeSleeper()
	n := s.entry(0)
	l.add(n)
	m.unlock()
	timedOut = s.sleep(m.e, until, why)
	m.lock()
	if !n.unlink() && timedOut && s.t == nil {
		<-s.c // woken in the same moment
	}
	m.e.putSleeper(s)
	return timedOut
}
