package table

import (
	"fmt"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
)

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
	text := func(i int) string { return fmt.Sprintf(`{"p":{"S":"k%d"},"v":{"N":"%d"}}`, i, i) }
	sick.hung = true
	began := b.w.Now()
	sick.do("writes", func() error {
		g := env.NewGroup(sick.e)
		for i := range 30 {
			g.Go("put", func() error {
				sick.e.Sleep(time.Duration(i) * 100 * time.Millisecond)
				began := sick.e.Now()
				_, err := sick.Put(&PutRequest{Table: "tab", Item: js(text(i))})
				if took := sick.e.Now().Sub(began); took > 3*time.Second {
					t.Errorf("put %d took %s", i, took)
				}
				return err
			})
		}
		return g.Wait()
	})
	for i := range 30 {
		before := b.w.Now()
		if got := sick.get("tab", fmt.Sprintf(`{"p":{"S":"k%d"}}`, i), true); got != text(i) {
			t.Errorf("the node reads %s, want %s", got, text(i))
		}
		if took := b.w.Now().Sub(before); took > time.Second {
			t.Errorf("get %d took %s", i, took)
		}
	}
	t.Logf("all written and read %s after the disk hung", b.w.Now().Sub(began))
	sick.hung = false
	b.run(5 * time.Second)
	b.checkReplicas()
}
