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

// A transaction that has items of several partitions is committed when all of them have accepted it. That with its
// anchor has a record, which names the others. Whoever meets a transaction asks there first.

const (
	// defaultStale is that of Options.TransactionPatience.
	defaultStale = 5 * time.Second
	// defaultCancelledFor is that of Options.CancelledFor.
	defaultCancelledFor = 10 * time.Minute
	// transactionPause is between two looks at what transactions have left, at most.
	transactionPause    = time.Second
	minTransactionPause = 20 * time.Millisecond
)

// at carries out f for the partition that has a place, and looks for it anew while it is
// not the one. It returns errGone if no table has the place any more.
func (c *core) at(l partition.Place, f func(p *livePartition) error) error {
	for d := c.newDetour(); ; {
		p := c.directory.find(l.Table, l.Hash)
		err := error(errGone)
		switch {
		case p == nil:
		case c.calls == nil && p.group == nil: // and there are no others
			err = p.notStarted()
		default:
			err = f(p)
		}
		gone := p == nil && d.pause > 0 // also by what the catalog says now
		if !isOutdated(err) || gone || !d.wait() {
			return d.late(err)
		}
	}
}

// votesOn has f ask the partitions that have hashes of a table, and puts together what they
// say: they have accepted if all have. It returns errGone if one is gone.
func (c *core) votesOn(table uint32, hashes []uint64, f func(p *livePartition, hashes []uint64) (partition.Vote, error)) (all partition.Vote, err error) {
	all.Outcome = txn.Prepared
	err = c.spread(table, hashes, func(p *livePartition, hashes []uint64) error {
		v, err := f(p, hashes)
		if err != nil {
			return err
		}
		if all.Outcome == txn.Prepared {
			all.Outcome = v.Outcome
		}
		all.At, all.Sizes = max(all.At, v.At), partition.MergeSizes(all.Sizes, v.Sizes)
		if v.Others != nil {
			all.Others = v.Others
		}
		return nil
	})
	if err != nil {
		return partition.Vote{}, err
	}
	return all, nil
}

// spread carries out f for each partition that has some of the hashes, with these.
func (c *core) spread(table uint32, hashes []uint64, f func(p *livePartition, hashes []uint64) error) error {
	for len(hashes) > 0 {
		var now []uint64
		err := c.at(partition.Place{Table: table, Hash: hashes[0]}, func(p *livePartition) error {
			now = p.among(hashes)
			return f(p, now)
		})
		if err != nil {
			return err
		}
		hashes = slices.DeleteFunc(slices.Clone(hashes), func(h uint64) bool { return slices.Contains(now, h) })
	}
	return nil
}

// among returns those of the hashes that the partition serves.
func (p *livePartition) among(hashes []uint64) (mine []uint64) {
	for _, h := range hashes {
		if p.first <= h && h <= p.last {
			mine = append(mine, h)
		}
	}
	return mine
}

// look asks what partitions know of a transaction that has items with these hashes, as of now.
func (c *core) look(id txn.ID, table uint32, hashes []uint64) (partition.Vote, error) {
	return c.votesOn(table, hashes, func(p *livePartition, hashes []uint64) (partition.Vote, error) { return p.vote(id, hashes) })
}

func (p *livePartition) vote(id txn.ID, hashes []uint64) (v partition.Vote, err error) {
	if p.near(true) {
		if err = p.settle(true); err == nil {
			if v, err = p.VoteAt(id, hashes); err == nil {
				return v, nil
			}
		}
		if p.core.calls == nil || isAnswer(err) {
			return v, err
		}
	}
	err = p.core.fetch(p.id, true, partition.AppendVoteRequest(nil, id, hashes), func(p *livePartition) (err error) {
		v, err = p.VoteAt(id, hashes)
		return err
	}, func(answer []byte) (err error) {
		v, err = partition.DecodeVoteAnswer(answer)
		return err
	})
	return v, err
}

