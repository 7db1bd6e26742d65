package partiql

import (
	"errors"
	"testing"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
)

// FuzzParse: no text makes the parser panic or hang; what it accepts are trees
// that survive the codec of the log, also inside the conditions that a write
// adds, and can be evaluated.
func FuzzParse(f *testing.F) {
	for _, tt := range grammar {
		f.Add(tt.text)
	}
	for _, tt := range messages {
		f.Add(tt.text)
	}
	it := item.NewItem(map[string]item.Value{
		"a": item.Int(1), "b": item.String("x"), "c": item.Map(map[string]item.Value{"b": item.List(item.Int(1))}),
	})
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 8192 { // the service's limit, which the edge holds
			return
		}
		s, err := Parse(text, parametersFor(text))
		if err != nil {
			var e *expr.Error
			if !errors.As(err, &e) || e.Message == "" {
				t.Errorf("%q: %v is a %T, want *expr.Error", text, err, err)
			}
			return
		}
		switch s := s.(type) {
		case *Select:
			checkCondition(t, s.Where, it)
			if err := item.Check(s.Show(it)); err != nil {
				t.Errorf("%q shows no item: %v", text, err)
			}
		case *Exists:
			checkCondition(t, s.Select.Where, it)
		case *Delete:
			checkCondition(t, s.Where, it)
		case *Insert:
			if err := item.Check(s.Item); err != nil {
				t.Errorf("%q inserts no item: %v", text, err)
			}
		case *Update:
			checkCondition(t, s.Where, it)
			if _, err := expr.DecodeUpdate(s.Changes.AppendBinary(nil)); err != nil {
				t.Errorf("%q: decode %s: %v", text, s.Changes, err)
			}
			_, _ = s.Changes.Apply(it)
		}
	})
}

func checkCondition(t *testing.T, c *expr.Condition, it item.Item) {
	if c == nil {
		return
	}
	b := expr.NewBuilder()
	key := b.Path(expr.PathElem{Name: "p"})
	around := b.Or(b.Not(b.Exists(key)), b.And(b.Exists(key), c))
	d, err := expr.DecodeCondition(around.AppendBinary(nil))
	if err != nil {
		t.Errorf("decode %s: %v", around, err)
		return
	}
	if around.Eval(it) != d.Eval(it) {
		t.Errorf("%s means something else after decoding", around)
	}
	c.Values("a")
	v, _ := it.Get("a")
	if rest, possible := c.Given("a", v); c.Eval(it) != (possible && rest.Eval(it)) {
		t.Errorf("%s means something else given a = %s", c, v)
	}
}
