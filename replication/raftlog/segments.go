package raftlog

import (
	"fmt"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm/wal"
)

// A segment counts why a segment of the log is still needed.
//
// A crash throws the state machines back to what the store had flushed, so an
// entry is needed until it is applied and the store has flushed what applying
// it wrote. Sequence numbers of the store only grow, so for all the applied
// entries of a segment one number will do: the store's last at that time.
//
// Other members of a group may need an entry for longer, because they lag. So a
// segment with such entries stays while there are no more than KeepSegments;
// after that they need a snapshot.
type segment struct {
	id      wal.SegmentID
	pending int    // entries that are not applied yet
	seq     uint64 // the store must have flushed up to here
	shared  bool   // others may want entries in it
	stale   bool   // its checkpoint counts entries that were replaced after it
}

// pin counts new entries in a segment.
func (l *Log) pin(id wal.SegmentID, entries int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.segmentLocked(id); s != nil {
		s.pending += entries
	}
}

// release counts entries that will never be applied.
func (l *Log) release(rs []release) { l.releaseAt(rs, 0, false) }

func (l *Log) releaseAt(rs []release, seq uint64, shared bool) {
	if len(rs) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range rs {
		if s := l.segmentLocked(r.segment); s != nil {
			s.pending -= r.entries
			s.seq = max(s.seq, seq)
			s.shared = s.shared || shared
		}
	}
}

// replaced notes that entries were replaced by one in a later segment.
func (l *Log) replaced(entries []release, by wal.SegmentID) {
	l.release(entries)
	if len(entries) == 0 {
		return
	}
	first := by
	for _, r := range entries {
		first = min(first, r.segment)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.segments {
		if s := &l.segments[i]; s.id > first && s.id <= by {
			s.stale = true
		}
	}
}

func (l *Log) segmentLocked(id wal.SegmentID) *segment {
	for i := len(l.segments) - 1; i >= 0; i-- {
		if l.segments[i].id == id {
			return &l.segments[i]
		}
	}
	return nil
}

// Applied notes that a group has applied its entries up to index, and that the
// store's last sequence number was then seq.
func (l *Log) Applied(s *Storage, index, seq uint64) {
	var few [4]release
	l.releaseAt(s.setApplied(few[:0], index), seq, s.isShared())
}

// Keep says how many of the newest segments stay for other members.
func (l *Log) Keep(segments int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep = segments
}

// Live returns how many segments hold records.
func (l *Log) Live() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.segments)
}

// removable returns the oldest segment that is still needed, if there are
// older ones.
func (l *Log) removable(flushed uint64) (oldest wal.SegmentID, ok bool) {
	held := ^wal.SegmentID(0)
	for _, s := range l.storages() {
		if id, ok := s.holds(); ok {
			held = min(held, id)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n < len(l.segments)-1 {
		s := &l.segments[n]
		if s.id >= held || s.pending > 0 && !plant.On(plant.PendingSegmentRemoved) || s.seq > flushed && !plant.On(plant.LogTruncatedEarly) || s.shared && len(l.segments)-n <= l.keep {
			break
		}
		n++
	}
	for n > 0 && l.segments[n].stale {
		n-- // a replay could not begin there: what precedes the replacement is unknown
	}
	if n == 0 {
		return 0, false
	}
	return l.segments[n].id, true
}

// Seal begins a new segment, so that all others can be removed once they are
// not needed.
func (l *Log) Seal() error {
	l.io.Lock()
	defer l.io.Unlock()
	if l.failed != nil || l.fresh {
		return l.failed
	}
	if err := l.makeRoom(0, nil, true); err != nil {
		return l.failUnlessFull(err)
	}
	_, err := l.append(nil)
	return err
}

// Collect removes the oldest segments, as far as no entry in them is needed by
// a store that has flushed its batches up to the given sequence number.
func (l *Log) Collect(flushed uint64) error {
	l.io.Lock()
	defer l.io.Unlock()
	oldest, ok := l.removable(flushed)
	if !ok || l.failed != nil {
		return l.failed
	}
	// The checkpoint that a replay will begin with must be durable first.
	if err := l.wal.Sync(); err != nil {
		return l.failWith(err)
	}
	for _, s := range l.storages() {
		s.forget(oldest)
	}
	l.mu.Lock()
	for l.segments[0].id < oldest {
		l.segments = l.segments[1:]
	}
	l.mu.Unlock()
	if err := l.wal.RemoveBefore(oldest); err != nil {
		return fmt.Errorf("raftlog: %w", err)
	}
	return nil
}
