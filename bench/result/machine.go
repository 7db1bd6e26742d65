package result

import (
	"runtime"
	"time"

	"github.com/statordb/stator/bench"
)

// A Machine is what it was like while a round was measured: what the round itself does not change. A figure is no better than its
// machine was just then.
type Machine struct {
	// Others is the share of all processors' time that neither the target nor the harness took: other processes and, on a virtual machine,
	// other guests.
	Others float64 `json:"others"`

	// Before the round, in processor time: a multiplication that waits for the one before, and a read of memory that does.
	Spin   float64 `json:"spin_ns"`
	Memory float64 `json:"memory_ns"`
}

// A Watch looks at the machine while something runs. One serves all rounds: it keeps what it reads from.
type Watch struct {
	chain []uint64
	now   Machine
	began time.Time
	busy  time.Duration
}

// Begin probes, in some 15 ms, and then looks.
func (w *Watch) Begin() {
	if w.chain == nil {
		w.chain = newChain()
	}
	w.now = Machine{Spin: spinCost(), Memory: chainCost(w.chain)}
	w.busy, w.began = bench.BusyTime(), time.Now()
}

// End says what the machine was like since, when own is what the target and the harness used of its processors. It is nil
// if the system does not say.
func (w *Watch) End(own time.Duration) *Machine {
	took, busy := time.Since(w.began), bench.BusyTime()-w.busy
	m := w.now
	if busy <= 0 || took <= 0 {
		return nil
	}
	all := float64(took) * float64(runtime.NumCPU())
	m.Others = min(1, max(0, float64(busy-own)/all))
	return &m
}

// spinCost is the processor time of one multiplication in a chain.
func spinCost() float64 {
	const n = 1_000_000
	x := uint64(1)
	begin := bench.CPUTime()
	for range n {
		x = x*6364136223846793005 + 1
	}
	took := bench.CPUTime() - begin
	if x == 0 { // never; but the loop must not be left out
		return 0
	}
	return float64(took) / n
}

const chainSize = 8 << 20 // of 8 bytes: more than caches hold

// newChain goes through all of the array in an order that no prefetcher guesses.
func newChain() []uint64 {
	next := make([]uint64, chainSize)
	for i := range uint64(chainSize) {
		next[i] = (i*0x9e3779b1 + 12345) % chainSize // a linear congruence with one cycle through all
	}
	return next
}

// chainCost is the processor time of one step.
func chainCost(next []uint64) float64 {
	const reads = 50_000
	at := uint64(time.Now().UnixNano()) % chainSize // not where the last one began: that may be in a cache
	begin := bench.CPUTime()
	for range reads {
		at = next[at]
	}
	took := bench.CPUTime() - begin
	if at >= chainSize { // never; but the loop must not be left out
		return 0
	}
	return float64(took) / reads
}
