package expr

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/statordb/stator/item"
)

// The evaluator against a slow and obvious one that works on JSON as
// encoding/json reads it: an item is a map[string]any, a value a map with one
// tag. Random expressions are written as text from a tree of the test's own,
// so the parser is tested as well.
//
//	go test ./expr -run Differential -seed 7 -rounds 100000

var (
	seed   = flag.Uint64("seed", 1, "seed of the first round")
	rounds = flag.Int("rounds", 3000, "rounds of random tests, one seed each")
)

type document = map[string]any

// A generator makes random items and expressions. Names and values are few,
// so that comparisons often hold.
type generator struct {
	*rand.Rand
	values document // by placeholder
}

func newGenerator(seed uint64) *generator {
	return &generator{rand.New(rand.NewPCG(seed, 0)), document{}}
}

func pick[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

func (g *generator) scalar() document {
	switch g.IntN(6) {
	case 0, 1:
		return document{"S": pick(g, "", "a", "ab", "b", "abc")}
	case 2, 3:
		return document{"N": pick(g, "0", "1", "1.0", "2", "-1", "10", "1e1", "0.5")}
	case 4:
		return document{"B": pick(g, "", "YQ==", "YWI=")}
	}
	return pick(g, document{"BOOL": true}, document{"BOOL": false}, document{"NULL": true})
}

func (g *generator) set() document {
	return pick(g,
		document{"SS": []any{"a"}}, document{"SS": []any{"b", "a"}}, document{"SS": []any{"a", "b"}},
		document{"NS": []any{"1"}}, document{"NS": []any{"2", "1.0"}}, document{"BS": []any{"YQ=="}})
}

func (g *generator) value(depth int) document {
	switch n := g.IntN(10); {
	case n < 6 || depth == 0:
		return g.scalar()
	case n == 6:
		return g.set()
	case n == 7:
		list := make([]any, g.IntN(4))
		for i := range list {
			list[i] = g.value(depth - 1)
		}
		return document{"L": list}
	}
	return document{"M": g.attributes(depth - 1)}
}

func (g *generator) attributes(depth int) document {
	m := document{}
	for range g.IntN(4) {
		m[pick(g, "a", "b", "c", "d")] = g.value(depth)
	}
	return m
}

// A node is a piece of an expression: an operator with operands, a path or a
// constant.
type node struct {
	op    string // "AND", "=", "size", "+", ...; "path"; "value"
	args  []*node
	path  []any // names and positions
	value document
}

func (g *generator) path() *node {
	path := []any{pick(g, "a", "b", "c", "d", "e")}
	for g.IntN(3) == 0 {
		path = append(path, pick[any](g, "a", "b", 0, 1, 2))
	}
	return &node{op: "path", path: path}
}

func (g *generator) constant(v document) *node { return &node{op: "value", value: v} }

func (g *generator) operand() *node {
	switch g.IntN(5) {
	case 0, 1:
		return g.path()
	case 2:
		return &node{op: "size", args: []*node{g.path()}}
	}
	return g.constant(g.value(2))
}

func (g *generator) condition(depth int) *node {
	if depth > 0 && g.IntN(2) == 0 {
		op := pick(g, "AND", "OR", "NOT")
		n := &node{op: op, args: []*node{g.condition(depth - 1)}}
		for op != "NOT" && (len(n.args) < 2 || g.IntN(3) == 0) {
			n.args = append(n.args, g.condition(depth-1))
		}
		return n
	}
	op := pick(g, "=", "<>", "<", "<=", ">", ">=", "=", "<>", "BETWEEN", "IN",
		"attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains")
	switch op {
	case "BETWEEN":
		return &node{op: op, args: []*node{g.operand(), g.operand(), g.operand()}}
	case "IN":
		return &node{op: op, args: []*node{g.operand(), g.operand(), g.operand(), g.operand()}}
	case "attribute_exists", "attribute_not_exists":
		return &node{op: op, args: []*node{g.path()}}
	case "attribute_type":
		t := document{"S": pick(g, "S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS")}
		return &node{op: op, args: []*node{g.operand(), g.constant(t)}}
	}
	return &node{op: op, args: []*node{g.operand(), g.operand()}}
}

// Text. Operands that bind less tightly stand in parentheses, others at times.

func (g *generator) text(n *node) string {
	args := make([]string, len(n.args))
	for i, a := range n.args {
		args[i] = g.text(a)
		if needed := looser(a.op, n.op); needed || !isCall(n.op) && g.IntN(4) == 0 {
			args[i] = "(" + args[i] + ")"
		}
	}
	switch {
	case n.op == "path":
		return pathText(n.path)
	case n.op == "value":
		key := fmt.Sprintf(":%d", len(g.values))
		g.values[key] = n.value
		return key
	case n.op == "NOT":
		return "NOT " + args[0]
	case n.op == "BETWEEN":
		return args[0] + " BETWEEN " + args[1] + " AND " + args[2]
	case n.op == "IN":
		return args[0] + " IN (" + strings.Join(args[1:], ", ") + ")"
	case isCall(n.op):
		return n.op + "(" + strings.Join(args, ", ") + ")"
	}
	return strings.Join(args, " "+n.op+" ")
}

func isCall(op string) bool { return strings.Contains(op, "_") || op == "size" || op == "contains" }

func looser(inner, outer string) bool {
	rank := map[string]int{"OR": 1, "AND": 2, "NOT": 3}
	return rank[inner] > 0 && rank[outer] > 0 && rank[inner] <= rank[outer] && !(inner == "NOT" && outer == "NOT")
}

func pathText(path []any) string {
	var b strings.Builder
	for i, e := range path {
		switch e := e.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", e)
		case string:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(e)
		}
	}
	return b.String()
}

