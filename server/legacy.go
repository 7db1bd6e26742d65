package server

import (
	"maps"
	"slices"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/server/api"
)

// The parameters that preceded expressions become the same trees; package expr
// knows their rules. Here they are only unpacked, in the order of their names,
// and the errors of their values are raised.

func fromExpected(expected map[string]api.ExpectedAttributeValue, operator api.Optional[string]) (*expr.Condition, error) {
	if expected == nil && !operator.Given {
		return nil, nil
	}
	list := make([]expr.LegacyCondition, 0, len(expected))
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		e := expected[name]
		c := expr.LegacyCondition{Attr: name, Op: e.ComparisonOperator.Value, Value: e.Value.Value}
		if e.Exists.Given {
			c.Exists = &e.Exists.Value
		}
		if e.Value.Err != nil {
			return nil, e.Value.Err
		}
		var err error
		if c.Values, err = legacyValues(e.AttributeValueList); err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return expr.FromExpected(list, operator.Value)
}

// legacyValues unpacks an AttributeValueList; nil stays nil.
func legacyValues(values []api.Value) ([]item.Value, error) {
	if values == nil {
		return nil, nil
	}
	out := make([]item.Value, 0, len(values))
	for i := range values {
		v := &values[i]
		switch {
		case v.Err != nil:
			return nil, v.Err
		case !v.Given:
			return nil, validationFault("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
		}
		out = append(out, v.Value)
	}
	return out, nil
}

func fromConditions(conditions map[string]api.Condition) ([]expr.LegacyCondition, error) {
	list := make([]expr.LegacyCondition, 0, len(conditions))
	for _, name := range slices.Sorted(maps.Keys(conditions)) {
		c := conditions[name]
		values, err := legacyValues(c.AttributeValueList)
		if err != nil {
			return nil, err
		}
		list = append(list, expr.LegacyCondition{Attr: name, Op: c.ComparisonOperator.Value, Values: values})
	}
	return list, nil
}

func fromFilter(filter map[string]api.Condition, operator api.Optional[string]) (*expr.Condition, error) {
	list, err := fromConditions(filter)
	if err != nil {
		return nil, err
	}
	return expr.FromFilter(list, operator.Value)
}

func fromKeyConditions(conditions map[string]api.Condition) (*expr.KeyCondition, error) {
	list, err := fromConditions(conditions)
	if err != nil {
		return nil, err
	}
	return expr.FromKeyConditions(list)
}

func fromAttributeUpdates(updates map[string]api.AttributeValueUpdate) (*expr.Update, error) {
	list := make([]expr.LegacyUpdate, 0, len(updates))
	for _, name := range slices.Sorted(maps.Keys(updates)) {
		u := updates[name]
		if u.Value.Err != nil {
			return nil, u.Value.Err
		}
		list = append(list, expr.LegacyUpdate{Attr: name, Action: u.Action.Value, Value: u.Value.Value})
	}
	return expr.FromAttributeUpdates(list)
}
