package memtable

import (
	"sync/atomic"
	"unsafe"

	"github.com/statordb/stator/internal/offheap"
	"github.com/statordb/stator/internal/prefetch"
)

// A hashIndex leads from a user key to its newest record, usually at the price of
// one cache line; of a key that is not there it nearly always knows without
// looking at any record.
//
// It is an open-addressed table of 64-byte lines of eight slots. A key's tag, the upper
// half of its hash, picks the line by its leading bits and stands in the slot beside
// the record:
//
//	slot = tag 32 bits | ref 32 bits       0: free
//
// A line is filled from its first slot on; a key whose line is full goes to the next
// line. So a search ends at a free slot.
//
// Sharing: one writer; a slot changes by one atomic store: from free to a record, or
// from a record to a newer one of the same key. To grow, the writer fills
// a table of twice the size and publishes it as a whole; readers of the old one find
// what was there before, which is all that they know of.
type hashIndex struct {
	pool   *Pool
	memory []byte
	slots  []atomic.Uint64
	shift  uint // a tag's line is tag >> shift
	mask   int  // number of lines - 1
}

const (
	lineSlots    = 8
	minLineBits  = 3
	maxLineBits  = 28
	fullPer1000  = 650 // beyond this many used slots of 1000 the index grows
	slotBytes    = 8
	bytesPerSlot = slotBytes * 1000 / fullPer1000
)

// newHashIndex returns an index with room for a number of keys.
func newHashIndex(pool *Pool, keys int) *hashIndex {
	lineBits := uint(minLineBits)
	for lineBits < maxLineBits && keys*1000 > fullPer1000*lineSlots<<lineBits {
		lineBits++
	}
	h := &hashIndex{pool: pool, shift: 32 - lineBits, mask: 1<<lineBits - 1}
	h.memory = pool.take(slotBytes*lineSlots<<lineBits, true)
	h.slots = offheap.Words(h.memory)
	return h
}

// full reports whether the index should grow before it takes another key.
func (h *hashIndex) full(keys int) bool {
	return keys*1000 >= fullPer1000*len(h.slots) && h.shift > 32-maxLineBits
}

// grown returns an index of twice the size with the same content. A line's keys go to
// two neighbouring lines, so both indexes are walked through in order.
func (h *hashIndex) grown() *hashIndex {
	g := newHashIndex(h.pool, 2*len(h.slots)*fullPer1000/1000)
	for i := range h.slots {
		if s := h.slots[i].Load(); s != 0 {
			g.slots[g.place(uint32(s>>32))].Store(s)
		}
	}
	return g
}

// prefetch asks for the line where find will begin.
func (h *hashIndex) prefetch(hash uint64) {
	prefetch.Line(unsafe.Pointer(&h.slots[int(uint32(hash>>32)>>h.shift)*lineSlots]))
}

// place returns a free slot for a tag.
func (h *hashIndex) place(tag uint32) int {
	for line := int(tag >> h.shift); ; line = (line + 1) & h.mask {
		for i := line * lineSlots; i < (line+1)*lineSlots; i++ {
			if h.slots[i].Load() == 0 {
				return i
			}
		}
	}
}

// find returns the slot of a user key and its newest record, or the free slot where
// it belongs and a nil record.
func (h *hashIndex) find(a *arena, user []byte, hash uint64) (slot int, newest ref, rec record) {
	tag := uint32(hash >> 32)
	for line := int(tag >> h.shift); ; line = (line + 1) & h.mask {
		slots := h.slots[line*lineSlots:][:lineSlots]
		for i := range slots {
			s := slots[i].Load()
			if s == 0 {
				return line*lineSlots + i, 0, nil
			}
			if uint32(s>>32) == tag {
				rec := a.record(ref(s))
				if string(rec.user()) == string(user) {
					return line*lineSlots + i, ref(s), rec
				}
			}
		}
	}
}

func (h *hashIndex) set(slot int, hash uint64, r ref) {
	h.slots[slot].Store(hash>>32<<32 | uint64(r))
}

func (h *hashIndex) free() {
	h.pool.give(h.memory, true)
	h.memory, h.slots = nil, nil
}
