package expr

import (
	"bytes"

	"github.com/statordb/stator/item"
)

// ParseCondition parses a condition or filter expression. The error is an
// *Error.
//
// The grammar, loosest binding first ("Comparison operator and function
// reference", syntax and precedence):
//
//	condition  := and ("OR" and)*
//	and        := not ("AND" not)*
//	not        := "NOT" not | primary
//	primary    := "(" condition ")" | function
//	            | operand comparator operand
//	            | operand "BETWEEN" operand "AND" operand
//	            | operand "IN" "(" operand ("," operand)* ")"
//	operand    := path | ":value" | function | "(" operand ")"
//	function   := word "(" operand ("," operand)* ")"
//
// Which functions exist, which of them are conditions and what they take is
// not grammar: it is checked while the tree is built.
func ParseCondition(kind Kind, text string, params *Params) (*Condition, error) {
	if t, ok := params.cached(kind, text); ok {
		return t.condition, nil
	}
	if err := checkText(kind, text); err != nil {
		return nil, err
	}
	p := newParser(kind, text, params)
	c := &Condition{p.or(false).predicate}
	if err := p.finish(); err != nil {
		return nil, err
	}
	p.remember(template{condition: c})
	return c, nil
}

// A term is a condition or an operand. Behind a left parenthesis either may
// stand, and only what follows tells which one it is.
type term struct {
	condition bool      // certainly; else an operand or a call
	predicate predicate // of a condition or call; nil after an error
	operand   operand   // of an operand or call of size
	function  string    // the term is a call of this function, maybe in parentheses
}

// or parses a condition; if open, which is directly behind a left
// parenthesis, also an operand that the right one follows. So do and, not and
// primary.
func (p *parser) or(open bool) term {
	first := p.and(open)
	if !p.at("OR") {
		return first
	}
	list := append(make(or, 0, 4), first.predicate)
	for p.acceptKeyword("OR") {
		p.operator()
		list = append(list, p.and(false).predicate)
	}
	return term{condition: true, predicate: list}
}

func (p *parser) and(open bool) term {
	first := p.not(open)
	if !p.at("AND") {
		return first
	}
	list := append(make(and, 0, 4), first.predicate)
	for p.acceptKeyword("AND") {
		p.operator()
		list = append(list, p.not(false).predicate)
	}
	return term{condition: true, predicate: list}
}

func (p *parser) not(open bool) term {
	if !p.acceptKeyword("NOT") {
		return p.primary(open)
	}
	p.operator()
	return term{condition: true, predicate: not{p.not(false).predicate}}
}

func (p *parser) primary(open bool) term {
	t := p.term()
	op := comparators[p.current.kind]
	switch {
	case op != 0:
		return p.comparison(p.subject(t), op)
	case p.at("BETWEEN"):
		return p.between(p.subject(t))
	case p.at("IN"):
		return p.in(p.subject(t))
	case t.function != "" && t.function != "size":
		return term{condition: true, predicate: t.predicate, function: t.function}
	case t.condition || open && p.current.kind == rightParen:
		return t
	case t.function == "size":
		p.misplaced(t.function)
		return term{condition: true}
	}
	p.fail()
	return t
}

// term := "(" condition ")" | "(" operand ")" | path | ":value" | function
func (p *parser) term() term {
	if p.current.kind != leftParen {
		return p.atom()
	}
	open := p.open()
	t := p.or(true)
	p.close(open)
	return t
}

// atom := path | ":value" | function
func (p *parser) atom() term {
	switch {
	case p.current.kind == valueToken:
		v, s := p.constant()
		return term{operand: operand{value: v, slot: s}}
	case p.current.kind != wordToken || p.atKeyword():
		return term{operand: operand{path: p.path()}}
	}
	word := p.advance()
	if p.current.kind == leftParen {
		return p.call(word.text)
	}
	return term{operand: operand{path: p.pathFrom(p.attribute(word))}}
}

// operand parses what stands behind an operator or inside a function.
func (p *parser) operand() operand {
	if p.current.kind != leftParen {
		t := p.atom()
		p.checkNested(t)
		return t.operand
	}
	open := p.open()
	o := p.operand()
	p.close(open)
	return o
}

// subject returns the term in front of an operator, which must be an operand.
func (p *parser) subject(t term) operand {
	if t.condition && t.function == "" {
		p.fail() // (a = b) = c
	}
	p.checkNested(t)
	return t.operand
}

// checkNested reports functions that cannot be part of another condition;
// size can.
func (p *parser) checkNested(t term) {
	if t.function != "" && t.function != "size" {
		p.misplaced(t.function)
	}
}

func (p *parser) misplaced(function string) {
	p.report(misplacedFunction, "The function is not allowed to be used this way in an expression; function: %s", function)
}

// Operators.

func (p *parser) comparison(left operand, op Op) term {
	p.advance()
	p.operator()
	c := &comparison{op, left, p.operand()}
	p.distinct(op.symbol(), c.left, c.right)
	if op.ordered() {
		p.comparable(op.symbol(), c.left, c.right)
	}
	return term{condition: true, predicate: c}
}

func (p *parser) between(subject operand) term {
	p.advance()
	p.operator()
	b := &between{subject: subject, lower: p.operand()}
	if !p.acceptKeyword("AND") {
		p.fail()
	}
	b.upper = p.operand()
	p.distinct("BETWEEN", b.subject, b.lower, b.upper)
	p.comparable("BETWEEN", b.subject, b.lower, b.upper)
	p.checkBounds(b.lower, b.upper)
	return term{condition: true, predicate: b}
}

