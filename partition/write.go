package partition

import (
	"bytes"
	"errors"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/invariant"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/txn"
)

// write evaluates one Put, Delete or Update:
//
//  1. the item or key must fit the schema and belong to this partition, which must not be closed;
//  2. no transaction may be at the item;
//  3. the condition is judged against the current item, or none;
//  4. the new item is made and must fit the indexes and the size limits;
//  5. row, entries of local indexes, change record and counters are staged.
//
// Steps 1 to 4 leave no trace when they refuse. Transactions take the same steps, for
// several items (transact.go).
func (p *Partition) write(config *Config, cmd *Command, c *counters) Result {
	if config.Entries || p.txns.isClosed() {
		return Result{Err: ErrWrongPartition}
	}
	var j judgement
	if j.r.Err = p.look(config, cmd, &j); j.r.Err != nil {
		return j.r
	}
	if o := p.ongoing(); o != nil && !plant.On(plant.WriteIgnoresPrepared) {
		return Result{Err: o.conflict()}
	}
	if p.weigh(&config.Schema, cmd, &j, nil) {
		p.carryOut(&config.Schema, cmd.Item, &j, cmd.Timestamp, c)
	}
	return j.r
}

// A judgement is what a command makes of its row. Until carryOut nothing is staged.
type judgement struct {
	old, updated item.Item     // nil = none
	last         txn.Timestamp // of old
	plan         plan
	r            Result
}

// look finds the row that a command is about. Its key is in scratch.key.
func (p *Partition) look(config *Config, cmd *Command, j *judgement) (err error) {
	schema := &config.Schema
	if err := cmd.check(schema); err != nil {
		return err
	}
	p.scratch.key = schema.AppendRowKey(p.scratch.key[:0], cmd.Item)
	hash := RowHash(p.scratch.key)
	if !config.Owns(hash) {
		return config.wrong()
	}
	p.warm(config, hash, 1)
	j.old, j.last, err = p.current()
	return err
}

// weigh judges the condition of a command and makes the new item; false if it is refused,
// as j.r.Err says. growth has by how much the other commands of a transaction make item
// collections grow, by the keys of their sizes; nil = there are none.
func (p *Partition) weigh(schema *Schema, cmd *Command, j *judgement, growth map[string]int64) bool {
	r := &j.r
	if j.old != nil {
		r.OldBytes = j.old.Size()
	}
	r.NewBytes = r.OldBytes // when it is refused
	if cmd.Condition != nil && !cmd.Condition.Eval(j.old) {
		*r = cmd.conditionFailed(j.old, r.OldBytes)
		return false
	}
	if cmd.Kind == Check {
		j.updated = j.old
		return true
	}
	updated, err := cmd.apply(schema, j.old)
	if err != nil {
		r.Err = err
		return false
	}
	newBytes := 0
	if updated != nil {
		newBytes = updated.Size()
		if newBytes > MaxItemBytes {
			r.Err = cmd.tooLarge()
			return false
		}
	}
	if len(schema.Indexes) > 0 {
		j.plan = p.plan(schema, j.old, updated)
		if newBytes+j.plan.localNew > MaxItemBytes && updated != nil {
			r.Err = cmd.tooLarge()
			return false
		}
		if j.plan.hasLocal {
			delta := int64(newBytes - r.OldBytes + j.plan.localNew - j.plan.localOld)
			size, err := p.grow(schema, cmd.Item, delta)
			if growth != nil && err == nil {
				size += growth[string(p.scratch.collection)]
				growth[string(p.scratch.collection)] += delta
			}
			if err == nil && delta > 0 && size > p.maxCollection {
				err = ErrCollectionFull
			}
			if err != nil {
				r.Err = err
				return false
			}
			r.CollectionBytes = size
		}
		r.Indexes = j.plan.uses()
	}
	r.NewBytes = newBytes
	j.updated = updated
	r.Attributes = cmd.attributes(j.old, updated)
	return true
}

// carryOut stages what was judged: the row in scratch.key, which has the key attributes of
// key, becomes j.updated.
func (p *Partition) carryOut(schema *Schema, key item.Item, j *judgement, proposed txn.Timestamp, c *counters) {
	r := &j.r
	if j.plan.hasLocal && r.NewBytes-r.OldBytes+j.plan.localNew-j.plan.localOld != 0 {
		p.stageCollection(r.CollectionBytes)
	}
	if ts, changed := p.settle(schema, proposed, j.last, j.old, j.updated, c); changed {
		p.stageEntries(schema, j.plan.changes, ts, c)
		p.note(schema, &j.plan, j.old, j.updated, ts, c)
	}
	c.bytes += int64(r.NewBytes - r.OldBytes)
}

