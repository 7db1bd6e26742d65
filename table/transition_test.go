package table

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestTransitions: what a table shows and refuses while it is being created,
// updated and deleted, and that each state ends.
func TestTransitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, options: Options{TableDelay: 10 * time.Second}}
		w.begin()
		defer func() { w.Close(); w.db.Close() }()
		const inUse = "Attempt to change a resource which is still in use: Table is being "
		off := false
		change := UpdateTableRequest{Table: "tab", Throughput: &Throughput{7, 8}}
		def := Definition{Name: "tab", Attributes: attributes("p", "S"), Keys: keys("p"), Throughput: &Throughput{1, 2},
			GlobalIndexes: []IndexDefinition{{Name: "g", Keys: keys("p"), Projection: all(), Throughput: &Throughput{1, 1}}}}
		// states shows what everyone sees: Describe, List, a Get, and what changes answer.
		states := func(when, want string) {
			t.Helper()
			got := "none"
			if d, err := w.Describe("tab"); err == nil {
				got = fmt.Sprint(d.Status, *d.Throughput, d.GlobalIndexStatus)
			}
			names, _, _ := w.List("", 0)
			_, err := w.Get(&GetRequest{Table: "tab", Key: js(`{"p":{"S":"a"}}`)})
			if got := fmt.Sprint(got, " listed ", len(names) > 0, " found ", err == nil); got != want {
				t.Errorf("%s: %s, want %s", when, got, want)
			}
		}
		refused := func(state string) {
			t.Helper()
			_, err := w.Delete("tab")
			checkError(t, "Delete", err, inUse+state+": tab")
			_, err = w.Update(change)
			checkError(t, "Update", err, inUse+state+": tab")
			_, err = w.Create(def)
			checkError(t, "Create", err, "Table already exists: tab")
			if !errors.As(err, new(*InUseError)) {
				t.Errorf("Create: %T", err)
			}
		}
		w.create(def)
		states("new", "CREATING{1 2} [CREATING] listed true found false")
		refused("created")
		time.Sleep(10 * time.Second)
		states("made", "ACTIVE{1 2} [ACTIVE] listed true found true")
		if w.transitions.Load() != nil {
			t.Error("a transition that is over is kept")
		}

		if _, err := w.Update(change); err != nil {
			t.Fatal(err)
		}
		states("changing", "UPDATING{1 2} [ACTIVE] listed true found true")
		refused("updated")
		time.Sleep(10 * time.Second)
		states("changed", "ACTIVE{7 8} [ACTIVE] listed true found true")
		if d, err := w.Update(UpdateTableRequest{Table: "tab", DeletionProtection: &off}); err != nil || d.Status != StatusUpdating {
			t.Errorf("Update of the protection = %+v, %v", d, err)
		}
		states("unprotected", "ACTIVE{7 8} [ACTIVE] listed true found true")

		if _, err := w.Delete("tab"); err != nil {
			t.Fatal(err)
		}
		states("going", "DELETING{7 8} [] listed true found false")
		refused("deleted")
		time.Sleep(10 * time.Second)
		states("gone", "none listed false found false")
		w.create(def)
		w.restart()
		states("after a restart", "ACTIVE{1 2} [ACTIVE] listed true found true")
	})
}

// TestDescribeWaits: whoever asks for a table once gets it, if it will soon be there.
func TestDescribeWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, options: Options{TableDelay: patience}}
		w.begin()
		defer func() { w.Close(); w.db.Close() }()
		w.create(simple("tab", 1))
		if d, err := w.Describe("tab"); err != nil || d.Status != StatusActive {
			t.Errorf("Describe = %+v, %v", d, err)
		}
		if _, err := w.Delete("tab"); err != nil {
			t.Fatal(err)
		}
		_, err := w.Describe("tab")
		checkError(t, "Describe", err, "Requested resource not found: Table: tab not found")
	})
}

// TestListWithDeleted: tables that are being deleted take their place in pages.
func TestListWithDeleted(t *testing.T) {
	w := newWorld(t)
	w.options.TableDelay = time.Hour
	for _, name := range []string{"aaa", "bbb", "ccc", "ddd", "eee"} {
		w.create(simple(name, 1))
	}
	w.restart()
	for _, name := range []string{"aaa", "ccc", "eee"} {
		if _, err := w.Delete(name); err != nil {
			t.Fatal(err)
		}
	}
	for limit := 1; limit <= 6; limit++ {
		var all []string
		for last := ""; ; {
			names, next, err := w.List(last, limit)
			if err != nil || len(names) > limit {
				t.Fatalf("List(%q, %d) = %q, %v", last, limit, names, err)
			}
			all = append(all, names...)
			if last = next; last == "" {
				break
			}
		}
		if want := []string{"aaa", "bbb", "ccc", "ddd", "eee"}; !slices.Equal(all, want) {
			t.Errorf("pages of %d give %q, want %q", limit, all, want)
		}
	}
}

// TestFailedCreateShowsNothing: a creation that fails leaves no transition.
func TestFailedCreateShowsNothing(t *testing.T) {
	w := newWorld(t)
	w.options.TableDelay = time.Hour
	w.restart()
	w.host.failFrom = w.host.proposed + 2
	if _, err := w.Create(simple("tab", 1)); err == nil {
		t.Fatal("Create did not fail")
	}
	w.host.failFrom = 0
	w.create(simple("tab", 1))
}
