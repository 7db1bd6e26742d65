package server

import (
	"strings"

	"github.com/statordb/stator/expr/partiql"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

var errMixedBatch = validationFault("Statements in a batch must be either all reads or all writes")

// batchExecuteStatement answers every statement for itself. Only what concerns
// the batch as a whole, and failures inside the database, fail all of it.
func (f *frontend) batchExecuteStatement(in *api.BatchExecuteStatementInput) (*api.BatchExecuteStatementOutput, error) {
	batch := newStatementBatch(in)
	if batch.reads > 0 && batch.writes > 0 {
		return nil, errMixedBatch
	}
	if batch.writes > 0 {
		f.writeBatch(batch)
	} else {
		f.readBatch(batch)
	}
	return batch.answer()
}

// A statementBatch is a batch on its way.
type statementBatch struct {
	in            *api.BatchExecuteStatementInput
	entries       []batchEntry // by place in the batch
	reads, writes int
	used          tableUses
}

type batchEntry struct {
	statement partiql.Statement // nil if it could not be read
	response  api.BatchStatementResponse
	err       error
}

func newStatementBatch(in *api.BatchExecuteStatementInput) *statementBatch {
	b := &statementBatch{in: in, entries: make([]batchEntry, len(in.Statements))}
	for i := range in.Statements {
		e := &b.entries[i]
		e.statement, e.err = parseStatement(in.Statements[i].Statement.Value, in.Statements[i].Parameters)
		if e.err != nil {
			continue
		}
		e.response.TableName = api.Some(e.statement.TableName())
		if isRead(e.statement) {
			b.reads++
		} else {
			b.writes++
		}
	}
	return b
}

func (f *frontend) readBatch(b *statementBatch) {
	for i := range b.entries {
		if e := &b.entries[i]; e.err == nil {
			e.err = f.readEntry(b, e, b.in.Statements[i].ConsistentRead.Value)
		}
	}
}

func (f *frontend) readEntry(b *statementBatch, e *batchEntry, consistent bool) error {
	l, err := f.compileLookup(e.statement.(*partiql.Select), consistent, "BatchExecuteStatement")
	if err != nil {
		return err
	}
	r, err := f.tables.Get(l.get)
	if err != nil {
		return err
	}
	e.response.Item = l.found(r.Item)
	b.used.add(l.get.Table, r.Capacity.Read, nil)
	return nil
}

func (f *frontend) writeBatch(b *statementBatch) {
	var writes []table.Write
	var places []int
	for i := range b.entries {
		e := &b.entries[i]
		if e.err != nil {
			continue
		}
		w, err := f.compileWrite(e.statement, b.in.Statements[i].ReturnValuesOnConditionCheckFailure)
		if err != nil {
			e.err = err
			continue
		}
		writes, places = append(writes, w), append(places, i)
	}
	for k, outcome := range f.tables.WriteAll(writes) {
		e := &b.entries[places[k]]
		if outcome.Err != nil {
			e.err = writeError(e.statement, outcome.Err)
			continue
		}
		b.used.add(e.statement.TableName(), outcome.Result.Capacity.Write, outcome.Result.Indexes)
		if isReturning(e.statement) {
			e.response.Item = outcome.Result.Attributes
		}
	}
}

func (b *statementBatch) answer() (*api.BatchExecuteStatementOutput, error) {
	out := &api.BatchExecuteStatementOutput{Responses: make([]api.BatchStatementResponse, len(b.entries))}
	for i := range b.entries {
		e := &b.entries[i]
		if e.err != nil {
			reported := batchError(e.err)
			if reported == nil {
				return nil, e.err
			}
			e.response.Error = reported
		}
		out.Responses[i] = e.response
	}
	out.ConsumedCapacity = b.used.consumed(b.in.ReturnConsumedCapacity)
	return out, nil
}

// batchCodes are the names that errors have inside the answer of a batch.
var batchCodes = map[string]string{
	"AccessDeniedException":                    "AccessDenied",
	"ConditionalCheckFailedException":          "ConditionalCheckFailed",
	"DuplicateItemException":                   "DuplicateItem",
	"ItemCollectionSizeLimitExceededException": "ItemCollectionSizeLimitExceeded",
	"ProvisionedThroughputExceededException":   "ProvisionedThroughputExceeded",
	"RequestLimitExceeded":                     "RequestLimitExceeded",
	"ResourceNotFoundException":                "ResourceNotFound",
	"ThrottlingException":                      "ThrottlingError",
	"TransactionConflictException":             "TransactionConflict",
	"ValidationException":                      "ValidationError",
}

// batchError returns the error of one statement; nil for one that is not the
// client's.
func batchError(err error) *api.BatchStatementError {
	var code, message string
	e := &api.BatchStatementError{}
	switch t := translate(err).(type) {
	case *fault:
		code, message = t.code, t.message
	case api.Exception:
		code, message = t.Code(), strings.TrimPrefix(t.Error(), t.Code()+": ")
		if failed, ok := t.(*api.ConditionalCheckFailedException); ok {
			e.Item = failed.Item
		}
	}
	known, ok := batchCodes[code]
	if !ok {
		return nil
	}
	e.Code, e.Message = api.Some(known), api.Some(message)
	return e
}
