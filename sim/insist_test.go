package sim

import (
	"fmt"
	"testing"
	"time"
)

// While one zone at a time dies and returns, a client that makes three attempts, as SDKs
// do by default, sees no error.
func TestAvailability(t *testing.T) {
	asked := 0
	for seed := uint64(1); seed <= 2; seed++ {
		r := Run(seed, Options{Nodes: 3, Duration: 8 * time.Second, Attempts: 3, Backoff: "standard"})
		asked += r.Insisted
		if r.Err != nil {
			t.Errorf("%v\n%s", r.Err, r)
		}
	}
	if asked == 0 {
		t.Error("no request with three attempts was made")
	}
}

// Clients have requests under way at a node all the time, also at the moment in which its zone loses its
// power. With three attempts they see no error, with one they do: so the check can fail.
func TestOneAttemptIsNotEnough(t *testing.T) {
	run := func(attempts int) Result {
		p := NewPlan(1, Options{Nodes: 3, Duration: 4 * time.Second, Attempts: attempts, Backoff: "standard"})
		p.Knobs.Tick, p.Knobs.Patience = Duration(20*time.Millisecond), 0
		cut := time.Second
		p.Nemesis = []Fault{{At: Duration(cut), Kind: "zone power", Target: "zone a", For: Duration(time.Second), Mode: "lose"}}
		p.Clients = nil
		for i := range 4 {
			c := ClientPlan{Node: 1, Patience: Duration(2 * time.Second), Retries: attempts - 1, Backoff: "standard", Edge: true, Roams: true, Insists: true}
			for at := cut - 20*time.Millisecond; at < cut+20*time.Millisecond; at += 2 * time.Millisecond {
				c.Ops = append(c.Ops, Op{At: Duration(at), Do: "put", Key: hotKey(i), Value: fmt.Sprintf("c%d.%d", i+1, len(c.Ops)+1)})
			}
			p.Clients = append(p.Clients, c)
		}
		return RunPlan(p, Options{})
	}
	if r := run(1); CheckerOf(r.Err) != Availability {
		t.Errorf("with one attempt: %v, want that %s is found missing", r.Err, Availability)
	}
	if r := run(3); r.Err != nil || r.Insisted < 20 {
		t.Errorf("with three attempts: %d requests, %v", r.Insisted, r.Err)
	}
}
