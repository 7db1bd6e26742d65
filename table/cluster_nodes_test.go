package table

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// join adds a node to a running cluster, as its operator would: it asks for a number,
// then starts under it.
func (b *bed) join(zone string) *bedNode {
	b.t.Helper()
	var m Member
	leader := b.ready()
	leader.do("join", func() (err error) {
		m, err = leader.JoinNode(zone, "somewhere", 1000+uint64(len(b.nodes)))
		return err
	})
	if m.ID != uint64(len(b.nodes)+1) {
		b.t.Fatalf("node %d joins as %+v", len(b.nodes)+1, m)
	}
	n := b.add(m.ID, zone)
	n.boot()
	b.until(fmt.Sprintf("node %d is active", n.id), func() bool {
		l := b.leader()
		return l != nil && l.catalog.snapshot().isActive(n.id) && n.Service != nil && n.Ready()
	})
	return n
}

// inCharge runs an operation at whoever is in charge, until it is done.
func (b *bed) inCharge(what string, f func(s *Service) error) {
	b.t.Helper()
	b.until(what, func() bool {
		n := b.leader()
		if n == nil {
			return false
		}
		done := false
		n.do(what, func() error {
			done = f(n.Service) == nil
			return nil
		})
		return done
	})
}

// replicasOf counts the replicas that nodes have in truth.
func (b *bed) replicasOf(id uint64) int {
	n := b.nodes[id-1]
	if n.Service == nil {
		return 0
	}
	return len(n.directory.hosted())
}

// quiet waits until every group has the members that the catalog wants, and is led by
// the first of them.
func (b *bed) quiet() {
	b.t.Helper()
	b.until("replicas are where they shall be", func() bool {
		for _, n := range b.nodes {
			if n.Service == nil || !n.Ready() {
				continue
			}
			for _, p := range n.directory.list(func(*livePartition) bool { return true }) {
				members := p.slot.replicas.members()
				if (p.group != nil) != slices.Contains(members, n.id) {
					return false
				}
				if p.group != nil && p.group.Leader() != members[0] {
					return false
				}
			}
		}
		return true
	})
}

// TestClusterGrows: one node becomes a cluster of four, gives everything away and
// leaves, while clients write.
func TestClusterGrows(t *testing.T) {
	for seed := range uint64(max(1, *chaosSeeds/3)) {
		testClusterGrows(t, seed)
	}
}

func testClusterGrows(t *testing.T, seed uint64) {
	b := newBed(t, seed, "a")
	b.create(Definition{Name: "tab", Attributes: attributes("p", "S", "x", "S"), Keys: keys("p"), Partitions: 2,
		GlobalIndexes: []IndexDefinition{{Name: "g", Keys: keys("x"), Projection: all()}}})
	first := b.nodes[0]
	for i := range 200 {
		first.put("tab", fmt.Sprintf(`{"p":{"S":"old%d"},"x":{"S":"x%d"}}`, i, i%5))
	}
	var counters []*counterKey
	stop := false
	for i := range 4 {
		k := &counterKey{name: fmt.Sprint("k", i)}
		counters = append(counters, k)
		b.count(k, &stop)
	}
	b.join("b")
	b.join("c")
	b.until("each node has a replica of each group", func() bool {
		return b.replicasOf(1) == 4 && b.replicasOf(2) == 4 && b.replicasOf(3) == 4
	})
	b.quiet()
	b.join("a")
	b.inCharge("drain", func(s *Service) error { return s.DrainNode(1) })
	b.until("node 1 has given everything away", func() bool { return b.replicasOf(1) == 0 })
	b.quiet()
	b.inCharge("remove", func(s *Service) error { return s.RemoveNode(1) })
	b.until("another node is in charge", func() bool { return b.leader() != nil && b.leader().id != 1 })
	first.crash()
	b.nodes = b.nodes[1:]
	b.run(3 * time.Second)
	stop = true
	b.run(time.Second)
	total := 0
	for _, k := range counters {
		total += k.count
		b.countUntilSure(k)
	}
	if total < 100 {
		t.Errorf("seed %d: only %d writes were answered", seed, total)
	}
	b.checkIndex("tab", "g")
	b.checkReplicas()
	if n := len(b.nodes[0].scanAll("tab", "")); n != 204 {
		t.Errorf("seed %d: the table has %d items, want 204", seed, n)
	}
	b.w.Close()
}
