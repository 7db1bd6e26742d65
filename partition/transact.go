package partition

import (
	"bytes"
	"slices"

	"github.com/statordb/stator/internal/invariant"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/txn"
)

// An acting is one action of a transaction while it is carried out.
type acting struct {
	cmd *Command
	row []byte // row key
	j   judgement
}

// transaction carries out one of the commands of transactions.
func (p *Partition) transaction(config *Config, cmd *Command, c *counters) Result {
	t := cmd.Transaction
	if config.Entries {
		return Result{Err: ErrWrongPartition}
	}
	switch cmd.Kind {
	case Transact:
		return p.transact(config, t, c)
	case Prepare:
		return p.prepare(config, t, c)
	case Resolve:
		return p.resolve(config, t, c)
	case Settle:
		return p.settleTransaction(config, t)
	case Decide:
		return p.decideTransaction(config, t, c)
	}
	return p.forget(config, t)
}

// transact does a transaction whose items are all of this partition; or has it take those that are, where its anchor is (t.Stage):
//
//  1. all items must be of this partition;
//  2. a token that was used answers for itself; without one, the partition must not be closed;
//  3. the rule of package txn and the steps of a write are applied to each action;
//  4. all actions and the token are staged; or that the items are taken, with the record of the ledger.
//
// If an action is refused, nothing is.
//
// Older logs have two more kinds: with Judge nothing is done, and with Others, but without Stage, the
// transaction is committed here, after all others have accepted.
func (p *Partition) transact(config *Config, t *Transaction, c *counters) Result {
	anchor, err := p.anchorOf(config, t)
	if err != nil {
		return Result{Err: err}
	}
	if t.Marks {
		p.beginMarks(config)
	}
	if t.Token != (Token{}) {
		if r, err := p.token(&config.Schema, anchor, t.Token, t.ID.Born); err != nil {
			return Result{Err: err}
		} else if r != nil && !plant.On(plant.TokenIgnored) {
			if r.parameters != t.Parameters {
				return Result{Err: ErrOtherParameters}
			}
			return Result{Transaction: &TransactionResult{Outcome: txn.Repeated, At: r.at, Sizes: r.sizes}}
		}
	}
	d := p.txns.decisions[t.ID]
	if d.outcome == txn.Committed {
		return Result{Transaction: &TransactionResult{Outcome: d.outcome, At: d.at}}
	}
	if t.Stage && !p.admits(t.ID) || p.txns.isClosed() {
		return p.refuse(config)
	}
	acts, at, r := p.judgeAll(config, t, c)
	if r.Err != nil || t.Judge {
		return r
	}
	if t.Stage {
		t.Anchor = Place{Table: config.Schema.Table, Hash: anchor}
		p.takeAll(config, t, acts, at)
		p.decide(&config.Schema, t.ID, decision{outcome: txn.Prepared, at: at, hash: anchor,
			staged: &staged{t.Token, t.Parameters, t.sizes(acts), slices.Clone(t.Others)}}, nil)
		return r
	}
	at = max(at, t.At)
	if len(t.Others) > 0 {
		if !p.txns.ledger.Admits(t.ID, d.outcome) {
			r.Transaction.Outcome = txn.Cancelled
			return r
		}
		p.decide(&config.Schema, t.ID, decision{outcome: txn.Committed, at: at, hash: anchor}, t.Others)
	}
	for i := range acts {
		p.act(config, acts[i].cmd.Item, &acts[i].j, acts[i].row, effectOf(acts[i].cmd, &acts[i].j), at, c)
		r.Transaction.Actions[i] = acts[i].j.r
	}
	if t.Token != (Token{}) {
		p.remember(config, anchor, t.Token, &tokenRecord{at: at, parameters: t.Parameters, sizes: t.sizes(acts)})
	}
	r.Transaction.Outcome, r.Transaction.At = txn.Committed, at
	return r
}

// anchorOf returns the hash at which the ledger and the token of a transaction are: that of its
// first action. It refuses a transaction if not all its items are of this partition.
func (p *Partition) anchorOf(config *Config, t *Transaction) (anchor uint64, err error) {
	found := false
	for i := range t.Actions {
		a := &t.Actions[i]
		if config.Schema.CheckKeyOf(a.Item) != nil {
			continue // it will be refused
		}
		hash := config.Schema.HashOf(a.Item)
		if !config.Owns(hash) {
			return 0, config.wrong()
		}
		if !found {
			anchor, found = hash, true
		}
	}
	return anchor, nil
}

