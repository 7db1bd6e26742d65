//go:build unix

package tcp

import "syscall"

const canWriteNow = true

// writeNow writes what the socket, which does not block, takes.
func writeNow(fd uintptr, b []byte) (n int, err error) {
	for {
		n, err = syscall.Write(int(fd), b)
		switch err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return 0, nil
		}
		return max(0, n), err
	}
}
