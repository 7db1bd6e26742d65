package table

import (
	"errors"
	"fmt"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/partition"
)

// A detour is a request on its way to a partition that has moved: one that was split has
// refused it, so the catalog has, or will have, another one for the key. Between the
// split and the catalog's word of it there is a moment, or, if the node in charge is
// lost just then, the time until another one has taken over.
type detour struct {
	core     *core
	deadline env.Mono
	pause    time.Duration // before the next attempt; 0 = the first
	blind    error         // why the catalog could not be asked before the last attempt
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
	if d.blind = c.refresh(); d.blind != nil {
		c.env.Sometimes("table: the catalog cannot be asked")
	}
	return true
}

// late returns the error of a request that has not found its partition in time.
func (d *detour) late(err error) error {
	if errors.Is(err, partition.ErrWrongPartition) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// gone returns the error of a request whose table has no place for its key: it does not
// exist, if the catalog has said so.
func (d *detour) gone(table string) error {
	if d.blind != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, d.blind)
	}
	return &NotFoundError{Table: table}
}
