package sim

import "math/rand/v2"

// drawSize draws how large the world is. What a seed costs grows with its groups, and most
// mistakes need one group and a fault, not twenty: so half of the clusters are slim, with a partition or
// two, one global index or none, and mostly no ledger. The others have the lot. It has dice of
// its own, so that the rest of a plan does not depend on it.
func (d *drawer) drawSize() {
	s := &drawer{Rand: rand.New(rand.NewPCG(d.plan.Seed, 0x512e)), o: d.o, plan: d.plan}
	if !d.cluster() || d.o.Stack == GuestStack || s.IntN(2) == 0 {
		return
	}
	k := &d.plan.Knobs
	k.Partitions = s.one(1, 1, 2)
	d.noLedger = len(d.o.Workload) == 0 && s.IntN(2) == 0
	if d.o.wantsByName("indexes") {
		return
	}
	switch s.IntN(4) {
	case 0:
		k.Lacks = []string{"byValue"}
	case 1:
		k.Lacks = []string{"byCount"}
	default:
		k.Lacks = []string{"byValue", "byCount"}
	}
}
