package lsm

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm/key"
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
// the log. Then the next leader does so for all that have come.
type commitQueue struct {
	mu      env.Leaf // guards the fields below it, and commitRequest.parked
	leading bool     // someone is the leader
	waiting []*commitRequest

	// How many writers there seem to be: the last leader's group and those who came
	// meanwhile.
	writers int

	// Scratch of the leader.
	group    []*commitRequest
	payloads [][]byte
}

// A commitRequest is one call of Apply. It lies in the batch, so that a commit
// allocates nothing.
type commitRequest struct {
	batch *Batch
	err   error // the outcome, once fate is known

	hashes [insertAhead]uint64 // of the first keys

	fate   atomic.Uint32
	parked *env.Future[struct{}] // set when fate is, if somebody waits for it
}

// The fates of a request that has queued up.
const (
	fateUnknown = iota
	fateDone    // err is the outcome
	fateLeads   // it is the request's turn to lead
)

// maxGroupBytes bounds how much one leader writes: what is gained by sharing a sync
// is small beyond it, and the first of the group would wait long.
const maxGroupBytes = 4 << 20

// commit takes b through the log into the memtable, alone or with others:
//
//  1. Whoever finds no leader leads. Everyone else queues up and waits.
//  2. The leader takes the queue, writes all of it with one write and at most one
//     sync, inserts it and makes it visible.
//  3. It makes the first of those that queued up meanwhile the next leader, and
//     only then tells its followers the outcome.
func (db *DB) commit(b *Batch) error {
	r := &b.request
	r.batch, r.err, r.parked = b, nil, nil
	r.fate.Store(fateUnknown)
	q := &db.commits
	q.mu.Lock()
	isFollower := q.leading
	if isFollower {
		q.waiting = append(q.waiting, r)
	}
	q.leading = true
	q.mu.Unlock()
	if isFollower {
		if db.awaitFate(r) == fateDone {
			return r.err
		}
	}
	return db.lead(r)
}

// lead commits r, which is not in the queue, and those that wait.
func (db *DB) lead(r *commitRequest) error {
	q := &db.commits
	if db.o.Sync == SyncAlways {
		db.gather()
	}
	db.startWriting()
	q.take(r)
	err := db.commitGroup(q.group)
	followers := q.passOn()
	db.writing.Unlock()
	for _, f := range followers {
		f.err = err
		q.tell(f, fateDone)
	}
	return err
}

// gather lets those come whom the last leader has just answered: they usually write again,
// and so all writers share each sync, where else one part would wait while the
// other's sync is under way. A lone writer does not wait.
func (db *DB) gather() {
	q := &db.commits
	before := 0
	for idle := 0; idle < gatherYields; idle++ {
		q.mu.Lock()
		n, writers := len(q.waiting)+1, q.writers
		q.mu.Unlock()
		if n >= writers {
			return
		}
		if n > before {
			idle, before = 0, n
		}
		db.e.Yield()
	}
}

// gatherYields bounds how often a leader looks for writers that may not come since the last
// one came: it takes some microseconds, a small part of a sync.
const gatherYields = 100

// spins is how often a follower looks for its fate before it parks, for a microsecond or
// two: a leader that does not sync is done by then, and parking costs more.
const spins = 1000

func (db *DB) awaitFate(r *commitRequest) uint32 {
	if db.o.Sync != SyncAlways && !db.e.Simulated() {
		for range spins {
			if fate := r.fate.Load(); fate != fateUnknown {
				return fate
			}
		}
	}
	q := &db.commits
	q.mu.Lock()
	if r.fate.Load() == fateUnknown {
		r.parked = env.NewFuture[struct{}](db.e)
	}
	q.mu.Unlock()
	if r.parked != nil {
		_, _ = r.parked.Await()
	}
	return r.fate.Load()
}

// tell lets a request know its fate. The request is its owner's again after that.
func (q *commitQueue) tell(r *commitRequest, fate uint32) {
	q.mu.Lock()
	parked := r.parked
	r.fate.Store(fate)
	q.mu.Unlock()
	if parked != nil {
		parked.Set(struct{}{}, nil)
	}
}

// take makes the group: the leader and what fits from the front of the queue.
func (q *commitQueue) take(leader *commitRequest) {
	q.group = append(q.group[:0], leader)
	size := len(leader.batch.data)
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.waiting) && size+len(q.waiting[n].batch.data) <= maxGroupBytes {
		size += len(q.waiting[n].batch.data)
		n++
	}
	q.group = append(q.group, q.waiting[:n]...)
	q.waiting = slices.Delete(q.waiting, 0, n)
}

