package table

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/txn"
)

// TestDeleteWithTransaction: a transaction over two tables has been accepted everywhere, so its client may have been told
// that it is done, when one of the tables is deleted. The item of the other one is written all the same, whether
// the coordinator lives or not, and whichever table has the anchor.
func TestDeleteWithTransaction(t *testing.T) {
	for _, steps := range []int{1, 2} { // all have accepted; that is recorded
		for _, names := range [][]string{{"goes", "stays"}, {"stays", "goes"}} {
			w := newWorld(t)
			w.options.TransactionPatience = 20 * time.Millisecond
			w.restart()
			for _, name := range names {
				w.create(simple(name, 2))
			}
			w.abandon(steps, transactPut("stays", `{"p":{"S":"a"}}`), transactPut("goes", `{"p":{"S":"a"}}`))
			if _, err := w.Delete("goes"); err != nil {
				t.Fatal(err)
			}
			for slices.ContainsFunc((*w.live.Load())["stays"].partitions, func(p *livePartition) bool { return p.Unfinished() }) {
				w.env.Sleep(time.Millisecond)
			}
			if got := w.get("stays", `{"p":{"S":"a"}}`); got == "none" {
				t.Errorf("%v, %d steps: the item of the table that stays is not there", names, steps)
			}
		}
	}
}

// TestDeleteWhileFull: so it is if the disk of a node that is alone is full for a moment, whatever it was about to write then.
func TestDeleteWhileFull(t *testing.T) {
	for step := range 20 {
		w := newWorld(t)
		w.options.TransactionPatience = 20 * time.Millisecond
		w.restart()
		w.create(simple("stays", 1))
		w.create(simple("goes", 1))
		w.abandon(1, transactPut("stays", `{"p":{"S":"a"}}`), transactPut("goes", `{"p":{"S":"a"}}`))
		w.host.failWith = fmt.Errorf("log: %w", vfs.ErrNoSpace)
		w.host.failFrom = w.host.proposed + 1 + step
		w.host.failTo = w.host.failFrom
		var gone *NotFoundError
		for range 3 {
			if _, err := w.Delete("goes"); err == nil || errors.As(err, &gone) {
				break
			} else if !errors.Is(err, vfs.ErrNoSpace) {
				t.Fatal(err)
			}
		}
		if got := w.get("stays", `{"p":{"S":"a"}}`); got == "none" {
			t.Errorf("no room for proposal %d: the item of the table that stays is not there", 1+step)
		}
	}
}

// TestDeleteInCluster: the same with three nodes. Those that the deletion waits for are found by the leaders of the groups; if that takes
// too long, the node in charge goes on with it after it has answered, also when all nodes lose power meanwhile.
func TestDeleteInCluster(t *testing.T) {
	for _, outage := range []bool{false, true} {
		for _, names := range [][]string{{"goes", "stays"}, {"stays", "goes"}} {
			b := newBed(t, 7, "a", "b", "c")
			for _, name := range names {
				b.create(simple(name, 2))
			}
			b.nodes[1].do("begin", func() error {
				r := &TransactWriteRequest{Actions: []TransactAction{transactPut("stays", `{"p":{"S":"a"}}`), transactPut("goes", `{"p":{"S":"a"}}`)}}
				x, _, err := abandon(b.nodes[1].Service, 1, r)
				if err != nil {
					return err
				}
				if x.machine.Outcome() != txn.Committed {
					t.Fatalf("the transaction is %v", x.machine.Outcome())
				}
				return nil
			})
			b.inCharge("delete", func(s *Service) error {
				_, err := s.Delete("goes")
				return err
			})
			if outage {
				b.outage()
			}
			b.until("the table is gone everywhere", func() bool {
				for _, n := range b.nodes {
					for _, r := range n.catalog.snapshot().records() {
						if r.def.Name == "goes" {
							return false
						}
					}
					if len(n.directory.hosted()) != 2 {
						return false
					}
				}
				return true
			})
			for _, n := range b.nodes {
				if got := n.get("stays", `{"p":{"S":"a"}}`, true); got == "none" {
					t.Errorf("%v, outage %v: the item of the table that stays is not there", names, outage)
				}
			}
			b.w.Close()
		}
	}
}

// TestDeleteChangesHands: a table that a transaction needs is given up by a node that was in charge for long enough without a break. That
// it was in charge before, and began to delete the table then, does not count.
func TestDeleteChangesHands(t *testing.T) {
	b := newBed(t, 11, "a", "b", "c")
	const lostAfter = 10 * time.Second
	for _, n := range b.nodes {
		n.tune = func(o *Options) {
			o.Patience, o.LostAfter, o.TransactionPatience = time.Second, lostAfter, time.Hour // the transaction does not end
		}
	}
	b.create(simple("goes", 2))
	b.nodes[1].do("begin", func() error {
		r := &TransactWriteRequest{}
		for i := range 5 {
			r.Actions = append(r.Actions, transactPut("goes", fmt.Sprintf(`{"p":{"S":"k%d"}}`, i)))
		}
		x, _, err := abandon(b.nodes[1].Service, 1, r)
		if err == nil && len(x.parts) < 2 {
			t.Fatalf("%d participants", len(x.parts))
		}
		return err
	})
	b.inCharge("delete", func(s *Service) error {
		_, err := s.Delete("goes")
		return err
	})
	isThere := func() bool { return len(b.ready().catalog.snapshot().records()) > 0 }
	for range 5 {
		was := b.ready()
		b.run(lostAfter / 2)
		was.do("give the catalog away", func() error { was.giveAway(heldGroup{catalogGroup, was.catalogGroup}); return nil })
		b.until("another node is in charge", func() bool { n := b.leader(); return n != nil && n != was })
		if !isThere() {
			t.Fatal("the table is given up too early")
		}
	}
	b.run(lostAfter * 3 / 2)
	if isThere() {
		t.Error("the table is not given up")
	}
}