// check repeats the schema checks that the proposer made: the schema may have
// changed between the proposal and this point of the log.
func (c *Command) check(schema *Schema) error {
	if c.Kind != Put {
		return schema.CheckKey(c.Item)
	}
	if err := schema.CheckItem(c.Item); err != nil {
		return err
	}
	return schema.CheckIndexKeys(c.Item)
}

func (c *Command) conditionFailed(met item.Item, size int) Result {
	r := Result{Err: ErrConditionFailed, OldBytes: size, NewBytes: size}
	if c.ReturnOnFailure && met != nil {
		r.Attributes = bytes.Clone(met)
	}
	return r
}

// apply returns the item after the command; nil = none.
func (c *Command) apply(schema *Schema, old item.Item) (item.Item, error) {
	switch c.Kind {
	case Put:
		return c.Item, nil
	case Delete:
		return nil, nil
	}
	switch {
	case old == nil && !c.Update.Creates():
		return nil, nil
	case old == nil && c.Update == nil:
		return c.Item, nil
	case c.Update == nil:
		return old, nil
	}
	updated, err := c.Update.Apply(old)
	if err != nil {
		return nil, invalidUpdate(err)
	}
	if old == nil {
		updated = withKey(updated, c.Item)
	}
	return updated, schema.CheckUpdatedIndexKeys(changed(old, updated))
}

// changed looks up attributes of updated that differ from old.
func changed(old, updated item.Item) func(name string) (item.Value, bool) {
	return func(name string) (item.Value, bool) {
		v, ok := updated.Get(name)
		if before, had := old.Get(name); had && ok && before.Equal(v) {
			return nil, false
		}
		return v, ok
	}
}

// invalidUpdate turns what expr says about an item into this room's error.
func invalidUpdate(err error) error {
	var e *expr.Error
	if errors.As(err, &e) {
		return &InvalidError{Message: e.Message}
	}
	return err
}

// withKey adds the key attributes to the attributes of an item that an update
// creates.
func withKey(attributes, key item.Item) item.Item {
	var b item.Builder
	for name, v := range attributes.All() {
		b.Set(name, v)
	}
	for name, v := range key.All() {
		b.Set(name, v)
	}
	return b.Item()
}

func (c *Command) tooLarge() error {
	if c.Kind == Update {
		return invalid("Item size to update has exceeded the maximum allowed size")
	}
	return invalid("Item size has exceeded the maximum allowed size")
}

// attributes returns what the command wants to see, in memory of its own.
func (c *Command) attributes(old, updated item.Item) item.Item {
	switch c.Return {
	case AllOld:
		if plant.On(plant.OldImageAfterWrite) && old != nil && updated != nil {
			return bytes.Clone(updated)
		}
		return bytes.Clone(old)
	case AllNew:
		return bytes.Clone(updated)
	case UpdatedOld:
		return touched(c.Update, old)
	case UpdatedNew:
		return touched(c.Update, updated)
	}
	return nil
}

// touched returns the paths of an update as they stand in it; nil when none do.
func touched(u *expr.Update, it item.Item) item.Item {
	if u == nil || it == nil {
		return nil
	}
	part := u.Project(it)
	if part.Len() == 0 {
		return nil
	}
	return bytes.Clone(part)
}

// settle stages the change of a row from old to updated, counts it and returns
// the timestamp of the new version; false if there is nothing to change.
//
// Invariant: the timestamps of a key's versions strictly increase, also across
// deletes. Where the proposer's clock is behind, the row's clock wins.
func (p *Partition) settle(s *Schema, proposed, last txn.Timestamp, old, updated item.Item, c *counters) (txn.Timestamp, bool) {
	if old == nil && updated == nil {
		return 0, false
	}
	if old == nil {
		c.items++
	}
	bounds := txn.Bounds{Deleted: c.maxDelete, Checked: c.maxCheck}
	ts := max(proposed, bounds.Earliest(txn.Item{Exists: old != nil, Written: last}))
	if plant.On(plant.TimestampFalls) {
		ts = proposed
	}
	if ts <= c.maxCheck || old != nil && ts <= last || old == nil && ts <= c.maxDelete { // a call with arguments allocates
		invariant.Check(false, "partition %d: a row of %v is written at %v; what was deleted %v, checked %v", p.group, last, ts, c.maxDelete, c.maxCheck)
	}
	if updated == nil {
		c.items--
		c.maxDelete = max(c.maxDelete, ts)
		if plant.On(plant.ItemCountDrifts) && c.items%8 == 0 {
			c.items++
		}
	}
	c.latest = max(c.latest, ts)
	p.stage(s, updated, ts)
	return ts, true
}
