package sim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// The faults of clocks. Each is in force for its time; then the clocks of the node run
// at their own rate again, and its wall clock is set right. In some worlds that rate is not the
// true one, for no node: so a promise that was made by one clock and is kept by another is never exact.
//
// What a wall clock may be off and how fast clocks may run is promised: env.Bound, and
// replication.Options.ClockDriftPPM. Leases depend on the rates alone (see
// docs/replication.md).
var clockKinds = []*kind{
	{name: "clock", what: "a wall clock is off by by, and a node's clocks run n ppm - 10,000 ppm fast: within what is promised",
		draw: func(d *drawer, f *Fault) {
			f.Target, f.For, f.N = d.drawTarget(), d.drawLength(time.Second), 500+d.IntN(19_001)
			f.By = Duration(d.Int64N(int64(2*maxOffset)) - int64(maxOffset))
		}, do: doClock},
	{name: clockJump, what: "a wall clock is off by by, which is more than it claims; clients may see that times differ, and nothing else",
		draw: func(d *drawer, f *Fault) {
			f.Target, f.For, f.N = d.drawTarget(), d.drawLength(time.Second), promisedRate
			f.By = Duration(d.Int64N(int64(maxJump)))
			if d.IntN(2) == 0 {
				f.By = -Duration(d.Int64N(int64(maxLag)))
			}
		}, do: doClock},
	{name: brokenClock, what: "a node's clocks run n ppm - 500,000 ppm fast, against the promise: consistent reads may be old in such a run, and nothing else may be wrong",
		nodes: 2, rare: 8,
		draw: func(d *drawer, f *Fault) {
			f.Target, f.For, f.N = d.drawTarget(), d.drawLength(2*time.Second), 100_000+d.IntN(800_001)
		}, do: doClock},
}

const (
	brokenClock = "broken clock"
	clockJump   = "clock jump"
	// promisedRate is how much too fast or slow clocks may run, in parts per million.
	promisedRate = 10_000
	brokenRate   = 500_000
	// maxOffset leaves room for what drift adds: two nodes are within the bound.
	maxOffset = 60 * time.Millisecond
	// maxJump is what others still believe of a clock that is ahead (txn.Clock).
	maxJump = 4 * time.Second
	// maxLag is how far behind a clock may be.
	maxLag = time.Hour
)

// drawDrift has the clocks of some clusters drift, within what is promised. It has dice of its
// own, so that the rest of a plan does not depend on it.
func (d *drawer) drawDrift() {
	p := d.plan
	c := &drawer{Rand: rand.New(rand.NewPCG(p.Seed, 0xd21f7)), o: d.o, plan: p}
	if !d.cluster() || d.o.Attempts > 0 || c.IntN(3) > 0 {
		return
	}
	for i := range p.Nodes {
		p.Nodes[i].Drift = c.IntN(2*promisedRate+1) - promisedRate
	}
}

// A wrong is what is wrong with the clocks of a node.
type wrong struct {
	faults int           // in force
	ppm    int64         // how much too fast they run
	since  time.Duration // since when, in true time
	off    time.Duration // how far the wall clock was off then
}

// setClock changes the rate and moves the wall clock.
func (n *node) setClock(ppm int64, step time.Duration) {
	now, w := time.Duration(n.run.world.Now()), &n.wrong
	w.off += time.Duration(int64(now-w.since)/1000*w.ppm/1000) + step
	w.ppm, w.since = ppm, now
	n.run.world.SetClock(n.name, ppm, step)
}

func doClock(r *run, f *Fault) {
	middle := int64(promisedRate)
	if f.Kind == brokenClock {
		middle = brokenRate
	}
	nodes := r.targets(f)
	for _, n := range nodes {
		r.came(f)
		n.wrong.faults++
		n.setClock(int64(f.N)-middle, f.By.Std())
	}
	r.hold(f)
	for _, n := range nodes {
		if n.wrong.faults--; n.wrong.faults == 0 {
			n.setClock(int64(n.place.Drift), 0)
			n.setClock(int64(n.place.Drift), -n.wrong.off)
		}
	}
}

// breaksLeases reports whether a plan has clocks whose rates are not as promised, so
// that a leader may believe in a lease that is over.
func (p *Plan) breaksLeases() bool {
	return len(p.Nodes) > 1 && slices.ContainsFunc(p.Nemesis, func(f Fault) bool {
		return f.Kind == brokenClock || f.Then != nil && f.Then.Kind == brokenClock
	})
}
