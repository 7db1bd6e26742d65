package partiql

import (
	"github.com/statordb/stator/item"
)

// atValue reports whether a value may begin at the current token.
func (p *parser) atValue() bool {
	switch p.current.kind {
	case stringToken, numberToken, question, leftBracket, leftBrace, leftBag, plus, minus:
		return true
	}
	return p.at("TRUE") || p.at("FALSE") || p.at("NULL")
}

// value reads a literal or a question mark.
func (p *parser) value() item.Value {
	v := p.nested()
	if v.Depth() > item.MaxDepth {
		p.object(refuse("%s", item.MsgDepth))
	}
	return v
}

// nested reads a value that may be part of another one. It is never nil.
func (p *parser) nested() item.Value {
	p.enter()
	defer p.leave()
	switch t := p.current; {
	case p.accept(stringToken):
		return item.String(t.text)
	case p.accept(question):
		return p.parameter()
	case p.accept(leftBracket):
		return p.list()
	case p.accept(leftBrace):
		return item.MapOf(p.members())
	case p.accept(leftBag):
		return p.set()
	case p.acceptKeyword("TRUE"):
		return item.Bool(true)
	case p.acceptKeyword("FALSE"):
		return item.Bool(false)
	case p.acceptKeyword("NULL"):
		return item.Null()
	case t.kind == numberToken, t.kind == plus, t.kind == minus:
		return p.number()
	}
	p.unexpected()
	return item.Null()
}

// number reads digits with a sign, if there is one.
func (p *parser) number() item.Value {
	sign := ""
	if p.accept(minus) {
		sign = "-"
	} else {
		p.accept(plus)
	}
	t := p.current
	p.expect(numberToken)
	if p.failed != nil {
		return item.Null()
	}
	v, err := item.Num(sign + t.text)
	if err != nil {
		p.object(refuse("%s", err))
		return item.Null()
	}
	return v
}

// list reads what follows "[".
func (p *parser) list() item.Value {
	if p.accept(rightBracket) {
		return item.List()
	}
	elements := list(p, p.nested)
	p.expect(rightBracket)
	return item.List(elements...)
}

// members reads what follows "{". A member that is MISSING is left out.
func (p *parser) members() item.Item {
	var b item.Builder
	if p.accept(rightBrace) {
		return b.Item()
	}
	list(p, func() bool {
		p.member(&b)
		return true
	})
	p.expect(rightBrace)
	return b.Item()
}

func (p *parser) member(b *item.Builder) {
	name := p.current.text
	p.expect(stringToken)
	p.expect(colon)
	if p.acceptKeyword("MISSING") {
		return
	}
	v := p.nested()
	if p.failed != nil {
		return
	}
	if err := item.CheckName([]byte(name)); err != nil {
		p.object(refuse("%s", err))
		return
	}
	b.Set(name, v)
}

// set reads what follows "<<".
func (p *parser) set() item.Value {
	var members []item.Value
	if p.current.kind != rightBag {
		members = list(p, p.nested)
	}
	p.expect(rightBag)
	if p.failed != nil {
		return item.Null()
	}
	v, err := setOf(members)
	if err != nil {
		p.object(refuse("%s", err))
		return item.Null()
	}
	return v
}

// setOf returns the set of members that are all strings, all numbers or, by
// parameters, all binaries.
func setOf(members []item.Value) (item.Value, error) {
	if len(members) == 0 {
		return item.StringSet()
	}
	t := members[0].Type()
	var strings []string
	var binaries [][]byte
	var numbers []item.Number
	for _, m := range members {
		switch {
		case m.Type() != t || !t.IsKey():
			return nil, refuse("The members of a set must be all strings, all numbers or all binaries")
		case t == item.S:
			strings = append(strings, string(m.Bytes()))
		case t == item.N:
			numbers = append(numbers, m.Number())
		default:
			binaries = append(binaries, m.Bytes())
		}
	}
	switch t {
	case item.S:
		return item.StringSet(strings...)
	case item.N:
		return item.NumberSet(numbers...)
	}
	return item.BinarySet(binaries...)
}
