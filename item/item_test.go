package item

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/jsonscan"
	"pgregory.net/rapid"
)

func parseItem(text string) (Item, error) {
	if err := jsonscan.Valid([]byte(text), 1000); err != nil {
		return nil, err
	}
	s := jsonscan.New([]byte(text))
	return ParseItem(&s, nil)
}

func mustItem(tb testing.TB, text string) Item {
	tb.Helper()
	it, err := parseItem(text)
	if err != nil {
		tb.Fatalf("ParseItem(%s): %v", text, err)
	}
	return it
}

func mustValue(tb testing.TB, text string) Value {
	tb.Helper()
	v, ok := mustItem(tb, `{"v":`+text+`}`).Get("v")
	if !ok {
		tb.Fatalf("no value in %s", text)
	}
	return v
}

func ExampleItem() {
	body := []byte(`{"title":{"S":"Blue Train"},"year":{"N":"1957.0"},"genres":{"SS":["jazz","hard bop"]}}`)
	if err := jsonscan.Valid(body, 100); err != nil {
		fmt.Println(err)
		return
	}
	s := jsonscan.New(body)
	album, err := ParseItem(&s, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	year, _ := album.Get("year")
	fmt.Println(year.Type(), year.Number())
	genres, _ := album.Get("genres")
	fmt.Println(genres.Contains(String("jazz")))
	fmt.Println(album.Size(), "bytes")
	fmt.Printf("%s\n", album.AppendJSON(nil))
	// Output:
	// N 1957
	// true
	// 40 bytes
	// {"genres":{"SS":["hard bop","jazz"]},"title":{"S":"Blue Train"},"year":{"N":"1957"}}
}

func TestNoItem(t *testing.T) {
	var none Item
	if _, ok := none.Get("a"); ok || none.Len() != 0 || none.Size() != 0 || none.Depth() != 0 {
		t.Errorf("nil item: Get %v, Len %d, Size %d, Depth %d; want nothing", ok, none.Len(), none.Size(), none.Depth())
	}
	for range none.All() {
		t.Error("nil item has attributes")
	}
	empty := NewItem(nil)
	if empty == nil || !none.Equal(empty) || string(none.AppendJSON(nil)) != "{}" || none.String() != "{}" {
		t.Errorf("nil item %v, %s; empty item %v", none, none.AppendJSON(nil), empty)
	}
	if _, ok := empty.Get(""); ok {
		t.Error("empty item has an attribute without name")
	}
}

// The worked examples of the guide, and each rule once.
func TestSize(t *testing.T) {
	tests := []struct {
		item string
		want int
	}{
		{`{}`, 0},
		{`{"shirt-color":{"S":"R"},"shirt-size":{"S":"M"}}`, 23}, // the guide's example
		{`{"a":{"S":""}}`, 1}, {`{"é":{"S":"日本"}}`, 2 + 6},
		{`{"a":{"N":"0"}}`, 2}, {`{"a":{"N":"12.50"}}`, 1 + 3}, {`{"a":{"N":"-1"}}`, 1 + 3},
		{`{"a":{"B":"AQID"}}`, 1 + 3}, {`{"a":{"BOOL":false}}`, 2}, {`{"a":{"NULL":true}}`, 2},
		{`{"a":{"SS":["x","yz"]}}`, 1 + 3}, {`{"a":{"NS":["1","22","333"]}}`, 1 + 2 + 2 + 3}, {`{"a":{"BS":["AQ==","AQI="]}}`, 1 + 3}, {`{"a":{"SS":[""]}}`, 1},
		{`{"a":{"L":[]}}`, 1 + 3}, {`{"a":{"M":{}}}`, 1 + 3},
		{`{"a":{"L":[{"S":"x"},{"N":"1"}]}}`, 1 + 3 + (1 + 1) + (2 + 1)},
		{`{"a":{"M":{"k":{"S":"x"},"kk":{"BOOL":true}}}}`, 1 + 3 + (1 + 1 + 1) + (2 + 1 + 1)},
		{`{"a":{"L":[{"L":[{"M":{"b":{"NULL":true}}}]}]}}`, 1 + 3 + 1 + 3 + 1 + 3 + (1 + 1 + 1)},
	}
	for _, tt := range tests {
		if got := mustItem(t, tt.item).Size(); got != tt.want {
			t.Errorf("Size(%s) = %d, want %d", tt.item, got, tt.want)
		}
	}
}

func TestDepth(t *testing.T) {
	tests := []struct {
		item string
		want int
	}{
		{`{}`, 0}, {`{"a":{"S":"x"}}`, 1}, {`{"a":{"L":[]}}`, 1}, {`{"a":{"L":[{"S":"x"}]},"b":{"M":{"c":{"L":[{"NULL":true}]}}}}`, 3}, {`{"a":{"SS":["x"]}}`, 1},
	}
	for _, tt := range tests {
		if got := mustItem(t, tt.item).Depth(); got != tt.want {
			t.Errorf("Depth(%s) = %d, want %d", tt.item, got, tt.want)
		}
	}
}

// Everything an item can be asked, against the obvious model.
func TestItemModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := drawMembers(t, 4)
		text := membersJSON(members)
		it, err := parseItem(text)
		if err != nil {
			t.Fatalf("ParseItem(%s): %v", text, err)
		}
		if err := Check(it); err != nil {
			t.Fatalf("Check(%s): %v", text, err)
		}
		if built := membersItem(members); !bytes.Equal(built, it) {
			t.Fatalf("%s\nparsed % x\nbuilt  % x", text, []byte(it), []byte(built))
		}
		if got, want := it.Size(), membersSize(members); got != want {
			t.Fatalf("Size(%s) = %d, want %d", text, got, want)
		}
		if it.Len() != len(members) {
			t.Fatalf("Len(%s) = %d, want %d", text, it.Len(), len(members))
		}
		for _, m := range members {
			if v, ok := it.Get(m.name); !ok || !v.Equal(m.value.value()) {
				t.Fatalf("Get(%s, %q) = %v, %v", text, m.name, v, ok)
			}
			if _, ok := it.Get(m.name + "x"); ok != slices.ContainsFunc(members, func(o member) bool { return o.name == m.name+"x" }) {
				t.Fatalf("Get(%s, %qx) = %v", text, m.name, ok)
			}
		}
		names := slices.Collect(maps.Keys(maps.Collect(it.All())))
		if len(names) != len(members) || !slices.IsSorted(slices.Collect(keys(it))) {
			t.Fatalf("All(%s) = %q", text, slices.Collect(keys(it)))
		}
		out := it.AppendJSON(nil)
		if err := jsonscan.Valid(out, 1000); err != nil {
			t.Fatalf("AppendJSON(%s) = %s: %v", text, out, err)
		}
		if again, err := parseItem(string(out)); err != nil || !again.Equal(it) {
			t.Fatalf("%s comes back as %s: %v", text, out, err)
		}
	})
}