// settleAt has partitions say for good whether they have accepted a transaction.
func (c *core) settleAt(id txn.ID, table uint32, hashes []uint64) (partition.Vote, error) {
	c.env.Sometimes("table: transaction is settled by somebody")
	return c.votesOn(table, hashes, func(p *livePartition, hashes []uint64) (v partition.Vote, err error) {
		r, err := p.run(&partition.Command{Kind: partition.Settle, Transaction: &partition.Transaction{ID: id, Hashes: hashes}})
		if err == nil {
			v = partition.Vote{Outcome: r.Transaction.Outcome, At: r.Transaction.At, Sizes: r.Transaction.Sizes, Others: r.Transaction.Others}
		}
		return v, err
	})
}

// decide has it recorded what became of a transaction, and the items at the anchor, which have these
// hashes, do what follows. The hash of the anchor is the first.
func (c *core) decide(id txn.ID, outcome txn.Outcome, at txn.Timestamp, table uint32, hashes []uint64, sizes []int) (decided txn.Outcome, when txn.Timestamp, err error) {
	var now []uint64
	err = c.at(partition.Place{Table: table, Hash: hashes[0]}, func(p *livePartition) error {
		now = p.among(hashes)
		r, err := p.run(&partition.Command{Kind: partition.Decide, Transaction: &partition.Transaction{
			ID: id, Outcome: outcome, At: at, Hashes: now, Sizes: sizes,
		}})
		if err == nil {
			decided, when = r.Transaction.Outcome, r.Transaction.At
		}
		return err
	})
	if err == nil && len(now) < len(hashes) && (decided == txn.Committed || decided == txn.Cancelled) {
		// The partition was split since it has accepted.
		rest := slices.DeleteFunc(slices.Clone(hashes), func(h uint64) bool { return slices.Contains(now, h) })
		err = c.resolve(id, decided, when, table, rest)
	}
	return decided, when, err
}

