// Package compaction decides which tables to merge next.
//
// It only looks at a manifest.Version and answers with a Pick; carrying it out
// is the engine's business. The policy is leveled compaction:
//
//   - Level 0 is merged into level 1 when it has too many tables, because each
//     of them costs every read.
//   - Level 1 may hold BaseBytes, every further level Ratio times as much as the one
//     above. A level that is too large gives one table to the next level.
//   - Of those it could give, it picks the one that makes the least work: with the
//     fewest bytes below it for each byte of its own.
//   - A table with nothing below is moved, not merged.
//
// Write amplification is about Ratio/2 for each level below level 1; space
// amplification about 1 + 1/Ratio.
package compaction

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/statordb/stator/lsm/manifest"
)

// Options shape the levels. All must be positive.
type Options struct {
	L0Tables   int    // level 0 is merged when it has so many tables
	BaseBytes  uint64 // size of level 1
	Ratio      uint64 // size of each level to the one above; at least 2
	TableBytes uint64 // size of a table below level 0
}

// lastLevel has no limit: what is there has nowhere to go.
const lastLevel = manifest.Levels - 1

// A Pick is a set of tables to merge into a level.
//
// Invariant: every version older than one in Inputs, of a key in their span, is in
// Inputs, in Below, or in a level under Output. So the merged tables may take the
// place of Inputs and Below in level Output.
type Pick struct {
	Level  int
	Inputs []*manifest.Table // of Level, in its order
	Output int               // Level + 1, or Level to rewrite tables in place
	Below  []*manifest.Table // of Output, those that overlap Inputs
	Move   bool              // Inputs may be moved to Output as they are
	Reason string            // for events: "4 tables in L0", "L2 is 130 % full"
}

// String prints "L1→L2: 000004 + 000002 000003 (L1 is 130 % full)".
func (p *Pick) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "L%d→L%d:", p.Level, p.Output)
	for _, t := range p.Inputs {
		fmt.Fprintf(&b, " %s", t.Num)
	}
	for i, t := range p.Below {
		if i == 0 {
			b.WriteString(" +")
		}
		fmt.Fprintf(&b, " %s", t.Num)
	}
	if p.Move {
		b.WriteString(" moved")
	}
	fmt.Fprintf(&b, " (%s)", p.Reason)
	return b.String()
}

// Tables returns all tables that the pick takes.
func (p *Pick) Tables() []*manifest.Table { return slices.Concat(p.Inputs, p.Below) }

// InputBytes returns the size of all tables that the pick takes.
func (p *Pick) InputBytes() (n uint64) {
	for _, t := range p.Tables() {
		n += t.Size
	}
	return n
}

// A Usable function says whether a table can be read. Tables that cannot stay
// where they are, and so does whatever would have to be merged with them.
type Usable func(*manifest.Table) bool

// TargetBytes is how much a level may hold; 0 means any amount.
func (o Options) TargetBytes(level int) uint64 {
	if level == 0 || level == lastLevel {
		return 0
	}
	n := o.BaseBytes
	for range level - 1 {
		n *= o.Ratio
	}
	return n
}

// FillPermil is how full a level is, in thousandths of what it may hold; 0 for the last
// one.
func (o Options) FillPermil(v *manifest.Version, level int) uint64 {
	switch target := o.TargetBytes(level); {
	case level == 0:
		return uint64(len(v.Levels[0])) * 1000 / uint64(o.L0Tables)
	case target > 0:
		return v.Bytes(level) * 1000 / target
	}
	return 0
}

// tooFull reports whether a level needs compaction.
func (o Options) tooFull(v *manifest.Version, level int) bool {
	if level == 0 {
		return len(v.Levels[0]) >= o.L0Tables
	}
	target := o.TargetBytes(level)
	return target > 0 && v.Bytes(level) > target
}

// DebtBytes is about how much must be rewritten until no level is too large.
func (o Options) DebtBytes(v *manifest.Version) (debt uint64) {
	if o.tooFull(v, 0) {
		debt += v.Bytes(0) + v.Bytes(1)
	}
	for level := 1; level < lastLevel; level++ {
		if n, target := v.Bytes(level), o.TargetBytes(level); n > target {
			debt += (n - target) * (1 + o.Ratio/2)
		}
	}
	return debt
}

