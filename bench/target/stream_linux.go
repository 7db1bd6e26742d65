package target

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A stream is a socket that blocks its thread, as one of a program in C does. It is for workers that have threads (drive.Workload.Threads).
//
// A goroutine that waits for a socket is woken by way of the runtime's poller, which wakes a second thread to take its place: 50 µs of each
// latency, on a virtual machine whose idle processors halt.
//
// Most calls are over soon, and the runtime is not told of these: its monitor, which would look after them 10,000 times a second, is one more
// thread that takes the processor from the server. Until such a call returns no collection of garbage can begin, so it lasts no longer than patience.
// Of what takes longer the runtime is told.
type stream struct {
	net.Conn // closed: for its addresses
	fd       int
	deadline time.Time
}

const patience = 10 * time.Millisecond

// newStream takes a connection over.
func newStream(c net.Conn) (net.Conn, error) {
	tcp, ok := c.(syscall.Conn)
	if !ok {
		return c, nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &stream{Conn: c, fd: -1}
	limit := unix.NsecToTimeval(int64(patience))
	uncontrolled := raw.Control(func(fd uintptr) {
		// A copy, which the runtime does not poll.
		if s.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err != nil {
			return
		}
		if err = unix.SetNonblock(s.fd, false); err != nil {
			return
		}
		if err = unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
			return
		}
		err = unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit)
	})
	if err == nil {
		err = uncontrolled
	}
	if err == nil {
		err = c.Close() // the copy lives on
	}
	if err != nil {
		if s.fd >= 0 {
			unix.Close(s.fd)
		}
		return nil, os.NewSyscallError("socket", err)
	}
	return s, nil
}

func (s *stream) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err := untold(syscall.SYS_READ, s.fd, b)
	for err == unix.EAGAIN || err == unix.EINTR {
		if s.late() {
			return 0, os.ErrDeadlineExceeded
		}
		n, err = unix.Read(s.fd, b)
	}
	switch {
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0:
		return 0, io.EOF
	case s.late(): // an answer that comes byte by byte
		return n, os.ErrDeadlineExceeded
	}
	return n, nil
}

func (s *stream) Write(b []byte) (n int, err error) {
	for n < len(b) {
		k, err := untold(syscall.SYS_WRITE, s.fd, b[n:])
		for err == unix.EAGAIN || err == unix.EINTR {
			if s.late() {
				return n, os.ErrDeadlineExceeded
			}
			k, err = unix.Write(s.fd, b[n:])
		}
		if err != nil {
			return n, os.NewSyscallError("write", err)
		}
		n += k
	}
	return n, nil
}

// untold is a system call that the runtime is not told of.
func untold(number uintptr, fd int, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(number, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func (s *stream) late() bool { return !s.deadline.IsZero() && time.Now().After(s.deadline) }

func (s *stream) Close() error {
	if s.fd < 0 {
		return net.ErrClosed
	}
	fd := s.fd
	s.fd = -1
	return os.NewSyscallError("close", unix.Close(fd))
}

// SetDeadline bounds what begins after it: a call ends at most patience later.
func (s *stream) SetDeadline(t time.Time) error {
	s.deadline = t
	return nil
}

func (s *stream) SetReadDeadline(t time.Time) error  { return s.SetDeadline(t) }
func (s *stream) SetWriteDeadline(t time.Time) error { return s.SetDeadline(t) }
