package table

import (
	"maps"
	"slices"

	"github.com/statordb/stator/internal/env"
)

// A directory holds the partitions of all tables that this node knows of, by the
// id of their group: where it has a replica, and where others lead.
//
// A livePartition in it is replaced when its hashes change, or when this node gets
// or loses the replica.
type directory struct {
	mu   env.Leaf // guards what is below
	byID map[uint64]*livePartition
	ids  []uint64 // of byID, sorted; nil: to be made
	// changes counts changes of byID.
	changes uint64
}

func newDirectory(e *env.Env) *directory {
	d := &directory{byID: make(map[uint64]*livePartition)}
	d.mu.Bind(e)
	return d
}

// partition returns the partition of a group, nil if it is not known.
func (d *directory) partition(group uint64) *livePartition {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.byID[group]
}

// put adds or replaces a partition.
func (d *directory) put(p *livePartition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changes++
	if d.byID[p.id] == nil {
		d.ids = nil
	}
	d.byID[p.id] = p
}

// forget takes partitions away.
func (d *directory) forget(groups ...uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changes++
	d.ids = nil
	for _, id := range groups {
		delete(d.byID, id)
	}
}

// version returns a number that is another one once the directory has changed; 0: nothing was ever in it.
func (d *directory) version() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changes
}

// find returns the partition that has a hash of a table, by the id in row keys; nil if it
// is not known.
func (d *directory) find(table uint32, hash uint64) (found *livePartition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.byID { //sim:ok one at most
		if p.table == table && !p.isChild && p.first <= hash && hash <= p.last {
			return p
		}
	}
	return nil
}

// hosted returns the partitions of which this node has a replica, by group.
func (d *directory) hosted() []*livePartition {
	return d.list((*livePartition).hosted)
}

// listFrom returns those of list from a group on, at most so many, and the group to go on with; 0 = the first.
func (d *directory) listFrom(group uint64, most int, wanted func(*livePartition) bool) (list []*livePartition, next uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ids := d.sorted()
	at, _ := slices.BinarySearch(ids, group)
	for ; at < len(ids); at++ {
		if len(list) == most {
			return list, ids[at]
		}
		if p := d.byID[ids[at]]; wanted(p) {
			list = append(list, p)
		}
	}
	return list, 0
}

// round returns what listFrom does, and after it those in also that are elsewhere; it takes out of also what is
// wanted no more.
func (d *directory) round(from uint64, most int, wanted func(*livePartition) bool, also map[uint64]bool) (list []*livePartition, next uint64) {
	list, next = d.listFrom(from, most, wanted)
	for _, id := range slices.Sorted(maps.Keys(also)) { //sim:ok sorted
		p := d.partition(id)
		switch {
		case p == nil || !wanted(p):
			delete(also, id)
		case id < from || next != 0 && id >= next:
			list = append(list, p)
		}
	}
	return list, next
}

// sorted returns the ids of all partitions. The caller holds mu.
func (d *directory) sorted() []uint64 {
	if d.ids == nil {
		d.ids = slices.Sorted(maps.Keys(d.byID))
	}
	return d.ids
}

func (d *directory) list(wanted func(*livePartition) bool) []*livePartition {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]*livePartition, 0, len(d.byID))
	for _, id := range d.sorted() {
		if p := d.byID[id]; wanted(p) {
			list = append(list, p)
		}
	}
	return list
}
