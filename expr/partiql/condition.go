package partiql

import (
	"strings"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
)

// maxInValues is how many values IN may list for an attribute that is not a
// partition key ("PartiQL operators").
const maxInValues = 100

// where reads a WHERE clause, if there is one.
func (p *parser) where() *expr.Condition {
	if !p.acceptKeyword("WHERE") {
		return nil
	}
	return p.condition()
}

// A term is a condition or an operand. Behind a left parenthesis either may
// stand, and only what follows tells which one it is.
type term struct {
	condition *expr.Condition // nil for an operand
	operand   expr.Operand
}

// condition := and ("OR" and)*
func (p *parser) condition() *expr.Condition { return p.needCondition(p.or()) }

// or reads a condition; directly behind a left parenthesis, also an operand
// that the right one follows. So do and, not and predicate.
func (p *parser) or() term {
	first := p.and()
	if !p.at("OR") {
		return first
	}
	all := []*expr.Condition{p.needCondition(first)}
	for p.acceptKeyword("OR") {
		p.needOperandNext()
		all = append(all, p.needCondition(p.and()))
	}
	return term{condition: p.orOf(all)}
}

func (p *parser) and() term {
	first := p.not()
	if !p.at("AND") {
		return first
	}
	all := []*expr.Condition{p.needCondition(first)}
	for p.acceptKeyword("AND") {
		p.needOperandNext()
		all = append(all, p.needCondition(p.not()))
	}
	return term{condition: p.andOf(all)}
}

func (p *parser) not() term {
	if !p.acceptKeyword("NOT") {
		return p.predicate()
	}
	p.enter()
	defer p.leave()
	return p.notTerm(p.needCondition(p.not()))
}

// needCondition returns the condition that t is. After a failure it is nil.
func (p *parser) needCondition(t term) *expr.Condition {
	if t.condition == nil {
		p.unexpected()
	}
	return t.condition
}

// needOperandNext reports that nothing follows an operator.
func (p *parser) needOperandNext() {
	if p.current.kind == endToken {
		p.malformed("Missing right-hand side expression of infix operator")
	}
}

// needOperand returns the operand that t is.
func (p *parser) needOperand(t term) expr.Operand {
	if t.condition != nil {
		p.unexpected()
	}
	return t.operand
}

// After a failure conditions are nil, and nothing is built of them.

func (p *parser) orOf(all []*expr.Condition) *expr.Condition {
	if p.failed != nil {
		return nil
	}
	return p.build.Or(all...)
}

func (p *parser) andOf(all []*expr.Condition) *expr.Condition {
	if p.failed != nil {
		return nil
	}
	return p.build.And(all...)
}

func (p *parser) notTerm(c *expr.Condition) term {
	if p.failed != nil {
		return term{}
	}
	return term{condition: p.build.Not(c)}
}

var comparators = [tokenKinds]expr.Op{
	equal: expr.EQ, notEqual: expr.NE, less: expr.LT, lessEqual: expr.LE, greater: expr.GT, greaterEqual: expr.GE,
}

func (p *parser) predicate() term {
	t := p.term()
	negated := p.at("NOT") && (p.following.is("BETWEEN") || p.following.is("IN"))
	if negated {
		p.advance()
	}
	var c *expr.Condition
	switch op := comparators[p.current.kind]; {
	case op != 0:
		p.advance()
		p.needOperandNext()
		c = p.build.Compare(op, p.needOperand(t), p.operand())
	case p.at("LIKE"):
		p.fail(refuse("Unsupported operator: LIKE"))
	case p.acceptKeyword("BETWEEN"):
		c = p.between(p.needOperand(t))
	case p.acceptKeyword("IN"):
		c = p.in(p.needOperand(t))
	case p.acceptKeyword("IS"):
		c = p.is(p.needOperand(t))
	default:
		return t
	}
	if negated {
		return p.notTerm(c)
	}
	return term{condition: c}
}

// term := "(" condition ")" | function | operand
func (p *parser) term() term {
	switch {
	case p.current.kind == leftParen:
		p.enter()
		defer p.leave()
		p.advance()
		if p.current.kind == rightParen {
			p.malformed("Expression group cannot be empty")
		}
		t := p.or()
		p.expect(rightParen)
		return t
	case p.current.kind == wordToken && p.following.kind == leftParen:
		return p.call()
	case p.atValue():
		return term{operand: expr.ValueOperand(p.value())}
	}
	return term{operand: expr.PathOperand(p.path())}
}

