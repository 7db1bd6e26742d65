package table

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/txn"
)

// A transaction that has items of several partitions is decided at its anchor, in the
// partition of which the ledger of package txn has a record. Whoever meets a transaction asks there.

const (
	// staleAfter is how long a transaction may be undecided before whoever comes across it
	// takes its coordinator for dead.
	staleAfter = 5 * time.Second
	// cancelledFor is how long the record of a cancelled transaction stays.
	cancelledFor = 10 * time.Minute
	// transactionPause is between two looks at what transactions have left.
	transactionPause = time.Second
)

// at carries out f for the partition that has a place, and looks for it anew while it is
// not the one. It returns errGone if no table has the place any more.
func (c *core) at(l partition.Place, f func(p *livePartition) error) error {
	for d := c.newDetour(); ; {
		p := c.directory.find(l.Table, l.Hash)
		err := error(errGone)
		if p != nil {
			err = f(p)
		}
		gone := p == nil && d.pause > 0 // also by what the catalog says now
		if !isOutdated(err) || gone || !d.wait() {
			return err
		}
	}
}

// decisionOf returns what is recorded of a transaction, as of now; Undecided if nothing is.
func (c *core) decisionOf(id txn.ID, anchor partition.Place) (outcome txn.Outcome, at txn.Timestamp, err error) {
	err = c.at(anchor, func(p *livePartition) error {
		outcome, at, err = p.decision(id, anchor.Hash)
		return err
	})
	return outcome, at, err
}

func (p *livePartition) decision(id txn.ID, hash uint64) (outcome txn.Outcome, at txn.Timestamp, err error) {
	if p.near(true) {
		if err = p.settle(true); err == nil {
			if outcome, at, err = p.DecisionAt(id, hash); err == nil {
				return outcome, at, nil
			}
		}
		if p.core.calls == nil || isAnswer(err) {
			return outcome, at, err
		}
	}
	err = p.core.fetch(p.id, true, partition.AppendDecisionRequest(nil, id, hash), func(p *livePartition) error {
		outcome, at, err = p.DecisionAt(id, hash)
		return err
	}, func(answer []byte) error {
		outcome, at, err = partition.DecodeDecisionAnswer(answer)
		return err
	})
	return outcome, at, err
}

// settleAt has a transaction decided: it is cancelled, unless it was decided before.
func (c *core) settleAt(id txn.ID, anchor partition.Place) (outcome txn.Outcome, at txn.Timestamp, err error) {
	c.env.Sometimes("table: transaction is settled by somebody")
	command := partition.Command{Kind: partition.Settle, Transaction: &partition.Transaction{ID: id, Hashes: []uint64{anchor.Hash}}}
	err = c.at(anchor, func(p *livePartition) error {
		r, err := p.run(&command)
		if err == nil {
			outcome, at = r.Transaction.Outcome, r.Transaction.At
		}
		return err
	})
	return outcome, at, err
}

// resolve tells partitions what became of a transaction that has taken items with these hashes.
// A table that is gone has nothing to be told.
func (c *core) resolve(id txn.ID, outcome txn.Outcome, at txn.Timestamp, table uint32, hashes []uint64) error {
	for len(hashes) > 0 {
		var now []uint64
		err := c.at(partition.Place{Table: table, Hash: hashes[0]}, func(p *livePartition) error {
			now = nil
			for _, h := range hashes {
				if p.first <= h && h <= p.last {
					now = append(now, h)
				}
			}
			_, err := p.run(&partition.Command{Kind: partition.Resolve, Transaction: &partition.Transaction{
				ID: id, Outcome: outcome, At: at, Hashes: now,
			}})
			return err
		})
		if errors.Is(err, errGone) {
			return nil
		}
		if err != nil {
			return err
		}
		hashes = slices.DeleteFunc(slices.Clone(hashes), func(h uint64) bool { return slices.Contains(now, h) })
	}
	return nil
}

