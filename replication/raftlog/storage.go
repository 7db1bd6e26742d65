package raftlog

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm/wal"
)

// ErrLost means that a group's log lacks entries that are known to have been
// committed, or that the state machine lacks what a removed segment held.
var ErrLost = errors.New("raftlog: log lost")

// A ReadError says that an entry on disk could not be read again. Raft panics
// with it.
type ReadError struct{ Err error }

func (e *ReadError) Error() string { return "raftlog: " + e.Err.Error() }
func (e *ReadError) Unwrap() error { return e.Err }

// A Storage is one group's part of the log: the raft.Storage of its RawNode.
//
// Entries up to applied are kept on disk only, as long as their segment lives;
// later ones are also in memory, after a restart as far as Options.ReplayBytes
// permits. Whoever needs another one gets it read again by position.
//
// A group is relaxed if it was written in a mode that applies entries before
// they are durable. Then a power cut may leave a state machine that is ahead
// of the log; in all other groups that is damage.
//
// The group's worker calls the raft.Storage methods; the log may at the same
// time drop what is in removed segments, or write a checkpoint.
type Storage struct {
	log     *Log
	id      GroupID
	retired bool // only hard is of interest

	// mu guards what is below.
	mu      env.Leaf
	hard    HardState
	members *raftpb.ConfState // replaced, never edited
	relaxed bool
	base    EntryID // the entry before the first one; its data is gone
	last    EntryID
	applied uint64
	held    uint64          // see Hold
	spans   spans           // base.Index+1 ... last.Index
	window  []*raftpb.Entry // the last of them: those in memory
}

// Invariant: base.Index ≤ applied ≤ last.Index once Recover has returned.

func newStorage(l *Log, id GroupID) *Storage {
	s := &Storage{log: l, id: id}
	s.mu.Bind(l.e)
	return s
}

// ID returns the group's id.
func (s *Storage) ID() GroupID { return s.id }

// Hard returns the recorded hard state. Its Commit may lag behind raft's.
func (s *Storage) Hard() HardState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hard
}

// Last returns the group's last entry: the zero EntryID in an empty log.
func (s *Storage) Last() EntryID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// Members returns the group's members. The caller must not change them.
func (s *Storage) Members() *raftpb.ConfState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.members
}

// SetMembers notes that the members have changed. They become part of later
// checkpoints; the change itself is an entry, and the state machine's to keep.
func (s *Storage) SetMembers(m *raftpb.ConfState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members = m
}

// SoleVoter returns the member if it is the only one, of any kind.
func SoleVoter(m *raftpb.ConfState) (node uint64, ok bool) {
	if len(m.GetVoters()) != 1 || len(m.GetLearners())+len(m.GetVotersOutgoing())+len(m.GetLearnersNext()) > 0 {
		return 0, false
	}
	return m.GetVoters()[0], true
}

// put notes an entry that is now on disk. It returns what this overwrites. A nil
// e stays on disk only; then so do all before it.
func (s *Storage) put(id EntryID, pos wal.Position, e *raftpb.Entry) (overwritten []release, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case id.Index > s.last.Index+1:
		return nil, fmt.Errorf("group %d: entry %d follows entry %d", s.id, id.Index, s.last.Index)
	case id.Index <= s.base.Index || id.Index <= s.hard.Commit || id.Index <= s.applied:
		return nil, fmt.Errorf("group %d: entry %d was already committed", s.id, id.Index)
	case id.Index <= s.last.Index:
		overwritten = s.spans.count(nil, id.Index, s.last.Index)
		s.cutAfterLocked(id.Index)
	}
	if id.Term < s.last.Term {
		return nil, fmt.Errorf("group %d: entry %d of term %d follows term %d", s.id, id.Index, id.Term, s.last.Term)
	}
	s.spans.add(id, pos)
	s.last = id
	if e == nil {
		s.window = s.window[:0]
	} else {
		s.window = append(s.window, e)
	}
	return overwritten, nil
}

