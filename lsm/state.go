package lsm

import (
	"bytes"
	"iter"
	"sync/atomic"

	"github.com/statordb/stator/lsm/compaction"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/tombstone"
)

// A state is everything that a reader reads from. It is immutable: whoever seals
// or flushes a memtable or installs a version makes a new one.
//
// A reader takes the current state first and its sequence number after it: then
// every version that it may see is in the state, or is newer than the state.
type state struct {
	active  *memory
	sealed  []*memory // newest first
	version *version
	refs    atomic.Int64 // readers, and one for being current
}

// acquireState returns the current state, or ErrClosed. The caller must release it.
func (db *DB) acquireState() (*state, error) {
	for {
		s := db.current.Load()
		n := s.refs.Load()
		if n > 0 && s.refs.CompareAndSwap(n, n+1) {
			return s, nil
		}
		// At 0 the state is given up: another is already current, or Close has
		// given up the last.
		if n == 0 && s == db.current.Load() {
			return nil, ErrClosed
		}
	}
}

// releaseState gives a state back; the last to do so releases its version and hands
// the memtables that no other state holds to the cleaner.
func (db *DB) releaseState(s *state) {
	if s.refs.Add(-1) > 0 {
		return
	}
	for m := range s.memories() {
		if m.refs.Add(-1) == 0 {
			db.mu.Lock()
			db.flushedOut = append(db.flushedOut, m)
			db.mu.Unlock()
		}
	}
	db.releaseVersion(s.version)
}

// memories returns the memtables, newest first.
func (s *state) memories() iter.Seq[*memory] {
	return func(yield func(*memory) bool) {
		if !yield(s.active) {
			return
		}
		for _, m := range s.sealed {
			if !yield(m) {
				return
			}
		}
	}
}

// replaceStateLocked makes next the current state. The caller must release the old
// one once it does not hold mu.
func (db *DB) replaceStateLocked(next *state) {
	next.refs.Store(1)
	next.version.refs.Add(1)
	for m := range next.memories() {
		m.refs.Add(1)
	}
	db.current.Store(next)
}

// A version is a manifest.Version with its tables and value files open.
type version struct {
	meta       *manifest.Version
	flushedSeq key.SeqNum
	levels     [manifest.Levels][]*table
	fences     [manifest.Levels]fences     // of levels, but for 0
	values     []*valueFile                // those of meta.Values, in their order
	byNum      map[manifest.FileNum]*table // those of levels
	shape      compaction.Shape
	refs       atomic.Int64 // states

	deletes atomic.Pointer[tombstone.List] // see tombstones; nil until asked for
}

// noDeletes stands for an empty list that has been computed.
var noDeletes = &tombstone.List{}

// tombstones returns the range deletes of all tables.
func (v *version) tombstones() *tombstone.List {
	if l := v.deletes.Load(); l != nil {
		return l
	}
	var lists []*tombstone.List
	for _, tables := range v.levels {
		for _, t := range tables {
			lists = append(lists, t.tombstones)
		}
	}
	l := tombstone.Merge(lists...)
	if l == nil {
		l = noDeletes
	}
	v.deletes.Store(l)
	return l
}

// find returns the table of a level other than 0 whose span holds user, or nil.
func (v *version) find(level int, user []byte) *table {
	tables := v.levels[level]
	lower, upper := v.fences[level].find(user)
	for lower < upper {
		mid := int(uint(lower+upper) / 2)
		if bytes.Compare(tables[mid].meta.Largest.User, user) < 0 {
			lower = mid + 1
		} else {
			upper = mid
		}
	}
	// A table may end just before user, at the start of the next one.
	for ; lower < len(tables) && bytes.Compare(tables[lower].meta.Smallest.User, user) <= 0; lower++ {
		if !tables[lower].span.Before(user) {
			return tables[lower]
		}
	}
	return nil
}

// releaseVersion gives a version back. The last to do so hands the tables that no
// other version holds to the cleaner. The current version is given back by Close.
func (db *DB) releaseVersion(v *version) {
	if v.refs.Add(-1) > 0 {
		wake(db.cleanings) // for memtables
		return
	}
	db.mu.Lock()
	for _, tables := range v.levels {
		for _, t := range tables {
			if t.refs--; t.refs == 0 {
				db.obsolete = append(db.obsolete, t)
			}
		}
	}
	db.releaseValuesLocked(v)
	isClosed := db.closed
	db.mu.Unlock()
	wake(db.cleanings)
	if isClosed { // perhaps there is no cleaner any more
		db.clean()
	}
}
