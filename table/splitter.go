package table

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/partition"
)

// When partitions are split. Each node watches those that it leads: how large they are, and
// how many requests they have had. The node in charge asks all nodes for those that are too
// large, or too hot for too long (driver.go), and splits them, one at a time, the worst first.
//
// Heat is a reason only where a child can be led by another node.

const (
	defaultSplitBytes = 10 << 30
	defaultSplitRate  = 10_000
	defaultSplitAfter = time.Minute

	splitPause = time.Second
	// splitWindows is how many windows of heat in a row must be too hot.
	splitWindows = 3
	// splitRetry is how long a partition is left alone that could not be split.
	splitRetry = time.Hour
	// maxHotSlots bounds the partitions of a table or index that heat leads to.
	maxHotSlots = 256
)

// thresholds say when a partition is split; 0 = never.
type thresholds struct {
	bytes int64
	rate  float64 // requests per second
	after time.Duration
}

func (o *Options) thresholds() thresholds {
	orDefault := func(v, otherwise int64) int64 {
		if v == 0 {
			return otherwise
		}
		return max(0, v)
	}
	t := thresholds{bytes: orDefault(o.SplitBytes, defaultSplitBytes), rate: float64(orDefault(int64(o.SplitRate), defaultSplitRate)), after: o.SplitAfter}
	if t.after <= 0 {
		t.after = defaultSplitAfter
	}
	return t
}

// A candidate is a partition that should be split.
type candidate struct {
	group  uint64
	at     uint64 // by heat; 0 = in the middle of the data
	excess uint64 // how many times, in percent, it is over a threshold
}

// heats watches the partitions that this node leads.
type heats struct {
	mu    env.Leaf // guards what is below
	since env.Mono // begin of the window
	last  map[uint64]partition.Heat
	hot   map[uint64]int // windows in a row in which a partition was too hot
	found []candidate    // in the last window
}

// watchHeat runs until the service closes.
func (c *core) watchHeat() {
	for {
		if _, _, closing := c.closing.AwaitFor(c.split.after / splitWindows); closing {
			return
		}
		c.measureHeat()
	}
}

// measureHeat ends a window.
func (c *core) measureHeat() {
	c.heats.mu.Lock()
	since, before, wasHot := c.heats.since, c.heats.last, c.heats.hot
	c.heats.mu.Unlock()
	now := c.env.Now()
	seconds := now.Sub(since).Seconds()
	last, hot := make(map[uint64]partition.Heat), make(map[uint64]int)
	var found []candidate
	for _, p := range c.directory.hosted() {
		if !p.leads() {
			continue
		}
		h := p.Heat()
		last[p.id] = h
		earlier, ok := before[p.id]
		if !ok || seconds <= 0 {
			continue
		}
		h = h.Since(earlier)
		if rate := float64(h.Total()) / seconds; rate > c.split.rate {
			hot[p.id] = wasHot[p.id] + 1
			if at, ok := h.SplitPoint(); ok && hot[p.id] >= splitWindows {
				found = append(found, candidate{p.id, at, uint64(100 * rate / c.split.rate)})
			}
		}
	}
	c.heats.mu.Lock()
	c.heats.since, c.heats.last, c.heats.hot, c.heats.found = now, last, hot, found
	c.heats.mu.Unlock()
}

// candidates writes
//
//	count, for each: group, at 8B, excess
func (w *writer) candidates(list []candidate) {
	w.uint(uint64(len(list)))
	for _, x := range list {
		w.uint(x.group)
		w.hash(x.at)
		w.uint(x.excess)
	}
}

func (d *reader) candidates() (list []candidate) {
	if len(d.b) == 0 {
		return nil // of a node that splits nothing
	}
	for range d.count() {
		list = append(list, candidate{group: d.uint(), at: d.fixed(), excess: d.uint()})
	}
	return list
}

// startSplitter starts the task of the node in charge that splits partitions.
func (c *core) startSplitter() {
	r := c.reigning()
	c.builders.Go("splitter", func() error {
		c.watchSplits(r)
		return nil
	})
}

// watchSplits runs until the reign ends.
func (c *core) watchSplits(r *reign) {
	notBefore := make(map[uint64]env.Mono) // by group
	for pause := time.Duration(0); !r.rest(pause); {
		pause = splitPause
		c.carrySplits(r)
		if x := c.chooseSplit(r, notBefore); x != nil {
			c.env.Sometimes("table: partition is split by itself")
			if _, err := c.SplitGroup(x.group, x.at); err != nil {
				c.env.Sometimes("table: partition cannot be split")
				retry := splitPause
				if errors.Is(err, ErrNoSplit) {
					retry = splitRetry
				}
				notBefore[x.group] = c.env.Now().Add(retry)
				continue
			}
			pause = minPause // there may be more
			if x.at != 0 {
				notBefore[x.group] = c.env.Now().Add(c.split.after) // it is known as hot for a while
			}
		}
	}
}

// carrySplits goes on with all splits that have begun.
func (c *core) carrySplits(r *reign) {
	for _, rec := range c.catalog.snapshot().records() {
		if !rec.status.hasGroups() {
			continue
		}
		for s := range rec.liveSlots() {
			if s.split != nil && !r.over.Ready() {
				if err := c.carrySplit(r, s.group, nil); err != nil {
					c.env.Sometimes("table: split cannot be brought to its end yet")
				}
			}
		}
	}
}

// chooseSplit returns the worst candidate of all nodes, nil if there is none.
func (c *core) chooseSplit(reign *reign, notBefore map[uint64]env.Mono) *candidate {
	var all []candidate
	if c.calls == nil {
		_, all = c.report()
	} else if reported := reign.candidates.Load(); reported != nil {
		all = *reported
	}
	view := c.catalog.snapshot()
	worst := make(map[uint64]candidate)
	for _, x := range all {
		r, s := view.slotOf(x.group)
		if s == nil || s.split != nil || !r.maySplit(x.group) || c.env.Now() < notBefore[x.group] {
			continue
		}
		if slots, _ := r.slotsOf(x.group); x.at != 0 && (len(*slots) >= maxHotSlots || len(view.usable()) < 2) {
			continue
		}
		if x.excess > worst[x.group].excess {
			worst[x.group] = x
		}
	}
	if len(worst) == 0 {
		return nil
	}
	x := slices.MaxFunc(slices.SortedFunc(maps.Values(worst), func(a, b candidate) int { return cmp.Compare(b.group, a.group) }), //sim:ok sorted
		func(a, b candidate) int { return cmp.Compare(a.excess, b.excess) })
	return &x
}
