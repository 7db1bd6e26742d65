package expr

import (
	"cmp"
	"slices"
)

// A tree holds the paths of a projection or an update, merged where they
// begin alike. The branches of one level are sorted as an item is: names by
// their bytes, list elements by position. For a.b, c[2], a.d:
//
//	a ─┬─ b (path 0)
//	   └─ d (path 2)
//	c ─── 2 (path 1)
type tree []branch

// A branch is one step.
type branch struct {
	PathElem
	below tree // nil where a path ends
	path  int  // the path that ends here, by its place in the expression
}

func (b *branch) isLeaf() bool { return b.below == nil }

// ofList reports whether the branches are elements of a list, not members of a
// map.
func (t tree) ofList() bool { return t[0].IsIndex() }

// newTree merges paths. It reports false for paths of which two overlap or
// conflict: then the tree lacks some of them.
func newTree(paths []Path) (t tree, apart bool) {
	order := make([]int, len(paths))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return slices.CompareFunc(paths[i], paths[j], compareElems)
	})
	g := grower{paths, true}
	return g.level(order, 0), g.apart
}

// compareElems sorts positions in a list before names.
func compareElems(a, b PathElem) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Index, b.Index))
}

type grower struct {
	paths []Path
	apart bool
}

// level returns the branches of one level: the paths in order, which is
// sorted and agrees in all steps before this one, grouped by this step.
func (g *grower) level(order []int, level int) tree {
	t := make(tree, 0, len(order))
	for len(order) > 0 {
		step := g.paths[order[0]][level]
		n := 1
		for n < len(order) && g.paths[order[n]][level] == step {
			n++
		}
		t = append(t, g.branch(step, order[:n], level))
		order = order[n:]
	}
	if len(t) > 0 && t[0].IsIndex() != t[len(t)-1].IsIndex() {
		g.apart = false // one value would be both list and map
	}
	return t
}

// branch grows what is behind a step that all of the paths share. The
// shortest of them is the first.
func (g *grower) branch(step PathElem, order []int, level int) branch {
	b := branch{PathElem: step, path: order[0]}
	switch ends := len(g.paths[order[0]]) == level+1; {
	case !ends:
		b.below = g.level(order, level+1)
	case len(order) > 1:
		g.apart = false // one path leads into the other
	}
	return b
}
