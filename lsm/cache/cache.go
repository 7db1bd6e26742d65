// Package cache keeps decoded blocks of tables in memory outside of the Go heap.
//
// A hit costs what reading the block itself costs, and one cache line more. There is
// no table of hashes: whoever reads a file of n blocks has n slots, one word for each
// block, and the slot says where the block lies. And there are no reference
// counts: a reader reads optimistically, takes what it wants out of the block, and
// then asks whether the block was still there (as with a seqlock). If not, what it
// read may be any bytes, and it throws them away.
//
//	slot of block j ──► segment 17, generation 5, line 40
//	                        │
//	   segment 16    [ frame | frame | frame ....  ]   generation 9
//	   segment 17    [ frame | frame |FRAME| ....  ]   generation 5
//	   segment 18    [ frame | ...        ← filling]   generation 8
//
// Memory is cut into segments, and blocks of any size are laid one behind the other
// into the segment being filled. When none is left, the oldest segment is
// emptied: blocks that were touched since they came move to the one being
// filled, the others go. So eviction is CLOCK, a segment at a time: a hit sets a bit
// in the slot, once, and takes no lock.
//
// Who reads much of a block in place, over a longer time, pins it instead: the segment is
// then not filled anew until it is unpinned. Pins are counted per segment, and only iterators
// take them; a Get does without. Where pins would keep too many segments from being
// emptied, no new ones are given out.
//
// What is read once should not push out what is read often. While there is room every
// block is admitted; after that only one that was missed before, at most half as
// many misses ago as the cache has room for blocks. The slot of a block that is not
// there remembers when that was. See Johnson and Shasha, "2Q" (VLDB 1994): the slots
// are its A1out.
package cache

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
	"unsafe"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/offheap"
	"github.com/statordb/stator/internal/prefetch"
)

// Segments have 256 KiB, fewer where the cache is so small that it would have but a
// few of them. Emptying one copies at most three quarters of it, some 20 µs: a
// delay for one miss of many.
const (
	maxSegmentShift = 18
	minSegmentShift = 10
	wantSegments    = 32
	minSegments     = 3 // one filled, one being filled, one to empty into

	lineBytes = 64
)

// A frame is a block in a segment. Frames start on a line.
//
//	bytes 4B | block 4B | owner 8B | block
const frameHeaderBytes = 16

// A slot, as a word:
//
//	bit 0       1: there is a frame
//	bit 1       it was touched
//	bits 2-15   line of the segment
//	bits 16-39  segment
//	bits 40-63  generation of the segment, the low 24 bits
//
// or, without a frame, the time of the last miss × 2, and 0 if there was none.
const (
	isFrame    = 1 << 0
	isTouched  = 1 << 1
	lineShift  = 2
	segShift   = 16
	genShift   = 40
	lineMask   = 1<<(segShift-lineShift) - 1
	segMask    = 1<<(genShift-segShift) - 1
	genMask    = 1<<(64-genShift) - 1
	ghostShift = 1
)

// A Cache is safe for concurrent use. It is made by New.
type Cache struct {
	memory      []byte          // all segments; nil until the first block comes
	shift       int             // a segment has 1 << shift bytes
	generations []atomic.Uint32 // of each segment; changed under mu
	pins        []atomic.Int32  // of each segment
	crowded     atomic.Bool     // pins are in the way; set under mu
	room        atomic.Bool     // blocks come in without a second miss; set under mu
	misses      atomic.Uint64
	hits        atomic.Uint64

	// mu guards the fields below it, and what slots say of frames. Nothing waits or
	// yields under it, so it need not be bound to a world.
	mu       env.Leaf
	segments []segment
	filling  uint32
	ring     []uint32 // filled segments, oldest first
	spare    []uint32 // emptied segments
	held     []uint32 // emptied segments that were pinned at that moment
	unused   []uint32 // segments without memory
	limit    int      // segments that may be used
	inUse    int      // segments that are: filling, ring, spare and held
	owners   map[uint64]*Slots
	lastID   uint64
	closed   bool
	stats    Stats
}

type segment struct {
	used    int // bytes
	writers int // who fill frames of it just now
}

// Stats count since New.
type Stats struct {
	Bytes, LimitBytes int64  // of memory used, and that may be used
	Hits              uint64 // an estimate: see Count
	Misses            uint64
	Added, Moved      uint64 // blocks that came in, and that were kept when their segment was emptied
	Evicted           uint64
}

// New returns a cache that uses at most capacity bytes, once it is needed. If that is
// less than a few KiB, it keeps nothing.
func New(capacity int64) *Cache {
	capacity = max(capacity, 0)
	shift := min(max(bits.Len64(uint64(capacity)/wantSegments)-1, minSegmentShift), maxSegmentShift)
	n := min(int(capacity>>shift), segMask)
	if n < minSegments {
		n = 0
	}
	c := &Cache{
		shift: shift, generations: make([]atomic.Uint32, n), pins: make([]atomic.Int32, n),
		segments: make([]segment, n), limit: n, owners: map[uint64]*Slots{},
	}
	c.room.Store(n > 0)
	for i := range n {
		c.unused = append(c.unused, uint32(n-1-i))
	}
	return c
}

// MaxBlockBytes is the size of the largest block that is kept: there is always room
// for one when a segment has been emptied.
func (c *Cache) MaxBlockBytes() int { return 1<<c.shift/4 - frameHeaderBytes }

