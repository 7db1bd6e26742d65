package sim

import (
	"time"

	"github.com/statordb/stator/internal/vfs"
)

// A rename is how files are replaced as a whole. Between it and the sync of the directory
// it may or may not have happened; many programs take it for durable too early.

func drawCrashAfterRename(d *drawer, f *Fault) {
	drawCrash(d, f)
	if f.N = 1 + d.IntN(10); f.Mode != "keep" && d.IntN(2) == 0 { // of two changes of a directory the later one may be there alone
		f.Mode = []string{"prefix", "tear", "garbage"}[d.IntN(3)] + ", any directories"
	}
}

func doCrashAfterRename(r *run, f *Fault) { r.crashAfter(f, vfs.OpRename) }

// doCrashAfterRemoval: a file goes when what was in it is elsewhere; many programs believe that
// too early.
func doCrashAfterRemoval(r *run, f *Fault) { r.crashAfter(f, vfs.OpRemove) }

// storeName is the directory where Knobs.lsm has the engine's files.
const (
	storeName = "store"
	storeDir  = storeName + "/"
	logName   = "raft"
	logDir    = logName + "/"
)

// An awaitedOp is an operation that somebody waits for.
type awaitedOp struct {
	of string // that the name of its file begins with
	at func()
}

// crashAfter waits for the next operation of a kind, and then, for as many as half of n, for another one behind it
// that changes the disk. If n is even only files of the store count: those of the log come and go more often. The engine
// is then made to flush, and to compact where files are to go: in a short run it would seldom do either.
func (r *run) crashAfter(f *Fault, kind vfs.OpKind) {
	for _, n := range r.targets(f) {
		happened := false
		if n.awaited == nil {
			n.awaited = map[vfs.OpKind]awaitedOp{}
		}
		only, patience := "", 100
		if f.N%2 == 0 {
			only, patience = storeDir, 300
		}
		n.awaited[kind] = awaitedOp{only, func() {
			n.disk.CrashAt(2+f.N/2, func() {
				happened = true
				r.came(f)
				n.holds++
				n.crash(r.mode(f))
			})
		}}
		for i := 0; i < patience && !happened && n.up(); i++ {
			if s := n.server; only != "" && s != nil && i%10 == 0 {
				s.e.Go("upkeep", func() {
					if s.store.Flush() == nil && kind == vfs.OpRemove {
						_ = s.store.Compact(nil, nil)
					}
				})
			}
			r.clients.Sleep(10 * time.Millisecond)
		}
		delete(n.awaited, kind)
		n.disk.CrashAt(0, nil)
		if happened {
			r.hold(f)
			n.holds--
		} else {
			r.excuse(f, "%s was down, or there was no such %s on its disk in time", n.name, kind)
		}
		n.restart()
	}
}