// operand reads what stands behind an operator or inside a function.
func (p *parser) operand() expr.Operand { return p.needOperand(p.term()) }

// call reads a function of a condition, or size.
func (p *parser) call() term {
	p.enter()
	defer p.leave()
	name := strings.ToLower(p.advance().text)
	p.advance()
	var args []expr.Operand
	if p.current.kind != rightParen {
		args = list(p, p.operand)
	}
	p.expect(rightParen)
	switch {
	case p.failed != nil:
		return term{}
	case name == "size" && len(args) == 1:
		return term{operand: p.build.Size(args[0])}
	}
	c := p.build.Call(name, args...)
	if c == nil {
		p.noFunction(name, len(args))
	}
	return term{condition: c}
}

// noFunction reports a function that no condition has, or that takes another
// number of operands.
func (p *parser) noFunction(name string, operands int) {
	if name == "size" {
		p.fail(refuse("Incorrect number of operands for operator or function; operator or function: size, number of operands: %d", operands))
		return
	}
	p.fail(refuse("Invalid function name; function: %s", name))
}

func (p *parser) between(subject expr.Operand) *expr.Condition {
	p.needOperandNext()
	lower := p.operand()
	p.expectKeyword("AND")
	if p.failed == nil && p.current.kind == endToken {
		p.malformed("Expected expression after AND")
	}
	return p.build.Between(subject, lower, p.operand())
}

// in reads the list behind IN, in brackets or parentheses.
func (p *parser) in(subject expr.Operand) *expr.Condition {
	p.needOperandNext()
	end := rightBracket
	if !p.accept(leftBracket) {
		end = rightParen
		p.expect(leftParen)
	}
	values := list(p, p.operand)
	p.expect(end)
	if len(values) > maxInValues {
		p.object(refuse("The IN operator is provided with too many operands; number of operands: %d", len(values)))
	}
	return p.build.In(subject, values...)
}

// is reads what follows IS. An attribute that is missing is not NULL.
func (p *parser) is(subject expr.Operand) *expr.Condition {
	negated := p.acceptKeyword("NOT")
	word := p.current
	if word.kind != wordToken {
		p.malformed("Expected type name")
		return nil
	}
	p.advance()
	c := p.isA(subject, word)
	if negated && c != nil {
		return p.build.Not(c)
	}
	return c
}

func (p *parser) isA(subject expr.Operand, word token) *expr.Condition {
	types, known := typesNamed[strings.ToUpper(word.text)]
	switch {
	case word.is("MISSING") && subject.IsPath():
		return p.build.Call("attribute_not_exists", subject)
	case !known:
		p.malformed("Expected type name")
		return nil
	}
	anyOf := make([]*expr.Condition, len(types))
	for i, t := range types {
		anyOf[i] = p.build.IsType(subject, t)
	}
	return p.build.Or(anyOf...)
}

// typesNamed are the types that IS knows, by PartiQL's names and by
// DynamoDB's.
var typesNamed = map[string][]item.Type{
	"NULL": {item.NULL}, "BOOL": {item.BOOL}, "BOOLEAN": {item.BOOL},
	"S": {item.S}, "STRING": {item.S}, "CHAR": {item.S}, "CHARACTER": {item.S}, "VARCHAR": {item.S},
	"N": {item.N}, "NUMBER": {item.N}, "NUMERIC": {item.N}, "DECIMAL": {item.N}, "INT": {item.N}, "INTEGER": {item.N},
	"SMALLINT": {item.N}, "FLOAT": {item.N}, "REAL": {item.N},
	"B": {item.B}, "BINARY": {item.B}, "BLOB": {item.B},
	"L": {item.L}, "LIST": {item.L}, "M": {item.M}, "MAP": {item.M}, "STRUCT": {item.M}, "TUPLE": {item.M},
	"SS": {item.SS}, "NS": {item.NS}, "BS": {item.BS}, "BAG": {item.SS, item.NS, item.BS},
}
