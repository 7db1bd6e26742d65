package table

import (
	"fmt"
	"testing"
	"time"
)

// TestSplitSkipped: a partition is split while a replica is away, and of the two others one is lost before the new part has
// begun. The one that is left cannot bring the late one to the split by its log any more. It gives it the first state of the part with the
// snapshot, so that both are a majority of it.
func TestSplitSkipped(t *testing.T) {
	b := newBed(t, 11, "a", "b", "c")
	b.keep = 1
	b.create(simple("tab", 1))
	row := func(i int) string { return fmt.Sprintf(`{"p":{"S":"k%d"}}`, i) }
	for i := range 20 {
		b.nodes[i%3].put("tab", row(i))
	}
	in := b.ready()
	group := in.record("tab").slots[0].group
	var left, late, lost *bedNode
	b.until("the partition is led", func() bool {
		for i, n := range b.nodes {
			if p := n.directory.partition(group); p != nil && p.leads() {
				left, late, lost = n, b.nodes[(i+1)%3], b.nodes[(i+2)%3]
			}
		}
		return left != nil
	})
	b.inCharge("begin", func(s *Service) error {
		if late.Service == s {
			late, lost = lost, late
		}
		plan, err := s.planSplit(group, 0, true)
		if err == nil {
			late.crash() // while the catalog takes note
			_, err = s.beginSplit(group, plan.At)
		}
		return err
	})
	child := uint64(0)
	for i := 20; child == 0; i++ {
		left.put("tab", row(i%20)) // and the log goes on
		for range 20 {
			if children, err := left.directory.partition(group).Children(); err == nil && len(children) == 1 {
				child = children[0].Child
				break
			}
			b.run(time.Millisecond)
		}
	}
	lost.crash()
	if p := left.directory.partition(child); p != nil && p.exists() && p.Applied() > 0 {
		t.Fatalf("the new part has begun before a node could be lost")
	}
	late.restart()
	b.until("both parts can be written", func() bool {
		done := true
		left.do("put", func() error {
			for i := range 20 {
				_, err := left.Put(&PutRequest{Table: "tab", Item: js(row(i))})
				done = done && err == nil
			}
			return nil
		})
		return done
	})
	for i := range 20 {
		if got := late.get("tab", row(i), true); got != row(i) {
			t.Errorf("%s is read as %s", row(i), got)
		}
	}
	if b.w.Marks()["replication: a snapshot takes first states along"] == 0 {
		t.Error("no snapshot has taken a first state along")
	}
	b.w.Close()
}