// rebase is for a replay that begins with a stale segment: its checkpoint counts entries that
// were replaced after it. It was to go with those before it, but a crash has left it behind.
// Where the log begins anew, the entry before is unknown, so its first entry counts as gone,
// too: whatever is to be replayed must have been applied as far as that, see Recover.
func (s *Storage) rebase(id EntryID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id.Index > s.base.Index || id.Index <= max(s.hard.Commit, s.applied) || id.Term <= s.base.Term {
		return false
	}
	s.base, s.last = id, id
	s.spans, s.window = nil, nil
	return true
}

func (s *Storage) cutAfterLocked(index uint64) {
	first := s.windowFirstLocked()
	if plant.On(plant.ConflictingTailKept) {
		index = min(index+1, s.last.Index)
	}
	s.window = s.window[:max(index, first)-first]
	s.spans.cutAfter(index)
	s.last = s.base
	if n := len(s.spans); n > 0 {
		s.last = s.spans[n-1].last()
	}
}

func (s *Storage) windowFirstLocked() uint64 { return s.last.Index + 1 - uint64(len(s.window)) }

// dropOldest takes the first of the entries in memory out of it.
func (s *Storage) dropOldest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.window) > 0 {
		s.window[0] = nil
		s.window = s.window[1:]
	}
}

// setHard replaces the hard state. Commit never falls.
func (s *Storage) setHard(hs HardState) {
	s.mu.Lock()
	hs.Commit = max(hs.Commit, s.hard.Commit)
	s.hard = hs
	s.mu.Unlock()
}

// truncate empties the log; the next entry is id.Index+1.
func (s *Storage) truncate(id EntryID, hs HardState) (dropped []release) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dropped = s.spans.count(nil, s.applied+1, s.last.Index)
	s.base, s.last, s.hard = id, id, hs
	s.spans, s.window = nil, nil
	s.applied = max(s.applied, id.Index)
	return dropped
}

// state is the group's line in a checkpoint.
func (s *Storage) state() groupState {
	s.mu.Lock()
	defer s.mu.Unlock()
	hard := s.hard
	hard.Commit = max(hard.Commit, s.applied) // applied implies committed
	if plant.On(plant.CheckpointWithoutVote) {
		hard.Vote = 0
	}
	return groupState{s.id, s.relaxed, s.retired, hard, s.last, s.members}
}

// setApplied moves applied up and lets go of the entries in memory.
func (s *Storage) setApplied(dst []release, index uint64) []release {
	s.mu.Lock()
	defer s.mu.Unlock()
	if index <= s.applied {
		return dst
	}
	dst = s.spans.count(dst, s.applied+1, index)
	s.applied = index
	if s.log.o.Volatile {
		s.base = s.idLocked(index)
		s.spans.cutThrough(index)
	}
	if first := s.windowFirstLocked(); index >= first {
		n := min(int(index-first)+1, len(s.window))
		rest := copy(s.window, s.window[n:]) // rarely more than a few
		clear(s.window[rest:])
		s.window = s.window[:rest]
	}
	return dst
}

// forget drops the entries in segments that are gone.
func (s *Storage) forget(oldest wal.SegmentID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.spans.cutBefore(oldest); ok {
		s.base = last
	}
}

// pinned returns the entries that their segments must keep.
func (s *Storage) pinned() []release {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spans.count(nil, s.applied+1, s.last.Index)
}

// isShared reports whether there are other members than this node.
func (s *Storage) isShared() bool {
	node, ok := SoleVoter(s.Members())
	return !ok || node != s.log.o.NodeID
}

// promises is what a voter must not forget after its replica is gone.
func (s *Storage) promises() HardState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return HardState{Term: s.hard.Term, Vote: s.hard.Vote}
}

// Hold has the segments stay that have entries from index on, whoever else needs them;
// 0 ends that. It is not kept over a restart.
func (s *Storage) Hold(index uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = index
}

// holds returns the first segment that Hold is about.
func (s *Storage) holds() (wal.SegmentID, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == 0 {
		return 0, false
	}
	sp := s.spans.find(max(s.held, s.base.Index+1))
	if sp == nil {
		return 0, false
	}
	return sp.segment, true
}

