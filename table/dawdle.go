package table

import (
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/txn"
)

// Between the steps of a transaction, or of a read that meets one, anything may happen: a task is not scheduled, a
// message waits in a queue, or never arrives. All this is legal at any time, and on links of a millisecond so rare that
// no two steps of different requests would ever fall together. So the simulator has some worlds where all steps
// dawdle, each now and then. In production there is nothing of it.

// dawdling is one point for all steps: what is of interest takes two that are late in the same world.
const dawdling env.Point = "table: steps of transactions dawdle"

// dawdle lets others go first, for up to 256 ms; in a node that is alone, and so much quicker, for up to 16.
func (c *core) dawdle() {
	if c.env.Buggify(dawdling) {
		c.env.Sleep(c.anyPause())
	}
}

// lateLooks is how often comeLate looks whether a transaction is over.
const lateLooks = 8

// comeLate has whoever met a transaction at an item go on only when it is over and forgotten, if that comes soon: nothing of what
// was seen is so any more. A step that merely dawdles is rarely late by just so much.
func (c *core) comeLate(by env.Point, id txn.ID, anchor partition.Place) {
	if !c.env.Buggify(by) {
		return
	}
	for range lateLooks {
		c.env.Sleep(c.anyPause())
		v, err := c.look(id, anchor.Table, []uint64{anchor.Hash})
		if err != nil || v.Outcome != txn.Prepared && v.Outcome != txn.Committed {
			c.env.Sometimes("table: transaction is over before anybody asks")
			return
		}
	}
}

// anyPause draws a pause whose order of magnitude is as likely as any other.
func (c *core) anyPause() time.Duration {
	orders := uint64(9)
	if c.calls == nil {
		orders = 5
	}
	longest := time.Millisecond << (c.env.Rand() % orders)
	return 1 + time.Duration(c.env.Rand()%uint64(longest))
}

// inform sends a message about a transaction of which its client has been told. Such a message may be lost, come
// after its sender has given it up, or come a second time, late: what is repeated has no further effect, and what is lost is made good by
// whoever comes across the transaction.
func (c *core) inform(send func() error) error {
	c.dawdle()
	if !c.env.Buggify("table: messages about transactions are lost or late") {
		return send()
	}
	fate := c.env.Rand() % 3
	if fate > 0 {
		pause := 8 * c.anyPause()
		c.keep("late message", func() {
			if _, _, closing := c.closing.AwaitFor(pause); !closing {
				_ = send()
			}
		})
	}
	if fate < 2 {
		return replication.ErrUnknownOutcome
	}
	return send()
}
