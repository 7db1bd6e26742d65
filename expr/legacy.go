package expr

import (
	"slices"

	"github.com/statordb/stator/item"
)

// The parameters that preceded expressions ("Legacy conditional parameters")
// become the same trees. They name top-level attributes only. In all of them
// one attribute has one entry; lists below are in the order in which the
// entries should be checked.

// A LegacyCondition is the entry of one attribute in Expected, QueryFilter,
// ScanFilter or KeyConditions.
type LegacyCondition struct {
	Attr   string
	Op     string       // ComparisonOperator; empty if not given
	Values []item.Value // AttributeValueList; nil if not given

	// Expected only.
	Value  item.Value // nil if not given
	Exists *bool      // nil if not given
}

// A LegacyUpdate is the entry of one attribute in AttributeUpdates.
type LegacyUpdate struct {
	Attr   string
	Action string     // ADD, DELETE or PUT; empty means PUT
	Value  item.Value // nil if not given
}

func invalidParameter(format string, args ...any) *Error {
	return errorf("One or more parameter values were invalid: "+format, args...)
}

// FromExpected translates Expected and ConditionalOperator ("AND", "OR" or
// empty). The condition is nil if there are no entries.
func FromExpected(list []LegacyCondition, conditionalOperator string) (*Condition, error) {
	list = slices.Clone(list)
	for i := range list {
		if err := list[i].resolveExpected(); err != nil {
			return nil, err
		}
	}
	return FromFilter(list, conditionalOperator)
}

// resolveExpected rewrites the forms that only Expected has into an operator
// with a list of values.
func (c *LegacyCondition) resolveExpected() error {
	switch {
	case c.Value != nil && c.Values != nil:
		return invalidParameter("Value and AttributeValueList cannot be used together for Attribute: %s", c.Attr)
	case c.Exists != nil && c.Op != "":
		return invalidParameter("Exists and ComparisonOperator cannot be used together for Attribute: %s", c.Attr)
	case c.Op != "" && c.Value == nil && c.Values == nil && c.Op != "NULL" && c.Op != "NOT_NULL":
		return invalidParameter("Value or AttributeValueList must be used with ComparisonOperator: %s for Attribute: %s", c.Op, c.Attr)
	case c.Op == "" && c.Values != nil:
		return invalidParameter("AttributeValueList can only be used with a ComparisonOperator for Attribute: %s", c.Attr)
	case c.Op == "":
		return c.resolveExists()
	case c.Value != nil:
		c.Values = []item.Value{c.Value}
	}
	return nil
}

// resolveExists: {Exists: false} means absent, {Value: v} means equal to v.
func (c *LegacyCondition) resolveExists() error {
	absent := c.Exists != nil && !*c.Exists
	switch {
	case absent && c.Value != nil:
		return invalidParameter("Value cannot be used when Exists is false for Attribute: %s", c.Attr)
	case absent:
		c.Op = "NULL"
		return nil
	case c.Value == nil && c.Exists == nil:
		return invalidParameter("Value must be provided when Exists is null for Attribute: %s", c.Attr)
	case c.Value == nil:
		return invalidParameter("Value must be provided when Exists is true for Attribute: %s", c.Attr)
	}
	c.Op, c.Values = "EQ", []item.Value{c.Value}
	return nil
}

// FromFilter translates QueryFilter or ScanFilter and ConditionalOperator
// ("AND", "OR" or empty). The condition is nil if there are no entries.
func FromFilter(list []LegacyCondition, conditionalOperator string) (*Condition, error) {
	if err := checkLegacyConditions(list); err != nil {
		return nil, err
	}
	switch {
	case len(list) == 0 && conditionalOperator != "":
		return nil, invalidParameter("ConditionalOperator cannot be used without Filter or Expected")
	case len(list) == 0:
		return nil, nil
	case len(list) == 1:
		return &Condition{list[0].predicate()}, nil
	}
	predicates := make([]predicate, len(list))
	for i := range list {
		predicates[i] = list[i].predicate()
	}
	if conditionalOperator == "OR" {
		return &Condition{or(predicates)}, nil
	}
	return &Condition{and(predicates)}, nil
}

// FromKeyConditions translates KeyConditions.
func FromKeyConditions(list []LegacyCondition) (*KeyCondition, error) {
	if err := checkLegacyConditions(list); err != nil {
		return nil, err
	}
	if len(list) < 1 || len(list) > 2 {
		return nil, ErrKeyConditionLength
	}
	k := &KeyCondition{}
	for _, c := range list {
		op := opNamed(c.Op)
		if op == 0 || op == NE {
			return nil, &Error{"Attempted conditional constraint is not an indexable operation"}
		}
		k.Terms = append(k.Terms, KeyTerm{c.Attr, op, c.Values})
	}
	return k, nil
}

