package expr

import "github.com/statordb/stator/item"

// A condition can be taken apart when something is known, or wanted, of one
// attribute: which values it must have (Values), what remains to be checked of
// items where it has a certain one (Given), and what an index that is sorted
// by it can answer (TakeEqual, TakeRange). This is how a WHERE clause becomes
// a Query. Everything here is linear in the size of the condition.

// conjuncts returns the predicates that must all hold for p to hold.
func conjuncts(p predicate) []predicate {
	list, ok := p.(and)
	if !ok {
		return []predicate{p}
	}
	var all []predicate
	for _, q := range list {
		all = append(all, conjuncts(q)...)
	}
	return all
}

// condition returns the condition that all of the list hold.
func (p and) condition() *Condition {
	switch len(p) {
	case 0:
		return nil
	case 1:
		return &Condition{p[0]}
	}
	return &Condition{p}
}

// Values returns the values that the attribute may have in items that meet the
// condition, in the order of the text. It reports false if the condition does
// not limit the attribute to equality with constants.
func (c *Condition) Values(attr string) (values []item.Value, limited bool) {
	if c == nil {
		return nil, false
	}
	return valuesOf(c.root, attr)
}

func valuesOf(p predicate, attr string) ([]item.Value, bool) {
	switch p := p.(type) {
	case *comparison:
		if t, err := keyTerm(p); err == nil && t.Op == EQ && t.Attr == attr {
			return t.Values, true
		}
	case *in:
		return p.values(attr)
	case and:
		return valuesOfAll(p, attr)
	case or:
		return valuesOfAny(p, attr)
	}
	return nil, false
}

func (p *in) values(attr string) ([]item.Value, bool) {
	if !p.subject.isPath() || len(p.subject.path) != 1 || p.subject.path.Top() != attr {
		return nil, false
	}
	var u union
	for i := range p.list {
		if !p.list[i].isConstant() {
			return nil, false
		}
		u.add(p.list[i].value)
	}
	return u.values, true
}

// valuesOfAll: those that every limit admits.
func valuesOfAll(list and, attr string) (values []item.Value, limited bool) {
	for _, p := range list {
		v, ok := valuesOf(p, attr)
		switch {
		case ok && limited:
			values = intersect(values, v)
		case ok:
			values, limited = v, true
		}
	}
	return values, limited
}

// valuesOfAny: all of them, if each part has a limit.
func valuesOfAny(list or, attr string) ([]item.Value, bool) {
	var u union
	for _, p := range list {
		values, ok := valuesOf(p, attr)
		if !ok {
			return nil, false
		}
		for _, v := range values {
			u.add(v)
		}
	}
	return u.values, true
}

// A union is a set of values in the order in which they came.
type union struct {
	values []item.Value
	has    map[string]bool // by canonical form
}

func (u *union) add(v item.Value) {
	if u.has == nil {
		u.has = map[string]bool{}
	}
	if !u.has[string(v)] {
		u.has[string(v)] = true
		u.values = append(u.values, v)
	}
}

func intersect(left, right []item.Value) []item.Value {
	var u union
	for _, v := range right {
		u.add(v)
	}
	var both []item.Value
	for _, v := range left {
		if u.has[string(v)] {
			both = append(both, v)
		}
	}
	return both
}

// Given returns what remains of the condition for items whose attribute is v:
// nil for nothing. It reports false if no such item meets the condition.
func (c *Condition) Given(attr string, v item.Value) (rest *Condition, possible bool) {
	if c == nil {
		return nil, true
	}
	g := given{attr: attr, known: item.NewItem(map[string]item.Value{attr: v})}
	p, verdict := g.reduce(c.root)
	switch verdict {
	case met:
		return nil, true
	case unmet:
		return nil, false
	}
	return &Condition{p}, true
}

// A given is an attribute whose value is known.
type given struct {
	attr  string
	known item.Item // with this attribute only
}

// A verdict says whether a predicate can be decided.
type verdict byte

const (
	undecided verdict = iota
	met
	unmet
)

func verdictOf(holds bool) verdict {
	if holds {
		return met
	}
	return unmet
}

