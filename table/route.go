package table

import (
	"slices"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
)

// A livePartition is a partition as this node reaches it: the narrow seam between
// the operations on tables and the replicas. It takes commands, and reads rows.
type livePartition struct {
	core        *core
	slot        *slot  // of the record that it was derived from
	first, last uint64 // hashes served: [first, last]
	id          uint64 // of the group
	group       group  // nil if this node has no replica
	damage      error  // why there is no partition
	*partition.Partition

	// upkeep brings changes to the global indexes; nil unless the table has or
	// had some. It is set before a liveTable that has them is published.
	upkeep *upkeep
}

// changed returns p with the hashes and places of next.
func (p *livePartition) changed(next *livePartition) *livePartition {
	changed := *p
	changed.first, changed.last, changed.slot = next.first, next.last, next.slot
	return &changed
}

// propose sends a command to the partition. The caller waits for what becomes of
// it by outcome; in between it may propose others.
func (p *livePartition) propose(command []byte) *env.Future[any] { return p.group.Propose(command) }

// outcome waits for the result of a proposed command. The error says why there is
// none; that of the command is in the result.
func (p *livePartition) outcome(f *env.Future[any]) (*partition.Result, error) {
	v, err := f.Await()
	if err != nil {
		return nil, err
	}
	return v.(*partition.Result), nil
}

// run carries out a command, and returns its error, too.
func (p *livePartition) run(c *partition.Command) (*partition.Result, error) {
	r, err := p.outcome(p.propose(c.Encode()))
	if err == nil {
		err = r.Err
	}
	return r, err
}

// admit parks a writer while the indexes of the table are too far behind.
func (p *livePartition) admit() {
	if p.upkeep != nil {
		p.upkeep.admit()
	}
}

// get reads the item of a row key, nil if there is none.
func (p *livePartition) get(row []byte, consistent bool) (item.Item, error) {
	if err := p.settle(consistent); err != nil {
		return nil, err
	}
	return p.Get(row)
}

// page reads a page of the partition's rows.
func (p *livePartition) page(r *partition.PageRequest) (*partition.Page, error) {
	if err := p.settle(r.Consistent); err != nil {
		return nil, err
	}
	return p.Page(r)
}

// settle waits until a read may begin: a consistent one after everything that was
// answered before.
func (p *livePartition) settle(consistent bool) error {
	if !consistent {
		return nil
	}
	return p.group.ReadBarrier()
}

// A partitionMap holds partitions that cover all hashes, by first.
type partitionMap []*livePartition

// of returns the partition that serves a hash.
func (m partitionMap) of(hash uint64) *livePartition { return m[m.index(hash)] }

func (m partitionMap) index(hash uint64) int {
	if len(m) == 1 {
		return 0
	}
	at, found := slices.BinarySearchFunc(m, hash, func(p *livePartition, h uint64) int {
		switch {
		case p.first < h:
			return -1
		case p.first > h:
			return 1
		}
		return 0
	})
	if found {
		return at
	}
	return at - 1
}

// sum adds up the counters of all partitions.
func (m partitionMap) sum(of func(*livePartition) partition.Stats) IndexCounts {
	var sum IndexCounts
	for _, p := range m {
		if p.damage != nil {
			continue
		}
		s := of(p)
		sum.Items += s.Items
		sum.Bytes += s.Bytes + itemOverhead*s.Items
	}
	return sum
}

// counts returns what the table or index holds.
func (k *keySet) counts() IndexCounts {
	return k.partitions.sum(func(p *livePartition) partition.Stats {
		if k.index != nil && k.index.Local {
			return p.IndexStats(k.index.ID)
		}
		return p.Stats()
	})
}
