package table

import "github.com/statordb/stator/replication"

// A GroupState says where the replicas of a partition are, and what this node knows of
// it.
type GroupState struct {
	ID       uint64
	Table    string   // "" for the catalog
	Index    string   // of a global one; "" for the table itself
	Replicas []uint64 // nodes that shall have one, as the catalog has it; the first shall lead
	Here     bool     // this node has one, of which Status tells
	First    uint64   // the hashes that it has, as the catalog has it: [First, Last]
	Last     uint64
	Bytes    int64  // of data, as of the replica here
	Error    string // why it does not run, or cannot tell
	Status   replication.Status
}

// Groups returns the groups of the catalog and of all tables, in the order of their
// creation within each. It asks those that are here, and so takes a moment.
func (c *core) Groups() []GroupState {
	all := []GroupState{c.groupState(GroupState{ID: catalogGroup}, c.catalogGroup)}
	for _, n := range c.catalog.snapshot().nodes {
		if n.state != nodeGone {
			all[0].Replicas = append(all[0].Replicas, n.id)
		}
	}
	for _, r := range c.catalog.snapshot().records() {
		for i, s := range r.slots {
			all = append(all, c.slotState(r, "", s, lastOf(r.slots, i)))
		}
		for i, place := range r.places {
			for k, s := range place.slots {
				all = append(all, c.slotState(r, r.def.GlobalIndexes[i].Name, s, lastOf(place.slots, k)))
			}
		}
	}
	return all
}

func (c *core) slotState(r *record, index string, s slot, last uint64) GroupState {
	g := GroupState{ID: s.group, Table: r.def.Name, Index: index, Replicas: s.replicas.members(), First: s.first, Last: last}
	p := c.directory.partition(s.group)
	switch {
	case p == nil:
		return g
	case p.damage != nil:
		g.Error = p.damage.Error()
		return g
	}
	if p.Partition != nil {
		g.Bytes = p.Size()
	}
	return c.groupState(g, p.group)
}

func (c *core) groupState(g GroupState, group group) GroupState {
	if group == nil {
		return g
	}
	g.Here = true
	status, err := group.Status()
	if err != nil {
		g.Error = err.Error()
	}
	g.Status = status
	return g
}
