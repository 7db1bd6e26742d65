package expr

import (
	"slices"
	"testing"

	"github.com/statordb/stator/item"
)

// sample has an attribute of every type.
const sample = `{
	"s":{"S":"hello"}, "empty":{"S":""}, "utf":{"S":"né"}, "n":{"N":"5"}, "neg":{"N":"-2.5"}, "b":{"B":"AQID"},
	"yes":{"BOOL":true}, "nay":{"BOOL":false}, "null":{"NULL":true},
	"l":{"L":[{"N":"1"},{"S":"two"},{"L":[{"S":"deep"}]},{"M":{"k":{"N":"7"}}}]},
	"m":{"M":{"x":{"N":"1"},"y":{"M":{"z":{"S":"zed"}}}}},
	"ss":{"SS":["a","b","c"]}, "ns":{"NS":["1","2"]}, "bs":{"BS":["AQ==","Ag=="]},
	"x.y":{"S":"dotted"}, "size":{"N":"3"}}`

const sampleValues = `{
	":hello":{"S":"hello"}, ":hell":{"S":"hell"}, ":ell":{"S":"ell"}, ":empty":{"S":""}, ":a":{"S":"a"}, ":z":{"S":"z"}, ":two":{"S":"two"},
	":0":{"N":"0"}, ":1":{"N":"1"}, ":one":{"N":"1.0"}, ":2":{"N":"2"}, ":3":{"N":"3"}, ":5":{"N":"5"}, ":5b":{"N":"0.5e1"}, ":9":{"N":"9"},
	":b":{"B":"AQID"}, ":b1":{"B":"AQ=="}, ":b2":{"B":"Ag=="}, ":b23":{"B":"AgM="},
	":true":{"BOOL":true}, ":null":{"NULL":true},
	":cba":{"SS":["c","b","a"]}, ":ab":{"SS":["a","b"]}, ":n21":{"NS":["2.0","1"]},
	":deep":{"L":[{"S":"deep"}]}, ":k7":{"M":{"k":{"N":"7.0"}}}, ":emptyL":{"L":[]},
	":yx":{"M":{"y":{"M":{"z":{"S":"zed"}}},"x":{"N":"1"}}},
	":S":{"S":"S"}, ":N":{"S":"N"}, ":B":{"S":"B"}, ":BOOL":{"S":"BOOL"}, ":NULL":{"S":"NULL"},
	":L":{"S":"L"}, ":M":{"S":"M"}, ":SS":{"S":"SS"}, ":NS":{"S":"NS"}, ":BS":{"S":"BS"}}`

