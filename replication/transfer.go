package replication

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"

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
