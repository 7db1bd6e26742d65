package facet

import (
	"bytes"
	"strings"

	"github.com/statordb/stator/lsm/key"
)

// An Expr is a condition on the tags of a row. The zero Expr holds for every row.
// An Expr is immutable.
type Expr struct {
	op   op
	tag  []byte
	args []Expr
}

type op uint8

const (
	opAnd op = iota
	opOr
	opNot
	opHas
)

// Has holds for rows with the tag, which it copies.
func Has(tag []byte) Expr { return Expr{op: opHas, tag: bytes.Clone(tag)} }

// And holds where all of x hold; without any, everywhere.
func And(x ...Expr) Expr { return Expr{op: opAnd, args: append([]Expr(nil), x...)} }

// Or holds where one of x holds; without any, nowhere.
func Or(x ...Expr) Expr { return Expr{op: opOr, args: append([]Expr(nil), x...)} }

// Not holds where x does not.
func Not(x Expr) Expr { return Expr{op: opNot, args: []Expr{x}} }

// Match reports whether x holds for a row with these tags.
func (x Expr) Match(t *Tags) bool {
	switch x.op {
	case opHas:
		return t.Has(x.tag)
	case opNot:
		return !x.args[0].Match(t)
	}
	for i := range x.args {
		if x.args[i].Match(t) == (x.op == opOr) {
			return x.op == opOr
		}
	}
	return x.op == opAnd
}

// String prints "red & !(old | small)".
func (x Expr) String() string {
	switch x.op {
	case opHas:
		return key.Format(x.tag)
	case opNot:
		return "!" + x.args[0].operand()
	}
	if len(x.args) == 0 {
		return [...]string{opAnd: "all", opOr: "none"}[x.op]
	}
	parts := make([]string, len(x.args))
	for i := range x.args {
		parts[i] = x.args[i].operand()
	}
	return strings.Join(parts, [...]string{opAnd: " & ", opOr: " | "}[x.op])
}

func (x Expr) operand() string {
	if len(x.args) > 1 {
		return "(" + x.String() + ")"
	}
	return x.String()
}
