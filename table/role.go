package table

import (
	"sync/atomic"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/txn"
)

// Hooks tell a Service what happens in the replication.Node below it, which is opened
// first. Its methods are the node's Options of the same names. The zero value is
// ready.
type Hooks struct{ core atomic.Pointer[core] }

// OnRole is replication.Options.OnRole.
func (h *Hooks) OnRole(id replication.GroupID, _ bool) {
	if c := h.core.Load(); c != nil {
		c.roles.note(uint64(id))
	}
}

// roleChanges are groups that this node has begun, or ceased, to lead.
type roleChanges struct {
	wake *env.Queue[struct{}]

	mu     env.Leaf // guards groups
	groups []uint64 // in order, also more than once
}

func (r *roleChanges) init(e *env.Env) {
	r.wake = env.NewQueue[struct{}](e, 1)
	r.mu.Bind(e)
}

func (r *roleChanges) note(group uint64) {
	r.mu.Lock()
	r.groups = append(r.groups, group)
	r.mu.Unlock()
	r.wake.TrySend(struct{}{})
}

func (r *roleChanges) take() []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	groups := r.groups
	r.groups = nil
	return groups
}

// watchRoles begins and ends what is to be done where a group is led, until the
// service closes. It looks at all groups once in a while, some at a time, so that nothing depends on
// being told.
func (c *core) watchRoles() {
	for from := uint64(0); env.WaitAnyFor(c.env, followPause, c.closing, c.roles.wake) != 0; {
		groups := c.roles.take()
		if _, ok := c.roles.wake.TryRecv(); !ok {
			var list []*livePartition
			list, from = c.directory.listFrom(from, membersAtOnce, (*livePartition).hosted)
			for _, p := range list {
				groups = append(groups, p.id)
			}
			groups = append(groups, catalogGroup)
		}
		c.followRoles(groups)
	}
}

func (c *core) followRoles(groups []uint64) {
	for _, id := range groups {
		if id == catalogGroup {
			if c.mayReign() {
				c.beginReign()
			} else {
				c.endReign()
			}
			continue
		}
		c.local.Lock()
		if p := c.directory.partition(id); p != nil && p.group != nil {
			c.followRole(p)
		}
		c.local.Unlock()
	}
}

// followRole brings a replica in line with whether it leads. The caller holds local.
func (c *core) followRole(p *livePartition) {
	leads := p.group.Leading() && !c.closing.Ready()
	if leads {
		c.showClock(p.Latest())
	}
	switch {
	case p.upkeep == nil:
	case leads:
		p.upkeep.begin()
	default:
		p.upkeep.end()
	}
}

// showClock shows the clock a timestamp that others have made. One that is so far ahead that a clock was wrong
// is left alone: partitions make later timestamps of what comes too early by themselves, while a node that ran
// ahead would be refused by all others.
func (c *core) showClock(t txn.Timestamp) {
	if err := c.clock.Observe(t); err != nil {
		c.env.Sometimes("table: a timestamp is too far ahead")
	}
}
