package replication

import (
	"fmt"
	"slices"

	"github.com/statordb/stator/replication/raftlog"
)

// CheckMembers compares what this replica takes for the members of its group in different places: raft, who counts
// votes by them; the log, by which leases are counted; the state machine, which tells a later life; and
// what follows from them. A change, or a snapshot, brings new ones to all of these. It returns nil, too, while something is
// under way.
//
// It is for simulations: nothing else may use the group in another thread.
func (g *Group) CheckMembers() error {
	if g.raft == nil || !g.running() || g.active || g.install != nil || g.offered != nil || g.applied != g.sm.Applied() {
		return nil
	}
	of := g.log.Members()
	m := membersOf(of)
	config := g.raft.Status().Config
	counted := Members{
		Voters: config.Voters[0].Slice(), Outgoing: config.Voters[1].Slice(),
		Learners: sortedNodes(config.Learners), Demoted: sortedNodes(config.LearnersNext),
	}
	if !m.equal(&counted) {
		return fmt.Errorf("replication: group %d as of entry %d: members are %+v, and raft counts %+v", g.id, g.applied, m, counted)
	}
	if stored, err := DecodeMembers(g.sm.Members()); err != nil || g.sm.Members() != nil && !m.equal(&stored) {
		return fmt.Errorf("replication: group %d as of entry %d: members are %+v, and %+v are stored (%v)", g.id, g.applied, m, stored, err)
	}
	sole, isSole := raftlog.SoleVoter(of)
	if isSole = isSole && sole == g.node.o.NodeID; isSole != g.sole.Load() {
		return fmt.Errorf("replication: group %d as of entry %d: members are %+v, and this one takes itself for the only one: %t", g.id, g.applied, m, !isSole)
	}
	if all := m.others(g.node.o.NodeID); !slices.Equal(all, g.peers) {
		return fmt.Errorf("replication: group %d as of entry %d: members are %+v, and nodes %v are watched", g.id, g.applied, m, g.peers)
	}
	for _, id := range g.peers {
		if !g.node.liveness.watches(id) {
			return fmt.Errorf("replication: group %d: node %d is a member, and nobody watches it", g.id, id)
		}
	}
	return nil
}

// CheckSleep looks whether the group sleeps although a member, of which this is the replica, lacks entries that the leader has: nothing would
// bring them to it. It returns nil, too, if that one is no member any more, or is not there and slept without, or either of the two is up to something.
//
// It is for simulations, as CheckMembers.
func (g *Group) CheckSleep(member *Group) error {
	quiet := func(g *Group) bool {
		return g.raft != nil && g.running() && !g.awake && !g.active && g.install == nil && g.offered == nil
	}
	if g.lease.leads == 0 || g.sole.Load() || g.without || !quiet(g) || !quiet(member) || member.leader.Load() != g.node.o.NodeID || member.last >= g.last || !g.hasMember(member.node.o.NodeID) {
		return nil
	}
	return fmt.Errorf("replication: group %d sleeps, its leader with entries up to %d, and node %d with those up to %d", g.id, g.last, member.node.o.NodeID, member.last)
}

func (m *Members) equal(n *Members) bool {
	return slices.Equal(m.Voters, n.Voters) && slices.Equal(m.Learners, n.Learners) && slices.Equal(m.Outgoing, n.Outgoing) && slices.Equal(m.Demoted, n.Demoted)
}

// others returns all members but one, sorted.
func (m *Members) others(self uint64) []uint64 {
	all := slices.Concat(m.Voters, m.Learners, m.Outgoing, m.Demoted)
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(id uint64) bool { return id == self })
}

func sortedNodes(set map[uint64]struct{}) []uint64 {
	var nodes []uint64
	for id := range set { //sim:ok sorted below
		nodes = append(nodes, id)
	}
	slices.Sort(nodes)
	return nodes
}
