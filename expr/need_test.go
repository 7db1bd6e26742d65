package expr

import (
	"fmt"
	"strings"
	"testing"

	"github.com/statordb/stator/item"
)

// String prints "a = {S:x} | !b".
func (n *Need) String() string {
	if n == nil {
		return "nothing"
	}
	switch {
	case n.Attribute != "" && n.Absent:
		return "!" + n.Attribute
	case n.Attribute != "" && n.Values == nil:
		return n.Attribute
	case n.Attribute != "":
		var values []string
		for _, v := range n.Values {
			values = append(values, v.String())
		}
		return n.Attribute + "=" + strings.Join(values, ",")
	}
	parts := make([]string, len(n.Parts))
	for i, p := range n.Parts {
		if parts[i] = p.String(); p.Parts != nil {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, map[bool]string{true: " | ", false: " & "}[n.Any])
}

// holds evaluates a need the slow, obvious way.
func (n *Need) holds(it item.Item) bool {
	if n.Attribute == "" {
		for _, p := range n.Parts {
			if p.holds(it) == n.Any {
				return n.Any
			}
		}
		return !n.Any
	}
	v, ok := it.Get(n.Attribute)
	if n.Absent || n.Values == nil {
		return ok != n.Absent
	}
	for _, w := range n.Values {
		if ok && v.Equal(w) {
			return true
		}
	}
	return false
}

func TestNeed(t *testing.T) {
	for _, c := range []struct{ condition, want string }{
		{"a = :1", "a={N:1}"},
		{":1 = a", "a={N:1}"},
		{"a <> :1", "nothing"},
		{"a < :1", "nothing"},
		{"a = b", "nothing"},
		{"size(a) = :1", "nothing"},
		{"a = size(:x)", "nothing"},
		{"a.b = :1", "nothing"},
		{"a[0] = :1", "nothing"},
		{"c = :1", "nothing"}, // nobody asks about c
		{"a IN (:1, :x)", "a={N:1},{S:x}"},
		{"a IN (:1, b)", "nothing"},
		{":1 IN (a, b)", "nothing"},
		{"attribute_exists(a)", "a"},
		{"attribute_not_exists(b)", "!b"},
		{"NOT attribute_exists(a)", "!a"},
		{"NOT attribute_not_exists(a)", "a"},
		{"NOT NOT attribute_exists(a)", "nothing"},
		{"NOT a = :1", "nothing"},
		{"a = :1 AND b = :x", "a={N:1} & b={S:x}"},
		{"a = :1 AND c = :x", "a={N:1}"},
		{"c = :1 AND c = :x", "nothing"},
		{"a = :1 OR b = :x", "a={N:1} | b={S:x}"},
		{"a = :1 OR c = :x", "nothing"},
		{"(a = :1 OR c = :x) AND attribute_exists(b)", "b"},
		{"(a = :1 OR a = :x) AND attribute_exists(b)", "(a={N:1} | a={S:x}) & b"},
		{"(a = :1 AND c = :x) OR (attribute_exists(b) AND c > :1)", "a={N:1} | b"},
		{"NOT (a = :1 OR b = :x)", "nothing"},
	} {
		condition := parseCondition(t, c.condition, NewParams(nil, attrs(t, `{":1":{"N":"1"},":x":{"S":"x"}}`)))
		if got := condition.Need(func(name string) bool { return name != "c" }).String(); got != c.want {
			t.Errorf("%s needs %s, want %s", c.condition, got, c.want)
		}
	}
	if n := (*Condition)(nil).Need(func(string) bool { return true }); n != nil {
		t.Errorf("no condition needs %v", n)
	}
}

// TestNeedIsMet: an item that meets a condition meets what it needs, too; and a need
// rules out some of the others.
func TestNeedIsMet(t *testing.T) {
	needs, ruledOut := 0, 0
	for s := *seed; s < *seed+uint64(*rounds); s++ {
		g := newGenerator(s)
		text := g.text(g.condition(3))
		c, err := ParseCondition(FilterExpression, text, g.params(t))
		if err != nil {
			continue
		}
		n := c.Need(func(name string) bool { return name != "c" })
		if n == nil {
			continue
		}
		needs++
		for range 4 {
			it := toItem(t, g.attributes(3))
			met := n.holds(it)
			if c.Eval(it) && !met {
				t.Fatalf("-seed %d: %q of %v is true, but needs %v", s, text, fmt.Sprint(it), n)
			}
			if !met {
				ruledOut++
			}
		}
	}
	if needs < *rounds/20 || ruledOut < needs {
		t.Errorf("of %d conditions %d need something, which rules out %d items: not much of a test", *rounds, needs, ruledOut)
	}
}
