package tcp

import (
	"container/heap"
	"fmt"
	"testing"
	"time"

	"github.com/statordb/stator/internal/transport"
)

// TestDelay: messages take at least as long as their delay, and keep their order, also when it becomes shorter
// while they are on their way.
func TestDelay(t *testing.T) {
	a, b := couple(t, Options{})
	reaches(t, a, b)
	const delay = 30 * time.Millisecond
	a.SetDelay(2, delay)
	began := time.Now()
	for lane := range transport.Lanes {
		for i := range 50 {
			a.Send(2, lane, fmt.Append(nil, i))
		}
	}
	a.SetDelay(2, time.Millisecond)
	for lane := range transport.Lanes {
		for i := range 50 {
			a.Send(2, lane, fmt.Append(nil, 50+i))
		}
	}
	a.SetDelay(2, 0)
	for lane := range transport.Lanes {
		for i := range 50 {
			a.Send(2, lane, fmt.Append(nil, 100+i))
		}
	}
	var next [transport.Lanes]int
	for range 150 * int(transport.Lanes) {
		m := b.receive(t)
		if took := time.Since(began); took < delay-early {
			t.Fatalf("%v arrives after %v", m, took)
		}
		if want := fmt.Sprint(next[m.lane]); m.text != want {
			t.Fatalf("lane %d: %s arrives where %s is due", m.lane, m.text, want)
		}
		next[m.lane]++
	}
	b.Send(1, transport.Call, []byte("the other direction"))
	if m := a.receive(t); m.text != "the other direction" {
		t.Errorf("got %v", m)
	}
}

// TestDelayBound: what is held back is bounded, and Close does not wait for it.
func TestDelayBound(t *testing.T) {
	o := Options{}
	o.LaneBytes[transport.Call] = 1000
	a, b := couple(t, o)
	reaches(t, a, b)
	a.SetDelay(2, time.Hour)
	for range 30 {
		a.Send(2, transport.Call, make([]byte, 100))
	}
	if got := a.Peers()[0]; got.Dropped != 20 || got.Delay != time.Hour {
		t.Errorf("%d of 30 messages are dropped where 10 fit, delay %v", got.Dropped, got.Delay)
	}
	a.Send(2, transport.Raft, []byte("another lane has a bound of its own"))
	if got := a.Peers()[0].Dropped; got != 20 {
		t.Errorf("%d messages are dropped", got)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	a.Send(2, transport.Raft, []byte("too late"))
}

// TestDelayHeap: messages leave in the order in which they are due, and of one time in that in which they came.
func TestDelayHeap(t *testing.T) {
	var l delayLine
	base := time.Now()
	n := uint64(0)
	for i := range 200 {
		n++
		heap.Push(&l.heap, heldMessage{due: base.Add(time.Duration(i*37%11) * time.Millisecond), number: n})
	}
	last := heap.Pop(&l.heap).(heldMessage)
	for range 199 {
		m := heap.Pop(&l.heap).(heldMessage)
		if (heldMessages{m, last}).Less(0, 1) {
			t.Fatalf("%v %d comes after %v %d", m.due.Sub(base), m.number, last.due.Sub(base), last.number)
		}
		last = m
	}
	if len(l.heap) != 0 {
		t.Errorf("%d are left", len(l.heap))
	}
}

// BenchmarkDelay has one message at a time go over a link of a millisecond: what is above that is how late it is.
func BenchmarkDelay(b *testing.B) {
	from, to := couple(b, Options{})
	for end := time.Now().Add(patience); from.Unreachable(2) && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	from.SetDelay(2, time.Millisecond)
	from.Send(2, transport.Raft, nil)
	to.receive(b)
	for b.Loop() {
		from.Send(2, transport.Raft, nil)
		to.receive(b)
	}
}
