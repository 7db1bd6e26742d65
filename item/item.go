package item

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math/bits"
	"unsafe"
)

// An Item is a set of attributes, names with values, in canonical binary form:
// see the package comment. It is immutable, and safe for concurrent use as
// long as nobody writes to the bytes below it. Values and names taken out of
// it alias it.
//
// The nil Item has no attributes. Where it matters, it means "no such item",
// while an item that exists and has none is not nil.
type Item []byte

// MaxDepth is how many levels of values may be nested. An attribute's value is
// level 1, the elements of a list there are level 2.
const MaxDepth = 32

// directory tells where the parts of an item lie.
type directory struct {
	count   int
	wide    bool
	prints  int // offset of the first print
	ends    int // offset of the first end
	entries int // offset of the first entry
}

func (it Item) directory() directory {
	if len(it) == 0 {
		return directory{}
	}
	head, width := uvarint(it)
	d := directory{count: head >> 2, wide: head&3 == layoutWide, prints: width}
	d.ends = d.prints + d.count
	d.entries = d.ends + d.count*endWidth(d.wide)
	return d
}

const (
	layoutNarrow = 0
	layoutWide   = 1
	maxNarrow    = 1<<16 - 1 // bytes of entries that layoutNarrow can address
)

func endWidth(wide bool) int {
	if wide {
		return 4
	}
	return 2
}

// end returns where entry i ends, counted from the first entry.
func (it Item) end(d *directory, i int) int {
	if d.wide {
		return int(binary.LittleEndian.Uint32(it[d.ends+4*i:]))
	}
	return int(binary.LittleEndian.Uint16(it[d.ends+2*i:]))
}

func (it Item) entry(d *directory, i int) entry {
	start := 0
	if i > 0 {
		start = it.end(d, i-1)
	}
	end := d.entries + it.end(d, i)
	return entry(it[d.entries+start : end : end])
}

// entry is one attribute: | name size uvarint | name | value |.
type entry []byte

func (e entry) name() []byte {
	n, w := uvarint(e)
	return e[w : w+n]
}

func (e entry) value() Value {
	n, w := uvarint(e)
	return Value(e[w+n:])
}

const (
	eachByte = 0x0101010101010101
	highBits = 0x8080808080808080
)

// print hashes a name to one byte. It only has to tell the names of one item
// apart, most of the time, for the price of four loads; it is part of the
// stored form.
func print(name []byte) byte {
	n := len(name)
	h := uint32(name[0]) | uint32(name[n/2])<<8 | uint32(name[n-1])<<16 | uint32(n)<<24
	return byte(h * 0x9E3779B1 >> 24)
}

// Get returns the value of the named attribute.
//
// It compares eight prints at a time and looks only at entries whose print
// fits: usually one cache line for the directory and one for the entry,
// however many attributes there are and however long the others.
func (it Item) Get(name string) (v Value, ok bool) {
	d := it.directory()
	if d.count == 0 || name == "" {
		return nil, false
	}
	want := eachByte * uint64(print(unsafe.Slice(unsafe.StringData(name), len(name))))
	for base := 0; base < d.count; base += 8 {
		differ := it.prints8(d.prints+base) ^ want
		// Marks bytes that are 0; also some above a true one, which the
		// name comparison rejects.
		fits := (differ - eachByte) &^ differ & highBits
		for ; fits != 0; fits &= fits - 1 {
			i := base + bits.TrailingZeros64(fits)/8
			if i >= d.count {
				break
			}
			e := it.entry(&d, i)
			if n, w := uvarint(e); n == len(name) && string(e[w:w+n]) == name {
				return Value(e[w+n:]), true
			}
		}
	}
	return nil, false
}

// prints8 loads eight bytes. Behind the prints come at least as many bytes of
// ends and entries as a load can reach too far, except in the smallest items.
func (it Item) prints8(at int) uint64 {
	if at+8 <= len(it) {
		return binary.LittleEndian.Uint64(it[at:])
	}
	var b [8]byte
	copy(b[:], it[at:])
	return binary.LittleEndian.Uint64(b[:])
}

// Len returns the number of attributes.
func (it Item) Len() int {
	if len(it) == 0 {
		return 0
	}
	head, _ := uvarint(it)
	return head >> 2
}

// All returns the attributes in ascending order of their names' bytes.
//
// The names alias the item like the values: whoever keeps one longer than the
// item's bytes stay unchanged must strings.Clone it.
func (it Item) All() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		d := it.directory()
		for b, i := it[d.entries:], 0; i < d.count; i++ {
			n, w := uvarint(b)
			name := unsafe.String(unsafe.SliceData(b[w:]), n)
			var v Value
			if v, b = first(b[w+n:]); !yield(name, v) {
				return
			}
		}
	}
}

// Equal reports whether both items have the same attributes. Items without
// attributes are equal, nil or not.
func (it Item) Equal(other Item) bool {
	return bytes.Equal(it, other) || it.Len() == 0 && other.Len() == 0
}

// Size returns the item's size in bytes as DynamoDB bills and limits it: the
// names and values of all attributes.
func (it Item) Size() int {
	d := it.directory()
	size := 0
	for b, i := it[d.entries:], 0; i < d.count; i++ {
		n, w := uvarint(b)
		var v Value
		v, b = first(b[w+n:])
		size += n + v.Size()
	}
	return size
}

// Depth returns the depth of the deepest value, 0 without attributes.
func (it Item) Depth() int {
	d := it.directory()
	deepest := 0
	for i := range d.count {
		deepest = max(deepest, it.entry(&d, i).value().Depth())
	}
	return deepest
}
