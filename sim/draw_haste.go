package sim

import (
	"math/rand/v2"
	"time"
)

// shortMark lets partitions forget tokens within a run, and later than a request that was sent again for the last
// time can still be under way.
const shortMark = Duration(1500 * time.Millisecond)

// drawHaste makes the nodes of some worlds impatient, so that what happens when somebody is given
// up happens to those who are alive: a request whose partition is about to have a leader again, a
// transaction whose coordinator is only slow. It has dice of its own, so that the rest of a plan
// does not depend on it.
func (d *drawer) drawHaste() {
	p := d.plan
	h := &drawer{Rand: rand.New(rand.NewPCG(p.Seed, 0x4a57e)), o: d.o, plan: p}
	k := &p.Knobs
	if len(p.Transactors) > 0 && d.o.Attempts == 0 && h.IntN(3) > 0 {
		k.Stale = Duration(time.Duration(h.one(2, 5, 20, 100)) * time.Millisecond) // a prepare takes some milliseconds
	}
	if d.cluster() && d.o.Attempts == 0 && k.Patience == 0 && h.IntN(4) == 0 {
		// A table that is made needs the elections of its groups within it.
		k.Patience = max(Duration(time.Duration(h.one(200, 1000))*time.Millisecond), 40*k.Tick)
	}
	if d.cluster() && h.IntN(3) == 0 {
		k.Segment = 4 << 10 // so that many segments come and go
	}
	if d.cluster() && d.o.Attempts == 0 && len(p.Transactors) > 0 && h.IntN(3) == 0 {
		k.Mark = shortMark
	}
	if h.IntN(6) == 0 {
		k.Page = h.one(60, 200) // some rows
	}
	if k.Window > 0 && d.o.Attempts == 0 && h.IntN(2) == 0 { // whose request is repeated, and was answered with more, is told an error
		k.Shown = h.one(1, 20)
	}
	if k.Stale > 0 && h.IntN(2) == 0 {
		k.Cancelled = Duration(time.Duration(h.one(20, 200, 2000)) * time.Millisecond)
	}
}
