package table

import (
	"bytes"
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

var modelSeed = flag.Uint64("model-seed", 0, "seed of TestModel; 0 = from the clock")

// A model is a table as a plain map, with everything done the slow, obvious way.
type model struct {
	hash, sort string // attribute names; sort "" = none
	items      map[string]item.Item
}

func (m *model) key(it item.Item) item.Item {
	v, _ := it.Get(m.hash)
	parts := map[string]item.Value{m.hash: v}
	if m.sort != "" {
		parts[m.sort], _ = it.Get(m.sort)
	}
	return item.NewItem(parts)
}

func (m *model) get(key item.Item) item.Item { return m.items[string(m.key(key))] }
func (m *model) put(it item.Item)            { m.items[string(m.key(it))] = it }
func (m *model) delete(key item.Item)        { delete(m.items, string(m.key(key))) }

// collection returns the items of one hash key that satisfy a condition on the
// sort key, in order.
func (m *model) collection(hash item.Value, admit func(item.Value) bool) []item.Item {
	var list []item.Item
	for _, it := range m.items {
		h, _ := it.Get(m.hash)
		s, _ := it.Get(m.sort)
		if h.Equal(hash) && (m.sort == "" || admit(s)) {
			list = append(list, it)
		}
	}
	slices.SortFunc(list, func(a, b item.Item) int {
		v, _ := a.Get(m.sort)
		w, _ := b.Get(m.sort)
		c, _ := v.Compare(w)
		return c
	})
	return list
}

// A driver runs random operations against a table and its model.
type driver struct {
	*world
	t        *testing.T
	rand     *rand.Rand
	table    string
	model    model
	hashType item.Type
	sortType item.Type // 0 = none
}

// TestModel runs random operations on tables with all kinds of keys and several
// numbers of partitions, and compares every answer with a map.
func TestModel(t *testing.T) {
	seed := *modelSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("replay with: go test ./table -run TestModel -model-seed=%d", seed)
	types := []item.Type{item.S, item.N, item.B}
	w := newWorld(t)
	for i, hashType := range types {
		for k, sortType := range append(types, 0) {
			d := &driver{
				world: w, t: t, rand: rand.New(rand.NewPCG(seed, uint64(i*10+k))), table: fmt.Sprintf("m%v%d", hashType, sortType),
				hashType: hashType, sortType: sortType, model: model{hash: "p", items: map[string]item.Item{}},
			}
			def := Definition{Name: d.table, Attributes: attributes("p", hashType.String()), Keys: keys("p"), Partitions: []int{1, 2, 5, 16}[d.rand.IntN(4)]}
			if sortType != 0 {
				d.model.sort = "s"
				def.Attributes, def.Keys = attributes("p", hashType.String(), "s", sortType.String()), keys("p", "s")
			}
			w.create(def)
			d.run(300)
		}
	}
}

func (d *driver) run(steps int) {
	for step := range steps {
		switch n := d.rand.IntN(100); {
		case n < 30:
			d.stepPut()
		case n < 40:
			d.stepDelete()
		case n < 55:
			d.stepUpdate()
		case n < 60:
			d.stepBatchWrite()
		case n < 75:
			d.stepGet()
		case n < 93:
			d.stepQuery()
		default:
			d.stepScan()
		}
		if d.t.Failed() {
			d.t.Fatalf("table %s: failed at step %d", d.table, step)
		}
	}
	got, err := d.Describe(d.table)
	size := int64(0)
	for _, it := range d.model.items {
		size += int64(it.Size()) + 100
	}
	if err != nil || got.ItemCount != int64(len(d.model.items)) || got.SizeBytes != size {
		d.t.Errorf("table %s: described with %d items, %d bytes, %v, want %d, %d", d.table, got.ItemCount, got.SizeBytes, err, len(d.model.items), size)
	}
}

// value returns a key value from a small set with awkward members.
func (d *driver) value(t item.Type) item.Value {
	switch t {
	case item.N:
		texts := []string{"0", "1", "-1", "1.5", "10", "1e125", "-1e125", "1e-130", "-1e-130", "12345678901234567890123456789012345678", "100", "99"}
		return must(item.Num(texts[d.rand.IntN(len(texts))]))
	case item.B:
		texts := []string{"\x00", "\x00\x00", "\xff", "\xff\xff", "a", "a\x00", "a\xff", "b"}
		return item.Bytes([]byte(texts[d.rand.IntN(len(texts))]))
	}
	texts := []string{"a", "aa", "a\x00", "ab", "b", "é", "\U0010ffff", "~", " ", "A"}
	return item.String(texts[d.rand.IntN(len(texts))])
}

func (d *driver) randomKey() item.Item {
	parts := map[string]item.Value{"p": d.value(d.hashType)}
	if d.sortType != 0 {
		parts["s"] = d.value(d.sortType)
	}
	return item.NewItem(parts)
}

func (d *driver) randomItem() item.Item {
	parts := map[string]item.Value{"n": must(item.Num(fmt.Sprint(d.rand.IntN(5))))}
	if d.rand.IntN(3) == 0 {
		parts["text"] = item.String(longText(d.rand.IntN(3000)))
	}
	for name, v := range d.randomKey().All() {
		parts[name] = v
	}
	return item.NewItem(parts)
}

// randomCondition is about n, which items have or, after an update, may lack.
func (d *driver) randomCondition() (*expr.Condition, string) {
	texts := []string{"attribute_exists(p)", "attribute_not_exists(p)", "n = :v", "n > :v", "NOT n < :v AND attribute_exists(n)"}
	text := texts[d.rand.IntN(len(texts))]
	values := ""
	if strings.Contains(text, ":v") {
		values = fmt.Sprintf(`{":v":{"N":"%d"}}`, d.rand.IntN(5))
	}
	return condition(text, values), text + values
}

// outcome compares the error of a conditional write with the model's verdict.
func (d *driver) outcome(what string, err error, holds bool, old item.Item) bool {
	var failed *ConditionFailedError
	if errors.As(err, &failed) {
		if holds || !failed.Item.Equal(old) {
			d.t.Errorf("%s: failed with item %s, model: condition holds = %v, item %s", what, show(failed.Item), holds, show(old))
		}
		return false
	}
	if err != nil || !holds {
		d.t.Errorf("%s: error %v, model: condition holds = %v", what, err, holds)
	}
	return err == nil
}

func (d *driver) stepPut() {
	it := d.randomItem()
	r := &PutRequest{Table: d.table, Item: it, Return: AllOld, ReturnOnFailure: true}
	old, holds, text := d.model.get(it), true, ""
	if d.rand.IntN(2) == 0 {
		r.Condition, text = d.randomCondition()
		holds = r.Condition.Eval(old)
	}
	w, err := d.Put(r)
	if d.outcome("Put "+show(it)+" if "+text, err, holds, old) {
		if !w.Attributes.Equal(old) {
			d.t.Errorf("Put %s: old item %s, want %s", show(it), show(w.Attributes), show(old))
		}
		d.model.put(it)
	}
}

func (d *driver) stepDelete() {
	key := d.randomKey()
	r := &DeleteRequest{Table: d.table, Key: key, Return: AllOld, ReturnOnFailure: true}
	old, holds, text := d.model.get(key), true, ""
	if d.rand.IntN(2) == 0 {
		r.Condition, text = d.randomCondition()
		holds = r.Condition.Eval(old)
	}
	w, err := d.DeleteItem(r)
	if d.outcome("DeleteItem "+show(key)+" if "+text, err, holds, old) {
		if !w.Attributes.Equal(old) {
			d.t.Errorf("DeleteItem %s: old item %s, want %s", show(key), show(w.Attributes), show(old))
		}
		d.model.delete(key)
	}
}

func (d *driver) stepUpdate() {
	key := d.randomKey()
	old := d.model.get(key)
	parts := map[string]item.Value{}
	for name, v := range old.All() {
		parts[name] = v
	}
	for name, v := range key.All() {
		parts[name] = v
	}
	r := &UpdateRequest{Table: d.table, Key: key, Return: AllNew}
	switch d.rand.IntN(3) {
	case 0: // nothing
	case 1:
		r.Update = update("ADD n :one", `{":one":{"N":"1"}}`)
		n := must(item.Num("1"))
		if v, ok := old.Get("n"); ok {
			n = item.FromNumber(must(v.Number().Add(n.Number())))
		}
		parts["n"] = n
	case 2:
		r.Update = update("REMOVE n SET t = :t", `{":t":{"S":"new"}}`)
		delete(parts, "n")
		parts["t"] = item.String("new")
	}
	want := item.NewItem(parts)
	w, err := d.UpdateItem(r)
	if err != nil || !w.Attributes.Equal(want) {
		d.t.Errorf("UpdateItem %s = %+v, %v, want %s", show(key), w, err, show(want))
	}
	d.model.put(want)
}

func (d *driver) stepBatchWrite() {
	seen := map[string]bool{}
	var writes []BatchWriteOp
	for range d.rand.IntN(25) {
		it := d.randomItem()
		key := d.model.key(it)
		if seen[string(key)] {
			continue
		}
		seen[string(key)] = true
		if d.rand.IntN(3) == 0 {
			writes = append(writes, BatchWriteOp{Delete: key})
			d.model.delete(key)
		} else {
			writes = append(writes, BatchWriteOp{Put: it})
			d.model.put(it)
		}
	}
	r, err := d.BatchWrite(&BatchWriteRequest{Tables: []BatchWriteTable{{d.table, writes}}})
	if err != nil || r.Tables[0].Unprocessed != nil {
		d.t.Errorf("BatchWrite = %+v, %v", r, err)
	}
}

func (d *driver) stepGet() {
	var gets []item.Item
	for range 1 + d.rand.IntN(5) {
		gets = append(gets, d.randomKey())
	}
	var want []item.Item
	for _, key := range gets {
		it := d.model.get(key)
		r, err := d.Get(&GetRequest{Table: d.table, Key: key, Consistent: true})
		if err != nil || !r.Item.Equal(it) || (r.Item == nil) != (it == nil) {
			d.t.Errorf("Get %s = %s, %v, want %s", show(key), show(r.Item), err, show(it))
		}
		if it != nil {
			want = append(want, it)
		}
	}
	r, err := d.BatchGet(&BatchGetRequest{Tables: []BatchGetTable{{Table: d.table, Keys: gets}}})
	if err != nil || !slices.EqualFunc(r.Tables[0].Items, want, item.Item.Equal) {
		d.t.Errorf("BatchGet = %+v, %v, want %d items", r, err, len(want))
	}
}

// randomKeyCondition returns a condition on one collection and its meaning.
func (d *driver) randomKeyCondition() (*expr.KeyCondition, item.Value, func(item.Value) bool, string) {
	hash := d.value(d.hashType)
	k := &expr.KeyCondition{Terms: []expr.KeyTerm{{Attr: "p", Op: expr.EQ, Values: []item.Value{hash}}}}
	if d.sortType == 0 || d.rand.IntN(4) == 0 {
		return k, hash, func(item.Value) bool { return true }, ""
	}
	a, b := d.value(d.sortType), d.value(d.sortType)
	ops := []expr.Op{expr.EQ, expr.LT, expr.LE, expr.GT, expr.GE, expr.BETWEEN, expr.BEGINS_WITH}
	if d.sortType == item.N {
		ops = ops[:6]
	}
	term := expr.KeyTerm{Attr: "s", Op: ops[d.rand.IntN(len(ops))], Values: []item.Value{a}}
	if term.Op == expr.BETWEEN {
		term.Values = append(term.Values, b)
	}
	k.Terms = append(k.Terms, term)
	admit := func(v item.Value) bool {
		c, _ := v.Compare(a)
		switch term.Op {
		case expr.EQ:
			return c == 0
		case expr.LT:
			return c < 0
		case expr.LE:
			return c <= 0
		case expr.GT:
			return c > 0
		case expr.GE:
			return c >= 0
		case expr.BETWEEN:
			e, _ := v.Compare(b)
			return c >= 0 && e <= 0
		}
		return bytes.HasPrefix(v.Bytes(), a.Bytes())
	}
	return k, hash, admit, fmt.Sprintf("%v %v", term.Op, term.Values)
}

func (d *driver) stepQuery() {
	k, hash, admit, text := d.randomKeyCondition()
	want := d.model.collection(hash, admit)
	r := &QueryRequest{Table: d.table, Keys: k, Reverse: d.rand.IntN(2) == 0, Consistent: d.rand.IntN(2) == 0}
	if r.Reverse {
		slices.Reverse(want)
	}
	if d.rand.IntN(3) == 0 {
		r.Filter = filter("n > :v", `{":v":{"N":"1"}}`)
	}
	scanned := 0
	var got []item.Item
	for {
		r.Limit = d.rand.IntN(5) // 0 = none
		page, err := d.Query(r)
		if err != nil {
			d.t.Errorf("Query %s %s from %s: %v", hash, text, show(r.StartKey), err)
			return
		}
		d.checkPage(page, r.Limit, r.Consistent)
		got = append(got, page.Items...)
		scanned += page.ScannedCount
		if page.LastKey == nil {
			break
		}
		r.StartKey = page.LastKey
	}
	d.compare(fmt.Sprintf("Query %s %s reverse=%v", hash, text, r.Reverse), got, scanned, want, r.Filter)
}

func (d *driver) stepScan() {
	total := d.rand.IntN(4) // 0 = not parallel
	r := &ScanRequest{Table: d.table, TotalSegments: total}
	if d.rand.IntN(3) == 0 {
		r.Filter = filter("n > :v", `{":v":{"N":"1"}}`)
	}
	scanned := 0
	var got []item.Item
	for r.Segment = range max(1, total) {
		r.StartKey = nil
		for {
			r.Limit = d.rand.IntN(8)
			page, err := d.Scan(r)
			if err != nil {
				d.t.Errorf("Scan from %s: %v", show(r.StartKey), err)
				return
			}
			d.checkPage(page, r.Limit, false)
			got = append(got, page.Items...)
			scanned += page.ScannedCount
			if page.LastKey == nil {
				break
			}
			r.StartKey = page.LastKey
		}
	}
	var want []item.Item
	for _, it := range d.model.items {
		want = append(want, it)
	}
	order := func(a, b item.Item) int { return bytes.Compare(a, b) }
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	d.compare(fmt.Sprintf("Scan in %d segments", total), got, scanned, want, r.Filter)
}

// checkPage checks what holds for every page.
func (d *driver) checkPage(p *Page, limit int, consistent bool) {
	if p.Count != len(p.Items) || p.Count > p.ScannedCount || limit > 0 && p.ScannedCount > limit {
		d.t.Errorf("page of %d items counts %d of %d with limit %d", len(p.Items), p.Count, p.ScannedCount, limit)
	}
	full := limit > 0 && p.ScannedCount == limit
	if p.LastKey != nil && !full || p.LastKey == nil && full && d.sortType != 0 {
		d.t.Errorf("page of %d read items with limit %d has last key %s", p.ScannedCount, limit, show(p.LastKey))
	}
	least := 0.5
	if consistent {
		least = 1
	}
	if p.Capacity.Read < least {
		d.t.Errorf("page costs %v units", p.Capacity.Read)
	}
}

func (d *driver) compare(what string, got []item.Item, scanned int, want []item.Item, filter *expr.Condition) {
	if scanned != len(want) {
		d.t.Errorf("%s: read %d items, want %d", what, scanned, len(want))
	}
	if filter != nil {
		want = slices.DeleteFunc(want, func(it item.Item) bool { return !filter.Eval(it) })
	}
	if !slices.EqualFunc(got, want, item.Item.Equal) {
		d.t.Errorf("%s: %d items, want %d:\n%v\n%v", what, len(got), len(want), got, want)
	}
}
