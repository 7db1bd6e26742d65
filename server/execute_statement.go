package server

import (
	"github.com/statordb/stator/expr/partiql"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

func (f *frontend) executeStatement(in *api.ExecuteStatementInput) (*api.ExecuteStatementOutput, error) {
	s, err := parseStatement(in.Statement.Value, in.Parameters)
	if err != nil {
		return nil, err
	}
	if s, ok := s.(*partiql.Select); ok {
		return f.executeSelect(in, s)
	}
	return f.executeWrite(in, s)
}

// executeSelect answers with one page.
func (f *frontend) executeSelect(in *api.ExecuteStatementInput, s *partiql.Select) (*api.ExecuteStatementOutput, error) {
	sel, err := f.compileSelect(s, in.ConsistentRead.Value)
	if err != nil {
		return nil, err
	}
	var at position
	if in.NextToken.Given {
		digest := statementDigest(in.Statement.Value, in.Parameters)
		if at, err = parseToken(in.NextToken.Value, digest); err != nil {
			return nil, err
		}
	}
	got, err := sel.page(f.tables, at, int(in.Limit.Value))
	if err != nil {
		return nil, err
	}
	out := &api.ExecuteStatementOutput{
		Items:            got.items,
		LastEvaluatedKey: api.Attrs(got.last),
		ConsumedCapacity: consumed(in.ReturnConsumedCapacity, s.Table, got.used.units, got.used.indexes),
	}
	if got.next != nil {
		digest := statementDigest(in.Statement.Value, in.Parameters)
		out.NextToken = api.Some(statementToken(digest, got.next))
	}
	return out, nil
}

func (f *frontend) executeWrite(in *api.ExecuteStatementInput, s partiql.Statement) (*api.ExecuteStatementOutput, error) {
	if in.NextToken.Given {
		return nil, errTokenOther
	}
	w, err := f.compileWrite(s, in.ReturnValuesOnConditionCheckFailure)
	if err != nil {
		return nil, err
	}
	outcome := f.tables.WriteAll([]table.Write{w})[0]
	if outcome.Err != nil {
		return nil, writeError(s, outcome.Err)
	}
	r := outcome.Result
	out := &api.ExecuteStatementOutput{
		ConsumedCapacity: consumed(in.ReturnConsumedCapacity, s.TableName(), r.Capacity.Write, r.Indexes),
	}
	if isReturning(s) {
		out.Items = []item.Item{}
		if r.Attributes != nil {
			out.Items = append(out.Items, r.Attributes)
		}
	}
	return out, nil
}
