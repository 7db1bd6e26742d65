package partition

import (
	"bytes"
	"errors"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/txn"
)

// write evaluates one Put, Delete or Update:
//
//  1. the item or key must fit the schema and belong to this partition;
//  2. the condition is judged against the current item, or none;
//  3. the new item is made and must fit the indexes and the size limits;
//  4. row, entries of local indexes, change record and counters are staged.
//
// Steps 1 to 3 leave no trace when they refuse.
func (p *Partition) write(config *Config, cmd *Command, c *counters) Result {
	schema := &config.Schema
	if config.Entries {
		return Result{Err: ErrWrongPartition}
	}
	if err := cmd.check(schema); err != nil {
		return Result{Err: err}
	}
	p.scratch.key = schema.AppendRowKey(p.scratch.key[:0], cmd.Item)
	hash := RowHash(p.scratch.key)
	if !config.Owns(hash) {
		return Result{Err: config.wrong()}
	}
	p.warm(config, hash, 1)
	old, ts, err := p.current()
	if err != nil {
		return Result{Err: err}
	}
	oldBytes := 0
	if old != nil {
		oldBytes = old.Size()
	}
	if cmd.Condition != nil && !cmd.Condition.Eval(old) {
		return cmd.conditionFailed(old, oldBytes)
	}
	updated, err := cmd.apply(schema, old)
	if err != nil {
		return Result{Err: err, OldBytes: oldBytes, NewBytes: oldBytes}
	}
	r := Result{OldBytes: oldBytes}
	if updated != nil {
		r.NewBytes = updated.Size()
		if r.NewBytes > MaxItemBytes {
			return Result{Err: cmd.tooLarge(), OldBytes: oldBytes, NewBytes: oldBytes}
		}
	}
	var pl plan
	if len(schema.Indexes) > 0 {
		pl = p.plan(schema, old, updated)
		if r.NewBytes+pl.localNew > MaxItemBytes && updated != nil {
			return Result{Err: cmd.tooLarge(), OldBytes: oldBytes, NewBytes: oldBytes}
		}
		if pl.hasLocal {
			delta := r.NewBytes - r.OldBytes + pl.localNew - pl.localOld
			if r.CollectionBytes, err = p.grow(schema, cmd.Item, int64(delta)); err != nil {
				return Result{Err: err, OldBytes: oldBytes, NewBytes: oldBytes}
			}
			if delta != 0 {
				p.stageCollection(r.CollectionBytes)
			}
		}
		r.Indexes = pl.uses()
	}
	r.Attributes = cmd.attributes(old, updated)
	if ts, changed := p.settle(schema, cmd.Timestamp, ts, old, updated, c); changed {
		p.stageEntries(schema, pl.changes, ts, c)
		p.note(schema, &pl, old, updated, ts, c)
	}
	c.bytes += int64(r.NewBytes - r.OldBytes)
	return r
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
		last = c.maxDelete
		c.items++
	}
	ts := max(proposed, last+1)
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
