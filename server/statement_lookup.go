package server

import (
	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/expr/partiql"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// A lookup is a SELECT of one item by its key.
type lookup struct {
	get    *table.GetRequest // of the whole item: a filter may look at any part of it
	filter *expr.Condition
	shows  *partiql.Select
}

// noLookup refuses a SELECT that may find more than one item.
func noLookup(operation string) error {
	return &expr.Error{Message: "Select statements within " + operation + " must specify the primary key in the where clause."}
}

// compileLookup returns the lookup that a SELECT within an operation stands for.
func (f *frontend) compileLookup(s *partiql.Select, consistent bool, operation string) (*lookup, error) {
	keys, err := f.tables.KeyNames(s.Table, s.Index)
	if err != nil {
		return nil, err
	}
	key, rest, ok := takeKey(s.Where, keys)
	if !ok || s.Index != "" {
		return nil, noLookup(operation)
	}
	return &lookup{
		get:    &table.GetRequest{Table: s.Table, Key: key, Consistent: consistent},
		filter: rest,
		shows:  s,
	}, nil
}

// found returns what the statement shows of the item, nil if there is none or
// if it does not meet the rest of the WHERE clause.
func (l *lookup) found(it item.Item) item.Item {
	if it == nil || !l.filter.Eval(it) {
		return nil
	}
	return l.shows.Show(it)
}
