package expr

import (
	"slices"
	"strconv"

	"github.com/statordb/stator/item"
)

// A Path is a document path: where a value lives inside an item. The path
// a.b[2].c has four elements: a, b, 2 and c.
//
// Invariant: a path has at least one element, the first one is a name, and no
// path of an expression has more than maxDepth elements.
type Path []PathElem

// A PathElem is one step: a member of a map or an element of a list.
type PathElem struct {
	Name  string // attribute name; empty means a list element
	Index int    // position in a list, from 0; 0 for a name
}

// maxDepth is how many elements a document path may have; "Service, account,
// and table quotas", nested attribute depth.
const maxDepth = 32

// IsIndex reports whether e selects an element of a list.
func (e PathElem) IsIndex() bool { return e.Name == "" }

// String returns the name, or the position in brackets.
func (e PathElem) String() string {
	if e.IsIndex() {
		return "[" + strconv.Itoa(e.Index) + "]"
	}
	return e.Name
}

// String returns the path as error messages print it: [a, [0], b].
func (p Path) String() string {
	dst := []byte{'['}
	for i, e := range p {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(dst, e.String()...)
	}
	return string(append(dst, ']'))
}

// Top returns the name of the top-level attribute.
func (p Path) Top() string { return p[0].Name }

// Equal reports whether p and q are the same path.
func (p Path) Equal(q Path) bool { return slices.Equal(p, q) }

// Find returns the value at p, if the item has one. A nil item has none.
func (p Path) Find(it item.Item) (item.Value, bool) { return p.find(it) }

// find returns the value at p, if the item has one. A nil item has none.
func (p Path) find(it item.Item) (item.Value, bool) {
	if len(it) == 0 {
		return nil, false
	}
	v, ok := it.Get(p[0].Name)
	for _, e := range p[1:] {
		if !ok {
			return nil, false
		}
		v, ok = e.find(v)
	}
	return v, ok
}

// find returns the value one step below v.
func (e PathElem) find(v item.Value) (item.Value, bool) {
	switch {
	case e.IsIndex() && v.Type() == item.L:
		return v.Index(e.Index)
	case !e.IsIndex() && v.Type() == item.M:
		return v.Item().Get(e.Name)
	}
	return nil, false
}

// A relation says how two paths of one expression stand to each other.
type relation byte

const (
	apart     relation = iota // both can be written, in any order
	overlap                   // one is equal to, or inside, the other
	conflicts                 // they need one value to be both map and list
)

func (p Path) relation(q Path) relation {
	for i := range min(len(p), len(q)) {
		switch {
		case p[i] == q[i]:
		case p[i].IsIndex() != q[i].IsIndex():
			return conflicts
		default:
			return apart
		}
	}
	return overlap
}
