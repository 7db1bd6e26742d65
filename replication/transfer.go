package replication

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/internal/env"
)

// A transfer is leadership on its way to another voter.
type transfer struct {
	to   uint64
	done *env.Future[struct{}]
}

// Transfer gives the leadership to another voter, and returns when this replica
// has learned that it leads. Meanwhile proposals are refused with ErrNotLeader.
//
// The error matches ErrNotLeader, ErrFailed, ErrMembers (no such voter) or ErrBusy: the other
// one did not take over within an election timeout, and this one goes on.
func (g *Group) Transfer(to uint64) error {
	done := env.NewFuture[struct{}](g.node.e)
	g.worker.post(func(err error) {
		if err == nil {
			err = g.beginTransfer(to, done)
		}
		if err != nil {
			done.Set(struct{}{}, err)
		}
	})
	// Raft gives up after one election timeout; the answer takes a while.
	if _, err, ok := done.AwaitFor(2 * electionTicks * g.node.o.Tick); ok {
		return err
	}
	g.worker.post(func(err error) {
		if err == nil && g.transfer != nil && g.transfer.done == done {
			g.transfer = nil
		}
	})
	return fmt.Errorf("%w: node %d has not taken over", ErrBusy, to)
}

func (g *Group) beginTransfer(to uint64, done *env.Future[struct{}]) (err error) {
	switch {
	case g.role.Load() == roleStopped:
		return g.worker.reason(g)
	case g.node.Err() != nil:
		return g.node.Err()
	case g.role.Load() != roleLeader:
		return g.notLeader()
	case !slices.Contains(g.log.Members().GetVoters(), to):
		return fmt.Errorf("%w: transfer to node %d", ErrMembers, to)
	case to == g.node.o.NodeID:
		done.Set(struct{}{}, nil)
		return nil
	case g.transfer != nil:
		return fmt.Errorf("%w: another transfer is under way", ErrBusy)
	}
	defer g.guard(&err)
	g.enter()
	g.raft.TransferLeader(to)
	g.transfer = &transfer{to, done}
	g.worker.activate(g)
	return nil
}

// isVoter reports whether this replica is a voter, as far as it has applied.
func (g *Group) isVoter() bool {
	m := g.log.Members()
	return slices.Contains(m.GetVoters(), g.node.o.NodeID) || slices.Contains(m.GetVotersOutgoing(), g.node.o.NodeID)
}

// handOver is for a leader that is no longer a voter, because it became leader
// while the change that demoted or removed it was under way. It refuses proposals,
// and goes on until the voter that has come farthest can take over.
//
// It must not just step down. It may be the only one who has the end of the log:
// then no voter that still counts on its vote could get that, and it would not
// stand for election itself.
func (g *Group) handOver(status raft.BasicStatus) (more bool, err error) {
	if g.role.Load() == roleLeader {
		g.node.e.Sometimes("replication: leader is no voter")
		g.become(roleFollower)
		g.failFlights(g.notLeader())
	}
	if status.LeadTransferee != 0 {
		return false, nil
	}
	progress := g.raft.Status().Progress
	var best uint64
	for _, id := range g.log.Members().GetVoters() {
		if p := progress[id]; p.RecentActive && (best == 0 || p.Match > progress[best].Match) {
			best = id
		}
	}
	if best == 0 {
		return false, nil
	}
	g.raft.TransferLeader(best)
	return g.raft.HasReady(), nil
}

// yields reports whether a replica that is no voter any more votes for a candidate
// whose log is shorter than its own: for the only voter that is left, which does not
// know so yet.
//
// That one was the leader, has sent entries and that the change is committed, and lost
// its power before it had either of them on disk. It needs this replica's vote, and nobody
// else can lead. What it lacks is not committed: it belongs to every majority of the
// members before the change and after it. That no more holds once other voters were
// added, so there must be no later change in this log. (The candidate's has none, either,
// or it would know that this one is committed: see known.)
func (g *Group) yields(candidate uint64) bool {
	m := g.log.Members()
	if g.isVoter() || len(m.GetVotersOutgoing()) > 0 || len(m.GetVoters()) != 1 || m.GetVoters()[0] != candidate {
		return false
	}
	for next, last := g.applied+1, g.log.Last().Index; next <= last; {
		entries, err := g.log.Entries(next, last+1, maxMessageBytes)
		if err != nil || len(entries) == 0 {
			return false
		}
		for _, e := range entries {
			if e.GetType() != raftpb.EntryNormal {
				return false
			}
		}
		next += uint64(len(entries))
	}
	g.node.e.Sometimes("replication: yield to the only voter")
	return true
}

// endTransfer is told who leads now; 0: nobody, yet.
func (g *Group) endTransfer(leader uint64) {
	t := g.transfer
	switch {
	case t == nil || leader == 0 || leader == g.node.o.NodeID:
		return
	case leader == t.to:
		t.done.Set(struct{}{}, nil)
	default:
		t.done.Set(struct{}{}, fmt.Errorf("%w: node %d leads", ErrBusy, leader))
	}
	g.transfer = nil
}
