package tcp

import (
	"bytes"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statordb/stator/internal/transport"
)

// A reader that stops has the socket fill up in the middle of a frame that a task
// writes by itself; the goroutine then writes the rest. Nothing is lost or mixed,
// and the order of each task's messages stays.
func TestDirectWritesMeetAFullSocket(t *testing.T) {
	a, b := couple(t, Options{LaneBytes: [transport.Lanes]int{transport.Raft: 64 << 20}})
	reaches(t, a, b)
	const writers, each, size = 4, 120, 30 << 10
	gate := make(chan struct{})
	var arrived atomic.Int64
	var next [writers]uint32
	var bad atomic.Bool
	b.Handle(transport.Raft, func(_ transport.NodeID, m []byte) {
		<-gate
		if len(m) < 8 {
			return // of reaches
		}
		w, i := binary.LittleEndian.Uint32(m), binary.LittleEndian.Uint32(m[4:])
		if i != next[w] || len(m) != size || !bytes.Equal(m[8:], bytes.Repeat([]byte{byte(i)}, size-8)) {
			bad.Store(true)
		}
		next[w] = i + 1
		arrived.Add(1)
	})
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				m := binary.LittleEndian.AppendUint32(nil, uint32(w))
				m = binary.LittleEndian.AppendUint32(m, uint32(i))
				a.Send(2, transport.Raft, append(m, bytes.Repeat([]byte{byte(i)}, size-8)...))
			}
		})
	}
	wg.Wait() // Send has not waited for the reader
	s := a.peer(2).lanes[transport.Raft]
	until(t, "messages wait in the queue", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.bytes > 0
	})
	close(gate)
	until(t, "all have arrived", func() bool { return arrived.Load() == writers*each })
	if bad.Load() {
		t.Error("messages arrived mixed up")
	}
}

// The rest of a frame belongs to its connection: on the next one it would be taken
// for the beginning of a frame.
func TestRestIsNotSentOnAnotherConnection(t *testing.T) {
	a, b := couple(t, Options{})
	reaches(t, a, b)
	s := a.peer(2).lanes[transport.Raft]
	s.mu.Lock()
	was := s.direct
	s.rest = []byte("half a frame")
	s.busy = true // so that nobody takes it
	s.mu.Unlock()
	if was == nil {
		t.Skip("no direct writes on this system")
	}
	_ = was.conn.Close()
	until(t, "another connection", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.direct != nil && s.direct != was
	})
	s.mu.Lock()
	s.busy = false
	s.mu.Unlock()
	reaches(t, a, b)
}

// Who sends on the lane Call writes itself while the lane is quiet, and leaves to the goroutine what comes right after
// that: many calls of a busy node go in one write.
func TestDirectOnAQuietLane(t *testing.T) {
	if !canWriteNow {
		t.Skip("no direct writes on this system")
	}
	a, b := couple(t, Options{})
	reaches(t, a, b)
	s := a.peer(2).lanes[transport.Call]
	until(t, "a connection for calls", func() bool {
		a.Send(2, transport.Call, []byte("hello"))
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.direct != nil
	})
	mayWrite := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.mayWriteLocked()
	}
	until(t, "a message is written when Send returns", func() bool { // another one may be under way for a moment
		s.mu.Lock()
		s.wrote = s.wrote.Add(-2 * quiet)
		s.mu.Unlock()
		before := s.sent.Load()
		a.Send(2, transport.Call, []byte("quiet"))
		return s.sent.Load() == before+1
	})
	s.mu.Lock()
	s.wrote = time.Now().Add(time.Hour) // as if something had been written just now, whatever that was
	s.mu.Unlock()
	if mayWrite() {
		t.Error("a busy lane is written to by everybody")
	}
}