// FromAttributesToGet translates AttributesToGet.
func FromAttributesToGet(names []string) (*Projection, error) {
	if len(names) == 0 {
		return nil, &Error{"1 validation error detected: Value '[]' at 'attributesToGet' failed to satisfy constraint: " +
			"Member must have length greater than or equal to 1"}
	}
	seen := make(map[string]bool, len(names))
	paths := make([]Path, len(names))
	for i, name := range names {
		if err := checkAttr(name); err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, invalidParameter("Duplicate value in attribute name: %s", name)
		}
		seen[name] = true
		paths[i] = attrPath(name)
	}
	t, _ := newTree(paths)
	return &Projection{paths, t}, nil
}

// FromAttributeUpdates translates AttributeUpdates. The update is nil if there
// are no entries.
func FromAttributeUpdates(list []LegacyUpdate) (*Update, error) {
	if len(list) == 0 {
		return nil, nil
	}
	u := &Update{legacy: true}
	for i := range list {
		a, err := list[i].action()
		if err != nil {
			return nil, err
		}
		u.actions = append(u.actions, a)
	}
	u.tree, _ = newTree(u.targets())
	return u, nil
}

func (l *LegacyUpdate) action() (action, error) {
	if err := checkAttr(l.Attr); err != nil {
		return action{}, err
	}
	a := action{verb: setVerb, path: attrPath(l.Attr), source: source{op: fromValue, value: l.Value}}
	switch t := l.Value.Type(); {
	case l.Action == "DELETE" && l.Value == nil:
		a.verb, a.source = removeVerb, source{}
	case l.Value == nil:
		return a, invalidParameter("Only DELETE action is allowed when no attribute value is specified")
	case l.Action == "DELETE" && !deleteVerb.takes(t, true):
		return a, invalidParameter("DELETE action with value is not supported for the type %s", t)
	case l.Action == "DELETE":
		a.verb = deleteVerb
	case l.Action == "ADD" && !addVerb.takes(t, true):
		return a, invalidParameter("ADD action is not supported for the type %s", t)
	case l.Action == "ADD":
		a.verb = addVerb
	}
	return a, nil
}

func attrPath(name string) Path { return Path{{Name: name}} }

func checkAttr(name string) error {
	if err := item.CheckName([]byte(name)); err != nil {
		return &Error{err.Error()}
	}
	return nil
}

// Conditions.

// argumentCount says how many values each operator takes.
var argumentCount = map[string]struct{ least, most int }{
	"NULL": {0, 0}, "NOT_NULL": {0, 0},
	"EQ": {1, 1}, "NE": {1, 1}, "LE": {1, 1}, "LT": {1, 1}, "GE": {1, 1}, "GT": {1, 1},
	"CONTAINS": {1, 1}, "NOT_CONTAINS": {1, 1}, "BEGINS_WITH": {1, 1},
	"BETWEEN": {2, 2}, "IN": {1, 1 << 30},
}

func checkLegacyConditions(list []LegacyCondition) error {
	for i := range list {
		if err := list[i].check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *LegacyCondition) check() error {
	if err := checkAttr(c.Attr); err != nil {
		return err
	}
	count, known := argumentCount[c.Op]
	if n := len(c.Values); !known || n < count.least || n > count.most {
		return invalidParameter("Invalid number of argument(s) for the %s ComparisonOperator", c.Op)
	}
	for _, v := range c.Values {
		if v.Type() != c.Values[0].Type() {
			return invalidParameter("AttributeValues inside AttributeValueList must be of same type")
		}
	}
	for _, v := range c.Values {
		if !takesType(c.Op, v.Type()) {
			return invalidParameter("ComparisonOperator %s is not valid for %s AttributeValue type", c.Op, v.Type())
		}
	}
	if c.Op == "BETWEEN" && GT.holds(c.Values[0], c.Values[1]) {
		return &Error{"The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"}
	}
	return nil
}

// takesType reports whether the operator compares with values of type t.
func takesType(op string, t item.Type) bool {
	switch op {
	case "EQ", "NE":
		return true
	case "BEGINS_WITH":
		return t == item.S || t == item.B
	}
	return t.IsKey()
}

// predicate translates a checked condition.
func (c *LegacyCondition) predicate() predicate {
	attr := operand{path: attrPath(c.Attr)}
	args := make([]operand, len(c.Values))
	for i, v := range c.Values {
		args[i] = operand{value: v}
	}
	switch c.Op {
	case "NULL":
		return &exists{attr, false}
	case "NOT_NULL":
		return &exists{attr, true}
	case "IN":
		return &in{attr, args}
	case "BETWEEN":
		return &between{attr, args[0], args[1]}
	case "BEGINS_WITH":
		return &beginsWith{attr, args[0]}
	case "CONTAINS":
		return &contains{attr, args[0]}
	case "NOT_CONTAINS":
		// Of a missing attribute nothing is true, not even this.
		return and{&exists{attr, true}, not{&contains{attr, args[0]}}}
	}
	return &comparison{opNamed(c.Op), attr, args[0]}
}

// opNamed returns the operator of this name, 0 if Op has none.
func opNamed(name string) Op {
	for op := EQ; op <= BEGINS_WITH; op++ {
		if op.String() == name {
			return op
		}
	}
	return 0
}
