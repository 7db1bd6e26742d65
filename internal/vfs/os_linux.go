package vfs

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// errQuota is what a full quota answers instead of ENOSPC.
const errQuota = unix.EDQUOT

// syncFile makes data and size durable; the time stamps need not be.
func syncFile(f *os.File) error {
	return control(f, "fdatasync", unix.Fdatasync)
}

// writeThrough is a write with O_DSYNC for itself alone. File systems that do not know of
// that get a write and a sync.
func writeThrough(f *os.File, p []byte, off int64) (n int, err error) {
	err = control(f, "pwritev2", func(fd int) (err error) {
		n, err = unix.Pwritev2(fd, [][]byte{p}, off, unix.RWF_DSYNC)
		return err
	})
	if errors.Is(err, errors.ErrUnsupported) || err == nil && n < len(p) {
		return writeAndSync(f, p, off)
	}
	return max(0, n), err
}

func preallocate(f *os.File, n int64) error {
	return control(f, "fallocate", func(fd int) error { return unix.Fallocate(fd, 0, 0, n) })
}

// control runs a system call on the file's descriptor, which cannot be closed
// and reused by another file meanwhile.
func control(f *os.File, op string, call func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	err = conn.Control(func(fd uintptr) {
		for callErr = call(int(fd)); callErr == unix.EINTR; {
			callErr = call(int(fd))
		}
	})
	if err != nil {
		return err
	}
	if callErr != nil {
		return fmt.Errorf("%s %s: %w", op, f.Name(), callErr)
	}
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func usage(path string) (free, total int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, 0, fmt.Errorf("statfs %s: %w", path, err)
	}
	return int64(s.Bavail) * s.Bsize, int64(s.Blocks) * s.Bsize, nil
}

// mapFile maps size bytes of f. The mapping outlives the descriptor.
func mapFile(f *os.File, size int64) (b []byte, release func([]byte), err error) {
	if size == 0 { // mmap refuses a length of zero
		return nil, nil, nil
	}
	err = control(f, "mmap", func(fd int) error {
		b, err = unix.Mmap(fd, 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
		return err
	})
	return b, func(b []byte) { _ = unix.Munmap(b) }, err
}
