//go:build unix

package http1

import (
	"syscall"

	"github.com/statordb/stator/internal/nowait"
)

// receive waits for bytes and takes a turn to read them into. The connection
// has none while it waits.
func (c *conn) receive() bool {
	return c.raw.Read(c.ready) == nil && c.turn != nil
}

// readReady reads what is there. It reports false if that is nothing, and is
// called again when there is something.
func (c *conn) readReady(fd uintptr) bool {
	t := turns.Get().(*turn)
	n, err := nowait.Read(fd, t.buf[:])
	if n > 0 && err == nil {
		t.in = t.buf[:n]
		c.turn = t
		return true
	}
	turns.Put(t)
	return err != syscall.EAGAIN
}
