package expr

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/statordb/stator/item"
)

// Limits of "Service, account, and table quotas", expression parameters.
const (
	maxTextBytes  = 4096
	maxOperators  = 300 // operators, keywords and functions of one expression
	maxInOperands = 100 // of IN, the one before it included
)

// MaxIndex is the largest position in a list that a path may name.
const MaxIndex = math.MaxInt32

// A parser is what the recursive descent of all kinds shares: two tokens, the
// parameters, and the errors found so far.
//
// A syntax error ends the parse: every following token reads as the end of
// the text, so that all loops stop, and only the first syntax error is kept.
// All other errors are collected and the parse goes on, since a later one, or
// a syntax error, may be the one to report; see fault.
type parser struct {
	kind   Kind
	lex    lexer
	params *Params

	previous token // the last one consumed
	current  token // the next one to consume
	consumed int   // number of tokens

	syntax *Error
	fault  fault
	detail string // of fault

	operators int
	group     parens     // the one closed last
	elems     []PathElem // of all paths so far

	uses uses // noted only if there is a Cache
}

// parens is a pair of parentheses, as numbers of tokens.
type parens struct{ open, close int }

func newParser(kind Kind, text string, params *Params) *parser {
	if params == nil {
		params = &Params{}
	}
	p := &parser{kind: kind, lex: lexer{text: text}, params: params}
	p.group = parens{-1, -1}
	p.elems = make([]PathElem, 0, 8)
	p.current = p.lex.next()
	return p
}

// checkText reports a text that is not even looked at.
func checkText(kind Kind, text string) error {
	switch {
	case strings.Trim(text, " \t\r\n") == "":
		return kind.invalid("The expression can not be empty;")
	case len(text) > maxTextBytes:
		return kind.invalid(fmt.Sprintf("Expression size has exceeded the maximum allowed size; expression size: %d", len(text)))
	}
	return nil
}

// finish expects the end of the text and returns the error to report, if any.
func (p *parser) finish() error {
	p.expect(endToken)
	switch {
	case p.syntax != nil:
		return p.syntax
	case p.fault != noFault:
		return p.kind.invalid(p.detail)
	}
	return nil
}

// Tokens.

// advance consumes the current token.
func (p *parser) advance() token {
	p.previous = p.current
	p.current = p.lex.next()
	p.consumed++
	return p.previous
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
		p.fail()
	}
}

// at reports whether the current token is this keyword.
func (p *parser) at(keyword string) bool {
	return p.current.kind == wordToken && strings.EqualFold(p.current.text, keyword)
}

func (p *parser) acceptKeyword(keyword string) bool {
	if !p.at(keyword) {
		return false
	}
	p.advance()
	return true
}

// fail reports a syntax error at the current token. The message shows it with
// its neighbours, spaced as in the text.
func (p *parser) fail() {
	if p.syntax != nil {
		return
	}
	bad, following := p.current, p.lex.next()
	from, to := bad.start, following.end
	if p.consumed > 0 {
		from = p.previous.start
	}
	if following.kind == endToken {
		to = bad.end
	}
	if bad.kind == endToken {
		bad.text, to = "<EOF>", p.previous.end
	}
	p.syntax = p.kind.invalid(fmt.Sprintf("Syntax error; token: \"%s\", near: \"%s\"", bad.text, p.lex.text[from:to]))
	p.lex.pos = len(p.lex.text)
	p.current = p.lex.next()
}

// Errors other than of syntax.

// report notes an error, unless one to be reported before it is known.
func (p *parser) report(f fault, format string, args ...any) {
	rank := priorities[p.kind]
	if p.fault == noFault || rank[f] < rank[p.fault] {
		p.fault, p.detail = f, fmt.Sprintf(format, args...)
	}
}

// operator counts an operator or function.
func (p *parser) operator() {
	p.operators++
	if p.operators > maxOperators {
		p.report(tooManyOperators, "The expression contains too many operators; operator count: %d", maxOperators+1)
	}
}

// open consumes the left parenthesis around a condition or operand and
// returns its number for closing it.
func (p *parser) open() int {
	p.expect(leftParen)
	return p.consumed - 1
}

// close consumes the right parenthesis. A pair is redundant if it encloses
// exactly another pair.
func (p *parser) close(open int) {
	if p.group == (parens{open + 1, p.consumed - 1}) {
		p.report(redundantParens, "The expression has redundant parentheses;")
	}
	p.expect(rightParen)
	p.group = parens{open, p.consumed - 1}
}

