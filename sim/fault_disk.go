package sim

import (
	"math/rand/v2"
	"time"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/replication"
)

// The faults of disks.
var diskKinds = []*kind{
	{name: "full disk", what: "n bytes are left on a disk; with by, the node also crashes, for so long",
		draw: func(d *drawer, f *Fault) {
			f.Target, f.For, f.N, f.Mode = d.drawTarget(), d.exp(200*time.Millisecond), d.IntN(d.one(1<<10, 8<<10, 64<<10)), powerCuts[d.IntN(len(powerCuts))]
			if d.cluster() && d.IntN(2) == 0 { // so long that something is written
				f.For = d.drawLength(500 * time.Millisecond)
			}
			if d.IntN(3) == 0 {
				f.By = Duration(1 + d.Int64N(int64(20*time.Millisecond)))
			}
		}, do: doFull},
	{name: "failing sync", what: "the n-th sync from now fails and leaves its data half written; the machine is then restarted",
		draw: func(d *drawer, f *Fault) {
			drawCrash(d, f)
			f.N = 1 + d.IntN(20)
		}, do: doFailSync},
	{name: "failing read", what: "the n-th read from now fails, and so do all of that file, as of a bad sector; the process is then restarted",
		draw: func(d *drawer, f *Fault) {
			f.Target, f.For, f.N = d.drawTarget(), d.drawLength(500*time.Millisecond), 1+d.IntN(10)
		}, do: doFailRead},
	{name: "failing write", what: "the n-th write from now fails, and so do all of that file; the machine is then restarted",
		draw: func(d *drawer, f *Fault) {
			drawCrash(d, f)
			f.N = 1 + d.IntN(60)
		}, do: doFailWrite},
	{name: "slow disk", what: "syncs take n times as long",
		draw: func(d *drawer, f *Fault) {
			f.Target, f.For, f.N = d.drawTarget(), d.drawLength(100*time.Millisecond), 1+d.IntN(50)
		}, do: doSlow},
	{name: "disk stall", what: "nothing is written to a disk", nodes: 2,
		draw: func(d *drawer, f *Fault) { f.Target, f.For = d.drawTarget(), d.drawLength(500*time.Millisecond) }, do: doStall},
	{name: "flush and compact", what: "the engine flushes now and, if n is not 0, compacts",
		draw: func(d *drawer, f *Fault) { f.Target, f.N = d.drawTarget(), d.IntN(2) }, do: doFlush},
	{name: "long read", what: "somebody begins to read all that the engine has, and goes on when it has flushed and, if n is not 0, compacted; what a snapshot shows must stay as it was, forward, backward and key by key",
		draw: func(d *drawer, f *Fault) {
			f.Target, f.For, f.N = d.drawTarget(), d.exp(200*time.Millisecond), d.IntN(2)
		}, do: doLongRead},
	{name: "lying sync", what: "syncs say that they have done what they have not; only in plans that are written", do: doLie},
	{name: "bit rot", what: "a bit of a node's files is damaged while it is down (n: dice); only in plans that are written", do: doRot},
}

// doFull leaves a little space, and gives it back after a while. A node may
// refuse to start in between, but says why.
func doFull(r *run, f *Fault) {
	for _, n := range r.targets(f) {
		free, total, err := n.disk.Usage()
		if err != nil || n.full {
			r.excuse(f, "the disk of %s was full already", n.name)
			continue
		}
		n.full = true
		r.came(f)
		n.disk.SetCapacity(total - free + int64(f.N))
		r.hold(f)
		if f.By > 0 {
			n.crash(r.mode(f))
			r.clients.Sleep(f.By.Std())
			n.restart()
			r.clients.Sleep(f.By.Std())
		}
		n.disk.SetCapacity(total)
		n.await() // a start that is under way may have met the full disk, and says so in a moment
		n.full = false
		if n.refused {
			r.fire("start on a full disk refused")
			n.crash(r.mode(f))
			n.restart()
		}
	}
}

