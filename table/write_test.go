package table

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
)

// indexed is a table with a sort key, a local and a global index.
func indexed(name string) Definition {
	return Definition{
		Name: name, Attributes: attributes("p", "S", "s", "N", "x", "S", "y", "B"), Keys: keys("p", "s"), BillingMode: BillingOnDemand, Partitions: 2,
		LocalIndexes:  []IndexDefinition{{Name: "loc", Keys: keys("p", "x"), Projection: &Projection{Type: "KEYS_ONLY"}}},
		GlobalIndexes: []IndexDefinition{{Name: "glo", Keys: keys("x", "y"), Projection: &Projection{Type: "INCLUDE", NonKeyAttributes: []string{"i"}}}},
	}
}

const (
	misfit    = "The provided key element does not match the schema"
	emptyKey  = "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: p"
	emptyTerm = invalidPrefix + "The AttributeValue for a key attribute cannot contain an empty string value. Key: p"
	longHash  = invalidPrefix + "Size of hashkey has exceeded the maximum size limit of2048 bytes"
	longRange = invalidPrefix + "Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
	notFound  = "Requested resource not found"
	inKey     = "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: p"
	inIndex   = "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: x"
)

func longText(n int) string { return strings.Repeat("x", n) }

func TestPutRefusals(t *testing.T) {
	w := newWorld(t)
	w.create(indexed("tab"))
	w.create(simple("hash", 1))
	w.create(Definition{Name: "bin", Attributes: attributes("p", "B", "s", "S"), Keys: keys("p", "s")})
	for _, c := range []struct{ table, item, condition, want string }{
		{"nope", `{}`, "", notFound},
		{"tab", `{"s":{"N":"1"}}`, "", invalidPrefix + "Missing the key p in the item"},
		{"tab", `{"p":{"N":"1"}}`, "", invalidPrefix + "Missing the key s in the item"},
		{"tab", `{"p":{"N":"1"},"s":{"N":"1"}}`, "", invalidPrefix + "Type mismatch for key p expected: S actual: N"},
		{"tab", `{"p":{"S":"a"},"s":{"NULL":true}}`, "", invalidPrefix + "Type mismatch for key s expected: N actual: NULL"},
		{"tab", `{"p":{"S":""},"s":{"N":"1"}}`, "", emptyKey},
		{"hash", `{"p":{"S":"` + longText(2048) + `"}}`, "", ""},
		{"hash", `{"p":{"S":"` + longText(2049) + `"}}`, "", longHash},
		{"bin", `{"p":{"B":""},"s":{"S":"a"}}`, "", strings.ReplaceAll(emptyKey, "string", "binary")},
		{"bin", `{"p":{"B":"AA=="},"s":{"S":"` + longText(1024) + `"}}`, "", ""},
		{"bin", `{"p":{"B":"AA=="},"s":{"S":"` + longText(1025) + `"}}`, "", longRange},
		{"tab", `{"p":{"S":"a"},"s":{"N":"1"},"x":{"N":"1"}}`, "", invalidPrefix + "Type mismatch for Index Key x Expected: S Actual: N IndexName: loc"},
		{"tab", `{"p":{"S":"a"},"s":{"N":"1"},"y":{"NULL":true}}`, "", invalidPrefix + "Type mismatch for Index Key y Expected: B Actual: NULL IndexName: glo"},
		{"tab", `{"p":{"S":"a"},"s":{"N":"1"},"x":{"S":""}}`, "", "One or more parameter values are not valid. A value specified for a secondary index key is not supported. " +
			"The AttributeValue for a key attribute cannot contain an empty string value. IndexName: loc, IndexKey: x"},
		{"tab", `{"p":{"S":"a"},"s":{"N":"1"},"x":{"S":"` + longText(1025) + `"}}`, "", longRange},
		{"tab", `{"p":{"S":"a"},"s":{"N":"1"}}`, "attribute_exists(p.z)", inKey},
		{"tab", `{"p":{"S":"a"},"s":{"N":"1"}}`, "attribute_exists(x[0])", inIndex},
		{"tab", `{"p":{"S":"a"},"s":{"N":"1"}}`, "attribute_exists(p)", "The conditional request failed"},
	} {
		r := &PutRequest{Table: c.table, Item: js(c.item)}
		if c.condition != "" {
			r.Condition = condition(c.condition, "")
		}
		_, err := w.Put(r)
		checkError(t, "Put "+c.item[:min(len(c.item), 60)], err, c.want)
	}
}

