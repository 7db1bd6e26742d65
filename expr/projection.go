package expr

import (
	"iter"

	"github.com/statordb/stator/item"
)

// A Projection is a parsed projection expression, or AttributesToGet.
//
// A nil *Projection stands for none, which keeps everything. A Projection is
// immutable and safe for concurrent use.
type Projection struct {
	paths []Path // in source order; they neither overlap nor conflict
	tree  tree
}

// ParseProjection parses a projection expression. The error is an *Error.
//
// The grammar ("Projection expressions"):
//
//	projection := path ("," path)*
func ParseProjection(text string, params *Params) (*Projection, error) {
	if t, ok := params.cached(ProjectionExpression, text); ok {
		return t.projection, nil
	}
	if err := checkText(ProjectionExpression, text); err != nil {
		return nil, err
	}
	p := newParser(ProjectionExpression, text, params)
	paths := []Path{p.path()}
	for p.accept(comma) {
		paths = append(paths, p.path())
	}
	tree := p.merge(paths)
	if err := p.finish(); err != nil {
		return nil, err
	}
	projection := &Projection{paths, tree}
	p.remember(template{projection: projection})
	return projection, nil
}

// Paths returns the document paths in the order of the text.
func (p *Projection) Paths() iter.Seq[Path] {
	return func(yield func(Path) bool) {
		if p == nil {
			return
		}
		for _, path := range p.paths {
			if !yield(path) {
				return
			}
		}
	}
}

// Apply returns the parts of the item that the paths lead to, in the nesting
// they have in the item. Elements of a list move together: a[3], a[1] gives a
// list of two, in the order of the item. Paths that lead nowhere are skipped;
// the result is an empty item if all of them do. Keys are not added. No item,
// nil, stays none.
func (p *Projection) Apply(it item.Item) item.Item {
	if p == nil || it == nil {
		return it
	}
	return p.tree.project(it)
}

// project returns the members of a map that the paths lead to.
func (t tree) project(it item.Item) item.Item {
	var b item.Builder
	for i := range t {
		if v, ok := it.Get(t[i].Name); ok {
			if v, ok = t[i].reduce(v); ok {
				b.Set(t[i].Name, v)
			}
		}
	}
	return b.Item()
}

// reduce returns the parts of v that the paths through b lead to, if any.
func (b *branch) reduce(v item.Value) (item.Value, bool) {
	switch {
	case b.isLeaf():
		return v, true
	case v.Type() == item.L && b.below.ofList():
		return b.below.projectList(v)
	case v.Type() == item.M && !b.below.ofList():
		m := b.below.project(v.Item())
		return item.MapOf(m), m.Len() > 0
	}
	return nil, false
}

// projectList returns a list of the elements that the paths lead to.
func (t tree) projectList(list item.Value) (item.Value, bool) {
	var found []item.Value
	i := 0
	for v := range list.Elements() {
		if len(t) == 0 {
			break
		}
		if t[0].Index == i {
			if v, ok := t[0].reduce(v); ok {
				found = append(found, v)
			}
			t = t[1:]
		}
		i++
	}
	return item.List(found...), len(found) > 0
}
