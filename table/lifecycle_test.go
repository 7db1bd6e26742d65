package table

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
)

func simple(name string, partitions int) Definition {
	return Definition{Name: name, Attributes: attributes("p", "S"), Keys: keys("p"), BillingMode: BillingOnDemand, Partitions: partitions}
}

func TestDeleteTable(t *testing.T) {
	w := newWorld(t)
	w.create(simple("keep", 1))
	w.create(simple("tab", 3))
	before, _ := w.Describe("tab")
	for i := range 20 {
		w.put("tab", fmt.Sprintf(`{"p":{"S":"%d"}}`, i))
		w.put("keep", fmt.Sprintf(`{"p":{"S":"%d"}}`, i))
	}
	d, err := w.Delete("tab")
	if err != nil || d.Status != StatusDeleting || d.ItemCount != 20 {
		t.Fatalf("Delete = %+v, %v", d, err)
	}
	_, err = w.Get(&GetRequest{Table: "tab", Key: js(`{"p":{"S":"1"}}`)})
	checkError(t, "Get", err, "Requested resource not found")
	_, err = w.Delete("tab")
	checkError(t, "second Delete", err, "Requested resource not found: Table: tab not found")
	if n := rows(t, w.db); n != 20 {
		t.Errorf("%d rows in the store, want those 20 of the other table", n)
	}

	// A table of the same name is another table: empty, with ids of its own.
	w.create(simple("tab", 3))
	after, _ := w.Describe("tab")
	if after.ItemCount != 0 || after.ID == before.ID {
		t.Errorf("new table has %d items and id %s, the old one was %s", after.ItemCount, after.ID, before.ID)
	}
	if got := w.get("tab", `{"p":{"S":"1"}}`); got != "none" {
		t.Errorf("new table holds %s", got)
	}
	if first := slices.Max(w.host.removed); first >= (*w.live.Load())["tab"].slots[0].group {
		t.Errorf("group %d is used again", first)
	}
	if got := w.get("keep", `{"p":{"S":"1"}}`); got == "none" {
		t.Error("an item of the other table is gone")
	}
}

// rows counts the rows of all tables.
func rows(t *testing.T, db *lsm.DB) (n int) {
	lower, _ := partition.TableSpan(0)
	_, upper := partition.TableSpan(^uint32(0))
	it, err := db.NewIter(lsm.IterOptions{Lower: lower, Upper: upper})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	return n
}

