package nowait

import (
	"syscall"
	"unsafe"
)

// Read reads what is there. The file must not block: then the error is EAGAIN if there is nothing.
func Read(fd uintptr, b []byte) (n int, err error) { return call(syscall.SYS_READ, fd, b) }

// Write writes what there is room for. The file must not block: then the error is EAGAIN if there is none.
func Write(fd uintptr, b []byte) (n int, err error) { return call(syscall.SYS_WRITE, fd, b) }

func call(number, fd uintptr, b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		n, _, errno := syscall.RawSyscall(number, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
			continue
		}
		return 0, errno
	}
}
