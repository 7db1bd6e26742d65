package expr

import (
	"iter"

	"github.com/statordb/stator/item"
)

// A Condition is a parsed condition or filter expression.
//
// A nil *Condition stands for none, which every item meets. A Condition is
// immutable and safe for concurrent use.
type Condition struct {
	root predicate
}

// A predicate is a node of a condition that is true or false of an item.
type predicate interface {
	eval(it item.Item) bool                // eval.go
	bind(b *binder) predicate              // bind.go
	visit(yield func(*operand) bool) bool  // operands in source order; false to stop
	appendBinary(dst []byte) []byte        // codec.go
	appendText(w *printer, parent binding) // print.go
}

type (
	or  []predicate // at least two
	and []predicate // at least two
	not struct{ predicate }

	// comparison: left = right and so on.
	comparison struct {
		op          Op // EQ to GE
		left, right operand
	}
	// between: subject BETWEEN lower AND upper.
	between struct{ subject, lower, upper operand }
	// in: subject IN (list...).
	in struct {
		subject operand
		list    []operand // at least one
	}
	// exists: attribute_exists(subject) or attribute_not_exists(subject).
	exists struct {
		subject operand // a path
		want    bool
	}
	// hasType: attribute_type(subject, :t).
	hasType struct {
		subject operand
		want    item.Type
	}
	// beginsWith: begins_with(subject, prefix).
	beginsWith struct{ subject, prefix operand }
	// contains: contains(subject, member).
	contains struct{ subject, member operand }
)

// An operand is a document path, a constant, or the size of one of them.
type operand struct {
	path  Path       // nil for a constant
	value item.Value // the constant
	sized bool       // size(...)
	slot  slot       // of the constant
}

// constType returns the type that the operand has for every item, if that is
// known: that of a constant; a size is a number.
func (o *operand) constType() (t item.Type, known bool) {
	switch {
	case o.sized:
		return item.N, true
	case o.value != nil:
		return o.value.Type(), true
	}
	return 0, false
}

// isPath reports whether the operand is a path and nothing else.
func (o *operand) isPath() bool { return o.path != nil && !o.sized }

// isConstant reports whether the operand is a constant and nothing else.
func (o *operand) isConstant() bool { return o.value != nil && !o.sized }

// Paths returns the document paths in the order of the text.
func (c *Condition) Paths() iter.Seq[Path] {
	return func(yield func(Path) bool) {
		if c == nil {
			return
		}
		c.root.visit(func(o *operand) bool { return o.path == nil || yield(o.path) })
	}
}

func (p or) visit(yield func(*operand) bool) bool  { return visitAll(p, yield) }
func (p and) visit(yield func(*operand) bool) bool { return visitAll(p, yield) }
func (p not) visit(yield func(*operand) bool) bool { return p.predicate.visit(yield) }

func visitAll(list []predicate, yield func(*operand) bool) bool {
	for _, p := range list {
		if !p.visit(yield) {
			return false
		}
	}
	return true
}

func (p *comparison) visit(yield func(*operand) bool) bool {
	return yield(&p.left) && yield(&p.right)
}

func (p *between) visit(yield func(*operand) bool) bool {
	return yield(&p.subject) && yield(&p.lower) && yield(&p.upper)
}

func (p *in) visit(yield func(*operand) bool) bool {
	if !yield(&p.subject) {
		return false
	}
	for i := range p.list {
		if !yield(&p.list[i]) {
			return false
		}
	}
	return true
}

func (p *exists) visit(yield func(*operand) bool) bool  { return yield(&p.subject) }
func (p *hasType) visit(yield func(*operand) bool) bool { return yield(&p.subject) }

func (p *beginsWith) visit(yield func(*operand) bool) bool {
	return yield(&p.subject) && yield(&p.prefix)
}

func (p *contains) visit(yield func(*operand) bool) bool {
	return yield(&p.subject) && yield(&p.member)
}
