package expr

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/statordb/stator/item"
)

// stored is the item that the update tables change.
const stored = `{
	"n":{"N":"5"}, "s":{"S":"x"}, "ss":{"SS":["a","b"]}, "ns":{"NS":["1","2"]}, "bs":{"BS":["AQ=="]},
	"l":{"L":[{"S":"0"},{"S":"1"},{"S":"2"},{"S":"3"}]}, "bare":{"L":[]},
	"m":{"M":{"x":{"N":"1"},"y":{"M":{"z":{"S":"z"}}},"l":{"L":[{"M":{"q":{"N":"9"}}},{"N":"8"}]}}},
	"big":{"N":"9.9999999999999999999999999999999999999E+125"}, "tiny":{"N":"1E-130"}}`

const operands = `{":1":{"N":"1"}, ":2":{"N":"2"}, ":s":{"S":"new"}, ":t":{"S":"t"}, ":m":{"M":{}}, ":l":{"L":[{"S":"8"},{"S":"9"}]},
	":e":{"L":[]}, ":ab":{"SS":["b","a"]}, ":bc":{"SS":["b","c"]}, ":n23":{"NS":["2.0","3"]}, ":b12":{"BS":["Ag==","AQ=="]},
	":big":{"N":"9.9999999999999999999999999999999999999E+125"}, ":1e50":{"N":"1e50"}}`

const (
	pathInvalid = "The document path provided in the update expression is invalid for update"
	noAttribute = "The provided expression refers to an attribute that does not exist in the item"
	badOperand  = "An operand in the update expression has an incorrect data type"
	overflow    = "Number overflow. Attempting to store a number with magnitude larger than supported range"
)