func TestKeyRefusals(t *testing.T) {
	w := newWorld(t)
	w.create(indexed("tab"))
	for _, c := range []struct{ key, want string }{
		{`{"p":{"S":"a"}}`, misfit},
		{`{"p":{"S":"a"},"s":{"N":"1"},"q":{"N":"1"}}`, misfit},
		{`{"p":{"S":"a"},"q":{"N":"1"}}`, misfit},
		{`{"p":{"S":"a"},"s":{"S":"1"}}`, misfit},
		{`{"p":{"S":""},"s":{"S":"1"}}`, misfit},
		{`{"p":{"S":""},"s":{"N":"1"}}`, emptyKey},
		{`{"p":{"S":"` + longText(2049) + `"},"s":{"N":"1"}}`, longHash},
		{`{"p":{"S":"a"},"s":{"N":"1"}}`, ""},
	} {
		key := js(c.key)
		_, err := w.Get(&GetRequest{Table: "tab", Key: key})
		checkError(t, "Get "+c.key, err, c.want)
		_, err = w.DeleteItem(&DeleteRequest{Table: "tab", Key: key})
		checkError(t, "DeleteItem "+c.key, err, c.want)
		_, err = w.UpdateItem(&UpdateRequest{Table: "tab", Key: key})
		checkError(t, "UpdateItem "+c.key, err, c.want)
		_, err = w.BatchGet(&BatchGetRequest{Tables: []BatchGetTable{{Table: "tab", Keys: []item.Item{key}}}})
		checkError(t, "BatchGet "+c.key, err, c.want)
		_, err = w.BatchWrite(&BatchWriteRequest{Tables: []BatchWriteTable{{Table: "tab", Writes: []BatchWriteOp{{Delete: key}}}}})
		checkError(t, "BatchWrite "+c.key, err, c.want)
	}
	good := js(`{"p":{"S":"a"},"s":{"N":"1"}}`)
	_, err := w.Get(&GetRequest{Table: "tab", Key: good, Projection: projection("p[0]")})
	checkError(t, "Get p[0]", err, inKey)
	_, err = w.BatchGet(&BatchGetRequest{Tables: []BatchGetTable{{Table: "tab", Keys: []item.Item{good}, Projection: projection("x.y")}}})
	checkError(t, "BatchGet x.y", err, inIndex)
	_, err = w.DeleteItem(&DeleteRequest{Table: "tab", Key: good, Condition: condition("attribute_exists(x.y)", "")})
	checkError(t, "DeleteItem if x.y", err, inIndex)
	_, err = w.DeleteItem(&DeleteRequest{Table: "tab", Key: good, Condition: condition("attribute_exists(nope)", "")})
	checkError(t, "DeleteItem if nope", err, "The conditional request failed")
	for _, op := range []func() error{
		func() error { _, err := w.Get(&GetRequest{Table: "nope", Key: good}); return err },
		func() error { _, err := w.DeleteItem(&DeleteRequest{Table: "nope", Key: good}); return err },
		func() error { _, err := w.UpdateItem(&UpdateRequest{Table: "nope", Key: good}); return err },
		func() error { _, err := w.Query(&QueryRequest{Table: "nope"}); return err },
		func() error { _, err := w.Scan(&ScanRequest{Table: "nope"}); return err },
	} {
		checkError(t, "missing table", op(), notFound)
	}
}

