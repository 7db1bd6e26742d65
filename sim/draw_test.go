package sim

import "testing"

// Faults lie over each other in some plans, but never so many that everything is always down.
func TestFaultsLeaveRoom(t *testing.T) {
	most := 0
	for seed := range uint64(150) {
		p := NewPlan(seed, Options{Nodes: 3, Faults: []string{"power cut", "pause"}})
		for _, f := range p.Nemesis {
			n := p.inForce(f.At)
			if most = max(most, n); n > maxOverlap {
				t.Fatalf("seed %d: %d faults at %s", seed, n, f.At)
			}
		}
	}
	if most < 2 {
		t.Error("no faults lie over each other")
	}
}
