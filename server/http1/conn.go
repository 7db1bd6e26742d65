package http1

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/statordb/stator/internal/nowait"
)

// A conn is a connection and its task.
type conn struct {
	server *Server
	nc     *net.TCPConn
	raw    syscall.RawConn
	out    io.Writer // nc
	remote string
	ready  func(fd uintptr) bool // c.readReady

	state atomic.Int32

	// Owned by the task.
	turn       *turn // of the request under way; nil while the connection waits
	handed     bool  // nc is net/http's
	unread     int64 // bytes of the request's body that were not read from nc
	failed     error // of reading nc
	readUntil  time.Time
	writeUntil time.Time
}

// The states of a conn. Who changes idle decides what becomes of it.
const (
	idle   int32 = iota // waits for a request
	active              // has some of one
	ended
)

// A turn is the memory of one request and its answer.
type turn struct {
	buf      [turnBytes]byte
	in       []byte // what was read and is not used up; part of buf
	head     head
	url      url.URL
	request  http.Request
	body     body
	response response
}

const (
	// turnBytes is the room for a head and the beginning of its body. Longer
	// heads are net/http's.
	turnBytes = 8 << 10

	// maxKept is the largest buffer that an unused turn keeps.
	maxKept = 64 << 10
)

var turns = sync.Pool{New: func() any {
	t := new(turn)
	t.response.header = make(http.Header)
	return t
}}

func (t *turn) free() {
	t.in = nil
	t.request = http.Request{}
	t.body = body{}
	r := &t.response
	clear(r.header)
	*r = response{header: r.header, body: r.body[:0], out: r.out[:0]}
	if cap(r.body) > maxKept {
		r.body = nil
	}
	if cap(r.out) > maxKept {
		r.out = nil
	}
	turns.Put(t)
}

// newConn returns nil if nc is not of TCP.
func newConn(s *Server, nc net.Conn) *conn {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	c := &conn{server: s, nc: tcp, raw: raw, out: tcp, remote: nc.RemoteAddr().String()}
	if s, err := nowait.NewStream(tcp); err == nil {
		c.out = s
	}
	c.ready = c.readReady
	return c
}

// serve is the connection's task.
func (c *conn) serve() {
	defer c.server.forget(c)
	defer c.recovered()
	for c.wait() {
		if !c.answer() {
			break
		}
	}
	c.drop()
}

// drop gives up the connection, unless it is net/http's.
func (c *conn) drop() {
	if c.turn != nil {
		c.turn.free()
		c.turn = nil
	}
	if !c.handed {
		c.nc.Close()
	}
}

// recovered ends a connection whose handler panicked.
func (c *conn) recovered() {
	p := recover()
	if p == nil {
		return
	}
	if p != http.ErrAbortHandler {
		c.server.logf("http1: panic serving %s: %v\n%s", c.remote, p, debug.Stack())
	}
	c.turn = nil // somebody may still have it
	c.nc.Close()
}

// wait returns true when there are bytes of a request, and false when there
// will be none.
func (c *conn) wait() bool {
	if c.turn != nil { // the client sent more than one request
		return true
	}
	c.state.Store(idle)
	if c.server.closing.Load() {
		return false
	}
	c.allowIdle(time.Now())
	return c.receive() && c.state.CompareAndSwap(idle, active)
}

// closeIdle ends the connection unless it has a request.
func (c *conn) closeIdle() {
	if c.state.CompareAndSwap(idle, ended) {
		c.nc.Close()
	}
}

// allowIdle sets how long the next request may take to come. Deadlines cost
// more than clocks, so one that is up to an eighth too late will do.
func (c *conn) allowIdle(now time.Time) {
	d := c.server.IdleTimeout
	if d == 0 {
		d = c.server.ReadTimeout
	}
	switch left := c.readUntil.Sub(now); {
	case d > 0 && (left < d || left > d+d/8):
		c.readUntil = now.Add(d + d/8)
		_ = c.nc.SetReadDeadline(c.readUntil)
	case d == 0 && !c.readUntil.IsZero(): // left by a head that came in pieces
		c.readUntil = time.Time{}
		_ = c.nc.SetReadDeadline(c.readUntil)
	}
}

// allowRead limits the reads of the request that began now.
func (c *conn) allowRead(now time.Time, d time.Duration) {
	c.readUntil = time.Time{}
	if d > 0 {
		c.readUntil = now.Add(d)
	}
	_ = c.nc.SetReadDeadline(c.readUntil)
}

