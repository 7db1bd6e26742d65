package partiql

import (
	"strings"

	"github.com/statordb/stator/expr"
)

// change reads a SET or REMOVE with all that belongs to it, if one is next.
func (p *parser) change() bool {
	switch {
	case p.acceptKeyword("SET"):
		list(p, p.assignment)
	case p.acceptKeyword("REMOVE"):
		list(p, p.removal)
	default:
		return false
	}
	return true
}

func (p *parser) removal() bool {
	path := p.targetPath()
	if p.failed == nil {
		p.build.Remove(path)
	}
	return true
}

// assignment := path "=" source. What adds to or takes from a set is an action
// of its own, and must name the set that is changed.
func (p *parser) assignment() bool {
	path := p.targetPath()
	p.need(equal, "Expected '='")
	if p.following.kind == leftParen && (p.at("SET_ADD") || p.at("SET_DELETE")) {
		p.setChange(path)
		return true
	}
	s := p.source()
	if p.failed == nil {
		p.build.Set(path, s)
	}
	return true
}

// setChange := ("set_add" | "set_delete") "(" path "," set ")"
func (p *parser) setChange(target expr.Path) {
	function := strings.ToLower(p.advance().text)
	p.advance()
	from := p.path()
	p.expect(comma)
	members := p.value()
	p.expect(rightParen)
	switch {
	case p.failed != nil:
	case !from.Equal(target):
		p.object(refuse("The first operand of %s must be the attribute that is set", function))
	case !members.Type().IsSet() && p.taken <= len(p.parameters):
		p.object(refuse("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", function, members.Type()))
	case function == "set_add":
		p.build.Add(target, members)
	default:
		p.build.Delete(target, members)
	}
}

// source := term (("+" | "-") term)?
func (p *parser) source() expr.Source {
	left := p.sourceTerm()
	switch {
	case p.accept(plus):
		return p.build.Sum(left, p.sourceTerm())
	case p.accept(minus):
		return p.build.Difference(left, p.sourceTerm())
	}
	return left
}

// sourceTerm := path | value | function | "(" source ")"
func (p *parser) sourceTerm() expr.Source {
	switch {
	case p.current.kind == leftParen:
		p.enter()
		defer p.leave()
		p.advance()
		s := p.source()
		p.expect(rightParen)
		return s
	case p.current.kind == wordToken && p.following.kind == leftParen:
		return p.sourceCall()
	case p.atValue():
		return expr.ValueSource(p.value())
	}
	return expr.PathSource(p.path())
}

// sourceCall reads a function of two operands.
func (p *parser) sourceCall() expr.Source {
	p.enter()
	defer p.leave()
	name := strings.ToLower(p.advance().text)
	p.advance()
	args := list(p, p.sourceTerm)
	p.expect(rightParen)
	switch {
	case p.failed != nil:
	case name != "list_append" && name != "if_not_exists":
		p.fail(refuse("Invalid function name; function: %s", name))
	case len(args) != 2:
		p.fail(refuse("Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d", name, len(args)))
	case name == "list_append":
		return p.build.ListAppend(args[0], args[1])
	default:
		return p.build.IfNotExists(args[0], args[1])
	}
	return expr.Source{}
}
