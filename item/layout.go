package item

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// A ref points at one part of something that is being put together in a
// buffer, an entry of an item or a member of a set. Refs are made in the order
// in which the parts arrive and then sorted by key: an entry's name, a
// member's content.
type ref struct {
	start, end  int // the part
	key, keyEnd int // its key
	prefix      uint64
}

// newRef makes a ref for the part buf[start:] with the key buf[key:keyEnd].
func newRef(buf []byte, start, key, keyEnd int) ref {
	return ref{start, len(buf), key, keyEnd, prefix(buf[key:keyEnd])}
}

// prefix returns the first eight bytes, with zeros behind a shorter text, as a
// number that orders like them. It decides most comparisons of keys.
func prefix(b []byte) uint64 {
	if len(b) >= 8 {
		return binary.BigEndian.Uint64(b)
	}
	var p uint64
	for i, c := range b {
		p |= uint64(c) << (56 - 8*i)
	}
	return p
}

// compare orders refs by key.
func (r *ref) compare(other *ref, buf []byte) int {
	switch {
	case r.prefix < other.prefix:
		return -1
	case r.prefix > other.prefix:
		return 1
	}
	return bytes.Compare(buf[r.key:r.keyEnd], buf[other.key:other.keyEnd])
}

// sortRefs sorts by key, and equal keys by arrival. It reports whether
// anything moved and whether there are equal keys.
func sortRefs(buf []byte, refs []ref) (moved, equal bool) {
	for i := 1; i < len(refs); i++ {
		c := refs[i-1].compare(&refs[i], buf)
		moved = moved || c > 0
		equal = equal || c == 0
	}
	if !moved {
		return false, equal
	}
	slices.SortFunc(refs, func(a, b ref) int {
		if c := a.compare(&b, buf); c != 0 {
			return c
		}
		return a.start - b.start
	})
	for i := 1; i < len(refs) && !equal; i++ {
		equal = refs[i-1].compare(&refs[i], buf) == 0
	}
	return true, equal
}

// keepLast drops each ref whose successor has the same key.
func keepLast(buf []byte, refs []ref) []ref {
	kept := refs[:0]
	for i := range refs {
		if i+1 == len(refs) || refs[i].compare(&refs[i+1], buf) != 0 {
			kept = append(kept, refs[i])
		}
	}
	return kept
}

// layOutItem turns the entries in dst[base:], which refs point at in order of
// arrival, into an item there. Of several entries with one name the last one
// counts, as when a map is filled. refs is used up.
//
// Cost: one move of the entries if they arrived in order, else two.
func layOutItem(dst []byte, base int, refs []ref) []byte {
	moved, equal := sortRefs(dst, refs)
	if equal {
		refs = keepLast(dst, refs)
	}
	size := 0
	for i := range refs {
		size += refs[i].end - refs[i].start
	}
	h := newHead(len(refs), size)
	if moved || equal {
		dst = gather(dst, base, refs)
	}
	dst = slices.Grow(dst, h.width)[:base+h.width+size]
	copy(dst[base+h.width:], dst[base:base+size])
	h.write(dst[base:])
	return dst
}

// gather replaces dst[base:] by the parts that refs point at, in their order.
// It goes through the space behind dst.
func gather(dst []byte, base int, refs []ref) []byte {
	arrived := len(dst)
	for i := range refs {
		dst = append(dst, dst[refs[i].start:refs[i].end]...)
	}
	return append(dst[:base], dst[arrived:]...)
}

// A head is what stands before the entries of an item.
type head struct {
	count, width int
	wide         bool
}

func newHead(count, size int) head {
	h := head{count: count, wide: size > maxNarrow}
	h.width = uvarintWidth(h.code()) + count + count*endWidth(h.wide)
	return h
}

// code is the uvarint that an item begins with.
func (h *head) code() int {
	if h.wide {
		return h.count<<2 | layoutWide
	}
	return h.count<<2 | layoutNarrow
}

// write fills in the head of it, whose entries stand in place already.
func (h *head) write(it []byte) {
	prints := appendUvarint(it[:0], h.code())
	ends := prints[:len(prints)+h.count]
	prints = it[:len(prints)]
	at := h.width
	for range h.count {
		n, w := uvarint(it[at:])
		prints = append(prints, print(it[at+w:at+w+n]))
		_, rest := first(it[at+w+n:])
		at = len(it) - len(rest)
		ends = appendEnd(ends, at-h.width, h.wide)
	}
}

func appendEnd(dst []byte, end int, wide bool) []byte {
	if wide {
		return binary.LittleEndian.AppendUint32(dst, uint32(end))
	}
	return binary.LittleEndian.AppendUint16(dst, uint16(end))
}

// layOutSet turns the members in dst[base:], which refs point at in order of
// arrival, into the payload of a set there. It reports equal members and then
// leaves dst as it was.
func layOutSet(dst []byte, base int, refs []ref) (set []byte, equal bool) {
	moved, equal := sortRefs(dst, refs)
	if equal {
		return dst, true
	}
	if moved {
		dst = gather(dst, base, refs)
	}
	return insertUvarint(dst, base, len(refs)), false
}

// insertUvarint inserts n at dst[at:].
func insertUvarint(dst []byte, at, n int) []byte {
	size := len(dst) - at
	width := uvarintWidth(n)
	dst = slices.Grow(dst, width)[:len(dst)+width]
	copy(dst[at+width:], dst[at:at+size])
	appendUvarint(dst[:at], n)
	return dst
}

// appendHeader begins a value whose payload size is known.
func appendHeader(dst []byte, t Type, size int) []byte {
	return appendUvarint(append(dst, byte(t)), size)
}

// closeValue completes the value that begins at dst[start:] with its tag and
// one byte kept free for the size of what follows.
func closeValue(dst []byte, start int) []byte {
	size := len(dst) - start - 2
	if size < 0x80 {
		dst[start+1] = byte(size)
		return dst
	}
	more := uvarintWidth(size) - 1
	dst = slices.Grow(dst, more)[:len(dst)+more]
	copy(dst[start+2+more:], dst[start+2:])
	appendUvarint(dst[:start+1], size)
	return dst
}