// Meaning. A value that is missing is nil.

func content(v document) (tag string, c any) {
	for tag, c = range v {
	}
	return tag, c
}

func lookup(doc document, path []any) document {
	v := document{"M": doc}
	for _, e := range path {
		switch tag, c := content(v); {
		case tag == "M" && isName(e):
			v, _ = c.(document)[e.(string)].(document)
		case tag == "L" && !isName(e) && e.(int) < len(c.([]any)):
			v = c.([]any)[e.(int)].(document)
		default:
			return nil
		}
	}
	return v
}

func isName(e any) bool { _, ok := e.(string); return ok }

// normal returns a text that equal values share.
func normal(v document) string {
	tag, c := content(v)
	switch tag {
	case "N":
		return "N " + rational(c.(string)).RatString()
	case "SS", "NS", "BS":
		var members []string
		for _, m := range c.([]any) {
			members = append(members, normal(document{tag[:1]: m}))
		}
		slices.Sort(members)
		return tag + strings.Join(members, ",")
	case "L":
		s := "["
		for _, e := range c.([]any) {
			s += normal(e.(document)) + ","
		}
		return s + "]"
	case "M":
		var members []string
		for name, e := range c.(document) {
			members = append(members, name+":"+normal(e.(document)))
		}
		slices.Sort(members)
		return "{" + strings.Join(members, ",") + "}"
	}
	return fmt.Sprint(tag, " ", c)
}

func rational(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		panic("not a number: " + s)
	}
	return r
}

// compare returns the order of two values, if they have one.
func compare(v, w document) (int, bool) {
	vTag, vc := content(v)
	wTag, wc := content(w)
	switch {
	case vTag != wTag:
		return 0, false
	case vTag == "N":
		return rational(vc.(string)).Cmp(rational(wc.(string))), true
	case vTag == "S":
		return strings.Compare(vc.(string), wc.(string)), true
	case vTag == "B":
		return bytes.Compare(decoded(vc), decoded(wc)), true
	}
	return 0, false
}

func decoded(c any) []byte {
	b, err := base64.StdEncoding.DecodeString(c.(string))
	if err != nil {
		panic(err)
	}
	return b
}

// plain returns the content of a string or binary.
func plain(v document) (string, bool) {
	switch tag, c := content(v); tag {
	case "S":
		return c.(string), true
	case "B":
		return string(decoded(c)), true
	}
	return "", false
}

