package server

import (
	"cmp"
	"slices"

	"github.com/statordb/stator/expr/partiql"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// An ordering is an ORDER BY clause that queries can follow: partition keys
// come in their own order, and each one's items in that of the sort key.
type ordering struct {
	by      []partiql.Order
	reverse bool // of the sort key
}

// checkOrder refuses an ORDER BY clause that no sequence of queries follows.
// bound says that the WHERE clause names the partition keys, and count how
// many.
func checkOrder(s *partiql.Select, keys *table.KeyNames, bound bool, count int) (*ordering, error) {
	o := &ordering{by: s.Order}
	if s.Order == nil {
		return o, nil
	}
	if s.Where == nil {
		return nil, validationFault("Must have WHERE clause in the statement when using ORDER BY clause.")
	}
	if !bound {
		return nil, validationFault("Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.")
	}
	directed := false
	for _, by := range s.Order {
		switch {
		case slices.Contains(keys.Hash, by.Attr):
		case !slices.Contains(keys.Range, by.Attr):
			return nil, validationFault("Variable reference " + by.Attr + " in ORDER BY clause must be part of the primary key")
		case directed && o.reverse != by.Descending:
			return nil, validationFault("All sort keys in ORDER BY clause must have the same direction")
		default:
			o.reverse, directed = by.Descending, true
		}
	}
	if count > 1 && !slices.Contains(keys.Hash, s.Order[0].Attr) {
		return nil, validationFault("ORDER BY clause must begin with the hash key when WHERE clause names several of them")
	}
	return o, nil
}

// sort brings partition keys into the order of the clause; without one, they
// stay as they are.
func (o *ordering) sort(hashes [][]item.Value, keys *table.KeyNames) {
	slices.SortStableFunc(hashes, func(a, b []item.Value) int {
		for _, by := range o.by {
			i := slices.Index(keys.Hash, by.Attr)
			if i < 0 {
				continue
			}
			order, _ := a[i].Compare(b[i])
			if by.Descending {
				order = cmp.Compare(0, order)
			}
			if order != 0 {
				return order
			}
		}
		return 0
	})
}
