// Package memtable holds the newest writes in memory until they are flushed to a
// table on disk.
//
// A write must be quick and a read of a key that is not here must be, too, because
// every Get asks every memtable; walking in order is rare. So records are appended to
// an arena outside the Go heap and found through a hash index, one cache miss each,
// and are sorted when somebody wants to walk over them, at the latest when the table
// is flushed.
//
// Reading order: table.go (Table), arena.go (records), hash.go (finding a key),
// order.go (sorting), iter.go.
package memtable

import (
	"bytes"
	"sync/atomic"

	"github.com/statordb/stator/internal/invariant"
	"github.com/statordb/stator/lsm/filter"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/tombstone"
)

// A Table is a set of versions in memory, sorted on demand.
//
// Sharing: one writer at a time (Add, DeleteRanges); any number of readers at the
// same time, which do not wait for the writer. A reader is promised all entries that
// were added before it learned of their sequence number; of later ones it may see
// some, and ignores them because they are newer than its snapshot.
//
// Its memory is not the garbage collector's: the owner calls Free when neither a
// reader nor a slice of the table is left.
type Table struct {
	arena arena
	index atomic.Pointer[hashIndex]
	order order

	entries int          // the writer's, as the next two
	keys    int          // distinct
	old     []*hashIndex // outgrown; readers may still be in them
	sealed  atomic.Bool

	count      atomic.Int64
	bytes      atomic.Int64
	rangeBytes int // memory of range deletes
	tombstones atomic.Pointer[tombstone.List]
	ranges     []tombstone.Range // what tombstones was built from; the writer's
}

// New returns an empty table, whose memory comes from the pool and goes back to it. If it
// is told about how many keys will come, its index need not grow.
func New(pool *Pool, keys int) *Table {
	t := &Table{}
	t.arena.init(pool)
	t.index.Store(newHashIndex(pool, keys))
	return t
}

// Prefetch asks for the memory that Insert of a key will need, some time before, and
// returns the key's filter.Hash. It is the writer's to call.
func (t *Table) Prefetch(user []byte) (hash uint64) {
	hash = filter.Hash(user)
	t.index.Load().prefetch(hash)
	return hash
}

// Insert adds one version, which must be newer than all versions of its key that the
// table has; hash is what Prefetch returned for the key. The slices are copied. Get finds
// it at once; iterators, Len and Bytes know of it after Publish.
func (t *Table) Insert(user []byte, hash uint64, trailer key.Trailer, value []byte) Ref {
	index := t.index.Load()
	if index.full(t.keys) {
		t.old = append(t.old, index)
		index = index.grown()
		t.index.Store(index)
	}
	slot, older, rec := index.find(&t.arena, user, hash)
	if older == 0 {
		t.keys++
	} else if newest := rec.trailer(); newest >= trailer {
		// Not asked on the way: its arguments would be allocated each time.
		invariant.Check(false, "memtable: version %v added behind %v", trailer, newest)
	}
	added := t.arena.add(user, trailer, value, older)
	index.set(slot, hash, added)
	t.entries++
	return Ref(added)
}

// A Ref leads to an entry of a table.
type Ref uint32

// At returns the entry that Insert returned r for. The slices are valid as long as the
// table.
func (t *Table) At(r Ref) (user []byte, trailer key.Trailer, value []byte) {
	rec := t.arena.record(ref(r))
	return rec.user(), rec.trailer(), rec.value()
}

// Publish lets iterators, Len and Bytes know what was inserted: once for each batch,
// because each of its atomic stores costs as much as copying a small value.
func (t *Table) Publish() {
	t.arena.publish()
	t.count.Store(int64(t.entries))
	// As if the index had just the slots that the keys need.
	t.bytes.Store(int64(t.arena.size + t.keys*bytesPerSlot + t.rangeBytes))
}

// Add is Insert and Publish.
func (t *Table) Add(user []byte, trailer key.Trailer, value []byte) {
	t.Insert(user, filter.Hash(user), trailer, value)
	t.Publish()
}

// DeleteRanges adds tombstones over ranges. The slices are copied.
//
// It rebuilds the list of all range deletes, once however many are added: quick
// for thousands, not for millions.
func (t *Table) DeleteRanges(ranges ...tombstone.Range) {
	for _, r := range ranges {
		t.ranges = append(t.ranges, tombstone.Range{Start: bytes.Clone(r.Start), End: bytes.Clone(r.End), Seq: r.Seq})
		t.rangeBytes += len(r.Start) + len(r.End) + rangeOverhead
	}
	t.tombstones.Store(tombstone.Build(t.ranges))
	t.entries += len(ranges)
	t.Publish()
}

// rangeOverhead is about what a range delete costs besides its keys, in bytes.
const rangeOverhead = 128

// Get returns the newest version of user, whose filter.Hash is given, that a reader
// at snapshot sees. Range deletes are not considered. The value is valid as long as
// the table.
func (t *Table) Get(user []byte, hash uint64, snapshot key.SeqNum) (value []byte, trailer key.Trailer, found bool) {
	_, _, rec := t.index.Load().find(&t.arena, user, hash)
	for rec != nil {
		if trailer = rec.trailer(); trailer.SeqNum() <= snapshot {
			return rec.value(), trailer, true
		}
		older := rec.older()
		if older == 0 {
			break
		}
		rec = t.arena.record(older)
	}
	return nil, 0, false
}

// Touch reads from the line of the index that Get would look at first, to have it in the
// cache when it does. Nobody wants the number.
func (t *Table) Touch(hash uint64) uint64 {
	h := t.index.Load()
	return h.slots[int(uint32(hash>>32)>>h.shift)*lineSlots].Load()
}

// Seal says that nothing will be added any more.
func (t *Table) Seal() { t.sealed.Store(true) }

// Tombstones returns the range deletes.
func (t *Table) Tombstones() *tombstone.List { return t.tombstones.Load() }

// Len returns the number of entries, range deletes included.
func (t *Table) Len() int { return int(t.count.Load()) }

// Keys returns the number of distinct user keys. It is the writer's to ask.
func (t *Table) Keys() int { return t.keys }

// Bytes returns the memory used.
func (t *Table) Bytes() int { return int(t.bytes.Load()) }

// Free gives the memory back. The table and all slices of it are unusable afterwards.
func (t *Table) Free() {
	t.arena.free()
	for _, h := range append(t.old, t.index.Load()) {
		h.free()
	}
	t.old = nil
}
