package tcp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/statordb/stator/internal/nowait"
	"github.com/statordb/stator/internal/transport"
)

const (
	dialTimeout  = 2 * time.Second  // until the welcome is there
	writeTimeout = 10 * time.Second // of one batch
	backoffMin   = 20 * time.Millisecond
	backoffMax   = time.Second

	// batchBytes is how much is written at once. Messages that are longer than
	// wholeBytes are written from where they are.
	batchBytes = 256 << 10
	wholeBytes = 32 << 10
)

// A peer is another node as this one sees it.
type peer struct {
	t     *Transport
	id    transport.NodeID
	lanes [transport.Lanes]*sender
	down  atomic.Bool // the last attempt to reach it failed
	addr  atomic.Pointer[string]
	last  atomic.Pointer[string] // error
	life  atomic.Uint64          // incarnation

	since   time.Time    // when this node first wanted to reach it
	awaited atomic.Bool  // it may not have started yet, and nobody was warned
	delay   atomic.Int64 // nanoseconds that messages are held back

	stop context.Context
	end  context.CancelFunc
}

func (t *Transport) newPeer(id transport.NodeID, addr string) *peer {
	p := &peer{t: t, id: id, since: time.Now()}
	p.stop, p.end = context.WithCancel(t.stop)
	p.addr.Store(&addr)
	p.last.Store(new(string))
	for lane := range p.lanes {
		p.lanes[lane] = &sender{peer: p, lane: transport.Lane(lane), limit: t.o.LaneBytes[lane], wake: make(chan struct{}, 1), again: make(chan struct{}, 1)}
	}
	return p
}

func (p *peer) move(addr string) {
	if *p.addr.Load() != addr {
		p.addr.Store(&addr)
		p.interrupt()
	}
}

// interrupt ends the connections, and the wait for the next attempt.
func (p *peer) interrupt() {
	for _, s := range p.lanes {
		s.interrupt()
	}
}

// called notes that the peer has made a connection to this node: one to it is worth an
// attempt now. A node that has just started asks others at once, and waits for answers.
func (p *peer) called() {
	for _, s := range p.lanes {
		poke(s.again)
	}
}

func (p *peer) status() PeerStatus {
	st := PeerStatus{ID: p.id, Addr: *p.addr.Load(), Unreachable: p.down.Load(), Cut: p.t.isCut(p.id), Delay: time.Duration(p.delay.Load()), Error: *p.last.Load()}
	for _, s := range p.lanes {
		st.Sent += s.sent.Load()
		st.Dropped += s.dropped.Load()
	}
	return st
}

// startPatience is how long a peer that was never reached may need to start: nodes of a cluster are started one after
// the other, and that is nothing to warn of.
const startPatience = 10 * time.Second

// failed notes that the peer could not be reached on a lane, or was lost there.
// The lane Raft, which always has a connection, says whether the peer is down.
func (p *peer) failed(lane transport.Lane, err error) {
	if lane == transport.Raft {
		text := err.Error()
		level, isNew := slog.LevelWarn, *p.last.Swap(&text) != text
		if p.life.Load() == 0 && time.Since(p.since) < startPatience {
			level = slog.LevelInfo
			p.awaited.Store(true)
		} else if p.awaited.Swap(false) {
			isNew = true
		}
		if isNew {
			p.t.o.Log.Log(p.stop, level, "cluster: no connection", "node", p.id, "addr", *p.addr.Load(), "error", err)
		}
		p.down.Store(true)
	}
	p.t.tell(p.id, false)
}

// reached notes that a connection to the peer is there.
func (p *peer) reached(lane transport.Lane, incarnation uint64) {
	if old := p.life.Swap(incarnation); old != 0 && old != incarnation {
		p.t.tell(p.id, false) // what was sent to the earlier life is lost
	}
	if lane != transport.Raft {
		return
	}
	p.last.Store(new(string))
	p.awaited.Store(false)
	p.down.Store(false)
	p.t.o.Log.Info("cluster: connected", "node", p.id, "addr", *p.addr.Load())
	p.t.tell(p.id, true)
}

