package replication

import (
	"cmp"
	"slices"

	"go.etcd.io/raft/v3/tracker"

	"github.com/statordb/stator/internal/env"
)

// A Status says where a replica and, if it leads, its group are.
type Status struct {
	Term      uint64
	Leader    uint64 // as far as the replica knows; 0: none
	Leading   bool   // see Group.Leading
	Leased    bool   // it may serve consistent reads without asking anybody
	Asleep    bool   // the group has nothing to do, and sends no heartbeats
	Applied   uint64 // index of the last applied entry
	Committed uint64
	First     uint64 // index of the first entry that the log still has, or would have
	Last      uint64 // index of the last entry in the log
	Members   Members
	Known     bool       // a majority of the voters knows, for good, that these are the members; false but at the leader
	Progress  []Progress // of all members, by node, as the leader sees them; empty elsewhere
}

// Progress is how far a member has come.
type Progress struct {
	Node     uint64
	Learner  bool
	Match    uint64 // index up to which its log is known to agree with the leader's
	Active   bool   // it has been heard of lately
	Snapshot bool   // it is being sent a snapshot, or waits for one
}

// Leader returns the node that leads the group, as far as this replica knows;
// 0 if it knows none, as one does whose log has failed: it would not hear of another one.
func (g *Group) Leader() uint64 {
	if g.isDeaf() {
		return 0
	}
	return g.leader.Load()
}

// Applied returns up to which entry this replica has applied the log, so that it can be read. It
// costs nothing, other than Status.
func (g *Group) Applied() uint64 { return g.lease.shown.Load() }

// Status asks the group's worker, and so parks its caller for a moment.
func (g *Group) Status() (Status, error) {
	f := env.NewFuture[Status](g.node.e)
	g.worker.post(func(err error) {
		if err == nil && g.role.Load() == roleStopped {
			err = g.worker.reason(g)
		}
		if err != nil {
			f.Set(Status{}, err)
			return
		}
		f.Set(g.status(), nil)
	})
	return f.Await()
}

func (g *Group) status() Status {
	s := g.raft.Status()
	first, _ := g.log.FirstIndex() // never fails
	_, leased := g.lease.check(g.node.e)
	st := Status{
		Leased: leased, Asleep: !g.awake && !g.sole.Load(),
		Term: s.GetTerm(), Leader: s.Lead, Leading: g.Leading(),
		Applied: g.applied, Committed: s.GetCommit(), First: first, Last: g.last,
		Members: membersOf(g.log.Members()), Known: g.areMembersKnown(),
	}
	for id, p := range s.Progress { //sim:ok sorted below
		st.Progress = append(st.Progress, Progress{
			Node: id, Learner: p.IsLearner, Match: p.Match, Snapshot: p.State == tracker.StateSnapshot,
			// Raft begins to count anew at each election timeout. Whoever asks just then,
			// or while the group sleeps, is told of the node.
			Active: p.RecentActive || id == g.node.o.NodeID || g.node.liveness.silence(id) < electionTicks,
		})
	}
	slices.SortFunc(st.Progress, func(a, b Progress) int { return cmp.Compare(a.Node, b.Node) })
	return st
}
