package partiql

import (
	"strconv"

	"github.com/statordb/stator/expr"
)

// atName reports whether the current token can be a name.
func (p *parser) atName() bool {
	return p.current.kind == quotedToken && p.current.text != "" || p.current.kind == wordToken && !isKeyword(p.current.text)
}

// name := word | quoted
func (p *parser) name() string {
	if !p.atName() {
		p.unexpected()
	}
	return p.advance().text
}

// target reads the name of what a statement changes.
func (p *parser) target() string {
	if !p.atName() {
		p.malformed("Expected identifier for simple path")
	}
	return p.advance().text
}

// targetPath reads the path of an attribute that is changed.
func (p *parser) targetPath() expr.Path { return p.pathFrom(p.target()) }

// path := name ( "." name | "[" digits "]" | "[" string "]" )*
func (p *parser) path() expr.Path { return p.pathFrom(p.name()) }

// pathFrom reads the rest of a path whose first name has been read.
func (p *parser) pathFrom(name string) expr.Path {
	elems := []expr.PathElem{{Name: name}}
	for {
		switch {
		case p.accept(dot):
			if !p.atName() {
				p.malformed("Invalid path dot component")
			}
			elems = append(elems, expr.PathElem{Name: p.advance().text})
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
