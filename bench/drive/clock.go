package drive

import (
	"math/bits"
	"sync"
	"time"
)

// A clock counts nanoseconds from its start.
//
// Two readings of it are most of what the harness costs, so where the system's own clock is the processor's counter, that is read
// directly: 12 and 26 ns instead of 35 each, on an EPYC. What the counter does in a second is measured once.
type clock struct {
	start time.Time
	ticks uint64 // of the counter at the start
	scale uint64 // nanoseconds of a tick, times 2^scaleBits; 0: the counter is not used
}

// scaleBits leave room for ticks of 2^8 ns, and a scale that is true to some parts in 10^9.
const scaleBits = 56

func newClock() clock {
	c := clock{scale: tickScale()}
	c.start, c.ticks = time.Now(), ordered()
	return c
}

// now is for the end of what is measured: it is read after everything before it is done.
func (c *clock) now() int64 {
	if c.scale == 0 {
		return int64(time.Since(c.start))
	}
	return c.nanoseconds(ordered())
}

// begin is for the beginning. It may be read some instructions early, which makes what is measured seem longer, never shorter.
func (c *clock) begin() int64 {
	if c.scale == 0 {
		return int64(time.Since(c.start))
	}
	return c.nanoseconds(unordered())
}

func (c *clock) nanoseconds(ticks uint64) int64 {
	if ticks < c.ticks { // by some instructions
		return 0
	}
	high, low := bits.Mul64(ticks-c.ticks, c.scale)
	return int64(high<<(64-scaleBits) | low>>scaleBits)
}

// tickScale compares the counter with the system's clock, once in a process: 0 if it cannot be used.
var tickScale = sync.OnceValue(func() uint64 {
	if !counterIsClock() {
		return 0
	}
	// Of several short tries the two that were least disturbed: a pair of readings is as true as it is close together.
	firstTicks, first := pair()
	for time.Since(first) < calibration {
	}
	lastTicks, last := pair()
	took := last.Sub(first)
	if lastTicks <= firstTicks || took <= 0 {
		return 0
	}
	high, low := uint64(took)>>(64-scaleBits), uint64(took)<<scaleBits
	ticks := lastTicks - firstTicks
	if high >= ticks { // a tick is longer than can be written: this is no such counter
		return 0
	}
	scale, _ := bits.Div64(high, low, ticks)
	return scale
})

// calibration is how long the counter is compared: with pairs true to 50 ns, to 2.5 parts in a million.
const calibration = 20 * time.Millisecond

// pair reads both clocks as close together as it succeeds.
func pair() (ticks uint64, at time.Time) {
	closest := uint64(1 << 63)
	for range 20 {
		before := ordered()
		now := time.Now()
		after := ordered()
		if d := after - before; d < closest {
			ticks, at, closest = before+d/2, now, d
		}
	}
	return ticks, at
}
