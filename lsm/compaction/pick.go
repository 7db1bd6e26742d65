package compaction

import (
	"fmt"
	"slices"
	"strings"

	"github.com/statordb/stator/lsm/manifest"
)

// A Pick is a set of tables to be merged into a level.
//
// Invariant: every version of a key in their spans that is older than one in Inputs,
// and not below level Output, is in Inputs, too. So what is left of Inputs may take
// their place in level Output. In level 0, Inputs are neighbours, and if Output is 0,
// one table is written.
type Pick struct {
	Inputs []Input // newest first: of each level at most one
	Output int     // level
	Way    Way
	Reason string // for events: "4 tables in L0", "L2 is 130 % full"
}

// An Input is what a Pick takes of one level, in its order.
type Input struct {
	Level  int
	Tables []*manifest.Table
}

// A Way says how a Pick is carried out.
type Way int

// The ways.
const (
	Merge Way = iota // what is needed of the tables is written into new ones
	Move             // the tables change their level as they are
	Drop             // the tables go, with all that they hold
)

// String prints "L1→L2: 000004 + 000002 000003 (L1 is 130 % full)".
func (p *Pick) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "L%d→L%d:", p.Inputs[0].Level, p.Output)
	for i, in := range p.Inputs {
		if i > 0 {
			b.WriteString(" +")
		}
		for _, t := range in.Tables {
			fmt.Fprintf(&b, " %s", t.Num)
		}
	}
	b.WriteString([...]string{"", " moved", " dropped"}[p.Way])
	fmt.Fprintf(&b, " (%s)", p.Reason)
	return b.String()
}

// Tables returns all tables that the pick takes.
func (p *Pick) Tables() []*manifest.Table {
	var all []*manifest.Table
	for _, in := range p.Inputs {
		all = append(all, in.Tables...)
	}
	return all
}

// Bytes returns the size of all tables that the pick takes.
func (p *Pick) Bytes() uint64 { return bytesOf(p.Tables()) }

// Span returns the span around all tables that the pick takes.
func (p *Pick) Span() manifest.Span { return spanOf(p.Tables()) }

// Conflicts reports whether two picks may not be carried out at the same time: they
// take a common table, or both change a level below 0 within the same span of keys.
// The levels between a pick's inputs and its output count as changed, too, as
// nothing may come into them from above or leave them meanwhile.
//
// Level 0 is different: picks of other tables there are either newer, and change nothing
// for this one, or older, and would have been among its inputs.
func (p *Pick) Conflicts(q *Pick) bool {
	theirs := q.Tables()
	for _, t := range p.Tables() {
		if slices.Contains(theirs, t) {
			return true
		}
	}
	top := max(1, p.Inputs[0].Level, q.Inputs[0].Level)
	return top <= min(p.Output, q.Output) && p.Span().Overlaps(q.Span())
}

func bytesOf(tables []*manifest.Table) (n uint64) {
	for _, t := range tables {
		n += t.Size
	}
	return n
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
