package sim

import (
	"strings"
	"testing"
	"time"
)

// Each fault of a region comes to something, whoever is in it, and nothing is lost. While the
// region with one of three replicas is away, the others go on.
func TestRegions(t *testing.T) {
	p := NewPlan(31, Options{Nodes: 3, Regions: 2, Calm: true, Duration: 14 * time.Second})
	if got := p.regions(); len(got) != 2 || p.Nodes[0].Region != p.Nodes[1].Region {
		t.Fatalf("regions %v of %v", got, p.Nodes)
	}
	p.Transactors, p.Churn, p.Expiry, p.Grammar = nil, nil, nil, nil
	at := Duration(time.Second)
	add := func(kind, target string, n int, by time.Duration) {
		p.Nemesis = append(p.Nemesis,
			Fault{At: at, Kind: kind, Target: target, N: n, By: Duration(by), For: Duration(time.Second)},
			Fault{At: at + 1, Kind: calmKind})
		at += Duration(1500 * time.Millisecond)
	}
	for n := range 4 {
		add("region isolated", []string{"region r2", "region of the leader of group 2"}[n%2], n, 100*time.Millisecond)
	}
	add("region lag", "region r2", 0, 300*time.Millisecond)
	add("region power", "region r2", 0, 0)
	add("region power", "region r1", 0, 0)
	p.Clients = []ClientPlan{{Node: 1, Patience: Duration(2 * time.Second), Roams: true}}
	for when := Duration(0); when < at; when += Duration(200 * time.Millisecond) {
		p.Clients[0].Ops = append(p.Clients[0].Ops, Op{At: when, Do: "put", Key: hotKey(0), Value: "v" + when.String()})
	}
	if again, err := DecodePlan(p.Encode()); err != nil || len(again.regions()) != 2 {
		t.Fatal(err)
	}
	r := RunPlan(p, Options{})
	if r.Err != nil {
		t.Fatalf("%v\n%s", r.Err, r)
	}
	if idle := r.Idle(); idle != "" {
		t.Errorf("these came to nothing:\n%s", idle)
	}
	away, done := p.Nemesis[0], 0
	began := r.Moments[len(r.Moments)-1].At // of the first fault
	for i := len(r.Moments) - 1; i >= 0; i-- {
		if r.Moments[i].Kind == "fault" {
			began = r.Moments[i].At
		}
	}
	for _, o := range r.History.Operations {
		if o.Outcome == Done && o.Began > began && o.Ended < began.Add(away.For.Std()) {
			done++
		}
	}
	if done == 0 {
		t.Error("while a region with a minority was cut off, nothing was written")
	}
	var page strings.Builder
	if err := r.WriteHTML(&page); err != nil || !strings.Contains(page.String(), `"n3 · r2 · zone c"`) {
		t.Errorf("the picture does not tell of regions: %v", err)
	}
}

// Regions are drawn for some clusters, and for who asks for them or for their faults. What is
// drawn can be run: targets are there, and elections have time for round trips.
func TestRegionsAreDrawn(t *testing.T) {
	several, fired := 0, 0
	for seed := range uint64(80) {
		p := NewPlan(seed, Options{Nodes: 3})
		if err := p.check(); err != nil {
			t.Fatal(err)
		}
		if len(p.regions()) > 1 {
			several++
			if p.Knobs.Tick < 2*p.Links.World.Base {
				t.Errorf("seed %d: a tick of %s, links of %s", seed, p.Knobs.Tick, p.Links.World.Base)
			}
		}
		for _, f := range p.Nemesis {
			if k := kindOf(f.Kind); k.regions > len(p.regions()) {
				t.Errorf("seed %d: %s in one region", seed, f.Kind)
			} else if k.regions > 1 {
				fired++
			}
		}
	}
	if several < 3 || several > 25 || fired == 0 {
		t.Errorf("%d of 80 worlds have several regions, %d faults are theirs", several, fired)
	}
	if p := NewPlan(1, Options{Nodes: 3, Faults: []string{"region lag"}}); len(p.regions()) != 2 {
		t.Errorf("a fault of regions was asked for, and there is %v", p.regions())
	}
	if err := Fits("region lag", Options{Nodes: 3, Regions: 1}); err == nil {
		t.Error("one region is said to be enough")
	}
}

// Fewer nodes or regions take what cannot be with them.
func TestShrinkToOneNode(t *testing.T) {
	p := NewPlan(1, Options{Nodes: 3, Regions: 2, Calm: true, Duration: time.Second})
	p.Nemesis = []Fault{
		{Kind: "isolate", Target: "n1"}, {Kind: "crash", Target: "n1"}, {Kind: "crash", Target: "n3"}, {Kind: "region lag", Target: "region r2"},
	}
	if err := p.check(); err != nil {
		t.Fatal(err)
	}
	p.keepNodes(1)
	if err := p.check(); err != nil || len(p.Nemesis) != 1 || p.Nemesis[0].Kind != "crash" {
		t.Errorf("on one node %v are left, %v", p.Nemesis, err)
	}
}
