package lsm

import (
	"bytes"
	"math"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/iterator"
	"github.com/statordb/stator/lsm/key"
)

// A cursor is what an Iterator consists of: a merge of all places that may have
// versions, of which it shows the visible and live ones.
//
// In general a step goes from version to version through the merge. But mostly the
// merge stands in a run, some decoded entries of one table that lie ahead of
// everything else. If each is the only version of its key, a step is one to the next
// entry that is visible; see run.go.
type cursor struct {
	db           *DB
	state        *state // nil: the cursor is closed
	pin          uint64 // its number in DB.pins
	seq          key.SeqNum
	lower, upper []byte
	prefixEnd    []byte // memory for the end of a prefix
	sources
	merge iterator.Merge // of sources

	place place
	err   error
	item  *iterator.Item // the current one while on a key, else noItem

	run

	// Going forward, the merge stands on the current version. Going backward it
	// stands on the version before the current key's, if any, and item is own;
	// or, in a run, on the current version.
	reverse bool
	beyond  bool          // reverse, and not in a run
	stands  bool          // beyond: the merge stands on a version
	own     iterator.Item // slices of skip and value, or the current item with its value in place of a pointer
	skip    []byte        // a copy of a user key whose versions are being stepped over
	value   []byte        // a copy of a value
	pointed []byte        // memory for values that cannot be read in place
	ahead   ahead         // large values that were asked for
}

// A place is where a cursor stands.
type place int8

const (
	atStart place = iota // before the first key
	onKey
	atEnd
)

// noItem has neither key nor value. Nobody writes to it.
var noItem iterator.Item

// closedCursor is that of all closed iterators. Nobody writes to it.
var closedCursor = cursor{err: ErrClosed, item: &noItem, run: run{stretch: &noStretch, first: math.MaxInt}}

func (c *cursor) toFirst() bool {
	switch {
	case !c.start():
		return false
	case c.lower != nil:
		return c.forward(c.merge.SeekGE(c.lower, c.seq))
	}
	return c.forward(c.merge.First())
}

func (c *cursor) toLast() bool {
	switch {
	case !c.start():
		return false
	case c.upper != nil:
		return c.backward(c.merge.SeekLT(c.upper))
	}
	return c.backward(c.merge.Last())
}

func (c *cursor) seekGE(user []byte) bool {
	if c.lower != nil && bytes.Compare(user, c.lower) < 0 {
		user = c.lower
	}
	return c.start() && c.forward(c.merge.SeekGE(user, c.seq))
}

func (c *cursor) seekLT(user []byte) bool {
	if c.upper != nil && bytes.Compare(user, c.upper) > 0 {
		user = c.upper
	}
	return c.start() && c.backward(c.merge.SeekLT(user))
}

// start begins an absolute move, unless the cursor is closed.
func (c *cursor) start() bool {
	if c.state == nil {
		return false
	}
	c.err = nil
	c.leaveRun()
	c.ahead.depth = 0
	return true
}

func (c *cursor) next() bool {
	return c.nextInRun() || c.nextVersion()
}

func (c *cursor) prev() bool {
	return c.prevInRun() || c.prevVersion()
}

// nextVersion goes to the next live key from where the merge stands.
func (c *cursor) nextVersion() bool {
	switch {
	case c.err != nil || c.place == atEnd:
		return false
	case c.place == atStart:
		return c.toFirst()
	}
	c.skip = append(c.skip[:0], c.item.User...)
	return c.forward(c.stepPast(c.merge.Skip()))
}

func (c *cursor) prevVersion() bool {
	switch {
	case c.err != nil || c.place == atStart:
		return false
	case c.place == atEnd:
		return c.toLast()
	case c.beyond:
		return c.backward(c.stands)
	}
	// What precedes the current version of its key is newer than the cursor.
	return c.backward(c.merge.Prev())
}

// stepPast goes forward over the versions of the key in skip and what lies before it.
func (c *cursor) stepPast(stands bool) bool {
	for ; stands; stands = c.merge.Skip() {
		if user, t := c.merge.Key(); t == damageMark || bytes.Compare(user, c.skip) > 0 {
			break
		}
	}
	return stands
}

