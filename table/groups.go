package table

import (
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

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
	all := c.Layout()
	all[0] = c.groupState(all[0], c.catalogGroup)
	for i := range all[1:] {
		all[1+i] = c.slotState(all[1+i])
	}
	return all
}

// Layout returns the same groups as the catalog has them. It asks nobody, so all that only a
// replica knows is not set: from Here on, but for First and Last.
func (c *core) Layout() []GroupState {
	all := []GroupState{{ID: catalogGroup}}
	for _, n := range c.catalog.snapshot().nodes {
		if n.state != nodeGone {
			all[0].Replicas = append(all[0].Replicas, n.id)
		}
	}
	for _, r := range c.catalog.snapshot().records() {
		add := func(index string, slots []slot) {
			for i, s := range slots {
				all = append(all, GroupState{
					ID: s.group, Table: r.def.Name, Index: index, Replicas: s.replicas.members(), First: s.first, Last: lastOf(slots, i),
				})
			}
		}
		add("", r.slots)
		for i, place := range r.places {
			add(r.def.GlobalIndexes[i].Name, place.slots)
		}
	}
	return all
}

// Wants reports whether a table has a group, and keeps it, in the catalog as this node has it; and as of which of its entries that is. It is for
// simulations.
func (c *core) Wants(group uint64) (is bool, asOf uint64) {
	_, s := c.catalog.snapshot().slotOf(group)
	return s != nil, c.catalog.applied
}

// Replica returns this node's replica of a partition, for whoever looks at its state; nil if there is none.
func (c *core) Replica(group uint64) *partition.Partition {
	if p := c.directory.partition(group); p != nil && p.exists() {
		return p.Partition
	}
	return nil
}

// slotState adds to what the catalog has of a partition what the replica here knows.
func (c *core) slotState(g GroupState) GroupState {
	p := c.directory.partition(g.ID)
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
