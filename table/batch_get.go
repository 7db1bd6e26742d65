package table

import (
	"github.com/statordb/stator/capacity"
	"github.com/statordb/stator/item"
)

// batchPages is how much item data one BatchGet returns, in pages; keys beyond it come
// back as unprocessed.
const batchPages = 16

// A budget is how much a BatchGet may still return.
type budget struct{ whole, left int }

// take reports whether there is room for an item. One that is larger than the whole budget has it for itself.
func (b *budget) take(size int) bool {
	if size > b.left && b.left < b.whole {
		b.left = 0
		return false
	}
	b.left -= size
	return true
}

// BatchGet reads items of several tables. All tables must exist and all keys
// fit before anything is read.
//
// Errors: *NotFoundError, *ValidationError.
func (s *Service) BatchGet(r *BatchGetRequest) (*BatchGetResult, error) {
	return again(s, "", func() (*BatchGetResult, error) { return s.batchGet(r) })
}

func (s *Service) batchGet(r *BatchGetRequest) (*BatchGetResult, error) {
	tables := make([]*liveTable, len(r.Tables))
	for i := range r.Tables {
		t, err := s.lookup(r.Tables[i].Table)
		if err != nil {
			return nil, err
		}
		tables[i] = t
	}
	for i, t := range tables {
		for _, key := range r.Tables[i].Keys {
			if err := t.checkGet(key, r.Tables[i].Projection); err != nil {
				return nil, err
			}
		}
	}
	result := &BatchGetResult{Tables: make([]BatchGetTableResult, len(tables))}
	whole := batchPages * s.pageBytes
	left := budget{whole, whole}
	for i, t := range tables {
		if err := t.batchGet(&r.Tables[i], &result.Tables[i], &left); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// batchGet reads the keys of one table. Once the budget is spent, by an item
// that would exceed it, everything that remains is unprocessed.
func (t *liveTable) batchGet(r *BatchGetTable, result *BatchGetTableResult, left *budget) error {
	result.Items = []item.Item{}
	for i, key := range r.Keys {
		if left.left <= 0 {
			result.Unprocessed = append(result.Unprocessed, r.Keys[i:]...)
			return nil
		}
		it, err := t.get(key, r.Consistent)
		if err != nil {
			return err
		}
		size := 0
		if it != nil {
			size = it.Size()
		}
		if !left.take(size) {
			result.Unprocessed = append(result.Unprocessed, r.Keys[i:]...)
			return nil
		}
		result.Capacity.Read += capacity.ReadUnits(size, r.Consistent)
		if it != nil {
			if r.Projection != nil {
				it = r.Projection.Apply(it)
			}
			result.Items = append(result.Items, it)
		}
	}
	return nil
}
