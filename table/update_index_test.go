package table

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// An index is created and deleted while the table is in use; definitions of key
// attributes come and go with it.
func TestIndexOnline(t *testing.T) {
	w := newWorld(t)
	def := simple("tab", 3)
	w.create(def)
	for i := range 40 {
		w.put("tab", fmt.Sprintf(`{"p":{"S":"%d"},"g":{"S":"g%d"},"v":{"S":"v"}}`, i, i%3))
	}
	w.put("tab", `{"p":{"S":"odd"},"g":{"N":"1"}}`) // which the index skips
	x := IndexDefinition{Name: "byG", Keys: keys("g"), Projection: &Projection{Type: "KEYS_ONLY"}}
	d, err := w.Update(UpdateTableRequest{Table: "tab", CreateIndexes: []IndexDefinition{x}, Attributes: attributes("g", "S", "other", "N")})
	if err != nil || d.Status != StatusUpdating || !slices.Equal(d.GlobalIndexStatus, []string{StatusCreating}) {
		t.Fatalf("Update = %+v, %v", d, err)
	}
	w.put("tab", `{"p":{"S":"1"},"g":{"S":"moved"}}`)
	if err := errors.Join(awaitBuilt(w.Service, "tab"), awaitIndexes(w.Service, "tab")); err != nil {
		t.Fatal(err)
	}
	d, err = w.Describe("tab")
	if err != nil || !slices.Equal(d.GlobalIndexStatus, []string{StatusActive}) || !slices.Equal(d.Attributes, attributes("p", "S", "g", "S")) {
		t.Fatalf("Describe = %+v, %v", d, err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	if err := checkIndex(w.Service, &d.Definition, &x, rng); err != nil {
		t.Error(err)
	}
	_, err = w.Put(&PutRequest{Table: "tab", Item: js(`{"p":{"S":"bad"},"g":{"N":"1"}}`)})
	checkError(t, "Put of a wrong type", err, invalidPrefix+"Type mismatch for Index Key g Expected: S Actual: N IndexName: byG")

	d, err = w.Update(UpdateTableRequest{Table: "tab", DeleteIndexes: []string{"byG"}})
	if err != nil || d.Status != StatusUpdating || !slices.Equal(d.GlobalIndexStatus, []string{StatusDeleting}) {
		t.Fatalf("Update = %+v, %v", d, err)
	}
	if err := awaitBuilt(w.Service, "tab"); err != nil {
		t.Fatal(err)
	}
	d, err = w.Describe("tab")
	if err != nil || len(d.GlobalIndexes) != 0 || !slices.Equal(d.Attributes, def.Attributes) {
		t.Errorf("Describe = %+v, %v", d, err)
	}
	_, err = w.Query(&QueryRequest{Table: "tab", Index: "byG", Keys: keyed("g = :g", `{":g":{"S":"g1"}}`)})
	checkError(t, "Query", err, "The table does not have the specified index: byG")
	w.put("tab", `{"p":{"S":"fine"},"g":{"N":"1"}}`)
	if groups := len(w.host.Groups()); groups != 1+3 {
		t.Errorf("%d groups are left, want those of the catalog and the table", groups)
	}
	for range 2 { // the name can be used again
		if _, err := w.Update(UpdateTableRequest{Table: "tab", CreateIndexes: []IndexDefinition{x}, Attributes: attributes("g", "S")}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(awaitBuilt(w.Service, "tab"), awaitIndexes(w.Service, "tab")); err != nil {
			t.Fatal(err)
		}
		d, _ = w.Describe("tab")
		if err := checkIndex(w.Service, &d.Definition, &x, rng); err != nil {
			t.Error(err)
		}
		if _, err := w.Update(UpdateTableRequest{Table: "tab", DeleteIndexes: []string{"byG"}}); err != nil {
			t.Fatal(err)
		}
		if err := awaitBuilt(w.Service, "tab"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIndexUpdateRefusals(t *testing.T) {
	w := newWorld(t)
	w.create(indexed("tab"))
	with := func(change func(*IndexDefinition)) []IndexDefinition {
		x := IndexDefinition{Name: "new", Keys: keys("k"), Projection: all()}
		change(&x)
		return []IndexDefinition{x}
	}
	same := func(*IndexDefinition) {}
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprint("a", i)
	}
	for _, c := range []struct {
		name string
		u    UpdateTableRequest
		want string
	}{
		{"two changes", UpdateTableRequest{CreateIndexes: with(same), DeleteIndexes: []string{"glo"}},
			"Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"},
		{"twice the same", UpdateTableRequest{CreateIndexes: with(same), DeleteIndexes: []string{"new"}},
			invalidPrefix + "Only one global secondary index update per index is allowed simultaneously. Index: new"},
		{"no definition", UpdateTableRequest{CreateIndexes: with(same)},
			invalidPrefix + "Some index key attributes are not defined in AttributeDefinitions. Keys: [k], AttributeDefinitions: []"},
		{"defined before only", UpdateTableRequest{CreateIndexes: with(func(x *IndexDefinition) { x.Keys = keys("p") }), Attributes: attributes("k", "S")},
			invalidPrefix + "Some index key attributes are not defined in AttributeDefinitions. Keys: [p], AttributeDefinitions: [k]"},
		{"redefined", UpdateTableRequest{CreateIndexes: with(func(x *IndexDefinition) { x.Keys = keys("p") }), Attributes: attributes("p", "N")},
			invalidPrefix + "Attributes cannot be redefined. Please check that your attribute has the same type as previously defined. " +
				"Existing schema: Schema:[SchemaElement: key{p:S:HASH}] New schema: Schema:[SchemaElement: key{p:N:HASH}]"},
		{"roles", UpdateTableRequest{CreateIndexes: with(func(x *IndexDefinition) { x.Keys = []KeyElement{{"k", Range}} }), Attributes: attributes("k", "S")},
			"Invalid KeySchema: The first KeySchemaElement is not a HASH key type"},
		{"projection", UpdateTableRequest{CreateIndexes: with(func(x *IndexDefinition) { x.Projection = nil }), Attributes: attributes("k", "S")},
			invalidPrefix + "Unknown ProjectionType: null"},
		{"too many projected", UpdateTableRequest{CreateIndexes: with(func(x *IndexDefinition) { x.Projection = &Projection{"INCLUDE", many} }), Attributes: attributes("k", "S")},
			invalidPrefix + "Number of NonKeyAttributes of all indexes exceeds the per-table limit of 100"},
		{"name of a global index", UpdateTableRequest{CreateIndexes: with(func(x *IndexDefinition) { x.Name = "glo" }), Attributes: attributes("k", "S")},
			"Attempting to create an index which already exists: glo"},
		{"name of a local index", UpdateTableRequest{CreateIndexes: with(func(x *IndexDefinition) { x.Name = "loc" }), Attributes: attributes("k", "S")},
			"Attempting to create an index which already exists: loc"},
		{"units on demand", UpdateTableRequest{CreateIndexes: with(func(x *IndexDefinition) { x.Throughput = &Throughput{1, 1} }), Attributes: attributes("k", "S")},
			invalidPrefix + "ProvisionedThroughput should not be specified for index: new when BillingMode is PAY_PER_REQUEST"},
		{"delete a local index", UpdateTableRequest{DeleteIndexes: []string{"loc"}}, invalidPrefix + "Local secondary indexes cannot be deleted: loc"},
		{"delete a missing index", UpdateTableRequest{DeleteIndexes: []string{"nope"}}, "Requested resource not found"},
	} {
		c.u.Table = "tab"
		_, err := w.Update(c.u)
		checkError(t, c.name, err, c.want)
	}
}

// What is possible while an index is being created: not much.
func TestIndexBuilding(t *testing.T) {
	w := newWorld(t)
	w.create(indexed("tab"))
	const inUse = "Attempt to change a resource which is still in use: Table is being updated: tab"
	set := func(status indexStatus) { // without a builder
		if _, err := w.replace(w.record("tab").withIndexes(func(r *record) { r.places[0].status = status })); err != nil {
			t.Fatal(err)
		}
	}
	tooMany := IndexDefinition{Name: "new", Keys: keys("p"), Projection: all()}
	protect := true
	set(indexCreating)
	d, err := w.Describe("tab")
	if err != nil || d.Status != StatusUpdating || d.GlobalIndexStatus[0] != StatusCreating || !d.GlobalIndexBackfilling[0] {
		t.Errorf("Describe = %+v, %v", d, err)
	}
	_, err = w.Query(&QueryRequest{Table: "tab", Index: "glo", Keys: keyed("x = :x", `{":x":{"S":"a"}}`)})
	checkError(t, "Query", err, "Cannot read from backfilling global secondary index: glo")
	_, err = w.Scan(&ScanRequest{Table: "tab", Index: "glo"})
	checkError(t, "Scan", err, "Cannot read from backfilling global secondary index: glo")
	_, err = w.Update(UpdateTableRequest{Table: "tab", CreateIndexes: []IndexDefinition{tooMany}, Attributes: attributes("p", "S")})
	checkError(t, "create another", err, inUse)
	_, err = w.Update(UpdateTableRequest{Table: "tab", DeletionProtection: &protect})
	checkError(t, "another change", err, inUse)
	_, err = w.Delete("tab")
	checkError(t, "Delete", err, inUse)
	w.put("tab", `{"p":{"S":"a"},"s":{"N":"1"}}`)

	set(indexDeleting)
	_, err = w.Update(UpdateTableRequest{Table: "tab", DeleteIndexes: []string{"glo"}})
	checkError(t, "delete what is being deleted", err, inUse)
	set(indexCreating)
	if _, err = w.Update(UpdateTableRequest{Table: "tab", DeleteIndexes: []string{"glo"}}); err != nil {
		t.Fatalf("delete what is being created: %v", err)
	}
	if err := awaitBuilt(w.Service, "tab"); err != nil {
		t.Fatal(err)
	}
	if d, err := w.Describe("tab"); err != nil || len(d.GlobalIndexes) != 0 {
		t.Errorf("Describe = %+v, %v", d, err)
	}
	if _, err := w.Delete("tab"); err != nil {
		t.Errorf("Delete: %v", err)
	}
}

// An index is shown as active from when it can be read on, which is a moment after the
// catalog has it so.
func TestIndexActiveCanBeRead(t *testing.T) {
	w := newWorld(t)
	w.create(indexed("tab"))
	to := func(status indexStatus) []byte {
		return replaceCommand(w.record("tab").withIndexes(func(r *record) { r.places[0].status = status }))
	}
	check := func(when, table, index string) {
		t.Helper()
		d, err := w.Describe("tab")
		if err != nil || d.Status != table || d.GlobalIndexStatus[0] != index || d.GlobalIndexBackfilling[0] != (index == StatusCreating) {
			t.Errorf("%s: Describe = %+v, %v, want %s and its index %s", when, d, err, table, index)
		}
		_, err = w.Scan(&ScanRequest{Table: "tab", Index: "glo"})
		if (err == nil) != (index == StatusActive) {
			t.Errorf("%s: Scan of an index that is %s: %v", when, index, err)
		}
	}
	check("created", StatusActive, StatusActive)
	r, err := w.propose(to(indexCreating))
	if err != nil {
		t.Fatal(err)
	}
	w.publish(r)
	check("building", StatusUpdating, StatusCreating)
	if r, err = w.propose(to(indexActive)); err != nil {
		t.Fatal(err)
	}
	check("in the catalog", StatusUpdating, StatusCreating)
	w.publish(r)
	check("published", StatusActive, StatusActive)
}

// A table whose record is older than entries of indexes gets its global indexes
// built at the next start; its local ones say that they cannot be read.
func TestIndexOfOldTable(t *testing.T) {
	w := newWorld(t)
	w.create(Definition{Name: "tab", Attributes: attributes("p", "S", "s", "N"), Keys: keys("p", "s"), Partitions: 2})
	for i := range 20 {
		w.put("tab", fmt.Sprintf(`{"p":{"S":"%d"},"s":{"N":"1"},"g":{"S":"g%d"},"v":{"S":"v"}}`, i, i%3))
	}
	_, err := w.propose(replaceCommand(w.record("tab").with(func(r *record) {
		r.def.Attributes = attributes("p", "S", "s", "N", "g", "S")
		r.def.LocalIndexes = []IndexDefinition{{Name: "loc", Keys: keys("p", "g"), Projection: all()}}
		r.def.GlobalIndexes = []IndexDefinition{{Name: "glo", Keys: keys("g"), Projection: all()}}
		r.indexChanges, r.places = make([]ThroughputChanges, 1), nil
	})))
	if err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.put("tab", `{"p":{"S":"late"},"s":{"N":"1"},"g":{"S":"g1"}}`)
	if err := errors.Join(awaitBuilt(w.Service, "tab"), awaitIndexes(w.Service, "tab")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		d, err := w.Describe("tab")
		if err != nil {
			t.Fatal(err)
		}
		if err := checkIndex(w.Service, &d.Definition, &d.GlobalIndexes[0], rand.New(rand.NewPCG(1, 1))); err != nil {
			t.Error(err)
		}
		_, err = w.Query(&QueryRequest{Table: "tab", Index: "loc", Keys: keyed("p = :p", `{":p":{"S":"late"}}`)})
		checkError(t, "Query of the local index", err, "reading a local secondary index of a table that an earlier version created is not built yet")
		w.restart()
	}
}

// builtOrFailing waits until the indexes of a table are built and have all
// changes, or the log refuses; which of both, it returns.
func (w *world) builtOrFailing(table string) (built bool) {
	for {
		w.host.mu.Lock()
		failing := w.host.fails()
		w.host.mu.Unlock()
		if failing {
			return false
		}
		t, err := w.lookup(table)
		if err == nil && !t.building() && t.indexesCaughtUp() {
			return true
		}
		w.env.Sleep(time.Millisecond)
	}
}

// Wherever the log begins to refuse, what was begun is finished when it is well
// again: at once, or after a restart.
func TestIndexFaults(t *testing.T) {
	x := IndexDefinition{Name: "late", Keys: keys("n", "s"), Projection: all()}
	for n := 1; ; n++ {
		w := newWorld(t)
		w.host.failFrom = n
		def := indexedAll("tab", 2)
		rng := rand.New(rand.NewPCG(uint64(n), 1))
		d := &indexDriver{t: t, s: w.Service, rng: rng, def: def}
		_, err := w.Create(def)
		for range 5 {
			if err == nil {
				err = d.write()
			}
		}
		if err == nil {
			_, err = w.Update(UpdateTableRequest{Table: "tab", CreateIndexes: []IndexDefinition{x}, Attributes: def.Attributes})
		}
		finished := err == nil && w.builtOrFailing("tab")
		if n%2 == 0 {
			w.restart()
			d.s = w.Service
		} else {
			w.host.mu.Lock()
			w.host.failFrom = 0
			w.host.mu.Unlock()
		}
		if w.record("tab") == nil || w.record("tab").status != recordActive {
			if _, err := w.Create(def); err != nil {
				t.Fatalf("proposal %d failed, then Create: %v", n, err)
			}
		}
		for range 5 {
			if err := d.write(); err != nil {
				t.Fatalf("proposal %d failed, then a write: %v", n, err)
			}
		}
		if err := errors.Join(awaitBuilt(w.Service, "tab"), awaitIndexes(w.Service, "tab")); err != nil {
			t.Fatalf("proposal %d failed: %v", n, err)
		}
		now, err := w.Describe("tab")
		if err != nil {
			t.Fatal(err)
		}
		d.def = now.Definition
		for _, x := range d.allIndexes() {
			if err := checkIndex(w.Service, &d.def, x, rng); err != nil {
				t.Fatalf("proposal %d failed: %v", n, err)
			}
		}
		if finished {
			return
		}
	}
}
