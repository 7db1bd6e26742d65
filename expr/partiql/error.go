package partiql

import (
	"fmt"
	"strings"

	"github.com/statordb/stator/expr"
)

func refuse(format string, args ...any) *expr.Error {
	return &expr.Error{Message: fmt.Sprintf(format, args...)}
}

// fail ends the parse with an error, unless one ended it before: every
// following token reads as the end of the text, so that all loops stop.
func (p *parser) fail(err *expr.Error) {
	if p.failed == nil {
		p.failed = err
	}
	p.lex.pos = len(p.lex.text)
	p.current = token{kind: endToken}
}

// malformed reports text that is no statement.
func (p *parser) malformed(detail string) {
	p.fail(refuse("Statement wasn't well formed, can't be processed: %s", detail))
}

// unexpected reports that no term begins at the current token.
func (p *parser) unexpected() {
	word := ""
	if p.current.kind == wordToken {
		word = strings.ToLower(p.current.text)
	}
	switch {
	case operatorWords[word] || p.current.kind >= plus:
		p.malformed("Unexpected operator")
	case isKeyword(word) && !markWords[word]:
		p.malformed("Unexpected keyword")
	case p.current.kind == badToken:
		p.malformed("Unexpected character")
	default:
		p.malformed("Unexpected term")
	}
}

// object reports what the text, which is a statement, says. It is the error
// only if the number of parameters is right.
func (p *parser) object(err error) {
	if err != nil && p.objection == nil {
		p.objection = err
	}
}
