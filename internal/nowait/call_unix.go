//go:build unix && !linux

package nowait

import "syscall"

// Read reads what is there. The file must not block: then the error is EAGAIN if there is nothing.
func Read(fd uintptr, b []byte) (n int, err error) { return retry(syscall.Read, fd, b) }

// Write writes what there is room for. The file must not block: then the error is EAGAIN if there is none.
func Write(fd uintptr, b []byte) (n int, err error) { return retry(syscall.Write, fd, b) }

func retry(call func(fd int, b []byte) (int, error), fd uintptr, b []byte) (int, error) {
	for {
		n, err := call(int(fd), b)
		if err != syscall.EINTR {
			return max(0, n), err
		}
	}
}
