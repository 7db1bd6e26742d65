package sim

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// A ListOp appends to a list, or reads several lists at one moment. What a list is
// tells in which order everything was appended to it, so that no search is needed
// to say whether a history is strictly serializable: it is a question of cycles.
// Kingsbury, Alvaro: "Elle: Inferring Isolation Anomalies from Experimental
// Observations", VLDB 2020.
type ListOp struct {
	Client       int
	Call, Return int64 // places in the history; Return 0: no answer
	Outcome      Outcome

	Key, Element string              // of an append; the element is unique in the history
	Saw          map[string][]string // lists by key: of a read, or of an append that answers with its list
}

func (o *ListOp) isAppend() bool { return o.Element != "" }

func (o *ListOp) String() string {
	if o.isAppend() {
		return fmt.Sprintf("client %d appends %s to %s", o.Client, o.Element, o.Key)
	}
	var lists []string
	for _, key := range o.keys() {
		lists = append(lists, fmt.Sprintf("%s=[%s]", key, strings.Join(tail(o.Saw[key], 4), " ")))
	}
	return fmt.Sprintf("client %d reads %s", o.Client, strings.Join(lists, ", "))
}

func tail(list []string, n int) []string {
	if len(list) > n {
		return append([]string{"..."}, list[len(list)-n:]...)
	}
	return list
}