func keys(it Item) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range it.All() {
			if !yield(name) {
				return
			}
		}
	}
}

// Equal values have equal bytes, however they were spelled; others do not.
func TestEqualIsEqualBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawTree(t, 3)
		w := v
		switch rapid.IntRange(0, 2).Draw(t, "other") {
		case 0:
			w = drawTree(t, 3)
		case 1:
			w = shuffled(t, v)
		}
		if got, want := v.value().Equal(w.value()), v.equal(w); got != want {
			t.Fatalf("%s equals %s: %v, want %v", v.json(), w.json(), got, want)
		}
	})
}

// shuffled returns v spelled differently.
func shuffled(t *rapid.T, v tree) tree {
	switch v.t {
	case N:
		v.text = rat(v.text).FloatString(200)
	case M:
		v.members = rapid.Permutation(v.members).Draw(t, "members")
	case SS, NS, BS:
		v.elements = rapid.Permutation(v.elements).Draw(t, "elements")
	case L:
		elements := make([]tree, len(v.elements))
		for i, e := range v.elements {
			elements[i] = shuffled(t, e)
		}
		v.elements = elements
	}
	return v
}

func TestCompareAndKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]Type{S, N, B}).Draw(t, "type")
		v, w := drawScalar(t, kind), drawScalar(t, kind)
		c, ok := v.value().Compare(w.value())
		if !ok || !sameOrder(v, w, c) {
			t.Fatalf("Compare(%s, %s) = %d, %v", v.json(), w.json(), c, ok)
		}
		a, b := AppendKey(nil, v.value()), AppendKey(nil, w.value())
		if bytes.Compare(a, b) != c {
			t.Fatalf("keys % x and % x of %s and %s do not compare %d", a, b, v.json(), w.json(), c)
		}
		if back, err := KeyValue(kind, a); err != nil || !back.Equal(v.value()) {
			t.Fatalf("KeyValue(%s) = %v, %v", v.json(), back, err)
		}
		both := AppendPartitionKey(AppendPartitionKey(nil, v.value()), w.value())
		first, rest, err := PartitionKeyValue(kind, both)
		if err != nil || !first.Equal(v.value()) {
			t.Fatalf("PartitionKeyValue(%s) = %v, %v", v.json(), first, err)
		}
		second, rest, err := PartitionKeyValue(kind, rest)
		if err != nil || !second.Equal(w.value()) || len(rest) > 0 {
			t.Fatalf("PartitionKeyValue(%s) = %v, % x, %v", w.json(), second, rest, err)
		}
	})
}

