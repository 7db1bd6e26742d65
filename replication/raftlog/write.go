package raftlog

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/lsm/wal"
)

// ErrFailed means that a write or sync of the log failed. What is on disk is
// unknown, so the log takes no more writes until it is opened again.
var ErrFailed = errors.New("raftlog: log failed")

// A Batch collects the records of one round. It may be used again after Reset,
// and is not safe for concurrent use.
type Batch struct {
	buf      []byte // payloads, one behind the other
	ends     []int  // of the payloads in buf
	items    []item // what each payload means to the groups
	reserved int64

	// Set by Write; guarded by Log.io from then on.
	sync, done bool
	err        error
}

// An item is one record of a batch. Exactly one of the three is meant.
type item struct {
	s       *Storage
	entry   *raftpb.Entry
	hard    HardState
	mark    kind // created, removed, retired, truncated or restored; the id of the last two is in at
	at      EntryID
	members *raftpb.ConfState // restored
}

// keepBatchBytes is the capacity above which a batch gives its buffer back.
const keepBatchBytes = 1 << 20

// Reset empties the batch.
func (b *Batch) Reset() {
	clear(b.items)
	b.ends, b.items = b.ends[:0], b.items[:0]
	if b.buf = b.buf[:0]; cap(b.buf) > keepBatchBytes {
		b.buf = nil
	}
}

// Empty reports whether there is nothing to write.
func (b *Batch) Empty() bool { return len(b.items) == 0 }

// Entry adds an entry of a group. The entry must not be changed any more.
func (b *Batch) Entry(s *Storage, e *raftpb.Entry) {
	b.buf = appendEntry(b.buf, s.id, e)
	b.add(item{s: s, entry: e})
}

// HardState adds a group's hard state. It must precede the entries of its term.
//
// The record never says that more is committed than the records before it hold,
// or a crash between it and the entries would look like a lost log. A lower
// Commit does no harm: raft learns the true one again.
func (b *Batch) HardState(s *Storage, hs HardState) {
	hs.Commit = min(hs.Commit, s.Last().Index)
	b.buf = appendHardState(b.buf, s.id, hs)
	b.add(item{s: s, hard: hs})
}

// Commit adds a hard state between entries: the next one has index next, so that no more
// than what precedes it can be committed.
func (b *Batch) Commit(s *Storage, hs HardState, next uint64) {
	hs.Commit = min(hs.Commit, next-1)
	b.buf = appendHardState(b.buf, s.id, hs)
	b.add(item{s: s, hard: hs})
}

// Restored adds that a snapshot has replaced the group's log up to id; it holds
// the hard state that raft wants to go with it. The entries after it may follow.
//
// It is one record, because none of this may become durable without the rest:
// the new commit index means nothing to the old entries.
func (b *Batch) Restored(s *Storage, id EntryID, hs HardState, members *raftpb.ConfState) {
	hs.Commit = id.Index
	b.buf = appendRestored(b.buf, s.id, id, hs, members)
	b.add(item{s: s, hard: hs, at: id, members: members, mark: kindRestored})
}

// mark adds that a group was created, removed or retired.
func (b *Batch) mark(s *Storage, k kind) {
	switch k {
	case kindCreated:
		b.buf = appendCreated(b.buf, s.id, s.relaxed, s.members)
	case kindRemoved:
		b.buf = appendRemoved(b.buf, s.id)
	case kindRetired:
		b.buf = appendRetired(b.buf, s.id)
	}
	b.add(item{s: s, mark: k})
}

func (b *Batch) truncated(s *Storage, id EntryID, hs HardState) {
	b.buf = appendTruncated(b.buf, s.id, id, hs)
	b.add(item{s: s, hard: hs, at: id, mark: kindTruncated})
}

func (b *Batch) add(it item) {
	b.ends = append(b.ends, len(b.buf))
	b.items = append(b.items, it)
}

// payload returns the bytes of the i-th record.
func (b *Batch) payload(i int) []byte {
	start := 0
	if i > 0 {
		start = b.ends[i-1]
	}
	return b.buf[start:b.ends[i]:b.ends[i]]
}

// diskBytes is what the batch takes in the log.
func (b *Batch) diskBytes() int64 { return int64(len(b.buf) + len(b.ends)*wal.Overhead) }

// EntryBytes bounds what an entry with that much data takes in the log.
func EntryBytes(dataBytes int) int64 { return int64(dataBytes) + maxEntryOverhead + wal.Overhead }

