package tcp

import (
	"net"
	"syscall"

	"github.com/statordb/stator/internal/transport"
)

// A direct writes a message to a connection in the task that sends it, as far as
// the system takes it without waiting. That saves waking the sender's goroutine, which costs
// as much as the write.
//
// One task at a time uses it; see sender.busy.
type direct struct {
	conn net.Conn
	raw  syscall.RawConn
	call func(fd uintptr) bool // d.attempt; made once
	buf  []byte
	n    int // bytes written
	err  error
}

// directBytes is up to which size a message is written so: the task that sends has
// other things to do than to copy.
const directBytes = wholeBytes

// newDirect returns nil for connections that it cannot write to: with TLS, or on
// systems where writes wait.
func newDirect(c net.Conn) *direct {
	plain, ok := c.(*net.TCPConn)
	if !ok || !canWriteNow {
		return nil
	}
	raw, err := plain.SyscallConn()
	if err != nil {
		return nil
	}
	d := &direct{conn: c, raw: raw}
	d.call = d.attempt
	return d
}

// write writes a frame and returns what is left of it. That is valid until the next
// call.
func (d *direct) write(lane transport.Lane, message []byte) (rest []byte, err error) {
	head := transport.FrameHead(lane, message)
	d.buf = append(append(d.buf[:0], head[:]...), message...)
	d.n, d.err = 0, nil
	if err := d.raw.Write(d.call); err != nil {
		return nil, err
	}
	return d.buf[d.n:], d.err
}

// attempt never asks to be called again.
func (d *direct) attempt(fd uintptr) bool {
	d.n, d.err = writeNow(fd, d.buf)
	return true
}