// resolve tells partitions what became of a transaction that has taken items with these hashes.
// A table that is gone has nothing to be told.
func (c *core) resolve(id txn.ID, outcome txn.Outcome, at txn.Timestamp, table uint32, hashes []uint64) error {
	err := c.spread(table, hashes, func(p *livePartition, hashes []uint64) error {
		_, err := p.run(&partition.Command{Kind: partition.Resolve, Transaction: &partition.Transaction{
			ID: id, Outcome: outcome, At: at, Hashes: hashes,
		}})
		return err
	})
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

// forget takes the record of a transaction away, of which nobody will ask any more.
func (c *core) forget(id txn.ID, anchor partition.Place) error {
	return c.at(anchor, func(p *livePartition) error {
		_, err := p.run(forgetCommand(id, anchor))
		return err
	})
}

// A participant of a transaction, as who is not its coordinator knows it.
type participant struct {
	table  uint32
	hashes []uint64 // of its items, or of some of them
}

// participants makes what a record names into participants, the first of which has the anchor. Places that
// are in one partition by now are one participant.
func (c *core) participants(anchor partition.Place, others []partition.Place) []participant {
	list := []participant{{anchor.Table, []uint64{anchor.Hash}}}
	groups := []uint64{0} // of list; 0 = unknown
	for _, l := range others {
		group := uint64(0)
		if p := c.directory.find(l.Table, l.Hash); p != nil {
			group = p.id
		}
		at := slices.Index(groups, group)
		if group == 0 || at < 0 {
			list, groups = append(list, participant{l.Table, []uint64{l.Hash}}), append(groups, group)
			continue
		}
		list[at].hashes = append(list[at].hashes, l.Hash)
	}
	return list
}

// A finding is what an inquiry has found out about a transaction.
type finding struct {
	outcome  txn.Outcome
	at       txn.Timestamp // of the commit
	explicit bool          // the outcome is recorded
	sure     bool          // else it may also be committed and forgotten
	sizes    []int         // of its items
}

// inquire finds out what became of a transaction, without changing anything.
func (c *core) inquire(id txn.ID, anchor partition.Place) (f finding, err error) {
	c.comeLate("table: who meets a transaction asks when it is over", id, anchor)
	q := txn.NewInquiry(id)
	list := c.participants(anchor, nil)
	for messages := q.Start(); len(messages) > 0; {
		votes := make([]partition.Vote, len(messages))
		errs := make([]error, len(messages))
		c.each(len(messages), func(i int) {
			to := &list[messages[i].To]
			c.dawdle()
			votes[i], errs[i] = c.look(id, to.table, to.hashes)
		})
		var next []txn.Message
		for i, m := range messages {
			gone := errors.Is(errs[i], errGone)
			if errs[i] != nil && !gone {
				return f, fmt.Errorf("transaction %v: %w", id, errs[i])
			}
			f.sizes = partition.MergeSizes(f.sizes, votes[i].Sizes)
			r := txn.Reply{From: m.To, Op: m.Op, Gone: gone, Outcome: votes[i].Outcome, At: votes[i].At}
			if m.To == 0 && r.Outcome == txn.Prepared && len(list) == 1 {
				list = c.participants(anchor, votes[i].Others)
			}
			r.Others = len(list) - 1
			next = append(next, q.Step(r)...)
		}
		messages = next
	}
	f.outcome, f.at = q.Outcome()
	f.explicit, f.sure = q.Explicit(), q.Sure()
	if f.outcome == txn.Committed && !f.explicit {
		c.env.Sometimes("table: transaction is found committed before that is recorded")
		if plant.On(plant.ImplicitCommitIgnored) {
			f.outcome = txn.Undecided
		}
	}
	return f, nil
}

// each calls f for 0 to n-1, all at the same time.
func (c *core) each(n int, f func(i int)) {
	if n == 1 {
		f(0)
		return
	}
	group := env.NewGroup(c.env)
	for i := range n {
		group.Go("transaction", func() error { f(i); return nil })
	}
	_ = group.Wait()
}

// isStale reports whether the coordinator of a transaction that is undecided is to be taken for dead.
func (c *core) isStaleTransaction(id txn.ID) bool {
	return c.clock.Now().Physical()-id.Born.Physical() >= env.Time(c.stale)
}

// isFuture reports whether a transaction was named by a clock that was wrong: it was born after now. Were it
// forgotten, the floor would rise to its birth, and all others would be refused until then.
func (c *core) isFuture(id txn.ID) bool { return id.Born > c.clock.Now() }

// unblock finds out what became of a transaction that has taken items, and has their
// partition act on it. It reports false if the transaction is being carried out.
func (c *core) unblock(t *partition.ConflictError, table uint32, hashes []uint64) (free bool, err error) {
	f, err := c.inquire(t.ID, t.Anchor)
	if err != nil {
		return false, err
	}
	if f.outcome == txn.Undecided && !f.sure {
		// If it does not have the items any more, it is done.
		v, err := c.look(t.ID, table, hashes)
		if err != nil || v.Outcome != txn.Prepared {
			return true, err
		}
	}
	switch {
	case f.outcome == txn.Undecided && !c.isStaleTransaction(t.ID):
		return false, nil
	case f.outcome == txn.Undecided:
		c.recover(t.ID, t.Anchor, participant{table, hashes})
		return true, nil
	case !f.explicit:
		outcome, at, err := c.decide(t.ID, f.outcome, f.at, t.Anchor.Table, []uint64{t.Anchor.Hash}, f.sizes)
		if err != nil || outcome != txn.Committed {
			return true, err // or all was done meanwhile
		}
		f.at = at
	}
	c.env.Sometimes("table: a transaction is resolved by who comes across it")
	return true, c.resolve(t.ID, f.outcome, f.at, table, hashes)
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

// getSettled reads an item that a transaction may be at. If that is committed, the item is as it will be by it.
//
// That the ledger knows nothing of the transaction means one of two things: it is not decided,
// or it was committed, carried out everywhere and forgotten since it was seen at the item. Who still sees it
// there afterwards knows that it was the first: nothing is forgotten before the items are free. Then the
// item, as it is without the transaction, was good when the ledger was asked.
func (p *livePartition) getSettled(row []byte) (item.Item, error) {
	keys := [][]byte{slices.Clone(row)}
	var undecided txn.ID // so it was, or forgotten, after it was seen at the item
	for {
		reads, err := p.readItems(keys, false)
		if err != nil {
			return nil, err
		}
		r := &reads[0]
		if r.Ongoing == nil || r.Ongoing.ID == undecided {
			return r.Item, nil
		}
		p.core.comeLate("table: a read asks when the transaction that it met is over", r.Ongoing.ID, r.Ongoing.Anchor)
		f, err := p.core.inquire(r.Ongoing.ID, r.Ongoing.Anchor)
		switch {
		case err != nil:
			return nil, err
		case f.outcome == txn.Committed && r.Changes:
			return r.Pending, nil
		case f.outcome == txn.Committed:
			return r.Item, nil
		}
		undecided = r.Ongoing.ID
		switch {
		case f.outcome == txn.Undecided && p.core.isStaleTransaction(r.Ongoing.ID):
			p.core.recover(r.Ongoing.ID, r.Ongoing.Anchor, participant{p.table, []uint64{partition.RowHash(row)}})
		case f.sure || plant.On(plant.ForgottenTakenForUndecided):
			return r.Item, nil
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
			if _, _, closing := c.closing.AwaitFor(min(transactionPause, max(c.stale, minTransactionPause))); closing {
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
			if age(t.ID) >= c.stale {
				c.recoverItems(p, &t)
			}
		}
		for _, d := range p.Decided() {
			old := age(d.ID)
			// One that is only prepared has taken the item of its anchor, too.
			if d.Outcome == txn.Committed && old >= c.stale && !plant.On(plant.RecordsKept) || d.Outcome == txn.Cancelled && old >= c.fences && !c.isFuture(d.ID) {
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
	c.recover(t.ID, t.Anchor, participant{p.table, t.Hashes})
}

// recover finishes a transaction, at least for a participant that has it.
func (c *core) recover(id txn.ID, anchor partition.Place, from participant) {
	c.finish(txn.NewRecovery(id, 2, true), id, anchor, append(c.participants(anchor, nil), from))
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
	list := c.participants(anchor, others)
	c.finish(txn.NewRecovery(d.ID, len(list), false), d.ID, anchor, list)
}

// finish drives a recovery.
func (c *core) finish(machine *txn.Coordinator, id txn.ID, anchor partition.Place, list []participant) {
	var sizes []int
	for messages := machine.Start(); len(messages) > 0; {
		replies := make([]txn.Reply, len(messages))
		votes := make([]partition.Vote, len(messages))
		c.each(len(messages), func(i int) {
			m, r := messages[i], &replies[i]
			to := &list[m.To]
			r.From, r.Op = m.To, m.Op
			var err error
			c.dawdle()
			switch m.Op {
			case txn.OpSettle:
				if m.To > 0 && plant.On(plant.CancelledUnfenced) {
					votes[i], err = c.look(id, to.table, to.hashes)
				} else {
					votes[i], err = c.settleAt(id, to.table, to.hashes)
				}
				r.Outcome, r.At = votes[i].Outcome, votes[i].At
				if r.Outcome == txn.Undecided {
					r.Outcome = txn.Cancelled
				}
			case txn.OpDecide:
				r.Outcome, r.At, err = c.decide(id, m.Outcome, m.At, to.table, to.hashes, sizes)
			case txn.OpForget:
				_ = c.forget(id, anchor)
			case txn.OpCommit:
				err = c.inform(func() error { return c.resolve(id, txn.Committed, m.At, to.table, to.hashes) })
			case txn.OpCancel:
				err = c.resolve(id, txn.Cancelled, 0, to.table, to.hashes)
			}
			r.Gone = errors.Is(err, errGone)
			r.Lost = err != nil && !r.Gone
		})
		var next []txn.Message
		for i := range replies {
			r := &replies[i]
			sizes = partition.MergeSizes(sizes, votes[i].Sizes)
			if r.From == 0 && r.Op == txn.OpSettle && r.Outcome == txn.Prepared {
				list = c.participants(anchor, votes[i].Others)
				r.Others = len(list) - 1
			}
			next = append(next, machine.Step(*r)...)
		}
		messages = next
	}
}
