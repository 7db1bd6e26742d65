package table

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
)

var facetSeed = flag.Uint64("facet-seed", 0, "seed of TestFacetModel; 0 = from the clock")

// A facetDriver makes the same changes to two tables, of which one has facets, and
// compares what they answer.
type facetDriver struct {
	*world
	t              *testing.T
	rng            *rand.Rand
	plain, faceted *indexDriver
	read, examined int // items that met filters; items that the table with facets counted
	passed         int // items that the other one counted
}

// TestFacetModel: whatever is written, flushed, merged and restarted, queries and
// scans of a table with facets answer what those of a table without do.
func TestFacetModel(t *testing.T) {
	seed := *facetSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("replay with: go test ./table -run TestFacetModel -facet-seed=%d", seed)
	for i, partitions := range []int{1, 3} {
		seed := seed + uint64(i)
		d := &facetDriver{world: newWorld(t), t: t, rng: rand.New(rand.NewPCG(seed, 0))}
		for _, in := range []struct {
			driver **indexDriver
			name   string
			facets []string
		}{{&d.plain, "plain", nil}, {&d.faceted, "faceted", []string{"w", "a", "z", "v", "s"}}} {
			def := indexedAll(in.name, partitions)
			def.Facets = in.facets
			*in.driver = &indexDriver{t: t, s: d.Service, def: def, rng: rand.New(rand.NewPCG(seed, 1))} // the same for both
			d.create(def)
		}
		steps := 200
		if testing.Short() {
			steps = 60
		}
		for range steps {
			d.step()
		}
		if d.read == 0 || d.examined >= d.passed {
			t.Errorf("%d items met filters, of %d examined with facets and %d without", d.read, d.examined, d.passed)
		}
		t.Logf("%d items met filters, of %d examined with facets and %d without", d.read, d.examined, d.passed)
	}
}

func (d *facetDriver) step() {
	for range d.rng.IntN(8) {
		if err := errors.Join(d.plain.write(), d.faceted.write()); err != nil {
			d.t.Fatal(err)
		}
	}
	switch d.rng.IntN(25) {
	case 0, 1, 2:
		d.must(d.db.Flush())
	case 3:
		d.must(d.db.Compact(nil, nil))
	case 4:
		d.restart()
		d.plain.s, d.faceted.s = d.Service, d.Service
	}
	d.must(errors.Join(awaitIndexes(d.Service, "plain"), awaitIndexes(d.Service, "faceted")))
	for range 8 {
		d.compare()
	}
}

func (d *facetDriver) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// filter draws a filter that facets say something of, or nothing, or not enough.
func (d *facetDriver) filter(depth int) string {
	terms := []string{
		"w = :one", ":two = w", "a = :a", "a IN (:a, :b, :c)", "w IN (:one, :nine)", "v = :v", "attribute_exists(z)",
		"attribute_not_exists(a)", "NOT attribute_exists(w)", "s = :one", "s IN (:one, :two)",
		"w > :one", "w <> :one", "a = b", "size(a) = :one", "begins_with(a, :a)", "b = :b", "attribute_exists(n)", "w.x = :one",
	}
	if depth == 0 || d.rng.IntN(2) == 0 {
		return terms[d.rng.IntN(len(terms))]
	}
	op := []string{" AND ", " OR "}[d.rng.IntN(2)]
	text := "(" + d.filter(depth-1) + op + d.filter(depth-1) + ")"
	if d.rng.IntN(6) == 0 {
		text = "NOT " + text
	}
	return text
}

func (d *facetDriver) parse(text string) *expr.Condition {
	values := map[string]string{
		":one": `{"N":"1"}`, ":two": `{"N":"2"}`, ":nine": `{"N":"9"}`, ":a": `{"S":"a"}`, ":b": `{"S":"b"}`, ":c": `{"S":"u1"}`, ":v": `{"S":"u0"}`,
	}
	var used []string
	for _, name := range []string{":one", ":two", ":nine", ":a", ":b", ":c", ":v"} {
		if strings.Contains(text, name) {
			used = append(used, fmt.Sprintf("%q:%s", name, values[name]))
		}
	}
	c, err := expr.ParseCondition(expr.FilterExpression, text, params("{"+strings.Join(used, ",")+"}"))
	if err != nil {
		d.t.Fatalf("%s: %v", text, err)
	}
	return c
}

