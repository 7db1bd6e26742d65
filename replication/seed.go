package replication

import (
	"math"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
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
//   - A member that has skipped the entry begins with an empty replica, which takes
//     a snapshot only; it votes, if it is blank. But the members of the group have never changed, so its leader still
//     offers the first entry (see firstIndex). A leader that is heard and whose entries
//     are not taken forgets it.
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
	if !g.seeded || g.log.Hard().Term != 0 || g.log.Last().Index != 0 {
		return
	}
	n.mu.Lock()
	p := n.groups[parent]
	n.mu.Unlock()
	g.vouches = p != nil && p.vouched.Load() == index
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

// watchStrangers has the leader of a group whose members have never changed find out whether there are
// empty replicas: members that have skipped a split, or that came to a group so late that the
// catalog wanted others by then. It need not serve yet: it may have been elected by one, and can commit
// nothing before that one has a snapshot.
func (g *Group) watchStrangers() {
	if g.reborn || g.fed || g.leader.Load() != g.node.o.NodeID || g.applied < firstIndex {
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
