package sim

import (
	"strings"
	"testing"
	"time"
)

// Slim worlds are among those that are drawn, and lack nothing that their plans ask for.
func TestSlimWorlds(t *testing.T) {
	slim, ledgers := 0, 0
	for seed := range uint64(100) {
		p := NewPlan(seed, Options{Nodes: 3})
		if err := p.check(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if len(p.Knobs.Lacks) == 0 {
			continue
		}
		slim++
		if len(p.Transactors) > 0 {
			ledgers++
		}
		if p.Knobs.Partitions > 2 {
			t.Errorf("seed %d lacks %v and has %d partitions", seed, p.Knobs.Lacks, p.Knobs.Partitions)
		}
		for _, f := range p.Nemesis {
			if !p.Knobs.hasGlobalIndex() && strings.HasPrefix(f.Target, "index ") {
				t.Errorf("seed %d: a %s of %s, and there is none", seed, f.Kind, f.Target)
			}
		}
		if q := NewPlan(seed, Options{Nodes: 3, Workload: []string{"indexes"}}); len(q.Knobs.Lacks) > 0 {
			t.Errorf("seed %d: indexes were asked for, and %v are not there", seed, q.Knobs.Lacks)
		}
	}
	if slim < 30 || slim > 70 || ledgers < 5 || ledgers > slim/2 {
		t.Errorf("%d of 100 worlds are slim, %d of these have a ledger", slim, ledgers)
	}
}

// A table without global indexes is looked at as any other one is. A plan does not ask for an
// index that it lacks.
func TestLackingIndexes(t *testing.T) {
	p := NewPlan(3, Options{Nodes: 1, Calm: true, Duration: 300 * time.Millisecond})
	p.Knobs.Lacks = []string{"byValue", "byCount"}
	p.Clients = []ClientPlan{{Node: 1, Patience: Duration(time.Second), Ops: []Op{
		{At: 1, Do: "put", Key: hotKey(0), Value: "v1", Count: 3}, {At: 2, Do: "index", Index: "local", Key: "p0"},
	}}}
	if r := RunPlan(p, Options{}); r.Err != nil || r.History.Count(Done) < 2 {
		t.Errorf("%v\n%s", r.Err, r)
	}
	p.Clients[0].Ops[1].Index = "byCount"
	if err := p.check(); err == nil || !strings.Contains(err.Error(), `no index "byCount"`) {
		t.Errorf("a query of an index that is not there: %v", err)
	}
	p.Clients = nil
	p.Knobs.Lacks = []string{"local"}
	if p.check() == nil {
		t.Error("the local index is lacked")
	}
}
