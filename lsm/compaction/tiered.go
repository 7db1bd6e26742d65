package compaction

import (
	"fmt"
)

// Tiered lets runs of about one size gather, and merges them when there are
// Options.L0Tables of them. Each byte is written once per size class, so little is
// written; but a read looks at all runs, and outdated versions take space
// until the runs that hold them are merged.
type Tiered struct{}

// LazyLeveled is Tiered with one exception: the last run is a level of its own, which the
// runs above are merged into when together they have a share of its size, 1 to
// Options.L0Tables. Most of what Tiered saves in writing is saved above the last level, and
// most of what it costs in space, and for reads of long ranges, is lost in the last; so
// this takes the better of both. See Dayan and Idreos, "Dostoevsky" (SIGMOD 2018).
type LazyLeveled struct{}

// alike is how many times as large as the largest of those before it a run may be to be
// merged with them.
const alike = 2

// Next merges the newest runs of one size, if there are enough.
func (Tiered) Next(v *View) *Pick {
	runs := v.runs()
	if p := v.pickAlike(runs, v.L0Tables, lastLevel); p != nil {
		return p
	}
	if p := v.pickCrowd(runs); p != nil {
		return p
	}
	if p := v.pickWaste(); p != nil {
		return p
	}
	return v.sink(runs)
}

// Shape has no targets.
func (Tiered) Shape(v *View) Shape { return v.tieredShape() }

func (v *View) tieredShape() Shape {
	s := Shape{Base: lastLevel, L0: mostRuns * v.L0Tables, Every: v.TombstoneAge / agePart, Due: v.due()}
	if runs := v.runs(); len(runs) > s.L0 {
		for _, r := range runs[:len(runs)-s.L0] {
			s.Debt += r.bytes
		}
	}
	return s
}

// mostRuns is how many times Options.L0Tables runs are too many, whatever their sizes.
const mostRuns = 3

// Next merges all into the last level, or runs of one size above it.
func (LazyLeveled) Next(v *View) *Pick {
	runs := v.runs()
	last := len(runs) - 1
	if last > 0 && runs[last].level == lastLevel {
		above := uint64(0)
		for _, r := range runs[:last] {
			above += r.bytes
		}
		if last >= v.L0Tables && above*uint64(v.L0Tables) >= runs[last].bytes {
			oldest := runs[last-len(v.freeEnd(runs[:last])):]
			reason := fmt.Sprintf("%d runs above the last level", last)
			if p := v.mergeRuns(oldest, lastLevel, reason); p != nil && len(oldest) > 1 {
				return p
			}
		}
		runs = runs[:last]
	}
	if p := v.pickAlike(runs, v.L0Tables, lastLevel); p != nil {
		return p
	}
	if p := v.pickCrowd(runs); p != nil {
		return p
	}
	if p := v.pickWaste(); p != nil {
		return p
	}
	return v.sink(v.runs())
}

// Shape has no targets.
func (LazyLeveled) Shape(v *View) Shape { return v.tieredShape() }

// freeEnd returns the end of runs that has only free ones.
func (v *View) freeEnd(runs []run) []run {
	first := len(runs)
	for first > 0 && v.isFree(runs[first-1]) {
		first--
	}
	return runs[first:]
}

func (v *View) isFree(r run) bool {
	for _, t := range r.tables {
		if !v.Free(t) {
			return false
		}
	}
	return true
}

// pickAlike merges the newest runs of about one size, if there are count of them, into a
// run as deep as lies above the next one, but not below level deepest.
func (v *View) pickAlike(runs []run, count, deepest int) *Pick {
	count = max(2, count) // or it would never end
	for first := 0; first < len(runs); {
		end, largest := first, uint64(0)
		for end < len(runs) && v.isFree(runs[end]) && runs[end].level <= deepest &&
			(end == first || runs[end].bytes <= alike*largest) {
			largest = max(largest, runs[end].bytes)
			end++
		}
		if end-first >= count {
			reason := fmt.Sprintf("%d runs of one size", end-first)
			output := min(deepest, v.above(runs[end-1].level, end == len(v.Levels[0])))
			if p := v.mergeRuns(runs[first:end], output, reason); p != nil {
				return p
			}
		}
		first = max(end, first+1)
	}
	return nil
}

// above returns the deepest level that a run of a level can sink to without passing
// another. Of those in level 0 only the last can leave it.
func (v *View) above(level int, isLastOfL0 bool) int {
	if level == 0 && !isLastOfL0 {
		return 0
	}
	for level < lastLevel && len(v.Levels[level+1]) == 0 {
		level++
	}
	return level
}

// pickCrowd merges the newest runs if there are too many in all: as many as it takes,
// and on until the next is larger than all of them.
func (v *View) pickCrowd(runs []run) *Pick {
	excess := len(runs) - mostRuns*v.L0Tables
	if excess <= 0 {
		return nil
	}
	sum := uint64(0)
	end := 0
	for end < len(runs) && (end <= excess || runs[end].bytes <= sum) {
		sum += runs[end].bytes
		end++
	}
	output := v.above(runs[end-1].level, end == len(v.Levels[0]))
	return v.mergeRuns(runs[:end], output, fmt.Sprintf("%d runs", len(runs)))
}

// sink moves a run deeper, which costs nothing, to make room for others above it.
func (v *View) sink(runs []run) *Pick {
	for i := len(runs) - 1; i >= 0 && runs[i].level > 0; i-- {
		if to := v.above(runs[i].level, true); to > runs[i].level {
			return v.mergeRuns(runs[i:i+1], to, fmt.Sprintf("L%d is free", to))
		}
	}
	return nil
}
