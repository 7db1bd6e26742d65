package expr

import (
	"fmt"
	"slices"
	"testing"

	"github.com/statordb/stator/item"
)

func TestValues(t *testing.T) {
	params := func() *Params { return NewParams(nil, attrs(t, `{":x":{"N":"1"},":y":{"N":"2"},":z":{"N":"1.0"}}`)) }
	for _, tt := range []struct{ text, want string }{
		{"a = :x", "[{N:1}]"},
		{":x = a", "[{N:1}]"},
		{"a IN (:x, :y, :z)", "[{N:1} {N:2}]"},
		{"a = :x OR a = :y", "[{N:1} {N:2}]"},
		{"a IN (:y, :x) AND a = :x", "[{N:1}]"},
		{"a = :x AND a = :y", "[]"},
		{"(a = :x AND b = :y) OR (b = :x AND a = :y)", "[{N:1} {N:2}]"},
		{"a > :x", "none"},
		{"a = b", "none"},
		{"a.b = :x", "none"},
		{"size(a) = :x", "none"},
		{"a IN (:x, b)", "none"},
		{"a = :x OR b = :x", "none"},
		{"NOT a = :x", "none"},
	} {
		values, limited := parseCondition(t, tt.text, params()).Values("a")
		got := fmt.Sprint(values)
		if !limited {
			got = "none"
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.text, got, tt.want)
		}
	}
}

func TestTakeRange(t *testing.T) {
	params := func() *Params { return NewParams(nil, attrs(t, `{":x":{"N":"1"},":y":{"N":"2"},":s":{"S":"s"}}`)) }
	for _, tt := range []struct{ text, want string }{
		{"a = :x", "EQ [{N:1}] rest "},
		{"b = :x AND a > :x AND a = :y", "EQ [{N:2}] rest b = {N:1} AND a > {N:1}"},
		{"a > :x", "GT [{N:1}] rest "},
		{":x > a", "LT [{N:1}] rest "},
		{"a >= :x AND a <= :y", "BETWEEN [{N:1} {N:2}] rest "},
		{"a > :x AND a <= :y AND b = :x", "BETWEEN [{N:1} {N:2}] rest a > {N:1} AND b = {N:1}"},
		{"begins_with(a, :s) AND a > :s", "BEGINS_WITH [{S:s}] rest a > {S:s}"},
		{"a <> :x", "none rest a <> {N:1}"},
		{"a = :x OR a = :y", "none rest a = {N:1} OR a = {N:2}"},
		{"b = :x", "none rest b = {N:1}"},
	} {
		term, rest, ok := parseCondition(t, tt.text, params()).TakeRange("a")
		got := fmt.Sprintf("%v %v rest %s", term.Op, term.Values, rest)
		if !ok {
			got = "none rest " + rest.String()
		}
		if got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

// holds evaluates a term in the obvious way.
func (t KeyTerm) holds(it item.Item) bool {
	v, ok := it.Get(t.Attr)
	switch {
	case !ok:
		return false
	case t.Op == BETWEEN:
		return GE.holds(v, t.Values[0]) && LE.holds(v, t.Values[1])
	case t.Op == BEGINS_WITH:
		return (&beginsWith{operand{value: v}, operand{value: t.Values[0]}}).eval(nil)
	}
	return t.Op.holds(v, t.Values[0])
}

// aboutA returns a condition that mostly says something of the attribute a.
func (g *generator) aboutA() *node {
	a := &node{op: "path", path: []any{"a"}}
	simple := func() *node {
		n := &node{op: pick(g, "=", "<", "<=", ">", ">=", "begins_with", "IN", "BETWEEN"), args: []*node{a, g.constant(g.scalar())}}
		if n.op == "IN" || n.op == "BETWEEN" {
			n.args = append(n.args, g.constant(g.scalar()))
		}
		return n
	}
	n := &node{op: pick(g, "AND", "AND", "OR"), args: []*node{simple(), simple()}}
	if g.IntN(3) > 0 {
		n = &node{op: pick(g, "AND", "AND", "OR"), args: []*node{n, g.condition(2)}}
	}
	return n
}

// The parts of a condition mean together what the whole means: an item meets
// it only with one of its Values, meets it when it meets what is Given its own
// value, and when it meets term and rest of a split.
func TestSplitKeepsMeaning(t *testing.T) {
	taken := 0
	for i := range *rounds {
		seed := *seed + uint64(i)
		g := newGenerator(seed)
		c, err := ParseCondition(ConditionExpression, g.text(g.aboutA()), g.params(t))
		if err != nil {
			continue
		}
		doc := g.attributes(2)
		if g.IntN(4) > 0 {
			doc["a"] = g.scalar()
		}
		it := toItem(t, doc)
		want := c.Eval(it)
		a, has := it.Get("a")

		if values, limited := c.Values("a"); limited && want && !(has && slices.ContainsFunc(values, a.Equal)) {
			t.Errorf("-seed %d: %s holds of %s, whose a is not in %v", seed, c, item.MapOf(it), values)
		}
		if has {
			if rest, possible := c.Given("a", a); want != (possible && rest.Eval(it)) {
				t.Errorf("-seed %d: %s of %s: %v, but given a: %v %s", seed, c, item.MapOf(it), want, possible, rest)
			}
		}
		if v, rest, ok := c.TakeEqual("a"); ok {
			if got := has && a.Equal(v) && rest.Eval(it); got != want {
				t.Errorf("-seed %d: %s of %s: %v, but a = %s and %s", seed, c, item.MapOf(it), want, v, rest)
			}
		}
		if term, rest, ok := c.TakeRange("a"); ok {
			taken++
			if got := term.holds(it) && rest.Eval(it); got != want {
				t.Errorf("-seed %d: %s of %s: %v, but %v and %s", seed, c, item.MapOf(it), want, term, rest)
			}
		}
	}
	if taken < *rounds/10 {
		t.Errorf("only %d of %d conditions had a range to take", taken, *rounds)
	}
}
