package lsm

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// A rowCursor hands out the rows of a bitmap within [first, end), ascending or, in
// reverse, descending. It unpacks a window of the bitmap at a time, which is made as
// wide as should give it wanted rows.
type rowCursor struct {
	rows       *roaring.Bitmap
	first, end uint32 // what has not been unpacked yet
	reverse    bool
	wanted     uint32
	count      uint64 // rows in all of the bitmap
	top        uint64 // about how far they reach

	window []uint32 // in the order of movement
	i      int      // of the next one
}

// The number of rows wanted in a window grows from first to last.
const (
	firstWindow = 16
	lastWindow  = 1024
)

func (c *rowCursor) init(rows *roaring.Bitmap, first, end uint32, reverse bool) {
	*c = rowCursor{rows: rows, first: first, end: end, reverse: reverse, window: c.window[:0], wanted: firstWindow}
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
	width := min(uint64(c.wanted)*max(c.top/c.count, 1), uint64(c.end-c.first))
	c.wanted = min(2*c.wanted, lastWindow)
	first, end := c.first, c.first+uint32(width)
	if c.reverse {
		first, end = c.end-uint32(width), c.end
		c.end = first
	} else {
		c.first = end
	}
	c.window, c.i = c.window[:0], 0
	it := c.rows.Iterator()
	for it.AdvanceIfNeeded(first); it.HasNext(); {
		row := it.Next()
		if row >= end {
			break
		}
		c.window = append(c.window, row)
	}
	if c.reverse {
		slices.Reverse(c.window)
	}
}