// allowWrite does for an answer what allowIdle does for a request.
func (c *conn) allowWrite(now time.Time) {
	d := c.server.WriteTimeout
	if d > 0 && c.writeUntil.Sub(now) < d {
		c.writeUntil = now.Add(d + d/8)
		_ = c.nc.SetWriteDeadline(c.writeUntil)
	}
}

// answer serves one request of which something is in the turn. It reports
// whether there may be another one.
func (c *conn) answer() bool {
	t := c.turn
	size, v := t.head.parse(t.in)
	if v == partial {
		size, v = c.readHead(t)
	}
	switch v {
	case foreign:
		c.handOver()
		return false
	case partial:
		return false
	}
	c.begin(t, size)
	c.server.Handler.ServeHTTP(&t.response, &t.request)
	r := &t.response
	r.finish()
	if r.err != nil {
		return false
	}
	if r.close {
		c.linger()
		return false
	}
	c.next(t)
	return true
}

// readHead reads on until the head is whole, or not to be served here.
func (c *conn) readHead(t *turn) (size int, v verdict) {
	d := c.server.ReadHeaderTimeout
	if d == 0 {
		d = c.server.ReadTimeout
	}
	c.allowRead(time.Now(), d)
	for v == partial {
		if len(t.in) == len(t.buf) {
			return 0, foreign
		}
		n, err := c.nc.Read(t.buf[len(t.in):])
		if err != nil {
			return 0, partial
		}
		t.in = t.buf[:len(t.in)+n]
		size, v = t.head.parse(t.in)
	}
	return size, v
}

// begin makes the request for the handler. Its head has size bytes.
func (c *conn) begin(t *turn, size int) {
	t.in = t.in[size:]
	here := t.in[:min(int64(len(t.in)), t.head.length)]
	t.in = t.in[len(here):]
	t.body = body{c: c, here: here}
	c.failed = nil
	if c.unread = t.head.length - int64(len(here)); c.unread > 0 {
		c.allowRead(time.Now(), c.server.ReadTimeout)
	}
	t.url = url.URL{Path: "/"}
	t.request = http.Request{
		Method: http.MethodPost, URL: &t.url, RequestURI: "/",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: t.head.header, Host: t.head.host, RemoteAddr: c.remote,
		Body: &t.body, ContentLength: t.head.length,
	}
	if t.head.length == 0 {
		t.request.Body = http.NoBody
	}
	t.response.c = c
}

// next prepares the connection for another request.
func (c *conn) next(t *turn) {
	rest := t.in
	if len(rest) == 0 {
		c.turn = nil
		t.free()
		return
	}
	clear(t.response.header)
	t.response = response{header: t.response.header, body: t.response.body[:0], out: t.response.out[:0]}
	t.in = t.buf[:copy(t.buf[:], rest)]
}

// handOver gives the connection, and what was read of it, to net/http.
func (c *conn) handOver() {
	read := append([]byte(nil), c.turn.in...)
	_ = c.nc.SetDeadline(time.Time{})
	c.handed = true
	c.server.foreign.give(&begun{c.nc, read})
}

// lingerFor is how long a client that is still sending may take to notice the
// answer before the connection is closed. Closing it with bytes unread would
// reset it, and the client might lose the answer.
const lingerFor = 500 * time.Millisecond

func (c *conn) linger() {
	if c.unread == 0 {
		return
	}
	_ = c.nc.CloseWrite()
	_ = c.nc.SetReadDeadline(time.Now().Add(lingerFor))
	_, _ = io.Copy(io.Discard, io.LimitReader(c.nc, c.unread))
}

// A body reads the body of the request under way.
type body struct {
	c    *conn
	here []byte // arrived together with the head
}

// Read returns io.EOF together with the last bytes.
func (b *body) Read(p []byte) (n int, err error) {
	c := b.c
	switch {
	case c == nil:
		return 0, http.ErrBodyReadAfterClose
	case len(b.here) > 0:
		n = copy(p, b.here)
		b.here = b.here[n:]
	case c.failed != nil:
		return 0, c.failed
	case c.unread > 0 && len(p) > 0:
		n, err = c.nc.Read(p[:min(int64(len(p)), c.unread)])
		c.unread -= int64(n)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		c.failed = err
	}
	if err == nil && c.unread == 0 && len(b.here) == 0 {
		err = io.EOF
	}
	return n, err
}

// Close implements io.Closer. What was not read ends the connection.
func (b *body) Close() error {
	b.here, b.c = nil, nil
	return nil
}