// SetLimit changes how many bytes may be used, up to the capacity. Memory beyond the
// limit is given back to the system.
func (c *Cache) SetLimit(limit int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.limit = min(int(max(limit, 0)>>c.shift), len(c.segments))
	for c.inUse > max(c.limit, minSegments) && c.emptyLocked() {
		n := c.popLocked()
		offheap.Discard(c.memory[int(n)<<c.shift : (int(n)+1)<<c.shift])
		c.unused = append(c.unused, n)
		c.inUse--
	}
	c.room.Store(c.inUse < c.limit)
}

// Slots are where the blocks of one file are. They are made by Own.
type Slots struct {
	id    uint64
	words []atomic.Uint64
}

// Bytes is the size of the slots.
func (s *Slots) Bytes() int { return 8 * len(s.words) }

// Own returns slots for a file of n blocks.
func (c *Cache) Own(n int) *Slots {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID++
	s := &Slots{id: c.lastID, words: make([]atomic.Uint64, n)}
	c.owners[s.id] = s
	return s
}

// Disown forgets a file, which nobody reads any more. Its blocks go when their segments
// are emptied.
func (c *Cache) Disown(s *Slots) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.owners, s.id)
	c.freeLocked()
}

// Close ends the use of the cache. Its memory is given back when the last file has been
// disowned.
func (c *Cache) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.freeLocked()
}

func (c *Cache) freeLocked() {
	if c.closed && len(c.owners) == 0 && c.memory != nil {
		offheap.Free(c.memory)
		c.memory, c.inUse = nil, 0
	}
}

// A Place names the bytes that Find or Pin returned. It is not 0.
type Place uint64

// Find returns block j if it is there. Its bytes may be overwritten at any time: the
// caller copies what it needs, must survive any bytes, and believes them only if
// Holds says so afterwards.
func (c *Cache) Find(s *Slots, j int) (block []byte, p Place, ok bool) {
	slot := &s.words[j]
	word := slot.Load()
	if word&isFrame == 0 || !c.holds(word) {
		return nil, 0, false
	}
	if word&isTouched == 0 {
		// If the slot has changed meanwhile, the touch is lost, which is no harm.
		slot.CompareAndSwap(word, word|isTouched)
	}
	at := c.at(word)
	n := int(binary.LittleEndian.Uint32(c.memory[at:]))
	at += frameHeaderBytes
	if n > 1<<c.shift || at+n > len(c.memory) {
		return nil, 0, false // overwritten
	}
	return c.memory[at : at+n : at+n], Place(word), true
}

// Pin returns block j if it is there and can be pinned. Its bytes stay as they are until
// Unpin, which the caller must call, once.
func (c *Cache) Pin(s *Slots, j int) (block []byte, p Place, ok bool) {
	slot := &s.words[j]
	word := slot.Load()
	if word&isFrame == 0 || c.crowded.Load() {
		return nil, 0, false
	}
	// A reader will want the head of the block and most slots, which lie behind it.
	prefetch.Lines(unsafe.Pointer(&c.memory[c.at(word)]), headLines*lineBytes)
	// Whoever empties a segment changes its generation first and looks for pins
	// then. So either it is seen here that the block is gone, or the pin is seen there.
	c.pins[word>>segShift&segMask].Add(1)
	if !c.holds(word) {
		c.Unpin(Place(word))
		return nil, 0, false
	}
	if word&isTouched == 0 {
		slot.CompareAndSwap(word, word|isTouched)
	}
	at := c.at(word)
	n := int(binary.LittleEndian.Uint32(c.memory[at:]))
	at += frameHeaderBytes
	return c.memory[at : at+n : at+n], Place(word), true
}

// headLines is how many lines of a block are asked for when it is pinned.
const headLines = 4

// Unpin ends the use of what Pin returned.
func (c *Cache) Unpin(p Place) { c.pins[uint64(p)>>segShift&segMask].Add(-1) }

// Pinned is how many pins there are.
func (c *Cache) Pinned() (n int) {
	for i := range c.pins {
		n += int(c.pins[i].Load())
	}
	return n
}

// HasRoom reports whether there is memory that no block uses yet. What comes in then
// pushes out nothing, even if it is read once.
func (c *Cache) HasRoom() bool { return c.room.Load() }

// Holds reports whether the bytes at p were, up to now, what Find promised.
func (c *Cache) Holds(p Place) bool {
	loadsDone()
	return c.holds(uint64(p))
}

func (c *Cache) holds(word uint64) bool {
	return uint64(c.generations[word>>segShift&segMask].Load())&genMask == word>>genShift
}

// at is where the frame of a slot starts in memory.
func (c *Cache) at(word uint64) int {
	return int(word>>segShift&segMask)<<c.shift + int(word>>lineShift&lineMask)*lineBytes
}

// Count adds to the hits that Stats tells. The hit path is too short to count every
// hit, so callers count one of n, and n at once.
func (c *Cache) Count(hits uint64) { c.hits.Add(hits) }

// Stats tells what happened so far.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Bytes, s.LimitBytes = int64(c.inUse)<<c.shift, int64(c.limit)<<c.shift
	s.Hits, s.Misses = c.hits.Load(), c.misses.Load()
	return s
}
