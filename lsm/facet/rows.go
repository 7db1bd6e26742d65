package facet

import (
	"math/bits"

	"github.com/RoaringBitmap/roaring/v2"
)

// A Memory gives out memory in powers of two and takes it back, for example outside the Go
// heap. It need not be cleared.
type Memory interface {
	Alloc(n int) []byte
	Free(b []byte)
}

// A store has the lists of a Builder. It is a row of slabs that double in size; lists take
// chunks of them, one behind the other, and nothing moves. A place is counted in
// bytes through all slabs: slab k begins at firstSlab × (2^k − 1).
//
// A list is a chain of chunks, which double in size up to largestChunk:
//
//	+---------+-----------+      +---------+------------------+
//	| next 4B | rows ...  | ───► | next 4B | rows ...         | ───► ...
//	+---------+-----------+      +---------+------------------+
//
// next is the place of the following chunk, once there is one. The rows, ascending, are
// differences to the one before (the first to 0), as unsigned LEB128; a number may
// begin in one chunk and end in the next. So a tag that one row in a hundred has costs a
// byte for each, where a plain list takes four, and a slice that grows, eight.
//
// Sharing: one writer. What was written does not change, but for the next of the last
// chunk; so whoever knows how long a list was can read that much of it at any time.
type store struct {
	memory Memory // nil: the Go heap
	slabs  [][]byte
	free   []byte // the rest of the last slab
	size   int    // of all chunks, in bytes
}

const (
	firstSlabBits = 12
	firstChunk    = 32
	largestChunk  = 4096
	chunkHead     = 4
)

// take returns n bytes, no more than a slab has, and their place.
func (s *store) take(n int) (place uint32, b []byte) {
	if len(s.free) < n {
		size := 1 << (firstSlabBits + len(s.slabs))
		if s.memory == nil {
			s.free = make([]byte, size)
		} else {
			s.free = s.memory.Alloc(size)
		}
		s.slabs = append(s.slabs, s.free)
	}
	k := len(s.slabs) - 1
	b = s.free[:n:n]
	place = uint32(slabStart(k) + len(s.slabs[k]) - len(s.free))
	s.free = s.free[n:]
	s.size += n
	return place, b
}

func slabStart(k int) int { return (1<<k - 1) << firstSlabBits }

// at returns the memory of slabs from a place on.
func at(slabs [][]byte, place uint32) []byte {
	k := bits.Len32(place>>firstSlabBits+1) - 1
	return slabs[k][int(place)-slabStart(k):]
}

// release gives the memory back.
func (s *store) release() {
	for _, b := range s.slabs {
		if s.memory != nil {
			s.memory.Free(b)
		}
	}
	s.slabs, s.free, s.size = nil, nil, 0
}

// chunkBytes is the size of chunk k of a list.
func chunkBytes(k int) int {
	if k > 6 {
		return largestChunk
	}
	return firstChunk << k
}

// A list has the rows of one tag.
type list struct {
	tag    string
	head   uint32 // place of the first chunk
	chunks int
	chunk  []byte // the last one
	rest   []byte // of it, not written yet
	size   int    // bytes of rows
	count  int    // rows
	last   uint32 // row
}

// add appends a row, which is not less than the one before.
func (l *list) add(s *store, row uint32) {
	if l.count > 0 && row == l.last {
		return
	}
	for d := row - l.last; ; d >>= 7 {
		if len(l.rest) == 0 {
			l.extend(s)
		}
		l.size++
		if d < 0x80 {
			l.rest[0], l.rest = byte(d), l.rest[1:]
			break
		}
		l.rest[0], l.rest = byte(d)|0x80, l.rest[1:]
	}
	l.count++
	l.last = row
}

// extend adds a chunk.
func (l *list) extend(s *store) {
	place, b := s.take(chunkBytes(l.chunks))
	if l.chunks == 0 {
		l.head = place
	} else {
		little.PutUint32(l.chunk, place)
	}
	l.chunk, l.rest = b, b[chunkHead:]
	l.chunks++
}

// Rows are the rows of a list as it was at some time. They can be read while more is added.
type Rows struct {
	slabs [][]byte
	head  uint32
	size  int
}

func (l *list) rows(s *store) Rows { return Rows{s.slabs, l.head, l.size} }

// bitmap returns the rows that are less than end.
func (r Rows) bitmap(end uint32) *roaring.Bitmap {
	m := roaring.New()
	var buffer [256]uint32
	n, row, d, shift := 0, uint32(0), uint32(0), 0
	place := r.head
	for k := 0; r.size > 0; k++ {
		chunk := at(r.slabs, place)[:chunkBytes(k)]
		content := chunk[chunkHead:]
		content = content[:min(len(content), r.size)]
		for _, c := range content {
			d |= uint32(c&0x7f) << shift
			if shift += 7; c >= 0x80 {
				continue
			}
			row += d
			if d, shift = 0, 0; row >= end {
				m.AddMany(buffer[:n])
				return m
			}
			if n == len(buffer) {
				m.AddMany(buffer[:])
				n = 0
			}
			buffer[n] = row
			n++
		}
		if r.size -= len(content); r.size > 0 {
			place = little.Uint32(chunk)
		}
	}
	m.AddMany(buffer[:n])
	return m
}
