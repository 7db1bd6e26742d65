package expr

import "github.com/statordb/stator/item"

// A KeyCondition is what a Query requires of key attributes: a parsed key
// condition expression, or KeyConditions.
type KeyCondition struct {
	// Terms all hold, one for each attribute, in the order of the request.
	// Whether they fit a key schema is for the caller to check; see
	// ErrKeyConditionLength.
	Terms []KeyTerm
}

// A KeyTerm is a condition on one key attribute.
type KeyTerm struct {
	Attr   string
	Op     Op           // EQ, LT, LE, GT, GE, BETWEEN or BEGINS_WITH
	Values []item.Value // two for BETWEEN: lower and upper; else one
}

// ErrKeyConditionLength is reported for more conditions than a key has
// attributes. The parser allows maxKeyTerms, since it does not know the key;
// tables and indexes whose key is one or two attributes allow two.
var ErrKeyConditionLength = &Error{"Conditions can be of length 1 or 2 only"}

// maxKeyTerms is the number of attributes in the longest key: a global
// secondary index may have four HASH and four RANGE attributes.
const maxKeyTerms = 8

// ParseKeyCondition parses a key condition expression. The error is an *Error.
//
// DynamoDB checks the other expressions of a Query, and what is unused, between
// the two steps. A caller to whom that matters takes them one by one, with
// ParseCondition and NewKeyCondition.
func ParseKeyCondition(text string, params *Params) (*KeyCondition, error) {
	c, err := ParseCondition(KeyConditionExpression, text, params)
	if err != nil {
		return nil, err
	}
	return NewKeyCondition(c)
}

// NewKeyCondition restricts a condition to what an index can answer ("Key
// condition expressions for the Query operation"). The error is an *Error.
func NewKeyCondition(c *Condition) (*KeyCondition, error) {
	var k KeyCondition
	if err := k.addAll(c.root); err != nil {
		return nil, err
	}
	if len(k.Terms) > maxKeyTerms {
		return nil, ErrKeyConditionLength
	}
	return &k, nil
}

// addAll adds a condition that is an AND of terms, or one term.
func (k *KeyCondition) addAll(p predicate) error {
	list, ok := p.(and)
	if !ok {
		return k.add(p)
	}
	for _, q := range list {
		if err := k.addAll(q); err != nil {
			return err
		}
	}
	return nil
}

func (k *KeyCondition) add(p predicate) error {
	term, err := keyTerm(p)
	if err != nil {
		return err
	}
	for i := range k.Terms {
		if k.Terms[i].Attr == term.Attr {
			return &Error{"KeyConditionExpressions must only contain one condition per key"}
		}
	}
	k.Terms = append(k.Terms, term)
	return nil
}

// keyTerm returns the term that a predicate is, if it is one.
func keyTerm(p predicate) (KeyTerm, error) {
	switch p := p.(type) {
	case *comparison:
		return comparisonTerm(p)
	case *between:
		return prefixedTerm(BETWEEN, p.subject, p.lower, p.upper)
	case *beginsWith:
		return prefixedTerm(BEGINS_WITH, p.subject, p.prefix)
	}
	return KeyTerm{}, invalidKeyOperator(operatorName(p))
}

func invalidKeyOperator(op string) *Error {
	return errorf("Invalid operator used in KeyConditionExpression: %s", op)
}

// operatorName returns the name of an operator that no key condition has.
func operatorName(p predicate) string {
	switch p := p.(type) {
	case or:
		return "OR"
	case not:
		return "NOT"
	case *in:
		return "IN"
	case *exists:
		return p.function()
	case *hasType:
		return "attribute_type"
	}
	return "contains"
}

// comparisonTerm: the attribute may stand on either side.
func comparisonTerm(c *comparison) (KeyTerm, error) {
	switch {
	case c.op == NE:
		return KeyTerm{}, invalidKeyOperator(c.op.symbol())
	case c.left.path == nil && c.right.path != nil:
		return newKeyTerm(c.op.mirrored(), c.right, c.left)
	}
	return newKeyTerm(c.op, c.left, c.right)
}

// prefixedTerm: the attribute must be the first operand.
func prefixedTerm(op Op, subject operand, constants ...operand) (KeyTerm, error) {
	if subject.path == nil {
		return KeyTerm{}, errorf("Invalid condition in KeyConditionExpression: "+
			"%s operator must have the key attribute as its first operand", op.symbol())
	}
	return newKeyTerm(op, subject, constants...)
}

func newKeyTerm(op Op, subject operand, constants ...operand) (KeyTerm, error) {
	if err := checkKeyOperands(subject, constants); err != nil {
		return KeyTerm{}, err
	}
	t := KeyTerm{Attr: subject.path.Top(), Op: op}
	for i := range constants {
		t.Values = append(t.Values, constants[i].value)
	}
	return t, nil
}

func checkKeyOperands(subject operand, constants []operand) error {
	nested, attributes := subject.sized, 0
	if subject.path != nil {
		attributes++
	}
	for i := range constants {
		nested = nested || constants[i].sized
		if constants[i].path != nil {
			attributes++
		}
	}
	switch {
	case nested:
		return &Error{"KeyConditionExpressions cannot contain nested operations"}
	case attributes == 0:
		return &Error{"Invalid condition in KeyConditionExpression: No key attribute specified"}
	case attributes > 1:
		return &Error{"Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"}
	case len(subject.path) > 1:
		return &Error{"KeyConditionExpressions cannot have conditions on nested attributes"}
	}
	return nil
}
