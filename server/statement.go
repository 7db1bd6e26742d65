package server

import (
	"errors"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/expr/partiql"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

// A statement of PartiQL becomes operations of package table in two steps:
// package partiql reads it, and then, by the key of its table, it is compiled
// into
//
//	a write       statement.go         INSERT, UPDATE, DELETE: one table.Write
//	a lookup      statement_lookup.go  SELECT of one item by its key: one Get
//	a selection   statement_select.go  any other SELECT: queries, or a scan
//
// with what the WHERE clause says besides the key as condition or filter.

// parseStatement reads a statement and its parameters.
func parseStatement(text string, parameters []api.Value) (partiql.Statement, error) {
	values := make([]item.Value, len(parameters))
	for i := range parameters {
		switch p := &parameters[i]; {
		case p.Err != nil:
			return nil, p.Err
		case !p.Given:
			return nil, validationFault("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
		default:
			values[i] = p.Value
		}
	}
	return partiql.Parse(text, values)
}

// isRead reports whether the statement changes nothing.
func isRead(s partiql.Statement) bool {
	_, read := s.(*partiql.Select)
	return read
}

// errStrayExists refuses what only transactions can do.
var errStrayExists = validationFault("EXISTS can only be used in a transaction")

var errNoKey = &expr.Error{Message: "Where clause does not contain a mandatory equality on all key attributes"}

// compileWrite returns the write that an INSERT, UPDATE or DELETE stands for.
// Its error is for writeError to explain.
func (f *frontend) compileWrite(s partiql.Statement, failure api.Optional[string]) (table.Write, error) {
	if s, ok := s.(*partiql.Insert); ok {
		if err := checkItemSize(s.Item); err != nil {
			return nil, err
		}
	}
	keys, err := f.tables.KeyNames(s.TableName(), "")
	if err != nil {
		return nil, err
	}
	switch s := s.(type) {
	case *partiql.Insert:
		return insertWrite(s, keys), nil
	case *partiql.Update:
		return updateWrite(s, keys, failure)
	case *partiql.Delete:
		return deleteWrite(s, keys, failure)
	}
	return nil, errStrayExists
}

// insertWrite puts an item if there is none.
func insertWrite(s *partiql.Insert, keys *table.KeyNames) *table.PutRequest {
	b := expr.NewBuilder()
	return &table.PutRequest{Table: s.Table, Item: s.Item, Condition: b.Not(existing(b, keys))}
}

// updateWrite changes an item if it exists: unlike UpdateItem, UPDATE never
// creates one.
func updateWrite(s *partiql.Update, keys *table.KeyNames, failure api.Optional[string]) (table.Write, error) {
	key, rest, ok := takeKey(s.Where, keys)
	if !ok {
		return nil, errNoKey
	}
	b := expr.NewBuilder()
	return &table.UpdateRequest{
		Table:           s.Table,
		Key:             key,
		Update:          s.Changes,
		Condition:       b.And(existing(b, keys), rest),
		Return:          returnings[s.Returning],
		ReturnOnFailure: onFailure(failure),
	}, nil
}

// deleteWrite removes an item. That there is none to remove is no failure,
// whatever else the WHERE clause says.
func deleteWrite(s *partiql.Delete, keys *table.KeyNames, failure api.Optional[string]) (table.Write, error) {
	key, rest, ok := takeKey(s.Where, keys)
	if !ok {
		return nil, errNoKey
	}
	r := &table.DeleteRequest{
		Table:           s.Table,
		Key:             key,
		Return:          returnings[s.Returning],
		ReturnOnFailure: onFailure(failure),
	}
	if rest != nil {
		b := expr.NewBuilder()
		r.Condition = b.Or(b.Not(existing(b, keys)), rest)
	}
	return r, nil
}

// existing returns the condition that the item exists.
func existing(b *expr.Builder, keys *table.KeyNames) *expr.Condition {
	return b.Exists(b.Path(expr.PathElem{Name: keys.Hash[0]}))
}

// takeKey splits a WHERE clause into the primary key of one item and what else
// must hold of it. It reports false if the clause does not name each key
// attribute with an equality.
func takeKey(where *expr.Condition, keys *table.KeyNames) (key item.Item, rest *expr.Condition, ok bool) {
	var b item.Builder
	rest = where
	for _, names := range [][]string{keys.Hash, keys.Range} {
		for _, name := range names {
			var v item.Value
			if v, rest, ok = rest.TakeEqual(name); !ok {
				return nil, nil, false
			}
			b.Set(name, v)
		}
	}
	return b.Item(), rest, true
}

var returnings = map[partiql.Returning]table.ReturnValues{
	partiql.ReturningNothing: table.ReturnNone,
	partiql.AllOld:           table.AllOld,
	partiql.AllNew:           table.AllNew,
	partiql.ModifiedOld:      table.UpdatedOld,
	partiql.ModifiedNew:      table.UpdatedNew,
}

// isReturning reports whether a write shall answer with attributes.
func isReturning(s partiql.Statement) bool {
	switch s := s.(type) {
	case *partiql.Update:
		return s.Returning != partiql.ReturningNothing
	case *partiql.Delete:
		return s.Returning != partiql.ReturningNothing
	}
	return false
}

// duplicateItem is the message of an INSERT whose item is there already.
const duplicateItem = "Duplicate primary key exists in table"

// writeError says what the failed condition of a write means for its statement:
// that of an INSERT says that the item is there already.
func writeError(s partiql.Statement, err error) error {
	var failed *table.ConditionFailedError
	if _, ok := s.(*partiql.Insert); ok && errors.As(err, &failed) {
		return &api.DuplicateItemException{Message: api.Some(duplicateItem)}
	}
	return err
}
