package partiql

import (
	"strconv"

	"github.com/statordb/stator/expr"
)

// name := word | quoted
func (p *parser) name() string {
	t := p.current
	if t.kind == quotedToken && t.text != "" || t.kind == wordToken && !isKeyword(t.text) {
		p.advance()
		return t.text
	}
	p.unexpected()
	return ""
}

// path := name ( "." name | "[" digits "]" | "[" string "]" )*
func (p *parser) path() expr.Path {
	elems := []expr.PathElem{{Name: p.name()}}
	for {
		switch {
		case p.accept(dot):
			elems = append(elems, expr.PathElem{Name: p.name()})
		case p.accept(leftBracket):
			elems = append(elems, p.step())
			p.expect(rightBracket)
		default:
			return p.build.Path(elems...)
		}
	}
}

// step reads what stands in brackets.
func (p *parser) step() expr.PathElem {
	t := p.current
	switch {
	case t.kind == stringToken && t.text != "":
		p.advance()
		return expr.PathElem{Name: t.text}
	case t.kind == numberToken && isDigits(t.text):
		p.advance()
		return expr.PathElem{Index: p.position(t.text)}
	}
	p.malformed("Unexpected path component")
	return expr.PathElem{}
}

// position returns the number that digits spell, if any path may name it.
func (p *parser) position(digits string) int {
	i, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || i > expr.MaxIndex {
		p.object(refuse("List index is not within the allowable range; index: [%s]", digits))
		return 0
	}
	return int(i)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}