// Each case names the attributes that are expected to differ from the stored
// item; null removes one.
var applications = []struct{ text, changed, message string }{
	// SET
	{"SET a = :s", `{"a":{"S":"new"}}`, ""},
	{"SET n = :s", `{"n":{"S":"new"}}`, ""},
	{"SET n = s, s = n", `{"n":{"S":"x"},"s":{"N":"5"}}`, ""},
	{"SET a = m.y.z, b = l[1], c = m.l[0].q", `{"a":{"S":"z"},"b":{"S":"1"},"c":{"N":"9"}}`, ""},
	{"SET n = n + :1", `{"n":{"N":"6"}}`, ""},
	{"SET n = :1 - n", `{"n":{"N":"-4"}}`, ""},
	{"SET n = (n + m.x)", `{"n":{"N":"6"}}`, ""},
	{"SET n = n + n", `{"n":{"N":"10"}}`, ""},
	{"SET n = if_not_exists(n, :1) + :1", `{"n":{"N":"6"}}`, ""},
	{"SET c = if_not_exists(c, :1) + :1", `{"c":{"N":"2"}}`, ""},
	{"SET c = :1 + if_not_exists(c, n)", `{"c":{"N":"6"}}`, ""},
	{"SET c = if_not_exists(c, if_not_exists(d, :s))", `{"c":{"S":"new"}}`, ""},
	{"SET s = if_not_exists(s, q)", `{}`, ""}, // the second operand is not needed
	{"SET l = list_append(l, :l)", `{"l":{"L":[{"S":"0"},{"S":"1"},{"S":"2"},{"S":"3"},{"S":"8"},{"S":"9"}]}}`, ""},
	{"SET l = list_append(:l, l)", `{"l":{"L":[{"S":"8"},{"S":"9"},{"S":"0"},{"S":"1"},{"S":"2"},{"S":"3"}]}}`, ""},
	{"SET q = list_append(if_not_exists(q, :e), :l)", `{"q":{"L":[{"S":"8"},{"S":"9"}]}}`, ""},
	{"SET q = list_append(bare, bare)", `{"q":{"L":[]}}`, ""},
	{"SET m.x = :s", `{"m":{"M":{"x":{"S":"new"},"y":{"M":{"z":{"S":"z"}}},"l":{"L":[{"M":{"q":{"N":"9"}}},{"N":"8"}]}}}}`, ""},
	{"SET m.a = :1, m.y.b = :2, m.l[0].c = :1", `{"m":{"M":{"a":{"N":"1"},"x":{"N":"1"},"y":{"M":{"b":{"N":"2"},"z":{"S":"z"}}},
		"l":{"L":[{"M":{"c":{"N":"1"},"q":{"N":"9"}}},{"N":"8"}]}}}}`, ""},
	{"SET l[1] = :s", `{"l":{"L":[{"S":"0"},{"S":"new"},{"S":"2"},{"S":"3"}]}}`, ""},
	{"SET l[4] = :s", `{"l":{"L":[{"S":"0"},{"S":"1"},{"S":"2"},{"S":"3"},{"S":"new"}]}}`, ""},
	{"SET l[99] = :2, l[7] = :1, l[8] = :s", `{"l":{"L":[{"S":"0"},{"S":"1"},{"S":"2"},{"S":"3"},{"N":"1"},{"S":"new"},{"N":"2"}]}}`, ""},
	{"SET bare[0] = :1", `{"bare":{"L":[{"N":"1"}]}}`, ""},
	{"SET q.a = :1", "", pathInvalid},
	{"SET q[0] = :1", "", pathInvalid},
	{"SET m.q.a = :1", "", pathInvalid},
	{"SET s.a = :1", "", pathInvalid},
	{"SET m[0] = :1", "", pathInvalid},
	{"SET l.a = :1", "", pathInvalid},
	{"SET l[9].a = :1", "", pathInvalid},
	{"SET ss[0] = :1", "", pathInvalid},
	{"SET a = q", "", noAttribute},
	{"SET a = m.q", "", noAttribute},
	{"SET a = l[4]", "", noAttribute},
	{"SET a = q + :1", "", noAttribute},
	{"SET a = :1 - q", "", noAttribute},
	{"SET a = list_append(q, :l)", "", noAttribute},
	{"SET a = if_not_exists(q, r)", "", noAttribute},
	{"SET a = s + :1", "", badOperand},
	{"SET a = :1 - l", "", badOperand},
	{"SET a = if_not_exists(s, :1) + :1", "", badOperand},
	{"SET a = list_append(l, s)", "", badOperand},
	{"SET a = list_append(ss, :l)", "", badOperand},
	{"SET a = big + :big", "", overflow},
	{"SET a = :1e50 + :1", "", overflow},
	{"SET a = n - tiny", "", overflow},

	// REMOVE
	{"REMOVE n, s", `{"n":null,"s":null}`, ""},
	{"REMOVE q", `{}`, ""},
	{"REMOVE m.x", `{"m":{"M":{"y":{"M":{"z":{"S":"z"}}},"l":{"L":[{"M":{"q":{"N":"9"}}},{"N":"8"}]}}}}`, ""},
	{"REMOVE m.q", `{}`, ""},
	{"REMOVE m.x, m.y.z, m.l[0], m.l[1]", `{"m":{"M":{"y":{"M":{}},"l":{"L":[]}}}}`, ""},
	{"REMOVE l[0]", `{"l":{"L":[{"S":"1"},{"S":"2"},{"S":"3"}]}}`, ""},
	{"REMOVE l[1], l[0], l[3]", `{"l":{"L":[{"S":"2"}]}}`, ""},
	{"REMOVE l[4], l[99]", `{}`, ""},
	{"REMOVE l[9].a", "", pathInvalid},
	{"REMOVE q.a", "", pathInvalid},
	{"REMOVE m.q.a", "", pathInvalid},
	{"REMOVE s.a", "", pathInvalid},
	{"REMOVE m[0]", "", pathInvalid},
	{"SET l[2] = :s REMOVE l[0]", `{"l":{"L":[{"S":"1"},{"S":"new"},{"S":"3"}]}}`, ""},
	{"REMOVE l[0], l[9] SET l[8] = :s", `{"l":{"L":[{"S":"1"},{"S":"2"},{"S":"3"},{"S":"new"}]}}`, ""},
	{"SET m.l[0].q = n REMOVE m.l[1], n", `{"n":null,"m":{"M":{"x":{"N":"1"},"y":{"M":{"z":{"S":"z"}}},"l":{"L":[{"M":{"q":{"N":"5"}}}]}}}}`, ""},

	// ADD
	{"ADD n :1", `{"n":{"N":"6"}}`, ""},
	{"ADD q :2", `{"q":{"N":"2"}}`, ""},
	{"ADD ss :bc", `{"ss":{"SS":["a","b","c"]}}`, ""},
	{"ADD ns :n23", `{"ns":{"NS":["1","2","3"]}}`, ""},
	{"ADD bs :b12", `{"bs":{"BS":["AQ==","Ag=="]}}`, ""},
	{"ADD q :bc", `{"q":{"SS":["b","c"]}}`, ""},
	{"ADD m.x :1, m.q :2", `{"m":{"M":{"q":{"N":"2"},"x":{"N":"2"},"y":{"M":{"z":{"S":"z"}}},"l":{"L":[{"M":{"q":{"N":"9"}}},{"N":"8"}]}}}}`, ""},
	{"ADD m.l[1] :1", `{"m":{"M":{"x":{"N":"1"},"y":{"M":{"z":{"S":"z"}}},"l":{"L":[{"M":{"q":{"N":"9"}}},{"N":"9"}]}}}}`, ""},
	{"ADD s :1", "", badOperand},
	{"ADD n :ab", "", badOperand},
	{"ADD ss :n23", "", badOperand},
	{"ADD l :1", "", badOperand},
	{"ADD q.a :1", "", pathInvalid},
	{"ADD big :big", "", overflow},

	// DELETE
	{"DELETE ss :bc", `{"ss":{"SS":["a"]}}`, ""},
	{"DELETE ss :ab", `{"ss":null}`, ""},
	{"DELETE ns :n23", `{"ns":{"NS":["1"]}}`, ""},
	{"DELETE bs :b12", `{"bs":null}`, ""},
	{"DELETE q :ab", `{}`, ""},
	{"DELETE ss :n23", "", badOperand},
	{"DELETE n :n23", "", badOperand},
	{"DELETE q.a :ab", "", pathInvalid},

	// All right-hand sides see the old item, also across sections.
	{"SET a = n, c = ss ADD n :1 DELETE ss :ab REMOVE s", `{"ss":null,"s":null,"a":{"N":"5"},"c":{"SS":["a","b"]},"n":{"N":"6"}}`, ""},
	{"REMOVE l SET a = l[0]", `{"l":null,"a":{"S":"0"}}`, ""},
}