// doFailSync makes one of the next syncs fail; what it was to write is half
// written. A node whose log has failed refuses writes until it is restarted.
//
// The restart is always one of the machine. If the process alone were to start
// again it would find in the page cache, and take for durable, what the kernel
// has marked clean and will never write.
func doFailSync(r *run, f *Fault) {
	if r.plan.Knobs.syncMode() != replication.SyncAlways {
		r.excuse(f, "syncs promise nothing in this world")
		return
	}
	if !r.strain(f) {
		return
	}
	defer r.relieve()
	for _, n := range r.targets(f) {
		n.failing++
		n.failAfter, n.failFault = max(1, f.N), f
		patience := 200 * time.Millisecond
		if len(r.nodes) > 1 { // whose nodes sync less often
			patience *= 10
		}
		for end := r.clients.Now().Add(patience); n.failAfter > 0 && r.clients.Now() < end; {
			r.clients.Sleep(10 * time.Millisecond)
		}
		n.failAfter = 0
		r.excuse(f, "there were no %d syncs on %s in %s", f.N, n.name, patience)
		r.hold(f)
		n.failing--
		n.crash(r.mode(f))
		n.restart()
	}
}

// A badFile is a file of which nothing can be read, or written, for a while: the first
// that is used when so many operations have passed.
type badFile struct {
	after int // operations until one fails; 0: none
	name  string
	fault *Fault
}

// fails reports whether the operation, which is of the file's kind, fails.
func (b *badFile) fails(name string) bool {
	if b.after > 0 {
		if b.after--; b.after == 0 {
			b.name = name
		}
	}
	return b.name != "" && b.name == name
}

func doFailRead(r *run, f *Fault) {
	if !r.strain(f) {
		return
	}
	defer r.relieve()
	nodes := r.targets(f)
	for _, n := range nodes {
		n.failing++
		n.badRead = badFile{after: max(1, f.N), fault: f}
	}
	r.hold(f)
	for _, n := range nodes {
		r.excuse(f, "there were no %d reads on %s", f.N, n.name)
		n.badRead = badFile{}
		n.failing--
		n.crash(vfs.KeepAll) // what has failed to read may have stopped
		n.restart()
	}
}

// doFailWrite restarts the machine in the end: a node whose log has failed refuses
// writes until then.
func doFailWrite(r *run, f *Fault) {
	if !r.strain(f) {
		return
	}
	defer r.relieve()
	nodes := r.targets(f)
	for _, n := range nodes {
		n.failing++
		n.badWrite = badFile{after: max(1, f.N), fault: f}
	}
	r.clients.Sleep(200 * time.Millisecond)
	r.hold(f)
	for _, n := range nodes {
		r.excuse(f, "there were no %d writes on %s", f.N, n.name)
		n.badWrite = badFile{}
		n.failing--
		n.crash(r.mode(f))
		n.restart()
	}
}

func doSlow(r *run, f *Fault) {
	for _, n := range r.targets(f) {
		n.slow = max(1, f.N)
		r.came(f)
		r.hold(f)
		n.slow = 1
	}
}

func doStall(r *run, f *Fault) {
	for _, n := range r.targets(f) {
		n.stalled++
		r.came(f)
		r.hold(f)
		n.stalled--
	}
}

// doFlush does at once what the engine would do in its own time.
func doFlush(r *run, f *Fault) {
	for _, n := range r.targets(f) {
		s := n.server
		if s == nil {
			r.excuse(f, "%s was down", n.name)
			continue
		}
		r.came(f)
		s.e.Go("upkeep", func() {
			if s.store.Flush() == nil && f.N != 0 {
				_ = s.store.Compact(nil, nil)
			}
		})
	}
}

func doLie(r *run, f *Fault) {
	for _, n := range r.targets(f) {
		n.lied = true
		n.disk.SetLying(true)
		r.came(f)
	}
	r.hold(f)
	for _, n := range r.resolve(f.Target) {
		n.disk.SetLying(false)
	}
}

// doRot damages a node for good: it stays down from then on if it refuses to start.
func doRot(r *run, f *Fault) {
	for _, n := range r.targets(f) {
		n.close()
		n.damage(rand.New(rand.NewPCG(uint64(f.N), 0xb17)))
		r.fate(f).Fired = true // damage has counted it
		n.restart()
	}
}
