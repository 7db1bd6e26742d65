package txn

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/statordb/stator/internal/env"
)

// ErrAhead means that a timestamp from elsewhere is so far in the future that
// a clock must be wrong.
var ErrAhead = errors.New("txn: timestamp ahead of the clock")

// maxAhead is how far beyond its own uncertainty a Clock lets itself be pulled
// forward. A stamp from a broken clock would otherwise spread to every node
// and make all of them run ahead for as long as the error lasts.
const maxAhead = 5 * time.Second

// A Clock hands out Timestamps that are close to the wall clock, strictly
// ascend, and are greater than every Timestamp it was shown, whatever the wall
// clock does.
//
// What it remembers ends with the process: after a restart its owner shows it
// the greatest timestamp found on disk, with Restore, before asking for new ones.
//
// A Clock is safe for concurrent use. An idle one costs nothing.
type Clock struct {
	env  *env.Env
	last atomic.Uint64 // the greatest Timestamp handed out or shown
}

// NewClock returns a clock over e's wall clock.
func NewClock(e *env.Env) *Clock { return &Clock{env: e} }

// Now returns a new Timestamp.
func (c *Clock) Now() Timestamp {
	wall, _ := c.env.Wall()
	for {
		last := c.last.Load()
		now := max(uint64(TimestampAt(wall)), last+1)
		if c.last.CompareAndSwap(last, now) {
			return Timestamp(now)
		}
	}
}

// Last returns the greatest Timestamp handed out or shown so far.
func (c *Clock) Last() Timestamp { return Timestamp(c.last.Load()) }

// Observe shows c a timestamp that came from another node; later ones will be
// greater. It refuses one that is further ahead than clocks can differ, with
// ErrAhead; whoever sent it must not be believed.
//
// When wall clocks are set back, all nodes are ahead of theirs until these have caught up, and each
// by something else. So a clock that is that far ahead itself compares with what it has seen.
func (c *Clock) Observe(t Timestamp) error {
	wall, bound := c.env.Wall()
	limit := TimestampAt(wall + env.Time(bound+maxAhead))
	if last := c.Last(); last > limit {
		limit = TimestampAt(last.Physical() + env.Time(maxAhead))
	}
	if t > limit {
		return fmt.Errorf("%w: %v is beyond %v", ErrAhead, t, limit)
	}
	c.Restore(t)
	return nil
}

// Restore shows c a timestamp of its own past. It is believed in any case: if
// the wall clock was set back over a restart, time must still not go back.
func (c *Clock) Restore(t Timestamp) {
	for {
		last := c.last.Load()
		if uint64(t) <= last || c.last.CompareAndSwap(last, uint64(t)) {
			return
		}
	}
}
