package partition

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/txn"
)

// A backfill record says how far the rows of a base partition were brought to a
// global index that is being built.
//
//	+-----------+---------+--------------+
//	| format 1B | done 1B | last key ... |
//	+-----------+---------+--------------+
//
// format is 1; last key is the row key of the last row that was looked at, empty
// at the beginning; done is 1 once there are no more.
const backfillFormat byte = 1

// backfillBytes ends one step of a backfill early, after the row that reaches it.
const backfillBytes = 1 << 20

// backfill brings the next rows to an index: it writes a change record for each
// one that has an entry. Steps and writes are ordered by the log, so an item that
// is written meanwhile comes to the index in its latest state, whether its row is
// read before or after.
func (p *Partition) backfill(config *Config, cmd *Command, c *counters) Result {
	at := slices.IndexFunc(config.Schema.Indexes, func(x Index) bool { return !x.Local && x.ID == cmd.Index })
	if at < 0 || cmd.Index == 0 || config.Entries {
		return Result{Err: ErrNoIndex}
	}
	last, done, err := p.backfillProgress(cmd.Index)
	if err != nil {
		return Result{Err: err}
	}
	if done {
		return Result{Done: true, Sequence: c.sequence}
	}
	f := filler{p: p, schema: &config.Schema, index: &config.Schema.Indexes[at], last: last, budget: int(cmd.Rows)}
	rows, err := f.read(config)
	if err != nil {
		return Result{Err: p.unreadable(fmt.Errorf("partition %d: backfill: %w", p.group, err))}
	}
	for i := range rows {
		p.stageChange(&rows[i], c)
	}
	p.stageBackfill(cmd.Index, f.last, f.done)
	return Result{Done: f.done, Sequence: c.sequence}
}

// ErrNoIndex refuses to backfill an index that the partition does not have.
var ErrNoIndex = errors.New("partition: no such index")

// A filler reads the rows of one step.
type filler struct {
	p      *Partition
	schema *Schema
	index  *Index
	last   []byte // row key; empty = begin
	budget int    // rows left
	bytes  int    // of rows read
	done   bool
}

// read returns the change records of the step. They are made before anything is
// staged, so that a row that cannot be read leaves no trace.
func (f *filler) read(config *Config) (changes []Change, err error) {
	lower, upper := f.schema.HashSpan(nil, config.First, config.Last)
	if len(f.last) > 0 {
		lower = append(slices.Clone(f.last), 0)
	}
	if bytes.Compare(lower, upper) >= 0 {
		f.done = true
		return nil, nil
	}
	it, err := f.p.db.NewIter(lsm.IterOptions{Lower: lower, Upper: upper})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	err = vfs.Guard(func() error {
		ok := it.First()
		for ; ok && f.budget > 0 && f.bytes < backfillBytes; ok = it.Next() {
			key, value := it.Key(), it.Value()
			if err := it.Err(); err != nil {
				return err
			}
			f.budget--
			f.bytes += len(value)
			f.last = append(f.last[:0], key...)
			if change, ok, err := f.change(key, value); err != nil {
				return err
			} else if ok {
				changes = append(changes, change)
			}
		}
		if f.done = !ok; ok && plant.On(plant.BackfillSkipsRow) {
			f.last = append(f.last[:0], it.Key()...)
		}
		return it.Err()
	})
	return changes, err
}

// change returns the change record of a row, false if the index has nothing of
// it. Commands of the same log entry may have changed it already; a row that they
// made is not in the store yet, but has a record of its own.
func (f *filler) change(key, value []byte) (Change, bool, error) {
	ts, it, err := decodeRow(value)
	if err != nil {
		return Change{}, false, err
	}
	if f.p.scratch.shared {
		if row, ok := f.p.scratch.staged[string(key)]; ok {
			ts, it = row.ts, row.item
		}
	}
	if it == nil || !f.index.Has(it) {
		return Change{}, false, nil
	}
	return f.changeOf(ts, it), true, nil
}

func (f *filler) changeOf(ts txn.Timestamp, it item.Item) Change {
	c := Change{Timestamp: ts, Backfill: true, Indexes: []uint32{f.index.ID}}
	if f.index.All {
		c.New = bytes.Clone(it)
	} else {
		c.New = f.schema.appendEntry(nil, &f.p.scratch.builder, f.index, it)
	}
	return c
}

func (p *Partition) backfillProgress(index uint32) (last []byte, done bool, err error) {
	s := &p.scratch
	s.entryKey = appendBackfillKey(s.entryKey[:0], p.group, index)
	b, staged := s.backfills[index]
	if !staged {
		b, err = p.db.Get(s.entryKey, nil)
		if errors.Is(err, lsm.ErrNotFound) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, p.unreadable(fmt.Errorf("partition %d: read backfill: %w", p.group, err))
		}
	}
	if len(b) < 2 || b[0] != backfillFormat || b[1] > 1 {
		return nil, false, p.unreadable(fmt.Errorf("partition %d: %w: backfill of %d bytes", p.group, ErrFormat, len(b)))
	}
	return b[2:], b[1] == 1, nil
}

func (p *Partition) stageBackfill(index uint32, last []byte, done bool) {
	s := &p.scratch
	b := []byte{backfillFormat, 0}
	if done {
		b[1] = 1
	}
	b = append(b, last...)
	s.backfills[index] = b
	s.entryKey = appendBackfillKey(s.entryKey[:0], p.group, index)
	s.batch.Set(s.entryKey, b)
}

// decodeBackfill checks the body of a Backfill command.
//
//	+----------+---------+
//	| index 4B | rows 4B |
//	+----------+---------+
func (c *Command) decodeBackfill(b []byte) error {
	if len(b) != 8 {
		return fmt.Errorf("%w: %v of %d bytes", ErrCommand, c.Kind, len(b))
	}
	c.Index, c.Rows = binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if c.Rows == 0 {
		return fmt.Errorf("%w: %v of no rows", ErrCommand, c.Kind)
	}
	return nil
}
