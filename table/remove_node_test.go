package table

import (
	"errors"
	"fmt"
	"testing"
)

// TestRemoveNode: a node that the cluster counts on is not removed, as little while it is being drained: not
// before its groups count others as members, too. One that is lost, or empty, is; others are by force.
func TestRemoveNode(t *testing.T) {
	b := newBed(t, 5, "a", "b", "c")
	b.ready()
	refused := func(id uint64) (use *NodeInUseError) {
		t.Helper()
		err := errors.New("nobody is in charge")
		for range 300 {
			if l := b.leader(); l != nil {
				l.do("remove", func() error { err = l.RemoveNode(id); return nil })
			}
			if errors.As(err, &use) {
				break
			}
			b.run(100_000_000)
		}
		if use == nil {
			t.Fatalf("node %d was removed: %v", id, err)
		}
		return use
	}
	if e := refused(3); !e.Catalog || e.Groups != 0 {
		t.Errorf("without tables: %+v", e)
	}
	b.create(simple("tab", 3))
	for i := range 30 {
		b.nodes[0].put("tab", fmt.Sprintf(`{"p":{"S":"k%d"}}`, i))
	}
	b.quiet()
	if e := refused(2); e.Groups != 3 {
		t.Errorf("of 3 partitions: %+v", e)
	}
	b.join("c")
	b.quiet()
	b.inCharge("drain", func(s *Service) error { return s.DrainNode(3) })
	drained, between := false, false
	b.until("node 3 can be removed", func() bool {
		l := b.leader()
		if l == nil {
			return false
		}
		wanted, _ := l.NodeLoad(3)
		drained = b.replicasOf(3) == 0
		done := false
		l.do("remove", func() error {
			err := l.RemoveNode(3)
			done = err == nil
			var use *NodeInUseError
			between = between || wanted == 0 && errors.As(err, &use) && use.Groups > 0
			return nil
		})
		return done
	})
	if !between {
		t.Error("it was never refused because of groups that the catalog has placed elsewhere")
	}
	b.until("node 3 has nothing", func() bool { drained = drained || b.replicasOf(3) == 0; return drained })
	b.quiet()

	b.nodes[1].crash()
	refused(2)
	b.until("node 2 is lost", func() bool { l := b.leader(); return l != nil && l.catalog.snapshot().node(2).state == nodeLost })
	b.inCharge("remove the lost one", func(s *Service) error { return s.RemoveNode(2) })
	refused(4)
	b.inCharge("remove by force", func(s *Service) error { return s.ForgetNode(4) })
}