// judgeAll applies the rule and the steps of a write to all actions. The result has those of
// the actions, the timestamp is the earliest at which all could be done.
func (p *Partition) judgeAll(config *Config, t *Transaction, c *counters) (acts []acting, at txn.Timestamp, r Result) {
	acts = make([]acting, len(t.Actions))
	r.Transaction = &TransactionResult{Actions: make([]Result, len(acts))}
	growth := make(map[string]int64)
	bounds := p.bounds(c)
	for i := range acts {
		a := &acts[i]
		a.cmd = &t.Actions[i].Command
		verdict, earliest := p.judge(config, t.ID, a, &bounds, growth)
		if slices.ContainsFunc(acts[:i], func(b acting) bool { return bytes.Equal(b.row, a.row) }) && a.row != nil {
			verdict, a.j.r = txn.Refused, Result{Err: errSameItem} // nobody asks for that
		}
		if verdict != txn.Accepted {
			r.Err = ErrRefused
		}
		at = max(at, earliest)
		r.Transaction.Actions[i] = a.j.r
	}
	r.Transaction.At = at
	return acts, at, r
}

var errSameItem = invalid("Transaction request cannot include multiple operations on one item")

// bounds returns the partition's bounds as of the current command.
func (p *Partition) bounds(c *counters) txn.Bounds {
	return txn.Bounds{Deleted: c.maxDelete, Checked: c.maxCheck}
}

func (p *Partition) judge(config *Config, id txn.ID, a *acting, bounds *txn.Bounds, growth map[string]int64) (txn.Verdict, txn.Timestamp) {
	r := &a.j.r
	if r.Err = p.look(config, a.cmd, &a.j); r.Err != nil {
		return txn.Refused, 0
	}
	a.row = bytes.Clone(p.scratch.key)
	a.j.old = bytes.Clone(a.j.old)
	it := txn.Item{Exists: a.j.old != nil, Written: a.j.last}
	o := p.ongoing()
	if o != nil && !plant.On(plant.PreparedTwice) {
		it.Ongoing = o.id
	}
	verdict, earliest := bounds.Prepare(id, &it, func() bool { return p.weigh(&config.Schema, a.cmd, &a.j, growth) })
	if verdict == txn.Conflict {
		r.Err = o.conflict()
	}
	// What was planned for the indexes is valid until the next command only.
	a.j.plan, a.j.updated = plan{}, bytes.Clone(a.j.updated)
	return verdict, earliest
}

// effectOf returns what a command that was judged does to its item.
func effectOf(cmd *Command, j *judgement) txn.Effect {
	switch {
	case cmd.Kind == Check:
		return txn.Check
	case j.updated == nil:
		return txn.Delete
	}
	return txn.Write
}

// act stages one action at the timestamp of its transaction. Sizes of item collections may
// exceed their limit here: that was judged before.
//
// Invariant: whatever is written from now on is later than what was checked.
func (p *Partition) act(config *Config, key item.Item, j *judgement, row []byte, effect txn.Effect, at txn.Timestamp, c *counters) {
	p.actOn(config, key, j, row, effect, at, c)
	if effect == txn.Check && c.maxCheck < at {
		invariant.Check(false, "partition %d: a row is checked at %v, and the next may be written at %v", p.group, at, c.maxCheck+1)
	}
}

func (p *Partition) actOn(config *Config, key item.Item, j *judgement, row []byte, effect txn.Effect, at txn.Timestamp, c *counters) {
	if effect == txn.Check {
		if plant.On(plant.CheckKeepsTimestamp) {
			return
		}
		bounds := p.bounds(c)
		bounds.Take(at, &txn.Item{}, effect)
		if bounds.Checked != c.maxCheck {
			c.maxCheck, p.txns.checked, p.txns.changed = bounds.Checked, bounds.Checked, true
			p.noteTransactions()
		}
		return
	}
	p.scratch.key = append(p.scratch.key[:0], row...)
	schema := &config.Schema
	if len(schema.Indexes) > 0 {
		j.plan = p.plan(schema, j.old, j.updated)
		if j.plan.hasLocal {
			delta := j.r.NewBytes - j.r.OldBytes + j.plan.localNew - j.plan.localOld
			size, err := p.grow(schema, key, int64(delta))
			if err != nil {
				j.r.Err = err // the partition is broken, or the size is lost already
				return
			}
			j.r.CollectionBytes = size
		}
	}
	p.carryOut(schema, key, j, at, c)
}

