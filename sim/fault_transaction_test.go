package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// transferPlan has one client that moves money between two accounts, over four partitions.
func transferPlan(nemesis ...Fault) *Plan {
	p := ledgerPlan(1, 3, 3*time.Second)
	p.Nemesis, p.Knobs.Partitions = nemesis, 4
	c := TransactorPlan{Node: 1, Patience: Duration(time.Second), Roams: true, Retries: 2}
	for i := range 20 {
		pair := []string{accountKey(i % accounts), accountKey((i + 1) % accounts)}
		c.Ops = append(c.Ops, Transaction{At: Duration(i) * Duration(100*time.Millisecond), Do: "transfer", Keys: pair, Count: 1, Again: []string{"", "same"}[i%2]})
	}
	p.Transactors = []TransactorPlan{c}
	return p
}

// Whoever coordinates a transaction, or takes part in it, dies at each of its steps, and another fault
// follows while its items are taken.
func TestDeadAtEachStep(t *testing.T) {
	for _, kind := range []string{"coordinator crash", coordinatorPause, "participant crash"} {
		for n := 1; n <= 4 && (n <= 2 || !testing.Short()); n++ {
			f := Fault{At: Duration(time.Second), Kind: kind, N: n, For: Duration(6 * time.Second)}
			if n%2 == 0 {
				f.Then = &Fault{Kind: "transfer", Target: "follower of group 3"}
			}
			r := RunPlan(transferPlan(f), Options{})
			if r.Err != nil || r.Faults[kind] == 0 {
				t.Errorf("%s at entry %d: %v, %v", kind, n, r.Faults, r.Err)
			}
		}
	}
}

// The partition that a transaction is at is split between its items, while whoever coordinates it stands still.
func TestTransactionFallsApart(t *testing.T) {
	split := 0
	for n := 1; n <= 3; n++ {
		f := Fault{At: Duration(time.Second), Kind: coordinatorPause, N: n, For: Duration(time.Second),
			Then: &Fault{Kind: splitKind, Target: struckGroup, For: Duration(splitPatience)}}
		r := RunPlan(transferPlan(f), Options{})
		if r.Err != nil || r.Faults[coordinatorPause] == 0 {
			t.Errorf("at entry %d: %v, %v", n, r.Faults, r.Err)
		}
		split += r.Faults[splitKind]
	}
	if split == 0 {
		t.Error("no partition was split")
	}
	for _, tt := range []struct {
		hashes []uint64
		want   uint64
	}{{nil, 0}, {[]uint64{7}, 7}, {[]uint64{3, 7}, 7}, {[]uint64{3, 7, 9}, 7}} {
		s := struck{hashes: tt.hashes}
		if got := s.between(); got != tt.want {
			t.Errorf("between %v: %d, want %d", tt.hashes, got, tt.want)
		}
	}
}

func TestFollowers(t *testing.T) {
	drawn := 0
	for seed := range uint64(60) {
		p := NewPlan(seed, Options{Nodes: 3, Faults: []string{"coordinator crash", "participant crash", "crash", "transfer"}})
		drawn += p.followers()
		q, err := DecodePlan(p.Encode())
		if err != nil || q.followers() != p.followers() {
			t.Fatalf("seed %d: %v", seed, err)
		}
		p.dropFollowers(func(i int) bool { return i > 0 })
		if want := max(0, q.followers()-1); p.followers() != want {
			t.Errorf("seed %d: %d followers, want %d", seed, p.followers(), want)
		}
	}
	if drawn == 0 {
		t.Error("nothing follows")
	}
	for want, f := range map[string]Fault{
		"no kind":                  {Kind: "coordinator crash", Then: &Fault{Kind: "flood"}},
		"crash, and then pause":    {Kind: "crash", Then: &Fault{Kind: "pause"}},
		"coordinator crash, and":   {Kind: "coordinator crash", Then: &Fault{Kind: "calm"}},
		"participant crash, and t": {Kind: "participant crash", Then: &Fault{Kind: "coordinator crash", Then: &Fault{Kind: "pause"}}},
	} {
		if err := transferPlan(f).check(); err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