// MarkBytes bounds what a hard state or a mark of a small group takes.
const MarkBytes = 256

// Reserve makes sure that n bytes of the batch will fit, on top of what has
// been reserved for it and others before. When the disk is too full the error
// matches vfs.ErrNoSpace and nothing has happened. Writes use the reservation
// up; Unreserve gives up what is left.
func (l *Log) Reserve(b *Batch, n int64) error {
	if l.takeRoom(b, n) {
		return nil
	}
	l.io.Lock()
	defer l.io.Unlock()
	if l.failed != nil {
		return l.failed
	}
	if err := l.makeRoom(n, b, l.e.Buggify("raftlog: short segment")); err != nil {
		return l.failUnlessFull(err)
	}
	return nil
}

// takeRoom reserves what is there without touching the disk.
func (l *Log) takeRoom(b *Batch, n int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.room < n {
		return false
	}
	l.room -= n
	l.reserved += n
	b.reserved += n
	return true
}

// Unreserve gives up what was reserved for a batch, and not used.
func (l *Log) Unreserve(b *Batch) {
	if b.reserved == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.room += b.reserved
	l.reserved -= b.reserved
	b.reserved = 0
}

// makeRoom finds n bytes beyond what is reserved, and takes them, for b if it is
// not nil. It may begin a new segment for them. The wal would do that by itself,
// but a new segment needs a checkpoint first.
//
// It takes all that is left of the segment if it can: that costs nothing, and
// the next reservations need not ask.
//
// If the disk is too full, nothing has changed: what was reserved before stays
// reserved where it was.
func (l *Log) makeRoom(n int64, b *Batch, rotate bool) error {
	l.mu.Lock()
	before, need := l.room, l.reserved+n
	l.room = 0 // nobody reserves meanwhile
	l.mu.Unlock()
	rotate = rotate || l.end+need+wal.Overhead > l.o.SegmentBytes
	room, err := l.reserveSegment(need, rotate && !l.fresh)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.room += before
		return err
	}
	if b != nil {
		b.reserved += n
		l.reserved += n
		n = 0
	}
	l.room = room - l.reserved - n
	return nil
}

// reserveSegment gets the rest of the segment from the disk, or at least need
// bytes. It returns how many.
func (l *Log) reserveSegment(need int64, rotate bool) (room int64, err error) {
	reserve := l.wal.Reserve
	if rotate {
		reserve = l.wal.RotateReserve
	}
	used, head := l.end, int64(0)
	if l.fresh || rotate {
		l.scratch = l.appendCheckpoint(l.scratch[:0])
		head = int64(len(l.scratch)) + wal.Overhead + checkpointSlack
		used = maxHeaderBytes
	}
	room = max(need, l.o.SegmentBytes-used-head-wal.Overhead)
	err = reserve(int(head + room))
	if err != nil && room > need && l.wal.Err() == nil {
		room = need
		err = reserve(int(head + room))
	}
	l.fresh = l.fresh || rotate && err == nil
	return room, err
}

// maxHeaderBytes is not less than what a segment begins with.
const maxHeaderBytes = 4096

// checkpointSlack is room for hard states that grow, and groups that are
// created, between a reservation and the write.
const checkpointSlack = 4096

func (l *Log) appendCheckpoint(dst []byte) []byte {
	all := l.storages()
	groups := make([]groupState, len(all))
	for i, s := range all {
		groups[i] = s.state()
		groups[i].relaxed = groups[i].relaxed || l.o.Relaxed
	}
	return appendCheckpoint(dst, l.o.NodeID, groups)
}

// failUnlessFull passes on what left the log as it was.
func (l *Log) failUnlessFull(err error) error {
	if l.wal.Err() == nil {
		return fmt.Errorf("raftlog: %w", err)
	}
	return l.failWith(err)
}

func (l *Log) failWith(err error) error {
	if l.failed == nil {
		l.failed = fmt.Errorf("%w: %w", ErrFailed, err)
	}
	return l.failed
}

// Write appends the batch and, if sync is set, returns when it is durable.
// Batches of several workers that wait for the disk at the same time share one
// write and one sync. After any error the log is failed.
func (l *Log) Write(b *Batch, sync bool) error {
	b.sync, b.done, b.err = sync, false, nil
	l.mu.Lock()
	l.waiting = append(l.waiting, b)
	l.mu.Unlock()
	l.io.Lock()
	defer l.io.Unlock()
	if !b.done {
		l.writeWaiting()
	}
	return b.err
}

