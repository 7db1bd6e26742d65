package env

import "sync"

// A Latch is mutual exclusion that may be held over a wait or an I/O call.
// Use it for long logical sections; guard memory with a Leaf.
type Latch struct {
	sim *simLatch // nil in production
	ch  chan struct{}
}

// NewLatch returns an unlocked latch.
func NewLatch(e *Env) *Latch {
	if e.sim != nil {
		return &Latch{sim: e.sim.latch()}
	}
	return &Latch{ch: make(chan struct{}, 1)}
}

// Lock parks until the latch is free and takes it.
func (l *Latch) Lock() {
	if l.sim != nil {
		l.sim.lock()
		return
	}
	l.ch <- struct{}{}
}

// TryLock takes the latch if it is free.
func (l *Latch) TryLock() bool {
	if l.sim != nil {
		return l.sim.tryLock()
	}
	select {
	case l.ch <- struct{}{}:
		return true
	default:
		return false
	}
}

// Unlock frees the latch.
func (l *Latch) Unlock() {
	if l.sim != nil {
		l.sim.unlock()
		return
	}
	<-l.ch
}

// A Leaf is a sync.Mutex that guards memory for a few instructions. It is
// never held over a wait or an I/O call: in a simulated world a task that
// parks while holding one panics. The zero Leaf is an unlocked plain mutex;
// Bind ties it to a world so that the rule is checked.
type Leaf struct {
	mu  sync.Mutex
	sim *simNode
}

// Bind ties the leaf to e's world. Call it before first use.
func (l *Leaf) Bind(e *Env) { l.sim = e.sim }

// Lock takes the leaf.
func (l *Leaf) Lock() {
	if l.sim != nil {
		l.sim.lockLeaf(l)
		return
	}
	l.mu.Lock()
}

// Unlock frees the leaf.
func (l *Leaf) Unlock() {
	if l.sim != nil {
		l.sim.unlockLeaf(l)
		return
	}
	l.mu.Unlock()
}
