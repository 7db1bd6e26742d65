package compaction

import (
	"slices"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/sstable"
)

// Options are the numbers that policies go by. All but TombstoneAge must be positive.
type Options struct {
	L0Tables   int    // so many runs of one kind are too many; at least 2
	BaseBytes  uint64 // no level between level 0 and the last is worth while below half of it
	Ratio      uint64 // size of each level to the one above; at least 2
	TableBytes uint64 // size of a table below level 0

	// TombstoneAge is how long a tombstone may stay where it is; 0: any time.
	TombstoneAge time.Duration
}

// A Usable function says whether a table can be read. Tables that cannot stay
// where they are, and so does whatever would have to be merged with them.
type Usable func(*manifest.Table) bool

// A View is what a policy sees of a database.
type View struct {
	*manifest.Version
	Options

	Usable  Usable
	Running []*Pick // being carried out

	// Snapshot is the oldest open snapshot, or key.MaxSeqNum: tombstones that are
	// newer must stay.
	Snapshot key.SeqNum

	Now env.Time

	// Expiry says when the entries of a table expire; nil: none does.
	Expiry func(*manifest.Table) sstable.Expiry

	// Newest is the last open snapshot, or 0: what has expired and is not newer must stay.
	Newest key.SeqNum
}

// Free reports whether a table may be picked: it can be read, and is not being merged.
func (v *View) Free(t *manifest.Table) bool {
	if !v.Usable(t) {
		return false
	}
	for _, p := range v.Running {
		for _, in := range p.Inputs {
			if slices.Contains(in.Tables, t) {
				return false
			}
		}
	}
	return true
}

// Allows reports whether a pick can be carried out now.
func (v *View) Allows(p *Pick) bool {
	for _, t := range p.Tables() {
		if !v.Usable(t) {
			return false
		}
	}
	for _, q := range v.Running {
		if p.Conflicts(q) {
			return false
		}
	}
	return true
}

// allow returns p if it can be carried out now, else nil.
func (v *View) allow(p *Pick) *Pick {
	if !v.Allows(p) {
		return nil
	}
	return p
}

// into returns the pick that takes tables of a level down to another one, with all
// that they overlap on the way; or nil if that is impossible now.
func (v *View) into(level int, tables []*manifest.Table, output int, reason string) *Pick {
	if len(tables) == 0 {
		return nil
	}
	p := &Pick{Inputs: []Input{{level, tables}}, Output: output, Reason: reason}
	span := spanOf(tables)
	for l := level + 1; l <= output; l++ {
		if below := v.Overlapping(l, span); len(below) > 0 {
			p.Inputs = append(p.Inputs, Input{l, below})
			span = span.Union(spanOf(below))
		}
	}
	if len(p.Inputs) == 1 && disjoint(tables) {
		p.Way = Move
	}
	return v.allow(p)
}

// A run is a sorted sequence of tables that do not overlap: a table of level 0, or all of
// another level.
type run struct {
	level  int
	tables []*manifest.Table
	bytes  uint64
}

// runs returns all sorted runs, newest first.
func (v *View) runs() (runs []run) {
	for i, t := range v.Levels[0] {
		runs = append(runs, run{0, v.Levels[0][i : i+1], t.Size})
	}
	for level := 1; level < manifest.Levels; level++ {
		if tables := v.Levels[level]; len(tables) > 0 {
			runs = append(runs, run{level, tables, bytesOf(tables)})
		}
	}
	return runs
}

// mergeRuns returns the pick that makes one run of some that follow each other, or nil if
// that is impossible now.
func (v *View) mergeRuns(runs []run, output int, reason string) *Pick {
	p := &Pick{Output: output, Reason: reason}
	for _, r := range runs {
		last := len(p.Inputs) - 1
		if last >= 0 && p.Inputs[last].Level == r.level { // of level 0
			p.Inputs[last].Tables = append(slices.Clone(p.Inputs[last].Tables), r.tables...)
			continue
		}
		p.Inputs = append(p.Inputs, Input{r.level, r.tables})
	}
	if len(runs) == 1 || output > 0 && len(p.Inputs) == 1 && disjoint(p.Inputs[0].Tables) {
		p.Way = Move
	}
	return v.allow(p)
}