var evaluations = []struct {
	text string
	want bool
}{
	// Equality is deep and typed; sets and maps have no order.
	{"s = :hello", true},
	{"s = :hell", false},
	{":hello = s", true},
	{"n = :5", true},
	{"n = :5b", true},
	{"n = :hello", false},
	{"b = :b", true},
	{"yes = :true", true},
	{"nay = :true", false},
	{"#null = :null", true},
	{"l[2] = :deep", true},
	{"l[3] = :k7", true},
	{"m = :yx", true},
	{"ss = :cba", true},
	{"ss = :ab", false},
	{"ns = :n21", true},
	{"s <> :hell", true},
	{"s <> :hello", false},
	{"s <> :1", true},
	{":1 = :one", true},
	{"#dotted = :hello", false},
	{"#dotted <> :hello", true},

	// Order: strings and binaries by bytes, numbers by value.
	{"s < :z", true},
	{"s <= :hello", true},
	{"s < :hello", false},
	{"s > :hell", true},
	{"s >= :z", false},
	{"n > :3", true},
	{"neg < :0", true},
	{"neg <= :0 AND neg < n", true},
	{"b > :b1", true},
	{"b >= :b2", false},
	{"n < :z", false},
	{"n > :z", false},
	{"n >= :z", false},
	{"yes < :1", false},
	{"yes >= nay", false},
	{"l > :1", false},
	{":1 < n AND n < :9", true},
	{"n BETWEEN :5 AND :5", true},
	{"n BETWEEN :0 AND :3", false},
	{"s BETWEEN :hell AND :z", true},
	{"n BETWEEN neg AND :9", true},
	{"n BETWEEN :9 AND neg", false},
	{"s BETWEEN n AND :z", false},
	{":1 BETWEEN neg AND n", true},
	{"s IN (:a, :hello)", true},
	{"s IN (:a, :1)", false},
	{"#null IN (:null)", true},
	{"l[2] IN (s, :deep)", true},

	// Missing operands: every comparison is false but one.
	{"q = :1", false},
	{"q < :1", false},
	{"q >= :1", false},
	{"q <> :1", true},
	{":1 <> q", true},
	{"q <> r", false},
	{"q = r", false},
	{"NOT q = :1", true},
	{"NOT q <> :1", false},
	{"NOT q < :1 AND NOT q >= :1", true},
	{"q BETWEEN :1 AND :2", false},
	{"n BETWEEN q AND :9", false},
	{"q IN (:1)", false},
	{"n IN (q, :5)", true},
	{"l[9] = :1", false},
	{"l[9] <> :1", true},
	{"m.x.y = :1", false},
	{"s[0] = :1", false},
	{"s.a = :1", false},
	{"m[0] = :1", false},
	{"l.x = :1", false},
	{"contains(q, :a)", false},
	{"begins_with(q, :a)", false},
	{"attribute_type(q, :S)", false},

	// Paths.
	{"l[0] = :1", true},
	{"l[1] = :two", true},
	{"l[3].k > :5", true},
	{"m.y.z <> :z", true},
	{"m . x = l [ 0 ]", true},

	// Functions.
	{"attribute_exists(s)", true},
	{"attribute_exists(#null)", true},
	{"attribute_exists(m.y.z)", true},
	{"attribute_exists(m.y.q)", false},
	{"attribute_exists(l[3].k)", true},
	{"attribute_not_exists(q)", true},
	{"attribute_not_exists(l[4])", true},
	{"attribute_not_exists(s)", false},
	{"attribute_type(s, :S) AND attribute_type(n, :N) AND attribute_type(b, :B) AND attribute_type(yes, :BOOL)", true},
	{"attribute_type(#null, :NULL) AND attribute_type(l, :L) AND attribute_type(m, :M)", true},
	{"attribute_type(ss, :SS) AND attribute_type(ns, :NS) AND attribute_type(bs, :BS)", true},
	{"attribute_type(s, :N)", false},
	{"attribute_type(:1, :N)", true},
	{"attribute_type(size(s), :N)", true},
	{"attribute_type(size(n), :N)", false},
	{"begins_with(s, :hell)", true},
	{"begins_with(s, :ell)", false},
	{"begins_with(s, :empty)", true},
	{"begins_with(:hello, s)", true},
	{"begins_with(b, :b1)", true},
	{"begins_with(b, :hell)", false},
	{"begins_with(n, :hell)", false},
	{"begins_with(s, l[1])", false},
	{"contains(s, :ell)", true},
	{"contains(s, :z)", false},
	{"contains(s, :empty)", true},
	{"contains(b, :b23)", true},
	{"contains(b, :ell)", false},
	{"contains(s, :1)", false},
	{"contains(ss, :a)", true},
	{"contains(ss, :z)", false},
	{"contains(ss, :ab)", false},
	{"contains(ss, :1)", false},
	{"contains(ns, :1)", true},
	{"contains(ns, :3)", false},
	{"contains(bs, :b2)", true},
	{"contains(l, :two)", true},
	{"contains(l, :deep)", true},
	{"contains(l, :k7)", true},
	{"contains(l, :5)", false},
	{"contains(m, :1)", false},
	{"contains(n, :5)", false},
	{"contains(:hello, s)", true},
	{"size(s) = :5", true},
	{"size(s) = n", true},
	{"size(utf) = :3", true},
	{"size(#empty) = :0", true},
	{"size(b) = :3 AND size(l) > :3 AND size(m) = :2 AND size(ss) = :3 AND size(ns) = :2 AND size(bs) = :2", true},
	{"size(n) = :1", false},
	{"size(n) <> :1", false},
	{"NOT size(n) = :1", true},
	{"size(yes) < :9", false},
	{"size(#null) < :9", false},
	{"size(q) < :9", false},
	{"size(q) <> :9", false},
	{":9 <> size(q)", false},
	{"size(s) <> q", true},
	{"size(s) BETWEEN :1 AND :9", true},
	{"size(s) IN (:5)", true},
	{":5 IN (size(n), size(s))", true},
	{"size(:hello) = size(s)", true},
	{"size(:emptyL) < :1", true},
	{"contains(ns, size(:ab))", true},

	// Precedence: NOT before AND before OR.
	{"s = :hello OR s = :a AND s = :z", true},
	{"(s = :hello OR s = :a) AND s = :z", false},
	{"NOT s = :a AND s = :hello", true},
	{"NOT (s = :a AND s = :hello)", true},
	{"NOT s = :hello OR s = :hello", true},
	{"NOT (s = :hello OR s = :hello)", false},
	{"s = :a OR s = :z OR s = :hello", true},
	{"s = :hello AND n = :5 AND n BETWEEN :1 AND :9 AND b = :b", true},
}

