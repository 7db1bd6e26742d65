package vfs

import (
	"bytes"
	"io"
	"io/fs"
	"slices"
)

// An image is the content of a simulated file. What lies behind head is zeros, and
// takes neither memory nor time: most of what logs reserve is never used.
//
// Invariant: len(head) ≤ size.
type image struct {
	head []byte
	size int64
	// shared is how many bytes of head, or of what it was before it was cut, others have,
	// too: those are not changed in place.
	shared int64
}

// minImageBytes is what an image that is written to has room for.
const minImageBytes = 512

// share returns an image of the same content. Neither sees what happens to the other.
func (m *image) share() image {
	n := len(m.head)
	m.shared = max(m.shared, int64(n))
	return image{m.head[:n:n], m.size, int64(n)}
}

// lend returns the bytes of head from off to end, which stay as they are.
func (m *image) lend(off, end int64) []byte {
	m.shared = max(m.shared, end)
	return m.head[off:end:end]
}

// own sees to it that what lies at off and behind can be changed in place.
func (m *image) own(off int64) {
	if off < m.shared {
		m.head, m.shared = slices.Clone(m.head), 0
	}
}

// resize cuts the image or extends it with zeros.
func (m *image) resize(size int64) {
	if size < int64(len(m.head)) {
		m.head = m.head[:size]
	}
	m.size = size
}

// write puts p at off, and zeros before that if the image is shorter.
func (m *image) write(p []byte, off int64) {
	end, have := off+int64(len(p)), int64(len(m.head))
	m.size = max(m.size, end)
	if off >= have && isZero(p) {
		return
	}
	m.own(min(off, have))
	if end > have {
		if end > int64(cap(m.head)) { // logs grow by a little each time, and end far from where they began
			m.head = slices.Grow(m.head, int(max(end, 2*have, minImageBytes)-have))
		}
		m.head = m.head[:end]
		if off > have {
			clear(m.head[have:off])
		}
	}
	copy(m.head[off:], p)
}

// ReadAt implements io.ReaderAt.
func (m *image) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case off < 0:
		return 0, fs.ErrInvalid
	case off >= m.size && len(p) > 0:
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), max(0, m.size-off)))
	k := 0
	if off < int64(len(m.head)) {
		k = copy(p[:n], m.head[off:])
	}
	clear(p[k:n])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// bytes returns a copy of the whole content.
func (m *image) bytes() []byte {
	b := make([]byte, m.size)
	copy(b, m.head)
	return b
}

// flip changes a bit, if there is one.
func (m *image) flip(bit int64) {
	if bit/8 >= m.size {
		return
	}
	m.own(min(bit/8, int64(len(m.head))))
	if have := int64(len(m.head)); bit/8 >= have {
		m.head = append(m.head, make([]byte, bit/8+1-have)...)
	}
	m.head[bit/8] ^= 1 << (bit % 8)
}

// keep returns a copy of what was written, which nobody changes.
func keep(p []byte) []byte {
	if len(p) <= len(zeros) && isZero(p) {
		return zeros[:len(p):len(p)]
	}
	return slices.Clone(p)
}

var zeros [256 << 10]byte

func isZero(p []byte) bool {
	for len(p) > len(zeros) {
		if !bytes.Equal(p[:len(zeros)], zeros[:]) {
			return false
		}
		p = p[len(zeros):]
	}
	return bytes.Equal(p, zeros[:len(p)])
}
