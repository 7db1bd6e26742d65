package expr

import "github.com/statordb/stator/item"

// A binder copies trees, with other constants in the place of those that came
// from the request. What has none is shared with the original.
type binder struct {
	values  []item.Value // by slot, from 1; nil while taking constants out
	refused bool         // the parser would refuse these constants
}

func (b *binder) condition(c *Condition) *Condition {
	if c == nil || len(b.values) == 0 {
		return c
	}
	return &Condition{c.root.bind(b)}
}

func (b *binder) update(u *Update) *Update {
	if u == nil || len(b.values) == 0 {
		return u
	}
	bound := *u
	bound.actions = make([]action, len(u.actions))
	for i, a := range u.actions {
		a.source = b.source(a.source)
		bound.actions[i] = a
	}
	return &bound
}

func (b *binder) source(s source) source {
	if s.slot > 0 {
		s.value = b.values[s.slot-1]
	}
	if len(s.args) > 0 {
		args := make([]source, len(s.args))
		for i := range s.args {
			args[i] = b.source(s.args[i])
		}
		s.args = args
	}
	return s
}

func (b *binder) operand(o operand) operand {
	if o.slot > 0 {
		o.value = b.values[o.slot-1]
	}
	return o
}

func (b *binder) all(list []predicate) []predicate {
	bound := make([]predicate, len(list))
	for i, p := range list {
		bound[i] = p.bind(b)
	}
	return bound
}

func (p or) bind(b *binder) predicate  { return or(b.all(p)) }
func (p and) bind(b *binder) predicate { return and(b.all(p)) }
func (p not) bind(b *binder) predicate { return not{p.predicate.bind(b)} }

func (p *comparison) bind(b *binder) predicate {
	return &comparison{p.op, b.operand(p.left), b.operand(p.right)}
}

func (p *between) bind(b *binder) predicate {
	bound := &between{b.operand(p.subject), b.operand(p.lower), b.operand(p.upper)}
	if bound.lower.isConstant() && bound.upper.isConstant() && GT.holds(bound.lower.value, bound.upper.value) {
		b.refused = true
	}
	return bound
}

func (p *in) bind(b *binder) predicate {
	bound := &in{b.operand(p.subject), make([]operand, len(p.list))}
	for i := range p.list {
		bound.list[i] = b.operand(p.list[i])
	}
	return bound
}

func (p *exists) bind(*binder) predicate    { return p }
func (p *hasType) bind(b *binder) predicate { return &hasType{b.operand(p.subject), p.want} }

func (p *beginsWith) bind(b *binder) predicate {
	return &beginsWith{b.operand(p.subject), b.operand(p.prefix)}
}

func (p *contains) bind(b *binder) predicate {
	return &contains{b.operand(p.subject), b.operand(p.member)}
}
