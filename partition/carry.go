package partition

import (
	"cmp"
	"slices"

	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/replication"
)

// A snapshot of a partition takes along the first states of the children for which it holds its log: whoever is given it could not make them
// any more, and they might be needed for a majority. So it has the spans of several groups. The receiver begins with the children as one does
// that has applied the split.
//
// A child that has begun has committed an entry, so that it is on a majority, and does not come along.

// A carried is a child whose first state is all that there is of it here.
type carried struct {
	group  uint64
	config *Config
}

// carries returns the children that a snapshot takes along, by group; false if there is one that it cannot take: its first
// state is not here either, or the group has members that are no voters of it.
func (p *Partition) carries() (children []carried, ok bool) {
	for _, h := range *p.holds.Load() {
		c := &Partition{db: p.db, group: h.child}
		if c.loadProgress() != nil || c.loadBirth() != nil || c.loadConfig() != nil {
			return nil, false
		}
		birth, config := c.Birth(), c.Config()
		switch {
		case c.applied > replication.SeedIndex:
			continue
		case birth == nil || birth.Parent != p.group || config == nil || !p.allAmong(birth.Voters):
			return nil, false
		}
		children = append(children, carried{h.child, config})
	}
	slices.SortFunc(children, func(a, b carried) int { return cmp.Compare(a.group, b.group) })
	return children, true
}

// allAmong reports whether all members of the group are among some voters.
func (p *Partition) allAmong(voters []uint64) bool {
	if p.members == nil {
		return true // they have never changed, see checkVoters
	}
	m, err := replication.DecodeMembers(p.members)
	if err != nil {
		return false
	}
	for _, id := range slices.Concat(m.Voters, m.Learners, m.Outgoing, m.Demoted) {
		if !slices.Contains(voters, id) {
			return false
		}
	}
	return true
}

// Carries implements replication.Splitting.
func (p *Partition) Carries() bool {
	_, ok := p.carries()
	return ok
}

// copySpans returns the spans of a snapshot of a group with these children, sorted.
func copySpans(group uint64, c *Config, transactions bool, children []carried) []lsm.KeySpan {
	spans := groupSpansWith(group, c, transactions)
	if len(children) == 0 {
		return spans
	}
	for i := range children {
		spans = append(spans, groupSpans(children[i].group, children[i].config)...)
	}
	return unite(spans, nil)
}
