package sim

import (
	"fmt"
	"time"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/replication"
)

// The faults. Each does its worst, waits, and leaves the node to recover.
var faults = []struct {
	name string
	do   func(r *run)
}{
	{"crash", (*run).crashNow},
	{"crash at a disk operation", (*run).crashAtWrite},
	{"crash while starting", (*run).crashAtBoot},
	{"process killed", (*run).kill},
	{"pause", (*run).pause},
	{"clock", (*run).turnClock},
	{"full disk", (*run).fillDisk},
	{"failing sync", (*run).failSync},
	{"slow disk", (*run).slowDisk},
	{"flush and compact", (*run).flushAndCompact},
}

// startNemesis provokes faults until the clients stop.
func (r *run) startNemesis() {
	if r.config.fault == 0 {
		return
	}
	r.tasks.Go("nemesis", func() error {
		for !r.ending {
			r.clients.Sleep(time.Duration(r.chance.ExpFloat64() * float64(r.config.fault)))
			if r.ending {
				break
			}
			f := faults[r.chance.IntN(len(faults))]
			r.world.Note("fault: %s", f.name)
			r.fired[f.name]++
			f.do(r)
			r.probe(f.name)
		}
		return nil
	})
}

// probe makes sure that the node takes writes again, by itself, once a fault is
// over.
func (r *run) probe(fault string) {
	r.probes++
	o := &Operation{Kind: Put, Key: "probe/0", Value: fmt.Sprint("probe.", r.probes)}
	var err error
	for start := r.clients.Now(); r.clients.Now().Sub(start) < probeLimit; {
		answered := false
		answered, err = r.ask("probe", func(s *server) error {
			_, err := s.put(o)
			return err
		})
		if answered && err == nil {
			return
		}
		r.clients.Sleep(10 * time.Millisecond)
	}
	r.fail(found(Progress, fmt.Errorf("sim: no write succeeded for %s after the fault %q: %w", probeLimit, fault, err)))
}

// probeLimit is above the engine's longest pause between attempts to flush.
const probeLimit = 5 * time.Second

// crash cuts the power, unless the node is down already.
func (r *run) crash(mode vfs.CrashMode) {
	if !r.world.Up(serverName) {
		return
	}
	r.server, r.mode = nil, mode
	r.crashes++
	r.world.Crash(serverName)
}

// anyMode draws what a power cut leaves. Only SyncAlways promises anything about
// power cuts; in the other modes it is the process alone that dies.
func (r *run) anyMode() vfs.CrashMode {
	mode := vfs.RandomCrash(r.chance)
	if r.config.sync != replication.SyncAlways {
		return vfs.KeepAll
	}
	return mode
}

// downtime is how long a node stays down.
func (r *run) downtime() time.Duration {
	return time.Duration(r.chance.Int64N(int64(20 * time.Millisecond)))
}

func (r *run) crashNow() {
	r.crash(r.anyMode())
	r.clients.Sleep(r.downtime())
	r.restart()
}

// kill ends the process only; what it wrote stays.
func (r *run) kill() {
	r.crash(vfs.KeepAll)
	r.clients.Sleep(r.downtime())
	r.restart()
}

// crashAtWrite waits for one of the next disk operations.
func (r *run) crashAtWrite() {
	n, mode := 1+r.chance.IntN(60), r.anyMode()
	r.disk.CrashAt(n, func() { r.crash(mode) })
	for range 100 {
		r.clients.Sleep(10 * time.Millisecond)
		if !r.world.Up(serverName) {
			break
		}
	}
	r.disk.CrashAt(0, nil)
	r.restart()
}

// crashAtBoot crashes the node again and again while it recovers.
func (r *run) crashAtBoot() {
	for range 1 + r.chance.IntN(4) {
		r.crash(r.anyMode())
		n, mode := 1+r.chance.IntN(30), r.anyMode()
		r.restartWith(func() { r.disk.CrashAt(n, func() { r.crash(mode) }) })
		r.clients.Sleep(r.downtime())
	}
	r.disk.CrashAt(0, nil)
	r.restart()
}

func (r *run) pause() {
	r.world.Pause(serverName)
	r.clients.Sleep(time.Duration(r.chance.ExpFloat64() * float64(100*time.Millisecond)))
	r.world.Resume(serverName)
}

// turnClock moves the wall clock and changes the rate of the node's clocks.
func (r *run) turnClock() {
	step := time.Duration(r.chance.NormFloat64() * float64(time.Second))
	r.world.SetClock(serverName, r.chance.Int64N(2000)-1000, step)
}

// fillDisk leaves a little space, and gives it back after a while. A node may
// refuse to start in between, but says why.
func (r *run) fillDisk() {
	free, total, err := r.disk.Usage()
	if err != nil {
		return
	}
	r.full = true
	r.disk.SetCapacity(total - free + r.chance.Int64N(64<<10))
	r.clients.Sleep(time.Duration(r.chance.ExpFloat64() * float64(200*time.Millisecond)))
	if r.chance.IntN(3) == 0 {
		r.crash(r.anyMode())
		r.clients.Sleep(r.downtime())
		r.restart()
		r.clients.Sleep(r.downtime())
	}
	r.disk.SetCapacity(total)
	r.full = false
	if r.down {
		r.fired["start on a full disk refused"]++
		r.crash(r.anyMode())
		r.restart()
	}
}

// failSync makes one of the next syncs fail; what it was to write is half
// written. A node whose log has failed refuses writes until it is restarted.
//
// The restart is always one of the machine. If the process alone were to start
// again it would find in the page cache, and take for durable, what the kernel
// has marked clean and will never write.
func (r *run) failSync() {
	if r.config.sync != replication.SyncAlways {
		return
	}
	r.failAfter = 1 + r.chance.IntN(20)
	for range 20 {
		r.clients.Sleep(10 * time.Millisecond)
		if r.failAfter == 0 {
			break
		}
	}
	r.failAfter = 0
	r.clients.Sleep(r.downtime())
	r.crash(r.anyMode())
	r.restart()
}

func (r *run) slowDisk() {
	r.slow = 1 + r.chance.IntN(50)
	r.clients.Sleep(time.Duration(r.chance.ExpFloat64() * float64(100*time.Millisecond)))
	r.slow = 1
}

// flushAndCompact does at once what the engine would do in its own time.
func (r *run) flushAndCompact() {
	s := r.server
	if s == nil {
		return
	}
	compact := r.chance.IntN(2) == 0
	s.e.Go("upkeep", func() {
		if s.store.Flush() == nil && compact {
			_ = s.store.Compact(nil, nil)
		}
	})
}

// onDisk is asked before every disk operation: latency and failing syncs.
func (r *run) onDisk(op vfs.Op) error {
	if op.Kind != vfs.OpSync && op.Kind != vfs.OpSyncDir {
		return nil
	}
	if r.config.syncTime > 0 && r.server != nil {
		d := time.Duration(r.latency.ExpFloat64() * float64(r.config.syncTime) * float64(r.slow))
		r.server.e.Sleep(d)
	}
	if r.failAfter > 0 {
		if r.failAfter--; r.failAfter == 0 {
			r.world.Note("fault: %s of %s fails", op.Kind, op.Name)
			return vfs.ErrIO
		}
	}
	return nil
}
