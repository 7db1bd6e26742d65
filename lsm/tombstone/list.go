// Package tombstone answers which range deletes cover a key.
//
// A range delete [start, end) at sequence number s hides every version of
// every key in it that is older than s. Range deletes overlap freely; a List cuts
// them into fragments that do not, so that one binary search finds all that
// cover a key:
//
//	[a, m)#7  [c, z)#4   →   [a, c)#7  [c, m)#7,4  [m, z)#4
package tombstone

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm/key"
)

// A Range is one range delete.
type Range struct {
	Start, End []byte // [Start, End)
	Seq        key.SeqNum
}

func (r Range) String() string {
	return fmt.Sprintf("[%s, %s)#%d", key.Format(r.Start), key.Format(r.End), r.Seq)
}

// A Fragment is a range that the same tombstones cover throughout.
type Fragment struct {
	Start, End []byte       // [Start, End)
	Seqs       []key.SeqNum // newest first, never empty
}

func (f Fragment) String() string {
	seqs := make([]string, len(f.Seqs))
	for i, s := range f.Seqs {
		seqs[i] = fmt.Sprint(s)
	}
	return fmt.Sprintf("[%s, %s)#%s", key.Format(f.Start), key.Format(f.End), strings.Join(seqs, ","))
}

// Newest returns the newest tombstone that a reader at snapshot sees, or 0.
func (f Fragment) Newest(snapshot key.SeqNum) key.SeqNum {
	for _, s := range f.Seqs {
		if s <= snapshot {
			return s
		}
	}
	return 0
}

// A List is an immutable set of range deletes. A nil List is empty. It is safe
// for concurrent use.
type List struct {
	fragments []Fragment // by Start, disjoint
}

// Build returns the list of ranges, whose slices it keeps. Those without a key in
// them are left out.
//
// It sweeps over the ranges by start and keeps those that have begun and not
// ended: time grows with the number of ranges that overlap at one key.
func Build(ranges []Range) *List {
	byStart := make([]Range, 0, len(ranges))
	for _, r := range ranges {
		if bytes.Compare(r.Start, r.End) < 0 {
			byStart = append(byStart, r)
		}
	}
	if len(byStart) == 0 {
		return nil
	}
	slices.SortFunc(byStart, func(a, b Range) int { return bytes.Compare(a.Start, b.Start) })
	s := sweep{at: byStart[0].Start}
	for i := 0; i < len(byStart) || len(s.open) > 0; {
		if i < len(byStart) && bytes.Equal(byStart[i].Start, s.at) {
			s.open = append(s.open, byStart[i])
			i++
			continue
		}
		var limit []byte // where the next range starts
		if i < len(byStart) {
			limit = byStart[i].Start
		}
		s.step(limit)
	}
	return &List{s.fragments}
}

// A sweep moves over the keys that are a start or an end.
type sweep struct {
	at        []byte
	open      []Range // those with Start ≤ at < End
	fragments []Fragment
}

// step moves to the next end, or to limit if that comes first (nil: none).
func (s *sweep) step(limit []byte) {
	next := limit
	for _, r := range s.open {
		if next == nil || bytes.Compare(r.End, next) < 0 {
			next = r.End
		}
	}
	if len(s.open) > 0 {
		s.emit(next)
	}
	s.at = next
	s.open = slices.DeleteFunc(s.open, func(r Range) bool { return bytes.Compare(r.End, next) <= 0 })
}

func (s *sweep) emit(end []byte) {
	seqs := make([]key.SeqNum, len(s.open))
	for i, r := range s.open {
		seqs[i] = r.Seq
	}
	slices.SortFunc(seqs, func(a, b key.SeqNum) int { return int(b) - int(a) })
	s.fragments = append(s.fragments, Fragment{s.at, end, slices.Compact(seqs)})
}

// Empty reports whether l covers nothing.
func (l *List) Empty() bool { return l == nil || len(l.fragments) == 0 }

// Cover returns the newest tombstone over user that a reader at snapshot sees,
// or 0. A version of user with a smaller sequence number is deleted.
func (l *List) Cover(user []byte, snapshot key.SeqNum) key.SeqNum {
	if l == nil {
		return 0
	}
	if f, ok := l.find(user); ok {
		return f.Newest(snapshot)
	}
	return 0
}

// Around is Cover with the range [start, end) of keys around user for which the
// answer is the same; nil stands for no bound.
func (l *List) Around(user []byte, snapshot key.SeqNum) (newest key.SeqNum, start, end []byte) {
	if l == nil {
		return 0, nil, nil
	}
	i := l.search(user)
	if i > 0 {
		start = l.fragments[i-1].End
	}
	if i == len(l.fragments) {
		return 0, start, nil
	}
	f := l.fragments[i]
	if bytes.Compare(user, f.Start) < 0 {
		return 0, start, f.Start
	}
	return f.Newest(snapshot), f.Start, f.End
}

// find returns the fragment over user.
func (l *List) find(user []byte) (Fragment, bool) {
	i := l.search(user)
	if i == len(l.fragments) || bytes.Compare(l.fragments[i].Start, user) > 0 {
		return Fragment{}, false
	}
	return l.fragments[i], true
}

// search returns the index of the first fragment that ends behind user.
func (l *List) search(user []byte) int {
	lower, upper := 0, len(l.fragments)
	for lower < upper {
		mid := int(uint(lower+upper) / 2)
		if c := bytes.Compare(l.fragments[mid].End, user); c > 0 || c == 0 && plant.On(plant.RangeDeleteEndIncluded) {
			upper = mid
		} else {
			lower = mid + 1
		}
	}
	return lower
}

// All returns the fragments in order.
func (l *List) All() iter.Seq[Fragment] {
	return func(yield func(Fragment) bool) {
		if l == nil {
			return
		}
		for _, f := range l.fragments {
			if !yield(f) {
				return
			}
		}
	}
}

// Within returns the fragments in [lower, upper), cut at these bounds; nil means
// no bound.
func (l *List) Within(lower, upper []byte) iter.Seq[Fragment] {
	return func(yield func(Fragment) bool) {
		if l == nil {
			return
		}
		i := 0
		if lower != nil {
			i = l.search(lower)
		}
		for _, f := range l.fragments[i:] {
			if upper != nil && bytes.Compare(f.Start, upper) >= 0 {
				return
			}
			if lower != nil && bytes.Compare(f.Start, lower) < 0 {
				f.Start = lower
			}
			if upper != nil && bytes.Compare(f.End, upper) > 0 {
				f.End = upper
			}
			if !yield(f) {
				return
			}
		}
	}
}

// Ranges returns one range per fragment and sequence number.
func (l *List) Ranges() []Range {
	var ranges []Range
	for f := range l.All() {
		for _, s := range f.Seqs {
			ranges = append(ranges, Range{f.Start, f.End, s})
		}
	}
	return ranges
}

// Merge returns the list of all tombstones in lists.
func Merge(lists ...*List) *List {
	var only *List
	var ranges []Range
	n := 0
	for _, l := range lists {
		if l.Empty() {
			continue
		}
		only = l
		n++
		ranges = append(ranges, l.Ranges()...)
	}
	if n == 1 {
		return only
	}
	return Build(ranges)
}
