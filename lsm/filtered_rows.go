package lsm

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// A rowCursor hands out the rows of a bitmap within [first, end), ascending or, in
// reverse, descending. It unpacks a window of the bitmap at a time, which is made as
// wide as should give it wanted rows; when that has grown, all the rest at once, which
// takes a third of the time for each row.
type rowCursor struct {
	rows       *roaring.Bitmap
	first, end uint32 // what has not been unpacked yet
	reverse    bool
	wanted     uint32
	count      uint64 // rows in all of the bitmap
	top        uint64 // about how far they reach

	except   []*roaring.Bitmap // left out when the rest is unpacked
	isSifted bool              // they have been left out of the window

	window []uint32 // in the order of movement
	i      int      // of the next one

	part, all []uint32 // buffers for windows
}

// The number of rows wanted in a window grows from first to last, or to sift where there is
// something to leave out: it is left out of all the rest at once.
const (
	firstWindow = 16
	siftWindow  = 256
	lastWindow  = 1024
)

func (c *rowCursor) init(rows *roaring.Bitmap, first, end uint32, reverse bool) {
	*c = rowCursor{rows: rows, first: first, end: end, reverse: reverse, part: c.part, all: c.all, wanted: firstWindow}
	if c.count = rows.GetCardinality(); c.count == 0 {
		c.first = c.end
		return
	}
	c.top = uint64(rows.Maximum()) + 1
}

// take hands out up to n rows, valid until the next call; none at the end.
func (c *rowCursor) take(n int) []uint32 {
	for c.i == len(c.window) && c.first < c.end {
		c.unpack()
	}
	rows := c.window[c.i:min(c.i+n, len(c.window))]
	c.i += len(rows)
	return rows
}

// back makes the last n rows of those taken last the next ones again.
func (c *rowCursor) back(n int) { c.i -= n }

// unpack fills the window with the rows of the next part.
func (c *rowCursor) unpack() {
	if c.wanted >= lastWindow || c.wanted >= siftWindow && len(c.except) > 0 {
		c.unpackAll()
		return
	}
	width := min(uint64(c.wanted)*max(c.top/c.count, 1), uint64(c.end-c.first))
	c.wanted *= 2
	first, end := c.first, c.first+uint32(width)
	if c.reverse {
		first, end = c.end-uint32(width), c.end
		c.end = first
	} else {
		c.first = end
	}
	c.part, c.i = c.part[:0], 0
	it := c.rows.Iterator()
	for it.AdvanceIfNeeded(first); it.HasNext(); {
		row := it.Next()
		if row >= end {
			break
		}
		c.part = append(c.part, row)
	}
	c.window = c.part
	if c.reverse {
		slices.Reverse(c.window)
	}
}

// unpackAll fills the window with all rows that are left.
func (c *rowCursor) unpackAll() {
	rows := c.rows
	if c.isSifted = len(c.except) > 0; c.isSifted {
		rows = rows.Clone()
		for _, e := range c.except {
			rows.AndNot(e)
		}
		c.count = rows.GetCardinality()
	}
	c.all = slices.Grow(c.all[:0], int(c.count))[:c.count]
	rows.ToExistingArray(&c.all)
	lower, _ := slices.BinarySearch(c.all, c.first)
	upper, _ := slices.BinarySearch(c.all, c.end)
	c.window, c.i, c.first = c.all[lower:upper], 0, c.end
	if c.reverse {
		slices.Reverse(c.window)
	}
}