// Next returns what needs compaction most, or nil.
func (o Options) Next(v *manifest.Version, usable Usable) *Pick {
	levels := make([]int, 0, lastLevel)
	for level := range lastLevel {
		if o.tooFull(v, level) {
			levels = append(levels, level)
		}
	}
	slices.SortStableFunc(levels, func(a, b int) int { return cmp.Compare(o.FillPermil(v, b), o.FillPermil(v, a)) })
	for _, level := range levels {
		var p *Pick
		if level == 0 {
			p = o.pickL0(v, usable)
		} else {
			p = o.pickTable(v, level, usable)
		}
		if p != nil {
			return p
		}
	}
	return nil
}

// pickL0 takes all of level 0, or, when a table of it cannot be read, those that
// are older than it.
func (o Options) pickL0(v *manifest.Version, usable Usable) *Pick {
	tables := oldestUsable(v.Levels[0], usable)
	return o.into(v, 0, tables, usable, fmt.Sprintf("%d tables in L0", len(v.Levels[0])))
}

// oldestUsable returns the end of level 0 that has only usable tables.
func oldestUsable(tables []*manifest.Table, usable Usable) []*manifest.Table {
	first := len(tables)
	for first > 0 && usable(tables[first-1]) {
		first--
	}
	return tables[first:]
}

// pickTable takes the table of a level that has the least below it.
func (o Options) pickTable(v *manifest.Version, level int, usable Usable) *Pick {
	tables := slices.DeleteFunc(slices.Clone(v.Levels[level]), func(t *manifest.Table) bool { return !usable(t) })
	slices.SortStableFunc(tables, func(a, b *manifest.Table) int {
		return cmp.Compare(workBelow(v, level, a), workBelow(v, level, b))
	})
	reason := fmt.Sprintf("L%d is %d %% full", level, o.FillPermil(v, level)/10)
	for _, t := range tables {
		if p := o.into(v, level, []*manifest.Table{t}, usable, reason); p != nil {
			return p
		}
	}
	return nil
}

// workBelow is how many bytes must be rewritten for each KiB of t.
func workBelow(v *manifest.Version, level int, t *manifest.Table) (work uint64) {
	for _, b := range v.Overlapping(level+1, t.Span()) {
		work += b.Size
	}
	return work * 1024 / max(t.Size, 1)
}

// into returns the pick that takes tables of a level to the next one, or nil if
// that is impossible.
func (o Options) into(v *manifest.Version, level int, tables []*manifest.Table, usable Usable, reason string) *Pick {
	if len(tables) == 0 {
		return nil
	}
	p := &Pick{Level: level, Inputs: tables, Output: level + 1, Reason: reason}
	p.Below = v.Overlapping(p.Output, spanOf(tables))
	for _, t := range p.Below {
		if !usable(t) {
			return nil
		}
	}
	p.Move = len(p.Below) == 0 && disjoint(tables)
	return p
}

// spanOf returns the span around tables.
func spanOf(tables []*manifest.Table) manifest.Span {
	s := tables[0].Span()
	for _, t := range tables[1:] {
		s = s.Union(t.Span())
	}
	return s
}

func disjoint(tables []*manifest.Table) bool {
	for i, a := range tables {
		for _, b := range tables[i+1:] {
			if a.Span().Overlaps(b.Span()) {
				return false
			}
		}
	}
	return true
}

// Within returns the pick that takes everything in the span from a level to the
// next, or nil if there is nothing or it cannot be read.
func (o Options) Within(v *manifest.Version, level int, s manifest.Span, usable Usable) *Pick {
	tables := v.Overlapping(level, s)
	if len(tables) == 0 {
		return nil
	}
	if level == 0 {
		// What is older than a table goes with it.
		tables = v.Levels[0][slices.Index(v.Levels[0], tables[0]):]
	}
	for _, t := range tables {
		if !usable(t) {
			return nil
		}
	}
	return o.into(v, level, tables, usable, "asked for")
}

// Rewrite returns the pick that replaces one table by what is still needed of it.
func Rewrite(level int, t *manifest.Table) *Pick {
	return &Pick{Level: level, Inputs: []*manifest.Table{t}, Output: level, Reason: "asked for"}
}