// compare reads both tables to the end in the same way, in pages of random size.
func (d *facetDriver) compare() {
	text := d.filter(2)
	condition := d.parse(text)
	index := ""
	if all := d.plain.allIndexes(); d.rng.IntN(3) == 0 {
		index = all[d.rng.IntN(len(all))].Name
	}
	choice := []string{"", selectAll, selectCount}[d.rng.IntN(3)] // local indexes fetch items for all attributes
	var read func(table string, start item.Item, limit int) (*Page, error)
	if d.rng.IntN(2) == 0 {
		r := ScanRequest{Index: index, Filter: condition, Select: choice}
		if d.rng.IntN(4) == 0 {
			r.TotalSegments = 1 + d.rng.IntN(3)
			r.Segment = d.rng.IntN(r.TotalSegments)
		}
		text = fmt.Sprintf("Scan %q %s of segment %d/%d", index, text, r.Segment, r.TotalSegments)
		read = func(table string, start item.Item, limit int) (*Page, error) {
			r.Table, r.StartKey, r.Limit = table, start, limit
			return d.Scan(&r)
		}
	} else {
		r := QueryRequest{Index: index, Filter: condition, Select: choice, Reverse: d.rng.IntN(2) == 0}
		r.Keys = d.keys(index)
		text = fmt.Sprintf("Query %q reverse %v %s", index, r.Reverse, text)
		read = func(table string, start item.Item, limit int) (*Page, error) {
			r.Table, r.StartKey, r.Limit = table, start, limit
			return d.Query(&r)
		}
	}
	d.comparePages(text, read)
}

// keys draws a condition on the partition key of the table or of an index.
func (d *facetDriver) keys(index string) *expr.KeyCondition {
	drawer := &indexDriver{rng: d.rng} // the others draw what is written, the same for both
	sample := drawer.key()
	drawer.attributes(sample)
	hash := []string{"p"}
	for _, x := range d.plain.allIndexes() {
		if x.Name == index {
			hash = nil
			for _, k := range x.Keys {
				if k.Role == Hash {
					hash = append(hash, k.Name)
				}
			}
		}
	}
	var texts []string
	values := map[string]item.Value{}
	for _, name := range hash {
		v, ok := sample[name]
		if !ok {
			v = item.String("a")
			if name == "n" {
				v = item.Int(1)
			}
		}
		texts = append(texts, name+" = :"+name)
		values[":"+name] = v
	}
	return must(expr.ParseKeyCondition(strings.Join(texts, " AND "), expr.NewParams(nil, item.NewItem(values))))
}

func (d *facetDriver) comparePages(what string, read func(table string, start item.Item, limit int) (*Page, error)) {
	var want, got []string
	wanted, count := 0, 0
	var firstErr error
	var starts []item.Item // where pages of the plain table ended
	for _, table := range []string{"plain", "faceted"} {
		var start item.Item
		for {
			page, err := read(table, start, d.rng.IntN(9))
			if table == "plain" {
				firstErr = err
			} else if fmt.Sprint(err) != fmt.Sprint(firstErr) {
				d.t.Fatalf("%s: error %v, without facets %v", what, err, firstErr)
			}
			if err != nil {
				break
			}
			if table == "plain" {
				d.passed += page.ScannedCount
				wanted += page.Count
				want = appendShown(want, page.Items)
				starts = append(starts, page.LastKey)
			} else {
				d.examined += page.ScannedCount
				count += page.Count
				got = appendShown(got, page.Items)
			}
			if page.ScannedCount < page.Count {
				d.t.Fatalf("%s: counts %d of %d", what, page.Count, page.ScannedCount)
			}
			if start = page.LastKey; start == nil {
				break
			}
		}
	}
	if count != wanted || !slices.Equal(got, want) {
		d.t.Fatalf("%s: %d items\n%s\nwant %d\n%s", what, count, strings.Join(got, "\n"), wanted, strings.Join(want, "\n"))
	}
	d.read += count
	if len(starts) < 2 {
		return
	}
	// Both go on in the same way from anywhere.
	start := starts[d.rng.IntN(len(starts)-1)]
	rest := func(table string) (list []string, count int) {
		for at := start; ; {
			page, err := read(table, at, 0)
			d.must(err)
			list, count = appendShown(list, page.Items), count+page.Count
			if at = page.LastKey; at == nil {
				return list, count
			}
		}
	}
	a, n := rest("plain")
	if b, m := rest("faceted"); n != m || !slices.Equal(a, b) {
		d.t.Fatalf("%s from %s: %d items, want %d", what, show(start), m, n)
	}
}

func appendShown(list []string, items []item.Item) []string {
	for _, it := range items {
		list = append(list, show(it))
	}
	return list
}