func TestApply(t *testing.T) {
	old := attrs(t, stored)
	for _, tt := range applications {
		u := parseUpdate(t, tt.text, NewParams(nil, attrs(t, operands)))
		got, err := u.Apply(old)
		if m := message(t, err); m != tt.message {
			t.Errorf("%q: error %q, want %q", tt.text, m, tt.message)
		}
		if tt.message != "" {
			continue
		}
		if want := changed(t, old, tt.changed); !got.Equal(want) {
			t.Errorf("%q\n got %s\nwant %s", tt.text, got, want)
		}
		if err := item.Check(got); err != nil {
			t.Errorf("%q: %v", tt.text, err)
		}
	}
}

var removal = regexp.MustCompile(`"(\w+)":null,?`)

// changed returns the item with the differences, where null removes; nulls
// stand first.
func changed(t testing.TB, it item.Item, differences string) item.Item {
	t.Helper()
	m := map[string]item.Value{}
	for name, v := range it.All() {
		m[name] = v
	}
	for _, match := range removal.FindAllStringSubmatch(differences, -1) {
		delete(m, match[1])
	}
	for name, v := range attrs(t, removal.ReplaceAllString(differences, "")).All() {
		m[name] = v
	}
	return item.NewItem(m)
}

// An update of an item that does not exist creates what it sets and has
// nothing to remove; but a path must not lead through what is missing.
func TestApplyMissingItem(t *testing.T) {
	for _, tt := range []struct{ text, want, message string }{
		{"SET a = :1", `{"a":{"N":"1"}}`, ""},
		{"ADD a :1, b :ab", `{"a":{"N":"1"},"b":{"SS":["a","b"]}}`, ""},
		{"SET a = if_not_exists(a, :1) + :1 REMOVE b", `{"a":{"N":"2"}}`, ""},
		{"REMOVE a", `{}`, ""},
		{"REMOVE a.b, c[0].d", `{}`, ""},
		{"DELETE a :ab, b.c :ab", `{}`, ""},
		{"SET a.b = :1", "", pathInvalid},
		{"SET a.b = :1 REMOVE a.c", "", pathInvalid},
		{"ADD a.b :1", "", pathInvalid},
		{"SET a = b", "", noAttribute},
	} {
		got, err := parseUpdate(t, tt.text, NewParams(nil, attrs(t, operands))).Apply(nil)
		if m := message(t, err); m != tt.message {
			t.Errorf("%q: error %q, want %q", tt.text, m, tt.message)
		}
		if tt.message == "" && (got == nil || !got.Equal(attrs(t, tt.want))) {
			t.Errorf("%q of no item is %s, want %s", tt.text, got, tt.want)
		}
	}
}

func TestNoUpdate(t *testing.T) {
	old := attrs(t, stored)
	got, err := (*Update)(nil).Apply(old)
	if err != nil || !got.Equal(old) {
		t.Errorf("no update gives %s, %v", got, err)
	}
	if p := (*Update)(nil).Project(old); p != nil {
		t.Errorf("no update projects %s", p)
	}
}

