package table

import (
	"errors"
	"fmt"
	"slices"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

// The birth of a partition that is split off. Each replica of the parent that applies the
// split finds the child's first state in its store; onSplit wakes whoever follows the
// catalog, which knows of the child from before. A replica that skips the split by a snapshot
// of the parent starts an empty child: but not while the parent here has the child's
// hashes, because it may still come to the split.

// errUnborn puts off the start of a replica.
var errUnborn = errors.New("table: partition is not split off yet")

// births are the children whose first state came to the store, and that have not begun here,
// as far as that is known.
type births struct {
	mu     env.Leaf // guards groups
	groups []uint64
}

// onSplit is told by a partition that it has other hashes than before. It is called while
// the partition applies an entry of its log.
func (c *core) onSplit(s *partition.Split) {
	if s != nil {
		c.births.mu.Lock()
		c.births.groups = append(c.births.groups, s.Child)
		c.births.mu.Unlock()
	}
	c.unborn.Store(true)
	c.poke()
}

// mayBegin refuses to begin a replica whose rows another partition in the store has, or may
// get. It is asked before the store is asked for the first state: what the other one gives
// up later, it has then, or not at all. If the first state is there already, there is nothing to wait for, and
// nobody may: the parent sends no snapshots before the child has begun on a majority, and whoever waits for one
// may be needed for the next.
func (c *core) mayBegin(j *startJob) error {
	if j.isLogged || j.slot.replicas.epoch == 0 || c.isGivenOff(j.id) {
		return nil
	}
	// A parent has lower hashes. One that is just starting, or waits for a snapshot, does not
	// know yet which.
	for i := range *j.slots {
		s := &(*j.slots)[i]
		if s.first >= j.first {
			break
		}
		if p := c.directory.partition(s.group); p != nil && p.damage == nil && (p.exists() && p.Config() == nil || !p.exists() && c.hosts(s)) {
			return errUnborn
		}
	}
	err := partition.CheckFree(c.db, j.id, j.table, j.first, j.last)
	if errors.Is(err, partition.ErrOverlap) {
		return errUnborn
	}
	return err
}

// isGivenOff reports whether the store has the first state of a group of which this node is to be one of
// the first voters.
func (c *core) isGivenOff(group uint64) bool {
	if c.calls == nil || c.host.Retired(group) {
		return false
	}
	p, err := partition.Open(c.db, group)
	return err == nil && p.IsNewborn() && slices.Contains(p.Birth().Voters, c.self)
}

// noteStart records that the node has a replica. One that begins with what a split has
// left is started when that is durable: else a crash could leave its log without the
// state that it begins with.
func (c *core) noteStart(j *startJob, p *livePartition, isBorn bool) error {
	if c.calls != nil {
		if err := c.noteReplica(p.id, replicaRecord{j.table, p.first, p.last}); err != nil {
			return err
		}
	}
	if !isBorn {
		return nil
	}
	c.env.Sometimes("table: replica is born by a split")
	if c.calls != nil {
		if err := c.narrowReplica(p.Birth().Parent, j.table, p.first); err != nil {
			return err
		}
	}
	if err := c.db.Flush(); err != nil {
		return fmt.Errorf("group %d: make its first state durable: %w", p.id, err)
	}
	return nil
}

// narrowReplica takes the hashes from at on out of the record of a parent's replica.
func (c *core) narrowReplica(parent uint64, table uint32, at uint64) error {
	b, err := c.db.Get(replicaKey(parent), nil)
	if errors.Is(err, lsm.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r, err := decodeReplica(b)
	if err != nil || r.table != table || r.first >= at || r.last < at {
		return err
	}
	r.last = at - 1
	batch := c.db.NewBatch()
	batch.Set(replicaKey(parent), r.append(nil))
	return c.db.Apply(batch)
}

// releaseChild lets a parent's log go once a child's first state is on a majority of its
// voters: the child then commits entries. Whoever has no replica of it need not care; whose replica is empty,
// or has not begun, asks whoever leads.
func (c *core) releaseChild(parent *livePartition, child uint64) {
	p := c.directory.partition(child)
	switch {
	case p == nil:
		return // the catalog here may be older
	case p.group != nil:
		status, err := p.group.Status()
		isEmpty := err == nil && len(status.Members.Voters) == 0
		if err != nil || status.Applied <= replication.SeedIndex && !(isEmpty && c.isLed(child)) {
			return
		}
	case (p.damage != nil || p.slot.replicas.has(c.self)) && !c.isLed(child):
		return
	}
	parent.Release(child)
}

// isLed reports whether somebody leads a group, and so has committed an entry.
func (c *core) isLed(group uint64) bool {
	_, err := c.statusSoon(group)
	return err == nil
}

// dropChildren drops what splits have left here for children of a partition that no table
// has any more, and that have not begun. The caller holds local.
func (c *core) dropChildren(parent uint64, records map[uint64]replicaRecord) error {
	p, err := partition.Open(c.db, parent)
	if err != nil {
		return nil // whatever is wrong with it, it goes
	}
	children, err := p.Children()
	for _, child := range children {
		if _, isNoted := records[child.Child]; err == nil && !isNoted {
			err = partition.Drop(c.db, child.Child)
		}
	}
	return err
}

// findBirths looks for first states that a life before has not begun with.
func (c *core) findBirths() error {
	groups, err := partition.Groups(c.db)
	if err != nil {
		return err
	}
	logged := c.host.Groups()
	for _, id := range groups {
		if _, isLogged := slices.BinarySearch(logged, id); !isLogged {
			c.births.groups = append(c.births.groups, id)
		}
	}
	return nil
}

// dropStillborn drops what splits have left here for children that have replicas
// elsewhere only: a replica that comes late to the split may find that its child has
// moved meanwhile. The caller holds local.
func (c *core) dropStillborn() error {
	c.births.mu.Lock()
	groups := c.births.groups
	c.births.mu.Unlock()
	if len(groups) == 0 {
		return nil
	}
	logged := c.host.Groups()
	for _, id := range groups {
		p := c.directory.partition(id)
		_, isLogged := slices.BinarySearch(logged, id)
		switch {
		case p == nil:
			continue // the catalog here may be older than the child; see dropChildren
		case isLogged, p.exists():
		case p.slot.replicas.has(c.self):
			continue // it will start
		default:
			c.env.Sometimes("table: child of a split is dropped")
			if err := partition.Drop(c.db, id); err != nil {
				return err
			}
		}
		c.births.mu.Lock()
		c.births.groups = slices.DeleteFunc(c.births.groups, func(g uint64) bool { return g == id })
		c.births.mu.Unlock()
	}
	return nil
}