// writeWaiting does the work of everybody who is waiting for it.
func (l *Log) writeWaiting() {
	l.mu.Lock()
	batches := l.waiting
	l.waiting = l.written[:0]
	l.mu.Unlock()
	defer func() {
		clear(batches)
		l.written = batches
	}()
	pos, err := l.append(batches)
	for _, b := range batches {
		if err == nil {
			pos, err = l.note(b, pos)
		}
		b.done, b.err = true, err
	}
}

// append writes all payloads and returns where the first batch begins.
func (l *Log) append(batches []*Batch) (wal.Position, error) {
	if l.failed != nil {
		return wal.Position{}, l.failed
	}
	total, sync := int64(0), false
	for _, b := range batches {
		total += b.diskBytes()
		sync = sync || b.sync
	}
	if err := l.useRoom(batches, total); err != nil {
		return wal.Position{}, l.failWith(err)
	}
	payloads := l.payloads[:0]
	if l.fresh {
		l.scratch = l.appendCheckpoint(l.scratch[:0])
		payloads = append(payloads, l.scratch)
		total += wal.Overhead + int64(len(l.scratch))
	}
	for _, b := range batches {
		for i := range b.ends {
			payloads = append(payloads, b.payload(i))
		}
	}
	if l.o.Relaxed && !l.marked {
		// The checkpoint says that the groups are relaxed from here on. It
		// must not be lost together with the first entries that are.
		sync, l.marked = true, true
	}
	pos, err := l.wal.Append(payloads...)
	clear(payloads)
	l.payloads = payloads[:0]
	if err == nil && sync {
		err = l.wal.Sync()
	}
	if err != nil {
		return pos, l.failWith(err)
	}
	l.end = pos.Offset + total
	if l.fresh {
		l.fresh = false
		l.begin(pos.Segment)
		pos = pos.Next(len(l.scratch))
	}
	return pos, nil
}

// useRoom turns the batches' reservations into the space that they need, and
// finds more in case they did not reserve enough.
func (l *Log) useRoom(batches []*Batch, total int64) error {
	l.mu.Lock()
	for _, b := range batches {
		n := min(b.reserved, b.diskBytes()) // the rest is for what will be written later
		l.room += n
		l.reserved -= n
		b.reserved -= n
	}
	enough := l.room >= total
	if enough {
		l.room -= total
	}
	l.mu.Unlock()
	if enough {
		return nil
	}
	return l.makeRoom(total, nil, false)
}

func (l *Log) begin(id wal.SegmentID) {
	l.mu.Lock()
	l.segments = append(l.segments, segment{id: id})
	l.mu.Unlock()
}

// note tells the groups about records that are now in the log.
func (l *Log) note(b *Batch, pos wal.Position) (wal.Position, error) {
	entries := 0
	for i := range b.items {
		it := &b.items[i]
		switch {
		case it.entry != nil:
			overwritten, err := it.s.put(EntryID{it.entry.GetIndex(), it.entry.GetTerm()}, pos, it.entry)
			if err != nil {
				return pos, l.failWith(err)
			}
			l.replaced(overwritten, pos.Segment)
			entries++
		case it.mark != 0:
			l.noteMark(it)
		default:
			it.s.setHard(it.hard)
		}
		pos = pos.Next(len(b.payload(i)))
	}
	l.pin(pos.Segment, entries)
	return pos, nil
}

func (l *Log) noteMark(it *item) {
	switch it.mark {
	case kindTruncated:
		l.release(it.s.truncate(it.at, it.hard))
	case kindRestored:
		l.release(it.s.truncate(it.at, it.hard))
		it.s.SetMembers(it.members)
	case kindRemoved:
		l.release(it.s.pinned())
		l.mu.Lock()
		delete(l.groups, it.s.id)
		l.mu.Unlock()
	case kindRetired:
		l.release(it.s.pinned())
		old := newStorage(l, it.s.id)
		old.retired, old.members, old.hard = true, noMembers(), it.s.promises()
		l.mu.Lock()
		l.groups[old.id] = old
		l.mu.Unlock()
	case kindCreated:
		l.mu.Lock()
		l.groups[it.s.id] = it.s
		l.mu.Unlock()
	}
}

// Sync makes everything written durable.
func (l *Log) Sync() error {
	l.io.Lock()
	defer l.io.Unlock()
	if l.failed != nil {
		return l.failed
	}
	if err := l.wal.Sync(); err != nil {
		return l.failWith(err)
	}
	return nil
}