func TestUpdateRefusals(t *testing.T) {
	w := newWorld(t)
	w.create(indexed("tab"))
	w.put("tab", `{"p":{"S":"a"},"s":{"N":"1"},"v":{"S":"text"},"big":{"S":"`+longText(400<<10-40)+`"}}`)
	for _, c := range []struct{ update, values, condition, want string }{
		{"SET p = :v", `{":v":{"S":"b"}}`, "", invalidPrefix + "Cannot update attribute p. This attribute is part of the key"},
		{"REMOVE s", "", "", invalidPrefix + "Cannot update attribute s. This attribute is part of the key"},
		{"SET p.q = :v", `{":v":{"S":"b"}}`, "", invalidPrefix + "Cannot update attribute p. This attribute is part of the key"},
		{"SET x.q = :v", `{":v":{"S":"b"}}`, "", inIndex},
		{"SET v = v", "", "attribute_exists(x[1])", inIndex},
		{"SET v = p.q", "", "attribute_exists(nope)", inKey},
		{"SET v = if_not_exists(x.q, v)", "", "attribute_exists(nope)", inIndex},
		{"SET x = :v", `{":v":{"N":"1"}}`, "attribute_exists(nope)", "The update expression attempted to update the secondary index key to unsupported type"},
		{"SET x = big", "", "attribute_exists(nope)", "The conditional request failed"},
		{"SET x = big", "", "", "The update expression attempted to update the secondary index key beyond allowed size limits"},
		{"SET v = v", "", "attribute_exists(nope)", "The conditional request failed"},
		{"SET w = nope", "", "attribute_exists(nope)", "The conditional request failed"},
		{"SET w = nope", "", "", "The provided expression refers to an attribute that does not exist in the item"},
		{"SET nope.q = :v", `{":v":{"S":"b"}}`, "", "The document path provided in the update expression is invalid for update"},
		{"ADD v :v", `{":v":{"N":"1"}}`, "", "An operand in the update expression has an incorrect data type"},
		{"SET x = :v", `{":v":{"N":"1"}}`, "", "The update expression attempted to update the secondary index key to unsupported type"},
		{"SET x = :v", `{":v":{"S":""}}`, "", "One or more parameter values are not valid. The update expression attempted to update a secondary index key to a value that is not supported. " +
			"The AttributeValue for a key attribute cannot contain an empty string value."},
		{"SET x = :v", `{":v":{"S":"` + longText(2049) + `"}}`, "", "The update expression attempted to update the secondary index key beyond allowed size limits"},
		{"SET w = :v", `{":v":{"S":"` + longText(100) + `"}}`, "", "Item size to update has exceeded the maximum allowed size"},
		{"SET w = :v", `{":v":{"S":"fits"}}`, "", ""},
	} {
		r := &UpdateRequest{Table: "tab", Key: js(`{"p":{"S":"a"},"s":{"N":"1"}}`), Update: update(c.update, c.values)}
		if c.condition != "" {
			r.Condition = condition(c.condition, "")
		}
		_, err := w.UpdateItem(r)
		checkError(t, c.update+" if "+c.condition, err, c.want)
	}
}

// TestItemSizeLimit: 400 KB is the last size that fits.
func TestItemSizeLimit(t *testing.T) {
	w := newWorld(t)
	w.create(simple("tab", 1))
	w.put("tab", `{"p":{"S":"a"},"v":{"S":"`+longText(400<<10-3)+`"}}`)
	_, err := w.Put(&PutRequest{Table: "tab", Item: js(`{"p":{"S":"a"},"v":{"S":"` + longText(400<<10-2) + `"}}`)})
	checkError(t, "Put", err, "Item size has exceeded the maximum allowed size")
}