// passOn makes the first who waits the leader, and returns the followers of this one:
// a copy if there are any, because the next leader uses the scratch.
func (q *commitQueue) passOn() (followers []*commitRequest) {
	if len(q.group) > 1 {
		followers = slices.Clone(q.group[1:])
	}
	q.mu.Lock()
	q.writers = len(q.group) + len(q.waiting)
	var next *commitRequest
	if q.leading = len(q.waiting) > 0; q.leading {
		next = q.waiting[0]
		q.waiting = slices.Delete(q.waiting, 0, 1)
	}
	q.mu.Unlock()
	if next != nil {
		q.tell(next, fateLeads)
	}
	return followers
}

// commitGroup logs and inserts batches. The caller holds writing.
func (db *DB) commitGroup(group []*commitRequest) error {
	if err := db.refused(); err != nil {
		return err
	}
	first := db.lastSeq + 1
	payloads := db.commits.payloads[:0]
	for _, r := range group {
		r.batch.seal(first)
		first += key.SeqNum(r.batch.count)
		payloads = append(payloads, r.batch.data)
	}
	db.commits.payloads = payloads
	// What insertion will touch may come while the log is being written.
	active := db.current.Load().active
	for _, r := range group {
		active.prefetch(batchReader{rest: r.batch.data[batchHeaderBytes:]}, &r.hashes)
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
	if err == nil && db.o.Sync == SyncAlways && !plant.On(plant.StoreLogUnsynced) {
		err = db.log.Sync()
	}
	switch {
	case err == nil:
		n := 0
		for _, p := range payloads {
			n += len(p) + wal.Overhead
		}
		db.metrics.logBytes.Add(uint64(n))
		return nil
	case db.log.Err() != nil:
		return db.fail(err)
	}
	return fmt.Errorf("lsm: write refused: %w", err)
}

// applyUnlogged inserts b without a log.
func (db *DB) applyUnlogged(b *Batch) error {
	db.startInserting()
	defer db.inserting.Unlock()
	if err := db.refused(); err != nil { // Close waits for whoever has come past this
		return err
	}
	b.seal(db.lastSeq + 1)
	db.current.Load().active.prefetch(batchReader{rest: b.data[batchHeaderBytes:]}, &b.request.hashes)
	db.insert(b)
	db.visible.Store(uint64(db.lastSeq))
	if db.memtableFull() {
		db.switchMemtable(0)
	}
	return nil
}

// insert adds the operations of a sealed batch, which was prefetched, to the active
// memtable. The caller holds inserting.
func (db *DB) insert(b *Batch) {
	r := batchReader{rest: b.data[batchHeaderBytes:]}
	m := db.current.Load().active
	before := m.Bytes()
	db.lastSeq = addAll(m, r, db.lastSeq+1, &b.request.hashes)
	m.lastSeq = db.lastSeq
	db.metrics.userBytes.Add(uint64(len(b.data) - batchHeaderBytes))
	db.pacer.charge(m.Bytes() - before)
}

// insertAhead is how many operations ahead of its insertion a key's line of the hash index
// is asked for.
const insertAhead = 8

// prefetch asks for what the insertion of the first operations of a batch will touch, and
// notes the hashes of their keys.
func (m *memory) prefetch(r batchReader, hashes *[insertAhead]uint64) {
	for i := range hashes {
		op, ok := r.next()
		if !ok {
			return
		}
		hashes[i] = m.Prefetch(op.user)
	}
}

// addAll adds operations with sequence numbers from first on and returns the last.
// prefetch has filled in the hashes of the first ones; they are overwritten.
func addAll(m *memory, r batchReader, first key.SeqNum, hashes *[insertAhead]uint64) (last key.SeqNum) {
	// ops and hashes are a ring of the operations that come next: the left ones from i on.
	var ops [insertAhead]operation
	left := 0
	for ; left < insertAhead; left++ {
		op, ok := r.next()
		if !ok {
			break
		}
		ops[left] = op
	}
	seq := first
	var ranges []tombstone.Range
	for i := 0; left > 0; i = (i + 1) % insertAhead {
		op := &ops[i]
		if op.kind == key.RangeDelete {
			ranges = append(ranges, tombstone.Range{Start: op.user, End: op.value, Seq: seq})
		} else {
			m.Insert(op.user, hashes[i], key.MakeTrailer(seq, op.kind), op.value)
		}
		seq++
		if later, ok := r.next(); ok {
			ops[i], hashes[i] = later, m.Prefetch(later.user)
		} else {
			left--
		}
	}
	m.Publish()
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
