package vfs

import (
	"fmt"
	"io"
)

// plainMapping is a mapping whose reads cannot be made to fail on demand.
type plainMapping struct {
	bytes   []byte
	release func([]byte) // nil when the garbage collector suffices
}

func (m *plainMapping) Bytes() []byte { return m.bytes }
func (m *plainMapping) Size() int64   { return int64(len(m.bytes)) }

func (m *plainMapping) View(off int64, n int) ([]byte, error) {
	if err := checkView(off, n, len(m.bytes)); err != nil {
		return nil, err
	}
	return m.bytes[off : off+int64(n) : off+int64(n)], nil
}

func (m *plainMapping) Release() {
	b := m.bytes
	m.bytes = nil
	if m.release != nil && b != nil {
		m.release(b)
	}
}

// ReadMapping stands in for a mapping where files are not to be, or cannot be, mapped:
// each View is read into memory of its own. It is an io.ReaderAt as well, for those who
// have memory to read into. It takes over f if it succeeds.
func ReadMapping(f File) (Mapping, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	return &readMapping{f, size}, nil
}

type readMapping struct {
	f    File
	size int64
}

func (m *readMapping) Bytes() []byte { return nil }
func (m *readMapping) Size() int64   { return m.size }

func (m *readMapping) View(off int64, n int) ([]byte, error) {
	if off < 0 || n < 0 || off > m.size || int64(n) > m.size-off {
		return nil, fmt.Errorf("vfs: view of %d bytes at %d in a file of %d: %w", n, off, m.size, io.ErrUnexpectedEOF)
	}
	b := make([]byte, n)
	if got, err := m.f.ReadAt(b, off); got < n {
		return nil, err
	}
	return b, nil
}

func (m *readMapping) ReadAt(p []byte, off int64) (int, error) { return m.f.ReadAt(p, off) }

// Release ignores the error: nothing was written.
func (m *readMapping) Release() { _ = m.f.Close() }

// checkView keeps offsets that were read from a damaged file inside of it.
func checkView(off int64, n, size int) error {
	if off < 0 || n < 0 || off > int64(size) || int64(n) > int64(size)-off {
		return fmt.Errorf("vfs: view of %d bytes at %d in a file of %d: %w", n, off, size, io.ErrUnexpectedEOF)
	}
	return nil
}

// unmapped is a SharedMapping of a file that cannot be mapped, or need not: it writes
// as WriteAt does.
type unmapped struct {
	f    File
	size int64
}

func (m unmapped) WriteAt(p []byte, off int64) (int, error) {
	if err := checkShared(off, len(p), m.size); err != nil {
		return 0, err
	}
	return m.f.WriteAt(p, off)
}

func (m unmapped) Release() {}

func checkShared(off int64, n int, size int64) error {
	if off < 0 || int64(n) > size-off {
		return fmt.Errorf("vfs: write of %d bytes at %d behind the %d that are mapped: %w", n, off, size, io.ErrShortWrite)
	}
	return nil
}
