package table

import (
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/txn"
)

// The record of a transaction that is done stands in nobody's way, so it is taken away with those of others: one
// round of the log for all of them, instead of one for each. What is left when the service closes, or
// dies, is found by who leads the partition; see sweepTransactions.
type forgetting struct {
	mu   env.Leaf
	list []forgettable // not empty: a task is on its way
}

// A forgettable is a transaction that all participants have been told of.
type forgettable struct {
	id     txn.ID
	anchor partition.Place
}

// forgetPause is how long records wait for others.
const forgetPause = 200 * time.Millisecond

// forgetLater has the record of a transaction taken away, of which nobody will ask any more.
func (c *core) forgetLater(id txn.ID, anchor partition.Place) {
	f := &c.forgets
	f.mu.Lock()
	f.list = append(f.list, forgettable{id, anchor})
	first := len(f.list) == 1
	f.mu.Unlock()
	if !first {
		return
	}
	pause := min(forgetPause, c.stale/4)
	if c.env.Buggify(dawdling) {
		pause = 1
	}
	c.keep("forget transactions", func() {
		if _, _, closing := c.closing.AwaitFor(pause); closing {
			return // the list stays as it is: there is no other task
		}
		f.mu.Lock()
		list := f.list
		f.list = nil
		f.mu.Unlock()
		c.forgetAll(list)
	})
}

// forgetAll proposes all before it waits for the first. What fails is left to who leads the partition.
func (c *core) forgetAll(list []forgettable) {
	sent := make([]proposal, 0, len(list))
	for i := range list {
		f := &list[i]
		if p := c.directory.find(f.anchor.Table, f.anchor.Hash); p != nil {
			sent = append(sent, p.propose(forgetCommand(f.id, f.anchor).Encode()))
		}
	}
	for i := range sent {
		_, _ = sent[i].outcome()
	}
}

func forgetCommand(id txn.ID, anchor partition.Place) *partition.Command {
	return &partition.Command{Kind: partition.Forget, Transaction: &partition.Transaction{ID: id, Hashes: []uint64{anchor.Hash}}}
}