func TestWriteResults(t *testing.T) {
	w := newWorld(t)
	w.create(indexed("tab"))
	w.create(simple("hash", 1))
	key := js(`{"p":{"S":"a"},"s":{"N":"1"}}`)

	r, err := w.Put(&PutRequest{Table: "tab", Item: js(`{"p":{"S":"a"},"s":{"N":"1"},"v":{"S":"` + longText(2000) + `"}}`), Return: AllOld})
	if err != nil || r.Attributes != nil || r.Capacity != (Capacity{Write: 2}) || show(r.CollectionKey) != `{"p":{"S":"a"}}` {
		t.Errorf("first Put = %+v, %v", r, err)
	}
	r, err = w.Put(&PutRequest{Table: "tab", Item: js(`{"p":{"S":"a"},"s":{"N":"1"},"n":{"N":"5"}}`), Return: AllOld})
	if err != nil || r.Attributes.Len() != 3 || r.Capacity.Write != 2 {
		t.Errorf("second Put = %v, %+v, %v, want the old item and the larger size to count", r.Attributes.Len(), r.Capacity, err)
	}
	for _, c := range []struct {
		want ReturnValues
		text string
	}{
		{ReturnNone, "none"}, {AllOld, `{"n":{"N":"6"},"p":{"S":"a"},"s":{"N":"1"}}`}, {AllNew, `{"n":{"N":"8"},"p":{"S":"a"},"s":{"N":"1"}}`},
		{UpdatedOld, `{"n":{"N":"8"}}`}, {UpdatedNew, `{"n":{"N":"10"}}`},
	} {
		r, err := w.UpdateItem(&UpdateRequest{Table: "tab", Key: key, Update: update("ADD n :one", `{":one":{"N":"1"}}`), Return: c.want})
		if err != nil || show(r.Attributes) != c.text {
			t.Errorf("UpdateItem returning %d = %s, %v, want %s", c.want, show(r.Attributes), err, c.text)
		}
	}
	var failed *ConditionFailedError
	_, err = w.UpdateItem(&UpdateRequest{Table: "tab", Key: key, Condition: condition("n = :v", `{":v":{"N":"0"}}`), ReturnOnFailure: true})
	if !errors.As(err, &failed) || show(failed.Item) != `{"n":{"N":"10"},"p":{"S":"a"},"s":{"N":"1"}}` {
		t.Errorf("failed condition: %v with item %s", err, show(failed.Item))
	}
	_, err = w.DeleteItem(&DeleteRequest{Table: "tab", Key: key, Condition: condition("n = :v", `{":v":{"N":"0"}}`)})
	if !errors.As(err, &failed) || failed.Item != nil {
		t.Errorf("failed condition without wish: %v with item %s", err, show(failed.Item))
	}
	r, err = w.DeleteItem(&DeleteRequest{Table: "tab", Key: key, Return: AllOld})
	if err != nil || show(r.Attributes) != `{"n":{"N":"10"},"p":{"S":"a"},"s":{"N":"1"}}` || r.Capacity.Write != 1 {
		t.Errorf("DeleteItem = %+v, %v", r, err)
	}
	r, err = w.DeleteItem(&DeleteRequest{Table: "hash", Key: js(`{"p":{"S":"a"}}`), Return: AllOld})
	if err != nil || r.Attributes != nil || r.Capacity.Write != 1 || r.CollectionKey != nil {
		t.Errorf("DeleteItem of a missing item = %+v, %v", r, err)
	}
}

func TestGetResults(t *testing.T) {
	w := newWorld(t)
	w.create(simple("tab", 3))
	w.put("tab", `{"p":{"S":"a"},"v":{"S":"`+longText(5000)+`"},"m":{"M":{"k":{"N":"1"},"l":{"N":"2"}}}}`)
	for _, c := range []struct {
		key, projection string
		consistent      bool
		want            string
		units           float64
	}{
		{"a", "m.k", true, `{"m":{"M":{"k":{"N":"1"}}}}`, 2},
		{"a", "m.k", false, `{"m":{"M":{"k":{"N":"1"}}}}`, 1},
		{"a", "nope", false, `{}`, 1},
		{"b", "", true, "none", 1},
		{"b", "m", false, "none", 0.5},
	} {
		r := &GetRequest{Table: "tab", Key: js(fmt.Sprintf(`{"p":{"S":%q}}`, c.key)), Consistent: c.consistent}
		if c.projection != "" {
			r.Projection = projection(c.projection)
		}
		before := w.host.barriers
		got, err := w.Get(r)
		if err != nil || show(got.Item) != c.want || got.Capacity != (Capacity{Read: c.units}) {
			t.Errorf("Get %s (%s) = %s, %+v, %v, want %s, %v units", c.key, c.projection, show(got.Item), got.Capacity, err, c.want, c.units)
		}
		if asked := w.host.barriers > before; asked != c.consistent {
			t.Errorf("consistent = %v, but asked for a barrier = %v", c.consistent, asked)
		}
	}
}

