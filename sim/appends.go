package sim

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/statordb/stator/internal/env"
)

// A ListOp appends to lists, or reads several lists, at one moment. What a list is
// tells in which order everything was appended to it, so that no search is needed
// to say whether a history is strictly serializable: it is a question of cycles.
// Kingsbury, Alvaro: "Elle: Inferring Isolation Anomalies from Experimental
// Observations", VLDB 2020.
type ListOp struct {
	Client       int
	Call, Return int64 // places in the history; Return 0: no answer
	Began, Ended env.Mono
	Outcome      Outcome

	Key, Element string       // of an append; the element is unique in the history
	Also         []ListAppend // what the same transaction appends besides, also to the same list
	// Found are lengths that lists must have had for it to be carried out: it was
	// conditional on them.
	Found map[string]int
	Reads []string            // keys of the lists that it wants to read
	Saw   map[string][]string // lists by key, as they were read
	// After: what it saw is behind its own appends, as of a single append that answers
	// with its list; else before these.
	After  bool
	broken error // what is wrong with the answer by itself
}

// A ListAppend is a part of a transaction.
type ListAppend struct{ Key, Element string }

func (o *ListOp) isAppend() bool { return o.Element != "" }

// appends are all that the operation appends.
func (o *ListOp) appends() []ListAppend {
	if !o.isAppend() {
		return nil
	}
	return append([]ListAppend{{o.Key, o.Element}}, o.Also...)
}

