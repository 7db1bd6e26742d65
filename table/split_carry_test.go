package table

import (
	"fmt"
	"testing"
	"time"

	"github.com/statordb/stator/replication"
)

// TestSplitAndOneLeft: a partition is split while a replica is away. The new part begins on the two others; the late one skips the split
// by a snapshot, and has no replica of the part but an empty one. Then one of the two is lost, and the other starts again: what it knows for
// sure is no more than the first state, which nobody could commit anything behind but together with the late one.
func TestSplitAndOneLeft(t *testing.T) {
	b := newBed(t, 11, "a", "b", "c")
	b.keep = 1
	left, late, lost, child := b.splitWithOneAway()
	b.until("the new part has begun", func() bool {
		p := left.directory.partition(child)
		return p != nil && p.exists() && p.Applied() > replication.SeedIndex
	})
	for i := range 20 {
		left.put("tab", splitRow(i)) // and the log goes on
	}
	late.restart()
	isThere := func() bool {
		p := late.directory.partition(child)
		return p != nil && p.exists()
	}
	for late.Service == nil || !isThere() {
		b.run(time.Millisecond)
	}
	if p := late.directory.partition(child); p.Applied() > 0 {
		t.Fatal("the late node has more than an empty replica")
	}
	left.crash()
	lost.crash()
	left.restart()
	for left.Service == nil || left.directory.partition(child) == nil {
		b.run(time.Millisecond)
	}
	if p := left.directory.partition(child); !p.exists() || !p.IsNewborn() {
		t.Fatal("the one that is left has more than the first state")
	}
	b.untilSplitIsWritten(left, late)
	b.w.Close()
}

// TestSplitSkipped: a partition is split while a replica is away, and of the two others one is lost before the new part has
// begun. The one that is left cannot bring the late one to the split by its log any more. It gives it the first state of the part with the
// snapshot, so that both are a majority of it.
func TestSplitSkipped(t *testing.T) {
	b := newBed(t, 11, "a", "b", "c")
	b.keep = 1
	left, late, lost, child := b.splitWithOneAway()
	lost.crash()
	if p := left.directory.partition(child); p != nil && p.exists() && p.Applied() > replication.SeedIndex {
		t.Fatalf("the new part has begun before a node could be lost")
	}
	late.restart()
	b.untilSplitIsWritten(left, late)
	if b.w.Marks()["replication: a snapshot takes first states along"] == 0 {
		t.Error("no snapshot has taken a first state along")
	}
	b.w.Close()
}

func splitRow(i int) string { return fmt.Sprintf(`{"p":{"S":"k%d"}}`, i) }

// splitWithOneAway makes a table of one partition with rows, and splits that while one replica is away. It returns the node that leads it, the one that
// is away, the third, and the new part.
func (b *bed) splitWithOneAway() (left, late, lost *bedNode, child uint64) {
	b.create(simple("tab", 1))
	for i := range 20 {
		b.nodes[i%3].put("tab", splitRow(i))
	}
	in := b.ready()
	group := in.record("tab").slots[0].group
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
	return left, late, lost, b.awaitChild(left, group)
}

// awaitChild waits for a partition to have split, while it is written.
func (b *bed) awaitChild(n *bedNode, group uint64) (child uint64) {
	for i := 20; child == 0; i++ {
		n.put("tab", splitRow(i%20)) // and the log goes on
		for range 20 {
			if children, err := n.directory.partition(group).Children(); err == nil && len(children) == 1 {
				child = children[0].Child
				break
			}
			b.run(time.Millisecond)
		}
	}
	return child
}

// untilSplitIsWritten waits until one node can write all rows again, and has the other read them.
func (b *bed) untilSplitIsWritten(writes, reads *bedNode) {
	b.t.Helper()
	b.until("both parts can be written", func() bool {
		done := true
		writes.do("put", func() error {
			for i := range 20 {
				_, err := writes.Put(&PutRequest{Table: "tab", Item: js(splitRow(i))})
				done = done && err == nil
			}
			return nil
		})
		return done
	})
	for i := range 20 {
		if got := reads.get("tab", splitRow(i), true); got != splitRow(i) {
			b.t.Errorf("%s is read as %s", splitRow(i), got)
		}
	}
}
