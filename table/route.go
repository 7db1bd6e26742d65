package table

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

// A livePartition is a partition as this node reaches it: the narrow seam between
// the operations on tables and the replicas. It takes commands, and reads rows.
type livePartition struct {
	core        *core
	slot        *slot  // of the record that it was derived from
	first, last uint64 // hashes served: [first, last]
	id          uint64 // of the group
	table       uint32 // in row keys
	group       group  // nil if this node has no replica
	damage      error  // why there is no partition
	isChild     bool   // it is being split off, so the hashes may still be its parent's
	// lead is the node that leads as this node has last heard from others; 0 = unknown.
	// All livePartitions of a group share it.
	lead *atomic.Uint64
	*partition.Partition

	// upkeep brings changes to the global indexes; nil unless the table has or
	// had some. It is set before a liveTable that has them is published.
	upkeep *upkeep
}

// isOther reports whether next says something else than p.
func (p *livePartition) isOther(next *livePartition) bool {
	return p.isChild != next.isChild || p.first != next.first || p.last != next.last || p.slot.isSplitting() != next.slot.isSplitting() || p.slot.replicas.epoch != next.slot.replicas.epoch ||
		!slices.Equal(p.slot.replicas.nodes, next.slot.replicas.nodes)
}

// changed returns p with the hashes and places of next.
func (p *livePartition) changed(next *livePartition) *livePartition {
	changed := *p
	changed.first, changed.last, changed.slot, changed.isChild = next.first, next.last, next.slot, next.isChild
	return &changed
}

// propose sends a command to the partition. The caller waits for what becomes of
// it by outcome; in between it may propose others.
func (p *livePartition) propose(command []byte) proposal {
	if p.core.calls == nil || p.leads() {
		return proposal{to: p, command: command, future: p.group.Propose(command)}
	}
	sent := proposal{to: p, command: command, future: env.NewFuture[any](p.core.env), sent: true}
	p.core.env.Go("propose", func() {
		sent.future.Set(p.core.deliver(p.id, command, nil))
	})
	return sent
}

// exists reports whether there is a replica here, if only a damaged one.
func (p *livePartition) exists() bool { return p.group != nil || p.damage != nil }

// hosted reports whether there is a replica here that is not damaged.
func (p *livePartition) hosted() bool { return p.group != nil }

// notStarted says why there is no replica here.
func (p *livePartition) notStarted() error {
	return fmt.Errorf("partition %d: %w", p.id, cmp.Or(p.damage, errNotStarted))
}

// leads reports whether the replica here leads its group, and can.
func (p *livePartition) leads() bool {
	return p.group != nil && p.group.Leading() && p.Err() == nil
}

// broken says what it means for a command that its replica broke while it was carried
// out: others may have carried it out.
func broken(err error) error {
	return fmt.Errorf("%w: %w", replication.ErrUnknownOutcome, err)
}

// A proposal is a command on its way to a partition.
type proposal struct {
	to      *livePartition
	command []byte
	future  *env.Future[any]
	sent    bool // it does all that can be done to get there
}

// outcome waits for the result of a proposed command. The error says why there is
// none; that of the command is in the result.
func (p *proposal) outcome() (*partition.Result, error) {
	if p.sent || p.to.core.calls == nil {
		v, err := p.future.Await()
		if err != nil {
			return nil, err
		}
		return v.(*partition.Result), nil
	}
	v, err := p.to.await(p.future)
	if err == nil {
		if err = p.to.Err(); err == nil {
			return v.(*partition.Result), nil
		}
		err = broken(err)
	}
	return p.to.core.deliver(p.to.id, p.command, err)
}

// await waits for what becomes of a command that was proposed here, as long as the
// replica leads: while its disk hangs it learns nothing, and others may have taken over.
func (p *livePartition) await(f *env.Future[any]) (any, error) {
	for {
		v, err, ok := f.AwaitFor(callPatience)
		switch {
		case ok:
			return v, err
		case !p.leads():
			p.core.env.Sometimes("table: a replica hangs")
			return nil, fmt.Errorf("%w: the log of this node hangs", replication.ErrUnknownOutcome)
		}
	}
}

