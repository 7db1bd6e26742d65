package env

// A Latch is mutual exclusion that may be held over a wait or an I/O call.
// Use it for long logical sections; guard memory with a Leaf.
//
// It is handed to the task that has waited longest.
type Latch struct {
	m       monitor
	waiting waitList
	held    bool
}

// NewLatch returns an unlocked latch.
func NewLatch(e *Env) *Latch { return &Latch{m: monitor{e: e}} }

// Lock parks until the latch is free and takes it.
func (l *Latch) Lock() {
	l.m.lock()
	defer l.m.unlock()
	if !l.held {
		l.held = true
		return
	}
	l.m.wait(&l.waiting, never, "latch") // Unlock leaves it held for us
}

// TryLock takes the latch if it is free.
func (l *Latch) TryLock() bool {
	l.m.lock()
	defer l.m.unlock()
	if l.held {
		return false
	}
	l.held = true
	return true
}

// Unlock frees the latch, which may have been taken by another task.
func (l *Latch) Unlock() {
	l.m.lock()
	defer l.m.unlock()
	if !l.held {
		panic("env: unlock of an unlocked latch")
	}
	l.held = l.waiting.wakeOne()
}