// Parts of a key compare as the values do, whatever follows them; the parts of
// the values that begin with a prefix are those that begin with its part.
func TestKeyParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]Type{S, N, B}).Draw(t, "type")
		v, w := drawKeyPart(t, kind), drawKeyPart(t, kind)
		c, _ := v.Compare(w)
		tails := rapid.SliceOfN(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0x7f, 0xff}), 0, 3), 2, 2).Draw(t, "tails")
		a, b := append(AppendKeyPart(nil, v), tails[0]...), append(AppendKeyPart(nil, w), tails[1]...)
		if c == 0 {
			c = bytes.Compare(tails[0], tails[1])
		}
		if bytes.Compare(a, b) != c {
			t.Fatalf("keys % x and % x of %v and %v do not compare %d", a, b, v, w, c)
		}
		if kind == N {
			return
		}
		begins := bytes.HasPrefix(v.Bytes(), w.Bytes())
		if got := bytes.HasPrefix(a, AppendKeyPrefix(nil, w)); got != begins {
			t.Fatalf("key % x of %v has the prefix of %v = %v, want %v", a, v, w, got, begins)
		}
	})
}

// drawKeyPart draws short strings of awkward bytes, so that many share a prefix.
func drawKeyPart(t *rapid.T, kind Type) Value {
	switch kind {
	case N:
		return drawScalar(t, N).value()
	case B:
		return Bytes(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xff}), 0, 4).Draw(t, "bytes"))
	}
	return String(rapid.StringOfN(rapid.RuneFrom([]rune{0, 1, 'a', 'ÿ'}), 0, 4, -1).Draw(t, "text"))
}

func TestCompareRefuses(t *testing.T) {
	for _, pair := range [][2]Value{
		{String("1"), Bytes([]byte("1"))}, {Bool(true), Bool(true)}, {Null(), Null()}, {List(), List()}, {nil, nil}, {nil, String("")},
	} {
		if c, ok := pair[0].Compare(pair[1]); ok {
			t.Errorf("Compare(%v, %v) = %d, want no order", pair[0], pair[1], c)
		}
	}
}