// TestFacetPages: with facets only items that may match are read. They count, and
// a page ends with one of them.
func TestFacetPages(t *testing.T) {
	w := newWorld(t)
	w.create(Definition{Name: "tab", Attributes: attributes("p", "S", "s", "N"), Keys: keys("p", "s"), Facets: []string{"color"}})
	for i := range 100 {
		color := `,"color":{"S":"red"}`
		if i%10 != 0 {
			color = fmt.Sprintf(`,"color":{"S":"blue"},"x":{"N":"%d"}`, i)
		}
		w.put("tab", fmt.Sprintf(`{"p":{"S":"a"},"s":{"N":"%d"}%s}`, i, color))
	}
	red := filter("color = :o", `{":o":{"S":"red"}}`)
	for _, c := range []struct {
		filter         *expr.Condition
		limit          int
		count, scanned int
		last           string
	}{
		{red, 0, 10, 10, "none"},
		{red, 4, 4, 4, `{"p":{"S":"a"},"s":{"N":"30"}}`},
		{filter("color = :o AND s >= :n", `{":o":{"S":"red"},":n":{"N":"50"}}`), 6, 1, 6, `{"p":{"S":"a"},"s":{"N":"50"}}`},
		{filter("color = :o AND attribute_exists(x)", `{":o":{"S":"red"}}`), 0, 0, 10, "none"},
		{filter("attribute_not_exists(color)", ""), 5, 0, 0, "none"},
		{filter("x > :n", `{":n":{"N":"90"}}`), 0, 9, 100, "none"}, // nothing about a facet
	} {
		page, err := w.Scan(&ScanRequest{Table: "tab", Filter: c.filter, Limit: c.limit})
		if err != nil || page.Count != c.count || page.ScannedCount != c.scanned || show(page.LastKey) != c.last {
			t.Errorf("%v: %d of %d up to %s, %v, want %d of %d up to %s", c.filter, page.Count, page.ScannedCount, show(page.LastKey), err, c.count, c.scanned, c.last)
		}
	}
}

func TestFacetRefusals(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		facets []string
		want   string
	}{
		{[]string{"a", ""}, "One or more parameter values were invalid: The name of a facet has 1 to 65535 bytes, not 0"},
		{[]string{"a", "b", "a"}, "One or more parameter values were invalid: Duplicate facet: a"},
		{strings.Split("a,b,c,d,e,f,g,h,i", ","), "One or more parameter values were invalid: A table has at most 8 facets, not 9"},
	} {
		_, err := w.Create(Definition{Name: "tab", Attributes: attributes("p", "S"), Keys: keys("p"), BillingMode: BillingOnDemand, Facets: c.facets})
		checkError(t, fmt.Sprint(c.facets), err, c.want)
	}
}

// TestFacetsOfLaterIndex: an index that is created later has the facets of its table.
func TestFacetsOfLaterIndex(t *testing.T) {
	w := newWorld(t)
	def := simple("tab", 3)
	def.Facets = []string{"color", "v"}
	w.create(def)
	for i := range 60 {
		w.put("tab", fmt.Sprintf(`{"p":{"S":"%d"},"g":{"S":"g%d"},"color":{"N":"%d"}}`, i, i%2, i%10))
	}
	x := IndexDefinition{Name: "byG", Keys: keys("g"), Projection: &Projection{Type: "INCLUDE", NonKeyAttributes: []string{"color"}}}
	if _, err := w.Update(UpdateTableRequest{Table: "tab", CreateIndexes: []IndexDefinition{x}, Attributes: attributes("g", "S")}); err != nil {
		t.Fatal(err)
	}
	w.put("tab", `{"p":{"S":"1"},"g":{"S":"g1"},"color":{"N":"3"}}`) // was 1
	if err := errors.Join(awaitBuilt(w.Service, "tab"), awaitIndexes(w.Service, "tab")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		filter         string
		count, scanned int
	}{
		{"color = :c", 7, 7},
		{"color = :c AND attribute_not_exists(v)", 7, 7}, // v is not projected
		{"attribute_not_exists(v)", 30, 30},
	} {
		values := ""
		if strings.Contains(c.filter, ":c") {
			values = `{":c":{"N":"3"}}`
		}
		page, err := w.Query(&QueryRequest{Table: "tab", Index: "byG", Keys: keyed("g = :g", `{":g":{"S":"g1"}}`), Filter: filter(c.filter, values)})
		if err != nil || page.Count != c.count || page.ScannedCount != c.scanned {
			t.Errorf("%s: %d of %d, %v, want %d of %d", c.filter, page.Count, page.ScannedCount, err, c.count, c.scanned)
		}
	}
}

// TestFacetsOfLargeItems: items that the store keeps apart are found, too, after their
// rows have moved.
func TestFacetsOfLargeItems(t *testing.T) {
	w := newWorld(t)
	w.create(Definition{Name: "tab", Attributes: attributes("p", "S"), Keys: keys("p"), Facets: []string{"color"}})
	for i := range 50 {
		w.put("tab", fmt.Sprintf(`{"p":{"S":"%d"},"color":{"N":"%d"},"text":{"S":%q}}`, i, i%10, longText(5000)))
	}
	red := filter("color = :c", `{":c":{"N":"3"}}`)
	for _, move := range []func() error{w.db.Flush, func() error { return w.db.Compact(nil, nil) }, w.db.Verify} {
		if err := move(); err != nil {
			t.Fatal(err)
		}
		page, err := w.Scan(&ScanRequest{Table: "tab", Filter: red})
		if err != nil || page.Count != 5 || page.ScannedCount != 5 {
			t.Errorf("%d of %d items, %v, want 5 of 5", page.Count, page.ScannedCount, err)
		}
	}
}
