package sim

import "time"

// A rename is how files are replaced as a whole. Between it and the sync of the directory
// it may or may not have happened; many programs take it for durable too early.

func drawCrashAfterRename(d *drawer, f *Fault) {
	drawCrash(d, f)
	f.N = 1 + d.IntN(8)
}

// doCrashAfterRename waits for the next rename, and then for the n-th operation behind it
// that changes the disk.
func doCrashAfterRename(r *run, f *Fault) {
	for _, n := range r.targets(f) {
		happened := false
		n.renamed = func() {
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
		n.renamed = nil
		n.disk.CrashAt(0, nil)
		if happened {
			r.hold(f)
			n.holds--
		} else {
			r.excuse(f, "%s was down, or renamed nothing in a second", n.name)
		}
		n.restart()
	}
}
