package memtable

import (
	"encoding/binary"
	"iter"
	"math/bits"
	"sync/atomic"
	"unsafe"

	"github.com/statordb/stator/internal/invariant"
	"github.com/statordb/stator/lsm/key"
)

// An arena holds the records of a table, one behind the other in the order in which
// they were added, outside the Go heap.
//
// It is made of slabs that double in size: a table that stays small costs little,
// one that grows needs few slabs. Nothing moves before the whole arena is freed.
//
// A ref names a record: its place in units of 8 bytes, counted through all slabs. Slab
// k has first<<k bytes, so it begins at first × (2^k - 1). Ref 0 names nothing.
//
// A record, little-endian, at a multiple of 8:
//
//	+------------+----------+-----------------+---------------+-----+-------+
//	| trailer 8B | older 4B | value length 4B | key length 2B | key | value |
//	+------------+----------+-----------------+---------------+-----+-------+
//
// older is the ref of the version of the same key that was added before, 0 if there
// is none.
//
// Sharing: one writer. A record is complete before its ref becomes known, through an
// atomic word of the hash index or through end; it never changes afterwards.
type arena struct {
	pool  *Pool
	slabs [slabCount]atomic.Pointer[byte] // nil until needed
	used  [slabCount]int                  // bytes of the slab that have records; final once a later slab is used
	slab  int                             // the one that takes records
	end   atomic.Uint64                   // where the next record begins, in bytes; everything before is complete
	size  int                             // of all records, in bytes
}

const (
	slabBits  = 16 // the first slab has 64 KiB
	slabCount = 20 // the last one ends at 64 GiB, more than refs reach

	recordTrailer  = 0
	recordOlder    = 8
	recordValueLen = 12
	recordKeyLen   = 16
	recordKey      = 18

	recordAlign = 8
)

// A ref is the place of a record; see arena.
type ref uint32

func (a *arena) init(pool *Pool) {
	a.pool = pool
	// The first 8 bytes stay unused, so that no record has ref 0.
	a.grow(0)
	a.used[0] = recordAlign
	a.end.Store(recordAlign)
}

// grow makes the memory of slab k.
func (a *arena) grow(k int) { a.slabs[k].Store(&a.pool.take(1<<(k+slabBits), false)[0]) }

// memory returns slab k.
func (a *arena) memory(k int) []byte { return unsafe.Slice(a.slabs[k].Load(), 1<<(k+slabBits)) }

// slabStart is where slab k begins, in bytes.
func slabStart(k int) uint64 { return (1<<k - 1) << slabBits }

// slabOf returns the slab of a place, in bytes.
func slabOf(place uint64) int { return bits.Len64(place>>slabBits+1) - 1 }

// record returns the memory from a record on.
func (a *arena) record(r ref) record {
	place := uint64(r) * recordAlign
	k := slabOf(place)
	return record(a.memory(k)[place-slabStart(k):])
}

// recordSize is how much a record takes.
func recordSize(keyLen, valueLen int) int {
	return (recordKey + keyLen + valueLen + recordAlign - 1) &^ (recordAlign - 1)
}

// add appends a record. Whoever calls it publishes the ref.
func (a *arena) add(user []byte, t key.Trailer, value []byte, older ref) ref {
	n := recordSize(len(user), len(value))
	for a.used[a.slab]+n > 1<<(a.slab+slabBits) {
		a.slab++
	}
	k := a.slab
	if k >= slabCount-1 {
		invariant.Check(false, "memtable: more than %d bytes", slabStart(slabCount-1))
	}
	if a.slabs[k].Load() == nil {
		a.grow(k)
	}
	at := a.used[k]
	b := a.memory(k)[at : at+n]
	binary.LittleEndian.PutUint64(b[recordTrailer:], uint64(t))
	binary.LittleEndian.PutUint32(b[recordOlder:], uint32(older))
	binary.LittleEndian.PutUint32(b[recordValueLen:], uint32(len(value)))
	binary.LittleEndian.PutUint16(b[recordKeyLen:], uint16(len(user)))
	copy(b[recordKey:], user)
	copy(b[recordKey+len(user):], value)
	a.used[k] = at + n
	a.size += n
	return ref((slabStart(k) + uint64(at)) / recordAlign)
}

// publish makes the records so far part of what views show.
func (a *arena) publish() { a.end.Store(slabStart(a.slab) + uint64(a.used[a.slab])) }

// records goes through the records in [from, to), in order. Both places are former values
// of end.
func (a *arena) records(from, to uint64) iter.Seq2[ref, record] {
	return func(yield func(ref, record) bool) {
		for from < to {
			k := slabOf(from)
			start, limit := slabStart(k), to
			if slabOf(to-1) > k {
				limit = start + uint64(a.used[k])
			}
			if from == limit { // slabs that a large record skipped have no records, nor memory
				from = slabStart(k + 1)
				continue
			}
			for memory := a.memory(k); from < limit; {
				rec := record(memory[from-start:])
				if !yield(ref(from/recordAlign), rec) {
					return
				}
				from += uint64(rec.size())
			}
		}
	}
}

// free gives the memory back. Nobody may hold a slice of it.
func (a *arena) free() {
	for k := range a.slabs {
		if a.slabs[k].Load() != nil {
			a.pool.give(a.memory(k), false)
			a.slabs[k].Store(nil)
		}
	}
}

// A record is the memory from the beginning of a record on.
type record []byte

func (r record) trailer() key.Trailer {
	return key.Trailer(binary.LittleEndian.Uint64(r[recordTrailer:]))
}

func (r record) older() ref { return ref(binary.LittleEndian.Uint32(r[recordOlder:])) }

func (r record) keyLen() int { return int(binary.LittleEndian.Uint16(r[recordKeyLen:])) }

func (r record) valueLen() int { return int(binary.LittleEndian.Uint32(r[recordValueLen:])) }

func (r record) size() int { return recordSize(r.keyLen(), r.valueLen()) }

func (r record) user() []byte {
	end := recordKey + r.keyLen()
	return r[recordKey:end:end]
}

func (r record) value() []byte {
	start := recordKey + r.keyLen()
	end := start + r.valueLen()
	return r[start:end:end]
}
