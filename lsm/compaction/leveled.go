package compaction

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm/manifest"
)

// Leveled keeps one run per level: a read looks at few places, and little space goes
// to what is outdated.
//
// Targets are dynamic: the last level takes what there is, each level above it
// Options.Ratio times less, up to a base level. There is none between the base
// and level 0: a level pays only if it is much larger than what comes down at
// once, and so a small database has a last level and nothing else. With nine tenths of
// the data in the last level, at most about a ninth of the space is outdated.
//
//   - Level 0 is merged into the base when it has too many tables, because each of
//     them costs every read; but not as long as that would rewrite more than
//     twice as much of the base as comes from level 0. Then tables of level 0 of one
//     size are merged with each other, so that there are few of them.
//   - A level that is larger than its target gives one table to the next. Of those it
//     could give, it picks the one that makes the least work: with the fewest bytes
//     below it for each byte of its own, tombstones not counted as bytes to be kept.
//   - Levels above the base, which another policy or an older version has filled, are
//     emptied likewise.
//   - If all that is done, tables with many or old tombstones are taken down, and those
//     of which half has expired.
//   - Tables with nothing below are moved, not merged.
type Leveled struct{}

// mergeShare is how many bytes of the base may be rewritten for each one of level 0.
const mergeShare = 2

// mostL0 bounds how many times Options.L0Tables level 0 may hold while its tables are
// merged with each other.
const mostL0 = 2

// Shape returns the dynamic targets.
func (Leveled) Shape(v *View) Shape {
	s := Shape{L0: v.L0Tables, Base: lastLevel, Every: v.TombstoneAge / agePart, Due: v.due()}
	target := uint64(0)
	for level := 1; level < manifest.Levels; level++ {
		target = max(target, v.Bytes(level))
	}
	for s.Base > 1 && target/v.Ratio >= v.BaseBytes/2 {
		target /= v.Ratio
		s.Base--
		s.Targets[s.Base] = target
	}
	for level := 1; level < s.Base; level++ {
		s.Targets[level] = 1 // to be emptied
	}
	s.Debt = s.leveledDebt(v)
	return s
}

func (s *Shape) leveledDebt(v *View) (debt uint64) {
	if n := v.Bytes(0); len(v.Levels[0]) >= v.L0Tables {
		debt += n + min(v.Bytes(s.output(v, 0)), mergeShare*n)
	}
	for level := 1; level < lastLevel; level++ {
		if n, target := v.Bytes(level), s.Targets[level]; n > target && target > 0 {
			below := v.Bytes(level + 1)
			debt += n - target + min(below, (n-target)*below/n)
		}
	}
	return debt
}

// output returns the level into which level 0 goes: the base, or one above it that is
// not empty yet.
func (s *Shape) output(v *View, level int) int {
	for l := level + 1; l < s.Base; l++ {
		if len(v.Levels[l]) > 0 {
			return l
		}
	}
	return max(s.Base, level+1)
}

// Next returns what needs compaction most.
func (p Leveled) Next(v *View) *Pick {
	s := p.Shape(v)
	var levels []int
	if len(v.Levels[0]) >= v.L0Tables {
		levels = append(levels, 0)
	}
	for level := lastLevel - 1; level > 0; level-- { // so those to be emptied move out of each other's way
		if t := s.Targets[level]; t > 0 && v.Bytes(level) > t {
			levels = append(levels, level)
		}
	}
	slices.SortStableFunc(levels, func(a, b int) int { return cmp.Compare(s.urgency(v, b), s.urgency(v, a)) })
	for _, level := range levels {
		var pick *Pick
		if level == 0 {
			pick = s.pickL0(v)
		} else {
			pick = s.pickTable(v, level)
		}
		if pick != nil {
			return pick
		}
	}
	return v.pickWaste()
}

// urgency orders levels that are too full. One to be emptied is not more urgent than one
// twice as full as it should be.
func (s *Shape) urgency(v *View, level int) uint64 {
	if level > 0 && level < s.Base {
		return 2000
	}
	return s.FillPermil(v.Version, level)
}

// pickL0 takes the oldest tables of level 0 into the next level, or the newest ones
// together.
func (s *Shape) pickL0(v *View) *Pick {
	reason := fmt.Sprintf("%d tables in L0", len(v.Levels[0]))
	oldest := v.oldestFree()
	down := v.into(0, oldest, s.output(v, 0), reason)
	isMany := len(v.Levels[0]) >= mostL0*v.L0Tables
	if down != nil && (isMany || down.Bytes() <= (1+mergeShare)*bytesOf(oldest)) {
		return down
	}
	if together := v.pickAlike(v.runs(), v.L0Tables, 0); together != nil {
		return together
	}
	return down
}

// oldestFree returns the end of level 0 that has only free tables. What lies above
// a table that cannot be taken may not pass it.
func (v *View) oldestFree() []*manifest.Table {
	tables := v.Levels[0]
	first := len(tables)
	for first > 0 && v.Free(tables[first-1]) {
		first--
	}
	if plant.On(plant.NewerTakenDownFirst) && first == 0 && len(tables) > 0 {
		return tables[:1]
	}
	return tables[first:]
}

// pickTable takes the table of a level that has the least below it.
func (s *Shape) pickTable(v *View, level int) *Pick {
	tables := slices.DeleteFunc(slices.Clone(v.Levels[level]), func(t *manifest.Table) bool { return !v.Free(t) })
	slices.SortStableFunc(tables, func(a, b *manifest.Table) int {
		return cmp.Compare(workBelow(v, level, a), workBelow(v, level, b))
	})
	reason := fmt.Sprintf("L%d is %d %% full", level, s.FillPermil(v.Version, level)/10)
	if level < s.Base {
		reason = fmt.Sprintf("L%d is to be empty", level)
	}
	for _, t := range tables {
		if p := v.into(level, []*manifest.Table{t}, level+1, reason); p != nil {
			return p
		}
	}
	return nil
}

// workBelow is how many bytes must be rewritten for each KiB of t, less the share of
// its entries that are tombstones or have expired.
func workBelow(v *View, level int, t *manifest.Table) (work uint64) {
	for _, b := range v.Overlapping(level+1, t.Span()) {
		work += b.Size
	}
	waste := t.Deletes
	if v.Expiry != nil {
		e := v.Expiry(t)
		waste += e.Expired(uint64(v.Now), t.Entries)
	}
	values := t.Entries - min(waste, t.Entries)
	return work * 1024 / max(t.Size, 1) * (1 + values) / (1 + t.Entries)
}