func TestKeyErrors(t *testing.T) {
	tests := []struct {
		t   Type
		key string
	}{
		{S, "\xff"}, {N, ""}, {N, "\x80"}, {N, "\xc1\x03"}, {N, "\xc1\x02\x02"}, {N, "\xc1\xc8"}, {BOOL, "\x01"}, {0, "x"}, {L, "x"},
	}
	for _, tt := range tests {
		if v, err := KeyValue(tt.t, []byte(tt.key)); !errors.Is(err, ErrMalformed) {
			t.Errorf("KeyValue(%v, %q) = %v, %v, want ErrMalformed", tt.t, tt.key, v, err)
		}
	}
	for _, tt := range []struct {
		t   Type
		key string
	}{{S, ""}, {S, "\x02x"}, {S, "\x81\x00x"}, {S, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"}, {S, "\x80"}, {N, ""}, {N, "\xc1"}, {B, ""}, {BOOL, "\x00"}} {
		if v, _, err := PartitionKeyValue(tt.t, []byte(tt.key)); !errors.Is(err, ErrMalformed) {
			t.Errorf("PartitionKeyValue(%v, %q) = %v, %v, want ErrMalformed", tt.t, tt.key, v, err)
		}
	}
}

func TestListsAndSets(t *testing.T) {
	list := mustValue(t, `{"L":[{"S":"a"},{"N":"2"},{"L":[]}]}`)
	if got := fmt.Sprint(slices.Collect(list.Elements())); got != "[{S:a} {N:2} {L:[]}]" || list.Len() != 3 {
		t.Errorf("Elements = %s, Len %d", got, list.Len())
	}
	for i, want := range []string{"{S:a}", "{N:2}", "{L:[]}"} {
		if e, ok := list.Index(i); !ok || e.String() != want {
			t.Errorf("Index(%d) = %v, %v, want %s", i, e, ok, want)
		}
	}
	for _, i := range []int{-1, 3, 1000} {
		if e, ok := list.Index(i); ok {
			t.Errorf("Index(%d) = %v, want none", i, e)
		}
	}
	if list.Contains(String("a")) {
		t.Error("a list has no members")
	}
	set := mustValue(t, `{"NS":["10","-1","2.50"]}`)
	if got := set.String(); got != "{NS:[-1, 2.5, 10]}" {
		t.Errorf("set = %s", got)
	}
	for text, want := range map[string]bool{"10": true, "1e1": true, "2.5": true, "-1.0": true, "0": false, "11": false, "-2": false} {
		n, err := Num(text)
		if err != nil || set.Contains(n) != want {
			t.Errorf("Contains(%s) = %v, %v, want %v", text, !want, err, want)
		}
	}
	if set.Contains(String("10")) || set.Contains(set) {
		t.Error("members of other types")
	}
	for _, v := range []Value{String("x"), Bool(true), Null(), nil} {
		if v.Type() == 0 && v.Size() != 0 {
			t.Errorf("no value has size %d", v.Size())
		}
		if v.Len() != 0 || len(slices.Collect(v.Elements())) != 0 {
			t.Errorf("%v has elements", v)
		}
	}
}

func TestSetOperations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]Type{SS, NS, BS}).Draw(t, "type")
		a, b := drawSet(t, kind.Element()), drawSet(t, kind.Element())
		v, w := tree{t: kind, elements: a}, tree{t: kind, elements: b}
		union := tree{t: kind, elements: slices.Clone(a)}
		var rest []tree
		for _, e := range b {
			if !slices.ContainsFunc(a, e.equal) {
				union.elements = append(union.elements, e)
			}
		}
		for _, e := range a {
			if !slices.ContainsFunc(b, e.equal) {
				rest = append(rest, e)
			}
		}
		if got := Union(v.value(), w.value()); !got.Equal(union.value()) {
			t.Fatalf("Union(%s, %s) = %v", v.json(), w.json(), got)
		}
		got, ok := Difference(v.value(), w.value())
		if ok != (len(rest) > 0) || ok && !got.Equal(tree{t: kind, elements: rest}.value()) {
			t.Fatalf("Difference(%s, %s) = %v, %v", v.json(), w.json(), got, ok)
		}
	})
}

// Items with more entries than fit the narrow layout, more attributes than
// are inserted one by one, and prints that collide.
func TestLargeItems(t *testing.T) {
	for _, count := range []int{1, 7, 8, 9, 24, 25, 31, 32, 33, 600} {
		for _, size := range []int{0, 1, 130, 3000} {
			var parts []string
			m := map[string]Value{}
			for i := range count {
				name := fmt.Sprintf("n%d", (i*7919)%count)
				text := strings.Repeat("x", size)
				parts = append(parts, fmt.Sprintf(`%q:{"S":%q}`, name, text))
				m[name] = String(text)
			}
			it := mustItem(t, "{"+strings.Join(parts, ",")+"}")
			if err := Check(it); err != nil {
				t.Fatalf("%d × %d bytes: %v", count, size, err)
			}
			if !it.Equal(NewItem(m)) || it.Len() != len(m) {
				t.Fatalf("%d × %d bytes: parsed and built items differ", count, size)
			}
			for name, v := range m {
				if got, ok := it.Get(name); !ok || !got.Equal(v) {
					t.Fatalf("%d × %d bytes: Get(%s) = %v", count, size, name, ok)
				}
			}
			if _, ok := it.Get("n"); ok {
				t.Fatalf("%d × %d bytes: Get(n) found something", count, size)
			}
		}
	}
}

// The last narrow and the first wide item. An entry is name size, name, tag,
// three bytes of size, text.
func TestLayoutBoundary(t *testing.T) {
	for text, layout := range map[int]byte{65535 - 6: layoutNarrow, 65536 - 6: layoutWide} {
		it := NewItem(map[string]Value{"a": String(strings.Repeat("x", text))})
		if it[0] != 1<<2|layout || Check(it) != nil {
			t.Errorf("item with %d bytes of text begins with %#x, Check %v; want layout %d", text, it[0], Check(it), layout)
		}
		if v, ok := it.Get("a"); !ok || v.Size() != text {
			t.Errorf("Get = %v bytes, %v, want %d", v.Size(), ok, text)
		}
	}
}

