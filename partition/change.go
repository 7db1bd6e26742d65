package partition

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/statordb/stator/capacity"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/txn"
)

// A change record says what a command did to an item. It is written in the same
// batch as the item, and only if somebody needs it. Integers are big-endian, a
// size is a uvarint.
//
//	+-----------+----------+--------------+----------------+-------------+
//	| format 1B | flags 1B | timestamp 8B | index count 1B | index 4B ...|
//	+-----------+----------+--------------+----------------+-------------+
//	| old size | old item | new item ... |
//	+----------+----------+--------------+
//
// format is 1. The timestamp is that of the item's row. The indexes are those
// whose entries changed, by their ids. An image that is empty is not there: old
// for an item that was made, new for one that was deleted. flags:
//
//	1 whole     the images are whole items. Without it they have the attributes
//	            that the named indexes need, and an old one whose entries keep
//	            their keys may be left out.
//	2 backfill  nothing has changed: the record brings an item that was there
//	            before to an index that is being built.
//
// The key of a record, drawn in keys.go, has its sequence number, which counts
// the partition's records from 1. The sequence is the order of the log.
const (
	changeFormat byte = 1

	changeWhole    byte = 1
	changeBackfill byte = 2

	changeFixed = 1 + 1 + 8 + 1
)

// A Change is a decoded change record.
type Change struct {
	Sequence  uint64
	Timestamp txn.Timestamp
	Whole     bool // the images are whole items
	Backfill  bool
	Indexes   []uint32  // ids of the global indexes whose entries changed
	Old, New  item.Item // nil = none
	Bytes     int       // of the record
}

func (c *Change) append(dst []byte) []byte {
	flags := byte(0)
	if c.Whole {
		flags |= changeWhole
	}
	if c.Backfill {
		flags |= changeBackfill
	}
	dst = append(dst, changeFormat, flags)
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.Timestamp))
	dst = append(dst, byte(len(c.Indexes)))
	for _, id := range c.Indexes {
		dst = binary.BigEndian.AppendUint32(dst, id)
	}
	dst = appendSized(dst, c.Old)
	return append(dst, c.New...)
}

// decode takes apart a record. Like a row's, its items were checked before they
// were written. They alias b; Indexes is used again.
func (c *Change) decode(b []byte) error {
	c.Bytes = len(b)
	if len(b) < changeFixed || b[0] != changeFormat || b[1] > changeWhole|changeBackfill {
		return fmt.Errorf("%w: change of %d bytes", ErrFormat, len(b))
	}
	c.Whole, c.Backfill = b[1]&changeWhole != 0, b[1]&changeBackfill != 0
	c.Timestamp = txn.Timestamp(binary.BigEndian.Uint64(b[2:]))
	count := int(b[10])
	b = b[changeFixed:]
	if len(b) < 4*count {
		return fmt.Errorf("%w: indexes of a change", ErrFormat)
	}
	c.Indexes = c.Indexes[:0]
	for range count {
		c.Indexes = append(c.Indexes, binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	old, updated, ok := cutSized(b)
	if !ok {
		return fmt.Errorf("%w: image of a change", ErrFormat)
	}
	c.Old, c.New = nil, nil
	if len(old) > 0 {
		c.Old = old
	}
	if len(updated) > 0 {
		c.New = updated
	}
	return nil
}

// note stages a change record if a write touches a global index.
func (p *Partition) note(s *Schema, pl *plan, old, updated item.Item, ts txn.Timestamp, c *counters) {
	change := &p.scratch.change
	*change = Change{Timestamp: ts, Indexes: change.Indexes[:0]}
	all, leaves := false, false
	for i := range pl.changes {
		e := &pl.changes[i]
		if e.index.Local {
			continue
		}
		change.Indexes = append(change.Indexes, e.index.ID)
		all = all || e.updated != nil && e.index.All
		leaves = leaves || e.change == capacity.IndexRemoved || e.change == capacity.IndexMoved
	}
	if len(change.Indexes) == 0 {
		return
	}
	if leaves && !plant.On(plant.GlobalEntryKept) {
		change.Old = p.image(s, pl, old, false)
	}
	switch {
	case all:
		change.New = updated
	case updated != nil:
		change.New = p.image(s, pl, updated, true)
	}
	p.stageChange(change, c)
}

// image returns the part of an item that the touched global indexes need: their
// keys and, if wanted, what they project.
func (p *Partition) image(s *Schema, pl *plan, it item.Item, projected bool) item.Item {
	b := &p.scratch.builder
	set := func(name string) {
		if v, ok := it.Get(name); ok {
			b.Set(name, v)
		}
	}
	for _, k := range s.keys() {
		set(k.Name)
	}
	for i := range pl.changes {
		x := pl.changes[i].index
		if x.Local {
			continue
		}
		for _, k := range x.Keys {
			set(k.Name)
		}
		if projected {
			for _, name := range x.Projected {
				set(name)
			}
		}
	}
	at := len(p.scratch.entries)
	p.scratch.entries = b.AppendItem(p.scratch.entries)
	return item.Item(p.scratch.entries[at:])
}

func (p *Partition) stageChange(change *Change, c *counters) {
	s := &p.scratch
	c.sequence++
	s.entryKey = appendChangeKey(s.entryKey[:0], p.group, c.sequence)
	s.value = change.append(s.value[:0])
	s.batch.Set(s.entryKey, s.value)
	c.changeBytes += int64(len(s.value))
}

// trim stages the end of all change records up to a sequence number.
func (p *Partition) trim(through uint64, c *counters) Result {
	if through = min(through, c.sequence); through > c.trimmed {
		p.scratch.batch.DeleteRange(appendChangeKey(nil, p.group, c.trimmed+1), appendChangeKey(nil, p.group, through+1))
		c.trimmed = through
	}
	return Result{}
}

// Sequence returns the number of the latest change record; 0 = none was written.
func (p *Partition) Sequence() uint64 { return p.sequence.Load() }

// Trimmed returns the number up to which change records are gone.
func (p *Partition) Trimmed() uint64 { return p.trimmed.Load() }

// ChangeBytes returns how many bytes of change records were written since Open.
func (p *Partition) ChangeBytes() int64 { return p.changeBytes.Load() }

// Watch has f called after each log entry that wrote change records. It must be
// quick and must not wait. There is one watcher; nil takes it away.
func (p *Partition) Watch(f func()) {
	if f == nil {
		p.watcher.Store(nil)
		return
	}
	p.watcher.Store(&f)
}

// Changes calls f with the change records after a sequence number, in order, until
// it returns false. The record and its images are valid during the call. It begins
// with the first record that was not trimmed.
//
// Numbers have no gaps, so records are looked up one by one: an iterator would have
// the engine bring everything that was written lately into order.
func (p *Partition) Changes(after uint64, f func(c *Change) bool) error {
	var c Change
	var key, value []byte
	last := p.Sequence()
	for sequence := max(after, p.Trimmed()) + 1; sequence <= last; sequence++ {
		key = appendChangeKey(key[:0], p.group, sequence)
		b, err := p.db.Get(key, value[:0])
		if errors.Is(err, lsm.ErrNotFound) {
			err = fmt.Errorf("%w: change is missing", ErrFormat)
		}
		if err == nil {
			err = c.decode(b)
		}
		if err != nil {
			return fmt.Errorf("partition %d: read change %d: %w", p.group, sequence, err)
		}
		value, c.Sequence = b, sequence
		if !f(&c) {
			return nil
		}
	}
	return nil
}
