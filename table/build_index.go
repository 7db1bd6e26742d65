package table

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/statordb/stator/partition"
)

// A builder creates or deletes the global indexes of one table that the record
// says are to be. It is a task of its own; each step can be repeated, also after a
// restart:
//
//	create: 1. start the groups of the index
//	        2. tell its partitions, then those of the table, that it exists: from
//	           that point of a partition's log on, writes bring their changes to it
//	        3. bring the rows that are there to it (partition/backfill.go)
//	        4. wait until it has all of them, and make it active
//	delete: 1. tell the partitions of the table that it does not exist any more
//	        2. remove its groups, then its entries and its part of the record
type builder struct {
	s     *Service
	table string
	id    uint32 // of the table
	reign *reign
}

const (
	backfillRows = 512 // per command, which the log's worker runs between others
	pollIndexes  = 2 * time.Millisecond
)

// startBuilder starts the task if a table has indexes to create or delete.
func (s *Service) startBuilder(r *record) {
	if r.status != recordActive || !r.building() {
		return
	}
	b := &builder{s, r.def.Name, r.id, s.reigning()}
	s.builders.Go("index builder", func() error {
		b.run()
		return nil
	})
}

func (b *builder) run() {
	retry := minRetry
	for {
		more, err := b.step()
		switch {
		case err != nil:
			b.s.env.Sometimes("table: index builder failed")
			if b.reign.rest(retry) {
				return
			}
			retry = min(2*retry, maxRetry)
		case !more:
			return
		default:
			retry = minRetry
		}
	}
}

// rest waits for a time, or until the reign ends; then it returns true.
func (r *reign) rest(d time.Duration) (over bool) {
	_, _, over = r.over.AwaitFor(d)
	return over
}

// step finds the index to work on and works on it. It returns false when there is
// none, or when nothing can be done.
func (b *builder) step() (more bool, err error) {
	if b.reign.over.Ready() {
		return false, nil
	}
	t, at, err := b.prepare()
	if err != nil || t == nil {
		return false, err
	}
	if t.places[at].status == indexDeleting {
		return true, nil // prepare has done it
	}
	id := t.places[at].id
	through, err := b.fill(t, id)
	if err != nil {
		return false, err
	}
	if !b.await(t, through, id) {
		return true, nil
	}
	return true, b.activate(t, id)
}

// current returns the record of the table, nil if that is gone.
func (b *builder) current() *record {
	r := b.s.record(b.table)
	if r == nil || r.id != b.id || r.status != recordActive {
		return nil
	}
	return r
}

// prepare does the steps that change what a table is: those under control. It
// returns the table and which index is next; nil when there is nothing to do.
func (b *builder) prepare() (t *liveTable, at int, err error) {
	b.s.control.Lock()
	defer b.s.control.Unlock()
	r := b.current()
	if r == nil || b.s.closed() || b.reign.over.Ready() {
		return nil, 0, nil
	}
	if isSplitting(r.slots) {
		return nil, 0, errSplitting // what it is split into must be told, too
	}
	at = slices.IndexFunc(r.places, func(p indexPlace) bool { return p.status != indexActive })
	if at < 0 {
		return nil, 0, nil
	}
	// What runs here follows the catalog. It may not have come to the index yet or, just
	// started, to the table; and of a table whose replica is broken here, another may come.
	t = (*b.s.live.Load())[b.table]
	if t == nil || t.failed != nil || at >= len(t.places) || t.places[at].id != r.places[at].id || t.places[at].status != r.places[at].status {
		b.s.env.Sometimes("table: index builder is ahead of the node")
		return nil, 0, errNotFollowed
	}
	if r.places[at].status == indexDeleting {
		return t, at, b.remove(t, at)
	}
	t, err = b.start(t, at)
	if err != nil || t == nil {
		return nil, 0, err
	}
	return t, at, b.s.configure(t, true)
}

