package table

import (
	"fmt"

	"github.com/statordb/stator/capacity"
	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
)

// Get reads one item.
//
// Errors: *NotFoundError, *ValidationError.
func (s *Service) Get(r *GetRequest) (*GetResult, error) {
	return again(s, r.Table, func() (*GetResult, error) { return s.getItem(r) })
}

func (s *Service) getItem(r *GetRequest) (*GetResult, error) {
	t, err := s.lookup(r.Table)
	if err != nil {
		return nil, err
	}
	if err := t.checkGet(r.Key, r.Projection); err != nil {
		return nil, err
	}
	it, err := t.get(r.Key, r.Consistent)
	if err != nil {
		return nil, err
	}
	result := &GetResult{Item: it, Capacity: Capacity{Read: readUnits(it, r.Consistent)}}
	if it != nil && r.Projection != nil {
		result.Item = r.Projection.Apply(it)
	}
	return result, nil
}

func (t *liveTable) checkGet(key item.Item, projection *expr.Projection) error {
	if err := t.schema.CheckKey(key); err != nil {
		return refusal(err)
	}
	if projection == nil {
		return nil
	}
	return t.checkKeyPaths(projection.Paths())
}

// get reads the item of a key that fits the schema; nil if there is none.
func (t *liveTable) get(key item.Item, consistent bool) (item.Item, error) {
	var buf [128]byte
	row := t.schema.AppendRowKey(buf[:0], key)
	p := t.partitions.of(partition.RowHash(row))
	it, err := p.get(row, consistent)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", t.def.Name, err)
	}
	return it, nil
}

// readUnits is the cost of reading one item; nil = missing.
func readUnits(it item.Item, consistent bool) float64 {
	size := 0
	if it != nil {
		size = it.Size()
	}
	return capacity.ReadUnits(size, consistent)
}