func (o *ListOp) String() string {
	if o.isAppend() {
		text := fmt.Sprintf("client %d appends %s to %s", o.Client, o.Element, o.Key)
		for _, a := range o.Also {
			text += fmt.Sprintf(", %s to %s", a.Element, a.Key)
		}
		for _, key := range sortedKeys(o.Found) {
			text += fmt.Sprintf(", finding %d in %s", o.Found[key], key)
		}
		return text
	}
	var lists []string
	for _, key := range sortedKeys(o.Saw) {
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

// An Anomaly is a way in which a history is not serializable, under the names of
// Adya, "Weak Consistency: A Generalized Theory and Optimistic Implementations for
// Distributed Transactions", MIT 1999, and of Elle.
type Anomaly string

// The anomalies, the worst first.
const (
	G1a      Anomaly = "G1a"      // a read of what was never committed
	G1b      Anomaly = "G1b"      // a read of a part of what a transaction appended to a list
	Broken   Anomaly = "order"    // a list that no appends one after the other can have made
	Internal Anomaly = "internal" // a transaction that does not see what it has appended itself, or sees a list in two ways
	G0       Anomaly = "G0"       // a cycle of writes
	G1c      Anomaly = "G1c"      // a cycle of writes, and reads of them
	GSingle  Anomaly = "G-single" // with one transaction that did not see what the next one wrote: a torn read
	G2       Anomaly = "G2"       // with several of these: write skew
	// With the order in time. Serializable, but not strictly.
	G0Strict      Anomaly = "G0-realtime"
	G1cStrict     Anomaly = "G1c-realtime"
	GSingleStrict Anomaly = "G-single-realtime" // such as a stale read
	G2Strict      Anomaly = "G2-realtime"
)

// A ListAnomaly is what CheckLists finds.
type ListAnomaly struct {
	Anomaly Anomaly
	Text    string
}

func (a *ListAnomaly) Error() string { return fmt.Sprintf("sim: %s: %s", a.Anomaly, a.Text) }

func anomaly(a Anomaly, format string, args ...any) error {
	return &ListAnomaly{a, fmt.Sprintf(format, args...)}
}

// CheckLists reports whether the operations can have taken effect one after the
// other, each between its call and its return. The error, a *ListAnomaly, names a list
// that cannot be, or a shortest cycle of operations of which each must come before the
// next.
func CheckLists(operations []*ListOp) error {
	g := &listGraph{appended: map[string]*ListOp{}, keyOf: map[string]string{}, orders: map[string][]string{}, number: map[*ListOp]int{}}
	for _, o := range operations {
		if o.broken != nil {
			return o.broken
		}
		for _, a := range o.appends() {
			g.appended[a.Element], g.keyOf[a.Element] = o, a.Key
		}
		if o.Outcome == Failed || o.Outcome == Refused || !o.isAppend() && o.Outcome != Done {
			continue
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
	if name, cycle := g.anomaly(); cycle != nil {
		return found(Serializability, anomaly(name, "no order of the list operations explains their answers:\n%s", g.tell(cycle)))
	}
	return nil
}

// A listGraph has an edge from each operation to those that must come after it.
type listGraph struct {
	operations []*ListOp
	number     map[*ListOp]int
	appended   map[string]*ListOp   // by element, also what was never carried out
	keyOf      map[string]string    // by element: the list that it was appended to
	orders     map[string][]string  // by key: all elements that anybody saw, in order
	unseen     map[string][]*ListOp // by key: appends that were acknowledged and never seen
	edges      [][]edge             // beyond the operations there are moments, see orderTimes
}

// A relation says why one operation must come before another.
type relation byte

const (
	writeWrite relation = 1 << iota // its element stands before the other's
	writeRead                       // the other one saw its element
	readWrite                       // it did not see the other's element
	inTime                          // it had returned when the other was called
)

type edge struct {
	to  int
	is  relation
	why string
}

func (g *listGraph) add(from, to int, is relation, why string) {
	if from != to {
		g.edges[from] = append(g.edges[from], edge{to, is, why})
	}
}

// findOrders takes the longest list of each key for the order of its elements. All
// others must be the beginning of it.
func (g *listGraph) findOrders() error {
	for _, o := range g.operations {
		for _, key := range sortedKeys(o.Saw) {
			if list, known := g.orders[key]; !known || len(o.Saw[key]) > len(list) {
				g.orders[key] = o.Saw[key]
			}
		}
	}
	for _, o := range g.operations {
		for _, key := range sortedKeys(o.Saw) {
			list, order := o.Saw[key], g.orders[key]
			if !slices.Equal(list, order[:len(list)]) {
				return anomaly(Broken, "list %s has two orders: %s, but it was also [%s]", key, o, strings.Join(order, " "))
			}
		}
		for _, key := range sortedKeys(o.Saw) {
			list, own := o.Saw[key], o.elementsOf(key)
			others := g.others(o, key)
			if n := len(list) - len(own); o.After && (n < 0 || !slices.Equal(list[n:], own)) || slices.ContainsFunc(others, g.isOf(o)) {
				return anomaly(Internal, "list %s: %s and is shown [%s]", key, o, strings.Join(list, " "))
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
				return anomaly(Broken, "list %s has %s twice", key, element)
			case o == nil:
				return anomaly(G1a, "list %s has %s, which nobody has appended", key, element)
			case o.Outcome == Failed:
				return anomaly(G1a, "list %s has %s, of which its client was told that it failed", key, element)
			case o.Outcome == Refused:
				return anomaly(G1a, "list %s has %s, which was refused", key, element)
			case g.keyOf[element] != key:
				return anomaly(Broken, "list %s has %s, which was appended to %s", key, element, g.keyOf[element])
			}
			seen[element] = true
		}
	}
	return g.checkParts()
}

// checkParts looks for lists that end within what one operation appends to them.
func (g *listGraph) checkParts() error {
	for _, o := range g.operations {
		for _, key := range sortedKeys(o.Saw) {
			list, order := o.Saw[key], g.orders[key]
			if n := len(list); n > 0 && n < len(order) && g.appended[list[n-1]] == g.appended[order[n]] {
				return anomaly(G1b, "list %s: %s, but not %s, of one operation: %s", key, list[n-1], order[n], o)
			}
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
			g.add(g.append(order[i-1]), g.append(order[i]), writeWrite, fmt.Sprintf("in list %s, %s stands before %s", key, order[i-1], order[i]))
		}
		for _, o := range g.unseen[key] {
			if n := len(order); n > 0 {
				g.add(g.append(order[n-1]), g.number[o], writeWrite, fmt.Sprintf("in list %s, %s was seen and %s never", key, order[n-1], o.elementOf(key)))
			}
		}
	}
}

func (g *listGraph) append(element string) int { return g.number[g.appended[element]] }

// elementOf returns the first that the operation appends to a list; "": nothing.
func (o *ListOp) elementOf(key string) string {
	if own := o.elementsOf(key); len(own) > 0 {
		return own[0]
	}
	return ""
}

func (o *ListOp) elementsOf(key string) (own []string) {
	for _, a := range o.appends() {
		if a.Key == key {
			own = append(own, a.Element)
		}
	}
	return own
}

func (g *listGraph) isOf(o *ListOp) func(element string) bool {
	return func(element string) bool { return g.appended[element] == o }
}

// others returns of a list that an operation saw what others have appended.
func (g *listGraph) others(o *ListOp, key string) []string {
	list := o.Saw[key]
	if o.After {
		list = list[:max(0, len(list)-len(o.elementsOf(key)))]
	}
	return list
}

func (g *listGraph) findUnseen() {
	seen := map[string]bool{}
	for _, order := range g.orders { //sim:ok a set of them
		for _, element := range order {
			seen[element] = true
		}
	}
	g.unseen = map[string][]*ListOp{}
	for _, o := range g.operations {
		if o.Outcome != Done {
			continue
		}
		for _, a := range o.appends() {
			if list := g.unseen[a.Key]; !seen[a.Element] && (len(list) == 0 || list[len(list)-1] != o) {
				g.unseen[a.Key] = append(list, o)
			}
		}
	}
}

// orderReads puts each reader behind the append that it saw last, and before the
// first one that it did not see.
func (g *listGraph) orderReads() {
	for _, o := range g.operations {
		for _, key := range sortedKeys(o.Saw) {
			g.orderRead(o, key, len(g.others(o, key)))
		}
		if o.Outcome == Done {
			for _, key := range sortedKeys(o.Found) {
				g.orderRead(o, key, o.Found[key])
			}
		}
	}
}

// orderRead is orderReads for a list of n elements.
func (g *listGraph) orderRead(o *ListOp, key string, n int) {
	order := g.orders[key]
	if n > len(order) { // of some that were never seen; which, is not known
		return
	}
	if n > 0 {
		g.add(g.append(order[n-1]), g.number[o], writeRead, fmt.Sprintf("it saw %s in %s", order[n-1], key))
	}
	if n < len(order) {
		g.add(g.number[o], g.append(order[n]), readWrite, fmt.Sprintf("it did not see %s in %s", order[n], key))
		return
	}
	for _, u := range g.unseen[key] {
		g.add(g.number[o], g.number[u], readWrite, fmt.Sprintf("it did not see %s in %s", u.elementOf(key), key))
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
		g.add(n+i-1, n+i, inTime, "")
	}
	for i, o := range g.operations {
		if o.Return > 0 && o.Outcome != Unknown {
			at, _ := slices.BinarySearch(returns, o.Return)
			g.add(i, n+at, inTime, "")
		}
		if before := sort.Search(len(returns), func(k int) bool { return returns[k] >= o.Call }); before > 0 {
			g.add(n+before-1, i, inTime, "it was called later")
		}
	}
}

// anomaly returns the worst anomaly that there is, with a shortest cycle.
func (g *listGraph) anomaly() (Anomaly, []int) {
	components := g.components()
	if len(components) == 0 {
		return "", nil
	}
	for _, strict := range []bool{false, true} {
		names, also := []Anomaly{G0, G1c, GSingle, G2}, relation(0)
		if strict {
			names, also = []Anomaly{G0Strict, G1cStrict, GSingleStrict, G2Strict}, inTime
		}
		const seen = writeWrite | writeRead
		for i, search := range []struct{ first, rest relation }{
			{writeWrite, writeWrite}, {seen, seen}, {readWrite, seen}, {readWrite, seen | readWrite},
		} {
			if cycle := g.cycle(components, search.first, search.rest|also); cycle != nil {
				return names[i], cycle
			}
		}
	}
	// Operations in a cycle of time alone have been called after they had returned.
	return Broken, g.cycle(components, inTime, inTime)
}

// cycle returns a shortest cycle that begins with an edge of the first relations and
// goes on with the others, nil if there is none.
func (g *listGraph) cycle(components [][]int, first, rest relation) (best []int) {
	for _, component := range components {
		inside := map[int]bool{}
		for _, v := range component {
			inside[v] = true
		}
		for _, start := range component {
			for _, e := range g.edges[start] {
				if e.is&first == 0 || !inside[e.to] || len(best) == 2 {
					continue
				}
				if c := g.path(e.to, start, inside, rest, len(best)-1); c != nil {
					best = append([]int{start}, c...)
				}
			}
		}
	}
	return best
}

// path returns a shortest path, breadth first, without its end, if it is shorter than a
// limit; -1 is none.
func (g *listGraph) path(start, end int, inside map[int]bool, by relation, limit int) []int {
	from := map[int]int{start: start}
	for queue := []int{start}; len(queue) > 0; queue = queue[1:] {
		for _, e := range g.edges[queue[0]] {
			if e.is&by == 0 || !inside[e.to] {
				continue
			}
			if e.to == end {
				path := []int{queue[0]}
				for v := queue[0]; v != start; {
					v = from[v]
					path = append(path, v)
				}
				if limit >= 0 && len(path) >= limit {
					return nil
				}
				slices.Reverse(path)
				return path
			}
			if _, known := from[e.to]; !known {
				from[e.to] = queue[0]
				queue = append(queue, e.to)
			}
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
