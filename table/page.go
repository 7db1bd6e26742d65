package table

import (
	"bytes"

	"github.com/statordb/stator/capacity"
	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
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
// reduces it.
type pager struct {
	schema     *partition.Schema
	filter     *expr.Condition
	projection *expr.Projection
	counting   bool
	limit      int // 0 = none
	consistent bool

	page  Page
	size  int // of the items read, in bytes
	arena arena
}

func newPager(t *liveTable, filter *expr.Condition, projection *expr.Projection, choice string, limit int, consistent bool) *pager {
	p := &pager{
		schema: t.schema, filter: filter, projection: projection,
		counting: choice == selectCount, limit: limit, consistent: consistent,
	}
	if !p.counting {
		p.page.Items = []item.Item{}
	}
	return p
}

// take adds an item that was read and reports whether the page is full. The
// item need not stay valid.
func (p *pager) take(it item.Item) (full bool) {
	p.page.ScannedCount++
	p.size += it.Size()
	if p.filter == nil || p.filter.Eval(it) {
		p.page.Count++
		if !p.counting {
			p.page.Items = append(p.page.Items, p.keep(it))
		}
	}
	if p.page.ScannedCount == p.limit || p.size >= pageBytes {
		p.page.LastKey = keyOf(p.schema, it)
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
	if p.consistent {
		if err := from.group.ReadBarrier(); err != nil {
			return false, err
		}
	}
	rows, err := from.Rows(lower, upper, reverse)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	// Items are looked at where they lie, in mapped files.
	err = vfs.Guard(func() error {
		for !full && rows.Next() {
			full = p.take(rows.Item())
		}
		return rows.Err()
	})
	return full, err
}

// finish returns the page; what was read is rounded to units once.
func (p *pager) finish() *Page {
	p.page.Capacity.Read = capacity.ReadUnits(p.size, p.consistent)
	return &p.page
}

// keyOf returns the primary key of an item, in memory of its own.
func keyOf(schema *partition.Schema, it item.Item) item.Item {
	var b item.Builder
	v, _ := it.Get(schema.Hash.Name)
	b.Set(schema.Hash.Name, v)
	if schema.HasSort() {
		v, _ := it.Get(schema.Sort.Name)
		b.Set(schema.Sort.Name, v)
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
