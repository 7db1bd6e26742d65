package lsm

import (
	"fmt"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/memtable"
	"github.com/statordb/stator/lsm/tombstone"
	"github.com/statordb/stator/lsm/wal"
)

// Apply makes the operations of b visible together. With a log they are as durable
// as Options.Sync says when it returns; the batch must not be changed until then.
//
// Errors: vfs.ErrNoSpace is matched when the disk is full; nothing was done, and
// once there is space again writes succeed. ErrFailed when a log could not be
// written: the batch may or may not be there after the next Open.
func (db *DB) Apply(b *Batch) error {
	if b.err != nil {
		return b.err
	}
	if b.count == 0 {
		return nil
	}
	if len(b.data) > maxBatchBytes {
		return fmt.Errorf("%w: batch of %d bytes", ErrTooLarge, len(b.data))
	}
	if db.log == nil {
		return db.applyUnlogged(b)
	}
	if err := db.Admit(); err != nil {
		return err
	}
	return db.commit(b)
}

// maxBatchBytes keeps a batch within one record of the log.
const maxBatchBytes = wal.MaxPayload

// A commitQueue gathers the writers that wait while one of them, the leader, writes
// and syncs the log. Then the next leader does so for all that have come.
type commitQueue struct {
	mu      env.Leaf // guards the fields below it
	leading bool     // someone is the leader
	waiting []*commitRequest
}

// A commitRequest is one call of Apply.
type commitRequest struct {
	batch *Batch
	err   error // the outcome

	// turn is set when the outcome is known (false) or when it is the request's
	// turn to lead (true). nil for who leads at once.
	turn *env.Future[bool]
}

// maxGroupBytes bounds how much one leader writes: what is gained by sharing a sync
// is small beyond it, and the first of the group would wait long.
const maxGroupBytes = 4 << 20

// commit takes b through the log into the memtable, alone or with others:
//
//  1. Whoever finds no leader leads. Everyone else queues up and waits.
//  2. The leader takes the queue, writes all of it with one write and one sync,
//     inserts it and makes it visible.
//  3. It makes the first of those that queued up meanwhile the next leader, and
//     only then tells its followers the outcome.
func (db *DB) commit(b *Batch) error {
	r := &commitRequest{batch: b}
	q := &db.commits
	q.mu.Lock()
	if q.leading {
		r.turn = env.NewFuture[bool](db.e)
	}
	q.waiting = append(q.waiting, r)
	q.leading = true
	q.mu.Unlock()
	if r.turn != nil {
		if leads, _ := r.turn.Await(); !leads {
			return r.err
		}
	}
	db.writing.Lock()
	group := q.take()
	err := db.commitGroup(group)
	db.writing.Unlock()
	q.passOn()
	for _, follower := range group {
		follower.err = err
		if follower != r {
			follower.turn.Set(false, nil)
		}
	}
	return err
}

// take removes a group from the front of the queue. The leader is first.
func (q *commitQueue) take() []*commitRequest {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for n < len(q.waiting) && (n == 0 || size+len(q.waiting[n].batch.data) <= maxGroupBytes) {
		size += len(q.waiting[n].batch.data)
		n++
	}
	group := q.waiting[:n:n]
	q.waiting = append([]*commitRequest(nil), q.waiting[n:]...)
	return group
}

// passOn makes the first who waits the leader.
func (q *commitQueue) passOn() {
	q.mu.Lock()
	q.leading = len(q.waiting) > 0
	var next *commitRequest
	if q.leading {
		next = q.waiting[0]
	}
	q.mu.Unlock()
	if next != nil {
		next.turn.Set(true, nil)
	}
}

// commitGroup logs and inserts batches. The caller holds writing.
func (db *DB) commitGroup(group []*commitRequest) error {
	if err := db.refused(); err != nil {
		return err
	}
	first := db.lastSeq + 1
	payloads := make([][]byte, len(group))
	for i, r := range group {
		r.batch.seal(first)
		first += key.SeqNum(r.batch.count)
		payloads[i] = r.batch.data
	}
	if err := db.logPayloads(payloads); err != nil {
		return err
	}
	db.inserting.Lock()
	for _, r := range group {
		db.insert(r.batch)
	}
	db.visible.Store(uint64(db.lastSeq))
	isFull := db.memtableFull()
	db.inserting.Unlock()
	if isFull {
		// The batches are committed whether or not this succeeds.
		db.sealLogged()
	}
	return nil
}

// logPayloads writes to the log, and syncs it if a write must be durable at once.
// The caller holds writing.
func (db *DB) logPayloads(payloads [][]byte) error {
	_, err := db.log.Append(payloads...)
	if err == nil && db.o.Sync == SyncAlways {
		err = db.log.Sync()
	}
	switch {
	case err == nil:
		for _, p := range payloads {
			db.metrics.logBytes.Add(uint64(len(p)) + wal.Overhead)
		}
		return nil
	case db.log.Err() != nil:
		return db.fail(err)
	}
	return fmt.Errorf("lsm: write refused: %w", err)
}

// applyUnlogged inserts b without a log.
func (db *DB) applyUnlogged(b *Batch) error {
	db.inserting.Lock()
	defer db.inserting.Unlock()
	if err := db.refused(); err != nil { // Close waits for whoever has come past this
		return err
	}
	b.seal(db.lastSeq + 1)
	db.insert(b)
	db.visible.Store(uint64(db.lastSeq))
	if db.memtableFull() {
		db.switchMemtable(0)
	}
	return nil
}

// insert adds the operations of a sealed batch to the active memtable. The caller
// holds inserting.
func (db *DB) insert(b *Batch) {
	r := batchReader{rest: b.data[batchHeaderBytes:]}
	m := db.current.Load().active
	before := m.Bytes()
	db.lastSeq = addAll(m.Table, r, db.lastSeq+1)
	m.lastSeq = db.lastSeq
	db.metrics.userBytes.Add(uint64(len(b.data) - batchHeaderBytes))
	db.pacer.charge(m.Bytes() - before)
}

// addAll adds operations with sequence numbers from first on and returns the last.
func addAll(m *memtable.Table, r batchReader, first key.SeqNum) (last key.SeqNum) {
	seq := first
	var ranges []tombstone.Range
	for op, ok := r.next(); ok; op, ok = r.next() {
		if op.kind == key.RangeDelete {
			ranges = append(ranges, tombstone.Range{Start: op.user, End: op.value, Seq: seq})
		} else {
			m.Add(op.user, key.MakeTrailer(seq, op.kind), op.value)
		}
		seq++
	}
	if len(ranges) > 0 {
		m.DeleteRanges(ranges...)
	}
	return seq - 1
}

// syncTask makes writes durable now and then, for SyncInterval.
func (db *DB) syncTask() error {
	for {
		if _, ok := db.syncs.RecvFor(db.o.SyncEvery); ok {
			continue
		}
		if db.syncs.Closed() {
			return nil
		}
		db.writing.Lock()
		err := db.log.Sync()
		db.writing.Unlock()
		if err != nil {
			_ = db.fail(err) // whoever writes next is told
			return nil
		}
	}
}
