package sim

import (
	"time"

	"github.com/statordb/stator/internal/vfs"
)

// A rename is how files are replaced as a whole. Between it and the sync of the directory
// it may or may not have happened; many programs take it for durable too early.

func drawCrashAfterRename(d *drawer, f *Fault) {
	drawCrash(d, f)
	f.N = 1 + d.IntN(8)
}

func doCrashAfterRename(r *run, f *Fault) { r.crashAfter(f, vfs.OpRename) }

// doCrashAfterRemoval: a file goes when what was in it is elsewhere; many programs believe that
// too early.
func doCrashAfterRemoval(r *run, f *Fault) { r.crashAfter(f, vfs.OpRemove) }

// crashAfter waits for the next operation of a kind, and then for the n-th one behind it
// that changes the disk.
func (r *run) crashAfter(f *Fault, kind vfs.OpKind) {
	for _, n := range r.targets(f) {
		happened := false
		if n.awaited == nil {
			n.awaited = map[vfs.OpKind]func(){}
		}
		n.awaited[kind] = func() {
			n.disk.CrashAt(1+max(1, f.N), func() {
				happened = true
				r.came(f)
				n.holds++
				n.crash(r.mode(f))
			})
		}
		for i := 0; i < 100 && !happened && n.up(); i++ {
			r.clients.Sleep(10 * time.Millisecond)
		}
		delete(n.awaited, kind)
		n.disk.CrashAt(0, nil)
		if happened {
			r.hold(f)
			n.holds--
		} else {
			r.excuse(f, "%s was down, or there was no %s on its disk in a second", n.name, kind)
		}
		n.restart()
	}
}
