package lsm

import (
	"fmt"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/wal"
)

// Failed background work is tried again after a pause that doubles each time.
const (
	firstRetry = 10 * time.Millisecond
	lastRetry  = time.Second
)

// flushTask flushes sealed memtables, oldest first.
func (db *DB) flushTask() error {
	defer db.flusherEnds()
	retry := firstRetry
	for {
		m := db.oldestSealed()
		if m == nil {
			if _, ok := db.flushes.Recv(); !ok {
				return nil
			}
			continue
		}
		err := db.flushMemtable(m)
		db.flushDone(err)
		if err == nil {
			retry = firstRetry
			continue
		}
		db.flushes.RecvFor(retry)
		retry = min(2*retry, lastRetry)
		if db.flushes.Closed() {
			return nil // what is in memory is in the log, or Close has reported it
		}
	}
}

// flusherEnds tells whoever still waits in Flush, or comes later.
func (db *DB) flusherEnds() {
	db.mu.Lock()
	db.noFlusher = true
	db.mu.Unlock()
	db.flushDone(ErrClosed)
}

func (db *DB) oldestSealed() *memory {
	sealed := db.current.Load().sealed
	if len(sealed) == 0 {
		return nil
	}
	return sealed[len(sealed)-1]
}

// flushDone tells those who wait in Flush how an attempt ended.
func (db *DB) flushDone(err error) {
	db.mu.Lock()
	db.flushErr = err
	done := db.flushed
	db.flushed = env.NewFuture[struct{}](db.e)
	db.mu.Unlock()
	done.Set(struct{}{}, err)
}

// flushMemtable writes a sealed memtable, the oldest, into a table of level 0. When
// the manifest has it, the log before it is given up.
func (db *DB) flushMemtable(m *memory) error {
	if err := db.failed(); err != nil {
		return err
	}
	began := db.e.Now()
	now := db.now()
	w := &tableWriter{db: db, times: times{now, now}}
	err := w.writeAll(&survivors{
		source:       m.NewIter(),
		ranges:       m.Tombstones(),
		snapshots:    db.openSnapshots(),
		hidesNothing: db.current.Load().version.hidesNothingBelow(0, nil),
	})
	if err != nil {
		return fmt.Errorf("lsm: flush: %w", err)
	}
	edit := &manifest.Edit{FlushedSeq: m.lastSeq, Log: db.logAfter(m)}
	addTables(edit, 0, w.done)
	if err := db.install(edit, w.done, m); err != nil {
		if db.failed() == nil {
			w.abandon()
		}
		return fmt.Errorf("lsm: flush: %w", err)
	}
	d := db.e.Now().Sub(began)
	size := tableBytes(w.done)
	db.metrics.flushed(size, newValueBytes(edit))
	db.pacer.drained(StallMemtables, uint64(m.Bytes()), d)
	db.o.Events.flushed(FlushEvent{Tables: nums(w.done), Bytes: size, ValueBytes: newValueBytes(edit), Duration: d})
	return db.trimLog(edit.Log)
}

// logAfter returns the log segment that is needed first when m is flushed: where the
// next memtable begins.
func (db *DB) logAfter(m *memory) wal.SegmentID {
	s := db.current.Load()
	next := s.active
	for _, newer := range s.sealed {
		if newer == m {
			break
		}
		next = newer
	}
	return next.log
}

// trimLog gives up the log before a segment. That it fails is no reason to flush
// again; what is left goes with the next flush.
func (db *DB) trimLog(before wal.SegmentID) error {
	if db.log == nil {
		return nil
	}
	db.writing.Lock()
	defer db.writing.Unlock()
	if err := db.log.RemoveBefore(before); err != nil && db.log.Err() != nil {
		return db.fail(err)
	}
	return nil
}

// Flush writes everything in memory to tables and returns when they are durable.
func (db *DB) Flush() error {
	if err := db.refused(); err != nil {
		return err
	}
	return db.flushAll()
}

func (db *DB) flushAll() error {
	seq := db.visible.Load()
	db.seal()
	for {
		db.mu.Lock()
		done, ended, failure := db.flushed, db.noFlusher, db.failure
		db.mu.Unlock()
		switch {
		case db.FlushedSeq() >= seq:
			return nil
		case failure != nil:
			return failure
		case ended:
			return ErrClosed
		}
		wake(db.flushes)
		if _, err := done.Await(); err != nil {
			return err
		}
	}
}

// failed returns why nothing more is written, or nil.
func (db *DB) failed() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.failure
}

func tableBytes(tables []*table) (n uint64) {
	for _, t := range tables {
		n += t.meta.Size
	}
	return n
}

func nums(tables []*table) []manifest.FileNum {
	list := make([]manifest.FileNum, len(tables))
	for i, t := range tables {
		list[i] = t.meta.Num
	}
	return list
}
