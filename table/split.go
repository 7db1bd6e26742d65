package table

import (
	"errors"
	"fmt"
)

// ErrNoSplits refuses to split partitions.
var ErrNoSplits = errors.New("table: partitions cannot be split yet")

// SplitGroup splits a partition in two, at a hash, or, with 0, so that both parts have
// about the same amount of data. It returns the group of the new one, which has the hashes
// from there on.
//
// Errors: ErrNoGroup, ErrNoSplits, *ElsewhereError.
func (c *core) SplitGroup(group, at uint64) (child uint64, err error) {
	c.control.Lock()
	defer c.control.Unlock()
	if err := c.inCharge(); err != nil {
		return 0, err
	}
	if _, s := c.catalog.snapshot().slotOf(group); s == nil {
		return 0, fmt.Errorf("%w: %d", ErrNoGroup, group)
	}
	return 0, ErrNoSplits
}