// A sender brings the messages of one lane to a peer.
type sender struct {
	peer  *peer
	lane  transport.Lane
	limit int           // bytes that may wait
	wake  chan struct{} // there is something to send
	again chan struct{} // dial again, now

	sent, dropped atomic.Uint64

	// held counts the messages in the delay line, which others stand behind. Its lock guards the
	// other two: how many bytes that is, and when the last of them is due.
	held      atomic.Int64
	heldBytes int
	heldUntil time.Time

	mu    sync.Mutex
	queue [][]byte
	bytes int      // in the queue or being written by the goroutine
	off   bool     // no connection, and none in sight: messages are dropped
	conn  net.Conn // the present one

	// busy is set while somebody writes to the connection: the sender's goroutine, or
	// a task that sends (see direct). Others leave their messages in the queue, and
	// who was busy sees to it that they are taken.
	busy   bool
	direct *direct   // of conn; nil: only the goroutine writes
	rest   []byte    // of a frame that was begun on conn; it goes before the queue
	wrote  time.Time // when somebody was busy last, on lanes where that matters; see mayWrite
}

// quiet is how long nothing was written on a lane until who sends on it writes itself. Messages that come
// closer to each other are left to the goroutine: one write then carries many, at the
// price of waking it, some 50 to 100 µs.
const quiet = 100 * time.Microsecond

// send takes a message: it is held back if the peer has a delay, else passed on.
func (s *sender) send(message []byte) {
	if s.peer.delay.Load() == 0 && s.held.Load() == 0 {
		s.pass(message)
	} else if !s.peer.t.delays.hold(s, message) {
		s.dropped.Add(1)
	}
}

// pass writes a message, queues it or drops it.
func (s *sender) pass(message []byte) {
	s.mu.Lock()
	if s.direct != nil && !s.busy && len(s.queue)+len(s.rest) == 0 && len(message) <= directBytes && s.mayWriteLocked() {
		s.busy = true
		d := s.direct
		s.mu.Unlock()
		s.sendDirect(d, message)
		return
	}
	full := s.off || s.bytes > 0 && s.bytes+len(message) > s.limit
	first := false
	if !full {
		first = len(s.queue) == 0 && !s.busy
		s.queue = append(s.queue, message)
		s.bytes += len(message)
	}
	s.mu.Unlock()
	switch {
	case full:
		s.dropped.Add(1)
	case first:
		poke(s.wake)
	}
}

// mayWriteLocked reports whether who sends may write, and takes note of it. On the lane Raft that is always so: a worker makes one
// message of all that it has to say to a node. On others many tasks may have something to say at the same moment.
func (s *sender) mayWriteLocked() bool {
	if s.lane == transport.Raft {
		return true
	}
	t := time.Now()
	isQuiet := t.Sub(s.wrote) > quiet
	s.wrote = t
	return isQuiet
}

