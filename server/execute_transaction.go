package server

import (
	"errors"
	"slices"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/expr/partiql"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

var (
	errMixedTransaction = validationFault("Statements in a transaction must be either all reads or all writes")
	errReturning        = validationFault("RETURNING is not supported in a transaction")
)

// executeTransaction becomes a TransactGet or a TransactWrite. Whatever can be said
// of a statement without looking at items is an error of the whole request.
func (f *frontend) executeTransaction(in *api.ExecuteTransactionInput) (*api.ExecuteTransactionOutput, error) {
	list := make([]partiql.Statement, len(in.TransactStatements))
	reads := 0
	for i := range list {
		var err error
		if list[i], err = parseStatement(in.TransactStatements[i].Statement.Value, in.TransactStatements[i].Parameters); err != nil {
			return nil, err
		}
		if isRead(list[i]) {
			reads++
		}
	}
	switch reads {
	case 0:
		return f.transactStatements(in, list)
	case len(list):
		return f.transactSelects(in, list)
	}
	return nil, errMixedTransaction
}

// transactSelects reads one item for each statement, all as of one moment.
func (f *frontend) transactSelects(in *api.ExecuteTransactionInput, list []partiql.Statement) (*api.ExecuteTransactionOutput, error) {
	lookups := make([]*lookup, len(list))
	request := &table.TransactGetRequest{Items: make([]table.TransactGetItem, len(list))}
	for i, s := range list {
		l, err := f.compileLookup(s.(*partiql.Select), true, "ExecuteTransaction")
		if err != nil {
			return nil, err
		}
		lookups[i] = l
		request.Items[i] = table.TransactGetItem{Table: l.get.Table, Key: l.get.Key}
	}
	r, err := f.tables.TransactGet(request)
	if err != nil {
		return nil, err
	}
	out := &api.ExecuteTransactionOutput{
		ConsumedCapacity: transactGetCapacity(in.ReturnConsumedCapacity, request, r),
		Responses:        make([]api.ItemResponse, len(list)),
	}
	for i, l := range lookups {
		out.Responses[i].Item = l.found(r.Items[i])
	}
	return out, nil
}

// transactStatements carries out writes, and checks that items exist.
func (f *frontend) transactStatements(in *api.ExecuteTransactionInput, list []partiql.Statement) (*api.ExecuteTransactionOutput, error) {
	request := &table.TransactWriteRequest{
		Token:   in.ClientRequestToken.Value,
		Actions: make([]table.TransactAction, len(list)),
	}
	carried := 0
	for i, s := range list {
		var err error
		if request.Actions[i], err = f.compileAction(s, in.TransactStatements[i].ReturnValuesOnConditionCheckFailure); err != nil {
			return nil, err
		}
		carried += statementBytes(s, in.TransactStatements[i].Parameters)
	}
	if carried > table.MaxTransactBytes {
		return nil, errTransactSize
	}
	request.Parameters = parametersOf(request.Actions)
	r, err := f.tables.TransactWrite(request)
	if err != nil {
		return nil, statementReasons(list, err)
	}
	return &api.ExecuteTransactionOutput{
		ConsumedCapacity: transactWriteCapacity(in.ReturnConsumedCapacity, request, r),
		Responses:        make([]api.ItemResponse, len(list)),
	}, nil
}

// compileAction returns what a statement that is no read stands for.
func (f *frontend) compileAction(s partiql.Statement, failure api.Optional[string]) (a table.TransactAction, err error) {
	if isReturning(s) {
		return a, errReturning
	}
	if s, ok := s.(*partiql.Exists); ok {
		return f.compileExists(s, failure)
	}
	if s, ok := s.(*partiql.Insert); ok && checkItemSize(s.Item) != nil {
		return table.TransactAction{Kind: table.TransactPut, Table: s.Table, Item: s.Item, Invalid: item.MsgItemSize}, nil
	}
	w, err := f.compileWrite(s, failure)
	if err != nil {
		return a, err
	}
	switch w := w.(type) {
	case *table.PutRequest:
		a = table.TransactAction{Kind: table.TransactPut, Table: w.Table, Item: w.Item, Condition: w.Condition, ReturnOnFailure: onFailure(failure)}
	case *table.DeleteRequest:
		a = table.TransactAction{Kind: table.TransactDelete, Table: w.Table, Item: w.Key, Condition: w.Condition, ReturnOnFailure: w.ReturnOnFailure}
	case *table.UpdateRequest:
		a = updateAction(w)
	}
	return a, nil
}

// compileExists requires an item that meets the whole WHERE clause.
func (f *frontend) compileExists(s *partiql.Exists, failure api.Optional[string]) (a table.TransactAction, err error) {
	l, err := f.compileLookup(s.Select, true, "ExecuteTransaction")
	if err != nil {
		return a, err
	}
	keys, err := f.tables.KeyNames(s.TableName(), "")
	if err != nil {
		return a, err
	}
	b := expr.NewBuilder()
	return table.TransactAction{
		Kind:            table.TransactCheck,
		Table:           l.get.Table,
		Item:            l.get.Key,
		Condition:       b.And(existing(b, keys), l.filter),
		ReturnOnFailure: onFailure(failure),
	}, nil
}

// statementBytes returns how many bytes of data a statement carries, not counting
// what it has as text.
func statementBytes(s partiql.Statement, parameters []api.Value) (n int) {
	if s, ok := s.(*partiql.Insert); ok {
		return s.Item.Size()
	}
	for i := range parameters {
		n += parameters[i].Value.Size()
	}
	return n
}

// statementReasons says of a cancelled transaction what the failed conditions mean
// for its statements; see writeError.
func statementReasons(list []partiql.Statement, err error) error {
	canceled, ok := errors.AsType[*table.CancelledError](err)
	if !ok {
		return err
	}
	told := &table.CancelledError{Reasons: slices.Clone(canceled.Reasons)}
	for i, s := range list {
		if _, insert := s.(*partiql.Insert); insert && told.Reasons[i].Code == table.ReasonConditionFailed {
			told.Reasons[i] = table.Reason{Code: table.ReasonDuplicateItem, Message: duplicateItem, Item: told.Reasons[i].Item}
		}
	}
	return told
}
