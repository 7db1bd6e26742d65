package drive

import (
	"testing"
	"time"
)

// The processor's counter and the system's clock agree, whichever is read.
func TestClock(t *testing.T) {
	for _, c := range []clock{newClock(), {start: time.Now()}} {
		before := time.Since(c.start)
		begin, now := c.begin(), c.now()
		after := time.Since(c.start)
		// Some parts in a million, and what lies between the two starts.
		if slack := 20 * time.Microsecond; time.Duration(begin) < before-slack || time.Duration(now) > after+slack || now < begin-1000 {
			t.Errorf("scale %d: %d and %d ns, the system's clock says %d to %d", c.scale, begin, now, before, after)
		}
	}
}

// Over a longer time they do not drift apart.
func TestClockRate(t *testing.T) {
	c := newClock()
	if c.scale == 0 {
		t.Skip("the system's clock is not the processor's counter")
	}
	for time.Since(c.start) < 50*time.Millisecond {
	}
	low := time.Since(c.start)
	got := time.Duration(c.now())
	high := time.Since(c.start)
	if slack := 50 * time.Microsecond; got < low-slack || got > high+slack {
		t.Errorf("%v, the system's clock says %v to %v", got, low, high)
	}
	// A counter that is read before the clock began is 0, not far in the future.
	if got := c.nanoseconds(c.ticks - 5); got != 0 {
		t.Errorf("%d ns before its start", got)
	}
	// A day is no overflow.
	day := uint64(float64(24*time.Hour) / (float64(c.scale) / (1 << scaleBits)))
	if got := time.Duration(c.nanoseconds(c.ticks + day)); got < 24*time.Hour-time.Second || got > 24*time.Hour+time.Second {
		t.Errorf("a day is %v", got)
	}
}
