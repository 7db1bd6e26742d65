package lsm

import "github.com/statordb/stator/internal/env"

// While writers are held, nothing comes into the memtables, and sequence numbers stand
// still; flushes and compactions go on. Those who write meanwhile wait for the future
// held and then try again: they keep no lock, because a flush needs writing in the end.
//
// It is set while both writing and inserting are locked, so whoever has one of them may
// look at it.

// holdWriters keeps writers out until letWritersGo, unless writes are refused anyway. One
// task at a time does so: the one that has altering.
func (db *DB) holdWriters() error {
	held := env.NewFuture[struct{}](db.e)
	db.writing.Lock()
	defer db.writing.Unlock()
	db.inserting.Lock()
	defer db.inserting.Unlock()
	if err := db.refused(); err != nil {
		return err
	}
	db.held = held
	return nil
}

func (db *DB) letWritersGo() {
	db.writing.Lock()
	db.inserting.Lock()
	held := db.held
	db.held = nil
	db.inserting.Unlock()
	db.writing.Unlock()
	held.Set(struct{}{}, nil)
}

// startWriting locks writing for a writer.
func (db *DB) startWriting() {
	for {
		db.writing.Lock()
		held := db.held
		if held == nil {
			return
		}
		db.writing.Unlock()
		_, _ = held.Await()
	}
}

// startInserting locks inserting for a writer without a log.
func (db *DB) startInserting() {
	for {
		db.inserting.Lock()
		held := db.held
		if held == nil {
			return
		}
		db.inserting.Unlock()
		_, _ = held.Await()
	}
}