func (o *ListOp) keys() (keys []string) {
	for key := range o.Saw {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// CheckLists reports whether the operations can have taken effect one after the
// other, each between its call and its return. The error names a list that cannot
// be, or a shortest cycle of operations of which each must come before the next.
func CheckLists(operations []*ListOp) error {
	g := &listGraph{appended: map[string]*ListOp{}, orders: map[string][]string{}, number: map[*ListOp]int{}}
	for _, o := range operations {
		if o.Outcome == Failed || !o.isAppend() && o.Outcome != Done {
			continue
		}
		if o.isAppend() {
			g.appended[o.Element] = o
		}
		g.number[o] = len(g.operations)
		g.operations = append(g.operations, o)
	}
	if err := g.findOrders(); err != nil {
		return found(Serializability, err)
	}
	g.findUnseen()
	g.edges = make([][]edge, len(g.operations))
	g.orderWrites()
	g.orderReads()
	g.orderTimes()
	if cycle := g.cycle(); cycle != nil {
		return found(Serializability, fmt.Errorf("sim: no order of the list operations explains their answers:\n%s", g.tell(cycle)))
	}
	return nil
}

// A listGraph has an edge from each operation to those that must come after it.
type listGraph struct {
	operations []*ListOp
	number     map[*ListOp]int
	appended   map[string]*ListOp   // by element
	orders     map[string][]string  // by key: all elements that anybody saw, in order
	unseen     map[string][]*ListOp // by key: appends that were acknowledged and never seen
	edges      [][]edge             // beyond the operations there are moments, see orderTimes
}

type edge struct {
	to  int
	why string
}

func (g *listGraph) add(from, to int, why string) {
	if from != to {
		g.edges[from] = append(g.edges[from], edge{to, why})
	}
}

// findOrders takes the longest list of each key for the order of its elements. All
// others must be the beginning of it.
func (g *listGraph) findOrders() error {
	for _, o := range g.operations {
		for _, key := range o.keys() {
			if list, known := g.orders[key]; !known || len(o.Saw[key]) > len(list) {
				g.orders[key] = o.Saw[key]
			}
		}
	}
	for _, o := range g.operations {
		for _, key := range o.keys() {
			list, order := o.Saw[key], g.orders[key]
			if !slices.Equal(list, order[:len(list)]) {
				return fmt.Errorf("sim: list %s has two orders: %s, but it was also [%s]", key, o, strings.Join(order, " "))
			}
		}
		if o.isAppend() && o.Outcome == Done && o.Saw != nil {
			if list := o.Saw[o.Key]; len(list) == 0 || list[len(list)-1] != o.Element {
				return fmt.Errorf("sim: list %s: %s and is shown [%s]", o.Key, o, strings.Join(list, " "))
			}
		}
	}
	return g.checkElements()
}

func (g *listGraph) checkElements() error {
	for _, key := range sortedKeys(g.orders) {
		seen := map[string]bool{}
		for _, element := range g.orders[key] {
			o := g.appended[element]
			switch {
			case seen[element]:
				return fmt.Errorf("sim: list %s has %s twice", key, element)
			case o == nil:
				return fmt.Errorf("sim: list %s has %s, which nobody has appended, or of which its client was told that it failed", key, element)
			case o.Key != key:
				return fmt.Errorf("sim: list %s has %s, which was appended to %s", key, element, o.Key)
			case o.Outcome == Refused:
				return fmt.Errorf("sim: list %s has %s, which was refused", key, element)
			}
			seen[element] = true
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// orderWrites adds an edge from each append to the one behind it. Those that were
// acknowledged and nobody saw come behind all that was seen.
func (g *listGraph) orderWrites() {
	for _, key := range sortedKeys(g.orders) {
		order := g.orders[key]
		for i := 1; i < len(order); i++ {
			g.add(g.append(order[i-1]), g.append(order[i]), fmt.Sprintf("in list %s, %s stands before %s", key, order[i-1], order[i]))
		}
		for _, o := range g.unseen[key] {
			if n := len(order); n > 0 {
				g.add(g.append(order[n-1]), g.number[o], fmt.Sprintf("in list %s, %s was seen and %s never", key, order[n-1], o.Element))
			}
		}
	}
}

func (g *listGraph) append(element string) int { return g.number[g.appended[element]] }

func (g *listGraph) findUnseen() {
	seen := map[string]bool{}
	for _, order := range g.orders {
		for _, element := range order {
			seen[element] = true
		}
	}
	g.unseen = map[string][]*ListOp{}
	for _, o := range g.operations {
		if o.isAppend() && o.Outcome == Done && !seen[o.Element] {
			g.unseen[o.Key] = append(g.unseen[o.Key], o)
		}
	}
}

// orderReads puts each reader behind the append that it saw last, and before the
// first one that it did not see.
func (g *listGraph) orderReads() {
	for _, o := range g.operations {
		if o.isAppend() {
			continue
		}
		for _, key := range o.keys() {
			list, order := o.Saw[key], g.orders[key]
			if n := len(list); n > 0 {
				g.add(g.append(list[n-1]), g.number[o], fmt.Sprintf("it saw %s in %s", list[n-1], key))
			}
			if n := len(list); n < len(order) {
				g.add(g.number[o], g.append(order[n]), fmt.Sprintf("it did not see %s in %s", order[n], key))
				continue
			}
			for _, u := range g.unseen[key] {
				g.add(g.number[o], g.number[u], fmt.Sprintf("it did not see %s in %s", u.Element, key))
			}
		}
	}
}

// orderTimes puts what was called after something had returned behind it. Instead
// of an edge for each such pair there is a chain of moments:
//
//	returned → moment → moment → called
func (g *listGraph) orderTimes() {
	var returns []int64
	for _, o := range g.operations {
		if o.Return > 0 && o.Outcome != Unknown {
			returns = append(returns, o.Return)
		}
	}
	slices.Sort(returns)
	returns = slices.Compact(returns)
	n := len(g.operations)
	g.edges = append(g.edges, make([][]edge, len(returns))...)
	for i := 1; i < len(returns); i++ {
		g.add(n+i-1, n+i, "")
	}
	for i, o := range g.operations {
		if o.Return > 0 && o.Outcome != Unknown {
			at, _ := slices.BinarySearch(returns, o.Return)
			g.add(i, n+at, "")
		}
		if before := sort.Search(len(returns), func(k int) bool { return returns[k] >= o.Call }); before > 0 {
			g.add(n+before-1, i, "it was called later")
		}
	}
}

// cycle returns a shortest cycle through one of the operations that are in one,
// nil if there is none.
func (g *listGraph) cycle() []int {
	var best []int
	for _, component := range g.components() {
		for _, start := range component {
			if start >= len(g.operations) || best != nil && len(best) <= 2 {
				continue
			}
			if c := g.shortest(start, component); c != nil && (best == nil || len(c) < len(best)) {
				best = c
			}
		}
		if best != nil {
			return best
		}
	}
	return nil
}

// components returns the strongly connected components of more than one node, by
// Tarjan's algorithm with a stack of its own: histories are long.
func (g *listGraph) components() (list [][]int) {
	n := len(g.edges)
	index, low, onStack := make([]int, n), make([]int, n), make([]bool, n)
	next, count := make([]int, n), 0
	var stack, path []int
	for root := range n {
		if index[root] > 0 {
			continue
		}
		path = append(path, root)
		for len(path) > 0 {
			v := path[len(path)-1]
			if index[v] == 0 {
				count++
				index[v], low[v], onStack[v] = count, count, true
				stack = append(stack, v)
			}
			if next[v] < len(g.edges[v]) {
				w := g.edges[v][next[v]].to
				next[v]++
				switch {
				case index[w] == 0:
					path = append(path, w)
				case onStack[w]:
					low[v] = min(low[v], index[w])
				}
				continue
			}
			path = path[:len(path)-1]
			if len(path) > 0 {
				up := path[len(path)-1]
				low[up] = min(low[up], low[v])
			}
			if low[v] != index[v] {
				continue
			}
			at := len(stack) - 1
			for stack[at] != v {
				at--
			}
			if component := stack[at:]; len(component) > 1 {
				list = append(list, slices.Clone(component))
			}
			for _, w := range stack[at:] {
				onStack[w] = false
			}
			stack = stack[:at]
		}
	}
	return list
}

// shortest returns a shortest cycle through start within a component: breadth first.
func (g *listGraph) shortest(start int, component []int) []int {
	inside := map[int]bool{}
	for _, v := range component {
		inside[v] = true
	}
	from := map[int]int{}
	for queue := []int{start}; len(queue) > 0; queue = queue[1:] {
		for _, e := range g.edges[queue[0]] {
			if e.to == start {
				cycle := []int{queue[0]}
				for v := queue[0]; v != start; {
					v = from[v]
					cycle = append(cycle, v)
				}
				slices.Reverse(cycle)
				return cycle
			}
			if _, known := from[e.to]; !known && inside[e.to] {
				from[e.to] = queue[0]
				queue = append(queue, e.to)
			}
		}
	}
	return nil
}

// tell says why each operation of a cycle must come before the next.
func (g *listGraph) tell(cycle []int) string {
	for cycle[0] >= len(g.operations) {
		cycle = append(cycle[1:], cycle[0])
	}
	var b strings.Builder
	for i, v := range cycle {
		to := cycle[(i+1)%len(cycle)]
		if v < len(g.operations) {
			fmt.Fprintf(&b, "  %s\n", g.operations[v])
		}
		if to < len(g.operations) {
			fmt.Fprintf(&b, "    before: %s\n", g.operations[to])
			fmt.Fprintf(&b, "      because %s\n", g.why(v, to))
		}
	}
	return b.String()
}

func (g *listGraph) why(from, to int) string {
	for _, e := range g.edges[from] {
		if e.to == to {
			return e.why
		}
	}
	return ""
}
