package sstable

import "sync/atomic"

// FilterStats tell what filters are worth, in lookups by Get of keys in tables that have
// one. They are estimates: one key of 64 is counted, 64 times, chosen by its hash, so that
// the others pay nothing for it.
type FilterStats struct {
	Asked    uint64 // lookups
	RuledOut uint64 // of them, those that the filter ended
	Wrong    uint64 // of the others, those whose key was not there
}

// FalsePositives is the share of absent keys that filters let pass; 0 without any.
func (s FilterStats) FalsePositives() float64 {
	if s.RuledOut+s.Wrong == 0 {
		return 0
	}
	return float64(s.Wrong) / float64(s.RuledOut+s.Wrong)
}

// filterCounters are what FilterStats count.
type filterCounters struct {
	asked, ruledOut, wrong atomic.Uint64
}

const (
	statsWeight = 64
	// The filter takes the line of a key from the upper bits of its hash and bits in
	// the line from all of them; these are as good as any.
	statsMask = (statsWeight - 1) << 20
)

// isCounted reports whether lookups of a key with this hash are counted.
func isCounted(hash uint64) bool { return hash&statsMask == 0 }

func (c *filterCounters) count(pass, found bool) {
	c.asked.Add(statsWeight)
	switch {
	case !pass:
		c.ruledOut.Add(statsWeight)
	case !found:
		c.wrong.Add(statsWeight)
	}
}

// FilterStats returns what the filters of all tables that are or were open with the pool
// have done.
func (p *Pool) FilterStats() FilterStats {
	c := &p.filters
	return FilterStats{Asked: c.asked.Load(), RuledOut: c.ruledOut.Load(), Wrong: c.wrong.Load()}
}
