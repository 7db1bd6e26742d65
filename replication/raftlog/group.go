package raftlog

import (
	"fmt"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/wal"
)

// Create adds a group with an empty log, durably if it has other members: nobody
// could tell a replica that is not there from one that was removed. Otherwise it
// is durable no later than anything of the group is. The id must be unused; if a replica of the group
// was retired here, the new one begins with its term and vote.
func (l *Log) Create(id GroupID, members *raftpb.ConfState) (*Storage, error) {
	s := newStorage(l, id)
	s.members, s.relaxed = members, l.o.Relaxed
	l.mu.Lock()
	old := l.groups[id]
	l.mu.Unlock()
	if old != nil && !plant.On(plant.RetiredVoteForgotten) {
		s.hard = old.promises()
	}
	var b Batch
	b.mark(s, kindCreated)
	if err := l.writeMark(&b, l.o.Relaxed || s.isShared()); err != nil {
		return nil, err
	}
	return s, nil
}

// Remove drops a group and its log, durably in every mode. If the group has
// other members, what this one has promised to them as a voter is kept.
func (l *Log) Remove(id GroupID) error {
	s := l.Storage(id)
	if s == nil {
		return fmt.Errorf("%w: %d", ErrNoGroup, id)
	}
	var b Batch
	if s.isShared() && s.promises() != (HardState{}) {
		b.mark(s, kindRetired)
	} else {
		b.mark(s, kindRemoved)
	}
	return l.writeMark(&b, true)
}

// Forget drops what is left of a removed group that nobody has any more. If the
// group runs, or there is nothing, nothing happens.
func (l *Log) Forget(id GroupID) error {
	l.mu.Lock()
	s := l.groups[id]
	l.mu.Unlock()
	if s == nil || !s.retired {
		return nil
	}
	var b Batch
	b.mark(s, kindRemoved)
	return l.writeMark(&b, false)
}

// Retired reports whether a replica of the group was removed that others go on without,
// and none was created since. Creating one is durable before it says anything to the others.
func (l *Log) Retired(id GroupID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.groups[id]
	return s != nil && s.retired
}

// noMembers are the members of a group that has none.
func noMembers() *raftpb.ConfState { return &raftpb.ConfState{AutoLeave: new(bool)} }

func (l *Log) writeMark(b *Batch, sync bool) error {
	if err := l.Reserve(b, b.diskBytes()); err != nil {
		return err
	}
	return l.Write(b, sync)
}

// Recover compares a replayed group with its state machine, which has applied
// the entries up to the given index, and makes the group ready for use.
//
// If either of the two lacks what the other one needs, the error matches ErrLost
// and *corrupt.Error. There is one harmless case: the state machine of a relaxed
// group may be ahead of a log whose end was not durable. If the group has no
// other voters, whose logs this one would have to match, nothing is missing
// that is still needed, and the log goes on behind the state machine.
func (l *Log) Recover(s *Storage, applied uint64) error {
	g := s.state()
	first, _ := s.FirstIndex()
	isSole := !s.isShared()
	switch {
	case applied+1 < first:
		return l.lost(s.id, "the log begins with entry %d, but the state machine has applied only %d", first, applied)
	case g.hard.Commit > g.last.Index:
		return l.lost(s.id, "entries up to %d are committed, but the log ends with %d", g.hard.Commit, g.last.Index)
	case applied > g.last.Index && !(g.relaxed && isSole):
		return l.lost(s.id, "entries up to %d are applied, but the log ends with %d", applied, g.last.Index)
	case applied > g.last.Index:
		if err := l.skipTo(s, applied); err != nil {
			return err
		}
	}
	l.releaseAt(s.setApplied(nil, applied), 0, s.isShared())
	s.mu.Lock()
	s.hard.Commit = max(s.hard.Commit, applied) // applied implies committed
	s.relaxed = l.o.Relaxed
	s.mu.Unlock()
	return nil
}

// Restore empties a group's log, durably, because its state machine now holds a
// snapshot of the given entry.
func (l *Log) Restore(s *Storage, id EntryID, members *raftpb.ConfState) error {
	hs := s.Hard()
	if hs.Term < id.Term {
		hs = HardState{Term: id.Term}
	}
	hs.Commit = id.Index
	var b Batch
	b.Restored(s, id, hs, members)
	return l.writeMark(&b, true)
}

// Begin has an empty log go on, durably, behind an entry that is in no log: it stands for a state that the group begins with. What has
// been promised stays.
func (l *Log) Begin(s *Storage, id EntryID, members *raftpb.ConfState) error {
	hs := s.Hard()
	hs.Commit = id.Index
	var b Batch
	b.Restored(s, id, hs, members)
	return l.writeMark(&b, true)
}

// skipTo makes the log of a relaxed sole voter end with an applied entry that
// was not durable. Its term is lost, too; any one up to the current will do.
func (l *Log) skipTo(s *Storage, applied uint64) error {
	hs := s.Hard()
	hs.Term = max(hs.Term, 1)
	hs.Commit = applied
	var b Batch
	b.truncated(s, EntryID{applied, hs.Term}, hs)
	return l.writeMark(&b, true)
}

// lost says what is missing, and where the log ends.
func (l *Log) lost(id GroupID, format string, args ...any) error {
	l.io.Lock()
	end := l.end
	l.io.Unlock()
	l.mu.Lock()
	var newest wal.SegmentID
	if n := len(l.segments); n > 0 {
		newest = l.segments[n-1].id
	}
	l.mu.Unlock()
	return fmt.Errorf("%w: group %d: %w", ErrLost, id, corrupt.New(l.fileName(newest), end, format, args...))
}
