package expr

import (
	"slices"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/statordb/stator/item"
)

// A Cache keeps the trees of expressions, by their text, for requests that
// repeat it with other values. Params made by the Cache parse through it.
//
// What is kept is the tree with its constants taken out. A later request gets
// a copy with its own, if nothing that the parser looks at differs: each
// "#name" stands for the same attribute, each ":value" is of the same type,
// and what depends on a value itself (the order of BETWEEN's bounds, the name
// of a type) holds again. Whatever differs is parsed. So errors come from the
// parser alone, and results are the same with and without a Cache.
//
// It has cacheSets sets of cacheWays places and forgets the oldest text of a
// full set. Texts above maxCached bytes are not kept, so a full Cache of the
// most complex expressions takes about 30 MB, and one of usual ones less than
// 1 MB.
//
// The zero Cache is empty and ready to use. It is safe for concurrent use: a
// place is replaced as a whole, and it does not matter which one of two
// requests at a time wins.
type Cache struct {
	sets [cacheSets][cacheWays]atomic.Pointer[template]
}

const (
	cacheSets = 128
	cacheWays = 4
	maxCached = 2048 // bytes of text and attribute names
)

// Params returns the parameters of a request whose expressions are parsed
// through the cache; see NewParams. No Cache, nil, remembers nothing.
func (c *Cache) Params(names map[string]string, values item.Item) *Params {
	return &Params{names: names, values: values, cache: c}
}

// A template is an expression without its constants. It is immutable.
type template struct {
	kind Kind
	text string
	uses uses

	nameKeys, valueKeys []string // of uses, sorted; shared with Params

	// One of them, as kind says.
	condition  *Condition
	update     *Update
	projection *Projection
}

// uses are the placeholders of an expression and what the parser took them for.
type uses struct {
	names  []usedName
	values []usedValue // by slot, from 1
	size   int         // bytes of attribute names
	many   bool        // more of them than are counted
}

// maxUses bounds the placeholders of one expression that is kept.
const maxUses = 64

// A usedName is a "#name" and the attribute it stands for.
type usedName struct{ key, attr string }

// A usedValue is a ":value" and what it must be like.
type usedValue struct {
	key  string
	kind item.Type
	only item.Value // the value itself; nil: any of its type
}

// A slot is the place of a ":value" among those of its expression, counted
// from 1; 0 means none: a constant that came from elsewhere.
type slot byte

func (u *uses) name(key, attr string) {
	switch n := (usedName{key, attr}); {
	case slices.Contains(u.names, n):
	case len(u.names) == maxUses:
		u.many = true
	default:
		u.names = append(u.names, n)
		u.size += len(attr)
	}
}

// value returns the slot of a ":value", a new one at its first use.
func (u *uses) value(key string, v item.Value) slot {
	i := slices.IndexFunc(u.values, func(used usedValue) bool { return used.key == key })
	switch {
	case i >= 0:
		return slot(i + 1)
	case len(u.values) == maxUses:
		u.many = true
		return 0
	}
	u.values = append(u.values, usedValue{key: key, kind: v.Type()})
	return slot(len(u.values))
}

func (c *Cache) set(text string) *[cacheWays]atomic.Pointer[template] {
	return &c.sets[xxhash.Sum64String(text)%cacheSets]
}

// find returns the tree of a text with the constants of p, if it is known.
func (c *Cache) find(kind Kind, text string, p *Params) (template, bool) {
	set := c.set(text)
	for i := range set {
		t := set[i].Load()
		if t == nil {
			break
		}
		if t.kind == kind && t.text == text {
			if bound, ok := t.bind(p); ok {
				return bound, true
			}
		}
	}
	return template{}, false
}

// add puts a template in front of its set.
func (c *Cache) add(t *template) {
	set := c.set(t.text)
	for i := range set {
		if t = set[i].Swap(t); t == nil {
			return
		}
	}
}

// bind returns the template's tree with the constants of p, unless p differs in
// what the parser would look at.
func (t *template) bind(p *Params) (bound template, ok bool) {
	for _, n := range t.uses.names {
		if p.names[n.key] != n.attr {
			return bound, false
		}
	}
	bound = *t
	if n := len(t.uses.values); n > 0 {
		b := binder{values: make([]item.Value, n)}
		for i := range t.uses.values {
			if b.values[i], ok = t.uses.values[i].get(p); !ok {
				return bound, false
			}
		}
		bound.condition, bound.update = b.condition(t.condition), b.update(t.update)
		if b.refused {
			return bound, false
		}
	}
	t.use(p)
	return bound, true
}

// get returns the value for this use, if p has one that fits.
func (u *usedValue) get(p *Params) (item.Value, bool) {
	if p.values == nil {
		return nil, false
	}
	v, ok := p.values.Get(u.key)
	return v, ok && v.Type() == u.kind && (u.only == nil || v.Equal(u.only))
}

// use notes in p what the expression uses.
func (t *template) use(p *Params) {
	p.usedNames = merged(p.usedNames, t.nameKeys)
	p.usedValues = merged(p.usedValues, t.valueKeys)
}

// merged returns the keys of both sorted lists, of which the second one has no
// room behind it. It changes the first one only.
func merged(used, more []string) []string {
	if len(used) == 0 {
		return more
	}
	for _, key := range more {
		used = insert(used, key)
	}
	return used
}

// cached returns what the cache of p knows of a text, if it has one.
func (p *Params) cached(kind Kind, text string) (template, bool) {
	if p == nil || p.cache == nil || len(text) > maxCached {
		return template{}, false
	}
	return p.cache.find(kind, text, p)
}

// remember adds the tree that the parser has made of a text to the cache,
// without constants: they lie in memory of the request.
func (p *parser) remember(t template) {
	if p.params.cache == nil || p.uses.many || len(p.lex.text)+p.uses.size > maxCached {
		return
	}
	p.params.cache.add(p.template(t))
}

// template completes t, which has a tree.
func (p *parser) template(t template) *template {
	t.kind, t.text, t.uses = p.kind, p.lex.text, p.uses
	for _, n := range t.uses.names {
		t.nameKeys = insert(t.nameKeys, n.key)
	}
	for _, v := range t.uses.values {
		t.valueKeys = insert(t.valueKeys, v.key)
	}
	t.nameKeys, t.valueKeys = slices.Clip(t.nameKeys), slices.Clip(t.valueKeys)
	b := binder{values: make([]item.Value, len(t.uses.values))}
	t.condition, t.update = b.condition(t.condition), b.update(t.update)
	return &t
}
