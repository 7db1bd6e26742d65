package compaction

import (
	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/manifest"
)

// pickExpired takes down a table of which at least half has expired, or rewrites it where
// nothing is below; a table of which nothing is left is dropped without being read. The
// merge drops what has expired, and what it writes has not. Deep tables come first: there
// the space is given back at once.
func (v *View) pickExpired() *Pick {
	if v.Expiry == nil {
		return nil
	}
	for level := lastLevel; level > 0; level-- {
		for _, t := range v.Levels[level] {
			if !v.hasExpired(t) {
				continue
			}
			p := v.purge(level, t, "expired")
			if p != nil && len(p.Inputs) == 1 && p.Output == level && v.isEmptied(t) {
				p.Way = Drop
			}
			if p != nil {
				return p
			}
		}
	}
	oldest := v.oldestFree()
	for i, t := range oldest {
		if v.hasExpired(t) {
			return v.intoFirst(oldest[i:], "expired")
		}
	}
	return nil
}

// hasExpired reports whether half of a table has expired, and no snapshot sees any of it.
func (v *View) hasExpired(t *manifest.Table) bool {
	half := v.Expiry(t).Half
	return half > 0 && v.Now >= env.Time(half) && t.SmallestSeq > v.Newest
}

// isEmptied reports whether everything in a table has expired.
func (v *View) isEmptied(t *manifest.Table) bool {
	e := v.Expiry(t)
	return e.Entries == t.Entries && t.RangeDeletes == 0 && v.Now >= env.Time(e.Last)
}

// due returns when the first table will be worth merging, 0 if none will be.
func (v *View) due() (first env.Time) {
	if v.Expiry == nil {
		return 0
	}
	for _, t := range v.All() {
		if half := env.Time(v.Expiry(t).Half); half > 0 && (first == 0 || half < first) {
			first = half
		}
	}
	return first
}

// pickWaste takes down what gives space back: tombstones, and what has expired.
func (v *View) pickWaste() *Pick {
	if p := v.pickTombstones(); p != nil {
		return p
	}
	return v.pickExpired()
}