func sampleParams(t testing.TB) *Params {
	return NewParams(
		map[string]string{"#null": "null", "#dotted": "x.y", "#empty": "empty"},
		attrs(t, sampleValues))
}

func TestEval(t *testing.T) {
	it := attrs(t, sample)
	for _, tt := range evaluations {
		c, err := ParseCondition(FilterExpression, tt.text, sampleParams(t))
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if got := c.Eval(it); got != tt.want {
			t.Errorf("%q is %v, want %v", tt.text, got, tt.want)
		}
	}
}

// A condition on an item that does not exist sees every path missing.
func TestEvalMissingItem(t *testing.T) {
	for text, want := range map[string]bool{
		"attribute_not_exists(s)":    true,
		"attribute_exists(s)":        false,
		"s = :hello":                 false,
		"s <> :hello":                true,
		"NOT s = :hello":             true,
		"m.y.z = :z OR size(s) > :0": false,
	} {
		if got := parseCondition(t, text, sampleParams(t)).Eval(nil); got != want {
			t.Errorf("%q of no item is %v, want %v", text, got, want)
		}
	}
	if !(*Condition)(nil).Eval(nil) {
		t.Error("no condition is not met")
	}
}

func TestConditionPaths(t *testing.T) {
	c := parseCondition(t, "a = :1 AND (size(b.c) > d[0] OR NOT contains(:hello, e)) AND f BETWEEN g AND :2 AND h IN (i, :1)"+
		" AND begins_with(j, k) AND attribute_type(l, :S) AND attribute_exists(m)", sampleParams(t))
	var got []string
	for p := range c.Paths() {
		got = append(got, p.String())
	}
	want := []string{"[a]", "[b, c]", "[d, [0]]", "[e]", "[f]", "[g]", "[h]", "[i]", "[j]", "[k]", "[l]", "[m]"}
	if !slices.Equal(got, want) {
		t.Errorf("Paths = %v, want %v", got, want)
	}
	for range c.Paths() {
		break // must not go on
	}
	for p := range (*Condition)(nil).Paths() {
		t.Errorf("no condition has path %s", p)
	}
}

// Simple comparisons work on the item's bytes as they are.
func TestEvalDoesNotAllocate(t *testing.T) {
	it := attrs(t, sample)
	for _, text := range []string{
		"s = :hello",
		"n > :3 AND neg < n",
		"attribute_exists(m.y.z) AND attribute_not_exists(q)",
		"l[3].k BETWEEN :1 AND :9 OR s = :a",
		"s IN (:a, :z, :hello)",
		"begins_with(s, :hell) AND contains(ss, :a) AND contains(l, :two)",
		"attribute_type(s, :S) AND NOT q = :1",
	} {
		c := parseCondition(t, text, sampleParams(t))
		var met bool
		if n := testing.AllocsPerRun(100, func() { met = c.Eval(it) }); n != 0 {
			t.Errorf("%q allocates %v times", text, n)
		}
		if !met {
			t.Errorf("%q is false", text)
		}
	}
}

func TestSizeIsANumber(t *testing.T) {
	v, ok := sizeOf(item.String("hello"))
	want, err := item.Num("5")
	if err != nil || !ok || !v.Equal(want) {
		t.Errorf("sizeOf(hello) = %v, %v; want %v (%v)", v, ok, want, err)
	}
}
