package sim

import (
	"slices"
	"time"

	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/replication"
)

// The faults of machines and processes. For is how long a node stays down, but for
// a pause.
var crashKinds = []*kind{
	{name: "crash", what: "a node loses power, and comes back after a while", draw: drawCrash, do: doCrash},
	{name: "crash at a disk operation", what: "a node loses power before the n-th operation from now that changes its disk",
		draw: func(d *drawer, f *Fault) { drawCrash(d, f); f.N = 1 + d.IntN(60) }, do: doCrashAtWrite},
	{name: "crash after a rename", what: "a node loses power some operations after the next rename on its disk (n even: by the engine), and restarts: what the new name stands for may be gone", draw: drawCrashAfterRename, do: doCrashAfterRename},
	{name: "crash after a removal", what: "a node loses power some operations after the next file that it removes (n even: of the engine), and restarts: what was in it must be elsewhere", draw: drawCrashAfterRename, do: doCrashAfterRemoval},
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
	{name: "left alone", what: "all nodes but one lose power, and come back after a while", nodes: 3,
		draw: drawCrash, do: doLeaveAlone},
	{name: "restart storm", what: "the nodes lose power one after the other, by apart", nodes: 2,
		draw: func(d *drawer, f *Fault) {
			drawCrash(d, f)
			f.Target, f.By = "all", d.exp(500*time.Millisecond)
		}, do: doStorm},
	{name: "thundering restarts", what: "all nodes lose power and come back at the same time, n times, by apart", nodes: 2,
		draw: func(d *drawer, f *Fault) {
			drawCrash(d, f)
			f.Target, f.N, f.By = "all", 2+d.IntN(4), d.exp(300*time.Millisecond)
			f.For = d.exp(100 * time.Millisecond)
		}, do: doThunder},
	{name: "crash in a snapshot", what: "a node is down for by, so that it is sent a snapshot; at the n-th message of that its receiver, or its sender, loses power",
		nodes: 2, needs: func(p *Plan) bool { return p.Knobs.Keep > 0 && p.Knobs.Keep <= 5 },
		draw: func(d *drawer, f *Fault) {
			drawCrash(d, f)
			f.Target = "follower of " + d.drawGroup()
			f.N, f.By = 1+d.IntN(12), Duration(time.Second)+d.exp(2*time.Second)
		}, do: doCrashInSnapshot},
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

func doCrash(r *run, f *Fault) { r.cutPower(f, r.targets(f)) }

// cutPower crashes nodes together, and starts them again together.
func (r *run) cutPower(f *Fault, nodes []*node) {
	for _, n := range nodes {
		if n.up() {
			r.came(f)
		} else {
			r.excuse(f, "%s was down already", n.name)
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

// doLeaveAlone leaves a node without a majority, with whatever it has begun.
func doLeaveAlone(r *run, f *Fault) {
	alone := r.targets(f)
	var others []*node
	for _, n := range r.nodes {
		if !n.gone && !slices.Contains(alone, n) && len(alone) > 0 {
			others = append(others, n)
		}
	}
	r.cutPower(f, others)
}

func doStorm(r *run, f *Fault) {
	for _, n := range r.targets(f) {
		r.cutPower(f, []*node{n})
		r.clients.Sleep(f.By.Std())
	}
}

// doCrashAtWrite waits for one of the next disk operations.
func doCrashAtWrite(r *run, f *Fault) {
	for _, n := range r.targets(f) {
		if !n.up() {
			r.excuse(f, "%s was down already", n.name)
			continue
		}
		happened := false
		n.disk.CrashAt(max(1, f.N), func() {
			happened = true
			r.came(f)
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
		} else {
			r.excuse(f, "there were no %d operations on the disk of %s in a second", f.N, n.name)
		}
		n.restart()
	}
}

// doCrashAtBoot crashes the node again and again while it recovers.
func doCrashAtBoot(r *run, f *Fault) {
	for _, n := range r.targets(f) {
		for k := range 1 + f.N%4 {
			n.crash(r.mode(f))
			n.restartWith(func() {
				n.disk.CrashAt(1+(f.N*(k+1))%30, func() { r.came(f); n.crash(r.mode(f)) })
			})
			r.hold(f)
		}
		n.disk.CrashAt(0, nil)
		n.restart()
		r.excuse(f, "%s was kept down, or starts with fewer operations on its disk", n.name)
	}
}

func doPause(r *run, f *Fault) {
	nodes := r.targets(f)
	for _, n := range nodes {
		r.came(f)
		r.world.Pause(n.name)
	}
	r.hold(f)
	for _, n := range nodes {
		r.world.Resume(n.name)
	}
}

func doThunder(r *run, f *Fault) {
	for range max(1, f.N) {
		doCrash(r, f)
		r.clients.Sleep(f.By.Std())
	}
}

// doCrashInSnapshot crashes whoever receives, or, when n is even, sends, the message.
func doCrashInSnapshot(r *run, f *Fault) {
	for _, n := range r.targets(f) {
		n.holds++
		n.crash(r.mode(f))
		r.clients.Sleep(f.By.Std())
		n.holds--
		n.restart()
		w := &snapshotWatch{node: n, count: max(1, f.N), sender: f.N%2 == 0, mode: r.mode(f)}
		r.watches = append(r.watches, w)
		for i := 0; i < 200 && w.victim == nil; i++ {
			r.clients.Sleep(10 * time.Millisecond)
		}
		r.watches = slices.DeleteFunc(r.watches, func(x *snapshotWatch) bool { return x == w })
		if w.victim == nil {
			r.excuse(f, "%s was not sent so much of a snapshot", n.name)
			continue
		}
		r.came(f)
		r.hold(f)
		w.victim.holds--
		w.victim.restart()
	}
}

// A snapshotWatch counts messages of snapshots from and to a node, and crashes one of
// both ends at the last one.
type snapshotWatch struct {
	node   *node
	count  int
	sender bool // it is the sender that crashes
	mode   vfs.CrashMode
	victim *node // once it has
}

// onMessage is told what becomes of each message between nodes.
func (r *run) onMessage(e transport.Event) {
	r.keepLetter(e)
	if e.Lane != transport.Snapshot || e.Fate != transport.Delivered {
		return
	}
	for _, w := range r.watches {
		if (uint64(e.From) == w.node.id || uint64(e.To) == w.node.id) && w.count > 0 {
			w.count--
			if w.count == 0 {
				r.world.After(0, func() { w.strike(e) })
			}
		}
	}
}

// strike crashes one of the ends of a message, unless nobody waits for that any more.
func (w *snapshotWatch) strike(e transport.Event) {
	if !slices.Contains(w.node.run.watches, w) {
		return
	}
	at := e.To
	if w.sender {
		at = e.From
	}
	w.victim = w.node.run.nodes[at-1]
	w.victim.holds++
	w.victim.crash(w.mode)
}
