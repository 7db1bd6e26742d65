package sstable

import (
	"encoding/binary"
	"math/bits"
)

// A block of entries and a node of the index have the same problem: find a key
// among some dozens of sorted ones while touching as few cache lines as
// possible. Both solve it with heads.
//
// A head is a key in a few bits: 16 in a data block, 24 in the index. All keys
// of the block share a prefix, which says nothing. The eight bytes behind it are
// the key's window, as a big-endian integer, with zeros behind the end of a short
// key. Windows are scaled so that the first key's head is 0 and the last key's
// about the largest:
//
//	head = floor((window - base) × scale / 2^64)      at most 2^bits - 1
//
// where base is the window of the first key and scale by spreadOver.
// Heads never decrease from key to key, so a search for a key's head leaves only
// the entries with an equal one to be compared in full: usually one or none.
//
// Because heads fill their range, they also tell where to look. Keys are often
// hashes or counters, evenly spread within a block, and then the entry lies near
// head × count / 2^bits. A search starts there and touches one cache line where
// a binary search would touch three to five.
//
// A slot is a head with the place of what it stands for in the low bits, so one
// load yields both. Slots are sorted as integers.
const (
	entryHeadBits = 16 // above a place of 16 bits
	blockHeadBits = 24 // above a file offset of 40 bits: 1 TiB
	offsetBits    = 64 - blockHeadBits
)

// window is the eight bytes of k from position from on. A position behind the
// end of k reads as zeros.
func window(k []byte, from int) uint64 {
	n := len(k) - from
	switch {
	case n >= 8:
		return binary.BigEndian.Uint64(k[from:])
	case n <= 0:
		return 0
	case len(k) >= 8: // read the last eight bytes and drop those in front
		return binary.BigEndian.Uint64(k[len(k)-8:]) << (64 - 8*n)
	}
	w := uint64(0)
	for _, c := range k[from:] {
		w = w<<8 | uint64(c)
	}
	return w << (64 - 8*n)
}

// A spread turns windows into heads.
type spread struct {
	base, scale uint64
}

// spreadOver spreads windows from base to last over all heads of that many bits.
// Where there are fewer windows than heads it does not stretch them.
func spreadOver(base, last uint64, headBits int) spread {
	most := uint64(1)<<headBits - 1
	if last-base <= most {
		return spread{base: base, scale: 1<<64 - 1}
	}
	scale, _ := bits.Div64(most, 0, last-base)
	return spread{base: base, scale: scale}
}

// head is the head of w. ok is false if w lies outside of the windows that s
// was made for; head is then 0 (w is less than all) or too large.
func (s spread) head(w uint64, headBits int) (head uint64, ok bool) {
	if w < s.base {
		return 0, false
	}
	head, _ = bits.Mul64(w-s.base, s.scale)
	return head, head < 1<<headBits
}

// commonPrefix is the length of the longest common prefix of a and b.
func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if x := little.Uint64(a[i:]) ^ little.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// nearSteps is how far a search walks from where it expects the head before it
// gives up on even spread and bisects: two cache lines of slots.
const nearSteps = 16

// Slots of a data block: head in the upper, place in the lower 16 bits, stored
// one after the other in the block.

// searchSlots32 finds the slots with the given head, [lower, upper), among the
// count slots at the start of b; lower is where they would be if there are none.
func searchSlots32(b []byte, count int, head uint64) (lower, upper int) {
	target := uint32(head) << 16
	i := int(head * uint64(count) >> entryHeadBits)
	b = b[:4*count]
	if i < count && little.Uint32(b[4*i:]) < target {
		i = slots32Up(b, i+1, count, target)
	} else {
		i = slots32Down(b, i, target)
	}
	upper = i
	for upper < count && little.Uint32(b[4*upper:])>>16 == uint32(head) {
		upper++
	}
	return i, upper
}

// slots32Up finds the first slot from i on that is not less than target.
func slots32Up(b []byte, i, count int, target uint32) int {
	for end := min(i+nearSteps, count); i < end; i++ {
		if little.Uint32(b[4*i:]) >= target {
			return i
		}
	}
	return bisectSlots32(b, i, count, target)
}

// slots32Down finds the first slot not less than target, which is not behind i.
func slots32Down(b []byte, i int, target uint32) int {
	for end := max(i-nearSteps, 0); i > end; i-- {
		if little.Uint32(b[4*(i-1):]) < target {
			return i
		}
	}
	return bisectSlots32(b, 0, i, target)
}

func bisectSlots32(b []byte, lower, upper int, target uint32) int {
	for lower < upper {
		mid := int(uint(lower+upper) >> 1)
		if little.Uint32(b[4*mid:]) < target {
			lower = mid + 1
		} else {
			upper = mid
		}
	}
	return lower
}

// Slots of an index node: head in the upper 24, offset of the data block in the
// lower 40 bits, decoded when the table is opened.

// searchSlots64 is searchSlots32 for the index.
func searchSlots64(slots []uint64, head uint64) (lower, upper int) {
	target := head << offsetBits
	i := int(head * uint64(len(slots)) >> blockHeadBits)
	if i < len(slots) && slots[i] < target {
		i = slots64Up(slots, i+1, target)
	} else {
		i = slots64Down(slots, i, target)
	}
	upper = i
	for upper < len(slots) && slots[upper]>>offsetBits == head {
		upper++
	}
	return i, upper
}

func slots64Up(slots []uint64, i int, target uint64) int {
	for end := min(i+nearSteps, len(slots)); i < end; i++ {
		if slots[i] >= target {
			return i
		}
	}
	return bisectSlots64(slots, i, len(slots), target)
}

func slots64Down(slots []uint64, i int, target uint64) int {
	for end := max(i-nearSteps, 0); i > end; i-- {
		if slots[i-1] < target {
			return i
		}
	}
	return bisectSlots64(slots, 0, i, target)
}

func bisectSlots64(slots []uint64, lower, upper int, target uint64) int {
	for lower < upper {
		mid := int(uint(lower+upper) >> 1)
		if slots[mid] < target {
			lower = mid + 1
		} else {
			upper = mid
		}
	}
	return lower
}
