package env

import (
	"sync"
	"time"
)

// A Queue is a bounded first-in first-out channel between tasks.
//
// Any number of tasks may send and receive. After Close, sends are refused and
// receivers drain what is left.
type Queue[T any] struct {
	sim *simQueue[T] // nil in production

	ch     chan T
	closed chan struct{}
	once   sync.Once
}

// NewQueue returns a queue that holds up to n items (n ≥ 1).
func NewQueue[T any](e *Env, n int) *Queue[T] {
	if e.sim != nil {
		return &Queue[T]{sim: newSimQueue[T](e.sim, n)}
	}
	return &Queue[T]{ch: make(chan T, n), closed: make(chan struct{})}
}

// Send adds v, parking while the queue is full. It reports false if the queue
// is closed; v was then not added.
func (q *Queue[T]) Send(v T) bool {
	if q.sim != nil {
		return q.sim.send(v)
	}
	select {
	case <-q.closed:
		return false
	default:
	}
	select {
	case q.ch <- v:
		return true
	case <-q.closed:
		return false
	}
}

// TrySend adds v if there is room and the queue is open.
func (q *Queue[T]) TrySend(v T) bool {
	if q.sim != nil {
		return q.sim.trySend(v)
	}
	select {
	case <-q.closed:
		return false
	default:
	}
	select {
	case q.ch <- v:
		return true
	default:
		return false
	}
}

// Recv takes the oldest item, parking while there is none. ok is false once
// the queue is closed and empty.
//
// A Send that races with Close may succeed after a receiver saw ok == false;
// owners close a queue only after its senders have stopped, or drain it with
// TryRecv when they finish.
func (q *Queue[T]) Recv() (v T, ok bool) {
	if q.sim != nil {
		return q.sim.recv()
	}
	select {
	case v = <-q.ch:
		return v, true
	default:
	}
	select {
	case v = <-q.ch:
		return v, true
	case <-q.closed:
		return q.TryRecv()
	}
}

// TryRecv takes the oldest item if there is one.
func (q *Queue[T]) TryRecv() (v T, ok bool) {
	if q.sim != nil {
		return q.sim.tryRecv()
	}
	select {
	case v = <-q.ch:
		return v, true
	default:
		return v, false
	}
}

// RecvFor is Recv with a limit. ok is false when d passed or the queue is
// closed and empty; Closed tells which.
func (q *Queue[T]) RecvFor(d time.Duration) (v T, ok bool) {
	if q.sim != nil {
		return q.sim.recvFor(d)
	}
	if v, ok = q.TryRecv(); ok {
		return v, ok
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case v = <-q.ch:
		return v, true
	case <-q.closed:
		return q.TryRecv()
	case <-t.C:
		return v, false
	}
}

// Len returns how many items wait.
func (q *Queue[T]) Len() int {
	if q.sim != nil {
		return q.sim.len()
	}
	return len(q.ch)
}

// Close refuses further sends. It may be called more than once.
func (q *Queue[T]) Close() {
	if q.sim != nil {
		q.sim.close()
		return
	}
	q.once.Do(func() { close(q.closed) })
}

// Closed reports whether Close was called.
func (q *Queue[T]) Closed() bool {
	if q.sim != nil {
		return q.sim.isClosed()
	}
	select {
	case <-q.closed:
		return true
	default:
		return false
	}
}
