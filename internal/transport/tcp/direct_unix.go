//go:build unix

package tcp

import (
	"syscall"

	"github.com/statordb/stator/internal/nowait"
)

const canWriteNow = true

// writeNow writes what the socket, which does not block, takes.
func writeNow(fd uintptr, b []byte) (n int, err error) {
	if n, err = nowait.Write(fd, b); err == syscall.EAGAIN {
		return 0, nil
	}
	return n, err
}
