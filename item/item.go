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

// entries returns the entries, one after the other, and how many they are.
func (it Item) entries() (entries []byte, count int) {
	if len(it) == 0 {
		return nil, 0
	}
	code, at := uvarint(it)
	count = code >> 2
	return it[at+count+count*endWidth(code&3 == layoutWide):], count
}

// entry returns entry i: | name size uvarint | name | value |.
func (it Item) entry(i int) []byte {
	code, at := uvarint(it)
	count := code >> 2
	ends := it[at+count:]
	start, end := 0, 0
	if code&3 == layoutWide {
		if end = int(binary.LittleEndian.Uint32(ends[4*i:])); i > 0 {
			start = int(binary.LittleEndian.Uint32(ends[4*i-4:]))
		}
		ends = ends[4*count:]
	} else {
		if end = int(binary.LittleEndian.Uint16(ends[2*i:])); i > 0 {
			start = int(binary.LittleEndian.Uint16(ends[2*i-2:]))
		}
		ends = ends[2*count:]
	}
	return ends[start:end:end]
}

// firstEntry splits the first entry off a sequence of entries.
func firstEntry(b []byte) (name []byte, v Value, rest []byte) {
	n, w := uvarint(b)
	name = b[w : w+n]
	v, rest = first(b[w+n:])
	return name, v, rest
}

const (
	eachByte = 0x0101010101010101
	highBits = 0x8080808080808080
)

// printOf hashes a name to one byte. It only has to tell the names of one item
// apart, most of the time, for the price of three loads; it is part of the
// stored form.
func printOf(name []byte) byte {
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
	if len(it) == 0 || name == "" {
		return nil, false
	}
	code, prints := uvarint(it)
	count := code >> 2
	want := eachByte * uint64(printOf(unsafe.Slice(unsafe.StringData(name), len(name))))
	for base := 0; base < count; base += 8 {
		differ := it.load8(prints+base) ^ want
		// Marks bytes that are 0; also some above a true one, which the
		// name comparison rejects.
		fits := (differ - eachByte) &^ differ & highBits
		for ; fits != 0; fits &= fits - 1 {
			i := base + bits.TrailingZeros64(fits)/8
			if i >= count {
				break
			}
			if v := it.valueAt(i, name); v != nil {
				return v, true
			}
		}
	}
	return nil, false
}

// valueAt returns the value of attribute i if it has the given name, else nil.
func (it Item) valueAt(i int, name string) Value {
	e := it.entry(i)
	n, w := uvarint(e)
	if n != len(name) || string(e[w:w+n]) != name {
		return nil
	}
	return Value(e[w+n:])
}

// load8 loads the eight bytes at an offset inside the item, zeros behind it.
func (it Item) load8(at int) uint64 {
	if at+8 <= len(it) {
		return binary.LittleEndian.Uint64(it[at:])
	}
	return it.load8Short(at)
}

// load8Short is for an item with one tiny attribute; all others have eight
// bytes or more behind the last print.
//
//go:noinline
func (it Item) load8Short(at int) uint64 {
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
		var name []byte
		var v Value
		for b, n := it.entries(); n > 0; n-- {
			name, v, b = firstEntry(b)
			if !yield(unsafe.String(unsafe.SliceData(name), len(name)), v) {
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
	size := 0
	var name []byte
	var v Value
	for b, n := it.entries(); n > 0; n-- {
		name, v, b = firstEntry(b)
		size += len(name) + v.Size()
	}
	return size
}

// Depth returns the depth of the deepest value, 0 without attributes.
func (it Item) Depth() int {
	deepest := 0
	for _, v := range it.All() {
		deepest = max(deepest, v.Depth())
	}
	return deepest
}
