package server

import (
	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

// guarding is the part of a write that makes it conditional.
type guarding struct {
	expression api.Optional[string]
	expected   map[string]api.ExpectedAttributeValue
	operator   api.Optional[string]
	names      map[string]string
	values     *api.Attributes
}

// check makes the checks of a put or delete that come before those of values.
func (g *guarding) check() error {
	expressions := []parameter{{"ConditionExpression", g.expression.Given}}
	legacy := []parameter{{"Expected", g.expected != nil}, {"ConditionalOperator", g.operator.Given}}
	if err := checkMixing(legacy, expressions); err != nil {
		return err
	}
	if err := checkNamesUsable(g.names, expressions); err != nil {
		return err
	}
	return checkValuesUsable(g.values, expressions)
}

// parse returns the condition of a put or delete; nil if there is none.
func (g *guarding) parse(f *frontend) (*expr.Condition, error) {
	condition, err := fromExpected(g.expected, g.operator)
	if err != nil || !g.expression.Given {
		return condition, err
	}
	params, err := f.params(g.names, g.values)
	if err != nil {
		return nil, err
	}
	condition, err = expr.ParseCondition(expr.ConditionExpression, g.expression.Value, params)
	if err != nil {
		return nil, err
	}
	return condition, params.Unused()
}

var returnValues = map[string]table.ReturnValues{
	"":            table.ReturnNone,
	"NONE":        table.ReturnNone,
	"ALL_OLD":     table.AllOld,
	"ALL_NEW":     table.AllNew,
	"UPDATED_OLD": table.UpdatedOld,
	"UPDATED_NEW": table.UpdatedNew,
}

// oldOrNone is the ReturnValues of a put or delete.
func oldOrNone(asked api.Optional[string]) (table.ReturnValues, error) {
	switch r := returnValues[asked.Value]; r {
	case table.ReturnNone, table.AllOld:
		return r, nil
	}
	return 0, validationFault("ReturnValues can only be ALL_OLD or NONE")
}

func onFailure(asked api.Optional[string]) bool { return asked.Value == "ALL_OLD" }
