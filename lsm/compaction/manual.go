package compaction

import (
	"slices"

	"github.com/statordb/stator/lsm/manifest"
)

// Within returns the pick that takes everything in the span from a level to a deeper one,
// or nil if there is nothing, or it cannot be taken now.
func (v *View) Within(level, output int, s manifest.Span) *Pick {
	tables := v.Overlapping(level, s)
	if len(tables) == 0 {
		return nil
	}
	if level == 0 {
		// What is older than a table goes with it.
		tables = v.Levels[0][slices.Index(v.Levels[0], tables[0]):]
	}
	return v.into(level, tables, output, "asked for")
}

// Rewrite returns the pick that replaces one table by what is still needed of it.
func Rewrite(level int, t *manifest.Table) *Pick {
	return &Pick{Inputs: []Input{{level, []*manifest.Table{t}}}, Output: level, Reason: "asked for"}
}
