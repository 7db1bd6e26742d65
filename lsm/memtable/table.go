// Package memtable holds the newest writes in memory, sorted, until they are
// flushed to a table on disk.
//
// The index is a skiplist. It stands behind Add, Get and Iter alone, so that
// another one can take its place.
//
// Reading order: table.go (Table), skiplist.go (search and links), arena.go
// (where nodes and bytes live), iter.go.
package memtable

import (
	"bytes"
	"sync/atomic"

	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/tombstone"
)

// A Table is a sorted set of versions in memory.
//
// Sharing: one writer at a time (Add, DeleteRanges); any number of readers at the
// same time, which never wait. A reader is promised all entries that were added
// before it learned of their sequence number; of later ones it may see some, and
// ignores them because they are newer than its snapshot.
type Table struct {
	list skiplist

	count      atomic.Int64
	bytes      atomic.Int64
	tombstones atomic.Pointer[tombstone.List]
	ranges     []tombstone.Range // what tombstones was built from; the writer's
}

// New returns an empty table.
func New() *Table {
	t := &Table{}
	t.list.init()
	return t
}

// Add inserts one version, which must not be there yet. The slices are copied.
func (t *Table) Add(user []byte, trailer key.Trailer, value []byte) {
	t.list.insert(user, trailer, value)
	t.count.Add(1)
	t.bytes.Store(int64(t.list.arena.size))
}

// DeleteRanges adds tombstones over ranges. The slices are copied.
//
// It rebuilds the list of all range deletes, once however many are added: quick
// for thousands, not for millions.
func (t *Table) DeleteRanges(ranges ...tombstone.Range) {
	for _, r := range ranges {
		t.ranges = append(t.ranges, tombstone.Range{Start: bytes.Clone(r.Start), End: bytes.Clone(r.End), Seq: r.Seq})
		t.list.arena.size += len(r.Start) + len(r.End) + rangeOverhead
	}
	t.tombstones.Store(tombstone.Build(t.ranges))
	t.count.Add(int64(len(ranges)))
	t.bytes.Store(int64(t.list.arena.size))
}

// rangeOverhead is about what a range delete costs besides its keys, in bytes.
const rangeOverhead = 128

// Get returns the newest version of user that a reader at snapshot sees. Range
// deletes are not considered. The value is valid as long as the table.
func (t *Table) Get(user []byte, snapshot key.SeqNum) (value []byte, trailer key.Trailer, found bool) {
	n := t.list.seekGE(user, key.SeekTrailer(snapshot))
	if n == 0 {
		return nil, 0, false
	}
	e := t.list.entry(n)
	if !bytes.Equal(e.user, user) {
		return nil, 0, false
	}
	return e.value, e.trailer, true
}

// Tombstones returns the range deletes.
func (t *Table) Tombstones() *tombstone.List { return t.tombstones.Load() }

// Len returns the number of entries, range deletes included.
func (t *Table) Len() int { return int(t.count.Load()) }

// Bytes returns the memory used.
func (t *Table) Bytes() int { return int(t.bytes.Load()) }
