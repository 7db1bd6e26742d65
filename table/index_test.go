package table

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
)

var indexSeed = flag.Uint64("index-seed", 0, "seed of TestIndexModel; 0 = from the clock")

// expected returns what an index must hold of an item, the slow, obvious way;
// nil = nothing.
func expected(d *Definition, x *IndexDefinition, it item.Item) item.Item {
	parts := map[string]item.Value{}
	for _, k := range append(slices.Clone(x.Keys), d.Keys...) {
		v, ok := it.Get(k.Name)
		if !ok || v.Type() != d.typeOf(k.Name) || v.Type() != item.N && len(v.Bytes()) == 0 {
			return nil
		}
		parts[k.Name] = v
	}
	for name, v := range it.All() {
		if x.Projection.Type == "ALL" || slices.Contains(x.Projection.NonKeyAttributes, name) {
			parts[name] = v
		}
	}
	return item.NewItem(parts)
}

// orderOf returns how two items compare in an index: first by its sort keys.
func orderOf(x *IndexDefinition, a, b item.Item) int {
	for _, k := range x.Keys {
		if k.Role != Range {
			continue
		}
		v, _ := a.Get(k.Name)
		w, _ := b.Get(k.Name)
		if c, _ := v.Compare(w); c != 0 {
			return c
		}
	}
	return 0
}

// scanAll reads a table or index to the end, in pages of random size and,
// sometimes, in segments.
func scanAll(s *Service, table, index string, rng *rand.Rand) (items []item.Item, err error) {
	if rng.IntN(2) == 0 {
		return scanSegment(s, &ScanRequest{Table: table, Index: index}, rng)
	}
	total := 1 + rng.IntN(4)
	for i := range total {
		part, err := scanSegment(s, &ScanRequest{Table: table, Index: index, Segment: i, TotalSegments: total}, rng)
		if err != nil {
			return nil, err
		}
		items = append(items, part...)
	}
	return items, nil
}

func scanSegment(s *Service, r *ScanRequest, rng *rand.Rand) (items []item.Item, err error) {
	for {
		r.Limit = rng.IntN(7)
		page, err := s.Scan(r)
		if err != nil {
			return nil, fmt.Errorf("Scan of %s %s: %w", r.Table, r.Index, err)
		}
		items = append(items, page.Items...)
		if page.LastKey == nil {
			return items, nil
		}
		r.StartKey = page.LastKey
	}
}

// shown returns items as sorted text.
func shown(items []item.Item) []string {
	var texts []string
	for _, it := range items {
		texts = append(texts, show(it))
	}
	slices.Sort(texts)
	return texts
}

