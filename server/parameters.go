package server

import (
	"strings"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/server/api"
)

// A parameter is a member of a request that is, or precedes, an expression.
type parameter struct {
	name  string
	given bool
}

// checkMixing refuses a request with expressions and with the parameters that
// preceded them. Both lists are in the order in which the text names them.
func checkMixing(legacy, expressions []parameter) error {
	if !anyGiven(legacy) || !anyGiven(expressions) {
		return nil
	}
	return validationFault("Can not use both expression and non-expression parameters in the same request: " +
		"Non-expression parameters: {" + given(legacy) + "} Expression parameters: {" + given(expressions) + "}")
}

func anyGiven(ps []parameter) bool {
	for _, p := range ps {
		if p.given {
			return true
		}
	}
	return false
}

func given(ps []parameter) string {
	var names []string
	for _, p := range ps {
		if p.given {
			names = append(names, p.name)
		}
	}
	return strings.Join(names, ", ")
}

// checkNamesUsable refuses names without any expression to use them in.
func checkNamesUsable(names map[string]string, expressions []parameter) error {
	if names != nil && !anyGiven(expressions) {
		return validationFault("ExpressionAttributeNames can only be specified when using expressions")
	}
	return nil
}

// checkValuesUsable refuses values when none of the expressions that can use
// them is given.
func checkValuesUsable(values *api.Attributes, expressions []parameter) error {
	if !values.Given || anyGiven(expressions) {
		return nil
	}
	names := make([]string, len(expressions))
	for i, p := range expressions {
		names[i] = p.name
	}
	verb := " is null"
	if len(names) > 1 {
		verb = " are null"
	}
	return validationFault("ExpressionAttributeValues can only be specified when using expressions: " +
		strings.Join(names, " and ") + verb)
}

// params checks the names and values of a request's expressions.
func (f *frontend) params(names map[string]string, values *api.Attributes) (*expr.Params, error) {
	p := f.trees.Params(names, values.Item)
	if err := p.Check(); err != nil {
		return nil, err
	}
	if values.Err != nil {
		return nil, expr.InvalidValue(values.Err.Attr, values.Err.Message)
	}
	return p, nil
}

// checkValues raises the first error within an item or key.
func checkValues(a *api.Attributes) error {
	if a.Err != nil {
		return a.Err
	}
	return nil
}

// checkStartKey raises errors within an ExclusiveStartKey. Errors of numbers
// and sets come as they are, all others with a prefix.
func checkStartKey(a *api.Attributes) error {
	if a.Err == nil {
		return nil
	}
	if a.Err.Kind == item.ErrorNumber || a.Err.Kind == item.ErrorSet {
		return a.Err
	}
	return validationFault("The provided starting key is invalid: " + a.Err.Message)
}

const maxItemBytes = 400 << 10

func checkItemSize(it item.Item) error {
	if it.Size() > maxItemBytes {
		return validationFault("Item size has exceeded the maximum allowed size")
	}
	return nil
}
