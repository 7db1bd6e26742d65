package replication

import (
	"errors"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/replication/raftlog"
)

// A change of voters is over for the leader as soon as it is committed, and for the others once they hear from the
// leader that it is. Were the leader lost in between, they would elect another one by a majority of the voters of
// before, too; and one of those may have dropped its replica meanwhile, because the leader had said that it is a member
// no more. Then nobody could ever be elected.
//
// So the leader writes an empty entry after such a change, and with each empty entry goes how far the log is committed,
// also to the disks (saysCommit). Once it is committed a majority of the voters know that they are the voters, and
// whichever majority is left has one of them, which can be elected: the members are known.

// A tale is what a leader knows of whether the members are known.
type tale struct {
	due   bool   // the voters have changed, and an entry is to be written after that
	entry uint64 // index of the last empty entry that it has written
}

// noteVoters is told of a change of members that is applied.
func (g *Group) noteVoters(before, after *raftpb.ConfState) {
	isSame := slices.Equal(before.GetVoters(), after.GetVoters()) && slices.Equal(before.GetVotersOutgoing(), after.GetVotersOutgoing())
	if !isSame && g.raft.BasicStatus().RaftState == raft.StateLeader && !plant.On(plant.MembersKnownEarly) {
		g.tale.due = true
	}
}

// noteEmpty is told of an empty entry that is appended. One that a leader writes comes after all changes that it has
// applied; so does the first entry of its term, if it has applied them before.
func (g *Group) noteEmpty(e *raftpb.Entry) {
	if e.GetType() == raftpb.EntryNormal && g.raft.BasicStatus().RaftState == raft.StateLeader {
		g.tale = tale{entry: e.GetIndex()}
		g.observeKnown()
	}
}

// areMembersKnown reports whether this replica leads, and the members are known.
func (g *Group) areMembersKnown() bool {
	return g.sole.Load() || g.lease.leads != 0 && !g.tale.due && g.applied >= g.tale.entry && !g.isJoint()
}

func (g *Group) isJoint() bool { return len(g.log.Members().GetVotersOutgoing()) > 0 }

// tellMembers writes the entry that is due. One that ends a joint configuration is raft's business.
func (w *worker) tellMembers(g *Group) error {
	if !g.tale.due || g.lease.leads == 0 || g.isJoint() {
		return nil
	}
	if err := w.node.log.Reserve(&w.batch, raftlog.MarkBytes+raftlog.EntryBytes(0)); err != nil {
		w.node.noteFull(err)
		return nil
	}
	m := &raftpb.Message{Type: raftpb.MsgProp.Enum(), From: &w.node.o.NodeID, Entries: []*raftpb.Entry{{}}}
	if err := g.stepRaft(m); err != nil && !errors.Is(err, raft.ErrProposalDropped) { // it is dropped while the leadership is given away
		return err
	}
	w.node.e.Sometimes("replication: members are told that they are")
	return nil
}

// saysCommit reports whether it is written with an entry how far the log was committed before it.
func saysCommit(e *raftpb.Entry) bool {
	return e.GetType() != raftpb.EntryNormal || len(e.GetData()) == 0
}
