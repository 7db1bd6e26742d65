package env

import "time"

// A Queue is a bounded first-in first-out channel between tasks.
//
// Any number of tasks may send and receive. After Close, sends are refused and
// receivers drain what is left.
type Queue[T any] struct {
	m                  monitor
	receivers, senders waitList
	ring               []T // grows up to limit
	head, n            int // the oldest item; how many
	limit              int
	closed             bool
}

// NewQueue returns a queue that holds up to n items (n ≥ 1). Memory is taken
// as items arrive.
func NewQueue[T any](e *Env, n int) *Queue[T] {
	if n < 1 {
		panic("env: queue without room")
	}
	return &Queue[T]{m: monitor{e: e}, limit: n}
}

// Send adds v, parking while the queue is full. It reports false if the queue
// is closed; v was then not added.
func (q *Queue[T]) Send(v T) bool {
	q.m.lock()
	defer q.m.unlock()
	for q.n == q.limit && !q.closed {
		q.m.wait(&q.senders, never, "queue send")
	}
	return q.pushLocked(v)
}

// TrySend adds v if there is room and the queue is open.
func (q *Queue[T]) TrySend(v T) bool {
	q.m.lock()
	defer q.m.unlock()
	return q.n < q.limit && q.pushLocked(v)
}

func (q *Queue[T]) pushLocked(v T) bool {
	if q.closed {
		return false
	}
	if q.n == len(q.ring) {
		q.growLocked()
	}
	q.ring[(q.head+q.n)%len(q.ring)] = v
	q.n++
	q.receivers.wakeOne()
	return true
}

func (q *Queue[T]) growLocked() {
	ring := make([]T, min(q.limit, max(8, 2*len(q.ring))))
	k := copy(ring, q.ring[q.head:])
	copy(ring[k:], q.ring[:q.head])
	q.ring, q.head = ring, 0
}

// Recv takes the oldest item, parking while there is none. ok is false once
// the queue is closed and empty.
func (q *Queue[T]) Recv() (v T, ok bool) {
	q.m.lock()
	defer q.m.unlock()
	for q.n == 0 && !q.closed {
		q.m.wait(&q.receivers, never, "queue recv")
	}
	return q.popLocked()
}

// RecvFor is Recv with a limit. ok is false when d passed or the queue is
// closed and empty; Closed tells which.
func (q *Queue[T]) RecvFor(d time.Duration) (v T, ok bool) {
	q.m.lock()
	defer q.m.unlock()
	if q.n == 0 && !q.closed {
		until := q.m.e.Now().Add(d)
		for q.n == 0 && !q.closed && !q.m.wait(&q.receivers, until, "queue recv") {
		}
	}
	return q.popLocked()
}

// TryRecv takes the oldest item if there is one.
func (q *Queue[T]) TryRecv() (v T, ok bool) {
	q.m.lock()
	defer q.m.unlock()
	return q.popLocked()
}

func (q *Queue[T]) popLocked() (v T, ok bool) {
	if q.n == 0 {
		return v, false
	}
	var zero T
	v, q.ring[q.head] = q.ring[q.head], zero
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	q.senders.wakeOne()
	return v, true
}

// Len returns how many items wait.
func (q *Queue[T]) Len() int {
	q.m.lock()
	defer q.m.unlock()
	return q.n
}

// Close refuses further sends. It may be called more than once.
func (q *Queue[T]) Close() {
	q.m.lock()
	defer q.m.unlock()
	q.closed = true
	q.receivers.wakeAll()
	q.senders.wakeAll()
}

// Closed reports whether Close was called.
func (q *Queue[T]) Closed() bool {
	q.m.lock()
	defer q.m.unlock()
	return q.closed
}

func (q *Queue[T]) source() (*monitor, *waitList) { return &q.m, &q.receivers }
func (q *Queue[T]) readyLocked() bool             { return q.n > 0 || q.closed }