// checkIndex compares an index with what follows from the items of its table,
// and its description with both.
func checkIndex(s *Service, d *Definition, x *IndexDefinition, rng *rand.Rand) error {
	items, err := scanAll(s, d.Name, "", rng)
	if err != nil {
		return err
	}
	var want []item.Item
	size := int64(0)
	for _, it := range items {
		if e := expected(d, x, it); e != nil {
			want = append(want, e)
			size += int64(e.Size()) + itemOverhead
		}
	}
	got, err := scanAll(s, d.Name, x.Name, rng)
	if err != nil {
		return err
	}
	if a, b := shown(got), shown(want); !slices.Equal(a, b) {
		return fmt.Errorf("index %s of %s holds\n%s\nwant\n%s", x.Name, d.Name, strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
	description, err := s.Describe(d.Name)
	if err != nil {
		return err
	}
	counts := append(description.LocalIndexCounts, description.GlobalIndexCounts...)
	for i, y := range append(description.LocalIndexes, description.GlobalIndexes...) {
		if y.Name == x.Name && counts[i] != (IndexCounts{int64(len(want)), size}) {
			return fmt.Errorf("index %s is described with %+v, want %d entries, %d bytes", x.Name, counts[i], len(want), size)
		}
	}
	return nil
}

// An indexDriver writes items whose index keys come, go and change.
type indexDriver struct {
	t   testing.TB
	s   *Service
	rng *rand.Rand
	def Definition
}

// indexedAll is a table whose items may be in several indexes of all kinds.
func indexedAll(name string, partitions int) Definition {
	named := func(names ...string) *Projection { return &Projection{Type: "INCLUDE", NonKeyAttributes: names} }
	return Definition{
		Name: name, Partitions: partitions, BillingMode: BillingOnDemand,
		Attributes: attributes("p", "S", "s", "N", "a", "S", "b", "B", "n", "N"),
		Keys:       keys("p", "s"),
		LocalIndexes: []IndexDefinition{
			{Name: "localText", Keys: keys("p", "a"), Projection: all()},
			{Name: "localNumber", Keys: keys("p", "n"), Projection: &Projection{Type: "KEYS_ONLY"}},
			{Name: "localBytes", Keys: keys("p", "b"), Projection: named("v", "n")},
		},
		GlobalIndexes: []IndexDefinition{
			{Name: "byText", Keys: keys("a"), Projection: all()},
			{Name: "byNumber", Keys: keys("n", "b"), Projection: &Projection{Type: "KEYS_ONLY"}},
			{Name: "inverse", Keys: keys("s", "p"), Projection: named("v")},
			{Name: "multi", Keys: []KeyElement{{"a", Hash}, {"p", Hash}, {"b", Range}, {"n", Range}}, Projection: named("w")},
		},
	}
}

// allIndexes returns the definitions of local and global indexes.
func (d *indexDriver) allIndexes() []*IndexDefinition {
	var list []*IndexDefinition
	for i := range d.def.LocalIndexes {
		list = append(list, &d.def.LocalIndexes[i])
	}
	for i := range d.def.GlobalIndexes {
		list = append(list, &d.def.GlobalIndexes[i])
	}
	return list
}

// awaitIndexes returns when the global indexes of a table have all changes.
func awaitIndexes(s *Service, table string) error {
	for range 10_000 {
		t, err := s.lookup(table)
		if err != nil {
			return err
		}
		if t.indexesCaughtUp() {
			return nil
		}
		s.env.Sleep(time.Millisecond)
	}
	return fmt.Errorf("the indexes of %s do not catch up", table)
}

// awaitBuilt returns when no index of a table is being created or deleted.
func awaitBuilt(s *Service, table string) error {
	for range 10_000 {
		d, err := s.Describe(table)
		if err != nil {
			return err
		}
		if d.Status == StatusActive {
			return nil
		}
		s.env.Sleep(time.Millisecond)
	}
	return fmt.Errorf("the indexes of %s are not built", table)
}

func (t *liveTable) indexesCaughtUp() bool {
	for _, p := range t.partitions {
		if p.upkeep != nil && p.upkeep.cursor.Load() < p.Sequence() {
			return false
		}
	}
	return true
}

func (d *indexDriver) key() map[string]item.Value {
	return map[string]item.Value{
		"p": item.String(fmt.Sprint("p", d.rng.IntN(4))), "s": item.Int(int64(d.rng.IntN(12)) - 6),
	}
}

var (
	awkwardTexts = []string{"a", "a\x00", "a\x00\x00", "a\x00\x01", "ab", "b", "é", "\U0010ffff", "\x00", "\x01"}
	awkwardBytes = []string{"\x00", "\x00\x00", "\x00\xff", "\xff", "\xff\xff", "\x01", "a\x00b", "a"}
	awkwardNums  = []string{"0", "1", "-1", "1.5", "10", "1e125", "-1e125", "1e-130", "-1e-130", "100", "99", "-99.5"}
)

// attributes draws the other attributes of an item; each may be missing.
func (d *indexDriver) attributes(parts map[string]item.Value) {
	if d.rng.IntN(4) > 0 {
		parts["a"] = item.String(awkwardTexts[d.rng.IntN(len(awkwardTexts))])
	}
	if d.rng.IntN(4) > 0 {
		parts["b"] = item.Bytes([]byte(awkwardBytes[d.rng.IntN(len(awkwardBytes))]))
	}
	if d.rng.IntN(4) > 0 {
		parts["n"] = must(item.Num(awkwardNums[d.rng.IntN(len(awkwardNums))]))
	}
	if d.rng.IntN(2) > 0 {
		parts["v"] = item.String(longText(d.rng.IntN(40)))
	}
	if d.rng.IntN(2) > 0 {
		parts["w"] = item.Int(int64(d.rng.IntN(3)))
	}
}

// write makes one random change.
func (d *indexDriver) write() (err error) {
	key := d.key()
	switch d.rng.IntN(10) {
	case 0, 1:
		_, err = d.s.DeleteItem(&DeleteRequest{Table: d.def.Name, Key: item.NewItem(key)})
	case 2, 3:
		texts := []string{"SET a = :a", "REMOVE a, n", "SET v = :a REMOVE b", "SET n = :n", "ADD w :n", "SET z = :n"}
		u := update(texts[d.rng.IntN(len(texts))], fmt.Sprintf(`{":a":{"S":"u%d"},":n":{"N":"%d"}}`, d.rng.IntN(3), d.rng.IntN(3)))
		_, err = d.s.UpdateItem(&UpdateRequest{Table: d.def.Name, Key: item.NewItem(key), Update: u})
	case 4:
		var writes []BatchWriteOp
		for i := range 12 {
			parts := map[string]item.Value{"p": key["p"], "s": item.Int(int64(i) - 6)}
			if d.rng.IntN(4) == 0 {
				writes = append(writes, BatchWriteOp{Delete: item.NewItem(parts)})
				continue
			}
			d.attributes(parts)
			writes = append(writes, BatchWriteOp{Put: item.NewItem(parts)})
		}
		_, err = d.s.BatchWrite(&BatchWriteRequest{Tables: []BatchWriteTable{{d.def.Name, writes}}})
	default:
		d.attributes(key)
		_, err = d.s.Put(&PutRequest{Table: d.def.Name, Item: item.NewItem(key)})
	}
	return err
}

// query reads one collection of an index with a random condition, in pages, and
// compares it with what follows from the items of the table.
func (d *indexDriver) query(x *IndexDefinition) {
	d.t.Helper()
	var hash, sorts []KeyElement
	for _, k := range x.Keys {
		if k.Role == Hash {
			hash = append(hash, k)
		} else {
			sorts = append(sorts, k)
		}
	}
	sample := map[string]item.Value{}
	d.attributes(sample)
	for name, v := range d.key() {
		sample[name] = v
	}
	var texts []string
	values := map[string]item.Value{}
	equal := map[string]item.Value{}
	for _, k := range hash {
		v, ok := sample[k.Name]
		if !ok {
			return
		}
		texts = append(texts, fmt.Sprintf("%s = :%s", k.Name, k.Name))
		values[":"+k.Name], equal[k.Name] = v, v
	}
	admit := func(item.Item) bool { return true }
	for i, k := range sorts {
		v, ok := sample[k.Name]
		if !ok || d.rng.IntN(4) == 0 {
			break
		}
		values[":"+k.Name] = v
		if i+1 < len(sorts) && d.rng.IntN(2) == 0 {
			texts = append(texts, fmt.Sprintf("%s = :%s", k.Name, k.Name))
			equal[k.Name] = v
			continue
		}
		var text string
		text, admit = d.rangeTerm(k.Name, v)
		texts = append(texts, text)
		break
	}
	condition := must(expr.ParseKeyCondition(strings.Join(texts, " AND "), expr.NewParams(nil, item.NewItem(values))))
	var want []item.Item
	for _, it := range must(scanAll(d.s, d.def.Name, "", d.rng)) {
		e := expected(&d.def, x, it)
		fits := e != nil && admit(e)
		for name, v := range equal {
			if fits {
				w, _ := e.Get(name)
				fits = w.Equal(v)
			}
		}
		if fits {
			want = append(want, e)
		}
	}
	reverse := d.rng.IntN(2) == 0
	got := d.queryAll(&QueryRequest{Table: d.def.Name, Index: x.Name, Keys: condition, Reverse: reverse})
	if a, b := shown(got), shown(want); !slices.Equal(a, b) {
		d.t.Fatalf("Query %s of %v = \n%s\nwant\n%s", x.Name, texts, strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
	for i := 1; i < len(got); i++ {
		if c := orderOf(x, got[i-1], got[i]); c > 0 && !reverse || c < 0 && reverse {
			d.t.Fatalf("Query %s of %v, reverse %v: %s before %s", x.Name, texts, reverse, show(got[i-1]), show(got[i]))
		}
	}
}

// rangeTerm draws a condition on a sort key and its meaning.
func (d *indexDriver) rangeTerm(name string, v item.Value) (string, func(item.Item) bool) {
	compared := func(ok func(c int) bool) func(item.Item) bool {
		return func(it item.Item) bool {
			w, _ := it.Get(name)
			c, _ := w.Compare(v)
			return ok(c)
		}
	}
	switch d.rng.IntN(6) {
	case 0:
		return fmt.Sprintf("%s < :%s", name, name), compared(func(c int) bool { return c < 0 })
	case 1:
		return fmt.Sprintf("%s <= :%s", name, name), compared(func(c int) bool { return c <= 0 })
	case 2:
		return fmt.Sprintf("%s > :%s", name, name), compared(func(c int) bool { return c > 0 })
	case 3:
		return fmt.Sprintf("%s >= :%s", name, name), compared(func(c int) bool { return c >= 0 })
	case 4:
		if v.Type() != item.N {
			return fmt.Sprintf("begins_with(%s, :%s)", name, name), func(it item.Item) bool {
				w, _ := it.Get(name)
				return strings.HasPrefix(string(w.Bytes()), string(v.Bytes()))
			}
		}
		return fmt.Sprintf("%s BETWEEN :%s AND :%s", name, name, name), compared(func(c int) bool { return c == 0 })
	}
	return fmt.Sprintf("%s = :%s", name, name), compared(func(c int) bool { return c == 0 })
}

// queryAll reads all pages, of random size.
func (d *indexDriver) queryAll(r *QueryRequest) (items []item.Item) {
	d.t.Helper()
	for {
		r.Limit = d.rng.IntN(4)
		page, err := d.s.Query(r)
		if err != nil {
			d.t.Fatalf("Query: %v", err)
		}
		items = append(items, page.Items...)
		if page.LastKey == nil {
			return items
		}
		r.StartKey = page.LastKey
	}
}

// TestIndexModel: after any writes, and restarts in between, every index holds
// what follows from the items of its table, in order.
func TestIndexModel(t *testing.T) {
	seed := *indexSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("replay with: go test ./table -run TestIndexModel -index-seed=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, partitions := range []int{1, 3} {
		w := newWorld(t)
		d := &indexDriver{t: t, s: w.Service, rng: rng, def: indexedAll("tab", partitions)}
		w.create(d.def)
		for range 4 {
			for range 60 {
				if err := d.write(); err != nil {
					t.Fatal(err)
				}
				if rng.IntN(4) == 0 {
					if err := awaitIndexes(w.Service, "tab"); err != nil {
						t.Fatal(err)
					}
					all := d.allIndexes()
					d.query(all[rng.IntN(len(all))])
				}
			}
			w.restart()
			d.s = w.Service
			if err := awaitIndexes(w.Service, "tab"); err != nil {
				t.Fatal(err)
			}
			for _, x := range d.allIndexes() {
				if err := checkIndex(w.Service, &d.def, x, rng); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// A query of a local index fetches from the table what the index does not have;
// each item fetched is paid for on its own.
func TestLocalFetch(t *testing.T) {
	w := newWorld(t)
	w.create(indexedAll("tab", 1))
	for i := range 3 {
		w.put("tab", fmt.Sprintf(`{"p":{"S":"x"},"s":{"N":"%d"},"n":{"N":"%d"},"w":{"S":%q}}`, i, 9-i, longText(5000)))
	}
	p := `{":p":{"S":"x"}}`
	for _, c := range []struct {
		index, choice, projection string
		consistent                bool
		table, units              float64
		first                     string
	}{
		{index: "localNumber", units: 0.5, first: `{"n":{"N":"7"},"p":{"S":"x"},"s":{"N":"2"}}`},
		{index: "localNumber", choice: "ALL_PROJECTED_ATTRIBUTES", consistent: true, units: 1, first: `{"n":{"N":"7"},"p":{"S":"x"},"s":{"N":"2"}}`},
		{index: "localNumber", projection: "s", units: 0.5, first: `{"s":{"N":"2"}}`},
		{index: "localNumber", choice: "COUNT", units: 0.5},
		{index: "localNumber", projection: "s, w", table: 3, units: 0.5, first: `{"s":{"N":"2"},"w":{"S":"` + longText(5000) + `"}}`},
		{index: "localNumber", choice: "ALL_ATTRIBUTES", consistent: true, table: 6, units: 1,
			first: `{"n":{"N":"7"},"p":{"S":"x"},"s":{"N":"2"},"w":{"S":"` + longText(5000) + `"}}`},
		{choice: "ALL_ATTRIBUTES", consistent: true, table: 4},
	} {
		r := &QueryRequest{Table: "tab", Index: c.index, Keys: keyed("p = :p", p), Select: c.choice, Consistent: c.consistent}
		if c.projection != "" {
			r.Projection = projection(c.projection)
		}
		page, err := w.Query(r)
		if err != nil || page.Count != 3 || page.Capacity.Read != c.table {
			t.Fatalf("Query %+v = %+v, %v", c, page, err)
		}
		if c.first != "" && show(page.Items[0]) != c.first {
			t.Errorf("Query %+v begins with %.200s", c, show(page.Items[0]))
		}
		var want []IndexCapacity
		if c.index != "" {
			want = []IndexCapacity{{c.index, true, c.units}}
		}
		if !slices.Equal(page.Indexes, want) {
			t.Errorf("Query %+v costs %+v on indexes, want %+v", c, page.Indexes, want)
		}
	}
}

// What a write costs on each index: an entry that comes, goes, changes or moves.
func TestIndexWriteUnits(t *testing.T) {
	w := newWorld(t)
	def := indexedAll("tab", 1)
	def.GlobalIndexes = def.GlobalIndexes[1:3]
	w.create(def)
	for _, c := range []struct {
		item string // "" = delete
		want []IndexCapacity
	}{
		{`{"p":{"S":"x"},"s":{"N":"1"},"w":{"N":"1"}}`, []IndexCapacity{{"inverse", false, 1}}},
		{`{"p":{"S":"x"},"s":{"N":"1"},"n":{"N":"1"}}`, []IndexCapacity{{"localNumber", true, 1}}},
		{`{"p":{"S":"x"},"s":{"N":"1"},"n":{"N":"1"},"w":{"S":"` + longText(3000) + `"}}`, nil},
		{`{"p":{"S":"x"},"s":{"N":"1"},"n":{"N":"2"},"a":{"S":"k"},"w":{"S":"` + longText(3000) + `"}}`, []IndexCapacity{{"localText", true, 3}, {"localNumber", true, 2}}},
		{`{"p":{"S":"x"},"s":{"N":"1"},"n":{"N":"2"},"a":{"S":"k"}}`, []IndexCapacity{{"localText", true, 3}}},
		{`{"p":{"S":"x"},"s":{"N":"1"},"n":{"N":"2"},"a":{"S":"k"}}`, nil},
		{`{"p":{"S":"x"},"s":{"N":"1"},"n":{"N":"2"},"b":{"B":"AA=="},"v":{"S":"` + longText(1500) + `"}}`, []IndexCapacity{
			{"localText", true, 1}, {"localBytes", true, 2}, {"byNumber", false, 1}, {"inverse", false, 2}}},
		{`{"p":{"S":"x"},"s":{"N":"1"},"n":{"N":"3"},"b":{"B":"AA=="},"v":{"S":"` + longText(1500) + `"}}`, []IndexCapacity{
			{"localNumber", true, 2}, {"localBytes", true, 2}, {"byNumber", false, 2}}},
		{"", []IndexCapacity{{"localNumber", true, 1}, {"localBytes", true, 2}, {"byNumber", false, 1}, {"inverse", false, 2}}},
		{"", nil},
	} {
		var r *WriteResult
		var err error
		if c.item == "" {
			r, err = w.DeleteItem(&DeleteRequest{Table: "tab", Key: js(`{"p":{"S":"x"},"s":{"N":"1"}}`)})
		} else {
			r, err = w.Put(&PutRequest{Table: "tab", Item: js(c.item)})
		}
		if err != nil || !slices.Equal(r.Indexes, c.want) {
			t.Errorf("write of %.100q costs %+v on indexes, %v, want %+v", c.item, r, err, c.want)
		}
	}
}

// An item and its local entries fit into 400 KB together.
func TestLocalSizeLimit(t *testing.T) {
	w := newWorld(t)
	w.create(indexedAll("tab", 1))
	item := func(n int) string {
		return `{"p":{"S":"x"},"s":{"N":"1"},"a":{"S":"k"},"w":{"S":"` + longText(n) + `"}}`
	}
	fits := (400<<10)/2 - js(item(0)).Size() // the index holds everything once more
	w.put("tab", item(fits))
	_, err := w.Put(&PutRequest{Table: "tab", Item: js(item(fits + 1))})
	checkError(t, "Put", err, "Item size has exceeded the maximum allowed size")
	_, err = w.UpdateItem(&UpdateRequest{Table: "tab", Key: js(`{"p":{"S":"x"},"s":{"N":"1"}}`), Update: update("SET z = :z", `{":z":{"S":"z"}}`)})
	checkError(t, "UpdateItem", err, "Item size to update has exceeded the maximum allowed size")
	if got := w.get("tab", `{"p":{"S":"x"},"s":{"N":"1"}}`); got != item(fits) && len(got) != len(item(fits)) {
		t.Errorf("the item has changed: %d bytes of JSON", len(got))
	}
}

// With a delay, changes come to global indexes late, but they do; local indexes
// have them at once.
func TestIndexDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, options: Options{IndexDelay: 5 * time.Second}}
		w.begin()
		defer func() { w.Close(); w.db.Close() }()
		w.create(indexedAll("tab", 2))
		rng := rand.New(rand.NewPCG(1, 1))
		count := func(index string) int { return len(must(scanAll(w.Service, "tab", index, rng))) }
		check := func(when string, want int) {
			t.Helper()
			synctest.Wait()
			if got := count("byText"); got != want {
				t.Errorf("%s: %d entries in the global index, want %d", when, got, want)
			}
			if local := count("localText"); local != count("") {
				t.Errorf("%s: %d entries in the local index", when, local)
			}
		}
		w.put("tab", `{"p":{"S":"x"},"s":{"N":"1"},"a":{"S":"a"}}`)
		time.Sleep(3 * time.Second)
		check("after 3 s", 0)
		w.put("tab", `{"p":{"S":"y"},"s":{"N":"1"},"a":{"S":"a"}}`)
		time.Sleep(3 * time.Second)
		check("after 3 s more", 1)
		time.Sleep(3 * time.Second)
		check("after 9 s", 2)
		time.Sleep(2 * trimPause)
		synctest.Wait()
		tab, _ := w.lookup("tab")
		for _, p := range tab.partitions {
			if p.Trimmed() != p.Sequence() {
				t.Errorf("change records %d to %d are kept although all indexes have them", p.Trimmed()+1, p.Sequence())
			}
		}
	})
}

// Writes wait when their indexes are too far behind, and a delay is cut short.
func TestIndexBackpressure(t *testing.T) {
	w := &world{t: t, options: Options{IndexDelay: time.Hour}}
	w.begin()
	defer func() { w.Close(); w.db.Close() }()
	w.maxLag = 2000
	w.create(indexedAll("tab", 1))
	const n = 50
	for i := range n {
		w.put("tab", fmt.Sprintf(`{"p":{"S":"x"},"s":{"N":"%d"},"a":{"S":"a"},"v":{"S":%q}}`, i, longText(300)))
	}
	tab, _ := w.lookup("tab")
	p := tab.partitions[0]
	if left := p.Sequence() - p.upkeep.cursor.Load(); p.Sequence() != n || left > 10 {
		t.Errorf("%d of %d changes wait, want as many as 2000 bytes have", left, p.Sequence())
	}
}
