package table

import (
	"fmt"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
)

// Query reads one item collection in sort-key order, a page at a time.
//
// Errors: *NotFoundError, *ValidationError, *NotBuiltError for an index.
func (s *Service) Query(r *QueryRequest) (*Page, error) {
	t, err := s.lookup(r.Table)
	if err != nil {
		return nil, err
	}
	q, err := t.checkQuery(r)
	if err != nil {
		return nil, err
	}
	if r.Index != "" {
		return nil, &NotBuiltError{What: "Query on a secondary index"}
	}
	lower, upper := q.span(t.schema)
	owner := t.partitionOf(partition.RowHash(lower))
	if r.StartKey != nil {
		lower, upper = t.resume(lower, upper, r.StartKey, r.Reverse)
	}
	p := newPager(t, r.Filter, r.Projection, r.Select, r.Limit, r.Consistent)
	if _, err := p.read(owner, lower, upper, r.Reverse); err != nil {
		return nil, fmt.Errorf("table %s: %w", t.def.Name, err)
	}
	if !t.schema.HasSort() {
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
	if r.Filter != nil {
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
	return &k, nil
}

// resume narrows a span to what comes after the start key, which is in it.
func (t *liveTable) resume(lower, upper []byte, start item.Item, reverse bool) ([]byte, []byte) {
	row := t.schema.AppendRowKey(nil, start)
	if reverse {
		return lower, row
	}
	return append(row, 0), upper
}