// reduce decides p, or returns what is left of it.
func (g *given) reduce(p predicate) (predicate, verdict) {
	switch p := p.(type) {
	case and:
		list, decided := g.reduceList(p, unmet)
		if decided {
			return nil, unmet
		}
		return oneOr(list, and(list), met)
	case or:
		list, decided := g.reduceList(p, met)
		if decided {
			return nil, met
		}
		return oneOr(list, or(list), unmet)
	case not:
		q, v := g.reduce(p.predicate)
		if v != undecided {
			return nil, verdictOf(v == unmet)
		}
		return not{q}, undecided
	}
	if p.visit(func(o *operand) bool { return o.path == nil || o.path.Top() == g.attr }) {
		return nil, verdictOf(p.eval(g.known))
	}
	return p, undecided
}

// reduceList returns the undecided ones of a list, or that one of them is
// decided in the way that decides the list.
func (g *given) reduceList(list []predicate, deciding verdict) (left []predicate, decided bool) {
	for _, p := range list {
		q, v := g.reduce(p)
		switch v {
		case deciding:
			return nil, true
		case undecided:
			left = append(left, q)
		}
	}
	return left, false
}

// oneOr returns a list of predicates in its simplest form; verdict is that of an
// empty one.
func oneOr(list []predicate, whole predicate, empty verdict) (predicate, verdict) {
	switch len(list) {
	case 0:
		return nil, empty
	case 1:
		return list[0], undecided
	}
	return whole, undecided
}

// TakeEqual splits the condition into attr = v and what else must be met. It
// reports false if the condition does not consist of such parts.
func (c *Condition) TakeEqual(attr string) (v item.Value, rest *Condition, ok bool) {
	if c == nil {
		return nil, nil, false
	}
	parts := conjuncts(c.root)
	for i, p := range parts {
		if t, err := keyTerm(p); err == nil && t.Op == EQ && t.Attr == attr {
			return t.Values[0], without(parts, i).condition(), true
		}
	}
	return nil, c, false
}

// TakeRange splits the condition into a term that selects a range of the
// attribute, as narrow as one term can, and what else must be met. It reports
// false if the condition does not consist of such parts.
func (c *Condition) TakeRange(attr string) (term KeyTerm, rest *Condition, ok bool) {
	if c == nil {
		return KeyTerm{}, nil, false
	}
	if v, rest, ok := c.TakeEqual(attr); ok {
		return KeyTerm{attr, EQ, []item.Value{v}}, rest, true
	}
	parts := conjuncts(c.root)
	found := rangesOf(parts, attr)
	switch {
	case found.whole >= 0:
		t, _ := keyTerm(parts[found.whole])
		return t, without(parts, found.whole).condition(), true
	case found.lower >= 0 && found.upper >= 0:
		return joined(parts, found)
	case found.lower >= 0:
		t, _ := keyTerm(parts[found.lower])
		return t, without(parts, found.lower).condition(), true
	case found.upper >= 0:
		t, _ := keyTerm(parts[found.upper])
		return t, without(parts, found.upper).condition(), true
	}
	return KeyTerm{}, c, false
}

// ranges are the first terms of each kind by their place, -1 for none.
type ranges struct {
	whole        int // BETWEEN or begins_with
	lower, upper int // > or >=, < or <=
}

func rangesOf(parts []predicate, attr string) ranges {
	found := ranges{-1, -1, -1}
	first := func(at *int, i int) {
		if *at < 0 {
			*at = i
		}
	}
	for i, p := range parts {
		t, err := keyTerm(p)
		if err != nil || t.Attr != attr {
			continue
		}
		switch t.Op {
		case BETWEEN, BEGINS_WITH:
			first(&found.whole, i)
		case GT, GE:
			first(&found.lower, i)
		case LT, LE:
			first(&found.upper, i)
		}
	}
	return found
}

// joined makes one BETWEEN of a lower and an upper bound. A bound that is not
// part of the range stays in the rest.
func joined(parts []predicate, found ranges) (term KeyTerm, rest *Condition, ok bool) {
	lower, _ := keyTerm(parts[found.lower])
	upper, _ := keyTerm(parts[found.upper])
	term = KeyTerm{lower.Attr, BETWEEN, []item.Value{lower.Values[0], upper.Values[0]}}
	var left and
	for i, p := range parts {
		if i == found.lower && lower.Op == GE || i == found.upper && upper.Op == LE {
			continue
		}
		left = append(left, p)
	}
	return term, left.condition(), true
}

func without(list []predicate, i int) and {
	rest := make(and, 0, len(list)-1)
	return append(append(rest, list[:i]...), list[i+1:]...)
}
