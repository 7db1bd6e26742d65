package table

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
)

// numbered is an item of the tests of bad disks.
func numbered(i int) string { return fmt.Sprintf(`{"p":{"S":"k%d"},"v":{"N":"%d"}}`, i, i) }

// readsSoon has the node read the first of them from table tab, each within a second.
func (n *bedNode) readsSoon(items int) {
	b := n.bed
	b.t.Helper()
	for i := range items {
		began := b.w.Now()
		if got := n.get("tab", fmt.Sprintf(`{"p":{"S":"k%d"}}`, i), true); got != numbered(i) {
			b.t.Errorf("the node reads %s, want %s", got, numbered(i))
		}
		if took := b.w.Now().Sub(began); took > time.Second {
			b.t.Errorf("get %d took %s", i, took)
		}
	}
}

// A node's disk stops taking writes. Those who talk to that node are answered all the
// same, in about two election timeouts and the patience of a call, also if they came
// before it was noticed: others take over what it led, and it asks them.
func TestClientsOfANodeWhoseDiskHangs(t *testing.T) {
	b := newBed(t, 1, "a", "b", "c")
	b.create(simple("tab", 6))
	sick := b.nodes[0]
	b.until("the node leads a partition, and not the catalog", func() bool {
		for _, sick = range b.nodes {
			_, inCharge := sick.Leader()
			if !inCharge && len(sick.directory.list(func(p *livePartition) bool { return p.leads() })) > 0 {
				return true
			}
		}
		return false
	})
	sick.hung = true
	began := b.w.Now()
	sick.do("writes", func() error {
		g := env.NewGroup(sick.e)
		for i := range 30 {
			g.Go("put", func() error {
				sick.e.Sleep(time.Duration(i) * 100 * time.Millisecond)
				began := sick.e.Now()
				_, err := sick.Put(&PutRequest{Table: "tab", Item: js(numbered(i))})
				if took := sick.e.Now().Sub(began); took > 3*time.Second {
					t.Errorf("put %d took %s", i, took)
				}
				return err
			})
		}
		return g.Wait()
	})
	sick.readsSoon(30)
	t.Logf("all written and read %s after the disk hung", b.w.Now().Sub(began))
	sick.hung = false
	b.run(5 * time.Second)
	b.checkReplicas()
}

// The store of the node in charge refuses an entry of the catalog. The node is still a member of the
// group, and has all of its log, but what it has of the catalog grows old: another one takes charge, and
// it denies no table that it does not know of.
func TestCatalogThatIsBroken(t *testing.T) {
	b := newBed(t, 4, "a", "b", "c")
	b.create(simple("tab", 1))
	sick := b.leader()
	sick.do("break", func() error {
		sick.catalog.fail(errors.New("the store refuses it"))
		return nil
	})
	b.until("another node is in charge", func() bool { n := b.leader(); return n != nil && n != sick })
	b.create(simple("new", 1))
	sick.do("tables", func() error {
		var elsewhere *ElsewhereError
		if _, err := sick.Delete("new"); !errors.As(err, &elsewhere) {
			t.Errorf("Delete: %v, want that another node is to do it", err)
		}
		if _, err := sick.Describe("new"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Describe of a table that is new: %v, want %v", err, ErrUnavailable)
		}
		_, err := sick.Get(&GetRequest{Table: "new", Key: js(`{"p":{"S":"k"}}`)})
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("Get from a table that is new: %v, want %v", err, ErrUnavailable)
		}
		return nil
	})
	sick.crash()
	sick.restart()
	b.until("the node is back", func() bool { return sick.Service != nil && sick.Ready() })
	sick.get("new", `{"p":{"S":"k"}}`, true)
}

// The log of a node fails, which is in charge of the catalog and leads partitions. It does
// not hear that others lead by now; but those who talk to it are answered all the same, by these
// others, it does not take itself for in charge any more, and it denies no table.
func TestClientsOfANodeWhoseLogFails(t *testing.T) {
	b := newBed(t, 3, "a", "b", "c")
	b.create(simple("tab", 6))
	sick := b.leader()
	b.until("the node leads a partition, too", func() bool {
		return len(sick.directory.list(func(p *livePartition) bool { return p.leads() })) > 0
	})
	for i := range 20 {
		sick.put("tab", numbered(i))
	}
	sick.sick = true
	sick.do("writes", func() error {
		g := env.NewGroup(sick.e)
		for i := range 20 {
			g.Go("put", func() error {
				began := sick.e.Now()
				_, err := sick.Put(&PutRequest{Table: "tab", Item: js(numbered(i + 10))})
				if took := sick.e.Now().Sub(began); took > 3*time.Second {
					t.Errorf("put %d took %s", i, took)
				}
				return err
			})
		}
		return g.Wait()
	})
	if sick.node.Err() == nil {
		t.Fatal("the log has not failed")
	}
	b.until("another node is in charge", func() bool { n := b.leader(); return n != nil && n != sick })
	sick.readsSoon(30)
	b.run(followPause)
	if _, here := sick.Leader(); here {
		t.Error("the node takes itself for in charge")
	}
	b.create(simple("new", 1))
	sick.do("tables", func() error {
		var elsewhere *ElsewhereError
		_, err := sick.Delete("new")
		if !errors.As(err, &elsewhere) {
			t.Errorf("Delete: %v, want that another node is to do it", err)
		}
		if _, err := sick.Describe("new"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Describe of a table that is new: %v, want %v", err, ErrUnavailable)
		}
		return nil
	})
	b.until("the node knows whom to ask", func() bool { id, _ := sick.Leader(); return id == b.leader().id })
	sick.crash()
	sick.sick = false
	sick.restart()
	b.until("the node is back", func() bool { return sick.Service != nil && sick.Ready() })
	b.run(5 * time.Second)
	b.checkReplicas()
}
