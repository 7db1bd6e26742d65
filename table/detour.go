package table

import (
	"time"

	"github.com/statordb/stator/internal/env"
)

// A detour is a request on its way to a partition that has moved: one that was split has
// refused it, so the catalog has, or will have, another one for the key. Between the
// split and the catalog's word of it there is a moment, or, if the node in charge is
// lost just then, the time until another one has taken over.
type detour struct {
	core     *core
	deadline env.Mono
	pause    time.Duration // before the next attempt; 0 = the first
}

const (
	minDetour = time.Millisecond
	maxDetour = 50 * time.Millisecond
)

func (c *core) newDetour() *detour {
	return &detour{core: c, deadline: c.env.Now().Add(c.patience)}
}

// wait returns true when it is worth while to look for the partition anew, with the tables as
// the catalog has them now; false when it is too late for that.
func (d *detour) wait() bool {
	c := d.core
	left := d.deadline.Sub(c.env.Now())
	if left <= 0 || c.closing.Ready() {
		return false
	}
	if d.pause > 0 {
		c.env.Sleep(min(d.pause, left))
	}
	d.pause = min(max(minDetour, 2*d.pause), maxDetour)
	if err := c.refresh(); err != nil {
		c.env.Sometimes("table: the catalog cannot be asked")
	}
	return true
}
