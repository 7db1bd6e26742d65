package table

import (
	"bytes"
	"fmt"

	"github.com/statordb/stator/capacity"
	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
)

// pageBytes is how much item data one page of a query or scan reads, before
// filter and projection. The item that reaches it is the last one.
const pageBytes = 1 << 20

// Values of Select.
const (
	selectAll          = "ALL_ATTRIBUTES"
	selectAllProjected = "ALL_PROJECTED_ATTRIBUTES"
	selectCount        = "COUNT"
)

// A pager collects one page.
//
// The order of things is DynamoDB's: an item that was read counts against the
// limit and the page size; then the filter may drop it; then the projection
// reduces it. Where facets say that an item does not meet the filter, it is not
// read, and does not count.
type pager struct {
	table      *liveTable
	keys       *keySet // what is read: the table or one of its indexes
	filter     *expr.Condition
	narrow     *lsm.Filter // what the filter says of facets; nil = nothing
	projection *expr.Projection
	counting   bool
	fetching   bool // items of entries are read from the table, too
	limit      int  // 0 = none
	consistent bool

	page    Page
	size    int // of the items or entries read, in bytes
	fetched int // of the items fetched, in bytes
	arena   arena
}

func newPager(t *liveTable, k *keySet, filter *expr.Condition, projection *expr.Projection, choice string, limit int, consistent bool) *pager {
	p := &pager{
		table: t, keys: k, filter: filter, narrow: t.schema.Narrow(k.index, filter), projection: projection,
		counting: choice == selectCount, fetching: t.fetches(k, projection, choice),
		limit: limit, consistent: consistent,
	}
	if !p.counting {
		p.page.Items = []item.Item{}
	}
	return p
}

// take adds an item or entry that was read and reports whether the page is full.
// It need not stay valid. whole is the item of an entry, nil if it was not
// fetched.
func (p *pager) take(it, whole item.Item) (full bool) {
	p.page.ScannedCount++
	p.size += it.Size()
	last := it
	if whole != nil {
		size := whole.Size()
		p.fetched += size
		p.page.Capacity.Read += capacity.ReadUnits(size, p.consistent)
		it = whole
	}
	if p.filter == nil || p.filter.Eval(it) {
		p.page.Count++
		if !p.counting {
			p.page.Items = append(p.page.Items, p.keep(it))
		}
	}
	if p.page.ScannedCount == p.limit || max(p.size, p.fetched) >= pageBytes {
		p.page.LastKey = p.table.keyOf(p.keys, last)
		return true
	}
	return false
}

// keep returns what the page shows of an item, in memory of its own.
func (p *pager) keep(it item.Item) item.Item {
	if p.projection != nil {
		it = p.projection.Apply(it)
	}
	return p.arena.copy(it)
}

// read takes the rows of one partition in [lower, upper) until the page is full.
func (p *pager) read(from *livePartition, lower, upper []byte, reverse bool) (full bool, err error) {
	if bytes.Compare(lower, upper) >= 0 { // a condition that nothing satisfies, or a start key at the end
		return false, nil
	}
	if err := from.settle(p.consistent); err != nil {
		return false, err
	}
	rows, err := from.Rows(partition.RowOptions{Lower: lower, Upper: upper, Reverse: reverse, Narrow: p.narrow, Items: p.fetching})
	if err != nil {
		return false, err
	}
	defer rows.Close()
	// Items are looked at where they lie, in mapped files.
	err = vfs.Guard(func() error {
		for !full && rows.Next() {
			var whole item.Item
			if p.fetching {
				if whole, err = p.fetch(rows); err != nil {
					return err
				}
			}
			full = p.take(rows.Item(), whole)
		}
		return rows.Err()
	})
	return full, err
}

// fetch reads the item of the current entry.
func (p *pager) fetch(rows *partition.Rows) (item.Item, error) {
	it, err := rows.Get(p.table.schema.AppendRowKey(nil, rows.Item()))
	if err == nil && it == nil {
		err = fmt.Errorf("index %s: an entry has no item", p.keys.definition.Name)
	}
	return it, err
}

// fetches reports whether a page of an index needs attributes that only the
// table has. A global index refuses such requests.
func (t *liveTable) fetches(k *keySet, projection *expr.Projection, choice string) bool {
	if k.index == nil || k.global || k.index.All {
		return false
	}
	if choice == selectAll {
		return true
	}
	return projection != nil && len(t.absent(k, projection)) > 0
}

// finish returns the page; what was read is rounded to units once.
func (p *pager) finish() *Page {
	units := capacity.ReadUnits(p.size, p.consistent)
	if p.keys.definition == nil {
		p.page.Capacity.Read = units
	} else {
		p.page.Indexes = []IndexCapacity{{Name: p.keys.definition.Name, Local: !p.keys.global, Units: units}}
	}
	return &p.page
}

// keyOf returns what a query or scan that stopped at it goes on after: the
// primary key and, in an index, the keys of the index. It has memory of its own.
func (t *liveTable) keyOf(k *keySet, it item.Item) item.Item {
	var b item.Builder
	for _, key := range t.startAttributes(k) {
		v, _ := it.Get(key.Name)
		b.Set(key.Name, v)
	}
	return b.Item()
}

// An arena copies items into few, larger pieces of memory.
type arena struct{ free []byte }

// arenaChunk is the size of a piece; an item that is larger gets its own.
const arenaChunk = 16 << 10

func (a *arena) copy(it item.Item) item.Item {
	if len(it) > cap(a.free)-len(a.free) {
		if len(it) > arenaChunk/4 {
			return append(make(item.Item, 0, len(it)), it...)
		}
		a.free = make([]byte, 0, arenaChunk)
	}
	at := len(a.free)
	a.free = append(a.free, it...)
	return item.Item(a.free[at:len(a.free):len(a.free)])
}
