package table

import (
	"fmt"
	"testing"
)

// A database that was served alone becomes the first node of a cluster, and keeps its
// tables.
func TestClusterFromLone(t *testing.T) {
	for seed := range uint64(max(1, *chaosSeeds)) {
		testClusterFromLone(t, seed+2)
	}
}

func testClusterFromLone(t *testing.T, seed uint64) {
	b := newBed(t, seed)
	n := b.add(1, "a")
	n.do("life alone", func() error {
		s, err := openStack(n.e, n.disk.Mount())
		if err != nil {
			return err
		}
		if _, err := s.Create(simple("tab", 2)); err != nil {
			return err
		}
		for i := range 20 {
			if _, err := s.Put(&PutRequest{Table: "tab", Item: js(fmt.Sprintf(`{"p":{"S":"k%d"}}`, i))}); err != nil {
				return err
			}
		}
		return s.close()
	})
	n.founders = []Member{{ID: 1, Zone: "a"}}
	n.boot()
	b.ready()
	b.join("b")
	b.join("c")
	b.until("each group has three voters", func() bool {
		done := len(n.directory.hosted()) == 2
		n.do("look", func() error {
			for _, g := range append([]group{n.catalogGroup}, n.directory.hosted()[0].group, n.directory.hosted()[1].group) {
				s, err := g.Status()
				done = done && err == nil && len(s.Members.Voters) == 3
			}
			return nil
		})
		return done
	})
	for i := range 20 {
		key := fmt.Sprintf(`{"p":{"S":"k%d"}}`, i)
		if got := b.nodes[2].get("tab", key, true); got == "" {
			t.Errorf("item %s is gone", key)
		}
	}
	b.w.Close()
}
