package lsm

import (
	"bytes"
	"math"

	"github.com/statordb/stator/lsm/iterator"
	"github.com/statordb/stator/lsm/key"
)

// A run is a part of the stretch on which the merge of a cursor stands, around the
// current item, within which a step needs to look at nothing but the items:
//
//   - the merge has nothing of another source in between (Merge.Run);
//   - each item that a step may come to is the only version of its user key, in its
//     source and in all others;
//   - range deletes hide exactly the items older than floor.
//
// A cursor is in a run in one direction at a time.
type run struct {
	stretch    *iterator.Stretch
	first, end int        // a step forward stays before end, one backward does not go before first
	floor      key.SeqNum // sequence numbers in [floor, floor+depth] are visible
	depth      key.SeqNum
}

// noStretch is that of cursors outside of a run. Nobody writes to it.
var noStretch = iterator.Stretch{Items: make([]iterator.Item, 1)}

func (c *cursor) leaveRun() {
	c.run.stretch, c.run.first, c.run.end = &noStretch, math.MaxInt, 0
	c.ahead.from, c.ahead.end = 0, 0
}

// nextInRun goes to the next visible item of the run, or to the end of the run.
func (c *cursor) nextInRun() bool {
	for s := c.stretch; s.At+1 < c.end; {
		s.At++
		if c.showInRun() {
			return true
		}
	}
	return false
}

// prevInRun goes to the preceding visible item of the run, or to the start of it.
func (c *cursor) prevInRun() bool {
	for s := c.stretch; s.At > c.first; {
		s.At--
		if c.showInRun() {
			return true
		}
	}
	return false
}

// showInRun shows the item on which the stretch stands, if it is visible.
func (c *cursor) showInRun() bool {
	e := &c.stretch.Items[c.stretch.At]
	if e.Trailer.SeqNum()-c.floor > c.depth || !e.Trailer.Kind().IsValue() {
		return false
	}
	c.item = e
	return true
}

// enterRun finds the run in which the merge stands on the current key, going forward.
func (c *cursor) enterRun() {
	c.leaveRun()
	s, _, end := c.merge.Run()
	if s.At+1 >= end || !c.mayRun() {
		return
	}
	if !s.Distinct {
		end = singlesBehind(s, end)
	}
	next := s.At + 1
	if len(c.deletes) > 0 && next < end {
		if _, limit := c.aroundRun(s.Items[next].User); limit != nil {
			end = min(end, s.EndBelow(limit))
		}
	} else {
		c.floor, c.depth = 0, c.seq
	}
	c.stretch, c.end = s, end
}

// enterRunBackward finds the run in which the merge stands on a version that is yet to
// be looked at, going backward. It reports whether that one is in a run itself.
func (c *cursor) enterRunBackward() bool {
	c.leaveRun()
	s, first, end := c.merge.Run()
	if end == 0 || first >= s.At || !c.mayRun() {
		return false
	}
	if !s.Distinct {
		if first = singlesBefore(s, first); first > s.At {
			return false
		}
	}
	if len(c.deletes) > 0 {
		if limit, _ := c.aroundRun(s.Items[s.At].User); limit != nil {
			first = max(first, s.FirstNotBelow(limit))
		}
	} else {
		c.floor, c.depth = 0, c.seq
	}
	c.stretch, c.first = s, first
	return true
}

// mayRun reports whether the source on which the merge stands keeps to the bounds.
func (c *cursor) mayRun() bool {
	return c.lower == nil && c.upper == nil || c.merge.Index() >= c.unbounded
}

// singlesBehind returns the end of the items behind the current one, up to end, that
// are the only versions of their user keys. What follows end is not known.
func singlesBehind(s *iterator.Stretch, end int) int {
	for i := s.At + 1; i < end; i++ {
		if bytes.Equal(s.Items[i].User, s.Items[i-1].User) {
			return max(i-1, s.At+1)
		}
	}
	return end - 1
}

// singlesBefore returns the first of the items before the current one, down to first,
// that are the only versions of their user keys, At if only the current one is, At+1 if
// not even that. What precedes first is not known. The current one is the oldest of
// its user key.
func singlesBefore(s *iterator.Stretch, first int) int {
	for i := s.At; i > first; i-- {
		if bytes.Equal(s.Items[i].User, s.Items[i-1].User) {
			return i + 1
		}
	}
	return first + 1
}

// aroundRun sets floor and depth for user and returns the bounds of the keys around it,
// [lower, upper), for which they are right; nil stands for none.
func (c *cursor) aroundRun(user []byte) (lower, upper []byte) {
	c.floor = 0
	for _, l := range c.deletes {
		newest, start, end := l.Around(user, c.seq)
		c.floor = max(c.floor, newest)
		if start != nil && (lower == nil || bytes.Compare(start, lower) > 0) {
			lower = start
		}
		if end != nil && (upper == nil || bytes.Compare(end, upper) < 0) {
			upper = end
		}
	}
	c.depth = c.seq - c.floor
	return lower, upper
}