func sizeOfDocument(v document) document {
	n := -1
	switch tag, c := content(v); tag {
	case "S", "B":
		s, _ := plain(v)
		n = len(s)
	case "L", "SS", "NS", "BS":
		n = len(c.([]any))
	case "M":
		n = len(c.(document))
	}
	if n < 0 {
		return nil
	}
	return document{"N": fmt.Sprint(n)}
}

func (n *node) operand(doc document) document {
	switch n.op {
	case "path":
		return lookup(doc, n.path)
	case "value":
		return n.value
	}
	if v := n.args[0].operand(doc); v != nil {
		return sizeOfDocument(v)
	}
	return nil
}

func (n *node) holds(doc document) bool {
	switch n.op {
	case "AND":
		return !slices.ContainsFunc(n.args, func(a *node) bool { return !a.holds(doc) })
	case "OR":
		return slices.ContainsFunc(n.args, func(a *node) bool { return a.holds(doc) })
	case "NOT":
		return !n.args[0].holds(doc)
	}
	v := make([]document, len(n.args))
	for i, a := range n.args {
		v[i] = a.operand(doc)
	}
	if n.op == "attribute_not_exists" {
		return v[0] == nil
	}
	if n.op == "<>" && (v[0] == nil) != (v[1] == nil) {
		lacking := n.args[0]
		if v[0] != nil {
			lacking = n.args[1]
		}
		return lacking.op != "size"
	}
	if n.op == "IN" {
		return v[0] != nil && slices.ContainsFunc(v[1:], func(w document) bool { return w != nil && normal(w) == normal(v[0]) })
	}
	if slices.ContainsFunc(v, func(w document) bool { return w == nil }) {
		return false
	}
	return holdsOf(n.op, v)
}

