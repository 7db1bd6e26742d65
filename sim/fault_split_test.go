package sim

import (
	"testing"
	"time"

	"github.com/statordb/stator/partition"
)

// Partitions of the table, of an index and of the ledger split while clients are at work and a
// node is away, by hand and by themselves.
func TestSplits(t *testing.T) {
	p := NewPlan(24, Options{Nodes: 3, Calm: true, Duration: 4 * time.Second})
	p.Knobs.Partitions, p.Knobs.SplitBytes = 1, 2<<10
	if len(p.Transactors) == 0 {
		t.Fatal("the plan has no transactors")
	}
	at := func(d time.Duration, target string, n int) {
		p.Nemesis = append(p.Nemesis, Fault{At: Duration(d), Kind: splitKind, Target: target, N: n, For: Duration(splitPatience)})
	}
	at(time.Second, "group 2", 0)
	at(time.Second, "index 1", splitSteps/2)
	at(1500*time.Millisecond, "ledger 1", splitSteps/2)
	at(2500*time.Millisecond, "group 3", splitSteps/3)
	p.Nemesis = append(p.Nemesis, Fault{At: Duration(2510 * time.Millisecond), Kind: "crash", Target: "leader of group 2", For: Duration(200 * time.Millisecond)})
	r := RunPlan(p, Options{})
	if r.Err != nil {
		t.Fatalf("%v\n%s", r.Err, r)
	}
	if r.Faults[splitKind] < 3 || r.Faults[ownSplits] == 0 {
		t.Errorf("faults: %v", r.Faults)
	}
}

// A write that a partition refuses because it has given the key away has not happened yet: its
// place in the order of commits is where the other partition applies it.
func TestRefusedBySplitIsNotApplied(t *testing.T) {
	h := &History{replicated: true}
	o := &Operation{Client: 1, Key: "p0/s0", Kind: Put, Value: "c1.1", Count: 1}
	h.Begin(o)
	command := (&partition.Command{Kind: partition.Put, Request: partition.RequestID{Node: 1, Number: 1}, Item: row(o.Key, o)}).Encode()
	h.Applied(2, command, &partition.Result{Err: &partition.WrongPartitionError{}})
	if len(h.commits) > 0 || o.Return != 0 || len(h.groupOf) > 0 {
		t.Fatalf("after a refusal: commits %v, return %d, groups %v", h.commits, o.Return, h.groupOf)
	}
	h.Applied(3, command, &partition.Result{})
	if len(h.commits[o.Key]) != 1 || h.groupOf[o.Key] != 3 {
		t.Errorf("after it was applied: commits %v, groups %v", h.commits, h.groupOf)
	}
	split := (&partition.Command{Kind: partition.SplitOff, Split: &partition.Split{At: 1 << 63, Child: 4, Voters: []uint64{1}}}).Encode()
	h.Applied(3, split, &partition.Result{})
	if len(h.groupOf) > 0 {
		t.Errorf("after a split the history still knows where keys are: %v", h.groupOf)
	}
}
