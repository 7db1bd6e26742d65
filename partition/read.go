package partition

import (
	"errors"
	"fmt"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
)

// Get returns the item of a row key made by Schema.AppendRowKey, nil if there is
// none. The item is the caller's.
func (p *Partition) Get(key []byte) (item.Item, error) {
	b, err := p.db.Get(key, nil)
	return p.row(b, err)
}

// row decodes a row that the store was asked for.
func (p *Partition) row(b []byte, err error) (item.Item, error) {
	if errors.Is(err, lsm.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("partition %d: read row: %w", p.group, err)
	}
	_, it, err := decodeRow(b)
	if err != nil {
		return nil, fmt.Errorf("partition %d: %w", p.group, err)
	}
	return it, nil
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
	it      *lsm.Iterator
	view    *lsm.Snapshot // nil unless Get may be called
	reverse bool
	started bool
	item    item.Item
	err     error
}

// Rows opens an iterator over the rows with lower <= key < upper, in key order
// or, with reverse, against it. The span must lie within the partition.
func (p *Partition) Rows(lower, upper []byte, reverse bool) (*Rows, error) {
	it, err := p.db.NewIter(lsm.IterOptions{Lower: lower, Upper: upper})
	if err != nil {
		return nil, fmt.Errorf("partition %d: open iterator: %w", p.group, err)
	}
	return &Rows{p: p, it: it, reverse: reverse}, nil
}

// EntryRows is Rows for the entries of a local index whose items are wanted,
// too: Get returns them as they were at the same moment.
func (p *Partition) EntryRows(lower, upper []byte, reverse bool) (*Rows, error) {
	view := p.db.NewSnapshot()
	it, err := view.NewIter(lsm.IterOptions{Lower: lower, Upper: upper})
	if err != nil {
		view.Close()
		return nil, fmt.Errorf("partition %d: open iterator: %w", p.group, err)
	}
	return &Rows{p: p, it: it, view: view, reverse: reverse}, nil
}

// Get returns the item of a row key, nil if there is none. The item is the
// caller's. Only for rows from EntryRows.
func (r *Rows) Get(key []byte) (item.Item, error) {
	b, err := r.view.Get(key, nil)
	return r.p.row(b, err)
}

// Next moves to the next row; false at the end or after an error.
func (r *Rows) Next() bool {
	if r.err != nil || !r.move() {
		return false
	}
	value := r.it.Value()
	if r.err = r.it.Err(); r.err == nil {
		_, r.item, r.err = decodeRow(value)
	}
	return r.err == nil
}

func (r *Rows) move() bool {
	first := !r.started
	r.started = true
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

// Item returns the current item. It is valid until the next call of Next. It may lie
// in a mapped file: whoever looks at it does so under vfs.Guard.
func (r *Rows) Item() item.Item { return r.item }

// Err returns what ended the iteration early, if anything.
func (r *Rows) Err() error {
	if r.err != nil {
		return r.err
	}
	return r.it.Err()
}

// Close releases the iterator.
func (r *Rows) Close() error {
	if r.view != nil {
		r.view.Close()
	}
	return r.it.Close()
}
