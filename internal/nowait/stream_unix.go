//go:build unix

package nowait

import (
	"io"
	"syscall"
)

// A Stream reads from and writes to a connection, or another file that the runtime watches. Waiting is
// the runtime's business, with the deadlines and the end that the connection has.
//
// One task at a time may read, and one write.
type Stream struct {
	raw     syscall.RawConn
	in, out half
}

// A half is a call under way in one direction.
type half struct {
	attempt func(fd uintptr) bool // made once: a closure for each call would be garbage
	b       []byte
	n       int
	err     error
}

// NewStream returns a stream over c.
func NewStream(c syscall.Conn) (io.ReadWriter, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &Stream{raw: raw}
	s.in.attempt, s.out.attempt = s.read, s.write
	return s, nil
}

// Read implements io.Reader.
func (s *Stream) Read(b []byte) (int, error) {
	h := &s.in
	h.b, h.n, h.err = b, 0, nil
	err := s.raw.Read(h.attempt)
	h.b = nil
	switch {
	case err != nil:
		return 0, err
	case h.err == nil && h.n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return h.n, h.err
}

func (s *Stream) read(fd uintptr) bool {
	h := &s.in
	h.n, h.err = Read(fd, h.b)
	return h.err != syscall.EAGAIN
}

// Write implements io.Writer.
func (s *Stream) Write(b []byte) (int, error) {
	h := &s.out
	h.b, h.n, h.err = b, 0, nil
	err := s.raw.Write(h.attempt)
	h.b = nil
	if err != nil {
		return h.n, err
	}
	return h.n, h.err
}

// write goes on until everything is written, or there is no room.
func (s *Stream) write(fd uintptr) bool {
	h := &s.out
	for len(h.b) > 0 {
		n, err := Write(fd, h.b)
		if err == syscall.EAGAIN {
			return false
		}
		h.n, h.b = h.n+n, h.b[n:]
		if h.err = err; err != nil {
			break
		}
	}
	return true
}
