package compaction

import (
	"fmt"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/manifest"
)

// FIFO keeps what was written last and drops the rest, table by table, without looking
// into them: for logs and caches, where the oldest is worth least. Dropped is what
// lies at the end of level 0, and any table of the deepest level, if another policy left
// one: nothing older is below it, so nothing comes back to life.
//
// Reads look at all tables. So that they do not become too many, those of one size
// are merged, as long as the result is small against what is kept.
//
// What is dropped is gone for open snapshots, too.
type FIFO struct {
	MaxBytes uint64        // of all tables and value files; 0: any size
	TTL      time.Duration // age of the newest entry of a table, by the time of its flush; 0: any age
}

// fifoShare is which part of FIFO.MaxBytes one table may have.
const fifoShare = 8

// Shape has no limits: nothing is ever behind.
func (f FIFO) Shape(*View) Shape { return Shape{Base: lastLevel, Every: f.TTL / agePart} }

// Next drops a table, or merges some that are small.
func (f FIFO) Next(v *View) *Pick {
	if p := f.drop(v); p != nil {
		return p
	}
	runs := v.runs()[:len(v.Levels[0])]
	p := v.pickAlike(runs, v.L0Tables, 0)
	if p == nil || f.MaxBytes > 0 && p.Bytes() > f.MaxBytes/fifoShare || f.TTL > 0 && f.spread(p) > f.TTL/fifoShare {
		return nil
	}
	return p
}

// drop returns the pick that drops the oldest table, if it is to go.
func (f FIFO) drop(v *View) *Pick {
	level, t := oldest(v)
	if t == nil {
		return nil
	}
	p := &Pick{Inputs: []Input{{level, []*manifest.Table{t}}}, Output: level, Way: Drop}
	values, _ := v.ValueBytes()
	all := bytesOf(v.All()) + values
	switch {
	case f.TTL > 0 && t.NewestTime > 0 && v.Now-t.NewestTime > env.Time(f.TTL):
		p.Reason = "expired"
	case f.MaxBytes > 0 && all > f.MaxBytes:
		p.Reason = fmt.Sprintf("%d bytes of %d", all, f.MaxBytes)
	default:
		return nil
	}
	for _, q := range v.Running { // what is being merged does not come back, but a level must not change
		if p.Conflicts(q) {
			return nil
		}
	}
	return p
}

// oldest returns the table whose entries were flushed first, of those without anything
// older below: the deepest level's, or the last of level 0.
func oldest(v *View) (level int, t *manifest.Table) {
	for level = lastLevel; level > 0; level-- {
		for _, have := range v.Levels[level] {
			if t == nil || have.NewestTime < t.NewestTime {
				t = have
			}
		}
		if t != nil {
			return level, t
		}
	}
	if n := len(v.Levels[0]); n > 0 {
		return 0, v.Levels[0][n-1]
	}
	return 0, nil
}

// spread is the time between the first and the last flush of what p merges.
func (f FIFO) spread(p *Pick) time.Duration {
	tables := p.Tables()
	first, last := tables[0].OldestTime, tables[0].NewestTime
	for _, t := range tables {
		first, last = min(first, t.OldestTime), max(last, t.NewestTime)
	}
	return time.Duration(last - first)
}