// Of many attributes with few names, the last one of each name counts.
func TestManyDuplicates(t *testing.T) {
	for _, count := range []int{20, 200} {
		var parts []string
		want := map[string]Value{}
		for i := range count {
			name := fmt.Sprintf("n%d", i*7%13)
			parts = append(parts, fmt.Sprintf(`%q:{"N":"%d"}`, name, i))
			want[name] = Int(int64(i))
		}
		if got := mustItem(t, "{"+strings.Join(parts, ",")+"}"); !got.Equal(NewItem(want)) {
			t.Errorf("%d attributes: %v, want %v", count, got, NewItem(want))
		}
	}
}

func TestIterationStops(t *testing.T) {
	it := mustItem(t, `{"a":{"L":[{"N":"1"},{"N":"2"}]},"b":{"NULL":true}}`)
	for name, v := range it.All() {
		for e := range v.Elements() {
			if name != "a" || e.String() != "{N:1}" {
				t.Errorf("visited %s, %v", name, e)
			}
			break
		}
		break
	}
}

// Setting what was announced allocates nothing.
func TestBuilderGrow(t *testing.T) {
	name, value := strings.Repeat("n", 300), String(strings.Repeat("v", 5000))
	n := testing.AllocsPerRun(10, func() {
		var b Builder
		b.Grow(3, len("a")+len("b")+len(name)+3*len(value))
		b.Set("a", value)
		b.Set("b", value)
		b.Set(name, value)
		b.Reset()
	})
	if n > 2 {
		t.Errorf("%v allocations, want one for names and values and one for their order", n)
	}
}

func TestBuilder(t *testing.T) {
	var b Builder
	for range 2 { // a Builder can be used again
		b.Set("b", Null())
		b.Set("a", String("old"))
		b.Set("a", String("new"))
		if got := b.Item(); got.String() != "{a={S:new}, b={NULL:true}}" {
			t.Errorf("Item = %v", got)
		}
	}
	b.Set("x", Null())
	b.Reset()
	if got := b.Item(); got == nil || got.Len() != 0 {
		t.Errorf("Item after Reset = %v", got)
	}
	b.Set("k", Bool(true))
	if got := b.AppendItem([]byte("pre")); string(got[:3]) != "pre" || Item(got[3:]).String() != "{k={BOOL:true}}" {
		t.Errorf("AppendItem = % x", got)
	}
}

func TestMapOfNil(t *testing.T) {
	if got := MapOf(nil); got.String() != "{M:{}}" || CheckValue(got) != nil {
		t.Errorf("MapOf(nil) = %v", got)
	}
}

func TestString(t *testing.T) {
	tests := []struct{ value, want string }{
		{`{"S":"x"}`, "{S:x}"}, {`{"N":"1e2"}`, "{N:100}"}, {`{"B":"AQI="}`, "{B:AQI=}"}, {`{"BOOL":true}`, "{BOOL:true}"}, {`{"NULL":true}`, "{NULL:true}"},
		{`{"L":[{"S":"a"},{"S":"b"}]}`, "{L:[{S:a}, {S:b}]}"}, {`{"M":{"k":{"N":"1"},"a":{"M":{}}}}`, "{M:{a={M:{}}, k={N:1}}}"},
		{`{"SS":["b","a"]}`, "{SS:[a, b]}"}, {`{"BS":["AQ=="]}`, "{BS:[AQ==]}"},
	}
	for _, tt := range tests {
		if got := mustValue(t, tt.value).String(); got != tt.want {
			t.Errorf("String(%s) = %s, want %s", tt.value, got, tt.want)
		}
	}
	if got := Value(nil).String(); got != "{}" {
		t.Errorf("String of no value = %s", got)
	}
}

