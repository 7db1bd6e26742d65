package partiql

import (
	"strings"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
)

// maxNesting is how deep conditions, operands and values may be nested. Values
// have a lower limit of their own; of conditions, no client writes so deep
// ones. It bounds the depth of all trees, also with what is put around them
// later, below what the codec of package expr reads.
const maxNesting = 100

// A parser is what the recursive descent of all statements shares.
type parser struct {
	lex        lexer
	current    token // the next one to consume
	following  token // the one behind it
	parameters []item.Value
	taken      int // parameters used so far
	depth      int // of nesting
	build      *expr.Builder

	failed    *expr.Error // the text is no statement
	objection error       // first error in what it says
}

// newParser takes any text. Bytes that are not UTF-8 become U+FFFD, as in the
// strings of package item: names must be UTF-8, too.
func newParser(text string, parameters []item.Value) *parser {
	text = strings.ToValidUTF8(text, "\uFFFD")
	p := &parser{lex: lexer{text: text}, parameters: parameters, build: expr.NewBuilder()}
	p.current, p.following = p.lex.next(), p.lex.next()
	return p
}

// finish returns the error to report, if any.
func (p *parser) finish() error {
	switch {
	case p.failed != nil:
		return p.failed
	case p.taken != len(p.parameters):
		return refuse("Number of parameters in request and statement don't match.")
	case p.objection != nil:
		return p.objection
	}
	return p.build.Err()
}

// advance consumes the current token.
func (p *parser) advance() token {
	t := p.current
	if p.failed != nil {
		return t
	}
	p.current, p.following = p.following, p.lex.next()
	return t
}

// accept consumes the current token if it is of this kind.
func (p *parser) accept(kind tokenKind) bool {
	if p.current.kind != kind {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(kind tokenKind) {
	if !p.accept(kind) {
		p.unexpected()
	}
}

// need is expect with a text of its own.
func (p *parser) need(kind tokenKind, detail string) {
	if !p.accept(kind) {
		p.malformed(detail)
	}
}

// at reports whether the current token is this keyword.
func (p *parser) at(keyword string) bool { return p.current.is(keyword) }

func (t token) is(keyword string) bool {
	return t.kind == wordToken && strings.EqualFold(t.text, keyword)
}

func (p *parser) acceptKeyword(keyword string) bool {
	if !p.at(keyword) {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expectKeyword(keyword string) {
	if !p.acceptKeyword(keyword) {
		p.unexpected()
	}
}

// needKeyword is expectKeyword with a text of its own.
func (p *parser) needKeyword(keyword, detail string) {
	if !p.acceptKeyword(keyword) {
		p.malformed(detail)
	}
}

// enter and leave bracket one level of nesting.
func (p *parser) enter() {
	if p.depth++; p.depth > maxNesting {
		p.malformed("Expression is nested too deep")
	}
}

func (p *parser) leave() { p.depth-- }

// list reads one or more elements between commas.
func list[T any](p *parser, element func() T) []T {
	all := []T{element()}
	for p.accept(comma) {
		all = append(all, element())
	}
	return all
}

// parameter returns the value of the next question mark.
func (p *parser) parameter() item.Value {
	p.taken++
	if p.taken > len(p.parameters) {
		return item.Null() // the number of parameters is wrong, which is the error
	}
	return p.parameters[p.taken-1]
}
