package lsm

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/wal"
)

// Failed background work is tried again after a pause that doubles each time.
const (
	firstRetry = 10 * time.Millisecond
	lastRetry  = time.Second
)

// flushers is how many memtables are flushed side by side. One writer can fill memtables
// faster than one task flushes them, which also waits for the device.
const flushers = 2

// flushTask flushes sealed memtables, the oldest that nobody flushes yet. There are as many of
// it as flushers says.
//
// Tables are written side by side, but go into the manifest in the order of the memtables:
// what is flushed is all up to some operation. If a memtable cannot be flushed, those
// behind it are left alone until it is.
func (db *DB) flushTask() error {
	defer db.flusherEnds()
	retry := firstRetry
	for {
		m := db.takeSealed()
		if m == nil {
			if _, ok := db.flushes.Recv(); !ok {
				return nil
			}
			continue
		}
		err := db.flushMemtable(m)
		if errors.Is(err, errOlderFailed) {
			db.giveBack(m)
			continue
		}
		db.flushDone(m, err)
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

// flusherEnds tells whoever still waits in Flush, or comes later, when the last one ends.
func (db *DB) flusherEnds() {
	db.mu.Lock()
	db.flushersLeft--
	isLast := db.flushersLeft == 0
	db.mu.Unlock()
	if isLast {
		db.flushDone(nil, ErrClosed)
	}
}

// takeSealed returns the oldest sealed memtable that nobody flushes, or nil. It is the
// caller's to flush until flushDone or giveBack.
func (db *DB) takeSealed() *memory {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, m := range slices.Backward(db.current.Load().sealed) {
		if !m.flushing {
			m.flushing = true
			return m
		}
		if db.flushErr != nil {
			break
		}
	}
	return nil
}

func (db *DB) giveBack(m *memory) {
	db.mu.Lock()
	defer db.mu.Unlock()
	m.flushing = false
}

// oldest returns the sealed memtable that must be flushed first, or nil.
func (s *state) oldest() *memory {
	if len(s.sealed) == 0 {
		return nil
	}
	return s.sealed[len(s.sealed)-1]
}

// flushDone tells those who wait in Flush how an attempt ended.
func (db *DB) flushDone(m *memory, err error) {
	db.mu.Lock()
	if m != nil {
		m.flushing = false
	}
	db.flushErr = err
	done := db.flushed
	db.flushed = env.NewFuture[struct{}](db.e)
	db.mu.Unlock()
	done.Set(struct{}{}, err)
}

// errOlderFailed says that a memtable was not flushed because an older one could not be.
var errOlderFailed = errors.New("lsm: an older memtable is not flushed")

// awaitTurn waits until a memtable, all of which has been written to tables, is the oldest.
func (db *DB) awaitTurn(m *memory) error {
	for {
		db.mu.Lock()
		done, failure := db.flushed, db.flushErr
		isOldest := db.current.Load().oldest() == m
		db.mu.Unlock()
		switch {
		case isOldest || plant.On(plant.FlushOutOfOrder):
			return nil
		case failure != nil:
			return errOlderFailed
		}
		_, _ = done.Await()
	}
}

// flushMemtable writes a sealed memtable into a table of level 0. When the manifest has
// it, the log before it is given up.
func (db *DB) flushMemtable(m *memory) error {
	if err := db.failed(); err != nil {
		return err
	}
	began := db.e.Now()
	now := db.now()
	w := &tableWriter{db: db, isFlush: true, times: times{now, now}}
	s := db.current.Load()
	hidesNothing := s.version.hidesNothingBelow(0, nil)
	if s.oldest() != m { // what is older is in no table yet
		hidesNothing = func(_, _ []byte, _ bool) bool { return false }
	}
	err := w.writeAll(&survivors{
		source: m.NewIter(), ranges: m.Tombstones(), snapshots: db.openSnapshots(), hidesNothing: hidesNothing,
		expirer: expirer{expiry: db.o.Expiry},
	})
	if err != nil {
		return fmt.Errorf("lsm: flush: %w", err)
	}
	if err := db.awaitTurn(m); err != nil {
		w.abandon()
		return err
	}
	edit := &manifest.Edit{FlushedSeq: m.lastSeq, Log: db.logAfter(m)}
	if plant.On(plant.FlushedTooMuch) {
		edit.FlushedSeq = key.SeqNum(db.visible.Load())
	}
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
	db.pacer.drained(StallMemtables, uint64(m.Bytes()), db.sinceFlush(began))
	db.o.Events.flushed(FlushEvent{Tables: nums(w.done), Bytes: size, ValueBytes: newValueBytes(edit), Duration: d})
	return db.trimLog(edit.Log)
}

// sinceFlush returns how long a flush that ends now took, as far as no other ended
// meanwhile: side by side they drain memory faster than either alone. It is no less than
// an equal share of the time.
func (db *DB) sinceFlush(began env.Mono) time.Duration {
	now := db.e.Now()
	db.mu.Lock()
	defer db.mu.Unlock()
	d := max(now.Sub(max(began, db.flushedAt)), now.Sub(began)/flushers)
	db.flushedAt = now
	return d
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
		done, ended, failure := db.flushed, db.flushersLeft == 0, db.failure
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
