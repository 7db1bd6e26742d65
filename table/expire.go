package table

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/item"
)

// Items whose time to live has passed are deleted by one task, which goes over all
// tables that have such a time, again and again. Like any other reader it sees an
// item before it deletes it, so the delete is on the condition that the time is
// still the same: whoever prolongs an item in between keeps it.
//
// An item is expired if the attribute is a number of seconds since 1970 that lies
// in the past, but not more than five years; Developer Guide, "Time to Live".

const (
	defaultTTLInterval = 10 * time.Second
	// Sweeps take at most one part in sweepShare of the time.
	sweepShare = 20
	// sweepBatch is how many deletes are under way at the same time.
	sweepBatch = 256
	// expiryWindow is how long ago, in seconds, an item's time may be.
	expiryWindow = 5 * 365 * 24 * 60 * 60
)

// startExpirer starts the task when the first table needs it. The caller holds
// control, or is alone.
func (c *core) startExpirer() {
	if c.expiring || c.ttlInterval < 0 {
		return
	}
	c.expiring = true
	reign := c.reigning()
	c.builders.Go("expirer", func() error {
		c.expire(reign)
		return nil
	})
}

func (c *core) expire(reign *reign) {
	pause := c.ttlInterval
	for !reign.rest(pause) {
		began := c.env.Now()
		// What takes long in one that fails is to wait for partitions that nobody leads.
		if pause = c.ttlInterval; c.sweep() {
			pause = max(pause, sweepShare*c.env.Now().Sub(began))
		}
	}
}

// sweep goes over all tables once, and reports whether nothing has failed. What fails is tried
// again in the next sweep.
func (c *core) sweep() (well bool) {
	well = true
	for _, in := range c.known() {
		live := in.live.Load()
		if live == nil {
			return false
		}
		for _, name := range slices.Sorted(maps.Keys(*live)) {
			if err := in.sweepTable(name); err != nil {
				c.env.Sometimes("table: deletion of expired items failed")
				well = false
			}
		}
	}
	return well
}

// sweepTable deletes the expired items of a table, a page at a time.
func (s *Service) sweepTable(name string) error {
	var after item.Item
	for !s.reigning().over.Ready() {
		t, err := s.lookup(name)
		if err != nil || !t.ttl.Enabled {
			return err
		}
		now, _ := s.env.Wall()
		expired, err := expiredBy(t.ttl.Attribute, now)
		if err != nil {
			return err
		}
		page, err := s.Scan(&ScanRequest{Table: name, Filter: expired, StartKey: after})
		if err != nil {
			return err
		}
		for items := range slices.Chunk(page.Items, sweepBatch) {
			if err := s.deleteExpired(t, items); err != nil {
				return err
			}
		}
		if after = page.LastKey; after == nil {
			return nil
		}
	}
	return nil
}

// expiredBy is the condition that an item is expired at now. Values of other types
// than numbers compare as false.
func expiredBy(attribute string, now env.Time) (*expr.Condition, error) {
	seconds, past := now.UnixMilli()/1000, int64(expiryWindow)
	if plant.On(plant.OldItemsExpire) {
		past *= 100
	}
	if plant.On(plant.ExpiresTooEarly) {
		seconds += 3600
	}
	var values item.Builder
	values.Set(":now", item.Int(seconds))
	values.Set(":past", item.Int(seconds-past))
	return expr.ParseCondition(expr.FilterExpression, "#t < :now AND #t > :past",
		expr.NewParams(map[string]string{"#t": attribute}, values.Item()))
}

// deleteExpired deletes items that still have the time that they were found with.
func (s *Service) deleteExpired(t *liveTable, items []item.Item) error {
	var writes []Write
	for _, it := range items {
		v, _ := it.Get(t.ttl.Attribute)
		var values item.Builder
		values.Set(":v", v)
		unchanged, err := expr.ParseCondition(expr.ConditionExpression, "#t = :v",
			expr.NewParams(map[string]string{"#t": t.ttl.Attribute}, values.Item()))
		if err != nil {
			return err
		}
		if plant.On(plant.ExpiryNotRechecked) {
			unchanged = nil
		}
		writes = append(writes, &DeleteRequest{Table: t.def.Name, Key: t.schema.KeyOf(nil, it), Condition: unchanged})
	}
	var failed error
	for _, o := range s.WriteAll(writes) {
		var rescued *ConditionFailedError
		var taken *ConflictError // a later search finds it
		if o.Err != nil && !errors.As(o.Err, &rescued) && !errors.As(o.Err, &taken) {
			failed = o.Err
		}
	}
	return failed
}
