package expr

import (
	"fmt"
	"strconv"

	"github.com/statordb/stator/item"
)

// String returns the condition in one line, with names and constants in place:
//
//	version = {N:3} AND size(tags) < {N:10}
func (c *Condition) String() string {
	if c == nil {
		return ""
	}
	w := newPrinter()
	c.root.appendText(w, bindsLoosest)
	return string(w.text)
}

// String returns the update in one line, with names and constants in place.
func (u *Update) String() string {
	if u == nil {
		return ""
	}
	w := newPrinter()
	w.update(u)
	return string(w.text)
}

// String returns the paths in one line.
func (p *Projection) String() string {
	if p == nil {
		return ""
	}
	w := newPrinter()
	for i, path := range p.paths {
		w.separate(i, ", ")
		w.path(path)
	}
	return string(w.text)
}

// A printer writes trees as text.
type printer struct {
	text  []byte
	name  func(string) string
	value func(item.Value) string
}

func newPrinter() *printer {
	return &printer{name: plainName, value: item.Value.String}
}

// plainName writes a name like an expression if it can stand there, else in
// quotation marks.
func plainName(name string) string {
	if name != "" && isLetter(name[0]) && isWord(name) && !isReserved(name) {
		return name
	}
	return strconv.Quote(name)
}

func (w *printer) print(s string) { w.text = append(w.text, s...) }

func (w *printer) printf(format string, args ...any) {
	w.text = fmt.Appendf(w.text, format, args...)
}

// separate writes the separator before all but the first of a list.
func (w *printer) separate(i int, separator string) {
	if i > 0 {
		w.print(separator)
	}
}

func (w *printer) path(p Path) {
	for i, e := range p {
		if e.IsIndex() {
			w.print(e.String())
			continue
		}
		w.separate(i, ".")
		w.print(w.name(e.Name))
	}
}

func (w *printer) operand(o operand) {
	if o.sized {
		o.sized = false
		w.call("size", o)
		return
	}
	if o.path != nil {
		w.path(o.path)
		return
	}
	w.print(w.value(o.value))
}

func (w *printer) operands(list []operand) {
	w.print("(")
	for i, o := range list {
		w.separate(i, ", ")
		w.operand(o)
	}
	w.print(")")
}

func (w *printer) call(function string, args ...operand) {
	w.print(function)
	w.operands(args)
}

// infix writes operands with words between them.
func (w *printer) infix(first operand, word string, second operand) {
	w.operand(first)
	w.printf(" %s ", word)
	w.operand(second)
}

// A binding is how tightly a place holds what stands there: a condition that
// binds less tightly needs parentheses.
type binding byte

const (
	bindsLoosest binding = iota // OR may stand here without parentheses
	bindsAnd                    // AND may
	bindsNot                    // NOT may
)

func (p or) appendText(w *printer, place binding) {
	w.junction(p, " OR ", place > bindsLoosest, bindsAnd)
}

func (p and) appendText(w *printer, place binding) {
	w.junction(p, " AND ", place > bindsAnd, bindsNot)
}

func (w *printer) junction(list []predicate, word string, parentheses bool, inside binding) {
	if parentheses {
		w.print("(")
	}
	for i, p := range list {
		w.separate(i, word)
		p.appendText(w, inside)
	}
	if parentheses {
		w.print(")")
	}
}

func (p not) appendText(w *printer, _ binding) {
	w.print("NOT ")
	p.predicate.appendText(w, bindsNot)
}

func (p *comparison) appendText(w *printer, _ binding) { w.infix(p.left, p.op.symbol(), p.right) }

func (p *between) appendText(w *printer, _ binding) {
	w.infix(p.subject, "BETWEEN", p.lower)
	w.print(" AND ")
	w.operand(p.upper)
}

func (p *in) appendText(w *printer, _ binding) {
	w.operand(p.subject)
	w.print(" IN ")
	w.operands(p.list)
}

func (p *exists) function() string {
	if p.want {
		return "attribute_exists"
	}
	return "attribute_not_exists"
}

func (p *exists) appendText(w *printer, _ binding) { w.call(p.function(), p.subject) }

func (p *hasType) appendText(w *printer, _ binding) {
	w.call("attribute_type", p.subject, operand{value: item.String(p.want.String())})
}

func (p *beginsWith) appendText(w *printer, _ binding) { w.call("begins_with", p.subject, p.prefix) }
func (p *contains) appendText(w *printer, _ binding)   { w.call("contains", p.subject, p.member) }

func (w *printer) update(u *Update) {
	for i := range u.actions {
		a := &u.actions[i]
		switch {
		case i == 0:
			w.printf("%s ", a.verb)
		case a.verb != u.actions[i-1].verb:
			w.printf(" %s ", a.verb)
		default:
			w.print(", ")
		}
		w.action(a)
	}
}

func (w *printer) action(a *action) {
	w.path(a.path)
	switch a.verb {
	case setVerb:
		w.print(" = ")
		w.source(&a.source)
	case addVerb, deleteVerb:
		w.print(" ")
		w.source(&a.source)
	}
}

func (w *printer) source(s *source) {
	switch s.op {
	case fromValue:
		w.print(w.value(s.value))
	case fromPath:
		w.path(s.path)
	case ifNotExists:
		w.print("if_not_exists(")
		w.path(s.path)
		w.print(", ")
		w.source(&s.args[0])
		w.print(")")
	case listAppend:
		w.print("list_append(")
		w.source(&s.args[0])
		w.print(", ")
		w.source(&s.args[1])
		w.print(")")
	default:
		w.source(&s.args[0])
		w.printf(" %s ", s.op)
		w.source(&s.args[1])
	}
}
