package replication

import "go.etcd.io/raft/v3/raftpb"

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

func (g *Group) observeLed() {
	if o := g.node.o.Observer; o != nil {
		o.Led(g.id, g.raft.BasicStatus().GetTerm(), g.log.Term)
	}
}