// start makes sure that the groups of a new index run. Nil means that they cannot.
func (b *builder) start(t *liveTable, at int) (*liveTable, error) {
	if place := &t.places[at]; place.id == 0 { // the table is older than indexes are
		r, err := b.s.replace(t.withIndexes(func(r *record) { r.places[at].slots = evenSlots(len(r.slots)) }))
		if err != nil {
			return nil, err
		}
		t = (*b.s.live.Load())[r.def.Name]
	}
	k := t.globals[t.places[at].id]
	switch {
	case k.failed == nil:
		return t, nil
	case !errors.Is(k.failed, errNotStarted):
		return nil, nil
	}
	if err := b.s.startGroups(t.record); err != nil {
		return nil, err
	}
	return b.s.publish(t.record), nil
}

// fill brings the rows of all partitions to an index. It returns the change, per
// partition, that the index must have then.
func (b *builder) fill(t *liveTable, id uint32) (through []uint64, err error) {
	rows := uint32(backfillRows)
	if b.s.env.Buggify("table: slow backfill") { // so that it is still under way when something else happens
		rows = 1
	}
	for _, p := range t.partitions {
		for {
			c := partition.Command{Kind: partition.Backfill, Index: id, Rows: rows}
			if b.s.env.Buggify("table: small backfill") {
				c.Rows = 1
			}
			if b.reign.over.Ready() || !b.creating(id) {
				return nil, nil
			}
			p.admit()
			r, err := p.run(&c)
			if err != nil {
				return nil, fmt.Errorf("table %s: backfill: %w", b.table, err)
			}
			if r.Done {
				through = append(through, r.Sequence)
				break
			}
		}
	}
	return through, nil
}

// creating reports whether the index is still to be created.
func (b *builder) creating(id uint32) bool {
	r := b.current()
	return r != nil && slices.ContainsFunc(r.places, func(p indexPlace) bool { return p.id == id && p.status == indexCreating })
}

// await returns when an index has the given changes; false if it is not wanted
// any more.
func (b *builder) await(t *liveTable, through []uint64, id uint32) bool {
	for i, sequence := range through {
		for !t.partitions[i].hasBrought(sequence) {
			if b.reign.rest(pollIndexes) || !b.creating(id) {
				return false
			}
		}
	}
	return through != nil
}

// hasBrought reports whether the global indexes are known to have the changes of the
// partition up to a sequence number.
func (p *livePartition) hasBrought(sequence uint64) bool {
	if p.core.calls == nil {
		return p.upkeep != nil && p.upkeep.cursor.Load() >= sequence
	}
	s, err := p.core.statusSoon(p.id)
	return err == nil && s.cursor >= sequence
}

// These put a step of a builder off.
var (
	errSplitting   = errors.New("table: a partition is being split")
	errNotFollowed = errors.New("table: this node has not followed the catalog yet")
)

// activate makes an index active, unless the table has been split meanwhile: then the
// other partitions are filled in, too, which takes up where their parents were.
func (b *builder) activate(t *liveTable, id uint32) error {
	b.s.control.Lock()
	defer b.s.control.Unlock()
	if !b.creating(id) || b.s.closed() {
		return nil
	}
	switch now := b.current(); {
	case isSplitting(now.slots):
		return errSplitting
	case len(now.slots) != len(t.slots):
		b.s.env.Sometimes("table: partition was split while an index was built")
		return nil
	}
	_, err := b.s.replace(b.current().withIndexes(func(r *record) {
		for i := range r.places {
			if r.places[i].id == id {
				r.places[i].status = indexActive
			}
		}
	}))
	return err
}

// remove deletes an index. The published table knows it no more, so no upkeep
// begins to bring changes to it.
func (b *builder) remove(t *liveTable, at int) error {
	if err := b.s.configure(t, true); err != nil {
		return err
	}
	if err := b.s.removeGroups(groupsOf(t.places[at].slots)); err != nil {
		return fmt.Errorf("table %s: %w", b.table, err)
	}
	_, err := b.s.replace(t.withIndexes(func(r *record) { r.dropIndex(at) }))
	return err
}
