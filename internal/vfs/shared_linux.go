package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// A sharedMapping writes to a file by copying into its page cache.
//
// The first touch of a page costs 1 µs where the file has been written before and 6 µs
// where space is only reserved, against 1.5 to 3 µs for each write system
// call. Asked for ahead, many at a time, a page costs 0.1 µs and 4 µs.
type sharedMapping struct {
	bytes   []byte
	touched int64 // bytes whose pages have been asked for
}

// touchAhead is how many bytes of pages are asked for at a time. Those that are not
// used in the end are written to the device nevertheless.
const touchAhead = 256 << 10

func mapShared(f *os.File, n int64) (SharedMapping, error) {
	if n == 0 {
		return &sharedMapping{}, nil
	}
	m := &sharedMapping{}
	err := control(f, "mmap", func(fd int) (err error) {
		m.bytes, err = unix.Mmap(fd, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (m *sharedMapping) WriteAt(p []byte, off int64) (int, error) {
	if err := checkShared(off, len(p), int64(len(m.bytes))); err != nil {
		return 0, err
	}
	end := off + int64(len(p))
	if end > m.touched {
		m.touch(off, end)
	}
	n := 0
	err := Guard(func() error {
		n = copy(m.bytes[off:end], p)
		return nil
	})
	return n, err
}

// touch asks for the pages from off on. The kernel may refuse: then each page comes
// when it is written to, or the fault says why not.
func (m *sharedMapping) touch(off, end int64) {
	from := max(m.touched, off) &^ (touchAhead - 1)
	m.touched = min((end+touchAhead-1)&^(touchAhead-1), int64(len(m.bytes)))
	_ = unix.Madvise(m.bytes[from:m.touched], unix.MADV_POPULATE_WRITE)
}

func (m *sharedMapping) Release() {
	if b := m.bytes; b != nil {
		m.bytes = nil
		_ = unix.Munmap(b)
	}
}
