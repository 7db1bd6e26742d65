package tcp

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/statordb/stator/internal/transport"
)

// maxGuests bounds the connections that have not said hello yet.
const maxGuests = 256

// accept takes connections until the listener is closed.
func (t *Transport) accept() {
	for {
		c, err := t.listener.Accept()
		if t.stop.Err() != nil {
			if err == nil {
				_ = c.Close()
			}
			return
		}
		if err != nil {
			t.o.Log.Warn("cluster: accept", "error", err)
			select { // out of file descriptors, most likely
			case <-time.After(100 * time.Millisecond):
			case <-t.stop.Done():
				return
			}
			continue
		}
		if !t.admit(c) {
			_ = c.Close()
			continue
		}
		t.tasks.Go(func() { t.serve(c) })
	}
}

// admit makes a connection a guest, if there are not too many.
func (t *Transport) admit(c net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.guests >= maxGuests {
		return false
	}
	t.guests++
	t.conns[c] = struct{}{}
	return true
}

// serve is the life of a connection that another node has dialled.
func (t *Transport) serve(raw net.Conn) {
	defer t.drop(raw)
	c, h, err := t.meet(raw)
	t.mu.Lock()
	t.guests--
	t.mu.Unlock()
	switch {
	case err != nil:
		if !errors.Is(err, io.EOF) && t.stop.Err() == nil {
			t.refusal(raw, err)
		}
	case h.lane == greetLane:
		t.greet(c)
	default:
		t.receive(raw, c, h)
	}
}

// refusalPause is how long the same refusal is not logged again.
const refusalPause = 10 * time.Second

func (t *Transport) refusal(c net.Conn, err error) {
	text := err.Error()
	t.mu.Lock()
	again := t.refused == text && time.Since(t.refusedAt) < refusalPause
	if !again {
		t.refused, t.refusedAt = text, time.Now()
	}
	t.mu.Unlock()
	if !again {
		t.o.Log.Warn("cluster: refused a connection", "from", c.RemoteAddr(), "error", err)
	}
}

// meet reads the hello and answers it.
func (t *Transport) meet(raw net.Conn) (net.Conn, hello, error) {
	_ = raw.SetDeadline(time.Now().Add(dialTimeout))
	c := raw
	if t.o.TLS != nil {
		secured := tls.Server(raw, t.o.TLS)
		if err := secured.HandshakeContext(t.stop); err != nil {
			return nil, hello{}, err
		}
		c = secured
	}
	var b [helloSize]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return nil, hello{}, err
	}
	h, ok := decodeHello(b[:])
	if !ok {
		return nil, hello{}, errHello
	}
	v := t.judge(h)
	if _, err := c.Write(welcome{version: version, verdict: v, incarnation: t.incarnation, tick: t.o.Tick}.encode()); err != nil {
		return nil, hello{}, err
	}
	_ = raw.SetDeadline(time.Time{})
	if v == wrongTick {
		return nil, hello{}, fmt.Errorf("%w: node %d has %s, and this one %s; all nodes of a cluster have the same", errTick, h.from, h.tick, t.o.Tick)
	}
	return c, h, v.err()
}

func (t *Transport) judge(h hello) verdict {
	switch {
	case h.version != version:
		return wrongVersion
	case h.lane == greetLane && t.o.Greet != nil:
		return welcomed
	case h.lane >= transport.Lanes, t.o.Self == 0: // it has no place yet
		return refused
	case h.cluster != t.o.Cluster:
		return wrongCluster
	case h.to != t.o.Self, h.from == t.o.Self, h.from == 0:
		return wrongNode
	case t.isCut(h.from):
		return refused
	case h.tick != t.o.Tick:
		return wrongTick
	}
	return welcomed
}

// receive hands over messages until the connection breaks. A newer connection
// of the same node and lane ends it: the node has given this one up.
func (t *Transport) receive(raw, c net.Conn, h hello) {
	key := inboundKey{h.from, h.lane}
	t.mu.Lock()
	old := t.inbound[key]
	t.inbound[key] = raw
	t.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
	if p := t.peer(h.from); p != nil {
		p.called()
	}
	done := make(chan struct{})
	t.tasks.Go(func() { t.sayAlive(c, done) })
	err := t.readFrames(c, h)
	close(done)
	t.mu.Lock()
	if t.inbound[key] == raw {
		delete(t.inbound, key)
	}
	t.mu.Unlock()
	if t.stop.Err() != nil {
		return
	}
	if errors.Is(err, transport.ErrBadFrame) {
		t.o.Log.Warn("cluster: bad bytes", "node", h.from, "from", raw.RemoteAddr())
	}
	if h.lane == transport.Call {
		t.tell(h.from, false) // answers may have been lost
	}
}

// sayAlive writes a byte now and then.
func (t *Transport) sayAlive(c net.Conn, done <-chan struct{}) {
	beat := time.NewTicker(t.o.Beat)
	defer beat.Stop()
	for {
		select {
		case <-done:
			return
		case <-beat.C:
		}
		_ = c.SetWriteDeadline(time.Now().Add(t.silence()))
		if _, err := c.Write([]byte{0}); err != nil {
			_ = c.Close() // ends readFrames, too
			return
		}
	}
}

func (t *Transport) readFrames(c net.Conn, h hello) error {
	r := newFrameReader(&patient{Conn: c, in: quick(c), limit: t.silence()})
	for {
		lane, message, err := r.next()
		switch {
		case err != nil:
			return err
		case lane == aliveLane:
		case lane != h.lane:
			return transport.ErrBadFrame
		default:
			t.deliver(h.from, lane, message)
		}
	}
}

func (t *Transport) deliver(from transport.NodeID, lane transport.Lane, message []byte) {
	if receive := t.handlers[lane].Load(); receive != nil {
		(*receive)(from, message)
	}
}

// patient reads with a limit on each read, from which a quarter may be missing.
type patient struct {
	net.Conn
	in    io.Reader // of Conn
	limit time.Duration
	until time.Time // the present deadline
}

func (p *patient) Read(b []byte) (int, error) {
	if now := time.Now(); p.until.Sub(now) < p.limit-p.limit/4 {
		p.until = now.Add(p.limit)
		_ = p.SetReadDeadline(p.until)
	}
	return p.in.Read(b)
}

// A frameReader takes frames off a stream. What it returns is the caller's.
type frameReader struct{ r *bufio.Reader }

func newFrameReader(r io.Reader) *frameReader { return &frameReader{bufio.NewReaderSize(r, 64<<10)} }

func (f *frameReader) next() (transport.Lane, []byte, error) {
	var head [transport.FrameHeader]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return 0, nil, err
	}
	size, err := transport.FrameSize(head[:])
	if err != nil {
		return 0, nil, err
	}
	message, err := f.read(size)
	if err != nil {
		return 0, nil, err
	}
	lane, err := transport.CheckFrame(head[:], message)
	return lane, message, err
}

// firstBytes is how much memory a length alone may take.
const firstBytes = 256 << 10

// read reads a message. Memory for a long one is taken as its bytes arrive.
func (f *frameReader) read(size int) ([]byte, error) {
	b := make([]byte, min(size, firstBytes))
	for read := 0; ; {
		n, err := io.ReadFull(f.r, b[read:])
		if read += n; err != nil {
			return nil, err
		}
		if read == size {
			return b, nil
		}
		longer := make([]byte, min(size, 4*read))
		copy(longer, b)
		b = longer
	}
}