func TestDeletionProtection(t *testing.T) {
	w := newWorld(t)
	d := simple("tab", 1)
	d.DeletionProtection = true
	w.create(d)
	_, err := w.Delete("tab")
	checkError(t, "Delete", err, "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
	off := false
	if u, err := w.Update(UpdateTableRequest{Table: "tab", DeletionProtection: &off}); err != nil || u.DeletionProtection {
		t.Fatalf("Update = %+v, %v", u, err)
	}
	if _, err := w.Delete("tab"); err != nil {
		t.Errorf("Delete without protection: %v", err)
	}
}

// TestInterruptedCreate crashes a creation after each of its proposals. After
// the restart the table is there as a whole, or not at all.
func TestInterruptedCreate(t *testing.T) {
	for step := 1; ; step++ {
		w := newWorld(t)
		w.host.failFrom = step
		_, err := w.Create(simple("tab", 2))
		if err == nil {
			if step < 4 {
				t.Errorf("Create needed %d proposals only", step-1)
			}
			return
		}
		if !errors.Is(err, errFake) {
			t.Fatalf("step %d: error %v, want that of the log", step, err)
		}
		w.open()
		d, err := w.Describe("tab")
		if step == 1 {
			checkError(t, "Describe", err, "Requested resource not found: Table: tab not found")
			continue
		}
		if err != nil || d.Status != StatusActive {
			t.Fatalf("step %d: Describe = %+v, %v, want an active table", step, d, err)
		}
		w.put("tab", `{"p":{"S":"a"}}`)
	}
}

// TestInterruptedDelete does the same to deletions.
func TestInterruptedDelete(t *testing.T) {
	for step := 1; ; step++ {
		w := newWorld(t)
		w.create(simple("tab", 2))
		w.put("tab", `{"p":{"S":"a"}}`)
		w.host.failFrom = w.host.proposed + step
		_, err := w.Delete("tab")
		if err == nil {
			if step != 6 { // two for the groups
				t.Errorf("Delete needed %d proposals, want 5", step-1)
			}
			return
		}
		w.open()
		_, err = w.Describe("tab")
		if step == 1 {
			if err != nil || w.get("tab", `{"p":{"S":"a"}}`) == "none" {
				t.Errorf("step 1: Describe error %v, want the table as it was", err)
			}
			continue
		}
		checkError(t, fmt.Sprint("step ", step), err, "Requested resource not found: Table: tab not found")
		if n := rows(t, w.db); n != 0 {
			t.Errorf("step %d: %d rows are left", step, n)
		}
	}
}

// TestFailedCreateIsClearedAway: a creation that failed without a crash does
// not stand in the way of the next one.
func TestFailedCreateIsClearedAway(t *testing.T) {
	for step := 1; step <= 4; step++ {
		w := newWorld(t)
		w.host.failFrom = step
		if _, err := w.Create(simple("tab", 2)); err == nil {
			t.Fatalf("step %d: Create did not fail", step)
		}
		if _, err := w.Put(&PutRequest{Table: "tab", Item: js(`{"p":{"S":"a"}}`)}); err == nil {
			t.Errorf("step %d: the half-made table takes items", step)
		}
		w.host.failFrom = 0
		w.create(simple("tab", 2))
		w.put("tab", `{"p":{"S":"a"}}`)
	}
}

func TestRestart(t *testing.T) {
	w := newWorld(t)
	w.create(simple("one", 1))
	w.create(simple("many", 5))
	for i := range 50 {
		w.put("one", fmt.Sprintf(`{"p":{"S":"%d"},"v":{"N":"%d"}}`, i, i))
		w.put("many", fmt.Sprintf(`{"p":{"S":"%d"},"v":{"N":"%d"}}`, i, i))
	}
	before := w.clock.Last()
	w.restart()
	if w.clock.Last() < before {
		t.Errorf("the clock starts at %v, behind %v which is in the store", w.clock.Last(), before)
	}
	for _, table := range []string{"one", "many"} {
		for i := range 50 {
			want := fmt.Sprintf(`{"p":{"S":"%d"},"v":{"N":"%d"}}`, i, i)
			if got := w.get(table, fmt.Sprintf(`{"p":{"S":"%d"}}`, i)); got != want {
				t.Errorf("%s: get = %s, want %s", table, got, want)
			}
		}
		if d, _ := w.Describe(table); d.ItemCount != 50 || d.SizeBytes != 50*100+(1+1+1+1)+9*(1+1+1+2)+40*(1+2+1+2) {
			t.Errorf("%s: ItemCount %d, SizeBytes %d", table, d.ItemCount, d.SizeBytes)
		}
	}
}

// TestManyTables: all tables and the catalog are started again.
func TestManyTables(t *testing.T) {
	w := newWorld(t)
	for i := range 300 {
		w.create(simple(fmt.Sprint("tab", i), 1))
	}
	w.restart()
	if n := len(*w.live.Load()); n != 300 {
		t.Errorf("%d tables live, want 300", n)
	}
	if n := len(w.host.groups); n != 301 {
		t.Errorf("%d groups run, want 301", n)
	}
}

// TestDamagedTable: a table whose partition cannot be opened says so at every
// use; the others work, and it can be deleted.
func TestDamagedTable(t *testing.T) {
	w := newWorld(t)
	w.create(simple("good", 1))
	w.create(simple("bad", 3))
	w.put("good", `{"p":{"S":"a"}}`)
	lower, _ := partition.GroupSpan((*w.live.Load())["bad"].slots[1].group)
	b := w.db.NewBatch()
	b.Set(lower, []byte("junk"))
	if err := w.db.Apply(b); err != nil {
		t.Fatal(err)
	}
	w.restart()
	if got := w.get("good", `{"p":{"S":"a"}}`); got == "none" {
		t.Error("the item of the good table is gone")
	}
	if _, err := w.Put(&PutRequest{Table: "bad", Item: js(`{"p":{"S":"a"}}`)}); !errors.Is(err, partition.ErrFormat) {
		t.Errorf("Put into the damaged table: %v, want ErrFormat", err)
	}
	if _, err := w.Describe("bad"); err != nil {
		t.Errorf("Describe of the damaged table: %v", err)
	}
	if _, err := w.Update(UpdateTableRequest{Table: "bad", TableClass: "STANDARD"}); err != nil {
		t.Errorf("Update of the damaged table: %v", err)
	}
	if _, err := w.Scan(&ScanRequest{Table: "bad"}); !errors.Is(err, partition.ErrFormat) {
		t.Errorf("Scan of the damaged table: %v, want ErrFormat", err)
	}
	if _, err := w.Delete("bad"); err != nil {
		t.Errorf("Delete of the damaged table: %v", err)
	}
	w.create(simple("bad", 3))
	w.put("bad", `{"p":{"S":"a"}}`)
}

// TestOrphans: a group without a table is removed at the start, all others stay.
func TestOrphans(t *testing.T) {
	w := newWorld(t)
	w.create(simple("tab", 2))
	w.prepare = func(h *fakeHost) { h.groups[99] = &fakeGroup{host: h} }
	w.restart()
	if want := []uint64{99}; !slices.Equal(w.host.removed, want) {
		t.Errorf("removed groups %v, want %v", w.host.removed, want)
	}
	w.put("tab", `{"p":{"S":"a"}}`)
}

func TestClosed(t *testing.T) {
	w := newWorld(t)
	w.create(simple("tab", 1))
	w.Close()
	_, err := w.Get(&GetRequest{Table: "tab", Key: js(`{"p":{"S":"a"}}`)})
	if !errors.Is(err, ErrClosed) {
		t.Errorf("Get after Close: %v", err)
	}
	if _, err := w.Create(simple("tab2", 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Create after Close: %v", err)
	}
	if _, err := w.Describe("tab"); !errors.Is(err, ErrClosed) {
		t.Errorf("Describe after Close: %v", err)
	}
	if _, _, err := w.List("", 0); !errors.Is(err, ErrClosed) {
		t.Errorf("List after Close: %v", err)
	}
	if _, err := w.Delete("tab"); !errors.Is(err, ErrClosed) {
		t.Errorf("Delete after Close: %v", err)
	}
	if _, err := w.Update(UpdateTableRequest{Table: "tab", TableClass: "STANDARD"}); !errors.Is(err, ErrClosed) {
		t.Errorf("Update after Close: %v", err)
	}
}

func TestUpdateTableRefusals(t *testing.T) {
	w := newWorld(t)
	w.create(simple("demand", 1))
	w.create(Definition{Name: "tab", Attributes: attributes("p", "S", "s", "S", "x", "S"), Keys: keys("p", "s"), Throughput: &Throughput{5, 6},
		LocalIndexes: []IndexDefinition{{Name: "loc", Keys: keys("p", "x"), Projection: all()}},
		GlobalIndexes: []IndexDefinition{
			{Name: "g1", Keys: keys("x"), Projection: all(), Throughput: &Throughput{1, 1}},
			{Name: "g2", Keys: keys("s"), Projection: all(), Throughput: &Throughput{1, 1}},
		}})
	w.create(Definition{Name: "tab2", Attributes: attributes("p", "S", "x", "S"), Keys: keys("p"),
		GlobalIndexes: []IndexDefinition{{Name: "g1", Keys: keys("x"), Projection: all()}, {Name: "g2", Keys: keys("x"), Projection: all()}}})
	five := &Throughput{5, 6}
	for _, c := range []struct {
		name string
		u    UpdateTableRequest
		want string
	}{
		{"nothing", UpdateTableRequest{Table: "tab"},
			"At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required"},
		{"others", UpdateTableRequest{Table: "nope", Others: []string{"StreamSpecification", "ReplicaUpdates"}},
			"UpdateTable with StreamSpecification, ReplicaUpdates is not built yet"},
		{"missing table", UpdateTableRequest{Table: "nope", Throughput: five}, "Requested resource not found: Table: nope not found"},
		{"bounds", UpdateTableRequest{Table: "tab", Throughput: &Throughput{1, 1_000_000_000_001}},
			"Given value 1000000000001 for WriteCapacityUnits is out of bounds"},
		{"index bounds", UpdateTableRequest{Table: "tab", GlobalIndexThroughput: []IndexThroughput{{Name: "g1", Throughput: &Throughput{1_000_000_000_001, 1}}}},
			"Given value 1000000000001 for ReadCapacityUnits is out of bounds for index g1"},
		{"unchanged", UpdateTableRequest{Table: "tab", Throughput: five},
			"The provisioned throughput for the table will not change. The requested value equals the current value. " +
				"Current ReadCapacityUnits provisioned for the table: 5. Requested ReadCapacityUnits: 5. " +
				"Current WriteCapacityUnits provisioned for the table: 6. Requested WriteCapacityUnits: 6. " +
				"Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."},
		{"index twice", UpdateTableRequest{Table: "tab", GlobalIndexThroughput: []IndexThroughput{{Name: "g1", Throughput: five}, {Name: "g1", Throughput: five}}},
			invalidPrefix + "Only one global secondary index update per index is allowed simultaneously. Index: g1"},
		{"missing index", UpdateTableRequest{Table: "tab", GlobalIndexThroughput: []IndexThroughput{{Name: "g9", Throughput: five}}}, "Requested resource not found"},
		{"index without rates", UpdateTableRequest{Table: "tab", GlobalIndexThroughput: []IndexThroughput{{Name: "g1"}}},
			invalidPrefix + "ProvisionedThroughput must be specified for index: g1"},
		{"local index", UpdateTableRequest{Table: "tab", GlobalIndexThroughput: []IndexThroughput{{Name: "loc", Throughput: five}}},
			invalidPrefix + "The local secondary index loc has no throughput of its own"},
		{"units with on-demand", UpdateTableRequest{Table: "tab", BillingMode: BillingOnDemand, Throughput: five},
			invalidPrefix + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"},
		{"units of on-demand", UpdateTableRequest{Table: "demand", Throughput: five},
			invalidPrefix + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"},
		{"provisioned without units", UpdateTableRequest{Table: "demand", BillingMode: BillingProvisioned},
			invalidPrefix + "ProvisionedThroughput must be specified when BillingMode is PROVISIONED"},
		{"provisioned without index units", UpdateTableRequest{Table: "tab2", BillingMode: BillingProvisioned, Throughput: five},
			invalidPrefix + "ProvisionedThroughput must be specified for index: g1,g2"},
		{"provisioned again without units", UpdateTableRequest{Table: "tab", BillingMode: BillingProvisioned},
			invalidPrefix + "ProvisionedThroughput must be specified when BillingMode is PROVISIONED"},
		{"index units of on-demand", UpdateTableRequest{Table: "tab2", GlobalIndexThroughput: []IndexThroughput{{Name: "g1", Throughput: five}}},
			invalidPrefix + "ProvisionedThroughput should not be specified for index: g1 when BillingMode is PAY_PER_REQUEST"},
		{"on-demand twice", UpdateTableRequest{Table: "demand", BillingMode: BillingOnDemand}, ""},
	} {
		_, err := w.Update(c.u)
		checkError(t, c.name, err, c.want)
	}
}

func TestUpdateThroughput(t *testing.T) {
	w := newWorld(t)
	w.create(Definition{Name: "tab", Attributes: attributes("p", "S"), Keys: keys("p"), Throughput: &Throughput{10, 10},
		GlobalIndexes: []IndexDefinition{{Name: "g", Keys: keys("p"), Projection: all(), Throughput: &Throughput{1, 1}}}})
	u, err := w.Update(UpdateTableRequest{Table: "tab", Throughput: &Throughput{20, 5},
		GlobalIndexThroughput: []IndexThroughput{{Name: "g", Throughput: &Throughput{7, 8}}}})
	if err != nil || u.Status != StatusUpdating || *u.Throughput != (Throughput{10, 10}) || *u.GlobalIndexes[0].Throughput != (Throughput{1, 1}) {
		t.Fatalf("Update answers with %+v, %v, want UPDATING and the old values", u, err)
	}
	d, _ := w.Describe("tab")
	if d.Status != StatusActive || *d.Throughput != (Throughput{20, 5}) || *d.GlobalIndexes[0].Throughput != (Throughput{7, 8}) ||
		d.LastIncrease == 0 || d.LastDecrease == 0 || d.Decreases != 1 {
		t.Errorf("Describe = %+v, want the new values", d)
	}
	if c := d.GlobalIndexChanges[0]; c.LastIncrease != d.LastIncrease || c.LastDecrease != 0 || c.Decreases != 0 {
		t.Errorf("the index's changes are %+v, want an increase", c)
	}
	for units := int64(4); units > 1; units-- {
		if _, err := w.Update(UpdateTableRequest{Table: "tab", Throughput: &Throughput{20, units}}); err != nil {
			t.Fatalf("decrease to %d: %v", units, err)
		}
	}
	var limit *LimitError
	if _, err := w.Update(UpdateTableRequest{Table: "tab", Throughput: &Throughput{20, 1}}); !errors.As(err, &limit) {
		t.Errorf("fifth decrease: %v, want a LimitError", err)
	}

	index := func(units int64) UpdateTableRequest {
		return UpdateTableRequest{Table: "tab", GlobalIndexThroughput: []IndexThroughput{{Name: "g", Throughput: &Throughput{units, 8}}}}
	}
	for units := int64(6); units > 2; units-- {
		if _, err := w.Update(index(units)); err != nil {
			t.Fatalf("decrease of the index to %d: %v", units, err)
		}
	}
	if _, err := w.Update(index(2)); !errors.As(err, &limit) {
		t.Errorf("fifth decrease of the index: %v, want a LimitError", err)
	}
	w.restart()
	u, err = w.Update(index(5))
	if err != nil || u.GlobalIndexes[0].Throughput.Read != 3 || u.GlobalIndexChanges[0].Decreases != 4 {
		t.Errorf("increase of the index answers with %+v, %v, want what was before", u, err)
	}

	u, err = w.Update(UpdateTableRequest{Table: "tab", BillingMode: BillingOnDemand})
	if err != nil || *u.Throughput != (Throughput{}) || u.BillingMode != BillingOnDemand || u.BillingModeOnDemandSince != 0 {
		t.Errorf("Update to on-demand answers with %+v, %v", u, err)
	}
	_, err = w.Update(UpdateTableRequest{Table: "tab", BillingMode: BillingProvisioned, Throughput: &Throughput{3, 4},
		GlobalIndexThroughput: []IndexThroughput{{Name: "g", Throughput: &Throughput{5, 6}}}})
	d, _ = w.Describe("tab")
	if err != nil || *d.Throughput != (Throughput{3, 4}) || *d.GlobalIndexes[0].Throughput != (Throughput{5, 6}) || d.BillingMode != BillingProvisioned {
		t.Errorf("back to provisioned: %+v, %v", d, err)
	}
}

// TestUpdateRates: caps that a change does not name stay until the table is
// provisioned; what is warm never cools.
func TestUpdateRates(t *testing.T) {
	w := newWorld(t)
	d := simple("tab", 1)
	d.Attributes = attributes("p", "S", "x", "S")
	d.GlobalIndexes = []IndexDefinition{{Name: "g", Keys: keys("x"), Projection: all()}}
	d.OnDemand = &OnDemandThroughput{MaxRead: 10}
	w.create(d)
	const caps = invalidPrefix + "OnDemandThroughput can only be specified when BillingMode is PAY_PER_REQUEST"
	const cold = invalidPrefix + "Requested ReadUnitsPerSecond for WarmThroughput for table is lower than current WarmThroughput, decreasing WarmThroughput is not supported"
	index := func(x IndexThroughput) []IndexThroughput { x.Name = "g"; return []IndexThroughput{x} }
	for _, c := range []struct {
		name       string
		u          UpdateTableRequest
		want       string
		caps, warm string
	}{
		{"write cap", UpdateTableRequest{OnDemand: &OnDemandThroughput{MaxWrite: 7}}, "", "{10 7}", "{12000 4000}"},
		{"something else", UpdateTableRequest{TableClass: "STANDARD"}, "", "{10 7}", "{12000 4000}"},
		{"index cap", UpdateTableRequest{GlobalIndexThroughput: index(IndexThroughput{OnDemand: &OnDemandThroughput{MaxRead: 1}})}, "", "{10 7}", "{12000 4000}"},
		{"warmer", UpdateTableRequest{WarmThroughput: &Throughput{Read: 13000}}, "", "{10 7}", "{13000 4000}"},
		{"warmer writes", UpdateTableRequest{WarmThroughput: &Throughput{Write: 4001}}, "", "{10 7}", "{13000 4001}"},
		{"colder", UpdateTableRequest{WarmThroughput: &Throughput{Read: 12999}}, cold, "{10 7}", "{13000 4001}"},
		{"caps and provisioned", UpdateTableRequest{BillingMode: BillingProvisioned, Throughput: &Throughput{1, 1}, OnDemand: &OnDemandThroughput{MaxRead: 1},
			GlobalIndexThroughput: index(IndexThroughput{Throughput: &Throughput{1, 1}})}, caps, "{10 7}", "{13000 4001}"},
		{"provisioned", UpdateTableRequest{BillingMode: BillingProvisioned, Throughput: &Throughput{1, 1},
			GlobalIndexThroughput: index(IndexThroughput{Throughput: &Throughput{1, 1}})}, "", "<nil>", "{13000 4001}"},
		{"caps of provisioned", UpdateTableRequest{OnDemand: &OnDemandThroughput{MaxRead: 1}}, caps, "<nil>", "{13000 4001}"},
	} {
		c.u.Table = "tab"
		_, err := w.Update(c.u)
		checkError(t, c.name, err, c.want)
		d, _ := w.Describe("tab")
		gotCaps := "<nil>"
		if d.OnDemand != nil {
			gotCaps = fmt.Sprint(*d.OnDemand)
		}
		if warm := fmt.Sprint(d.Warm()); gotCaps != c.caps || warm != c.warm {
			t.Errorf("%s: caps %s, warm %s, want %s and %s", c.name, gotCaps, warm, c.caps, c.warm)
		}
	}
}

// TestDecreaseLimit: four decreases on a UTC day are free, then one per hour;
// the next day begins anew.
func TestDecreaseLimit(t *testing.T) {
	const hour = 3600 * 1_000_000_000
	r := &record{def: Definition{Throughput: &Throughput{100, 100}}}
	start := env.Time(20_000 * dayNanos)
	for i, c := range []struct {
		at env.Time
		ok bool
	}{
		{start, true}, {start + 1, true}, {start + 2, true}, {start + 3, true}, {start + 4, false},
		{start + hour + 2, false}, {start + hour + 3, true}, {start + hour + 4, false}, {start + 2*hour + 3, true},
		{start + dayNanos, true}, {start + dayNanos + 1, true},
	} {
		err := r.changeThroughput(Throughput{r.def.Throughput.Read - 1, 100}, c.at)
		if (err == nil) != c.ok {
			t.Errorf("decrease %d: %v, want allowed = %v", i, err, c.ok)
		}
	}
}
