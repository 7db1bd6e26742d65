package replication

import (
	"fmt"
	"math"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/statordb/stator/replication/raftlog"
)

// A group that was split off another one, its parent, is seeded: it begins with a state
// that each voter has made for itself by applying an entry of the parent's log. Three
// things are different from a group that begins with nothing.
//
//   - Leases. A leader of the parent that is deposed, and does not know of the split, may
//     serve reads for as long as the parent's voters have promised. So whoever begins as
//     a voter of a seeded group is bound, as if it had promised something in an earlier
//     life: a leader waits for that (lease.restart). It need not if it led the parent, with
//     nobody's lease left, when it applied the entry that split the group off: earlier
//     leaders have no leases any more, and a later one serves nothing before it has applied
//     that entry, too. Such a replica vouches; it is the first to stand for election.
//   - The first state counts as that of an entry that nobody has written (SeedIndex), and the log begins behind it. So a member that
//     has skipped the entry, and begins with an empty replica, is sent a snapshot like any other that lacks what the log has not, also
//     by a leader that has not committed anything yet, and cannot without this member. It votes, if it is blank.
//   - The parent holds its log until the first state is on a majority (Splitting.Holds).

// strangeTicks is after how long a member is taken for empty that is heard of, but has
// none of the leader's entries.
const strangeTicks = electionTicks / 2

// seed finds out whether a group begins with a state of another one.
func (n *Node) seed(g *Group) {
	g.splitting, _ = g.sm.(Splitting)
	if g.splitting == nil {
		return
	}
	parent, index := g.splitting.Seed()
	g.seeded = parent != 0
	if !g.seeded || g.log.Hard().Term != 0 || g.log.Last().Index > SeedIndex {
		return
	}
	n.mu.Lock()
	p := n.groups[parent]
	n.mu.Unlock()
	g.vouches = p != nil && p.vouched.Load() == index
}

var seed = raftlog.EntryID{Index: SeedIndex, Term: SeedTerm}

// isAtSeed reports whether a state machine has the state that its group began with, and nothing else.
func isAtSeed(sm StateMachine) bool {
	s, is := sm.(Splitting)
	if !is || sm.Applied() != SeedIndex {
		return false
	}
	index, term := sm.Restored()
	parent, _ := s.Seed()
	return parent != 0 && index == SeedIndex && term == SeedTerm
}

// beginAtSeed has a log that is empty begin with the first state: there was a crash before it could, or a snapshot of the
// parent has brought that state to a replica that had begun without it, and is from now on as good as one that was born.
func (n *Node) beginAtSeed(s *raftlog.Storage, sm Splitting) error {
	members := s.Members()
	if len(members.GetVoters()) == 0 {
		voters := sm.SeedVoters()
		if !isBlank(members) || !slices.Contains(voters, n.o.NodeID) {
			return fmt.Errorf("%w: the state machine has a first state that this replica was not to have", ErrLogLost)
		}
		n.e.Sometimes("replication: an empty replica has been given the first state")
		members = &raftpb.ConfState{Voters: slices.Sorted(slices.Values(voters)), AutoLeave: new(bool)}
	}
	return n.log.Begin(s, seed, members)
}

// noteSplit remembers which entry has split a group off while this replica led and nobody
// else could have had a lease.
func (g *Group) noteSplit(index uint64) {
	if g.splitting.LastSplit() == index && g.role.Load() == roleLeader && g.lease.leads == g.lease.term && g.lease.wait == 0 {
		g.vouched.Store(index)
	}
}

// holds returns the first entry that the log must keep; 0: there is none.
func (g *Group) holds() uint64 {
	if g.splitting == nil || g.sole.Load() {
		return 0
	}
	return g.splitting.Holds()
}

// givenAtBirth covers the promises of an earlier life, or of none, that come with the
// votes of a seeded group's first term.
func givenAtBirth() binding { return binding{sent: math.MaxInt64} }

// watchStrangers has the leader of a group that began with nothing, and whose members have never changed, find out whether there are
// empty replicas: of members that came to the group so late that the catalog wanted others by then. Its log still has the first
// entry, and would be offered to them (see firstIndex); a leader that is heard and whose entries are not taken forgets it.
// It need not serve yet: it may have been elected by one, and can commit nothing before that one has a snapshot.
func (g *Group) watchStrangers() {
	if g.reborn || g.seeded || g.fed || g.leader.Load() != g.node.o.NodeID || g.applied < firstIndex {
		return
	}
	all, strange := true, false
	g.raft.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		if id != g.node.o.NodeID && p.Match == 0 {
			all, strange = false, strange || p.RecentActive
		}
	})
	if g.fed = all; !strange {
		g.strange = 0
		return
	}
	if g.strange++; g.strange >= strangeTicks {
		g.node.e.Sometimes("replication: a member is empty")
		g.log.Compact(firstIndex)
	}
}

// holdLog tells the log which entries the groups hold.
func (n *Node) holdLog() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, g := range n.groups { //sim:ok each is independent of the others
		if g != nil && g.splitting != nil {
			g.log.Hold(g.holds())
		}
	}
}
