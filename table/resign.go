package table

import (
	"time"

	"github.com/statordb/stator/internal/env"
)

// resigning bounds how many groups are given away at a time.
const resigning = 64

// Resign gives the groups that this node leads to others, so that nobody has to wait
// for an election once it stops, and takes no new ones. It returns when that is done,
// or cannot be done within patience. The node goes on as a follower.
func (c *core) Resign(patience time.Duration) {
	if c.calls == nil || c.catalogGroup == nil || c.resigned.Swap(true) { // it may not have opened
		return
	}
	until := c.env.Now().Add(patience)
	queue := env.NewQueue[heldGroup](c.env, resigning)
	tasks := env.NewGroup(c.env)
	for range resigning {
		tasks.Go("resign", func() error {
			for {
				h, ok := queue.Recv()
				if !ok {
					return nil
				}
				if c.env.Now() < until && !c.closing.Ready() {
					c.giveAway(h)
				}
			}
		})
	}
	for _, p := range c.directory.hosted() {
		queue.Send(heldGroup{p.id, p.group})
	}
	if c.catalogGroup != nil { // the disk may have been too full to start it
		queue.Send(heldGroup{catalogGroup, c.catalogGroup})
	}
	queue.Close()
	_ = tasks.Wait()
}

// A heldGroup is one of which this node has a replica.
type heldGroup struct {
	id    uint64
	group group
}

// giveAway tries the other voters that have caught up, one after the other.
func (c *core) giveAway(h heldGroup) {
	if !h.group.Leading() {
		return
	}
	status, err := h.group.Status()
	if err != nil {
		return
	}
	for _, to := range others(status.Members.Voters, c.self) {
		if isCaughtUp(&status, to) && c.isFit(to, h.id) && h.group.Transfer(to) == nil {
			c.env.Sometimes("table: leadership is given away before a stop")
			return
		}
	}
}