// Compact forgets the entries up to index, which are applied. Whoever needs
// them gets a snapshot. They come back with the next Open if their segment is
// still there.
func (s *Storage) Compact(index uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	index = min(index, s.applied)
	if index <= s.base.Index {
		return
	}
	s.base = s.idLocked(index)
	s.spans.cutThrough(index)
}

// idLocked returns an entry's id.
func (s *Storage) idLocked(index uint64) EntryID {
	if index == s.last.Index {
		return s.last
	}
	return EntryID{index, s.spans.find(index).first.Term}
}

// Has reports whether the log goes on behind an entry: it holds it, or begins
// later.
func (s *Storage) Has(id EntryID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id.Index <= s.base.Index {
		return id.Index < s.base.Index || id == s.base
	}
	return id.Index <= s.last.Index && s.idLocked(id.Index) == id
}

// InitialState implements raft.Storage.
func (s *Storage) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hard == (HardState{}) {
		return nil, s.members, nil
	}
	hard := s.hard
	return &raftpb.HardState{Term: &hard.Term, Vote: &hard.Vote, Commit: &hard.Commit}, s.members, nil
}

// FirstIndex implements raft.Storage.
func (s *Storage) FirstIndex() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base.Index + 1, nil
}

// LastIndex implements raft.Storage.
func (s *Storage) LastIndex() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last.Index, nil
}

// Term implements raft.Storage.
func (s *Storage) Term(index uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case index == s.last.Index:
		return s.last.Term, nil
	case index == s.base.Index:
		return s.base.Term, nil
	case index < s.base.Index:
		return 0, raft.ErrCompacted
	case index > s.last.Index:
		return 0, raft.ErrUnavailable
	}
	return s.spans.find(index).first.Term, nil
}

// Snapshot implements raft.Storage. Snapshots are not part of the log.
func (s *Storage) Snapshot() (*raftpb.Snapshot, error) {
	return nil, raft.ErrSnapshotTemporarilyUnavailable
}

// Entries implements raft.Storage. It may return fewer entries than fit into
// maxSize, but at least one.
func (s *Storage) Entries(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	s.mu.Lock()
	if lo <= s.base.Index {
		s.mu.Unlock()
		return nil, raft.ErrCompacted
	}
	if hi > s.last.Index+1 {
		s.mu.Unlock()
		return nil, raft.ErrUnavailable
	}
	first := s.windowFirstLocked()
	if lo >= first {
		defer s.mu.Unlock()
		return limitBytes(s.window[lo-first:hi-first], maxSize), nil
	}
	s.mu.Unlock()
	return s.readEntries(lo, min(hi, first), maxSize)
}

// limitBytes returns a copy of the longest prefix that fits, or of the first
// entry if none does.
func limitBytes(entries []*raftpb.Entry, maxSize uint64) []*raftpb.Entry {
	size, n := uint64(0), 0
	for n < len(entries) {
		size += entryBytes(entries[n])
		if n > 0 && size > maxSize {
			break
		}
		n++
	}
	return append(make([]*raftpb.Entry, 0, n), entries[:n]...)
}

// entryBytes is not less than the entry's size as raft counts it.
func entryBytes(e *raftpb.Entry) uint64 { return uint64(len(e.GetData())) + 40 }

// readEntries reads from disk.
func (s *Storage) readEntries(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	var entries []*raftpb.Entry
	var size uint64
	for index := lo; index < hi; index++ {
		e, err := s.readEntry(index)
		if err != nil {
			return nil, err
		}
		if size += entryBytes(e); len(entries) > 0 && size > maxSize {
			break
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (s *Storage) readEntry(index uint64) (*raftpb.Entry, error) {
	s.mu.Lock()
	sp := s.spans.find(index)
	if sp == nil {
		s.mu.Unlock()
		return nil, raft.ErrCompacted
	}
	pos, term := sp.position(index), sp.first.Term
	s.mu.Unlock()
	return s.log.readEntry(s.id, EntryID{index, term}, pos)
}

var _ raft.Storage = (*Storage)(nil)