// sendDirect is for who has become busy.
func (s *sender) sendDirect(d *direct, message []byte) {
	rest, err := d.write(s.lane, message)
	if err != nil {
		_ = d.conn.Close() // the goroutine learns of it
		s.dropped.Add(1)
	} else {
		s.sent.Add(1)
	}
	s.mu.Lock()
	s.busy = false
	if len(rest) > 0 && s.direct == d {
		s.rest = append(s.rest[:0], rest...)
	}
	waits := len(s.queue)+len(s.rest) > 0
	s.mu.Unlock()
	if waits {
		poke(s.wake)
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take returns what waits; if that is anything, the caller is busy until it says done.
func (s *sender) take(free [][]byte) (rest []byte, batch [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy {
		return nil, free[:0]
	}
	rest, batch = s.rest, s.queue
	s.rest, s.queue = nil, free[:0]
	s.busy = len(rest)+len(batch) > 0
	return rest, batch
}

// done ends what take has begun.
func (s *sender) done(batch [][]byte) {
	n := 0
	for i, m := range batch {
		n += len(m)
		batch[i] = nil
	}
	s.sent.Add(uint64(len(batch)))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes -= n
	s.busy = false
}

// interrupt ends the connection, if there is one.
func (s *sender) interrupt() {
	s.mu.Lock()
	c := s.conn
	s.mu.Unlock()
	if c != nil {
		_ = c.Close()
	}
	poke(s.again)
}

// run dials, sends, and dials again, until the peer or the transport ends.
func (s *sender) run() {
	if s.peer.id == s.peer.t.o.Self {
		s.loop()
		return
	}
	backoff := s.peer.t.o.backoff
	for s.wanted() {
		began := time.Now()
		err := s.connect()
		if s.peer.stop.Err() != nil {
			return
		}
		if time.Since(began) > dialTimeout {
			backoff = s.peer.t.o.backoff // it was a connection, or took its time already
		}
		s.peer.failed(s.lane, err)
		s.discard(true)
		if !s.pause(backoff) {
			return
		}
		s.discard(false)
		backoff = min(backoffMax, 2*backoff)
	}
}

// wanted parks until there is a reason to have a connection: on the lane Raft
// there always is, because it tells whether the peer is there.
func (s *sender) wanted() bool {
	if s.lane == transport.Raft {
		return s.peer.stop.Err() == nil
	}
	s.mu.Lock()
	waits := len(s.queue) > 0
	s.mu.Unlock()
	if waits {
		return s.peer.stop.Err() == nil
	}
	select {
	case <-s.wake:
		poke(s.wake) // for connect
		return true
	case <-s.peer.stop.Done():
		return false
	}
}

// pause waits for about d.
func (s *sender) pause(d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.again:
		return true
	case <-s.peer.stop.Done():
		return false
	}
}

// discard drops what waits, and what comes while off.
func (s *sender) discard(off bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped.Add(uint64(len(s.queue)))
	s.queue, s.bytes, s.off = nil, 0, off
}

var errCut = errors.New("tcp: cut off")

// connect dials and sends until the connection breaks.
func (s *sender) connect() error {
	t := s.peer.t
	if t.isCut(s.peer.id) {
		return errCut
	}
	h := hello{version: version, lane: s.lane, cluster: t.o.Cluster, from: t.o.Self, to: s.peer.id, incarnation: t.incarnation, tick: t.o.Tick}
	c, incarnation, err := dial(s.peer.stop, *s.peer.addr.Load(), t.o.TLS, h)
	if err != nil {
		return err
	}
	if !t.track(c) {
		_ = c.Close()
		return net.ErrClosed
	}
	defer t.drop(c)
	s.setConn(c)
	defer s.setConn(nil)
	if t.isCut(s.peer.id) {
		return errCut // while it was dialling
	}
	s.peer.reached(s.lane, incarnation)
	broken := make(chan error, 1)
	t.tasks.Go(func() {
		broken <- s.listen(c)
		_ = c.Close() // a write may wait for room, which nobody makes any more
	})
	err = s.write(c, broken)
	_ = c.Close()
	if errors.Is(err, net.ErrClosed) {
		select {
		case cause := <-broken:
			return cause
		default: // others have closed it
		}
	}
	return err
}

func (s *sender) setConn(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn, s.direct, s.rest = c, nil, nil
}

// open lets those who send write to the connection themselves.
func (s *sender) open(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lane == transport.Raft || s.lane == transport.Call {
		s.direct = newDirect(c)
	}
}

// dial makes a connection and says hello on it.
func dial(ctx context.Context, addr string, config *tls.Config, h hello) (net.Conn, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, 0, err
	}
	deadline, _ := ctx.Deadline()
	_ = c.SetDeadline(deadline)
	if config != nil {
		secured := tls.Client(c, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = c.Close()
			return nil, 0, err
		}
		c = secured
	}
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	incarnation, err := exchange(c, h)
	if err != nil {
		_ = c.Close()
		return nil, 0, err
	}
	_ = c.SetDeadline(time.Time{})
	return c, incarnation, nil
}

// silence is how long an end of a connection may say nothing.
func (t *Transport) silence() time.Duration { return 4 * t.o.Beat }

// listen waits for the signs of life that the peer sends back.
func (s *sender) listen(c net.Conn) error {
	var b [64]byte
	for {
		_ = c.SetReadDeadline(time.Now().Add(s.peer.t.silence()))
		if _, err := c.Read(b[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return errors.New("tcp: the other node has closed the connection")
			}
			return err
		}
	}
}

// write sends what others have left in the queue, and signs of life.
func (s *sender) write(c net.Conn, broken <-chan error) error {
	s.open(c)
	beat := time.NewTicker(s.peer.t.o.Beat)
	defer beat.Stop()
	w := batchWriter{out: quick(c)}
	var rest []byte
	var batch [][]byte
	sent := s.sent.Load()
	for {
		rest, batch = s.take(batch)
		if len(rest)+len(batch) > 0 {
			_ = c.SetWriteDeadline(time.Now().Add(s.peer.t.o.writeLimit))
			err := w.write(s.lane, rest, batch)
			_ = c.SetWriteDeadline(time.Time{}) // none for a direct write
			s.done(batch)
			if err != nil {
				return err
			}
			continue
		}
		select {
		case <-s.wake:
			// Who is woken comes first; let others who have something to say have their
			// turn, so that one write will do.
			runtime.Gosched()
		case err := <-broken:
			return err
		case <-s.peer.stop.Done():
			return context.Canceled
		case <-beat.C:
			if now := s.sent.Load(); now != sent {
				sent = now
			} else {
				s.queueAlive()
			}
		}
	}
}

// queueAlive has a sign of life written, if nothing else is.
func (s *sender) queueAlive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.busy && len(s.queue)+len(s.rest) == 0 {
		head := transport.FrameHead(aliveLane, nil)
		s.rest = head[:]
	}
}

