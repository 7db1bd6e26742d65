package item

// A Node is a value as a tree that can be changed: what updates work on.
//
// It is one of three things, told apart by which field is set:
//
//	Leaf  a value as it is, of any type: nobody has looked inside yet
//	Map   an M value opened up (never nil then, but maybe empty)
//	else  an L value opened up; List holds its elements
//
// Open turns a Leaf that is a map or list into the opened form, one level
// deep, so an update opens only what its paths lead through. A Node aliases
// the bytes it was made from. The zero Node is an empty list.
type Node struct {
	Leaf Value
	Map  map[string]*Node
	List []*Node
}

// Node returns v as a tree, not opened.
func (v Value) Node() *Node { return &Node{Leaf: v} }

// Node returns the item as an opened map. A nil item gives an empty one.
func (it Item) Node() *Node {
	n := &Node{Map: make(map[string]*Node, it.Len())}
	for name, v := range it.All() {
		n.Map[name] = v.Node()
	}
	return n
}

// Type returns the type of the value that n stands for.
func (n *Node) Type() Type {
	switch {
	case n.Leaf != nil:
		return n.Leaf.Type()
	case n.Map != nil:
		return M
	}
	return L
}

// Open opens a Leaf of type M or L and does nothing to other nodes. It returns
// n's type.
func (n *Node) Open() Type {
	t := n.Type()
	if n.Leaf == nil {
		return t
	}
	switch t {
	case M:
		*n = *n.Leaf.Item().Node()
	case L:
		list := make([]*Node, 0, n.Leaf.Len())
		for e := range n.Leaf.Elements() {
			list = append(list, e.Node())
		}
		*n = Node{List: list}
	}
	return t
}

// Value returns the value that n stands for.
func (n *Node) Value() Value {
	switch {
	case n.Leaf != nil:
		return n.Leaf
	case n.Map != nil:
		return MapOf(n.Item())
	}
	elements := make([]Value, len(n.List))
	for i, e := range n.List {
		elements[i] = e.Value()
	}
	return List(elements...)
}

// Item returns the attributes of a node of type M.
func (n *Node) Item() Item {
	if n.Leaf != nil {
		return n.Leaf.Item()
	}
	var b Builder
	for name, child := range n.Map { // the Builder sorts
		b.Set(name, child.Value())
	}
	return b.Item()
}
