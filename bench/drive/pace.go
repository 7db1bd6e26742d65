package drive

import (
	randomness "math/rand/v2"
	"time"
)

// A pacer gives the times at which one worker's operations are due. They are
// fixed by the rate and do not depend on when the target answers.
type pacer struct {
	gap  float64          // nanoseconds between two of this worker's operations, on average; 0: a closed loop
	next float64          // nanoseconds from the start
	gaps *randomness.Rand // of Poisson arrivals; nil: constant
}

// newPacer shares the rate among the workers. Constant arrivals of n workers take
// turns; n independent Poisson processes are one of n times the rate.
func newPacer(p Pace, worker, workers int, r *rand) pacer {
	if p.Rate <= 0 {
		return pacer{}
	}
	gap := float64(time.Second) / p.Rate
	t := pacer{gap: gap * float64(workers), next: gap * float64(worker)}
	if p.Arrivals != Constant {
		t.gaps = randomness.New(r)
		t.next = t.gaps.ExpFloat64() * t.gap
	}
	return t
}

// fill sets when the next operations are due.
func (t *pacer) fill(due []int64) {
	for i := range due {
		due[i] = int64(t.next)
		if t.gaps != nil {
			t.next += t.gaps.ExpFloat64() * t.gap // by a table: a logarithm costs more
		} else {
			t.next += t.gap
		}
	}
}