// forget takes the record of a transaction away, of which nobody will ask any more.
func (c *core) forget(id txn.ID, anchor partition.Place) error {
	return c.at(anchor, func(p *livePartition) error {
		_, err := p.run(&partition.Command{Kind: partition.Forget, Transaction: &partition.Transaction{ID: id, Hashes: []uint64{anchor.Hash}}})
		return err
	})
}

// unblock finds out what became of a transaction that has taken items, and has their
// partition act on it. It reports false if the transaction is being carried out.
func (c *core) unblock(t *partition.ConflictError, table uint32, hashes []uint64) (free bool, err error) {
	outcome, at, err := c.decisionOf(t.ID, t.Anchor)
	if err == nil && outcome == txn.Undecided {
		if c.clock.Now().Physical()-t.ID.Born.Physical() < env.Time(staleAfter) {
			return false, nil
		}
		outcome, at, err = c.settleAt(t.ID, t.Anchor)
	}
	if errors.Is(err, errGone) {
		outcome, err = txn.Cancelled, nil // with its table
	}
	if err != nil {
		return false, fmt.Errorf("transaction %v: %w", t.ID, err)
	}
	c.env.Sometimes("table: a transaction is resolved by who comes across it")
	return true, c.resolve(t.ID, outcome, at, table, hashes)
}

