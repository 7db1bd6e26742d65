package partiql

import (
	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
)

// selectStatement reads what follows SELECT.
func (p *parser) selectStatement() *Select {
	s := &Select{}
	if !p.accept(star) {
		s.Columns = list(p, p.column)
	} else if p.current.kind == comma {
		p.malformed(starAlone)
	}
	p.needKeyword("FROM", "Expected FROM after SELECT list")
	if p.atValue() {
		p.notSource()
	}
	s.Table = p.name()
	if p.accept(dot) {
		s.Index = p.name()
	}
	if p.current.kind == plus || p.current.kind == minus { // of a name that needs quotation marks
		p.advance()
		p.notSource()
	}
	if p.current.kind == comma || p.at("JOIN") || p.at("INNER") || p.at("LEFT") || p.at("CROSS") {
		p.fail(refuse("Only select from a single table or index is supported."))
	}
	p.noAlias()
	s.Where = p.where()
	if p.acceptKeyword("ORDER") {
		p.expectKeyword("BY")
		s.Order = list(p, p.order)
	}
	for _, clause := range []string{"LIMIT", "GROUP", "HAVING", "OFFSET"} {
		if p.at(clause) {
			p.fail(refuse("Unsupported clause: %s", clause))
		}
	}
	return s
}

// noAlias reports another name for a column or table: there are none.
func (p *parser) noAlias() {
	if p.at("AS") || p.atName() {
		p.fail(refuse("Unsupported alias"))
	}
}

// notSource reports something behind FROM that is no table.
func (p *parser) notSource() {
	if p.current.kind == wordToken && isKeyword(p.current.text) {
		p.unexpected()
		return
	}
	p.fail(refuse("Unexpected from source"))
}

const starAlone = "Other expressions may not be present in the select list when '*' is used without dot notation."

func (p *parser) column() Column {
	switch {
	case p.current.kind == star:
		p.malformed(starAlone)
	case p.current.kind == wordToken && p.following.kind == leftParen:
		p.fail(refuse("Unsupported function in SELECT list: %s", p.current.text))
	}
	path := p.path()
	p.noAlias()
	return Column{Path: path, Name: columnName(path)}
}

// columnName returns the last name of a path and the positions behind it.
func columnName(path expr.Path) string {
	last := len(path) - 1
	for path[last].IsIndex() && last > 0 {
		last--
	}
	name := ""
	for _, e := range path[last:] {
		name += e.String()
	}
	return name
}

func (p *parser) order() Order {
	o := Order{Attr: p.name()}
	if !p.acceptKeyword("ASC") {
		o.Descending = p.acceptKeyword("DESC")
	}
	return o
}

// exists reads what follows EXISTS.
func (p *parser) exists() *Exists {
	p.expect(leftParen)
	p.expectKeyword("SELECT")
	e := &Exists{Select: p.selectStatement()}
	p.expect(rightParen)
	return e
}

// Show returns the columns of an item, under their names. Columns that the
// item does not have are left out; of several with one name the last counts.
// Without columns it is the whole item.
func (s *Select) Show(it item.Item) item.Item {
	if s.Columns == nil || it == nil {
		return it
	}
	var b item.Builder
	for _, c := range s.Columns {
		if v, ok := c.Path.Find(it); ok {
			b.Set(c.Name, v)
		}
	}
	return b.Item()
}

// Flat reports whether all columns are top-level attributes.
func (s *Select) Flat() bool {
	for _, c := range s.Columns {
		if len(c.Path) > 1 {
			return false
		}
	}
	return true
}

// Attributes returns the projection to the top-level attributes that the
// columns are parts of; nil for all.
func (s *Select) Attributes() *expr.Projection {
	if s.Columns == nil {
		return nil
	}
	names := make([]string, len(s.Columns))
	for i, c := range s.Columns {
		names[i] = c.Path.Top()
	}
	return expr.NewProjection(names...)
}
