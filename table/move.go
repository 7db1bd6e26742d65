package table

import (
	"errors"
	"fmt"
	"slices"

	"github.com/statordb/stator/internal/plant"
)

// Operations on the replicas of one group, for operators. They change what the catalog
// wants; the leader of the group brings its members to that (members.go). Placement may
// change it again, as it would anything else: it evens out what is off by more than
// imbalance.

var (
	// ErrNoGroup means that no table has a group of that number.
	ErrNoGroup = errors.New("table: no such group")
	// ErrGroupBusy refuses to change a group that is still being changed.
	ErrGroupBusy = errors.New("table: group is being changed")
)

// TransferGroup has another one of a group's nodes lead it.
//
// Errors: ErrNoGroup, ErrNoNode, ErrGroupBusy, *ElsewhereError.
func (c *core) TransferGroup(group, to uint64) error {
	if group == catalogGroup {
		return c.transferCatalog(to)
	}
	return c.changeReplicas(group, func(_ *catalogView, nodes []uint64) ([]uint64, error) {
		at := slices.Index(nodes, to)
		if at < 0 {
			return nil, fmt.Errorf("%w: node %d has no replica of group %d", ErrNoNode, to, group)
		}
		return append([]uint64{to}, slices.Delete(nodes, at, at+1)...), nil
	})
}

// transferCatalog has another voter lead the catalog, and so be in charge.
func (c *core) transferCatalog(to uint64) error {
	if c.calls == nil {
		return errNotFounded
	}
	c.control.Lock()
	defer c.control.Unlock()
	if err := c.inCharge(); err != nil {
		return err
	}
	return c.catalogGroup.Transfer(to)
}

// MoveReplica moves the replica of a group from one node to another one, of a zone that
// has no other replica of it.
//
// Errors: ErrNoGroup, ErrNoNode, ErrGroupBusy, *ElsewhereError.
func (c *core) MoveReplica(group, from, to uint64) error {
	return c.changeReplicas(group, func(view *catalogView, nodes []uint64) ([]uint64, error) {
		at, target := slices.Index(nodes, from), view.node(to)
		switch {
		case at < 0:
			return nil, fmt.Errorf("%w: node %d has no replica of group %d", ErrNoNode, from, group)
		case target == nil || target.state != nodeActive:
			return nil, fmt.Errorf("%w: %d is not an active node", ErrNoNode, to)
		case slices.Contains(nodes, to):
			return nil, fmt.Errorf("table: node %d has a replica of group %d already", to, group)
		}
		for _, id := range nodes {
			if n := view.node(id); id != from && n != nil && n.zone == target.zone {
				return nil, fmt.Errorf("table: node %d is in zone %s, which has another replica of group %d", to, target.zone, group)
			}
		}
		nodes[at] = to
		return nodes, nil
	})
}

// changeReplicas gives a group the nodes that f makes of a copy of those that it has.
func (c *core) changeReplicas(group uint64, f func(view *catalogView, nodes []uint64) ([]uint64, error)) error {
	if c.calls == nil {
		return errNotFounded
	}
	c.control.Lock()
	defer c.control.Unlock()
	if err := c.inCharge(); err != nil {
		return err
	}
	view := c.catalog.snapshot()
	r, s := view.slotOf(group)
	if s == nil {
		return fmt.Errorf("%w: %d", ErrNoGroup, group)
	}
	nodes, err := f(view, slices.Clone(s.replicas.members()))
	if err != nil {
		return err
	}
	if s.split != nil || c.isBusy(group) {
		return fmt.Errorf("%w: %d", ErrGroupBusy, group)
	}
	_, err = c.enter(r.space).replace(r.withNodes(group, nodes))
	return err
}

// slotOf returns the slot of a group, and the record of its table; nil if no table that
// has its groups has it.
func (v *catalogView) slotOf(group uint64) (*record, *slot) {
	for _, r := range v.records() {
		if !r.status.hasGroups() {
			continue
		}
		for s := range r.liveSlots() {
			if s.group == group {
				return r, s
			}
		}
	}
	return nil, nil
}

// withNodes is with: the group has replicas on these nodes.
func (r *record) withNodes(group uint64, nodes []uint64) *record {
	return r.withReplicas(func(next *record) {
		for s := range next.allSlots() {
			if s.group != group {
				continue
			}
			if !sameNodes(s.replicas.members(), nodes) && !plant.On(plant.ComesAsVoter) {
				s.replicas.epoch++
			}
			s.replicas.nodes = nodes
		}
	})
}
