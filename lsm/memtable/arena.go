package memtable

import (
	"math/bits"
	"sync/atomic"
)

// An arena gives out pieces of large slabs that hold no pointers, so the garbage
// collector neither scans them nor counts their entries.
//
// Slabs double in size: a table that stays small costs little, one that grows
// needs few slabs and wastes at most about half. Nothing moves and nothing is
// freed before the whole arena is.
//
// Sharing: one writer; readers may use every piece whose reference they got
// through an atomic link, because the writer filled it before it set the link.
type arena struct {
	words     [wordSlabs][]atomic.Uint32
	nextWord  uint32 // reference of the next free word
	bytes     [byteSlabs][]byte
	byteSlab  int
	bytesUsed int // in bytes[byteSlab]
	size      int // total given out, in bytes
}

const (
	wordSlabBits = 9 // the first slab has 512 words
	wordSlabs    = 32 - wordSlabBits
	byteSlabBits = 12 // the first slab has 4 KiB
	byteSlabs    = 48 - byteSlabBits
)

// locate splits a word reference. Slab k holds 512<<k words, so the references in
// slab k begin at 512*(2^k - 1).
func locate(ref uint32) (slab int, off uint32) {
	slab = bits.Len32(ref>>wordSlabBits+1) - 1
	return slab, ref - (1<<slab-1)<<wordSlabBits
}

// word returns the word with this reference.
func (a *arena) word(ref uint32) *atomic.Uint32 {
	slab, off := locate(ref)
	return &a.words[slab][off]
}

// span returns n words from ref on, which lie in one slab.
func (a *arena) span(ref uint32, n int) []atomic.Uint32 {
	slab, off := locate(ref)
	return a.words[slab][off:][:n]
}

// newSpan gives out n words in one slab.
func (a *arena) newSpan(n int) (ref uint32, words []atomic.Uint32) {
	slab, off := locate(a.nextWord)
	if size := uint32(1) << (slab + wordSlabBits); off+uint32(n) > size {
		a.nextWord += size - off
		slab, off = slab+1, 0
	}
	if a.words[slab] == nil {
		a.words[slab] = make([]atomic.Uint32, 1<<(slab+wordSlabBits))
	}
	ref = a.nextWord
	a.nextWord += uint32(n)
	a.size += 4 * n
	return ref, a.words[slab][off:][:n]
}

// store copies b, in one piece, and returns where it is.
func (a *arena) store(b, c []byte) (slab, off int) {
	n := len(b) + len(c)
	for a.bytesUsed+n > 1<<(a.byteSlab+byteSlabBits) {
		a.byteSlab++
		a.bytesUsed = 0
	}
	s := &a.bytes[a.byteSlab]
	if *s == nil {
		*s = make([]byte, 1<<(a.byteSlab+byteSlabBits))
	}
	slab, off = a.byteSlab, a.bytesUsed
	copy((*s)[off:], b)
	copy((*s)[off+len(b):], c)
	a.bytesUsed += n
	a.size += n
	return slab, off
}
