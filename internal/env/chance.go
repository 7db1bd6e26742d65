package env

import (
	"maps"
	"math/bits"
	"math/rand/v2"
)

// Stream returns the world's random stream of that name. What one stream
// gives depends on the seed and the name only, not on who else draws: a new
// node, disk or client does not change the luck of the others.
func (w *World) Stream(name string) *rand.Rand {
	return rand.New(rand.NewPCG(w.seed, hashString(offset64, name)))
}

// draw returns one of 0..n-1.
func (w *World) draw(n int) int {
	if n == 1 {
		return 0
	}
	hi, _ := bits.Mul64(w.chance.Uint64(), uint64(n)) // the bias is below n/2^64
	return int(hi)
}

// leafYields says whether to let others run before a leaf is taken.
func (w *World) leafYields() bool {
	return w.opt.LeafYields > 0 && w.draw(256) < w.opt.LeafYields
}

// drawChanges places the change points of PCT.
func (w *World) drawChanges() {
	w.changes = map[uint64]bool{}
	for range w.opt.ChangePoints {
		w.changes[uint64(1+w.draw(w.opt.Horizon))] = true
	}
}

// A point is one place of Buggify.
type point struct {
	active bool
	stream *rand.Rand
}

func (w *World) buggify(p Point) bool {
	w.enter()
	if w.opt.NoBuggify {
		return false
	}
	pt := w.points[p]
	if pt == nil {
		stream := w.Stream("buggify/" + string(p))
		pt = &point{active: stream.Uint64()%4 == 0, stream: stream}
		w.points[p] = pt
	}
	return pt.active && pt.stream.Uint64()%4 == 0
}

func (w *World) sometimes(m Mark) {
	w.enter()
	w.marks[m]++
}

// Marks returns how often each state that Env.Sometimes names was reached.
func (w *World) Marks() map[Mark]uint64 { return maps.Clone(w.marks) }
