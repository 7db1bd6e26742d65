package env

import "time"

// A Future is a value that one task sets and any number of tasks await.
type Future[T any] struct {
	m       monitor
	waiting waitList
	set     bool
	val     T
	err     error
}

// NewFuture returns an unset future of e's world.
func NewFuture[T any](e *Env) *Future[T] {
	return &Future[T]{m: monitor{e: e}}
}

// Set resolves the future; the first call wins and reports true.
func (f *Future[T]) Set(v T, err error) bool {
	f.m.lock()
	defer f.m.unlock()
	if f.set {
		return false
	}
	f.set, f.val, f.err = true, v, err
	f.waiting.wakeAll()
	return true
}

// Ready reports whether the future is set, so that Await would not park.
func (f *Future[T]) Ready() bool {
	f.m.lock()
	defer f.m.unlock()
	return f.set
}

// Await parks until the future is set and returns what it was set to.
func (f *Future[T]) Await() (T, error) {
	f.m.lock()
	defer f.m.unlock()
	for !f.set {
		f.m.wait(&f.waiting, never, "future")
	}
	return f.val, f.err
}

// AwaitFor is Await with a limit; ok is false when d passed first.
func (f *Future[T]) AwaitFor(d time.Duration) (v T, err error, ok bool) {
	f.m.lock()
	defer f.m.unlock()
	if !f.set {
		until := f.m.e.Now().Add(d)
		for !f.set && !f.m.wait(&f.waiting, until, "future") {
		}
	}
	return f.val, f.err, f.set
}

func (f *Future[T]) source() (*monitor, *waitList) { return &f.m, &f.waiting }
func (f *Future[T]) readyLocked() bool             { return f.set }