func TestConstructors(t *testing.T) {
	if got := Bytes([]byte{0, 255}); string(got.Bytes()) != "\x00\xff" || got.Size() != 2 {
		t.Errorf("Bytes = %v", got)
	}
	if got := String("a\xffb"); got.String() != "{S:a\uFFFDb}" || CheckValue(got) != nil {
		t.Errorf("String of broken UTF-8 = %v", got)
	}
	for _, n := range []int64{0, 1, -1, 42, 1700000000, math.MaxInt64, math.MinInt64} {
		if got, want := Int(n), mustValue(t, fmt.Sprintf(`{"N":"%d"}`, n)); !got.Equal(want) {
			t.Errorf("Int(%d) = %v", n, got)
		}
	}
	if _, err := Num("x"); err == nil {
		t.Error("Num(x) succeeds")
	}
	one, two := mustNumber(t, "1"), mustNumber(t, "2")
	sets := []struct {
		make func() (Value, error)
		want string
	}{
		{func() (Value, error) { return StringSet("b", "", "a") }, "{SS:[, a, b]}"},
		{func() (Value, error) { return NumberSet(two, one) }, "{NS:[1, 2]}"},
		{func() (Value, error) { return BinarySet([]byte{2}, []byte{1}) }, "{BS:[AQ==, Ag==]}"},
		{func() (Value, error) { return StringSet() }, "One or more parameter values were invalid: An string set  may not be empty"},
		{func() (Value, error) { return NumberSet() }, "One or more parameter values were invalid: An number set  may not be empty"},
		{func() (Value, error) { return BinarySet() }, "One or more parameter values were invalid: Binary sets should not be empty"},
		{func() (Value, error) { return StringSet("b", "a", "b") }, "One or more parameter values were invalid: Input collection [b, a, b] contains duplicates."},
		{func() (Value, error) { return NumberSet(one, two, one) }, "Input collection contains duplicates"},
		{func() (Value, error) { return BinarySet([]byte{1}, []byte{1}) }, "One or more parameter values were invalid: Input collection [AQ==, AQ==]of type BS contains duplicates."},
	}
	for _, tt := range sets {
		v, err := tt.make()
		got := v.String()
		if err != nil {
			got = err.Error()
		} else if err := CheckValue(v); err != nil {
			t.Errorf("CheckValue(%v): %v", v, err)
		}
		if got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, n := range []int{1, 255, 65535} {
		if err := CheckName(bytes.Repeat([]byte("x"), n)); err != nil {
			t.Errorf("CheckName(%d bytes) = %v, want nil", n, err)
		}
	}
	for n, want := range map[int]string{0: "Empty attribute name", 65536: "65535"} {
		var verr *ValueError
		if err := CheckName(make([]byte, n)); !errors.As(err, &verr) || verr.Kind != ErrorName || !strings.Contains(verr.Message, want) {
			t.Errorf("CheckName(%d bytes) = %v, want %s", n, err, want)
		}
	}
}

func TestTypes(t *testing.T) {
	for ty := Type(0); ty < 12; ty++ {
		known := ty >= S && ty <= BS
		if (TypeOf(ty.String()) == ty && known) != known || !known && ty.String() != "?" {
			t.Errorf("type %d is %q", ty, ty)
		}
	}
	if TypeOf("s") != 0 || TypeOf("?") != 0 {
		t.Error("tags are case sensitive")
	}
	if SS.Element() != S || NS.Element() != N || BS.Element() != B {
		t.Error("members of sets")
	}
}

// Reading an item must not allocate.
func TestAllocations(t *testing.T) {
	it := parseKilobyte(t, nil)
	other := bytes.Clone(it)
	buf := make([]byte, 0, 4096)
	nested := mustValue(t, `{"L":[{"M":{"a":{"SS":["x","y"]}}}]}`)
	tests := map[string]func(){
		"Get":        func() { it.Get("version"); it.Get("none") },
		"Size":       func() { it.Size(); nested.Size() },
		"Equal":      func() { it.Equal(other) },
		"AppendJSON": func() { nested.AppendJSON(it.AppendJSON(buf)) },
		"All": func() {
			for range it.All() {
			}
			for range nested.Elements() {
			}
		},
		"ParseItem": func() { parseKilobyte(t, buf) },
		"Check": func() {
			if err := Check(it); err != nil {
				t.Error(err)
			}
		},
		"Depth": func() { it.Depth(); nested.Depth() },
	}
	for name, f := range tests {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times, want 0", name, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { parseKilobyte(t, nil) }); n > 1 {
		t.Errorf("ParseItem without a buffer allocates %v times, want 1", n)
	}
}

// The sample was written by version 1 of the form. If this test fails, items
// on disk can no longer be read.
func TestGolden(t *testing.T) {
	sample, err := os.ReadFile("testdata/item-v1.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(sample)), "\n")
	if len(lines) < 10 || len(lines)%2 != 0 {
		t.Fatalf("sample has %d lines, want pairs of JSON and bytes", len(lines))
	}
	for i := 0; i < len(lines); i += 2 {
		want, err := hex.DecodeString(strings.ReplaceAll(lines[i+1], " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		it := mustItem(t, lines[i])
		if !bytes.Equal(it, want) {
			t.Errorf("%s\nis   % x\nwant % x", lines[i], []byte(it), want)
		}
		if err := Check(want); err != nil {
			t.Errorf("Check(%s): %v", lines[i], err)
		}
	}
}
