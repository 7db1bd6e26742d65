package partiql

import (
	"github.com/statordb/stator/item"
)

// insert reads what follows INSERT.
func (p *parser) insert() *Insert {
	p.expectKeyword("INTO")
	s := &Insert{Table: p.target()}
	if !p.acceptKeyword("VALUE") {
		p.term() // a value without VALUE would be a bag of items, which no table takes
		p.malformed("Unexpected token after expression")
	}
	v := p.value()
	switch {
	case p.failed != nil:
	case v.Type() == item.M:
		s.Item = v.Item()
	case p.taken <= len(p.parameters):
		p.object(refuse("The value of INSERT must be a map"))
	}
	return s
}

// update reads what follows UPDATE.
func (p *parser) update() *Update {
	s := &Update{Table: p.target()}
	if !p.at("SET") && !p.at("REMOVE") {
		p.malformed("Expected data manipulation")
	}
	for p.failed == nil && p.change() {
	}
	if p.failed == nil {
		s.Changes = p.build.Update()
	}
	s.Where = p.where()
	s.Returning = p.returning()
	return s
}

// delete reads what follows DELETE.
func (p *parser) delete() *Delete {
	p.needKeyword("FROM", "Expected FROM after DELETE")
	s := &Delete{Table: p.target()}
	s.Where = p.where()
	s.Returning = p.returning()
	if s.Returning != ReturningNothing && s.Returning != AllOld {
		p.object(refuse("The RETURNING clause of a DELETE statement can only be ALL OLD *"))
	}
	return s
}

var returnings = map[bool]map[bool]Returning{ // of everything, of the new item
	true:  {true: AllNew, false: AllOld},
	false: {true: ModifiedNew, false: ModifiedOld},
}

// returning := "RETURNING" ("ALL" | "MODIFIED") ("OLD" | "NEW") "*"
func (p *parser) returning() Returning {
	if !p.acceptKeyword("RETURNING") {
		return ReturningNothing
	}
	all := p.oneOf("ALL", "MODIFIED")
	updated := p.oneOf("NEW", "OLD")
	p.need(star, "Unsupported syntax in RETURNING columns.")
	return returnings[all][updated]
}

// oneOf reads one of two keywords and reports whether it is the first.
func (p *parser) oneOf(first, second string) bool {
	if p.acceptKeyword(first) {
		return true
	}
	p.needKeyword(second, "Expected ( MODIFIED | ALL ) ( NEW | OLD ) in each returning element.")
	return false
}