// checkBounds reports constants that no value lies between.
func (p *parser) checkBounds(low, high operand) {
	if !low.isConstant() || !high.isConstant() {
		return
	}
	lower, upper := low.value, high.value
	const bounds = "; lower bound operand: AttributeValue: %s, upper bound operand: AttributeValue: %s"
	order, comparable := lower.Compare(upper)
	switch {
	case !comparable:
		p.report(wrongOperand, "The BETWEEN operator requires same data type for lower and upper bounds"+bounds, lower, upper)
	case order > 0:
		p.report(wrongOperand, "The BETWEEN operator requires upper bound to be greater than or equal to lower bound"+bounds, lower, upper)
	}
}

func (p *parser) in(subject operand) term {
	p.advance()
	p.operator()
	i := &in{subject: subject, list: p.operands()}
	if n := 1 + len(i.list); n > maxInOperands {
		p.report(wrongOperand, "The IN operator is provided with too many operands; number of operands: %d", n)
	}
	p.distinct("IN", subject, i.list...)
	return term{condition: true, predicate: i}
}

// operands := "(" operand ("," operand)* ")"
func (p *parser) operands() []operand {
	p.expect(leftParen)
	list := []operand{p.operand()}
	for p.accept(comma) {
		list = append(list, p.operand())
	}
	p.expect(rightParen)
	return list
}

// Functions.

// operandCount says how many operands each function of a condition takes.
var operandCount = map[string]int{
	"attribute_exists":     1,
	"attribute_not_exists": 1,
	"attribute_type":       2,
	"begins_with":          2,
	"contains":             2,
	"size":                 1,
}

// call parses the operands of a function whose name has been read.
func (p *parser) call(name string) term {
	p.operator()
	want, known := operandCount[name]
	if !known {
		p.unknownFunction(name)
	}
	args := p.operands()
	t := term{function: name}
	switch {
	case !known:
	case len(args) != want:
		p.wrongCount(name, len(args))
	default:
		p.distinct(name, args[0], args[1:]...)
		t.predicate, t.operand = p.function(name, args)
	}
	return t
}

func (p *parser) unknownFunction(name string) {
	if name == "if_not_exists" || name == "list_append" {
		p.report(unknownFunction, "The function is not allowed in a condition expression; function: %s", name)
		return
	}
	p.report(unknownFunction, "Invalid function name; function: %s", name)
}

func (p *parser) wrongCount(name string, count int) {
	p.report(wrongOperand, "Incorrect number of operands for operator or function; "+
		"operator or function: %s, number of operands: %d", name, count)
}

func (p *parser) wrongType(name string, t item.Type) {
	p.report(wrongOperand, "Incorrect operand type for operator or function; "+
		"operator or function: %s, operand type: %s", name, t)
}

// function builds the call of a known function with the right number of
// operands: a predicate, or for size an operand.
func (p *parser) function(name string, args []operand) (predicate, operand) {
	switch name {
	case "size":
		return nil, p.size(args[0])
	case "attribute_type":
		return &hasType{args[0], p.typeName(&args[1])}, operand{}
	case "begins_with":
		return p.beginsWith(args[0], args[1]), operand{}
	case "contains":
		return &contains{args[0], args[1]}, operand{}
	}
	if !args[0].isPath() {
		p.needsPath(name)
	}
	return &exists{args[0], name == "attribute_exists"}, operand{}
}

func (p *parser) needsPath(name string) {
	p.report(wrongOperand, "Operator or function requires a document path; operator or function: %s", name)
}

// size returns the operand size(of).
func (p *parser) size(of operand) operand {
	if t, known := of.constType(); known && !hasSize(t) {
		p.wrongType("size", t)
	}
	of.sized = true
	return of
}

// typeName returns the type that the second operand of attribute_type names.
func (p *parser) typeName(o *operand) item.Type {
	const all = "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"
	switch t, known := o.constType(); {
	case o.isPath():
		p.report(wrongOperand, "Incorrect operand type for operator or function; "+
			"operator or function: attribute_type, operand type: %s", all)
	case known && t != item.S:
		p.wrongType("attribute_type", t)
	case known:
		if o.slot > 0 {
			p.uses.values[o.slot-1].only = bytes.Clone(o.value)
		}
		return p.parseType(string(o.value.Bytes()))
	}
	return 0
}

func (p *parser) parseType(name string) item.Type {
	t := item.TypeOf(name)
	if t == 0 {
		p.report(wrongOperand, "Invalid attribute type name found; type: %s, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}", name)
	}
	return t
}

func (p *parser) beginsWith(subject, prefix operand) predicate {
	for _, o := range []operand{subject, prefix} {
		if t, known := o.constType(); known && t != item.S && t != item.B {
			p.wrongType("begins_with", t)
		}
	}
	return &beginsWith{subject, prefix}
}

// Checks that several operators and functions share.

// distinct reports a path that is compared with itself.
func (p *parser) distinct(op string, first operand, rest ...operand) {
	for _, o := range rest {
		if first.isPath() && o.isPath() && first.path.Equal(o.path) {
			p.report(wrongOperand, "The first operand must be distinct from the remaining operands "+
				"for this operator or function; operator: %s, first operand: %s", op, first.path)
		}
	}
}

// comparable reports constants of types that have no order.
func (p *parser) comparable(op string, operands ...operand) {
	for _, o := range operands {
		if t, known := o.constType(); known && !t.IsKey() {
			p.wrongType(op, t)
		}
	}
}
