package replication

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/replication/raftlog"
)

// An Observer is told what the groups of a node do, so that a simulation can
// compare replicas with each other. Its methods are called by the tasks of workers
// and must not park or keep what they are given.
type Observer interface {
	// Created tells of a group that the log does not have yet.
	Created(group GroupID)
	// Appended tells of an entry that is about to be written to the log. It takes
	// the place of one with its index, if there is one, and of all behind that.
	Appended(group GroupID, index, term uint64, data []byte)
	// Applied tells of an entry that was applied, with its commands and what the
	// state machine returned for them. After a crash entries are applied again.
	Applied(group GroupID, index, term uint64, data []byte, commands [][]byte, results []any)
	// Led tells that the node leads the group in a term. termAt returns the term of
	// an entry in its log, an error if it is not there; an entry that is part of
	// a snapshot has none.
	Led(group GroupID, term uint64, termAt func(index uint64) (uint64, error))
	// Promised tells of something that the node has said of a group, or counts on
	// itself: from now on it must survive a crash.
	Promised(group GroupID, p Promise)
	// Resumed tells what a new life of the node, or a new replica of a group that it has had
	// before, has in its log: the vote is exact, the log may be longer than was promised.
	Resumed(group GroupID, p Promise)
	// Serves tells that the node, as leader of a term, has renewed its lease, or
	// answers a proposal. holds says at any later time in the node's life, and without
	// parking, whether the lease is good.
	Serves(group GroupID, term uint64, holds func() bool)
	// Bound tells that the replica takes itself for bound to earlier leaders until the node's
	// clock shows a time: it has promised that until then no vote of its hides the promise. It
	// is told whenever the leader of a term is promised something, and when the replica starts,
	// with the term in which it does.
	Bound(group GroupID, term uint64, until env.Mono)
	// Voted tells of a vote that the replica gives in a term: until when, by the node's clock, it
	// says that leaders of earlier terms have its promise, and where the replica's log ends.
	Voted(group GroupID, term uint64, until env.Mono, last uint64)
	// Leased tells that the node, as leader of a term, has renewed its lease: it may answer reads
	// by itself until its clock shows a time; 0: it has given its leases up, or leads no more. The voters are those
	// of now and, while the group is joint, of before.
	Leased(group GroupID, term uint64, until env.Mono, voters, outgoing []uint64)
	// Counts tells by which voters the replica counts once it has applied an entry, and by which of before while the group is joint:
	// when it has started, and whenever they change.
	Counts(group GroupID, index uint64, voters, outgoing []uint64)
	// Known tells that the node, as a leader that has applied an entry, says that a majority of the voters know for good that they
	// are.
	Known(group GroupID, index uint64, voters []uint64)
	// Left tells that the node is about to drop its replica, of a group with other members. It is not called by a worker.
	Left(group GroupID)
}

// A Promise is what others may rely on that a voter remembers.
type Promise struct {
	Term  uint64 // it takes part in no earlier one
	Vote  uint64 // whom it votes for in this term; 0: not said, nobody
	Index uint64 // its log goes up to here, or further; 0: not said, empty
	// Empties says that the log up to some index is about to be replaced by a
	// snapshot: what was promised about it is void.
	Empties bool
}

func (g *Group) observeAppended(e *raftpb.Entry) {
	if o := g.node.o.Observer; o != nil {
		o.Appended(g.id, e.GetIndex(), e.GetTerm(), e.GetData())
	}
}

func (g *Group) observeApplied(e *raftpb.Entry, commands [][]byte, results []any) {
	if o := g.node.o.Observer; o != nil {
		o.Applied(g.id, e.GetIndex(), e.GetTerm(), e.GetData(), commands, results)
	}
}

// observeSent tells what a message promises.
func (g *Group) observeSent(m *raftpb.Message) {
	o := g.node.o.Observer
	switch {
	case o == nil || m.GetReject():
	case m.GetType() == raftpb.MsgAppResp:
		o.Promised(g.id, Promise{Term: m.GetTerm(), Index: m.GetIndex()})
	case m.GetType() == raftpb.MsgVoteResp:
		o.Promised(g.id, Promise{Term: m.GetTerm(), Vote: m.GetTo()})
	case m.GetType() == raftpb.MsgHeartbeatResp: // a lease may count on it
		o.Promised(g.id, Promise{Term: m.GetTerm()})
	}
}

// observeWritten tells of entries on which a voter counts itself.
func (g *Group) observeWritten(rd *raft.Ready) {
	if o := g.node.o.Observer; o != nil && len(rd.Entries) > 0 && g.node.o.Sync == SyncAlways {
		o.Promised(g.id, Promise{Index: g.last})
	}
}

// observeInstall tells that a snapshot is about to take the log's place.
func (g *Group) observeInstall() {
	if o := g.node.o.Observer; o != nil {
		o.Promised(g.id, Promise{Empties: true})
	}
}

func (n *Node) observeResumed(s *raftlog.Storage) {
	if o := n.o.Observer; o != nil {
		hs := s.Hard()
		o.Resumed(s.ID(), Promise{Term: hs.Term, Vote: hs.Vote, Index: s.Last().Index})
	}
}

// observeServes tells that the replica answers as leader.
func (g *Group) observeServes() {
	if o := g.node.o.Observer; o != nil {
		if g.leased == nil {
			g.leased = g.lease.holds(g.node.e)
		}
		o.Serves(g.id, g.lease.term, g.leased)
	}
}

func (g *Group) observeLed() {
	if o := g.node.o.Observer; o != nil {
		o.Led(g.id, g.raft.BasicStatus().GetTerm(), g.log.Term)
	}
}

func (g *Group) observeBound(term uint64, until env.Mono) {
	if o := g.node.o.Observer; o != nil {
		o.Bound(g.id, term, until)
	}
}

// observeVoted tells of a vote that is granted, with what it says.
func (g *Group) observeVoted(term uint64, p promise) {
	if o := g.node.o.Observer; o != nil {
		o.Voted(g.id, term, g.node.e.Now()+p.remaining, g.last)
	}
}

func (g *Group) observeCounts() {
	if o := g.node.o.Observer; o != nil {
		m := g.log.Members()
		o.Counts(g.id, g.applied, m.GetVoters(), m.GetVotersOutgoing())
	}
}

// observeKnown is called when it may have become so.
func (g *Group) observeKnown() {
	if o := g.node.o.Observer; o != nil && !g.sole.Load() && g.areMembersKnown() {
		o.Known(g.id, g.applied, g.log.Members().GetVoters())
	}
}

func (n *Node) observeLeft(g *Group) {
	if o := n.o.Observer; o != nil && g != nil && !g.sole.Load() {
		o.Left(g.id)
	}
}

func (g *Group) observeLeased(until env.Mono, m *raftpb.ConfState) {
	if o := g.node.o.Observer; o != nil {
		o.Leased(g.id, g.lease.term, until, m.GetVoters(), m.GetVotersOutgoing())
	}
}
