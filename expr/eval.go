package expr

import (
	"bytes"
	"strconv"

	"github.com/statordb/stator/item"
)

// Eval reports whether the item meets the condition, by the rules of
// "Comparison operator and function reference". A nil item is one that does
// not exist: every path is missing then.
//
// Comparisons work on the item's binary form and, but for size, do not
// allocate.
func (c *Condition) Eval(it item.Item) bool {
	return c == nil || c.root.eval(it)
}

// resolve returns the value of the operand for the item, if there is one.
func (o *operand) resolve(it item.Item) (v item.Value, ok bool) {
	v, ok = o.value, true
	if o.path != nil {
		v, ok = o.path.find(it)
	}
	if ok && o.sized {
		return sizeOf(v)
	}
	return v, ok
}

// sizeOf returns the number that size(v) stands for: bytes of a string or
// binary, elements of a set, list or map. Other types have no size.
func sizeOf(v item.Value) (item.Value, bool) {
	n := v.Len()
	switch t := v.Type(); {
	case !hasSize(t):
		return nil, false
	case t == item.S || t == item.B:
		n = len(v.Bytes())
	}
	size, err := item.Num(strconv.Itoa(n))
	return size, err == nil
}

func hasSize(t item.Type) bool { return t != item.N && t != item.BOOL && t != item.NULL }

func (p or) eval(it item.Item) bool {
	for _, q := range p {
		if q.eval(it) {
			return true
		}
	}
	return false
}

func (p and) eval(it item.Item) bool {
	for _, q := range p {
		if !q.eval(it) {
			return false
		}
	}
	return true
}

func (p not) eval(it item.Item) bool { return !p.predicate.eval(it) }

// A comparison with something missing is false, with one exception: a <> :v
// is true of items that lack a. A size that does not exist, be it of a
// missing attribute or of a number, compares with nothing.
func (p *comparison) eval(it item.Item) bool {
	left, hasLeft := p.left.resolve(it)
	right, hasRight := p.right.resolve(it)
	switch {
	case hasLeft && hasRight:
		return p.op.holds(left, right)
	case hasLeft:
		return p.op == NE && !p.right.sized
	case hasRight:
		return p.op == NE && !p.left.sized
	}
	return false
}

func (p *between) eval(it item.Item) bool {
	subject, hasSubject := p.subject.resolve(it)
	lower, hasLower := p.lower.resolve(it)
	upper, hasUpper := p.upper.resolve(it)
	return hasSubject && hasLower && hasUpper && GE.holds(subject, lower) && LE.holds(subject, upper)
}

func (p *in) eval(it item.Item) bool {
	subject, ok := p.subject.resolve(it)
	if !ok {
		return false
	}
	for i := range p.list {
		if v, ok := p.list[i].resolve(it); ok && v.Equal(subject) {
			return true
		}
	}
	return false
}

// An attribute of type NULL exists.
func (p *exists) eval(it item.Item) bool {
	_, ok := p.subject.path.find(it)
	return ok == p.want
}

func (p *hasType) eval(it item.Item) bool {
	v, ok := p.subject.resolve(it)
	return ok && v.Type() == p.want
}

func (p *beginsWith) eval(it item.Item) bool {
	subject, hasSubject := p.subject.resolve(it)
	prefix, hasPrefix := p.prefix.resolve(it)
	return hasSubject && hasPrefix && sameText(subject, prefix) && bytes.HasPrefix(subject.Bytes(), prefix.Bytes())
}

func (p *contains) eval(it item.Item) bool {
	subject, hasSubject := p.subject.resolve(it)
	member, hasMember := p.member.resolve(it)
	return hasSubject && hasMember && holdsMember(subject, member)
}

// holdsMember: a string or binary contains a part of itself; a set or list an
// element. A map contains nothing.
func holdsMember(v, member item.Value) bool {
	switch v.Type() {
	case item.S, item.B:
		return sameText(v, member) && bytes.Contains(v.Bytes(), member.Bytes())
	case item.SS, item.NS, item.BS:
		return v.Contains(member)
	case item.L:
		for e := range v.Elements() {
			if e.Equal(member) {
				return true
			}
		}
	}
	return false
}

// sameText reports whether both values are strings or both are binary.
func sameText(v, w item.Value) bool {
	return v.Type() == w.Type() && (v.Type() == item.S || v.Type() == item.B)
}
