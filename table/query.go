package table

import (
	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
)

// Query reads one item collection in sort-key order, a page at a time.
//
// Errors: *NotFoundError, *ValidationError, *NotBuiltError for a local
// index that is younger than its table.
func (s *Service) Query(r *QueryRequest) (*Page, error) {
	return again(s, r.Table, func() (*Page, error) { return s.queryPage(r) })
}

func (s *Service) queryPage(r *QueryRequest) (*Page, error) {
	t, err := s.lookupIndex(r.Table, r.Index)
	if err != nil {
		return nil, err
	}
	q, err := t.checkQuery(r)
	if err != nil {
		return nil, err
	}
	if err := checkBuilt(q.keys); err != nil {
		return nil, err
	}
	lower, upper := q.span(t.schema)
	owner := q.keys.partitions.of(partition.RowHash(lower))
	if r.StartKey != nil {
		lower, upper = t.resume(q.keys, lower, upper, r.StartKey, r.Reverse)
	}
	p := s.newPager(t, q.keys, r.Filter, r.Projection, r.Select, r.Limit, r.Consistent && (r.StartKey == nil || !plant.On(plant.LaterPagesStale)))
	if _, _, err := p.read(owner, lower, upper, r.Reverse); err != nil {
		return nil, t.pageError(err)
	}
	if r.Index == "" && !t.schema.HasSort() {
		// A collection of one item is never continued, and a start key for it
		// is an error.
		p.page.LastKey = nil
	}
	return p.finish(), nil
}

// checkQuery makes the checks that need the schema, in DynamoDB's order.
func (t *liveTable) checkQuery(r *QueryRequest) (*keyQuery, error) {
	k, err := t.target(r.Index, r.Consistent)
	if err != nil {
		return nil, err
	}
	if r.StartKey != nil {
		if err := t.checkQueryStart(k, r.StartKey); err != nil {
			return nil, err
		}
	}
	if r.Keys == nil {
		return nil, refuse("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	q, err := matchKeys(k, r.Keys)
	if err != nil {
		return nil, err
	}
	if r.StartKey != nil {
		if err := q.checkBoundaries(r.StartKey); err != nil {
			return nil, err
		}
	}
	if err := t.checkShown(k, r.Filter, r.Projection); err != nil {
		return nil, err
	}
	if r.Filter != nil && !r.FilterKeys {
		if err := checkFilterKeys(k, r.Filter, r.LegacyFilter); err != nil {
			return nil, err
		}
	}
	return q, t.checkProjected(k, r.Projection, r.Select)
}

// checkShown refuses projections and filters with paths into key attributes.
func (t *liveTable) checkShown(k *keySet, filter *expr.Condition, projection *expr.Projection) error {
	if projection != nil {
		if err := t.checkKeyPaths(projection.Paths()); err != nil {
			return err
		}
	}
	if filter != nil {
		return t.checkKeyPaths(filter.Paths())
	}
	return nil
}

// target returns the key schema that a query or scan works on.
func (t *liveTable) target(index string, consistent bool) (*keySet, error) {
	if index == "" {
		return &t.base, nil
	}
	k, ok := t.indexes[index]
	if !ok {
		return nil, refuse("The table does not have the specified index: %s", index)
	}
	if k.global && consistent {
		return nil, refuse("Consistent reads are not supported on global secondary indexes")
	}
	return k, nil
}

// resume narrows a span to what comes after the start key, which is in it.
func (t *liveTable) resume(k *keySet, lower, upper []byte, start item.Item, reverse bool) ([]byte, []byte) {
	row := t.rowKey(k, start)
	if reverse {
		return lower, row
	}
	return append(row, 0), upper
}

// rowKey returns the row key of an item, or of a start key, in the table or in
// an index.
func (t *liveTable) rowKey(k *keySet, it item.Item) []byte {
	if k.index == nil {
		return t.schema.AppendRowKey(nil, it)
	}
	return t.schema.AppendEntryKey(nil, k.index, it)
}

// checkBuilt refuses a global index that has no entries to read yet.
func checkBuilt(k *keySet) error {
	if k.global && k.status != indexActive {
		return refuse("Cannot read from backfilling global secondary index: %s", k.definition.Name)
	}
	return k.failed
}
