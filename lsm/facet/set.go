package facet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"
)

// A set of bitmaps is stored as follows; integers are little-endian.
//
//	 0 rows          4B  entries of the table
//	 4 count         4B  n, different tags
//	 8 name length   4B
//	12 tag bytes     4B
//	16 directory  12B × (n+1)  for each tag, in bytewise order, and then for the
//	                           incomplete rows: where the tag starts, where its
//	                           bitmap starts, number of rows in the bitmap
//	   name                    of the facet function
//	   tags                    a tag ends where the next one starts
//	   bitmaps                 in the same order; one ends where the next one starts
//
// The last row of the directory has no tag: it starts where the tags end. Its
// bitmap, the last one, has the rows with a tag that is not kept.
//
// A bitmap is a 32-bit roaring bitmap in the portable format,
// https://github.com/RoaringBitmap/RoaringFormatSpec: containers of sorted
// arrays, of bits, or of runs, one for each 65,536 rows.
const (
	headerBytes = 16
	rowBytes    = 12 // of the directory
)

var little = binary.LittleEndian

// A Set reads the bitmaps of a table in place. It is safe for concurrent use.
type Set struct {
	rows      uint32
	count     int
	name      string
	directory []byte
	tags      []byte
	bitmaps   []byte

	// parsed are the bitmaps that were asked for, one place for each row of the
	// directory. Two readers may both find a place empty; then both parse.
	parsed []atomic.Pointer[roaring.Bitmap]
}

// Parse decodes all but the bitmaps. It keeps payload; reason says why it cannot.
func Parse(payload []byte, rows uint64) (s *Set, reason string) {
	if len(payload) < headerBytes {
		return nil, "bitmaps are too short"
	}
	s = &Set{rows: little.Uint32(payload), count: int(little.Uint32(payload[4:]))}
	nameBytes, tagBytes := uint64(little.Uint32(payload[8:])), uint64(little.Uint32(payload[12:]))
	if uint64(s.rows) != rows || s.count > MaxTags || nameBytes > MaxNameBytes {
		return nil, fmt.Sprintf("bitmaps with %d tags over %d of %d rows", s.count, s.rows, rows)
	}
	rest := payload[headerBytes:]
	directoryBytes := uint64(s.count+1) * rowBytes
	if directoryBytes+nameBytes+tagBytes > uint64(len(rest)) {
		return nil, fmt.Sprintf("directory of %d bitmaps exceeds %d bytes", s.count, len(payload))
	}
	s.directory, rest = rest[:directoryBytes], rest[directoryBytes:]
	s.name, rest = string(rest[:nameBytes]), rest[nameBytes:]
	s.tags, s.bitmaps = rest[:tagBytes], rest[tagBytes:]
	if reason := s.checkDirectory(); reason != "" {
		return nil, reason
	}
	s.parsed = make([]atomic.Pointer[roaring.Bitmap], s.count+1)
	return s, ""
}

// checkDirectory checks all that tag, extent and search rely on.
func (s *Set) checkDirectory() (reason string) {
	var tagAt, bitmapAt uint32
	for i := range s.count + 1 {
		tag, bitmap := s.field(i, 0), s.field(i, 4)
		if tag < tagAt || tag-tagAt > MaxTagBytes || bitmap < bitmapAt || int(bitmap) > len(s.bitmaps) ||
			int(tag) > len(s.tags) || i == 0 && (tag != 0 || bitmap != 0) {
			return fmt.Sprintf("bitmap %d starts at %d, its tag at %d", i, bitmap, tag)
		}
		tagAt, bitmapAt = tag, bitmap
	}
	if int(tagAt) != len(s.tags) {
		return fmt.Sprintf("tags end at %d, not at %d", tagAt, len(s.tags))
	}
	for i := 1; i < s.count; i++ {
		if bytes.Compare(s.tag(i-1), s.tag(i)) >= 0 {
			return fmt.Sprintf("tag %d is not in order", i)
		}
	}
	return ""
}

func (s *Set) field(i, at int) uint32 { return little.Uint32(s.directory[i*rowBytes+at:]) }

func (s *Set) tag(i int) []byte { return s.tags[s.field(i, 0):s.field(i+1, 0)] }

// Name is the name of the function that the tags come from.
func (s *Set) Name() string { return s.name }

// Tags is the number of different tags.
func (s *Set) Tags() int { return s.count }

// Rows is the number of entries of the table.
func (s *Set) Rows() uint32 { return s.rows }

// Counts yields each tag with the number of its rows, in order.
func (s *Set) Counts() iter.Seq2[[]byte, uint32] {
	return func(yield func([]byte, uint32) bool) {
		for i := range s.count {
			if !yield(s.tag(i), s.field(i, 8)) {
				return
			}
		}
	}
}

// Incomplete is the number of rows that have tags which are not listed.
func (s *Set) Incomplete() uint32 { return s.field(s.count, 8) }

// Find returns the rows with a tag; for Expr.Select. An error says what is wrong
// with the bitmap.
func (s *Set) Find(tag []byte) (Selection, error) {
	i, found := s.search(tag)
	if found {
		b, err := s.bitmap(i)
		return exactly(b), err
	}
	incomplete, err := s.bitmap(s.count)
	if err != nil || incomplete.IsEmpty() {
		return exactly(incomplete), err
	}
	return Selection{Sure: roaring.New(), May: incomplete}, nil
}

func (s *Set) search(tag []byte) (i int, found bool) {
	lower, upper := 0, s.count
	for lower < upper {
		mid := int(uint(lower+upper) >> 1)
		if bytes.Compare(s.tag(mid), tag) < 0 {
			lower = mid + 1
		} else {
			upper = mid
		}
	}
	return lower, lower < s.count && bytes.Equal(s.tag(lower), tag)
}

// bitmap returns that of row i of the directory, checked.
func (s *Set) bitmap(i int) (*roaring.Bitmap, error) {
	if b := s.parsed[i].Load(); b != nil {
		return b, nil
	}
	end := len(s.bitmaps)
	if i < s.count {
		end = int(s.field(i+1, 4))
	}
	encoded := s.bitmaps[s.field(i, 4):end]
	if reason := checkBitmap(encoded, s.rows, uint64(s.field(i, 8))); reason != "" {
		return nil, fmt.Errorf("bitmap %d: %s", i, reason)
	}
	b := roaring.New()
	if n, err := b.FromBuffer(encoded); err != nil || n != int64(len(encoded)) {
		return nil, fmt.Errorf("bitmap %d: %d of %d bytes read: %v", i, n, len(encoded), err)
	}
	s.parsed[i].Store(b)
	return b, nil
}

// Check checks every bitmap.
func (s *Set) Check() error {
	for i := range s.count + 1 {
		if _, err := s.bitmap(i); err != nil {
			return err
		}
	}
	return nil
}

// Equal compares the bitmaps with those that a builder has collected anew, and says
// where they differ.
func (s *Set) Equal(b *Builder) error {
	if s.count != len(b.lists) {
		return fmt.Errorf("%d tags, want %d", s.count, len(b.lists))
	}
	for i := range s.count + 1 {
		rows := b.incomplete.rows(&b.store)
		if i < s.count {
			rows, _ = b.Lists(s.tag(i))
		}
		want := rows.bitmap(s.rows)
		got, err := s.bitmap(i)
		if err != nil {
			return err
		}
		if !got.Equals(want) {
			return fmt.Errorf("bitmap %d has %d rows, and not those wanted, %d", i, got.GetCardinality(), want.GetCardinality())
		}
	}
	return nil
}
