package replication

import (
	"fmt"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/replication/raftlog"
)

// Members are the nodes that have a replica of a group. Each list is sorted.
//
// While a change of several members is under way the group is joint: Outgoing
// are the voters before the change, and a majority of both lists decides.
type Members struct {
	Voters   []uint64
	Learners []uint64 // they follow, and do not count
	Outgoing []uint64 // empty unless joint
	Demoted  []uint64 // voters in Outgoing that will be learners
}

// Joint reports whether a change of members is half done.
func (m *Members) Joint() bool { return len(m.Outgoing) > 0 }

// DecodeMembers reads what ApplyMembers and SnapshotMeta.Members hold. nil are no
// members.
func DecodeMembers(b []byte) (Members, error) {
	cs, err := decodeMembers(b)
	if err != nil {
		return Members{}, err
	}
	return membersOf(cs), nil
}

func membersOf(cs *raftpb.ConfState) Members {
	return Members{Voters: cs.GetVoters(), Learners: cs.GetLearners(), Outgoing: cs.GetVotersOutgoing(), Demoted: cs.GetLearnersNext()}
}

// membersVersion begins encoded members; what follows is drawn in package
// raftlog.
const membersVersion = 1

func encodeMembers(cs *raftpb.ConfState) []byte {
	return raftlog.AppendMembers([]byte{membersVersion}, cs)
}

func decodeMembers(b []byte) (*raftpb.ConfState, error) {
	switch {
	case len(b) == 0:
		return &raftpb.ConfState{AutoLeave: new(bool)}, nil
	case b[0] != membersVersion:
		return nil, fmt.Errorf("replication: members of version %d, this program knows %d", b[0], membersVersion)
	}
	cs, err := raftlog.DecodeMembers(b[1:])
	if err != nil {
		return nil, fmt.Errorf("replication: members: %w", err)
	}
	return cs, nil
}

// applyMembers carries out a committed change of members.
func (w *worker) applyMembers(g *Group, e *raftpb.Entry) (err error) {
	if e.GetType() != raftpb.EntryConfChangeV2 {
		return fmt.Errorf("a change of members of an unknown form (%s)", e.GetType())
	}
	cc, proposer, number, err := decodeChange(e.GetData())
	if err != nil {
		return err
	}
	defer g.guard(&err)
	g.enter()
	cs := g.raft.ApplyConfChange(cc)
	g.sm.ApplyMembers(e.GetIndex(), encodeMembers(cs))
	g.applied, g.appliedTerm = e.GetIndex(), e.GetTerm()
	g.observeApplied(e, nil, nil)
	wasSole := g.sole.Load()
	g.noteVoters(g.log.Members(), cs)
	g.setMembers(cs)
	g.observeCounts()
	g.observeKnown()
	g.reborn = true
	if !g.sole.Load() {
		g.node.startTicks()
		if wasSole { // it has no clock yet; one that has just started, and does not lead, needs it
			w.wakeUp(g)
		}
	}
	g.answer(&entry{proposer: proposer, number: number}, []any{nil})
	return nil
}

// firstIndex is that of the first entry of a group's life.
//
// A replica that was added later must not begin with it: it would apply the
// entries under the wrong members, without those that the group was born with.
// So whoever knows of a change of members has forgotten that entry, and such
// a replica can only be given a snapshot. (A change has a later index: its
// proposer wrote an entry first when it became leader.)
const firstIndex = 1

// compact forgets applied entries.
func (g *Group) compact() {
	if keep := uint64(g.node.o.KeepEntries); keep > 0 && g.applied > keep {
		index := min(g.applied-keep, g.pinned())
		if held := g.holds(); held > 0 {
			index = min(index, held-1)
		}
		g.log.Compact(index)
	}
	if g.reborn {
		g.log.Compact(firstIndex)
	}
}

// setMembers follows a change of members.
func (g *Group) setMembers(cs *raftpb.ConfState) {
	g.log.SetMembers(cs)
	sole, isSole := raftlog.SoleVoter(cs)
	g.sole.Store(isSole && sole == g.node.o.NodeID)
	g.watch(membersOf(cs))
	g.lease.renew(g)
}
