package table

import (
	"errors"
	"fmt"

	"github.com/statordb/stator/capacity"
	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
)

// Values of Select.
const (
	selectAll          = "ALL_ATTRIBUTES"
	selectAllProjected = "ALL_PROJECTED_ATTRIBUTES"
	selectCount        = "COUNT"
)

// A pager collects one page from one or several partitions, each of which reads,
// filters and reduces its part (partition.PageRequest).
type pager struct {
	keys    *keySet // what is read: the table or one of its indexes
	limit   int     // 0 = none
	bytes   int     // see Options.PageBytes
	request partition.PageRequest

	page    Page
	size    int // of the items or entries read, in bytes
	fetched int // of the items fetched, in bytes
}

func (c *core) newPager(t *liveTable, k *keySet, filter *expr.Condition, projection *expr.Projection, choice string, limit int, consistent bool) *pager {
	p := &pager{
		keys: k, limit: limit, bytes: c.pageBytes,
		request: partition.PageRequest{
			Filter: filter, Projection: projection, Counting: choice == selectCount,
			Fetch: t.fetches(k, projection, choice), Consistent: consistent,
		},
	}
	if k.index != nil && !k.global {
		p.request.Index = k.index.ID
	}
	if !p.request.Counting {
		p.page.Items = []item.Item{}
	}
	return p
}

// read takes the rows of one partition in [lower, upper) until the page is full.
// It returns the last hash that the partition has.
func (p *pager) read(from *livePartition, lower, upper []byte, reverse bool) (full bool, last uint64, err error) {
	r := &p.request
	r.Lower, r.Upper, r.Reverse = lower, upper, reverse
	r.Bytes, r.FetchBytes = p.bytes-p.size, p.bytes-p.fetched
	if p.limit > 0 {
		r.Limit = p.limit - p.page.ScannedCount
	}
	part, err := from.page(r)
	if err != nil {
		return false, 0, err
	}
	p.size += part.Bytes
	p.fetched += part.FetchedBytes
	p.page.Capacity.Read += part.FetchedUnits
	p.page.ScannedCount += part.Scanned
	p.page.Count += part.Count
	p.page.LastKey = part.LastKey
	if len(p.page.Items) == 0 {
		p.page.Items = part.Items
	} else {
		p.page.Items = append(p.page.Items, part.Items...)
	}
	return part.LastKey != nil, part.Last, nil
}

// pageError says why a page could not be read.
func (t *liveTable) pageError(err error) error {
	if errors.Is(err, partition.ErrNoIndex) {
		return &NotBuiltError{What: "reading a local secondary index of a table that an earlier version created"}
	}
	return fmt.Errorf("table %s: %w", t.def.Name, err)
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
	units := capacity.ReadUnits(p.size, p.request.Consistent)
	if p.keys.definition == nil {
		p.page.Capacity.Read = units
	} else {
		p.page.Indexes = []IndexCapacity{{Name: p.keys.definition.Name, Local: !p.keys.global, Units: units}}
	}
	return &p.page
}
