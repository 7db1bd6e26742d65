package cache

import (
	"encoding/binary"
	"slices"

	"github.com/statordb/stator/internal/offheap"
)

// Add is told of a miss: block j was not there and has been decoded. It keeps a copy if
// the block deserves it. The caller uses Add for scans only while the cache HasRoom; later
// they would fill it with what nobody asks for again.
func (c *Cache) Add(s *Slots, j int, block []byte) {
	now := c.misses.Add(1)
	size := (frameHeaderBytes + len(block) + lineBytes - 1) &^ (lineBytes - 1)
	if len(block) > c.MaxBlockBytes() || len(c.segments) == 0 {
		return
	}
	word, ok := c.reserve(s, j, size, now)
	if !ok {
		return
	}
	frame := c.memory[c.at(word):]
	binary.LittleEndian.PutUint32(frame, uint32(len(block)))
	binary.LittleEndian.PutUint32(frame[4:], uint32(j))
	binary.LittleEndian.PutUint64(frame[8:], s.id)
	copy(frame[frameHeaderBytes:], block)
	c.publish(s, j, word)
}

// reserve finds room for a block of size bytes, if it is admitted. The segment is not
// emptied before publish.
func (c *Cache) reserve(s *Slots, j, size int, now uint64) (word uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.owners[s.id] != s || !c.admitLocked(s, j, size, now) {
		return 0, false
	}
	if !c.roomLocked(size) {
		return 0, false
	}
	seg := &c.segments[c.filling]
	seg.writers++
	return c.takeLocked(size), true
}

// admitLocked decides whether a block that was missed comes in.
func (c *Cache) admitLocked(s *Slots, j, size int, now uint64) bool {
	slot := &s.words[j]
	old := slot.Load()
	if old&isFrame != 0 && c.holds(old) { // someone else was quicker
		return false
	}
	if c.inUse < c.limit {
		return true
	}
	recent := uint64(c.limit<<c.shift) / uint64(size) / 2
	if seen := old >> ghostShift; old&isFrame == 0 && old != 0 && now-seen <= recent {
		return true
	}
	slot.Store(now << ghostShift)
	return false
}

// roomLocked sees to it that the segment being filled has room.
func (c *Cache) roomLocked(size int) bool {
	if c.memory == nil {
		c.memory = offheap.Alloc(len(c.segments) << c.shift)
		c.filling = c.freshLocked()
	}
	if c.segments[c.filling].used+size <= 1<<c.shift {
		return true
	}
	var next uint32
	switch {
	case c.inUse < c.limit:
		next = c.freshLocked()
	case c.hasSpareLocked() || c.emptyLocked(): // the latter moves nothing, for lack of room
		next = c.popLocked()
	default:
		return false
	}
	c.ring = append(c.ring, c.filling)
	c.filling = next
	c.lookForCrowdLocked()
	if c.inUse >= c.limit && !c.hasSpareLocked() {
		c.emptyLocked()
	}
	return true
}

// freshLocked returns a segment that was not in use.
func (c *Cache) freshLocked() uint32 {
	n := c.unused[len(c.unused)-1]
	c.unused = c.unused[:len(c.unused)-1]
	c.inUse++
	c.room.Store(c.inUse < c.limit)
	return n
}

// hasSpareLocked reports whether there is a spare segment. One that was held is, once
// nobody has a pin on it.
func (c *Cache) hasSpareLocked() bool {
	c.held = slices.DeleteFunc(c.held, func(n uint32) bool {
		isFree := c.pins[n].Load() == 0
		if isFree {
			c.spare = append(c.spare, n)
		}
		return isFree
	})
	return len(c.spare) > 0
}

func (c *Cache) popLocked() uint32 {
	n := c.spare[len(c.spare)-1]
	c.spare = c.spare[:len(c.spare)-1]
	c.segments[n].used = 0
	return n
}

// takeLocked gives out size bytes of the segment being filled.
func (c *Cache) takeLocked(size int) (word uint64) {
	seg := &c.segments[c.filling]
	line := uint64(seg.used / lineBytes)
	seg.used += size
	generation := uint64(c.generations[c.filling].Load()) & genMask
	return isFrame | line<<lineShift | uint64(c.filling)<<segShift | generation<<genShift
}

// publish lets readers see a frame that has been filled.
func (c *Cache) publish(s *Slots, j int, word uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.segments[word>>segShift&segMask].writers--
	if c.closed || c.owners[s.id] != s {
		return
	}
	s.words[j].Store(word)
	c.stats.Added++
}

// emptyLocked empties the oldest segment that nobody is writing to or has pinned, which
// is a spare one then. It reports false if there is none.
func (c *Cache) emptyLocked() bool {
	i := slices.IndexFunc(c.ring, func(n uint32) bool {
		return c.segments[n].writers == 0 && c.pins[n].Load() == 0
	})
	if i < 0 {
		return false
	}
	n := c.ring[i]
	c.ring = slices.Delete(c.ring, i, i+1)
	c.moveLocked(n)
	// From here on nobody believes what is read from it, and nobody pins it; see
	// loadsDone and Pin for the other side. The load keeps the writes of the next frames
	// behind.
	c.generations[n].Add(1)
	if c.pins[n].Load() != 0 { // since the look at it
		c.held = append(c.held, n)
		return false
	}
	c.spare = append(c.spare, n)
	return true
}

// lookForCrowdLocked stops the giving out of pins while they hold too many segments.
func (c *Cache) lookForCrowdLocked() {
	pinned := len(c.held)
	for _, n := range c.ring {
		if c.pins[n].Load() != 0 {
			pinned++
		}
	}
	c.crowded.Store(pinned > c.limit/crowdShare)
}

// crowdShare is the share of the segments, as 1/n, that may be pinned.
const crowdShare = 4

// moveLocked moves the touched frames of segment n to the one being filled, and lets
// go of the others.
func (c *Cache) moveLocked(n uint32) {
	start, end := int(n)<<c.shift, (int(n)+1)<<c.shift
	for used := 0; used < c.segments[n].used; {
		frame := c.memory[start+used : end]
		bytes := int(binary.LittleEndian.Uint32(frame))
		j := int(binary.LittleEndian.Uint32(frame[4:]))
		s := c.owners[binary.LittleEndian.Uint64(frame[8:])]
		here := used
		size := (frameHeaderBytes + bytes + lineBytes - 1) &^ (lineBytes - 1)
		used += size
		if s == nil {
			continue
		}
		slot := &s.words[j]
		word := slot.Load()
		if word&isFrame == 0 || c.at(word) != start+here || !c.holds(word) {
			continue // another copy of the block is the one in use
		}
		if word&isTouched == 0 || c.segments[c.filling].used+size > 3<<c.shift/4 {
			slot.Store(0) // it had its time: not to be taken for missed
			c.stats.Evicted++
			continue
		}
		to := c.takeLocked(size)
		copy(c.memory[c.at(to):], frame[:size])
		slot.Store(to)
		c.stats.Moved++
	}
}
