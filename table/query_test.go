package table

import (
	"fmt"
	"strings"
	"testing"

	"github.com/statordb/stator/expr"
)

const (
	startInvalid = "The provided starting key is invalid"
	missed       = "Query condition missed key schema element: "
	unsupported  = "Query key condition not supported"
	wrongType    = invalidPrefix + "Condition parameter type does not match schema type"
)

func TestQueryRefusals(t *testing.T) {
	w := newWorld(t)
	d := indexed("tab")
	d.GlobalIndexes = append(d.GlobalIndexes, IndexDefinition{Name: "multi", Projection: all(),
		Keys: []KeyElement{{"x", Hash}, {"p", Hash}, {"s", Range}, {"y", Range}}})
	w.create(d)
	w.create(simple("hash", 1))
	p := `{":p":{"S":"a"},":q":{"S":"b"},":n":{"N":"5"},":m":{"N":"1"},":e":{"S":""},":b":{"B":"AA=="},":long":{"S":"` + longText(2049) + `"}}`
	for _, c := range []struct {
		name, table, index, keys, filter, projection, choice, start string
		consistent                                                  bool
		want                                                        string
	}{
		{name: "index", index: "nope", keys: "zz = :p", want: "The table does not have the specified index: nope"},
		{name: "index of a simple table", table: "hash", index: "x", keys: "p = :p", want: "The table does not have the specified index: x"},
		{name: "consistent global", index: "glo", consistent: true, keys: "zz = :p", want: "Consistent reads are not supported on global secondary indexes"},
		{name: "consistent local", index: "loc", consistent: true, keys: "p = :p"},

		{name: "start count", keys: "zz = :p", start: `{"p":{"S":"a"}}`, want: startInvalid},
		{name: "start names", keys: "zz = :p", start: `{"p":{"S":"a"},"q":{"N":"1"}}`, want: startInvalid},
		{name: "start types", keys: "zz = :p", start: `{"p":{"S":"a"},"s":{"S":"1"}}`, want: misfit},
		{name: "start of index lacks table key", index: "glo", keys: "zz = :p", start: `{"x":{"S":"a"},"y":{"B":"AA=="}}`, want: startInvalid},
		{name: "start of index", index: "glo", keys: "x = :p", start: `{"x":{"S":"a"},"y":{"B":"AA=="},"p":{"S":"a"},"s":{"N":"1"}}`},
		{name: "start empty", keys: "p = :p", start: `{"p":{"S":""},"s":{"N":"1"}}`, want: startInvalid + ": " + emptyKey},

		{name: "no hash", keys: "s = :n", want: missed + "p"},
		{name: "other attribute", keys: "zz = :n", want: missed + "p"},
		{name: "hash operator", keys: "p > :p", want: unsupported},
		{name: "second not sort", keys: "p = :p AND zz = :n", want: missed + "s"},
		{name: "three", index: "loc", keys: "p = :p AND s = :n AND x = :p", want: "Conditions can be of length 1 or 2 only"},
		{name: "two on hash only", table: "hash", keys: "p = :p AND zz = :n", want: unsupported},
		{name: "hash type", keys: "p = :n AND s = :p", want: wrongType},
		{name: "sort type", keys: "p = :p AND s = :p", want: wrongType},
		{name: "between type", keys: "p = :p AND s BETWEEN :p AND :q", want: wrongType},
		{name: "prefix of a number", keys: "p = :p AND begins_with(s, :p)", want: wrongType},
		{name: "empty hash", keys: "p = :e", want: emptyTerm},
		{name: "empty sort", index: "loc", keys: "p = :p AND x = :e", want: strings.ReplaceAll(emptyTerm, "Key: p", "Key: x")},
		{name: "long hash", keys: "p = :long", want: longHash},
		{name: "long sort", index: "loc", keys: "p = :p AND x = :long", want: longRange},
		{name: "local index wants its sort key", index: "loc", keys: "p = :p AND s = :n", want: missed + "x"},
		{name: "several hashes", index: "multi", keys: "x = :p", want: missed + "p"},
		{name: "gap", index: "multi", keys: "x = :p AND p = :p AND y = :b", want: missed + "s"},
		{name: "range before the last", index: "multi", keys: "x = :p AND p = :p AND s > :n AND y = :b", want: unsupported},
		{name: "all of multi", index: "multi", keys: "x = :p AND p = :p AND s = :n AND y > :b"},

		{name: "start of hash only", table: "hash", keys: "p = :p", start: `{"p":{"S":"x"}}`,
			want: "The provided exclusive start key is invalid: ExclusiveStartKey: {p=AttributeValue: {S:x}}"},
		{name: "start in other collection", keys: "p = :p", start: `{"p":{"S":"b"},"s":{"N":"1"}}`,
			want: "The provided starting key is outside query boundaries based on provided conditions"},
		{name: "start in other collection with sort", keys: "p = :p AND s > :n", start: `{"p":{"S":"b"},"s":{"N":"6"}}`,
			want: "The query can return at most one row and cannot be restarted"},
		{name: "start outside >", keys: "p = :p AND s > :n", start: `{"p":{"S":"a"},"s":{"N":"5"}}`, want: "The provided starting key does not match the range key predicate"},
		{name: "start outside >=", keys: "p = :p AND s >= :n", start: `{"p":{"S":"a"},"s":{"N":"4.9"}}`, want: "The provided starting key does not match the range key predicate"},
		{name: "start outside <", keys: "p = :p AND s < :n", start: `{"p":{"S":"a"},"s":{"N":"5"}}`, want: "The provided starting key does not match the range key predicate"},
		{name: "start outside <=", keys: "p = :p AND s <= :n", start: `{"p":{"S":"a"},"s":{"N":"5.1"}}`, want: "The provided starting key does not match the range key predicate"},
		{name: "start outside =", keys: "p = :p AND s = :n", start: `{"p":{"S":"a"},"s":{"N":"6"}}`, want: "The provided starting key does not match the range key predicate"},
		{name: "start outside BETWEEN", keys: "p = :p AND s BETWEEN :m AND :n", start: `{"p":{"S":"a"},"s":{"N":"6"}}`, want: "The provided starting key does not match the range key predicate"},
		{name: "start outside begins_with", index: "loc", keys: "p = :p AND begins_with(x, :q)", start: `{"p":{"S":"a"},"x":{"S":"c"},"s":{"N":"1"}}`, want: "The provided starting key does not match the range key predicate"},
		{name: "start at =", keys: "p = :p AND s = :n", start: `{"p":{"S":"a"},"s":{"N":"5.0"}}`},

		{name: "projection into key", keys: "p = :p", projection: "p.q", want: inKey},
		{name: "filter into index key", keys: "p = :p", filter: "attribute_exists(x.q)", want: inIndex},
		{name: "filter on hash", keys: "p = :p", filter: "p = :p", want: "Filter Expression can only contain non-primary key attributes: Primary key attribute: p"},
		{name: "filter on sort", keys: "p = :p", filter: "v = :p AND :n < s", want: "Filter Expression can only contain non-primary key attributes: Primary key attribute: s"},
		{name: "filter on index key", index: "glo", keys: "x = :p", filter: "y = :b", want: "Filter Expression can only contain non-primary key attributes: Primary key attribute: y"},
		{name: "filter on table key of index", index: "glo", keys: "x = :p", filter: "p = :p"},
		{name: "all of global", index: "glo", keys: "x = :p", choice: "ALL_ATTRIBUTES",
			want: invalidPrefix + "Select type ALL_ATTRIBUTES is not supported for global secondary index glo because its projection type is not ALL"},
		{name: "not projected", index: "glo", keys: "x = :p", projection: "i, p, y, v.w, z", want: invalidPrefix + "Global secondary index glo does not project [v, z]"},
		{name: "local fetches", index: "loc", keys: "p = :p", projection: "v"},
		{name: "no fault", keys: "p = :p AND s > :n", filter: "x = :p"},
	} {
		r := &QueryRequest{Table: "tab", Index: c.index, Keys: keyed(c.keys, p), Select: c.choice, Consistent: c.consistent}
		if c.table != "" {
			r.Table = c.table
		}
		if c.filter != "" {
			r.Filter = filter(c.filter, p)
		}
		if c.projection != "" {
			r.Projection = projection(c.projection)
		}
		if c.start != "" {
			r.StartKey = js(c.start)
		}
		_, err := w.Query(r)
		checkError(t, c.name, err, c.want)
	}
	legacy := &QueryRequest{Table: "tab", Keys: keyed("p = :p", p), Filter: filter("s = :n", p), LegacyFilter: true}
	_, err := w.Query(legacy)
	checkError(t, "QueryFilter", err, "QueryFilter can only contain non-primary key attributes: Primary key attribute: s")
	_, err = w.Query(&QueryRequest{Table: "tab"})
	checkError(t, "no condition", err, "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
}

func TestScanRefusals(t *testing.T) {
	w := newWorld(t)
	w.create(indexed("tab"))
	prefix := startInvalid + ": "
	for _, c := range []struct {
		name, index, filter, projection, choice, start string
		consistent                                     bool
		segment, total                                 int
		want                                           string
	}{
		{name: "index", index: "nope", want: "The table does not have the specified index: nope"},
		{name: "consistent global", index: "glo", consistent: true, want: "Consistent reads are not supported on global secondary indexes"},
		{name: "global", index: "glo"},
		{name: "start count", start: `{"p":{"S":"a"}}`, want: prefix + misfit},
		{name: "start types", start: `{"p":{"S":"a"},"s":{"S":"1"}}`, want: prefix + misfit},
		{name: "start count of index", index: "glo", start: `{"p":{"S":"a"},"s":{"N":"1"}}`, want: startInvalid},
		{name: "start types of index", index: "glo", start: `{"x":{"S":"a"},"y":{"S":"b"},"p":{"S":"a"},"s":{"N":"1"}}`, want: prefix + misfit},
		{name: "start empty", start: `{"p":{"S":""},"s":{"N":"1"}}`, want: prefix + emptyKey},
		{name: "other segment", start: `{"p":{"S":"a"},"s":{"N":"1"}}`, segment: 1, total: 3,
			want: prefix + "Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. TotalSegments: 3 Segment: 1"},
		{name: "its segment", start: `{"p":{"S":"a"},"s":{"N":"1"}}`, segment: 0, total: 3},
		{name: "projection into key", projection: "p.q", want: inKey},
		{name: "filter into key", filter: "attribute_exists(p[1])", want: inKey},
		{name: "filter on key", filter: "attribute_exists(p)"},
		{name: "all of global", index: "glo", choice: "ALL_ATTRIBUTES",
			want: invalidPrefix + "Select type ALL_ATTRIBUTES is not supported for global secondary index glo because its projection type is not ALL"},
	} {
		r := &ScanRequest{Table: "tab", Index: c.index, Select: c.choice, Consistent: c.consistent, Segment: c.segment, TotalSegments: c.total}
		if c.filter != "" {
			r.Filter = filter(c.filter, "")
		}
		if c.projection != "" {
			r.Projection = projection(c.projection)
		}
		if c.start != "" {
			r.StartKey = js(c.start)
		}
		_, err := w.Scan(r)
		checkError(t, c.name, err, c.want)
	}
}

// fill puts n items with sort keys 0 to n-1 into one collection; every third
// one is red.
func (w *world) fill(table string, n int) {
	for i := range n {
		color := "blue"
		if i%3 == 0 {
			color = "red"
		}
		w.put(table, fmt.Sprintf(`{"p":{"S":"a"},"s":{"N":"%d"},"color":{"S":%q},"d":{"M":{"i":{"N":"%d"}}}}`, i, color, i))
	}
}

func TestQueryPages(t *testing.T) {
	w := newWorld(t)
	w.create(indexed("tab"))
	w.fill("tab", 10)
	p := `{":p":{"S":"a"},":n":{"N":"4"},":m":{"N":"7"},":red":{"S":"red"}}`
	red := filter("color = :red", p)
	for _, c := range []struct {
		name string
		r    QueryRequest
		want string
	}{
		{"all", QueryRequest{Keys: keyed("p = :p", p)}, "0 1 2 3 4 5 6 7 8 9 | 10/10"},
		{"reverse", QueryRequest{Keys: keyed("p = :p", p), Reverse: true}, "9 8 7 6 5 4 3 2 1 0 | 10/10"},
		{"none", QueryRequest{Keys: keyed("p = :red", p)}, " | 0/0"},
		{"=", QueryRequest{Keys: keyed("p = :p AND s = :n", p)}, "4 | 1/1"},
		{"<", QueryRequest{Keys: keyed("p = :p AND s < :n", p)}, "0 1 2 3 | 4/4"},
		{"<=", QueryRequest{Keys: keyed("p = :p AND s <= :n", p)}, "0 1 2 3 4 | 5/5"},
		{">", QueryRequest{Keys: keyed("p = :p AND s > :m", p)}, "8 9 | 2/2"},
		{">=", QueryRequest{Keys: keyed("p = :p AND s >= :m", p)}, "7 8 9 | 3/3"},
		{"between", QueryRequest{Keys: keyed("p = :p AND s BETWEEN :n AND :m", p), Reverse: true}, "7 6 5 4 | 4/4"},
		{"limit", QueryRequest{Keys: keyed("p = :p", p), Limit: 3}, "0 1 2 | 3/3 last 2"},
		{"limit at the end", QueryRequest{Keys: keyed("p = :p", p), Limit: 10}, "0 1 2 3 4 5 6 7 8 9 | 10/10 last 9"},
		{"limit beyond the end", QueryRequest{Keys: keyed("p = :p", p), Limit: 11}, "0 1 2 3 4 5 6 7 8 9 | 10/10"},
		{"start", QueryRequest{Keys: keyed("p = :p", p), StartKey: js(`{"p":{"S":"a"},"s":{"N":"7"}}`)}, "8 9 | 2/2"},
		{"start that is no item", QueryRequest{Keys: keyed("p = :p", p), StartKey: js(`{"p":{"S":"a"},"s":{"N":"7.5"}}`)}, "8 9 | 2/2"},
		{"start reverse", QueryRequest{Keys: keyed("p = :p", p), Reverse: true, StartKey: js(`{"p":{"S":"a"},"s":{"N":"2"}}`)}, "1 0 | 2/2"},
		{"start at the end", QueryRequest{Keys: keyed("p = :p", p), StartKey: js(`{"p":{"S":"a"},"s":{"N":"9"}}`)}, " | 0/0"},
		{"filter after limit", QueryRequest{Keys: keyed("p = :p", p), Filter: red, Limit: 3, StartKey: js(`{"p":{"S":"a"},"s":{"N":"0"}}`)}, "3 | 1/3 last 3"},
		{"empty page", QueryRequest{Keys: keyed("p = :p", p), Filter: red, Limit: 2, StartKey: js(`{"p":{"S":"a"},"s":{"N":"0"}}`)}, " | 0/2 last 2"},
		{"count", QueryRequest{Keys: keyed("p = :p", p), Filter: red, Select: "COUNT"}, "nil | 4/10"},
	} {
		c.r.Table = "tab"
		page, err := w.Query(&c.r)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := summary(page); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	page, err := w.Query(&QueryRequest{Table: "tab", Keys: keyed("p = :p AND s = :n", p), Projection: projection("d.i, nope")})
	if err != nil || show(page.Items[0]) != `{"d":{"M":{"i":{"N":"4"}}}}` {
		t.Errorf("projection: %v, %v", page, err)
	}
}

// summary prints sort keys, counts and the last key of a page.
func summary(p *Page) string {
	var out []string
	for _, it := range p.Items {
		v, _ := it.Get("s")
		out = append(out, v.Number().String())
	}
	text := strings.Join(out, " ")
	if p.Items == nil {
		text = "nil"
	}
	text += fmt.Sprintf(" | %d/%d", p.Count, p.ScannedCount)
	if p.LastKey != nil {
		v, _ := p.LastKey.Get("s")
		text += " last " + v.Number().String()
	}
	return text
}

// TestQueryHashOnly: a page of a table without sort key is complete, whatever
// the limit.
func TestQueryHashOnly(t *testing.T) {
	w := newWorld(t)
	w.create(simple("hash", 2))
	w.put("hash", `{"p":{"S":"a"}}`)
	page, err := w.Query(&QueryRequest{Table: "hash", Keys: keyed("p = :p", `{":p":{"S":"a"}}`), Limit: 1})
	if err != nil || page.Count != 1 || page.LastKey != nil {
		t.Errorf("Query = %+v, %v, want one item and no last key", page, err)
	}
}

// TestPageSize: a page ends with the item that reaches 1 MB; what was read is
// rounded once.
func TestPageSize(t *testing.T) {
	w := newWorld(t)
	w.create(indexed("tab"))
	for i := range 12 {
		w.put("tab", fmt.Sprintf(`{"p":{"S":"a"},"s":{"N":"%d"},"v":{"S":%q}}`, i, longText(100<<10)))
	}
	values := `{":p":{"S":"a"}}`
	nothing := filter("attribute_exists(nope)", "")
	for _, f := range []*expr.Condition{nil, nothing} {
		page, err := w.Query(&QueryRequest{Table: "tab", Keys: keyed("p = :p", values), Filter: f, Consistent: true})
		if err != nil || page.ScannedCount != 11 || page.LastKey == nil || page.Capacity.Read != 276 {
			t.Errorf("Query read %d items for %v units, last key %s, %v; want 11 for 276", page.ScannedCount, page.Capacity.Read, show(page.LastKey), err)
		}
		rest, err := w.Query(&QueryRequest{Table: "tab", Keys: keyed("p = :p", values), Filter: f, StartKey: page.LastKey})
		if err != nil || rest.ScannedCount != 1 || rest.LastKey != nil || rest.Capacity.Read != 13 {
			t.Errorf("the rest: %d items for %v units, last key %s, %v; want 1 for 13", rest.ScannedCount, rest.Capacity.Read, show(rest.LastKey), err)
		}
	}
	page, err := w.Scan(&ScanRequest{Table: "tab"})
	if err != nil || page.ScannedCount != 11 || page.LastKey == nil || page.Capacity.Read != 138 {
		t.Errorf("Scan read %d items for %v units, %v", page.ScannedCount, page.Capacity.Read, err)
	}
	empty, err := w.Query(&QueryRequest{Table: "tab", Keys: keyed("p = :p", `{":p":{"S":"zz"}}`)})
	if err != nil || empty.Capacity.Read != 0.5 || empty.Items == nil {
		t.Errorf("empty page: %+v, %v, want 0.5 units and a list", empty, err)
	}
}

// TestPageSizeExact: the item that makes the page exactly 1 MB is the last one.
func TestPageSizeExact(t *testing.T) {
	w := newWorld(t)
	w.create(indexed("tab"))
	for i := range 9 {
		w.put("tab", fmt.Sprintf(`{"p":{"S":"a"},"s":{"N":"%d"},"v":{"S":%q}}`, i+1, longText(128<<10-6)))
	}
	page, err := w.Query(&QueryRequest{Table: "tab", Keys: keyed("p = :p", `{":p":{"S":"a"}}`)})
	if err != nil || page.ScannedCount != 8 || page.Capacity.Read != 128 {
		t.Errorf("page of 128 KB items: %d items for %v units, %v, want 8 for 128", page.ScannedCount, page.Capacity.Read, err)
	}
}

// TestPagesOwnTheirItems: items of a page do not change when the page after it
// is read or rows are written.
func TestPagesOwnTheirItems(t *testing.T) {
	w := newWorld(t)
	w.create(indexed("tab"))
	w.fill("tab", 10)
	read := func() *Page {
		page, err := w.Query(&QueryRequest{Table: "tab", Keys: keyed("p = :p", `{":p":{"S":"a"}}`)})
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	page := read()
	var before []string
	for _, it := range page.Items {
		before = append(before, show(it))
	}
	for i := range 10 {
		w.put("tab", fmt.Sprintf(`{"p":{"S":"a"},"s":{"N":"%d"},"color":{"S":"gone"}}`, i))
	}
	read()
	for i, it := range page.Items {
		if got := show(it); got != before[i] {
			t.Errorf("item %d became %s, was %s", i, got, before[i])
		}
	}
}

// TestSegments: the segments of a scan are disjoint and cover the table, in
// hash order, whatever their number and the number of partitions.
func TestSegments(t *testing.T) {
	for _, partitions := range []int{1, 4, 7} {
		w := newWorld(t)
		w.create(simple("tab", partitions))
		for i := range 100 {
			w.put("tab", fmt.Sprintf(`{"p":{"S":"%d"}}`, i))
		}
		whole := w.scanAll(&ScanRequest{Table: "tab"})
		if len(whole) != 100 {
			t.Fatalf("%d partitions: the scan has %d items", partitions, len(whole))
		}
		for _, total := range []int{1, 2, 3, 7, 64, 1_000_000} {
			var parts []string
			for segment := range min(total, 64) {
				parts = append(parts, w.scanAll(&ScanRequest{Table: "tab", Segment: segment, TotalSegments: total, Limit: 3})...)
			}
			if got, want := strings.Join(parts, " "), strings.Join(whole, " "); total <= 64 && got != want {
				t.Errorf("%d partitions, %d segments give\n%s, want\n%s", partitions, total, got, want)
			}
		}
	}
}

// scanAll reads all pages of a scan.
func (w *world) scanAll(r *ScanRequest) (out []string) {
	for {
		page, err := w.Scan(r)
		if err != nil {
			w.t.Fatalf("Scan: %v", err)
		}
		for _, it := range page.Items {
			out = append(out, show(it))
		}
		if page.LastKey == nil {
			return out
		}
		r.StartKey = page.LastKey
	}
}

func TestHashBounds(t *testing.T) {
	for _, total := range []int{1, 2, 3, 1000, 1_000_000} {
		next := uint64(0)
		for i := range total {
			first, last := segment(i, total)
			if first != next || last < first {
				t.Fatalf("segment %d of %d is [%x, %x], want it to begin at %x", i, total, first, last, next)
			}
			next = last + 1
		}
		if next != 0 {
			t.Errorf("%d segments end before %x", total, next)
		}
	}
}
