package lsm

import (
	"sync/atomic"

	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/memtable"
	"github.com/statordb/stator/lsm/wal"
)

// A memory is a memtable with what recovery needs to know of it.
type memory struct {
	*memtable.Table
	refs    atomic.Int64  // states that hold it; its memory goes with the last
	index   *facetIndex   // nil without Options.Facets
	log     wal.SegmentID // its records begin in this segment of the log
	lastSeq key.SeqNum    // of its newest operation; guarded by DB.inserting until it is sealed

	flushing bool // somebody flushes it; guarded by DB.mu
}

func (db *DB) memtableFull() bool {
	return db.current.Load().active.Bytes() >= db.o.MemtableBytes
}

// sealLogged seals the active memtable and begins a log segment for the next one.
// If that fails, the memtable stays active. The caller holds writing.
func (db *DB) sealLogged() {
	id, err := db.log.Rotate()
	if err != nil {
		_ = db.fail(err) // rotating needs no space: only a broken disk prevents it
		return
	}
	db.inserting.Lock()
	db.switchMemtable(id)
	db.inserting.Unlock()
}

// switchMemtable seals the active memtable, unless it is empty, and puts a new one
// in its place. The caller holds inserting.
func (db *DB) switchMemtable(log wal.SegmentID) {
	db.mu.Lock()
	old := db.current.Load()
	if old.active.Len() == 0 {
		db.mu.Unlock()
		return
	}
	old.active.Seal()
	active := db.newMemory(old.active.Keys())
	active.log, active.lastSeq = log, old.active.lastSeq
	next := &state{
		active:  active,
		sealed:  append([]*memory{old.active}, old.sealed...),
		version: old.version,
	}
	db.replaceStateLocked(next)
	db.mu.Unlock()
	db.releaseState(old)
	db.divideMemory()
	wake(db.flushes)
}

// seal seals the active memtable.
func (db *DB) seal() {
	if db.log != nil {
		db.writing.Lock()
		defer db.writing.Unlock()
		if db.refused() == nil { // else the log may be closed
			db.sealLogged()
		}
		return
	}
	db.inserting.Lock()
	db.switchMemtable(0)
	db.inserting.Unlock()
}