// A batchWriter puts many frames into one write.
type batchWriter struct {
	out io.Writer
	buf []byte
}

// write writes the rest of an earlier frame, and then the messages.
func (w *batchWriter) write(lane transport.Lane, rest []byte, messages [][]byte) error {
	w.buf = append(w.buf[:0], rest...)
	for _, m := range messages {
		head := transport.FrameHead(lane, m)
		w.buf = append(w.buf, head[:]...)
		if len(m) > wholeBytes {
			if err := w.flush(m); err != nil {
				return err
			}
			continue
		}
		w.buf = append(w.buf, m...)
		if len(w.buf) >= batchBytes {
			if err := w.flush(nil); err != nil {
				return err
			}
		}
	}
	return w.flush(nil)
}

// flush writes the buffer and then a message that is not in it.
func (w *batchWriter) flush(m []byte) error {
	for _, b := range [][]byte{w.buf, m} {
		if len(b) > 0 {
			if _, err := w.out.Write(b); err != nil {
				return err
			}
		}
	}
	w.buf = w.buf[:0]
	return nil
}

// quick returns c, if it can be without being told of by the runtime's monitor: see package nowait. What
// has TLS in front of it cannot.
func quick(c net.Conn) io.ReadWriter {
	if plain, ok := c.(*net.TCPConn); ok {
		if s, err := nowait.NewStream(plain); err == nil {
			return s
		}
	}
	return c
}

// loop hands messages of a node to itself.
func (s *sender) loop() {
	var batch [][]byte
	for {
		if _, batch = s.take(batch); len(batch) > 0 {
			for _, m := range batch {
				s.peer.t.deliver(s.peer.id, s.lane, m)
			}
			s.done(batch)
			continue
		}
		select {
		case <-s.wake:
		case <-s.peer.stop.Done():
			return
		}
	}
}
