package env

import "sync"

// A Leaf is a sync.Mutex that guards memory for a few instructions. It is
// never held over a wait or an I/O call, and is unlocked by the task that
// locked it.
//
// In a simulated world a task that parks while holding one panics, and taking
// one sometimes lets other tasks run first. The zero Leaf is an unlocked plain
// mutex; Bind ties it to a world so that this happens.
type Leaf struct {
	mu  sync.Mutex
	sim *simLeaf
}

// simLeaf is what a leaf is in a simulated world.
type simLeaf struct {
	w    *World
	held bool
}

// Bind ties the leaf to e's world. Call it before first use.
func (l *Leaf) Bind(e *Env) {
	if e.sim != nil {
		l.sim = &simLeaf{w: e.sim.w}
	}
}

// Lock takes the leaf.
func (l *Leaf) Lock() {
	if l.sim != nil {
		l.sim.lock()
		return
	}
	l.mu.Lock()
}

// Unlock frees the leaf.
func (l *Leaf) Unlock() {
	if l.sim != nil {
		l.sim.unlock()
		return
	}
	l.mu.Unlock()
}

func (l *simLeaf) lock() {
	t := l.w.enter()
	if t != nil && t.leaves == 0 && l.w.leafYields() {
		l.w.yield()
	}
	if l.held {
		panic("env: leaf taken twice by one task")
	}
	l.held = true
	if t != nil {
		t.leaves++
	}
}

func (l *simLeaf) unlock() {
	t := l.w.cur
	if t != nil && t.killed {
		return // a deferred unlock of a dead node
	}
	if !l.held {
		panic("env: unlock of an unlocked leaf")
	}
	l.held = false
	if t != nil {
		t.leaves--
	}
}
