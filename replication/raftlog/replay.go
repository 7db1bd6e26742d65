package raftlog

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/lsm/wal"
)

// A replay rebuilds what the log knows from its records.
type replay struct {
	*Log
	kept      []kept // entries in memory, oldest first
	keptBytes int
}

// kept is an entry that its group's Storage has in memory.
type kept struct {
	s     *Storage
	bytes int
}

// record does once more what the writer of a record did.
func (l *replay) record(pos wal.Position, payload []byte) error {
	r, err := decodeRecord(payload)
	if err == nil {
		err = l.redo(pos, &r)
	}
	if err != nil && !errors.Is(err, ErrWrongNode) {
		return l.corrupt(pos, err)
	}
	l.end = pos.Next(len(payload)).Offset
	return err
}

func (l *replay) redo(pos wal.Position, r *record) error {
	isFirst := len(l.segments) == 0 || l.segments[len(l.segments)-1].id != pos.Segment
	if isFirst != (r.kind == kindCheckpoint) {
		return errors.New("a checkpoint must be the first record of a segment, and no other")
	}
	if r.kind == kindCheckpoint {
		return l.redoCheckpoint(pos, r)
	}
	s := l.groups[r.group]
	exists := s != nil && !s.retired
	if exists == (r.kind == kindCreated) && !(r.kind == kindRemoved && s != nil) {
		return fmt.Errorf("group %d: record of kind %d for a group that exists: %t", r.group, r.kind, exists)
	}
	switch r.kind {
	case kindCreated:
		g := groupState{id: r.group, relaxed: r.relaxed, members: r.members}
		if s != nil {
			g.hard = s.promises()
		}
		l.addGroup(g)
	case kindRemoved:
		l.release(s.pinned())
		delete(l.groups, r.group)
	case kindHardState:
		s.setHard(r.hard)
	case kindEntry:
		return l.redoEntry(s, pos, r)
	case kindTruncated:
		l.release(s.truncate(r.id, r.hard))
	case kindRestored:
		l.release(s.truncate(r.id, r.hard))
		s.SetMembers(r.members)
	case kindRetired:
		l.release(s.pinned())
		l.addGroup(groupState{id: r.group, retired: true, hard: s.promises(), members: noMembers()})
	}
	return nil
}

// redoCheckpoint starts from the oldest segment's checkpoint. Those of later
// segments must agree with what was replayed.
func (l *replay) redoCheckpoint(pos wal.Position, r *record) error {
	if r.node != l.o.NodeID {
		return fmt.Errorf("%w: node %d, this is %d", ErrWrongNode, r.node, l.o.NodeID)
	}
	isOldest := len(l.segments) == 0
	l.segments = append(l.segments, segment{id: pos.Segment})
	if !isOldest && len(r.groups) != len(l.groups) {
		return fmt.Errorf("checkpoint of %d groups, replay found %d", len(r.groups), len(l.groups))
	}
	for _, g := range r.groups {
		if isOldest {
			l.addGroup(g)
			continue
		}
		s := l.groups[g.id]
		if s == nil || s.retired != g.retired || s.last != g.last || s.hard.Term != g.hard.Term || s.hard.Vote != g.hard.Vote {
			return fmt.Errorf("group %d: checkpoint disagrees with the records before it", g.id)
		}
		s.setHard(g.hard)
		s.relaxed = g.relaxed
	}
	return nil
}

func (l *replay) redoEntry(s *Storage, pos wal.Position, r *record) error {
	if s.rebase(r.id) {
		return nil
	}
	overwritten, err := s.put(r.id, pos, r.entry())
	if err != nil {
		return err
	}
	l.replaced(overwritten, pos.Segment)
	l.pin(pos.Segment, 1)
	l.keep(kept{s, len(r.data) + keptOverhead})
	return nil
}

// keptOverhead is about what an entry takes in memory besides its data.
const keptOverhead = 128

// keep makes room for an entry that is now in memory. Of a group whose log was
// cut meanwhile this may drop a younger entry than it means to; that costs
// a read.
func (l *replay) keep(k kept) {
	l.kept = append(l.kept, k)
	l.keptBytes += k.bytes
	for l.keptBytes > l.o.ReplayBytes {
		l.kept[0].s.dropOldest()
		l.keptBytes -= l.kept[0].bytes
		l.kept = l.kept[1:]
	}
}

// An ownEntry is a raft entry with what its fields point to, in one piece.
type ownEntry struct {
	entry raftpb.Entry
	id    EntryID
	typ   raftpb.EntryType
}

// entry returns a copy of an entry record's content.
func (r *record) entry() *raftpb.Entry {
	o := &ownEntry{id: r.id, typ: r.typ}
	o.entry.Index, o.entry.Term, o.entry.Type = &o.id.Index, &o.id.Term, &o.typ
	o.entry.Data = append([]byte(nil), r.data...)
	return &o.entry
}
