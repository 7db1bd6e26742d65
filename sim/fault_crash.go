package sim

import (
	"time"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/replication"
)

// The faults of machines and processes. For is how long a node stays down, but for
// a pause.
var crashKinds = []*kind{
	{name: "crash", what: "a node loses power, and comes back after a while", draw: drawCrash, do: doCrash},
	{name: "crash at a disk operation", what: "a node loses power before the n-th operation from now that changes its disk",
		draw: func(d *drawer, f *Fault) { drawCrash(d, f); f.N = 1 + d.IntN(60) }, do: doCrashAtWrite},
	{name: "crash while starting", what: "a node loses power before one of the first n disk operations of its start, and again",
		draw: func(d *drawer, f *Fault) { drawCrash(d, f); f.N = 1 + d.IntN(30) }, do: doCrashAtBoot},
	{name: "process killed", what: "a process ends; what it wrote stays",
		draw: func(d *drawer, f *Fault) { drawCrash(d, f); f.Mode = "keep" }, do: doCrash},
	{name: "pause", what: "a process stands still, as by SIGSTOP; its clocks run on",
		draw: func(d *drawer, f *Fault) { f.Target, f.For = d.drawTarget(), d.drawLength(100*time.Millisecond) }, do: doPause},
	{name: "zone power", what: "all nodes of a zone lose power", nodes: 2,
		draw: func(d *drawer, f *Fault) { drawCrash(d, f); f.Target = d.drawZone() }, do: doCrash},
	{name: "power cut", what: "all nodes lose power", nodes: 2,
		draw: func(d *drawer, f *Fault) { drawCrash(d, f); f.Target = "all" }, do: doCrash},
	{name: "restart storm", what: "the nodes lose power one after the other, by apart", nodes: 2,
		draw: func(d *drawer, f *Fault) {
			drawCrash(d, f)
			f.Target, f.By = "all", d.exp(500*time.Millisecond)
		}, do: doStorm},
}

func drawCrash(d *drawer, f *Fault) {
	f.Target, f.Mode = d.drawTarget(), powerCuts[d.IntN(len(powerCuts))]
	// Only synced writes are promised to survive power cuts; in the other modes it
	// is the process alone that dies.
	if d.plan.Knobs.syncMode() != replication.SyncAlways {
		f.Mode = "keep"
	}
	f.For = Duration(d.Int64N(int64(20 * time.Millisecond)))
	if d.cluster() {
		f.For = d.drawLength(500 * time.Millisecond)
	}
}

// drawLength draws how long an episode is: long enough on several nodes for others
// to take over, often.
func (d *drawer) drawLength(mean time.Duration) Duration {
	if d.cluster() {
		mean = max(mean, time.Duration(d.one(200, 1000, 3000))*time.Millisecond)
	}
	return d.exp(mean)
}

// mode is that of a power cut, kept to what the log promises.
func (r *run) mode(f *Fault) vfs.CrashMode {
	if r.plan.Knobs.syncMode() != replication.SyncAlways {
		return vfs.KeepAll
	}
	return mustMode(f.Mode)
}

func doCrash(r *run, f *Fault) {
	nodes := r.resolve(f.Target)
	for _, n := range nodes {
		if n.up() {
			r.fire(f.Kind)
		}
		n.holds++
		n.crash(r.mode(f))
	}
	r.hold(f)
	for _, n := range nodes {
		n.holds--
	}
	for _, n := range nodes {
		n.restart()
	}
}

func doStorm(r *run, f *Fault) {
	for _, n := range r.resolve(f.Target) {
		one := *f
		one.Target = n.name
		doCrash(r, &one)
		r.clients.Sleep(f.By.Std())
	}
}

// doCrashAtWrite waits for one of the next disk operations.
func doCrashAtWrite(r *run, f *Fault) {
	for _, n := range r.resolve(f.Target) {
		if !n.up() {
			continue
		}
		happened := false
		n.disk.CrashAt(max(1, f.N), func() {
			happened = true
			r.fire(f.Kind)
			n.holds++
			n.crash(r.mode(f))
		})
		for range 100 {
			r.clients.Sleep(10 * time.Millisecond)
			if happened || !n.up() {
				break
			}
		}
		n.disk.CrashAt(0, nil)
		if happened {
			r.hold(f)
			n.holds--
		}
		n.restart()
	}
}

// doCrashAtBoot crashes the node again and again while it recovers.
func doCrashAtBoot(r *run, f *Fault) {
	for _, n := range r.resolve(f.Target) {
		for k := range 1 + f.N%4 {
			n.crash(r.mode(f))
			n.restartWith(func() {
				n.disk.CrashAt(1+(f.N*(k+1))%30, func() { r.fire(f.Kind); n.crash(r.mode(f)) })
			})
			r.hold(f)
		}
		n.disk.CrashAt(0, nil)
		n.restart()
	}
}

func doPause(r *run, f *Fault) {
	nodes := r.resolve(f.Target)
	for _, n := range nodes {
		r.fire(f.Kind)
		r.world.Pause(n.name)
	}
	r.hold(f)
	for _, n := range nodes {
		r.world.Resume(n.name)
	}
}