// sizes returns the sizes of the items of a transaction, in the order of the request.
func (t *Transaction) sizes(acts []acting) []int {
	sizes := slices.Clone(t.Sizes)
	for i := range acts {
		sizes = withSize(sizes, t.Actions[i].Position, max(acts[i].j.r.OldBytes, acts[i].j.r.NewBytes))
	}
	return sizes
}

// prepare has a transaction take its items of this partition, all or none.
func (p *Partition) prepare(config *Config, t *Transaction, c *counters) Result {
	if _, err := p.anchorOf(config, t); err != nil {
		return Result{Err: err}
	}
	if !p.admits(t.ID) {
		return p.refuse(config)
	}
	acts, at, r := p.judgeAll(config, t, c)
	if r.Err == nil {
		p.takeAll(config, t, acts, at)
	}
	return r
}

// admits reports whether a transaction may still be accepted.
func (p *Partition) admits(id txn.ID) bool {
	return p.txns.ledger.Admits(id, p.txns.decisions[id].outcome) || plant.On(plant.LateCommit)
}

// cancelled refuses a transaction that the partition has said never to accept.
func cancelled() Result {
	return Result{Err: ErrRefused, Transaction: &TransactionResult{Outcome: txn.Cancelled}}
}

// takeAll stages that a transaction takes the items of actions that were judged, and may commit from at on.
func (p *Partition) takeAll(config *Config, t *Transaction, acts []acting, at txn.Timestamp) {
	for i := range acts {
		a := &acts[i]
		o := &prepared{id: t.ID, hash: RowHash(a.row), token: t.Token, anchor: t.Anchor, effect: effectOf(a.cmd, &a.j), at: at,
			action: t.Actions[i].Position, size: max(a.j.r.OldBytes, a.j.r.NewBytes), key: config.Schema.KeyOf(nil, a.cmd.Item)}
		if o.effect == txn.Write {
			o.item = bytes.Clone(a.j.updated)
		}
		p.take(a.row, o)
	}
}

// resolve ends that a transaction has items of this partition, as was decided.
func (p *Partition) resolve(config *Config, t *Transaction, c *counters) Result {
	if err := config.owns(t.Hashes); err != nil {
		return Result{Err: err}
	}
	if p.txns.decisions[t.ID].outcome == txn.Prepared && t.Outcome == txn.Cancelled {
		p.drop(&config.Schema, t.ID) // the coordinator, which knows that somebody has refused
	}
	return Result{Err: p.resolveItems(config, t.ID, t.Outcome, t.At, c)}
}

// resolveItems ends that a transaction has items of this partition.
func (p *Partition) resolveItems(config *Config, id txn.ID, outcome txn.Outcome, at txn.Timestamp, c *counters) error {
	bounds := p.bounds(c)
	for _, row := range bytesOf(p.txns.keys[id]) {
		o := p.txns.items[string(row)]
		if o == nil {
			continue
		}
		it := txn.Item{Ongoing: o.id}
		if outcome == txn.Cancelled && !plant.On(plant.CancelCommits) {
			if bounds.Cancel(id, &it) {
				p.release(string(row))
			}
			continue
		}
		p.scratch.key = append(p.scratch.key[:0], row...)
		var j judgement
		var err error
		if j.old, j.last, err = p.current(); err != nil {
			return err
		}
		j.old = bytes.Clone(j.old)
		it.Exists, it.Written = j.old != nil, j.last
		if at < o.at {
			invariant.Check(false, "partition %d: transaction %v has accepted from %v on, and is committed at %v", p.group, id, o.at, at)
		}
		if !bounds.Commit(id, at, &it, o.effect) {
			continue
		}
		j.updated = o.item
		if o.effect == txn.Check {
			j.updated = j.old
		}
		if j.old != nil {
			j.r.OldBytes = j.old.Size()
		}
		if j.updated != nil {
			j.r.NewBytes = j.updated.Size()
		}
		p.act(config, o.key, &j, row, o.effect, at, c)
		if j.r.Err != nil {
			return j.r.Err
		}
		p.release(string(row))
		if plant.On(plant.CommitForgetsItems) {
			break
		}
	}
	return nil
}

// bytesOf copies row keys, which change while they are walked over.
func bytesOf(keys []string) [][]byte {
	list := make([][]byte, len(keys))
	for i, k := range keys {
		list[i] = []byte(k)
	}
	return list
}
