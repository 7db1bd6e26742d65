package table

import (
	"github.com/statordb/stator/capacity"
	"github.com/statordb/stator/item"
)

// batchBytes is how much item data one BatchGet returns; keys beyond it come
// back as unprocessed.
const batchBytes = 16 << 20

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
	budget := batchBytes
	for i, t := range tables {
		if err := t.batchGet(&r.Tables[i], &result.Tables[i], &budget); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// batchGet reads the keys of one table. Once the budget is spent, by an item
// that would exceed it, everything that remains is unprocessed.
func (t *liveTable) batchGet(r *BatchGetTable, result *BatchGetTableResult, budget *int) error {
	result.Items = []item.Item{}
	for i, key := range r.Keys {
		if *budget <= 0 {
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
		if size > *budget {
			*budget = 0
			result.Unprocessed = append(result.Unprocessed, r.Keys[i:]...)
			return nil
		}
		*budget -= size
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
