package expr

import (
	"fmt"
	"testing"

	"github.com/statordb/stator/item"
)

// placeholders collects what a printed tree needs to be
// parsed again.
type placeholders struct {
	names  map[string]string
	values item.Builder
	count  int
}

// rendered prints a tree as an expression that the parser takes.
func rendered(print func(*printer)) (text string, params *Params) {
	h := placeholders{names: map[string]string{}}
	w := &printer{name: h.name, value: h.value}
	print(w)
	return string(w.text), NewParams(h.names, h.values.Item())
}

func (h *placeholders) name(name string) string {
	h.count++
	key := fmt.Sprintf("#%d", h.count)
	h.names[key] = name
	return key
}

func (h *placeholders) value(v item.Value) string {
	h.count++
	key := fmt.Sprintf(":%d", h.count)
	h.values.Set(key, v)
	return key
}

func renderCondition(c *Condition) (string, *Params) {
	return rendered(func(w *printer) { c.root.appendText(w, bindsLoosest) })
}

func renderUpdate(u *Update) (string, *Params) {
	return rendered(func(w *printer) { w.update(u) })
}

func TestString(t *testing.T) {
	p := paramsFor(t)
	for _, tt := range []struct{ text, want string }{
		{"a=:s", "a = {S:x}"},
		{"(a = :s OR b <> :n) AND NOT (c < :n AND d >= :n) OR NOT NOT e <= :n",
			"(a = {S:x} OR b <> {N:1}) AND NOT (c < {N:1} AND d >= {N:1}) OR NOT NOT e <= {N:1}"},
		{"(a = :s AND b = :s) AND (c = :s OR d = :s)", "(a = {S:x} AND b = {S:x}) AND (c = {S:x} OR d = {S:x})"},
		{"#dotted.a[0].b between :n and size(:s)", `"x.y".a[0].b BETWEEN {N:1} AND size({S:x})`},
		{"size(a) in (:n, b)", "size(a) IN ({N:1}, b)"},
		{"attribute_exists(a) and attribute_not_exists(b) and attribute_type(c, :0)",
			"attribute_exists(a) AND attribute_not_exists(b) AND attribute_type(c, {S:S})"},
		{"begins_with(a, :s) or contains(b, c)", "begins_with(a, {S:x}) OR contains(b, c)"},
	} {
		if got := parseCondition(t, tt.text, p).String(); got != tt.want {
			t.Errorf("%q prints\n%s, want\n%s", tt.text, got, tt.want)
		}
	}
	for _, tt := range []struct{ text, want string }{
		{"set a=:s,b=(c+:n) remove d[0],e.f add g :n delete h :ss",
			"SET a = {S:x}, b = c + {N:1} REMOVE d[0], e.f ADD g {N:1} DELETE h {SS:[a]}"},
		{"SET a = list_append(if_not_exists(a, :l), b)", "SET a = list_append(if_not_exists(a, {L:[]}), b)"},
		{"SET a = if_not_exists(a, :n) - b", "SET a = if_not_exists(a, {N:1}) - b"},
	} {
		u, err := ParseUpdate(tt.text, p)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if got := u.String(); got != tt.want {
			t.Errorf("%q prints\n%s, want\n%s", tt.text, got, tt.want)
		}
	}
	pr, err := ParseProjection("a.b[1], #dotted", p)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := pr.String(), `a.b[1], "x.y"`; got != want {
		t.Errorf("projection prints %s, want %s", got, want)
	}
	if s := (*Condition)(nil).String() + (*Update)(nil).String() + (*Projection)(nil).String(); s != "" {
		t.Errorf("nothing prints %s", s)
	}
}