// forward goes from where the merge stands, if it does, to the next live key.
func (c *cursor) forward(stands bool) bool {
	c.reverse, c.beyond = false, false
	for stands {
		user, t := c.merge.Key()
		switch {
		case c.upper != nil && bytes.Compare(user, c.upper) >= 0 && !(plant.On(plant.UpperBoundIncluded) && bytes.Equal(user, c.upper)):
			stands = false
		case t == damageMark:
			return c.fail(c.damaged().err)
		case t.SeqNum() > c.seq: // newer than the cursor
			stands = c.merge.Next()
		case c.isLive(user, t):
			c.place, c.item = onKey, c.merge.Item()
			c.enterRun()
			return true
		default:
			c.skip = append(c.skip[:0], user...)
			stands = c.stepPast(c.merge.Skip())
		}
	}
	return c.stop(atEnd)
}

// backward goes from where the merge stands, if it does, to the preceding live key.
func (c *cursor) backward(stands bool) bool {
	c.reverse, c.beyond = true, true
	for stands {
		user, t := c.merge.Key()
		if c.lower != nil && bytes.Compare(user, c.lower) < 0 {
			break
		}
		if t == damageMark {
			return c.fail(c.damaged().err)
		}
		if c.enterRunBackward() {
			if c.showInRun() || c.prevInRun() {
				c.place, c.beyond = onKey, false
				return true
			}
			stands = c.merge.Prev()
			continue
		}
		c.skip = append(c.skip[:0], user...)
		var live bool
		live, stands = c.collect()
		if c.err != nil {
			return c.fail(c.err)
		}
		if live {
			c.own.User, c.own.Value = c.skip, c.value
			c.place, c.item, c.stands = onKey, &c.own, stands
			return true
		}
	}
	return c.stop(atStart)
}

// collect goes backward over the versions of the key in skip, which come oldest
// first, and copies the value of the one that is visible. It reports whether that one
// is live, and whether the merge then stands on an earlier key.
func (c *cursor) collect() (live, stands bool) {
	for stands = true; stands; stands = c.merge.SkipBack(c.seq) {
		user, t := c.merge.Key()
		if t == damageMark {
			// Newer versions of the key may be missing, unless the damaged table
			// lies before it.
			if l := c.damaged(); l.covers(c.skip) {
				c.err = l.err
				return false, false
			}
			break
		}
		if !bytes.Equal(user, c.skip) {
			break
		}
		if t.SeqNum() > c.seq {
			continue
		}
		if live = c.isLive(user, t); live {
			c.own.Trailer = t
			c.copyValue()
		}
	}
	return live, stands
}

// copyValue copies the value on which the merge stands, which may be in a mapped file.
func (c *cursor) copyValue() {
	if err := vfs.Guard(func() error {
		c.value = append(c.value[:0], c.merge.Value()...)
		return nil
	}); err != nil {
		c.err = c.state.version.nameFault(err)
	}
}

// readPointed makes the current item, which has a pointer, one that has its value. It
// touches every page of the value, so that one that cannot be read is an error here, not
// later.
func (c *cursor) readPointed() {
	var value []byte
	err := vfs.Guard(func() (err error) {
		r, p, err := c.locate()
		if err == nil {
			value, c.pointed, err = r.Value(c.item.User, p, c.pointed)
			touch(value)
		}
		return err
	})
	if err != nil {
		c.fail(err)
		return
	}
	t := key.MakeTrailer(c.item.Trailer.SeqNum(), key.Set)
	c.own = iterator.Item{User: c.item.User, Trailer: t, Value: value}
	c.item = &c.own
}

// isLive reports whether a version is a value that no range delete hides.
func (c *cursor) isLive(user []byte, t key.Trailer) bool {
	if !t.Kind().IsValue() {
		return false
	}
	for _, l := range c.deletes {
		if l.Cover(user, c.seq) > t.SeqNum() {
			return false
		}
	}
	return true
}

// damaged returns the source on whose mark the merge stands.
func (c *cursor) damaged() *levelIter { return c.list[c.merge.Index()].(*levelIter) }

// stop ends a move that found no key, or that failed.
func (c *cursor) stop(p place) bool {
	if err := c.merge.Err(); err != nil {
		return c.fail(err)
	}
	c.place, c.item = p, &noItem
	c.leaveRun()
	return false
}

// fail ends a move with an error: the cursor stands nowhere.
func (c *cursor) fail(err error) bool {
	c.err = err
	c.place, c.item = atStart, &noItem
	c.leaveRun()
	return false
}