// A value may be nested 32 levels deep, counted from its attribute.
func TestApplyDepth(t *testing.T) {
	nested := func(levels int) string {
		return strings.Repeat(`{"L":[`, levels-1) + `{"N":"1"}` + strings.Repeat(`]}`, levels-1)
	}
	old := attrs(t, `{"m":{"M":{"x":{"N":"1"}}},"deep":`+nested(31)+`,"deeper":`+nested(32)+`}`)
	for text, want := range map[string]string{
		"SET m.x = deep":     "",
		"SET m.x = deeper":   "Nesting Levels have exceeded supported limits",
		"SET a = deeper":     "",
		"SET deep[0] = deep": "", "SET deep[0][0] = deep": "Nesting Levels have exceeded supported limits",
		"SET deep[0] = m":     "",
		"SET m.x = :1":        "",
		"SET m.x = m, deep=m": "",
	} {
		got, err := parseUpdate(t, text, NewParams(nil, attrs(t, operands))).Apply(old)
		if m := message(t, err); m != want {
			t.Errorf("%q: error %q, want %q", text, m, want)
		}
		if err == nil && item.Check(got) != nil {
			t.Errorf("%q: %v", text, item.Check(got))
		}
	}
}

// ReturnValues UPDATED_OLD and UPDATED_NEW show the paths of the update, with
// two oddities: what was appended to a list is not shown, and what took the
// place of a removed element is.
func TestUpdateProject(t *testing.T) {
	old := attrs(t, stored)
	for _, tt := range []struct{ text, old, new string }{
		{"SET n = :1", `{"n":{"N":"5"}}`, `{"n":{"N":"1"}}`},
		{"SET q = :1", "", `{"q":{"N":"1"}}`},
		{"REMOVE n", `{"n":{"N":"5"}}`, ""},
		{"REMOVE q", "", ""},
		{"SET m.x = :2, m.y.z = :s, s = :t", `{"s":{"S":"x"},"m":{"M":{"x":{"N":"1"},"y":{"M":{"z":{"S":"z"}}}}}}`,
			`{"s":{"S":"t"},"m":{"M":{"x":{"N":"2"},"y":{"M":{"z":{"S":"new"}}}}}}`},
		{"SET l[1] = :s, l[3] = :t", `{"l":{"L":[{"S":"1"},{"S":"3"}]}}`, `{"l":{"L":[{"S":"new"},{"S":"t"}]}}`},
		{"SET l[100] = :s", "", ""},
		{"REMOVE l[1]", `{"l":{"L":[{"S":"1"}]}}`, `{"l":{"L":[{"S":"2"}]}}`},
		{"REMOVE l[3]", `{"l":{"L":[{"S":"3"}]}}`, ""},
		{"ADD n :1 DELETE ss :ab", `{"n":{"N":"5"},"ss":{"SS":["a","b"]}}`, `{"n":{"N":"6"}}`},
	} {
		u := parseUpdate(t, tt.text, NewParams(nil, attrs(t, operands)))
		updated, err := u.Apply(old)
		if err != nil {
			t.Fatalf("%q: %v", tt.text, err)
		}
		for _, part := range []struct {
			name      string
			got, want item.Item
		}{{"UPDATED_OLD", u.Project(old), attrs(t, tt.old)}, {"UPDATED_NEW", u.Project(updated), attrs(t, tt.new)}} {
			if !part.got.Equal(part.want) || (part.got == nil) != (part.want == nil) {
				t.Errorf("%q %s = %s, want %s", tt.text, part.name, part.got, part.want)
			}
		}
	}
}

func TestUpdateConstant(t *testing.T) {
	u := parseUpdate(t, "SET a = :s, b.c = :s, d = e, f = if_not_exists(f, :s) REMOVE g ADD h :1", NewParams(nil, attrs(t, operands)))
	for _, name := range []string{"b", "c", "d", "e", "f", "g", "h", "i"} {
		if v, ok := u.Constant(name); ok {
			t.Errorf("Constant(%s) = %v, want none", name, v)
		}
	}
	if v, ok := u.Constant("a"); !ok || v.Type() != item.S {
		t.Errorf("Constant(a) = %v, %v, want the value of :s", v, ok)
	}
}

func TestUpdatePaths(t *testing.T) {
	u := parseUpdate(t, "SET a.b = if_not_exists(c, d[0]) + e, f = list_append(g, :l), h = i REMOVE j ADD k :1", NewParams(nil, attrs(t, operands)))
	paths := func(seq func(func(Path) bool)) (list []string) {
		for p := range seq {
			list = append(list, p.String())
		}
		return list
	}
	if got, want := paths(u.Paths()), []string{"[a, b]", "[f]", "[h]", "[j]", "[k]"}; !slices.Equal(got, want) {
		t.Errorf("Paths = %v, want %v", got, want)
	}
	if got, want := paths(u.Reads()), []string{"[c]", "[d, [0]]", "[e]", "[g]", "[i]"}; !slices.Equal(got, want) {
		t.Errorf("Reads = %v, want %v", got, want)
	}
	for range u.Paths() {
		break
	}
	for range u.Reads() {
		break
	}
	if n := len(paths((*Update)(nil).Paths())) + len(paths((*Update)(nil).Reads())); n != 0 {
		t.Errorf("no update has %d paths", n)
	}
}
