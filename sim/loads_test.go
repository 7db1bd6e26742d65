package sim

import (
	"errors"
	"testing"
	"time"
)

// Who asks for loads by name gets these, and nothing else.
func TestWorkload(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		for _, l := range Loads() {
			p := NewPlan(5, Options{Nodes: nodes, Duration: 4 * time.Second, Calm: true, Workload: []string{l.Name}})
			if err := p.check(); err != nil {
				t.Errorf("%s: %v", l.Name, err)
			}
			has := map[string]bool{"tables": len(p.Churn) > 0, "expiry": len(p.Expiry) > 0, "grammar": len(p.Grammar) > 0, engineLoad: len(p.Engine) > 0}
			for i := range p.Clients {
				for _, o := range p.Clients[i].Ops {
					load := map[string]string{"add": "counters", "query": "queries", "scan": "queries", "batch": "batches", "index": "indexes"}[o.Do]
					if load == "" {
						load = "items"
					}
					has[load] = true
				}
			}
			for i := range p.Transactors {
				for _, x := range p.Transactors[i].Ops {
					if x.Do == sweep { // of everything, for the sake of registers
						has["registers"] = true
						continue
					}
					load := map[string]string{"a": "accounts", "d": "pairs", "l": "lists", "g": "registers", "o": "once"}[x.Keys[0][:1]]
					has[load] = true
				}
			}
			if l.Name == transactionsLoad {
				if !has["accounts"] && !has["pairs"] && !has["lists"] && !has["registers"] && !has["once"] {
					t.Errorf("%d nodes: transactions: %v", nodes, has)
				}
				continue
			}
			for name, is := range has {
				if is != (name == l.Name) {
					t.Errorf("%d nodes: of %s there is %s: %v", nodes, l.Name, name, is)
				}
			}
			if !has[l.Name] {
				t.Errorf("%d nodes: of %s there is nothing", nodes, l.Name)
			}
		}
	}
	if err := CheckLoads([]string{"items", "floods"}); err == nil {
		t.Error("floods are no load")
	}
}

// All loads at a time, in a cluster without faults: everything comes to an answer, and all is
// as it should be in the end.
func TestLoadsInCluster(t *testing.T) {
	p := NewPlan(11, Options{Nodes: 3, Duration: 4 * time.Second, Calm: true, Workload: []string{
		"items", "queries", "indexes", "tables", "expiry", "grammar"}})
	p.Knobs.Partitions = 1
	r := RunPlan(p, Options{})
	if r.Err != nil || r.History.Count(Unknown) > 0 {
		t.Errorf("%v\n%s", r.Err, r)
	}
}

// What an index shows must have been written, to that item, and be what was asked for.
func TestIndexEntriesAreJudged(t *testing.T) {
	r := &run{}
	h := &r.history
	o := &Operation{Client: 1, Key: "p0/s0", Kind: Put, Value: "c1.1", Count: 2}
	h.Begin(o)
	h.End(o, Done, &State{})
	for _, c := range []struct {
		index string
		row   State
		wrong bool
	}{
		{"byCount", State{true, "c1.1", 2}, false},
		{"byCount", State{true, "c1.1", 3}, true}, // it was asked for 2
		{"byValue", State{true, "c1.1", 0}, false},
		{"byValue", State{true, "c9.9", 0}, true},
	} {
		err := r.seeEntry(&reading{index: c.index, count: 2, value: "c1.1"}, seenRow{"p0/s0", &c.row})
		var f *Finding
		if (err != nil) != c.wrong || err != nil && (!errors.As(err, &f) || f.By != Mirror) {
			t.Errorf("%s shows %s: %v", c.index, c.row, err)
		}
	}
	if err := h.Check(); err != nil {
		t.Errorf("entries that were written: %v", err)
	}
	if err := r.seeEntry(&reading{index: "byCount", count: 7}, seenRow{"p0/s0", &State{true, "c1.7", 7}}); err != nil || h.Check() == nil {
		t.Errorf("an entry that nobody wrote passes: %v", err)
	}
}
