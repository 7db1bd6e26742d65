package item

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"
)

// A ref points at one part of something that is being put together in a
// buffer, an entry of an item or a member of a set. Refs are made in the order
// in which the parts arrive and then sorted by key: an entry's name, a
// member's content. Offsets are 32 bits wide to make refs quick to move; the
// largest request is 16 MiB.
type ref struct {
	prefix      uint64 // of the key
	start, end  uint32 // the part
	key, keyEnd uint32 // the key, inside the part
}

// newRef makes a ref for the part buf[start:] with the key buf[key:keyEnd].
func newRef(buf []byte, start, key, keyEnd int) ref {
	return ref{prefix(buf[key:keyEnd]), uint32(start), uint32(len(buf)), uint32(key), uint32(keyEnd)}
}

func (r *ref) size() int { return int(r.end - r.start) }

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
//
// Up to 24 refs, more than most items have attributes, are inserted one by
// one; comparing prefixes in line made that three times as quick as a call of
// slices.SortFunc.
func sortRefs(buf []byte, refs []ref) (moved, equal bool) {
	if len(refs) > 24 {
		return sortManyRefs(buf, refs)
	}
	for i := 1; i < len(refs); i++ {
		r := refs[i]
		j := i
		for ; j > 0; j-- {
			left := &refs[j-1]
			if left.prefix < r.prefix {
				break
			}
			if left.prefix == r.prefix {
				c := left.compare(&r, buf)
				equal = equal || c == 0
				if c <= 0 {
					break
				}
			}
			refs[j] = *left
		}
		if j < i {
			refs[j] = r
			moved = true
		}
	}
	return moved, equal
}

func sortManyRefs(buf []byte, refs []ref) (moved, equal bool) {
	for i := 1; i < len(refs) && !moved; i++ {
		moved = refs[i-1].compare(&refs[i], buf) > 0
	}
	if moved {
		slices.SortFunc(refs, func(a, b ref) int {
			if c := a.compare(&b, buf); c != 0 {
				return c
			}
			return int(a.start) - int(b.start)
		})
	}
	for i := 1; i < len(refs) && !equal; i++ {
		equal = refs[i-1].compare(&refs[i], buf) == 0
	}
	return moved, equal
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
func layOutItem(dst []byte, base int, refs []ref) []byte {
	moved, equal := sortRefs(dst, refs)
	if equal {
		refs = keepLast(dst, refs)
	}
	size := 0
	for i := range refs {
		size += refs[i].size()
	}
	h := newHead(len(refs), size)
	dst = arrange(dst, base, h.width, size, refs, moved || equal)
	h.write(dst[base:], refs)
	return dst
}

// arrange puts the parts of dst[base:] that refs point at, size bytes in all,
// in the order of refs, with room for a gap of bytes before them.
//
// Cost: one move of the parts if only the gap has to be made, else two copies.
func arrange(dst []byte, base, gap, size int, refs []ref, moved bool) []byte {
	if !moved {
		dst = slices.Grow(dst, gap)[:base+gap+size]
		copy(dst[base+gap:], dst[base:base+size])
		return dst
	}
	arrived := scratch.Get().(*[]byte)
	parts := append((*arrived)[:0], dst[base:]...)
	dst = slices.Grow(dst[:base], gap+size)[:base+gap]
	for i := range refs {
		dst = append(dst, parts[int(refs[i].start)-base:int(refs[i].end)-base]...)
	}
	if cap(parts) <= maxScratch {
		*arrived = parts
		scratch.Put(arrived)
	}
	return dst
}

// scratch holds memory for arrange, so that a parser needs no more room in its
// caller's buffer than the item takes in the end.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

const maxScratch = 1 << 20 // bytes; larger ones are not kept

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

// write fills in the head of it, whose entries stand in place already, in the
// order of refs. The appends stay inside of it.
func (h *head) write(it []byte, refs []ref) {
	prints := appendUvarint(it[:0], h.code())
	ends := prints[:len(prints)+h.count]
	end := 0
	for i := range refs {
		r := &refs[i]
		name := it[h.width+end+int(r.key-r.start):][:r.keyEnd-r.key]
		prints = append(prints, printOf(name))
		if end += r.size(); h.wide {
			ends = binary.LittleEndian.AppendUint32(ends, uint32(end))
		} else {
			ends = binary.LittleEndian.AppendUint16(ends, uint16(end))
		}
	}
}

// end reads where entry i ends from the head of it, whose prints begin at the
// given offset.
func (h *head) end(it []byte, prints, i int) int {
	ends := it[prints+h.count:]
	if h.wide {
		return int(binary.LittleEndian.Uint32(ends[4*i:]))
	}
	return int(binary.LittleEndian.Uint16(ends[2*i:]))
}

// layOutSet turns the members in dst[base:], which refs point at in order of
// arrival, into the payload of a set there. It reports equal members and then
// leaves dst as it was.
func layOutSet(dst []byte, base int, refs []ref) (set []byte, equal bool) {
	moved, equal := sortRefs(dst, refs)
	if equal {
		return dst, true
	}
	gap := uvarintWidth(len(refs))
	dst = arrange(dst, base, gap, len(dst)-base, refs, moved)
	appendUvarint(dst[:base], len(refs))
	return dst, false
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