func TestBatchWriteRefusals(t *testing.T) {
	w := newWorld(t)
	w.create(indexed("tab"))
	w.create(simple("hash", 1))
	put := func(text string) BatchWriteOp { return BatchWriteOp{Put: js(text)} }
	del := func(text string) BatchWriteOp { return BatchWriteOp{Delete: js(text)} }
	good := put(`{"p":{"S":"g"},"s":{"N":"1"}}`)
	for _, c := range []struct {
		name   string
		tables []BatchWriteTable
		want   string
	}{
		{"missing table", []BatchWriteTable{{"tab", []BatchWriteOp{put(`{}`)}}, {"nope", nil}}, notFound},
		{"missing key", []BatchWriteTable{{"tab", []BatchWriteOp{good, put(`{"p":{"S":"a"}}`)}}}, misfit},
		{"wrong type", []BatchWriteTable{{"tab", []BatchWriteOp{good, put(`{"p":{"S":"a"},"s":{"S":"1"}}`)}}}, misfit},
		{"duplicates", []BatchWriteTable{{"tab", []BatchWriteOp{good, put(`{"p":{"S":"a"},"s":{"N":"10"}}`), del(`{"p":{"S":"a"},"s":{"N":"1e1"}}`)}}},
			"Provided list of item keys contains duplicates"},
		{"duplicates by name and ARN", []BatchWriteTable{{"arn:aws:dynamodb:us-east-1:000000000000:table/tab", []BatchWriteOp{good}}, {"tab", []BatchWriteOp{good}}},
			"Provided list of item keys contains duplicates"},
		{"index key", []BatchWriteTable{{"tab", []BatchWriteOp{good, put(`{"p":{"S":"a"},"s":{"N":"1"},"x":{"N":"1"}}`)}}},
			invalidPrefix + "Type mismatch for Index Key x Expected: S Actual: N IndexName: loc"},
		{"duplicates before index keys", []BatchWriteTable{{"tab", []BatchWriteOp{good, put(`{"p":{"S":"a"},"s":{"N":"1"},"x":{"N":"1"}}`), good}}},
			"Provided list of item keys contains duplicates"},
		{"same key in two tables", []BatchWriteTable{{"hash", []BatchWriteOp{put(`{"p":{"S":"a"}}`)}}, {"tab", []BatchWriteOp{put(`{"p":{"S":"a"},"s":{"N":"1"}}`)}}}, ""},
	} {
		_, err := w.BatchWrite(&BatchWriteRequest{Tables: c.tables})
		checkError(t, c.name, err, c.want)
		if got := w.get("tab", `{"p":{"S":"g"},"s":{"N":"1"}}`); got != "none" {
			t.Errorf("%s: a write of the refused batch happened: %s", c.name, got)
		}
	}
	_, err := w.BatchGet(&BatchGetRequest{Tables: []BatchGetTable{{Table: "tab", Keys: []item.Item{js(`{}`)}}, {Table: "nope"}}})
	checkError(t, "BatchGet of a missing table", err, notFound)
}

