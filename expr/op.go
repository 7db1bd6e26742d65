package expr

import "github.com/statordb/stator/item"

// An Op is an operator of a condition, under the name that ComparisonOperator
// gives it.
type Op byte

const (
	EQ Op = iota + 1
	NE
	LT
	LE
	GT
	GE
	BETWEEN
	BEGINS_WITH
)

var ops = [...]struct{ name, symbol string }{
	EQ:          {"EQ", "="},
	NE:          {"NE", "<>"},
	LT:          {"LT", "<"},
	LE:          {"LE", "<="},
	GT:          {"GT", ">"},
	GE:          {"GE", ">="},
	BETWEEN:     {"BETWEEN", "BETWEEN"},
	BEGINS_WITH: {"BEGINS_WITH", "begins_with"},
}

// String returns the name, such as LE.
func (op Op) String() string { return ops[op].name }

// symbol returns the operator as expressions write it, such as <=.
func (op Op) symbol() string { return ops[op].symbol }

// comparators are the operators between two operands, by token.
var comparators = [tokenKinds]Op{
	equal: EQ, notEqual: NE, less: LT, lessEqual: LE, greater: GT, greaterEqual: GE,
}

// ordered reports whether the operator needs an order, not just equality.
func (op Op) ordered() bool { return op >= LT && op <= BETWEEN }

// mirrored returns the operator for exchanged operands: a < b is b > a.
func (op Op) mirrored() Op {
	switch op {
	case LT:
		return GT
	case LE:
		return GE
	case GT:
		return LT
	case GE:
		return LE
	}
	return op
}

// holds compares two values. Values of different types are not equal, and no
// order exists between them, nor between values other than S, N and B.
func (op Op) holds(left, right item.Value) bool {
	switch op {
	case EQ:
		return left.Equal(right)
	case NE:
		return !left.Equal(right)
	}
	order, comparable := left.Compare(right)
	return comparable && op.admits(order)
}

// admits reports whether the operator holds between values of this order:
// negative if the left one is smaller, zero if they are equal.
func (op Op) admits(order int) bool {
	switch op {
	case LT:
		return order < 0
	case LE:
		return order <= 0
	case GT:
		return order > 0
	case GE:
		return order >= 0
	}
	return false
}
