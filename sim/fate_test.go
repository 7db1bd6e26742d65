package sim

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// Each kind of fault comes to something when its target is there. What this test holds is that a
// kind does not quietly stop to do anything.
func TestEachKindFires(t *testing.T) {
	if testing.Short() {
		t.Skip("every kind of fault takes its time")
	}
	p := NewPlan(9, Options{Nodes: 4, Regions: 1, Calm: true, Duration: time.Second})
	p.Knobs.Keep, p.Knobs.Partitions, p.Knobs.Tick = 2, 1, Duration(20*time.Millisecond)
	p.Churn, p.Expiry, p.Grammar, p.Transactors = nil, nil, nil, nil
	p.Policy, p.Knobs.Leaves, p.Knobs.Verify = "fifo", -1, false
	at := Duration(300 * time.Millisecond)
	for _, k := range kinds {
		f := Fault{At: at, Kind: k.name, Target: "leader of group 2", For: Duration(100 * time.Millisecond), N: 1, By: Duration(50 * time.Millisecond), Mode: "lose"}
		if !k.fits(p) { // coordinators have tests of their own
			continue
		}
		switch k.name {
		case calmKind, "lying sync", "bit rot": // no fault; not survivable
			continue
		case "process killed", "client link", "failing read":
			f.Target = "all"
		case "rot": // it takes the budget of those before it
			at += Duration(12 * time.Second)
			f.At = at
		case "transfer", "move":
			f.Target = "follower of group 2"
		case "crash in a snapshot":
			f.Target, f.By = "follower of group 2", Duration(time.Second)
		case "join", "zone power", "zone isolated":
			f.Target, f.N = "zone a", 0
		case splitKind:
			f.Target, f.For = "group 2", Duration(splitPatience)
		case brokenClock:
			f.N = brokenRate
		case "group deaf": // of the group that is written to: that of the catalog sleeps
			f.N = 2
		}
		p.Nemesis = append(p.Nemesis, f, Fault{At: at + 1, Kind: calmKind})
		at += Duration(500 * time.Millisecond)
	}
	p.For = at + Duration(6*time.Second) // operators need time
	// A request that is lost in one fault must not leave the next one without any.
	c := ClientPlan{Node: 1, Patience: Duration(200 * time.Millisecond), Roams: true}
	for when := Duration(0); when < at; when += Duration(40 * time.Millisecond) {
		c.Ops = append(c.Ops, Op{At: when, Do: "add", Key: hotKey(0), Value: "v" + when.String(), Count: 1})
	}
	p.Clients = []ClientPlan{c}
	r := RunPlan(p, Options{})
	if r.Err != nil {
		t.Fatalf("%v\n%s", r.Err, r)
	}
	if idle := r.Idle(); idle != "" {
		t.Errorf("these came to nothing:\n%s", idle)
	}
}

// A fault that does nothing, and does not say why, fails the run.
func TestIdleFaultIsFoundOut(t *testing.T) {
	defer func(all []*kind) { kinds = all }(kinds)
	kinds = append(kinds, &kind{name: "nothing", do: func(*run, *Fault) {}})
	p := NewPlan(3, Options{Nodes: 1, Calm: true, Duration: 200 * time.Millisecond})
	p.Nemesis = []Fault{{At: Duration(50 * time.Millisecond), Kind: "nothing"}, {At: Duration(time.Second), Kind: "nothing"}}
	r := RunPlan(p, Options{})
	var f *Finding
	if !errors.As(r.Err, &f) || f.By != Unfired || !strings.Contains(f.Error(), "fault 0, nothing") {
		t.Errorf("the run came to %v", r.Err)
	}
	p.Nemesis = p.Nemesis[1:]
	if r = RunPlan(p, Options{}); r.Err != nil || len(r.Fates) != 1 || r.Fates[0].Fired || !strings.Contains(r.Idle(), "over") {
		t.Errorf("with a fault after the end: %v, %+v", r.Err, r.Fates)
	}
}