func TestBatches(t *testing.T) {
	w := newWorld(t)
	w.create(indexed("tab"))
	w.create(simple("hash", 1))
	var writes []BatchWriteOp
	var gets []item.Item
	for i := range 20 {
		writes = append(writes, BatchWriteOp{Put: js(fmt.Sprintf(`{"p":{"S":"a%d"},"s":{"N":"1"},"v":{"S":%q}}`, i%3, longText(1100)))})
		writes[i].Put = js(fmt.Sprintf(`{"p":{"S":"a%d"},"s":{"N":"%d"},"v":{"S":%q}}`, i%3, i, longText(1100)))
		gets = append(gets, js(fmt.Sprintf(`{"p":{"S":"a%d"},"s":{"N":"%d"}}`, i%3, i)))
	}
	r, err := w.BatchWrite(&BatchWriteRequest{Tables: []BatchWriteTable{{"tab", writes}, {"hash", []BatchWriteOp{{Delete: js(`{"p":{"S":"z"}}`)}}}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Tables[0]; got.Capacity.Write != 40 || len(got.CollectionKeys) != 3 || got.Unprocessed != nil {
		t.Errorf("table with local index: %v units, %d collections, want 40 and 3", got.Capacity.Write, len(got.CollectionKeys))
	}
	if got := r.Tables[1]; got.Capacity.Write != 1 || got.CollectionKeys != nil {
		t.Errorf("delete of a missing item: %+v", got)
	}
	gets = append(gets, js(`{"p":{"S":"nope"},"s":{"N":"1"}}`))
	g, err := w.BatchGet(&BatchGetRequest{Tables: []BatchGetTable{{Table: "tab", Keys: gets, Projection: projection("s")}, {Table: "hash", Keys: []item.Item{js(`{"p":{"S":"z"}}`)}, Consistent: true}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := g.Tables[0]; len(got.Items) != 20 || show(got.Items[7]) != `{"s":{"N":"7"}}` || got.Capacity.Read != 10.5 || got.Unprocessed != nil {
		t.Errorf("BatchGet = %d items, %v units", len(got.Items), got.Capacity.Read)
	}
	if got := g.Tables[1]; got.Items == nil || len(got.Items) != 0 || got.Capacity.Read != 1 {
		t.Errorf("BatchGet of a missing item = %+v, want an empty list", got)
	}
}

// TestBatchGetLimit: 16 MB of items are returned, the rest is unprocessed.
func TestBatchGetLimit(t *testing.T) {
	w := newWorld(t)
	w.create(simple("tab", 2))
	var gets []item.Item
	for i := range 50 {
		w.put("tab", fmt.Sprintf(`{"p":{"S":"%02d"},"v":{"S":%q}}`, i, longText(400<<10-4)))
		gets = append(gets, js(fmt.Sprintf(`{"p":{"S":"%02d"}}`, i)))
	}
	r, err := w.BatchGet(&BatchGetRequest{Tables: []BatchGetTable{{Table: "tab", Keys: gets[:45]}, {Table: "tab", Keys: gets[45:]}}})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := r.Tables[0], r.Tables[1]; len(a.Items) != 40 || len(a.Unprocessed) != 5 || len(b.Items) != 0 || len(b.Unprocessed) != 5 ||
		show(a.Unprocessed[0]) != `{"p":{"S":"40"}}` || a.Capacity.Read != 40*50 {
		t.Errorf("%d items and %d unprocessed, then %d and %d; %v units", len(a.Items), len(a.Unprocessed), len(b.Items), len(b.Unprocessed), a.Capacity.Read)
	}
}

// TestBatchWriteFullDisk: writes without room are unprocessed, all of them are
// an error.
func TestBatchWriteFullDisk(t *testing.T) {
	w := newWorld(t)
	w.create(simple("tab", 1))
	writes := []BatchWriteOp{{Put: js(`{"p":{"S":"a"}}`)}, {Put: js(`{"p":{"S":"b"}}`)}}
	w.host.failWith = fmt.Errorf("log: %w", vfs.ErrNoSpace)
	w.host.failFrom = w.host.proposed + 2
	r, err := w.BatchWrite(&BatchWriteRequest{Tables: []BatchWriteTable{{"tab", writes}}})
	if err != nil || len(r.Tables[0].Unprocessed) != 1 || show(r.Tables[0].Unprocessed[0].Put) != `{"p":{"S":"b"}}` {
		t.Errorf("BatchWrite with room for one = %+v, %v", r, err)
	}
	if _, err = w.BatchWrite(&BatchWriteRequest{Tables: []BatchWriteTable{{"tab", writes}}}); !errors.Is(err, vfs.ErrNoSpace) {
		t.Errorf("BatchWrite without room: %v, want ErrNoSpace", err)
	}
}

// TestSmallPages: with less room a page ends at the item that fills it, and a batch of reads leaves the rest, but never all.
func TestSmallPages(t *testing.T) {
	w := newWorld(t)
	w.options.PageBytes = 1
	w.restart()
	w.create(simple("tab", 3))
	var gets []item.Item
	for i := range 10 {
		w.put("tab", fmt.Sprintf(`{"p":{"S":"%02d"},"v":{"S":%q}}`, i, longText(10*i)))
		gets = append(gets, js(fmt.Sprintf(`{"p":{"S":"%02d"}}`, i)))
	}
	pages, items := 0, 0
	for r := (&ScanRequest{Table: "tab", Consistent: true}); ; pages++ {
		page, err := w.Scan(r)
		if err != nil {
			t.Fatal(err)
		}
		if items += page.Count; page.Count > 1 {
			t.Errorf("a page of %d items", page.Count)
		}
		if r.StartKey = page.LastKey; r.StartKey == nil {
			break
		}
	}
	if items != 10 || pages < 10 {
		t.Errorf("%d items in %d pages", items, pages)
	}
	seen := map[string]bool{}
	for batches := 0; len(gets) > 0; batches++ {
		if batches > 10 {
			t.Fatalf("%d keys are never processed", len(gets))
		}
		r, err := w.BatchGet(&BatchGetRequest{Tables: []BatchGetTable{{Table: "tab", Keys: gets, Consistent: true}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range r.Tables[0].Items {
			seen[show(it)] = true
		}
		gets = r.Tables[0].Unprocessed
	}
	if len(seen) != 10 {
		t.Errorf("%d items in batches", len(seen))
	}
}
