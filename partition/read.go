package partition

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/lsm/corrupt"
)

// Get returns the item of a row key made by Schema.AppendRowKey, nil if there is
// none. The item is the caller's. It returns ErrWrongPartition if the partition
// does not have the key, and ErrNotConfigured if it does not know what it has.
func (p *Partition) Get(key []byte) (item.Item, error) {
	b, err := p.db.Get(key, nil)
	// Judged by what the partition has after the read: a row that has gone to
	// another one may be deleted here afterwards.
	config := p.Config()
	if err := p.serves(config); err != nil {
		return nil, err
	}
	if !config.has(key) && !plant.On(plant.ParentAnswersForChild) {
		return nil, config.wrong()
	}
	p.warm(config, RowHash(key), 1)
	return p.row(b, err)
}

// has reports whether a row key is one of the partition itself.
func (c *Config) has(key []byte) bool {
	return len(key) >= rowPrefix && key[0] == spaceRow && binary.BigEndian.Uint32(key[1:]) == c.Schema.Table &&
		key[indexOffset] == c.Schema.facetsFlag()|baseIndex && c.Owns(RowHash(key))
}

// row decodes a row that the store was asked for.
func (p *Partition) row(b []byte, err error) (item.Item, error) {
	if errors.Is(err, lsm.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, asDamage(fmt.Errorf("partition %d: read row: %w", p.group, err))
	}
	_, it, err := decodeRow(b)
	if err != nil {
		return nil, asDamage(fmt.Errorf("partition %d: %w", p.group, err))
	}
	return it, nil
}

// asDamage has an error of a read match ErrDamaged if bytes on disk are to blame:
// another replica has others.
func asDamage(err error) error {
	var damage *corrupt.Error
	if errors.As(err, &damage) || errors.Is(err, ErrFormat) || errors.Is(err, vfs.ErrIO) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// Rows walks over the rows of a span of row keys as they were when it was
// opened. It must be closed, and serves one task.
//
//	for rows.Next() {
//		use(rows.Item())
//	}
//	err := rows.Err()
type Rows struct {
	p       *Partition
	it      *lsm.Iterator     // nil if narrow is not
	narrow  *lsm.FilteredIter // over some of the rows
	view    *lsm.Snapshot     // nil unless Get may be called
	reverse bool
	started bool
	item    item.Item
	err     error
}

// RowOptions say which rows are walked over, and how.
type RowOptions struct {
	// Rows with Lower <= key < Upper. The span must lie within the partition.
	Lower, Upper []byte
	Reverse      bool // against key order
	// Narrow leaves out rows that the filter, from Schema.Narrow, does not hold
	// for. Nil: all rows.
	Narrow *lsm.Filter
	// Items says that these are entries of a local index and that Get will be
	// asked for their items, as they were at the same moment.
	Items bool
}

// Rows opens an iterator over rows.
func (p *Partition) Rows(o RowOptions) (*Rows, error) {
	r := &Rows{p: p, reverse: o.Reverse}
	var from source = p.db
	if o.Items {
		r.view = p.db.NewSnapshot()
		from = r.view
	}
	var err error
	span := lsm.IterOptions{Lower: o.Lower, Upper: o.Upper}
	if o.Narrow != nil {
		r.narrow, err = from.NewFilteredIter(span, *o.Narrow)
	} else {
		r.it, err = from.NewIter(span)
	}
	if err != nil {
		if r.view != nil {
			r.view.Close()
		}
		return nil, fmt.Errorf("partition %d: open iterator: %w", p.group, err)
	}
	return r, nil
}

// A source is the store, or a snapshot of it.
type source interface {
	NewIter(lsm.IterOptions) (*lsm.Iterator, error)
	NewFilteredIter(lsm.IterOptions, lsm.Filter) (*lsm.FilteredIter, error)
}

// eachPair calls f with the pairs of [lower, upper), in order; they are valid during the call.
func eachPair(from source, lower, upper []byte, f func(key, value []byte) error) error {
	it, err := from.NewIter(lsm.IterOptions{Lower: lower, Upper: upper})
	if err != nil {
		return err
	}
	err = vfs.Guard(func() error {
		for ok := it.First(); ok; ok = it.Next() {
			key, value := it.Key(), it.Value()
			if err := it.Err(); err != nil {
				return err
			}
			if err := f(key, value); err != nil {
				return err
			}
		}
		return it.Err()
	})
	if e := it.Close(); err == nil {
		err = e
	}
	return err
}

// Get returns the item of a row key, nil if there is none. The item is the
// caller's. Only with RowOptions.Items.
func (r *Rows) Get(key []byte) (item.Item, error) {
	b, err := r.view.Get(key, nil)
	return r.p.row(b, err)
}

// Next moves to the next row; false at the end or after an error.
func (r *Rows) Next() bool {
	if r.err != nil || !r.move() {
		return false
	}
	var value []byte
	if r.narrow != nil {
		value, r.err = r.narrow.Value(), r.narrow.Err()
	} else {
		value, r.err = r.it.Value(), r.it.Err()
	}
	if r.err == nil {
		_, r.item, r.err = decodeRow(value)
	}
	return r.err == nil
}

func (r *Rows) move() bool {
	first := !r.started
	r.started = true
	if r.narrow != nil {
		return move(r.narrow, first, r.reverse)
	}
	switch {
	case first && r.reverse:
		return r.it.Last()
	case first:
		return r.it.First()
	case r.reverse:
		return r.it.Prev()
	}
	return r.it.Next()
}

func move(it *lsm.FilteredIter, first, reverse bool) bool {
	switch {
	case first && reverse:
		return it.Last()
	case first:
		return it.First()
	case reverse:
		return it.Prev()
	}
	return it.Next()
}

// Item returns the current item. It is valid until the next call of Next. It may lie
// in a mapped file: whoever looks at it does so under vfs.Guard.
func (r *Rows) Item() item.Item { return r.item }

// Err returns what ended the iteration early, if anything.
func (r *Rows) Err() error {
	if r.err != nil {
		return r.err
	}
	if r.narrow != nil {
		return r.narrow.Err()
	}
	return r.it.Err()
}

// Close releases the iterator.
func (r *Rows) Close() error {
	if r.view != nil {
		r.view.Close()
	}
	if r.narrow != nil {
		return r.narrow.Close()
	}
	return r.it.Close()
}
