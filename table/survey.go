package table

import (
	"cmp"
	"maps"
	"slices"

	"github.com/statordb/stator/internal/env"
)

// A survey is what a node says of its replicas when it is asked whether it is there: which are broken, and which of the
// partitions that it leads have become too large. Each time it looks at some, and at those of which it had something to
// say the last time.
type survey struct {
	mu    env.Leaf        // guards what is below
	from  uint64          // group that is next
	known map[uint64]bool // groups of which there was something to say; replaced, not changed
}

// takeSurvey looks at the next ones and returns all that is to be said, by group.
func (c *core) takeSurvey() (broken []uint64, large []candidate) {
	v := &c.survey
	v.mu.Lock()
	from, known := v.from, maps.Clone(v.known)
	v.mu.Unlock()
	if known == nil {
		known = make(map[uint64]bool)
	}
	list, next := c.directory.round(from, membersAtOnce, (*livePartition).exists, known)
	for _, p := range list {
		isBroken := p.damage != nil || p.Err() != nil
		if isBroken {
			broken = append(broken, p.id)
		}
		excess := c.excess(p)
		if excess > 0 {
			large = append(large, candidate{p.id, 0, excess})
		}
		if isBroken || excess > 0 {
			known[p.id] = true
		} else {
			delete(known, p.id)
		}
	}
	v.mu.Lock()
	v.from, v.known = next, known
	v.mu.Unlock()
	slices.Sort(broken)
	slices.SortFunc(large, func(a, b candidate) int { return cmp.Compare(a.group, b.group) })
	return broken, large
}

// excess returns the size of a partition that this node leads in percent of that from which on it should be
// split; 0: it need not be.
func (c *core) excess(p *livePartition) uint64 {
	if c.split.bytes == 0 || !p.hosted() {
		return 0
	}
	if size := p.Size(); size > c.split.bytes && p.leads() {
		return uint64(size / max(1, c.split.bytes/100))
	}
	return 0
}

// report returns which replicas here are broken, and which of the partitions that are led here should be split.
func (c *core) report() (broken []uint64, split []candidate) {
	broken, large := c.takeSurvey()
	c.heats.mu.Lock()
	split = slices.Clone(c.heats.found)
	c.heats.mu.Unlock()
	return broken, append(split, large...)
}

// servePing says that the node is there, and what it has to report.
func (c *core) servePing(callRequest) answer {
	broken, split := c.report()
	var w writer
	w.uints(broken)
	w.candidates(split)
	return answer{body: w.b}
}
