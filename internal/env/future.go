package env

import (
	"sync"
	"time"
)

// A Future is a value that one task sets and any number of tasks await.
type Future[T any] struct {
	sim  *simWaiters // nil in production
	once sync.Once
	done chan struct{}
	val  T
	err  error
}

// NewFuture returns an unset future of e's world.
func NewFuture[T any](e *Env) *Future[T] {
	if e.sim != nil {
		return &Future[T]{sim: e.sim.waiters()}
	}
	return &Future[T]{done: make(chan struct{})}
}

// Set resolves the future; the first call wins and reports true.
func (f *Future[T]) Set(v T, err error) bool {
	if f.sim != nil {
		return f.sim.set(func() { f.val, f.err = v, err })
	}
	won := false
	f.once.Do(func() {
		f.val, f.err = v, err
		close(f.done)
		won = true
	})
	return won
}

// Await parks until the future is set and returns what it was set to.
func (f *Future[T]) Await() (T, error) {
	if f.sim != nil {
		f.sim.await()
	} else {
		<-f.done
	}
	return f.val, f.err
}

// AwaitFor is Await with a limit; ok is false when d passed first.
func (f *Future[T]) AwaitFor(d time.Duration) (v T, err error, ok bool) {
	if f.sim != nil {
		if !f.sim.awaitFor(d) {
			return v, nil, false
		}
		return f.val, f.err, true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-f.done:
		return f.val, f.err, true
	case <-t.C:
		return v, nil, false
	}
}