// run carries out a command, and returns its error, too.
func (p *livePartition) run(c *partition.Command) (*partition.Result, error) {
	sent := p.propose(c.Encode())
	r, err := sent.outcome()
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
//
// A consistent read that finds a transaction at the item has a look at the ledger: if the
// transaction is committed, its effect must be seen.
func (p *livePartition) get(row []byte, consistent bool) (item.Item, error) {
	consistent = consistent && !plant.On(plant.FollowerReadServed)
	if p.near(consistent) {
		err := p.settle(consistent)
		if err == nil && consistent && p.Ongoing(row) != nil && !plant.On(plant.PreparedReadAsOld) {
			return p.getSettled(row)
		}
		if err == nil {
			var it item.Item
			if it, err = p.Get(row); err == nil {
				return it, nil
			}
		}
		if p.core.calls == nil || isAnswer(err) {
			return nil, err
		}
	}
	if consistent {
		return p.getSettled(row)
	}
	return p.core.fetchRow(p.id, row, consistent)
}

// fetchRow is get for a replica on another node.
func (c *core) fetchRow(group uint64, row []byte, consistent bool) (it item.Item, err error) {
	key := slices.Clone(row) // so that row need not be on the heap in all other cases
	err = c.fetch(group, consistent, partition.AppendRowRequest(nil, key), func(p *livePartition) (err error) {
		it, err = p.Get(key)
		return err
	}, func(answer []byte) (err error) {
		it, err = partition.DecodeRowAnswer(answer)
		return err
	})
	return it, err
}

// page reads a page of the partition's rows. Of transactions that are at its items it first
// finds out whether they are committed.
func (p *livePartition) page(r *partition.PageRequest) (*partition.Page, error) {
	page, err := p.pageAsked(r)
	var ongoing *partition.OngoingError
	if err == nil || !errors.As(err, &ongoing) {
		return page, err
	}
	p.core.env.Sometimes("table: page waits for transactions")
	for i := range ongoing.Transactions {
		t := &ongoing.Transactions[i]
		if _, err := p.core.unblock(&t.ConflictError, p.table, t.Hashes); err != nil {
			return nil, err
		}
	}
	asIs := *r
	asIs.AsIs = true
	return p.pageAsked(&asIs)
}

func (p *livePartition) pageAsked(r *partition.PageRequest) (*partition.Page, error) {
	if p.near(r.Consistent) {
		err := p.settle(r.Consistent)
		if err == nil {
			var page *partition.Page
			if page, err = p.Page(r); err == nil {
				return page, nil
			}
		}
		if p.core.calls == nil || isAnswer(err) {
			return nil, err
		}
	}
	return p.core.fetchPage(p.id, r)
}

// fetchPage is page for a replica on another node.
func (c *core) fetchPage(group uint64, r *partition.PageRequest) (page *partition.Page, err error) {
	err = c.fetch(group, r.Consistent, r.Append(nil), func(p *livePartition) (err error) {
		page, err = p.Page(r)
		return err
	}, func(answer []byte) (err error) {
		page, err = partition.DecodePageAnswer(answer)
		return err
	})
	return page, err
}

// near reports whether a read may be tried on this node.
func (p *livePartition) near(consistent bool) bool {
	switch {
	case p.core.calls == nil:
		return true
	case p.group == nil || p.Err() != nil:
		return false
	case consistent:
		return p.group.Leading()
	case p.core.isStale && p.group.Leading():
		return len(p.slot.replicas.members()) == 1
	}
	return !p.behind()
}

// behind reports whether the replica here may lag without bound: it has heard of no
// leader for an election timeout.
func (p *livePartition) behind() bool { return p.group.Leader() == 0 }

// settle waits until a read may begin: a consistent one after everything that was
// answered before.
func (p *livePartition) settle(consistent bool) error {
	if p.core.calls != nil {
		if err := p.Err(); err != nil {
			return fmt.Errorf("%w: %w", replication.ErrFailed, err)
		}
	}
	switch {
	case !consistent && p.core.calls != nil && p.behind():
		return errBehind
	case !consistent:
		return nil
	case p.core.calls != nil && !p.group.Leading():
		return replication.ErrNotLeader
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

// remoteStats asks another node for the counters of the partition or of a local
// index. Who cannot be asked counts nothing: DynamoDB, too, promises no more than
// numbers that were right some hours ago.
func (p *livePartition) remoteStats(x *partition.Index) (stats partition.Stats) {
	if p.core.calls == nil {
		return stats
	}
	state, err := p.core.stateOf(p.id)
	switch {
	case err != nil:
		return stats
	case x == nil || !x.Local:
		return state.Stats
	case int(x.ID) <= len(state.Local) && x.ID > 0:
		return state.Local[x.ID-1]
	}
	return stats
}

// stateOf asks a replica of a partition for its state.
func (c *core) stateOf(group uint64) (state *partition.State, err error) {
	err = c.fetch(group, false, partition.AppendStateRequest(nil), func(p *livePartition) error {
		state = p.State()
		return nil
	}, func(answer []byte) (err error) {
		state, err = partition.DecodeStateAnswer(answer)
		return err
	})
	return state, err
}

// counts returns what the table or index holds.
func (k *keySet) counts() IndexCounts {
	return k.partitions.sum(func(p *livePartition) partition.Stats {
		isLocal := k.index != nil && k.index.Local
		switch {
		case p.group == nil:
			return p.remoteStats(k.index)
		case isLocal:
			return p.IndexStats(k.index.ID)
		}
		return p.Stats()
	})
}
