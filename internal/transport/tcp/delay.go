package tcp

import (
	"container/heap"
	"sync"
	"time"

	"github.com/statordb/stator/internal/transport"
)

// A delayLine holds back what is sent to peers that have a delay, as if they were
// further away. Nobody waits for that: who sends leaves the message and the time at which it
// is due, and one goroutine, which an alarm wakes, sends what is due.
//
// Messages of a lane to a peer keep their order, also when the delay becomes shorter meanwhile: none
// is due before the one in front of it. What is held back counts against a bound of its own, as
// large as that of the lane (Options.LaneBytes); what exceeds it is dropped, as when a connection is too slow.
// Signs of life and greetings are not held back.
//
// The zero delayLine is ready, and costs nothing until the first message comes.
type delayLine struct {
	mu     sync.Mutex
	heap   heldMessages
	number uint64 // of the next message
	alarm  alarm  // set to the first; nil until there was one
	closed bool
}

// A heldMessage waits to be sent.
type heldMessage struct {
	due     time.Time
	number  uint64
	to      *sender
	message []byte
}

// early is how much too early a message may leave with those that are due: waking up once more costs
// more than that.
const early = 20 * time.Microsecond

// An alarm wakes one goroutine. set may be called by any other one, also while that waits.
type alarm interface {
	set(d time.Duration) // and forget what was set before
	wait() bool          // until the time has come; false: it was closed
	close()
}

// SetDelay has what is sent to a node from now on leave so much later; 0: at once. It is for demonstrations
// and measurements on one machine: the delay of a distance, in one direction.
func (t *Transport) SetDelay(id transport.NodeID, d time.Duration) {
	if p := t.peer(id); p != nil && id != t.o.Self {
		p.delay.Store(int64(max(0, d)))
	}
}

// hold keeps a message for as long as the delay of its peer. It reports false if there is too much already.
func (l *delayLine) hold(s *sender, message []byte) bool {
	due := time.Now().Add(time.Duration(s.peer.delay.Load()))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || s.heldBytes > 0 && s.heldBytes+len(message) > s.limit {
		return false
	}
	if due.Before(s.heldUntil) {
		due = s.heldUntil
	}
	if s.heldUntil = due; l.alarm == nil {
		l.alarm = newAlarm()
		s.peer.t.tasks.Go(l.run)
	}
	s.held.Add(1)
	s.heldBytes += len(message)
	l.number++
	heap.Push(&l.heap, heldMessage{due, l.number, s, message})
	if l.heap[0].number == l.number {
		l.alarm.set(time.Until(due))
	}
	return true
}

// run sends what is due, until the line is closed.
func (l *delayLine) run() {
	for l.alarm.wait() {
		for l.next() {
		}
	}
}

// next sends one message, if one is due; else it sets the alarm.
func (l *delayLine) next() bool {
	l.mu.Lock()
	if l.closed || len(l.heap) == 0 {
		l.mu.Unlock()
		return false
	}
	if left := time.Until(l.heap[0].due); left > early {
		l.alarm.set(left)
		l.mu.Unlock()
		return false
	}
	m := heap.Pop(&l.heap).(heldMessage)
	m.to.heldBytes -= len(m.message)
	l.mu.Unlock()
	m.to.pass(m.message)
	m.to.held.Add(-1) // from now on others need not stand behind it
	return true
}

// close drops what is held back.
func (l *delayLine) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed, l.heap = true, nil
	if l.alarm != nil {
		l.alarm.close()
	}
}

// heldMessages is a heap (container/heap): what is due first comes first.
type heldMessages []heldMessage

func (h heldMessages) Len() int      { return len(h) }
func (h heldMessages) Swap(i, k int) { h[i], h[k] = h[k], h[i] }
func (h heldMessages) Less(i, k int) bool {
	if h[i].due.Equal(h[k].due) {
		return h[i].number < h[k].number
	}
	return h[i].due.Before(h[k].due)
}

func (h *heldMessages) Push(m any) { *h = append(*h, m.(heldMessage)) }

func (h *heldMessages) Pop() any {
	last := len(*h) - 1
	m := (*h)[last]
	(*h)[last] = heldMessage{}
	*h = (*h)[:last]
	return m
}

// A timerAlarm is an alarm of the runtime, which may be late by a millisecond.
type timerAlarm struct {
	timer *time.Timer
	done  chan struct{}
}

func newTimerAlarm() *timerAlarm {
	return &timerAlarm{timer: time.NewTimer(time.Hour), done: make(chan struct{})}
}

func (a *timerAlarm) set(d time.Duration) { a.timer.Reset(max(0, d)) }

func (a *timerAlarm) wait() bool {
	select {
	case <-a.timer.C:
		return true
	case <-a.done:
		return false
	}
}

func (a *timerAlarm) close() { close(a.done) }
