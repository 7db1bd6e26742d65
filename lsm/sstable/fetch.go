package sstable

import (
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm/cache"
	"github.com/statordb/stator/lsm/key"
)

// Blocks come from one of three places:
//
//	the mapping    if the file is mapped and the block not encoded: in place
//	the cache      if it was decoded before
//	the file       read if it is not mapped, and decoded if it is encoded
//
// The checksum of a mapped block is checked at its first touch, that of a block read
// from the file each time. What is in the cache has been checked.

// countedHits is how many hits are counted at once. A hit counts if the key's hash
// says so, which takes no memory: the estimate is good unless few keys are read.
const countedHits = 64

// lookUp looks for user in block j. The answer is in b.found if isThere; the value is
// in place, or behind the end of buf.
func (r *Reader) lookUp(b *block, j int, user []byte, hash uint64, target key.Trailer, buf []byte) (answer, error) {
	if s := r.slots.Load(); s != nil {
		if a, ok := r.lookUpCached(s, b, j, user, target, buf); ok {
			if hash%countedHits == 0 {
				r.pool.cache.Count(countedHits)
			}
			return a, r.garbledError(a, j)
		}
	}
	if r.file != nil {
		return r.lookUpDecoded(b, j, user, target, buf)
	}
	stored, _, err := r.fetch(j, nil)
	if err != nil {
		return 0, err
	}
	if codecOf(stored) != codecNone {
		return r.lookUpDecoded(b, j, user, target, buf)
	}
	a := b.lookUp(payload(stored), r.lift, user, target)
	return a, r.garbledError(a, j)
}

func (r *Reader) garbledError(a answer, j int) error {
	if a == garbled {
		return r.malformed(j)
	}
	return nil
}

// lookUpCached is lookUp in the cache. While it reads, the block may be overwritten:
// ok is false if it was, or if it was not there.
func (r *Reader) lookUpCached(s *cache.Slots, b *block, j int, user []byte, target key.Trailer, buf []byte) (a answer, ok bool) {
	data, place, ok := r.pool.cache.Find(s, j)
	if !ok {
		return 0, false
	}
	if a = b.lookUp(data, r.lift, user, target); a == isThere && !b.keyOnly {
		b.found.value = append(buf, b.found.value...)[len(buf):]
	}
	return a, r.pool.cache.Holds(place)
}

// lookUpDecoded is lookUp for a block that is not in the cache and cannot be read in
// place.
func (r *Reader) lookUpDecoded(b *block, j int, user []byte, target key.Trailer, buf []byte) (answer, error) {
	s := r.pool.takeScratch()
	data, err := r.decoded(j, s)
	if err != nil {
		return 0, err // and a scratch is lost, which is no harm
	}
	a := b.lookUp(data, r.lift, user, target)
	if a == isThere && !b.keyOnly {
		b.found.value = append(buf, b.found.value...)[len(buf):]
	}
	if a != garbled {
		r.keep(j, data)
	}
	r.pool.giveScratch(s)
	return a, r.garbledError(a, j)
}

// keep offers a decoded block to the cache.
func (r *Reader) keep(j int, data []byte) {
	c := r.pool.cache
	if c == nil {
		return
	}
	s := r.slots.Load()
	if s == nil {
		s = c.Own(r.index.blocks)
		if !r.slots.CompareAndSwap(nil, s) {
			c.Disown(s)
			s = r.slots.Load()
		}
	}
	c.Add(s, j, data)
}

// A view is the payload of a data block, where an iterator reads it.
//
//	in place    in the mapping
//	pinned      in the cache, until release
//	a copy      in the memory of scratch, which the next load overwrites
//
// Invariant: the block is pinned if and only if pin is not 0.
type view struct {
	data    []byte
	scratch []byte
	isCopy  bool
	cache   *cache.Cache // of the pin
	pin     cache.Place
}

// release ends the use of the block; the memory of scratch is kept.
func (v *view) release() {
	if v.pin != 0 {
		v.cache.Unpin(v.pin)
		v.cache, v.pin = nil, 0
	}
	v.data, v.isCopy = nil, false
}

// stays reports whether the block stays where it is after release.
func (v *view) stays() bool { return v.pin == 0 && !v.isCopy }

// Whether a block that an iterator came to may come into the cache.
type admission uint8

const (
	sought  admission = iota // as that of a Get does: by what it was missed before
	passed                   // while there is room: a scan must not push out what is read often
	ignored                  // no: the table is read for the last time
)

// load makes v a view of data block j.
func (r *Reader) load(j int, v *view, a admission) error {
	v.release()
	if s := r.slots.Load(); s != nil && r.loadCached(s, j, v) {
		return nil
	}
	if r.file == nil {
		stored, _, err := r.fetch(j, nil)
		if err != nil {
			return err
		}
		if codecOf(stored) == codecNone {
			v.data = payload(stored)
			return nil
		}
	}
	s := r.pool.takeScratch()
	s.data, v.scratch = v.scratch, s.data
	data, err := r.decoded(j, s)
	s.data, v.scratch = v.scratch, s.data
	r.pool.giveScratch(s)
	if err != nil {
		return err
	}
	v.data, v.isCopy = data, true
	if c := r.pool.cache; a == sought || a == passed && c != nil && c.HasRoom() {
		r.keep(j, data)
	}
	return nil
}

// loadCached makes v a view of block j if it is in the cache.
func (r *Reader) loadCached(s *cache.Slots, j int, v *view) bool {
	c := r.pool.cache
	if b, pin, ok := c.Pin(s, j); ok {
		c.Count(1)
		v.data, v.cache, v.pin = b, c, pin
		return true
	}
	b, place, ok := c.Find(s, j)
	if !ok {
		return false
	}
	v.scratch = append(v.scratch[:0], b...)
	if !c.Holds(place) {
		return false
	}
	c.Count(1)
	v.data, v.isCopy = v.scratch, true
	return true
}

// decoded returns the payload of block j in the memory of s, from the file.
func (r *Reader) decoded(j int, s *scratch) (data []byte, err error) {
	var stored []byte
	if stored, s.stored, err = r.fetch(j, s.stored); err != nil {
		return nil, err
	}
	if codecOf(stored) == codecNone {
		s.data = append(s.data[:0], payload(stored)...)
		return s.data, nil
	}
	offset, _ := r.index.extent(j)
	data, s.data, err = r.decode(stored, offset, s.data)
	return data, err
}

// fetch returns block j as it is in the file: in the mapping, or read into scratch,
// which may be nil and is returned grown. It is checked.
func (r *Reader) fetch(j int, scratch []byte) (stored, grown []byte, err error) {
	offset, size := r.index.extent(j)
	stored, scratch, err = r.read(offset, size, scratch)
	if err != nil {
		return nil, scratch, err
	}
	bit := uint64(1) << (j & 63)
	if r.file == nil && (r.checked[j>>6].Load()&bit != 0 || plant.On(plant.ChecksumUnchecked)) {
		return stored, scratch, nil
	}
	if err := r.check(stored, sectionData, offset); err != nil {
		return nil, scratch, err
	}
	if r.file == nil {
		r.checked[j>>6].Or(bit)
	}
	return stored, scratch, nil
}
