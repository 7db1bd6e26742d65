package expr

import "github.com/statordb/stator/item"

// A Need is a condition on whole top-level attributes that are equal to
// constants, present or missing. It is what can be answered by looking something
// up, instead of by looking at an item.
type Need struct {
	// Parts must all hold or, with Any, one of them; there are at least two. Only if
	// Attribute is "".
	Parts []*Need
	Any   bool

	// Attribute has one of Values; with none of them, it has any value. With
	// Absent it is missing.
	Attribute string
	Values    []item.Value
	Absent    bool
}

// Need returns what an item must meet, at least, to meet the condition, as far as
// that can be said of attributes for which about is true; nil if nothing can.
//
// Terms that are joined by AND need what any of them does. Those joined by OR
// need something only if each of them does.
func (c *Condition) Need(about func(name string) bool) *Need {
	if c == nil {
		return nil
	}
	return needOf(c.root, about)
}

func needOf(p predicate, about func(name string) bool) *Need {
	switch p := p.(type) {
	case and:
		return needOfAll(p, about)
	case or:
		return needOfAny(p, about)
	case not:
		if e, ok := p.predicate.(*exists); ok {
			return needOf(&exists{e.subject, !e.want}, about)
		}
	case *exists:
		if name, ok := p.subject.whole(about); ok {
			return &Need{Attribute: name, Absent: !p.want}
		}
	case *comparison:
		return p.need(about)
	case *in:
		return p.need(about)
	}
	return nil
}

func needOfAll(list and, about func(name string) bool) *Need {
	all := &Need{}
	for _, p := range list {
		if n := needOf(p, about); n != nil {
			all.Parts = append(all.Parts, n)
		}
	}
	switch len(all.Parts) {
	case 0:
		return nil
	case 1:
		return all.Parts[0]
	}
	return all
}

func needOfAny(list or, about func(name string) bool) *Need {
	either := &Need{Any: true}
	for _, p := range list {
		n := needOf(p, about)
		if n == nil {
			return nil
		}
		either.Parts = append(either.Parts, n)
	}
	return either
}

func (p *comparison) need(about func(name string) bool) *Need {
	if p.op != EQ {
		return nil
	}
	for _, o := range [][2]*operand{{&p.left, &p.right}, {&p.right, &p.left}} {
		if name, ok := o[0].whole(about); ok && o[1].isConstant() {
			return &Need{Attribute: name, Values: []item.Value{o[1].value}}
		}
	}
	return nil
}

func (p *in) need(about func(name string) bool) *Need {
	name, ok := p.subject.whole(about)
	if !ok {
		return nil
	}
	n := &Need{Attribute: name}
	for i := range p.list {
		if !p.list[i].isConstant() {
			return nil
		}
		n.Values = append(n.Values, p.list[i].value)
	}
	return n
}

// whole returns the name of the attribute that the operand stands for, if it is
// one of those that about names, and the operand is neither a part nor the size
// of it.
func (o *operand) whole(about func(name string) bool) (name string, ok bool) {
	if !o.isPath() || len(o.path) != 1 || !about(o.path[0].Name) {
		return "", false
	}
	return o.path[0].Name, true
}
