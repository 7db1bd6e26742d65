package sim

import (
	"fmt"
	"slices"

	"github.com/statordb/stator/replication"
)

// An electorate is by which voters a replica counts, once it has applied an entry, and by which of before, too. A replica that stands for
// election needs a majority of these, whatever others know by then. So somebody must not leave while too few know that they can
// do without it (ADR 44): that the leader is lost at just that moment is not needed to see that.
type electorate struct {
	index            uint64
	voters, outgoing []uint64
}

func (e *electorate) has(id uint64) bool {
	return slices.Contains(e.voters, id) || slices.Contains(e.outgoing, id)
}

// Counts keeps by whom a replica counts. One that has forgotten a change after a crash counts as before. All that have come to an entry
// count by the same; so do all that begin with a group, other than those that wait for a snapshot.
func (o *nodeObserver) Counts(id replication.GroupID, index uint64, voters, outgoing []uint64) {
	g, now := o.group(id), electorate{index, slices.Clone(voters), slices.Clone(outgoing)}
	g.counts[o.id] = now
	if len(voters) == 0 {
		return
	}
	before, known := g.voters[index]
	if !known {
		g.voters[index] = now
		return
	}
	if !slices.Equal(before.voters, voters) || !slices.Equal(before.outgoing, outgoing) {
		o.report(found(Replicas, fmt.Errorf("sim: group %d as of entry %d: %s counts by voters %v and %v of before, and another one has counted by %v and %v",
			id, index, o.node, voters, outgoing, before.voters, before.outgoing)))
	}
}

// Known checks that a majority of the voters count by these voters, when their leader says so.
func (o *nodeObserver) Known(id replication.GroupID, index uint64, voters []uint64) {
	ignorant := o.without(o.group(id), voters, func(e *electorate) bool {
		return e.index > index || len(e.outgoing) == 0 && slices.Equal(e.voters, voters)
	})
	if 2*len(ignorant) >= len(voters) {
		o.report(found(Durability, fmt.Errorf("sim: group %d: %s says, as of entry %d, that its voters %v know that they are, and nodes %v do not",
			id, o.node, index, voters, ignorant)))
	}
}

// Left checks that a majority of the voters can do without a replica that is dropped.
func (o *nodeObserver) Left(id replication.GroupID) {
	if o.wanted == nil || !o.wanted(uint64(id)) {
		return
	}
	g := o.group(id)
	var last electorate
	for _, e := range g.counts { //sim:ok the greatest
		if e.index > last.index || len(last.voters) == 0 {
			last = e
		}
	}
	if last.has(o.id) {
		o.report(found(Durability, fmt.Errorf("sim: group %d: %s drops its replica, and is one of its voters %v as of entry %d", id, o.node, last.voters, last.index)))
		return
	}
	ignorant := o.without(g, last.voters, func(e *electorate) bool { return len(e.voters) > 0 && !e.has(o.id) })
	if len(last.voters) > 0 && 2*len(ignorant) >= len(last.voters) {
		o.report(found(Durability, fmt.Errorf("sim: group %d: %s drops its replica, and of the voters %v as of entry %d nodes %v would need it to elect a leader",
			id, o.node, last.voters, last.index, ignorant)))
	}
}

// without returns the voters of whom something is not so. Of those whose disks forget nobody can say.
func (o *nodeObserver) without(g *groupHistory, voters []uint64, isSo func(*electorate) bool) (ids []uint64) {
	for _, v := range voters {
		e := g.counts[v]
		if !isSo(&e) && (o.forgives == nil || !o.forgives(nodeName(int(v)))) {
			ids = append(ids, v)
		}
	}
	return ids
}

// wants reports whether a table has a group, and is not about to go, by the latest catalog that a node has.
func (r *run) wants(group uint64) (is bool) {
	var latest uint64
	for _, n := range r.nodes {
		if n.server == nil {
			continue
		}
		if wanted, asOf := n.server.tables.Wants(group); asOf > latest {
			is, latest = wanted, asOf
		}
	}
	return is
}