// contend deals with a write that met a transaction: if that one is decided, the write is carried
// out after it.
func (w *pendingWrite) contend(r *partition.Result) (*partition.Result, error) {
	c := w.to.core
	for range maxContends {
		var taken *partition.ConflictError
		if r.Err == nil || !errors.As(r.Err, &taken) {
			return r, nil
		}
		row := w.table.schema.AppendRowKey(nil, w.key)
		free, err := c.unblock(taken, w.table.id, []uint64{partition.RowHash(row)})
		if err != nil || !free {
			return r, nil
		}
		partition.Renew(w.command, c.requestID(), c.clock.Now())
		w.proposal = w.to.propose(w.command)
		if r, err = w.outcome(); err != nil {
			return nil, err
		}
		if r, err = w.follow(r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// readItems reads items of one partition, from its leader.
func (p *livePartition) readItems(keys [][]byte, versionsOnly bool) (reads []partition.ItemRead, err error) {
	if p.near(true) {
		if err = p.settle(true); err == nil {
			if reads, err = p.ReadItems(keys, versionsOnly); err == nil {
				return reads, nil
			}
		}
		if p.core.calls == nil || isAnswer(err) {
			return nil, err
		}
	}
	err = p.core.fetch(p.id, true, partition.AppendItemsRequest(nil, keys, versionsOnly), func(p *livePartition) (err error) {
		reads, err = p.ReadItems(keys, versionsOnly)
		return err
	}, func(answer []byte) (err error) {
		reads, err = partition.DecodeItemsAnswer(answer)
		if err == nil && len(reads) != len(keys) {
			err = errCall
		}
		return err
	})
	return reads, err
}

// getSettled reads an item that a transaction may be at.
//
// That the ledger knows nothing of the transaction means one of two things: it is not decided,
// or it was committed, carried out everywhere and forgotten since it was seen at the item. Who still sees it
// there afterwards knows that it was the first: nothing is forgotten before the items are free. Then the
// item, as it is without the transaction, was good when the ledger was asked.
func (p *livePartition) getSettled(row []byte) (item.Item, error) {
	keys := [][]byte{slices.Clone(row)}
	var undecided txn.ID // so the ledger said of it, after it was seen at the item
	for {
		reads, err := p.readItems(keys, false)
		if err != nil {
			return nil, err
		}
		r := &reads[0]
		if r.Ongoing == nil || r.Ongoing.ID == undecided {
			return r.Item, nil
		}
		free, err := p.core.unblock(r.Ongoing, p.table, []uint64{partition.RowHash(row)})
		if err != nil {
			return nil, err
		}
		if !free {
			if undecided = r.Ongoing.ID; plant.On(plant.ForgottenTakenForUndecided) {
				return r.Item, nil
			}
		}
	}
}

// unfinished wakes watchTransactions.
func (c *core) unfinished() { c.stirred.TrySend(struct{}{}) }

// watchTransactions finishes what coordinators have left that died, as long as the service is open.
// While there are no transactions it sleeps.
func (c *core) watchTransactions() {
	seen := make(map[txn.ID]env.Mono) // when a transaction was first found unfinished
	for env.WaitAny(c.env, c.closing, c.stirred) != 0 {
		c.stirred.TryRecv()
		for busy := true; busy; {
			if _, _, closing := c.closing.AwaitFor(transactionPause); closing {
				return
			}
			busy = c.sweepTransactions(seen)
		}
		clear(seen)
	}
}

// sweepTransactions looks through the partitions that are led here. It reports whether there
// is something unfinished on this node.
func (c *core) sweepTransactions(seen map[txn.ID]env.Mono) (busy bool) {
	now := c.env.Now()
	found := make(map[txn.ID]env.Mono)
	age := func(id txn.ID) time.Duration {
		first, known := seen[id]
		if !known {
			first = now
		}
		found[id] = first
		return now.Sub(first)
	}
	for _, p := range c.directory.hosted() {
		if !p.Unfinished() {
			continue
		}
		busy = true
		if !p.leads() || c.closing.Ready() {
			continue
		}
		for _, t := range p.OngoingIn(0, ^uint64(0)) {
			if age(t.ID) >= staleAfter {
				c.recoverItems(p, &t)
			}
		}
		for _, d := range p.Decided() {
			old := age(d.ID)
			if d.Outcome == txn.Committed && old >= staleAfter || old >= cancelledFor {
				c.recoverDecided(p, d)
			}
		}
	}
	clear(seen)
	for id, first := range found { //sim:ok only copies into another map
		seen[id] = first
	}
	return busy
}

// recoverItems ends that a transaction whose coordinator may be dead has items of a partition.
func (c *core) recoverItems(p *livePartition, t *partition.OngoingTransaction) {
	c.env.Sometimes("table: items of a dead coordinator are freed")
	if plant.On(plant.UnilateralAbort) {
		_ = c.resolve(t.ID, txn.Cancelled, 0, p.table, t.Hashes)
		return
	}
	c.finish(txn.NewRecovery(t.ID, 2, true), t.ID, t.Anchor, []partition.Place{{}, {Table: p.table}}, func(int) []uint64 { return t.Hashes })
}

// recoverDecided tells the participants of a transaction that was committed, and takes its record
// away.
func (c *core) recoverDecided(p *livePartition, d partition.DecidedTransaction) {
	anchor := partition.Place{Table: p.table, Hash: d.Hash}
	others, err := p.Others(d)
	switch {
	case err != nil:
		return
	case d.Outcome == txn.Cancelled:
		_ = c.forget(d.ID, anchor)
		return
	}
	c.env.Sometimes("table: transaction of a dead coordinator is finished")
	c.finish(txn.NewRecovery(d.ID, 1+len(others), false), d.ID, anchor, append([]partition.Place{{}}, others...),
		func(i int) []uint64 { return []uint64{others[i-1].Hash} })
}

// finish drives a recovery. Participants but the first are the places.
func (c *core) finish(machine *txn.Coordinator, id txn.ID, anchor partition.Place, places []partition.Place, hashes func(i int) []uint64) {
	messages := machine.Start()
	for len(messages) > 0 {
		var next []txn.Message
		for _, m := range messages {
			r := txn.Reply{From: m.To, Op: m.Op}
			var err error
			switch m.Op {
			case txn.OpSettle:
				r.Outcome, r.At, err = c.settleAt(id, anchor)
				if errors.Is(err, errGone) {
					r.Outcome, err = txn.Cancelled, nil
				}
			case txn.OpForget:
				_ = c.forget(id, anchor)
				continue
			case txn.OpCommit:
				err = c.resolve(id, txn.Committed, m.At, places[m.To].Table, hashes(m.To))
			case txn.OpCancel:
				err = c.resolve(id, txn.Cancelled, 0, places[m.To].Table, hashes(m.To))
			}
			r.Lost = err != nil
			next = append(next, machine.Step(r)...)
		}
		messages = next
	}
}