// Paths and constants.

// keywords of each kind are tokens of their own, so they cannot even be
// mistaken for an attribute; other reserved words can, and are reported.
var keywords = [...][]string{
	ConditionExpression:    conditionKeywords,
	FilterExpression:       conditionKeywords,
	KeyConditionExpression: conditionKeywords,
	ProjectionExpression:   nil,
	UpdateExpression:       {"SET", "REMOVE", "ADD", "DELETE"},
}

var conditionKeywords = []string{"AND", "OR", "NOT", "IN", "BETWEEN"}

func (p *parser) atKeyword() bool {
	for _, k := range keywords[p.kind] {
		if p.at(k) {
			return true
		}
	}
	return false
}

// path := elem ( "[" digits "]" | "." elem )*
func (p *parser) path() Path {
	return p.pathFrom(p.elem())
}

// pathFrom reads the rest of a path whose first element has been read. The
// paths of an expression share memory.
func (p *parser) pathFrom(first PathElem) Path {
	start := len(p.elems)
	p.elems = append(p.elems, first)
	for {
		switch {
		case p.accept(dot):
			p.elems = append(p.elems, p.elem())
		case p.accept(leftBracket):
			p.elems = append(p.elems, p.index())
			p.expect(rightBracket)
		default:
			path := Path(p.elems[start:len(p.elems):len(p.elems)])
			p.checkDepth(path)
			return path
		}
	}
}

func (p *parser) checkDepth(path Path) {
	if len(path) > maxDepth {
		p.report(badPath, "The document path has too many nesting levels; nesting levels: %d", len(path))
	}
}

// elem := word | "#name"
func (p *parser) elem() PathElem {
	switch {
	case p.current.kind == nameToken:
		return p.resolveName(p.advance())
	case p.current.kind == wordToken && !p.atKeyword():
		return p.attribute(p.advance())
	}
	p.fail()
	return PathElem{}
}

// attribute returns the element for a name that is written out.
func (p *parser) attribute(word token) PathElem {
	if isReserved(word.text) {
		p.report(reservedWord, "Attribute name is a reserved keyword; reserved keyword: %s", word.text)
	}
	return PathElem{Name: word.text}
}

func (p *parser) resolveName(t token) PathElem {
	name, ok := p.params.name(t.text)
	if !ok {
		p.report(undefinedName, "An expression attribute name used in the document path is not defined; attribute name: %s", t.text)
	}
	if p.params.cache != nil {
		p.uses.name(t.text, name)
	}
	return PathElem{Name: name}
}

func (p *parser) index() PathElem {
	t := p.current
	p.expect(numberToken)
	i, err := strconv.ParseUint(t.text, 10, 64)
	if p.syntax == nil && (err != nil || i > MaxIndex) {
		p.report(badPath, "List index is not within the allowable range; index: [%s]", t.text)
		i = 0
	}
	return PathElem{Index: int(i)}
}

// constant resolves the ":value" token that is next. The value is nil if it
// is not defined, which has been reported then.
func (p *parser) constant() (item.Value, slot) {
	t := p.advance()
	v, ok := p.params.value(t.text)
	if !ok {
		p.report(undefinedValue, "An expression attribute value used in expression is not defined; attribute value: %s", t.text)
	}
	if p.params.cache == nil {
		return v, 0
	}
	return v, p.uses.value(t.text, v)
}

// merge returns the tree of paths that must not be used twice.
func (p *parser) merge(paths []Path) tree {
	if p.syntax != nil {
		return nil
	}
	t, apart := newTree(paths)
	if !apart {
		p.reportPaths(paths)
	}
	return t
}

// reportPaths reports the first two paths that cannot be used together.
func (p *parser) reportPaths(paths []Path) {
	const rewrite = "must remove or rewrite one of these paths; path one: %s, path two: %s"
	for i, later := range paths {
		for _, earlier := range paths[:i] {
			switch earlier.relation(later) {
			case overlap:
				p.report(overlappingPaths, "Two document paths overlap with each other; "+rewrite, earlier, later)
			case conflicts:
				p.report(conflictingPaths, "Two document paths conflict with each other; "+rewrite, earlier, later)
			}
		}
	}
}
