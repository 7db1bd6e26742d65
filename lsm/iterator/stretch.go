package iterator

import (
	"bytes"

	"github.com/statordb/stator/lsm/key"
)

// An Item is one entry of a source.
type Item struct {
	User    []byte
	Trailer key.Trailer
	Value   []byte
}

// A Stretch is some neighbouring entries of a source, decoded together, in
// ascending order whichever way the source moves. The source stands on Items[At].
//
//	... [ Items[0] ... Items[At] ... Items[len-1] ] ...
//
// Decoding many at once costs less for each: the loads from memory overlap, and
// the calls and checks around them are made once. A step within the stretch is an
// addition.
type Stretch struct {
	Items []Item
	At    int

	// Distinct says that no two entries of the source have the same user key.
	Distinct bool
}

// A Stretched is a Source that shows the stretch on which it stands.
//
// While the source stands on an entry, who holds the stretch may change At to
// another of its items instead of calling Next or Prev: the source then stands
// there. All items are valid until a method of the source moves it; it keeps them
// where it stays within the stretch.
type Stretched interface {
	Source
	// Stretch always returns the same pointer.
	Stretch() *Stretch
}

// item is the current item.
func (s *Stretch) item() *Item { return &s.Items[s.At] }

// EndBelow returns the end of the items behind the current one with user keys less
// than limit. It gallops: near ends are found with few comparisons, and so is that of
// the whole stretch.
func (s *Stretch) EndBelow(limit []byte) int {
	n := len(s.Items)
	if bytes.Compare(s.Items[n-1].User, limit) < 0 {
		return n
	}
	lower, upper := s.At+1, n-1
	for step := 1; lower < upper; step *= 2 {
		probe := min(lower+step, upper) - 1
		if bytes.Compare(s.Items[probe].User, limit) >= 0 {
			upper = probe
			break
		}
		lower = probe + 1
	}
	for lower < upper {
		mid := int(uint(lower+upper) >> 1)
		if bytes.Compare(s.Items[mid].User, limit) < 0 {
			lower = mid + 1
		} else {
			upper = mid
		}
	}
	return lower
}

// firstAbove returns the first of the items before the current one with user keys
// greater than limit, At if there is none.
func (s *Stretch) firstAbove(limit []byte) int {
	return s.firstFrom(limit, 1)
}

// FirstNotBelow returns the first of the items before the current one with user keys not
// less than limit, At if there is none.
func (s *Stretch) FirstNotBelow(limit []byte) int {
	return s.firstFrom(limit, 0)
}

// firstFrom is the mirror image of EndBelow. An item is on this side of limit if it
// compares to it as least or more.
func (s *Stretch) firstFrom(limit []byte, least int) int {
	if bytes.Compare(s.Items[0].User, limit) >= least {
		return 0
	}
	lower, upper := 1, s.At
	for step := 1; lower < upper; step *= 2 {
		probe := max(upper-step, lower)
		if bytes.Compare(s.Items[probe].User, limit) < least {
			lower = probe + 1
			break
		}
		upper = probe
	}
	for lower < upper {
		mid := int(uint(lower+upper) >> 1)
		if bytes.Compare(s.Items[mid].User, limit) >= least {
			upper = mid
		} else {
			lower = mid + 1
		}
	}
	return upper
}
