package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/internal/vfs"
)

// A node is a machine of the world with its disk, and what is wrong with it now.
type node struct {
	run    *run
	id     uint64
	name   string
	place  NodePlan
	disk   *vfs.Disk
	env    *env.Env // of its latest life
	server *server  // nil while the node is down or starting

	leads   map[uint64]int // groups that this life leads, with the numbers of the reigns
	holds   int            // faults that want it down
	gone    bool           // it is off for good
	heir    *node          // the one that has come in its place
	refused bool           // it has refused to start
	mode    vfs.CrashMode  // of the crash under way
	crashes int

	full      bool // the disk is
	rot       string
	lied      bool // some sync has lied
	forgets   bool // if it loses power it has forgotten what it promised, and must not come back
	failing   int  // faults that let a sync fail, and restart the node in the end
	failAfter int  // syncs until one fails; 0: none
	failFault *Fault
	dirty     bool // one has, so that the page cache holds what will never be written
	broken    bool // in this life a sync or write of the log has failed
	badRead   badFile
	badWrite  badFile
	slow      int // factor of the disk's latency
	stalled   int // faults that let the disk stand still
	latency   *rand.Rand
	remains   remains
	awaited   map[vfs.OpKind]awaitedOp // by kind: the next one ends the wait
	wrong     wrong                    // what the clocks are

	deaf, mute []*Fault // those in force that let requests of clients, or answers to them, be lost
}

func (r *run) newNode(number int, place NodePlan) *node {
	n := &node{
		run: r, id: uint64(number), name: nodeName(number), place: place,
		disk: vfs.NewDisk(r.plan.Seed + uint64(number)<<48), slow: 1,
		latency: r.world.Stream("disk/" + nodeName(number)),
	}
	n.remains = remains{n: n, dice: r.world.Stream("remains/" + n.name)}
	n.disk.OnOp(n.onDisk)
	n.env = r.world.NewNode(n.name)
	if place.Drift != 0 {
		n.setClock(int64(place.Drift), 0)
	}
	r.world.OnCrash(n.name, func() { n.disk.Crash(n.mode) })
	if r.net != nil {
		r.net.Add(transport.NodeID(n.id), transport.Site{Name: n.name, Zone: n.place.Zone, Region: n.place.Region})
	}
	return n
}

// start opens the node in a task of its own.
func (n *node) start(e *env.Env) {
	n.refused, n.broken, n.env, n.leads = false, false, e, map[uint64]int{}
	e.Go("boot", func() {
		s, err := n.boot(e)
		if err != nil {
			n.refused = true
			if n.rot != "" { // whatever it says of the damage
				n.run.fire("bit rot found")
				return
			}
			if n.full && errors.Is(err, vfs.ErrNoSpace) || n.failing > 0 && errors.Is(err, vfs.ErrIO) {
				return
			}
			n.run.fail(found(Boot, fmt.Errorf("sim: node %s does not start: %w", n.name, err)))
			return
		}
		n.server, n.remains.begun = s, true
		n.run.moment("up", n.name, "")
		n.run.stack.started(n.run, n)
	})
}

func (n *node) up() bool { return n.env.Up() }

// crash cuts the power, unless the node is down already, or ends the process. Where a
// sync has failed it is always the machine: the process would take for durable what it
// finds in the page cache.
func (n *node) crash(mode vfs.CrashMode) {
	if !n.up() {
		return
	}
	if n.dirty && mode == vfs.KeepAll {
		mode = vfs.LoseAll
	}
	if n.forgets && mode != vfs.KeepAll {
		n.holds++ // for good: whoever let it forget has another one join in its place
		n.forgets = false
	}
	n.dirty = false
	n.server, n.mode = nil, mode
	n.crashes++
	n.run.moment("down", n.name, "")
	n.run.convergence.crashed(mode)
	n.run.history.crashed(n.id)
	n.run.world.Crash(n.name)
}

// restart brings the node up, if it is down and no fault holds it there, and waits
// until it serves.
func (n *node) restart() { n.restartWith(func() {}) }

func (n *node) restartWith(before func()) {
	if !n.up() && n.holds == 0 {
		before()
		n.start(n.run.world.Restart(n.name))
	}
	n.await()
}

// await waits until the node serves, has crashed or has refused to start.
func (n *node) await() {
	for n.server == nil && n.up() && !n.refused {
		n.run.clients.Sleep(5 * time.Millisecond)
	}
}

// close closes the node and switches it off.
func (n *node) close() {
	answered, err := n.run.inTask(n, "close", (*server).close)
	if answered && err != nil {
		n.run.fail(found(Unexpected, fmt.Errorf("sim: close: %w", err)))
	}
	if answered {
		n.run.checkLeaks(n)
	}
	n.crash(vfs.LoseAll)
}

// onDisk is asked before every disk operation: latency, stalls and failing syncs.
func (n *node) onDisk(op vfs.Op) error {
	n.remains.before(op)
	sync := op.Kind == vfs.OpSync || op.Kind == vfs.OpSyncDir
	if a, is := n.awaited[op.Kind]; is && strings.HasPrefix(op.Name, a.of) {
		delete(n.awaited, op.Kind)
		a.at()
	}
	if n.up() {
		for n.stalled > 0 && op.Writes() {
			n.env.Sleep(5 * time.Millisecond)
		}
		if sync && n.run.plan.Knobs.SyncTime > 0 {
			n.env.Sleep(time.Duration(n.latency.ExpFloat64() * float64(n.run.plan.Knobs.SyncTime) * float64(n.slow)))
		}
	}
	if sync && n.failAfter > 0 {
		if n.failAfter--; n.failAfter == 0 {
			n.run.world.Note("fault: %s of %s on %s fails", op.Kind, op.Name, n.name)
			n.run.came(n.failFault)
			n.dirty = true
			n.broken = n.broken || isOfLog(op)
			return vfs.SimulatedIO
		}
	}
	return n.badFile(op)
}

// badFile fails operations of files that are bad.
func (n *node) badFile(op vfs.Op) error {
	bad := &n.badRead
	switch op.Kind {
	case vfs.OpRead, vfs.OpView, vfs.OpMap:
	case vfs.OpWrite, vfs.OpCreate, vfs.OpTruncate, vfs.OpPreallocate:
		bad = &n.badWrite
	default:
		return nil
	}
	if *bad == (badFile{}) || !bad.fails(op.Name) {
		return nil
	}
	n.run.world.Note("fault: %s of %s on %s fails", op.Kind, op.Name, n.name)
	n.run.came(bad.fault)
	n.broken = n.broken || isOfLog(op)
	return vfs.SimulatedIO
}

// isOfLog reports whether an operation is a write or sync of records of the raft log. The header
// of a file that is to become a segment is neither: the log goes on without that.
func isOfLog(op vfs.Op) bool {
	isRecords := op.Kind == vfs.OpWrite && op.Off > 0 || op.Kind == vfs.OpSync && op.Len == 0
	return isRecords && strings.HasPrefix(op.Name, "raft/raft-")
}
