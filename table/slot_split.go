package table

import (
	"fmt"
	"slices"
)

// A slotSplit is a split of a slot that is under way: the catalog has given the new group
// its number, but the group has no slot of its own yet. It is immutable.
//
//	catalog: split of a slot begins ─▶ its group: SplitOff ─▶ catalog: two slots
//
// Whoever is in charge does all three, and goes on with what is between the first and the
// last. Meanwhile the replicas of the slot's group stay where they are.
type slotSplit struct {
	at    uint64 // first hash of the child
	child uint64 // group; 0 = not assigned yet
}

// splits writes the part of a record that has the splits under way:
//
//	count, for each: position of the slot among all of the table and then of its indexes,
//	at 8B, child
func (w *writer) splits(r *record) {
	var list writer
	count, i := uint64(0), uint64(0)
	for s := range r.allSlots() {
		if s.split != nil {
			count++
			list.uint(i)
			list.hash(s.split.at)
			list.uint(s.split.child)
		}
		i++
	}
	w.uint(count)
	w.b = append(w.b, list.b...)
}

func (d *reader) splits(r *record) {
	var all []*slot
	for s := range r.allSlots() {
		all = append(all, s)
	}
	next := uint64(0)
	for range d.count() {
		i := d.uint()
		if i < next || i >= uint64(len(all)) {
			d.fail()
			return
		}
		all[i].split = &slotSplit{at: d.fixed(), child: d.uint()}
		next = i + 1
	}
	if next == 0 {
		d.fail() // the part would not be there
	}
}

// checkSplits verifies that splits are inside of their slots.
func checkSplits(slots []slot) error {
	for i := range slots {
		s := &slots[i]
		if s.split != nil && (s.split.at <= s.first || s.split.at > lastOf(slots, i)) {
			return fmt.Errorf("%w: split of a slot", errRecord)
		}
	}
	return nil
}

// isSplitting reports whether any slot is being split.
func isSplitting(slots []slot) bool {
	return slices.ContainsFunc(slots, func(s slot) bool { return s.split != nil })
}

func (s *slot) isSplitting() bool { return s.split != nil }

// groupsOf returns the groups of slots, and those that are being split off.
func groupsOf(slots []slot) (ids []uint64) {
	for i := range slots {
		ids = append(ids, slots[i].allGroups()...)
	}
	return ids
}

func (s *slot) allGroups() []uint64 {
	if s.split != nil && s.split.child != 0 {
		return []uint64{s.group, s.split.child}
	}
	return []uint64{s.group}
}

// child returns the slot of the group that is being split off. It has an epoch, so that
// nobody gives birth to it but by what the split has left.
func (s *slot) child() *slot {
	return &slot{first: s.split.at, group: s.split.child, replicas: replicaSet{epoch: s.replicas.epoch + 1, nodes: s.replicas.nodes}}
}

// slotsOf returns the slots among which is that of a group, and its position in
// them. The lists of r are its own.
func (r *record) slotsOf(group uint64) (slots *[]slot, at int) {
	lists := []*[]slot{&r.slots}
	for i := range r.places {
		lists = append(lists, &r.places[i].slots)
	}
	for _, slots := range lists {
		if at := slices.IndexFunc(*slots, func(s slot) bool { return s.group == group }); at >= 0 {
			return slots, at
		}
	}
	return nil, -1
}

// beginSplit returns the next version of r in which a group is being split.
func (r *record) beginSplit(group, at uint64) *record {
	return r.withReplicas(func(next *record) {
		slots, i := next.slotsOf(group)
		(*slots)[i].split = &slotSplit{at: at}
	})
}

// cancelSplit returns the next version of r in which it is not.
func (r *record) cancelSplit(group uint64) *record {
	return r.withReplicas(func(next *record) {
		slots, i := next.slotsOf(group)
		(*slots)[i].split = nil
	})
}

// endSplit returns the next version of r in which the child has a slot of its own, and
// shall be led as order says of the nodes.
func (r *record) endSplit(group uint64, order func(nodes []uint64) []uint64) *record {
	return r.withReplicas(func(next *record) {
		slots, i := next.slotsOf(group)
		child := (*slots)[i].child()
		child.replicas.nodes = order(slices.Clone(child.replicas.nodes))
		(*slots)[i].split = nil
		*slots = slices.Insert(*slots, i+1, *child)
	})
}
