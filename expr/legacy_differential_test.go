package expr

import (
	"slices"
	"strings"
	"testing"

	"github.com/statordb/stator/item"
)

// A legacyEntry is the condition on one attribute in Expected or a filter.
type legacyEntry struct {
	attr, op string
	values   []document
	value    document // Expected: Value
	exists   *bool    // Expected: Exists
}

var legacyOps = []string{"EQ", "NE", "LT", "LE", "GT", "GE", "BETWEEN", "IN", "NULL", "NOT_NULL", "CONTAINS", "NOT_CONTAINS", "BEGINS_WITH"}

func (g *generator) legacyEntry(attr string) legacyEntry {
	e := legacyEntry{attr: attr}
	switch g.IntN(5) {
	case 0:
		exists := g.IntN(2) == 0
		if e.exists = &exists; exists {
			e.value = g.value(1)
		}
		return e
	case 1:
		e.value = g.value(1)
		return e
	}
	e.op = legacyOps[g.IntN(len(legacyOps))]
	count := map[string]int{"NULL": 0, "NOT_NULL": 0, "BETWEEN": 2, "IN": 3}
	n, ok := count[e.op]
	if !ok {
		n = 1
	}
	for range n {
		v := g.scalar()
		for n > 1 && len(e.values) > 0 && !sameTag(v, e.values[0]) {
			v = g.scalar()
		}
		e.values = append(e.values, v)
	}
	return e
}

func sameTag(v, w document) bool {
	vTag, _ := content(v)
	wTag, _ := content(w)
	return vTag == wTag
}

// holds evaluates an entry by the table of "Legacy conditional parameters".
func (e *legacyEntry) holds(doc document) bool {
	v := lookup(doc, []any{e.attr})
	op, values := e.op, e.values
	switch {
	case op == "" && e.exists != nil && !*e.exists:
		return v == nil
	case op == "":
		op, values = "EQ", []document{e.value}
	}
	switch {
	case op == "NULL":
		return v == nil
	case op == "NE":
		return v == nil || normal(v) != normal(values[0])
	case v == nil:
		return false
	case op == "NOT_NULL":
		return true
	case op == "IN":
		return slices.ContainsFunc(values, func(w document) bool { return normal(v) == normal(w) })
	case op == "NOT_CONTAINS":
		return !holdsOf("contains", []document{v, values[0]})
	}
	symbol := map[string]string{"EQ": "=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">=", "CONTAINS": "contains", "BEGINS_WITH": "begins_with", "BETWEEN": "BETWEEN"}
	return holdsOf(symbol[op], append([]document{v}, values...))
}

func (e *legacyEntry) condition(t testing.TB) LegacyCondition {
	c := LegacyCondition{Attr: e.attr, Op: e.op, Exists: e.exists}
	if e.value != nil {
		c.Value = toValue(t, e.value)
	}
	if e.op != "" {
		c.Values = []item.Value{}
	}
	for _, v := range e.values {
		c.Values = append(c.Values, toValue(t, v))
	}
	return c
}

func toValue(t testing.TB, v document) item.Value {
	t.Helper()
	value, _ := toItem(t, document{"v": v}).Get("v")
	return value
}

// Conditions on one to three attributes, all or any of which have to hold.
func TestDifferentialLegacy(t *testing.T) {
	accepted, met := 0, 0
	for s := *seed; s < *seed+uint64(*rounds); s++ {
		g := newGenerator(s)
		var entries []legacyEntry
		var list []LegacyCondition
		for _, attr := range []string{"a", "b", "c"}[:1+g.IntN(3)] {
			e := g.legacyEntry(attr)
			entries, list = append(entries, e), append(list, e.condition(t))
		}
		operator := pick(g, "", "AND", "OR")
		c, err := FromExpected(list, operator)
		if err != nil {
			if m := message(t, err); !strings.Contains(m, "is not valid for") && !strings.Contains(m, "lower bound is greater") {
				t.Fatalf("-seed %d: %+v: %v", s, entries, err)
			}
			continue
		}
		accepted++
		for range 4 {
			doc := g.attributes(2)
			fails := func(e legacyEntry) bool { return !e.holds(doc) }
			want := !slices.ContainsFunc(entries, fails)
			if operator == "OR" {
				want = slices.ContainsFunc(entries, func(e legacyEntry) bool { return e.holds(doc) })
			}
			if got := c.Eval(toItem(t, doc)); got != want {
				t.Fatalf("-seed %d: %s of %+v\nof %v is %v, want %v", s, operator, entries, doc, got, want)
			}
			if want {
				met++
			}
		}
	}
	if accepted < *rounds/2 || met < accepted/2 || met > 4*accepted-accepted/2 {
		t.Errorf("of %d conditions %d were well-formed and %d evaluations true: not much of a test", *rounds, accepted, met)
	}
}
