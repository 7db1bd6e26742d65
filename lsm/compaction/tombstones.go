package compaction

import (
	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/manifest"
)

// pickTombstones takes down a table with many tombstones, or with old ones; or rewrites it
// where nothing is below and no snapshot needs them. Each time, the tombstones come nearer
// to their end: they meet what they hide, or go.
func (v *View) pickTombstones() *Pick {
	for level := lastLevel; level > 0; level-- {
		for _, t := range v.Levels[level] {
			if !v.isWorthPurging(t) {
				continue
			}
			if p := v.purge(level, t, "tombstones"); p != nil {
				return p
			}
		}
	}
	oldest := v.oldestFree()
	for i, t := range oldest {
		if v.hasOldTombstones(t) {
			return v.intoFirst(oldest[i:], "old tombstones")
		}
	}
	return nil
}

// intoFirst returns the pick that takes the end of level 0 into the first level that is not
// empty.
func (v *View) intoFirst(tables []*manifest.Table, reason string) *Pick {
	output := 1
	for output < lastLevel && len(v.Levels[output]) == 0 {
		output++
	}
	return v.into(0, tables, output, reason)
}

// purge returns the pick that takes t to the next level that it overlaps; or, if
// there is none, rewrites it.
func (v *View) purge(level int, t *manifest.Table, reason string) *Pick {
	for below := level + 1; below < manifest.Levels; below++ {
		if len(v.Overlapping(below, t.Span())) > 0 {
			return v.into(level, []*manifest.Table{t}, below, reason)
		}
	}
	p := Rewrite(level, t)
	p.Reason = reason
	return v.allow(p)
}

// isWorthPurging reports whether half of a table is tombstones, or some are old. As
// long as a snapshot needs them, nothing is gained.
func (v *View) isWorthPurging(t *manifest.Table) bool {
	if t.Deletes+t.RangeDeletes == 0 || t.LargestSeq > v.Snapshot {
		return false
	}
	return 2*t.Deletes >= t.Entries || v.hasOldTombstones(t)
}

func (v *View) hasOldTombstones(t *manifest.Table) bool {
	return v.TombstoneAge > 0 && t.Deletes+t.RangeDeletes > 0 && t.LargestSeq <= v.Snapshot &&
		t.OldestTime > 0 && v.Now-t.OldestTime > env.Time(v.TombstoneAge)
}