// holdsOf evaluates an operator whose operands are all present.
func holdsOf(op string, v []document) bool {
	tag, c := content(v[0])
	switch op {
	case "attribute_exists":
		return true
	case "attribute_type":
		return v[1]["S"] == tag
	case "=":
		return normal(v[0]) == normal(v[1])
	case "<>":
		return normal(v[0]) != normal(v[1])
	case "begins_with", "contains":
		s, isPlain := plain(v[0])
		t, _ := plain(v[1])
		other, _ := content(v[1])
		if isPlain {
			return tag == other && (op == "contains" && strings.Contains(s, t) || strings.HasPrefix(s, t))
		}
		return op == "contains" && hasMember(tag, c, v[1])
	case "BETWEEN":
		low, okLow := compare(v[0], v[1])
		high, okHigh := compare(v[0], v[2])
		return okLow && okHigh && low >= 0 && high <= 0
	}
	order, ok := compare(v[0], v[1])
	return ok && map[string]bool{"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[op]
}

func hasMember(tag string, c any, member document) bool {
	list, ok := c.([]any)
	return ok && slices.ContainsFunc(list, func(e any) bool {
		if tag != "L" {
			e = document{tag[:1]: e}
		}
		return normal(e.(document)) == normal(member)
	})
}

// toItem turns a document into an item by way of its JSON.
func toItem(t testing.TB, doc document) item.Item {
	t.Helper()
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return attrs(t, string(b))
}

func (g *generator) params(t testing.TB) *Params {
	if len(g.values) == 0 {
		return NewParams(nil, nil)
	}
	return NewParams(nil, toItem(t, g.values))
}

func TestDifferentialCondition(t *testing.T) {
	parsed, met := 0, 0
	for s := *seed; s < *seed+uint64(*rounds); s++ {
		g := newGenerator(s)
		tree := g.condition(3)
		text := g.text(tree)
		params := g.params(t)
		c, err := ParseCondition(FilterExpression, text, params)
		if err != nil {
			if m := message(t, err); strings.Contains(m, "Syntax") || strings.Contains(m, "parentheses") {
				t.Fatalf("-seed %d: %q: %v", s, text, err)
			}
			continue // a path twice, a constant without order, ...
		}
		parsed++
		if err := params.Unused(); err != nil {
			t.Fatalf("-seed %d: %q: %v", s, text, err)
		}
		for range 4 {
			doc := g.attributes(3)
			want := tree.holds(doc)
			if got := c.Eval(toItem(t, doc)); got != want {
				t.Fatalf("-seed %d: %q with %v\nof %v is %v, want %v", s, text, g.values, doc, got, want)
			}
			if want {
				met++
			}
		}
	}
	if parsed < *rounds/2 || met < parsed/2 || met > 4*parsed-parsed/2 {
		t.Errorf("of %d conditions %d were well-formed and %d evaluations true: not much of a test", *rounds, parsed, met)
	}
}

// Updates.

// A change is one action, as text and as a result computed from the old
// document.
type change struct {
	verb   string
	target []any
	source *node
}

func (g *generator) change() change {
	c := change{verb: pick(g, "SET", "SET", "REMOVE", "ADD", "DELETE"), target: g.path().path}
	switch c.verb {
	case "SET":
		c.source = g.source()
	case "ADD":
		c.source = g.constant(pick(g, document{"N": pick(g, "1", "-2", "0.5")}, g.set()))
	case "DELETE":
		c.source = g.constant(g.set())
	}
	return c
}

func (g *generator) source() *node {
	switch g.IntN(6) {
	case 0, 1:
		return g.constant(g.value(2))
	case 2:
		return g.path()
	case 3:
		return &node{op: "if_not_exists", args: []*node{g.path(), g.constant(g.value(1))}}
	case 4:
		return &node{op: "list_append", args: []*node{g.path(), g.constant(document{"L": []any{g.scalar()}})}}
	}
	number := &node{op: "if_not_exists", args: []*node{g.path(), g.constant(document{"N": "3"})}}
	return &node{op: pick(g, "+", "-"), args: []*node{number, g.constant(document{"N": "1"})}}
}

func (g *generator) updateText(changes []change) string {
	var sections []string
	for _, verb := range []string{"REMOVE", "SET", "DELETE", "ADD"} {
		var list []string
		for _, c := range changes {
			if c.verb != verb {
				continue
			}
			text := pathText(c.target)
			switch {
			case verb == "SET":
				text += " = " + g.text(c.source)
			case c.source != nil:
				text += " " + g.text(c.source)
			}
			list = append(list, text)
		}
		if list != nil {
			sections = append(sections, verb+" "+strings.Join(list, ", "))
		}
	}
	return strings.Join(sections, " ")
}

// result returns what will be at the target, nil for nothing, or the message.
func (c *change) result(old document) (document, string) {
	switch c.verb {
	case "REMOVE":
		return nil, ""
	case "SET":
		return c.source.assigned(old)
	}
	v, operand := lookup(old, c.target), c.source.value
	if v == nil {
		if c.verb == "ADD" {
			return operand, ""
		}
		return nil, ""
	}
	tag, vc := content(v)
	other, oc := content(operand)
	switch {
	case tag != other:
		return nil, badOperand
	case tag == "N":
		return sumOf(v, operand, "+"), ""
	}
	return combineSets(tag, vc.([]any), oc.([]any), c.verb == "ADD"), ""
}

func combineSets(tag string, have, operand []any, add bool) document {
	seen := map[string]bool{}
	var out []any
	key := func(m any) string { return normal(document{tag[:1]: m}) }
	for _, m := range operand {
		seen[key(m)] = true
		if add {
			out = append(out, m)
		}
	}
	for _, m := range have {
		if !seen[key(m)] {
			out = append(out, m)
		}
	}
	if out == nil {
		return nil
	}
	return document{tag: out}
}

func sumOf(v, w document, op string) document {
	a, b := rational(v["N"].(string)), rational(w["N"].(string))
	if op == "-" {
		b = b.Neg(b)
	}
	return document{"N": a.Add(a, b).FloatString(5)}
}

func (n *node) assigned(old document) (document, string) {
	switch n.op {
	case "value":
		return n.value, ""
	case "path":
		if v := lookup(old, n.path); v != nil {
			return v, ""
		}
		return nil, noAttribute
	case "if_not_exists":
		if v := lookup(old, n.args[0].path); v != nil {
			return v, ""
		}
		return n.args[1].assigned(old)
	}
	left, m := n.args[0].assigned(old)
	if m != "" {
		return nil, m
	}
	right := n.args[1].value
	leftTag, lc := content(left)
	rightTag, rc := content(right)
	switch {
	case leftTag != rightTag:
		return nil, badOperand
	case leftTag == "L":
		return document{"L": slices.Concat(lc.([]any), rc.([]any))}, ""
	}
	return sumOf(left, right, n.op), ""
}

// applySlowly makes the changes one after the other in a copy, in an order in
// which they cannot disturb each other: what is replaced, what is appended
// (lower positions first), what is removed (higher positions first).
func applySlowly(old document, changes []change) (document, string) {
	results := make([]document, len(changes))
	for i := range changes {
		r, m := changes[i].result(old)
		if m != "" {
			return nil, m
		}
		results[i] = r
	}
	updated := deepCopy(old)
	var appends, removals []int
	for i, c := range changes {
		parent := lookup(updated, c.target[:len(c.target)-1])
		last := c.target[len(c.target)-1]
		switch tag, pc := content(parent); {
		case tag == "M" && isName(last) && results[i] == nil, tag == "L" && !isName(last) && results[i] == nil:
			if lookup(old, c.target) != nil {
				removals = append(removals, i)
			}
		case tag == "M" && isName(last):
			pc.(document)[last.(string)] = deepCopy(results[i])
		case tag == "L" && !isName(last) && last.(int) < len(pc.([]any)):
			pc.([]any)[last.(int)] = deepCopy(results[i])
		case tag == "L" && !isName(last):
			appends = append(appends, i)
		default:
			return nil, pathInvalid
		}
	}
	byTarget := func(i, j int) int { return comparePaths(changes[i].target, changes[j].target) }
	slices.SortFunc(appends, byTarget)
	for _, i := range appends {
		parent := lookup(updated, changes[i].target[:len(changes[i].target)-1])
		parent["L"] = append(parent["L"].([]any), deepCopy(results[i]))
	}
	slices.SortFunc(removals, byTarget)
	for _, i := range slices.Backward(removals) {
		target := changes[i].target
		parent := lookup(updated, target[:len(target)-1])
		switch last := target[len(target)-1].(type) {
		case string:
			delete(parent["M"].(document), last)
		case int:
			parent["L"] = slices.Delete(parent["L"].([]any), last, last+1)
		}
	}
	return updated, ""
}

func comparePaths(p, q []any) int {
	return slices.CompareFunc(p, q, func(a, b any) int {
		if isName(a) || isName(b) {
			return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
		}
		return a.(int) - b.(int)
	})
}

func deepCopy(doc document) document {
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	var copied document
	if err := json.Unmarshal(b, &copied); err != nil {
		panic(err)
	}
	return copied
}

func TestDifferentialUpdate(t *testing.T) {
	parsed, applied := 0, 0
	for s := *seed; s < *seed+uint64(*rounds); s++ {
		g := newGenerator(s)
		changes := make([]change, 1+g.IntN(3))
		for i := range changes {
			changes[i] = g.change()
		}
		text := g.updateText(changes)
		u, err := ParseUpdate(text, g.params(t))
		if err != nil {
			if m := message(t, err); strings.Contains(m, "Syntax") || strings.Contains(m, "parentheses") {
				t.Fatalf("-seed %d: %q: %v", s, text, err)
			}
			continue // overlapping paths, constants of a wrong type
		}
		parsed++
		for range 4 {
			old := deepCopy(g.attributes(3))
			want, wantMessage := applySlowly(old, changes)
			got, err := u.Apply(toItem(t, old))
			// With several errors, which one comes first is not specified.
			if (message(t, err) == "") != (wantMessage == "") {
				t.Fatalf("-seed %d: %q with %v\nof %v: error %q, want %q", s, text, g.values, old, message(t, err), wantMessage)
			}
			if err != nil {
				continue
			}
			applied++
			if w := toItem(t, want); !got.Equal(w) {
				t.Fatalf("-seed %d: %q with %v\nof %v gives\n%s, want\n%s", s, text, g.values, old, got, w)
			}
		}
	}
	if parsed < *rounds/2 || applied < parsed {
		t.Errorf("of %d updates %d were well-formed and %d applications worked: not much of a test", *rounds, parsed, applied)
	}
}
