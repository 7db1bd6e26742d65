package lsm

import (
	"bytes"
	"slices"
	"sort"

	"github.com/statordb/stator/lsm/facet"
	"github.com/statordb/stator/lsm/iterator"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/sstable"
)

// tableHits is the hitSource of tables side by side, or of one table of level 0. It
// opens one table at a time:
//
//	bitmaps → rows that may match, some hundreds at a time      rowCursor
//	        → a group of up to maxGroup of them                 fill
//	             Read       their entries, all at once
//	             pick       those that are visible, and the newest of their keys
//	             sift       what newer sources have, and the facet function, if need be
type tableHits struct {
	it     *FilteredIter
	rank   int // among the sources
	tables []*table

	reverse bool
	at      int    // index of the table; -1 or len(tables): outside
	target  []byte // where to begin in it; nil: at its end
	isOpen  bool   // cursor, rows and above belong to the table
	cursor  rowCursor
	rows    sstable.RowIter
	items   []iterator.Item // the entries of the group
	above   sstable.RowIter // looks at the row before a candidate
	ahead   int             // size of the next group

	shaded      shaded
	selected    facet.Selection // of the table
	hasVersions bool            // some key of the table has more than one
}

// maxGroup is the number of rows worked on at a time.
const maxGroup = sstable.MaxRead

func (h *tableHits) seek(user []byte, reverse bool) {
	h.shaded.leave()
	h.reverse, h.ahead, h.isOpen = reverse, 1, false
	h.target = append(h.target[:0], user...)
	switch {
	case user == nil:
		h.target = nil
		h.at = 0
		if reverse {
			h.at = len(h.tables) - 1
		}
	case reverse:
		h.at = firstFrom(h.tables, user) - 1
	default:
		h.at = firstNotBefore(h.tables, user)
	}
}

// fill implements hitSource.
func (h *tableHits) fill(g *group) (from []byte, err error) {
	for len(g.list) == 0 && h.at >= 0 && h.at < len(h.tables) {
		if !h.isOpen {
			if err := h.open(h.tables[h.at]); err != nil {
				return h.border(), err
			}
		}
		rows := h.cursor.take(h.ahead)
		if len(rows) == 0 {
			h.leave()
			continue
		}
		h.ahead = min(2*h.ahead, maxGroup)
		if from, err := h.consider(rows, g); err != nil {
			return from, err
		}
	}
	return nil, nil
}

func (h *tableHits) close() {
	h.shaded.leave()
	h.rows.Release()
	h.above.Release()
}

// border is the end of the current table from which it is entered.
func (h *tableHits) border() []byte {
	if span := h.tables[h.at].span; h.reverse {
		return behind(span)
	}
	return h.tables[h.at].span.Start
}

// leave goes on to the next table.
func (h *tableHits) leave() {
	h.shaded.leave()
	h.isOpen, h.target = false, nil
	if h.reverse {
		h.at--
	} else {
		h.at++
	}
}

// open finds the rows of a table that may match and lie within the bounds, and begins
// where the target is.
func (h *tableHits) open(t *table) error {
	if t.reader == nil {
		return t.unreadable()
	}
	s, err := t.reader.Select(h.it.filter, h.it.db.o.FacetsName)
	if err != nil {
		return err
	}
	h.rows.Init(t.reader)
	h.above.Init(t.reader)
	first, end := uint32(0), t.reader.Rows()
	if !s.May.IsEmpty() {
		if first, end, err = h.limits(t); err != nil {
			return err
		}
	}
	p := t.reader.Properties()
	h.selected, h.hasVersions = s, p.UserKeys < p.Entries
	h.cursor.init(s.May, first, end, h.reverse)
	h.shaded.lookUp(h.it, h.rank, t)
	h.cursor.except = h.shaded.rows
	h.isOpen = true
	return nil
}

// limits returns the rows [first, end) of the table that lie within the bounds and not
// on the wrong side of the target.
func (h *tableHits) limits(t *table) (first, end uint32, err error) {
	end = t.reader.Rows()
	lower, upper := h.it.lower, h.it.upper
	switch {
	case h.target == nil:
	case h.reverse:
		upper = h.target
	default:
		lower = h.target
	}
	if lower != nil && bytes.Compare(t.span.Start, lower) < 0 {
		if first, err = h.rows.Seek(lower, key.MaxTrailer); err != nil {
			return 0, 0, err
		}
	}
	if upper != nil && t.span.Contains(upper) {
		if end, err = h.rows.Seek(upper, key.MaxTrailer); err != nil {
			return 0, 0, err
		}
	}
	return first, max(first, end), nil
}

// consider puts those of rows into the group that come out of the iterator. It stops
// at the first one that cannot be read or decided; from there on the rows are taken
// again. If none came out before, that is an error.
func (h *tableHits) consider(rows []uint32, g *group) (from []byte, err error) {
	h.items, g.buffer, err = h.rows.Read(rows, h.items[:0], g.buffer)
	read := len(h.items)
	for i := range h.items {
		if e := h.pick(rows[i], &h.items[i], g); e != nil {
			read, err = i, e
			break
		}
	}
	if err != nil {
		h.cursor.back(len(rows) - read)
		from, rows = h.border(), rows[:read]
	}
	looked := g.list
	hidesNothing := uint64(0)
	if h.cursor.isSifted {
		hidesNothing = h.shaded.known
	}
	h.shaded.asked += uint64(len(g.list))
	if done, e := h.it.sift(g, h.rank, hidesNothing); e != nil {
		undecided := looked[done]
		h.cursor.back(len(rows) - slices.Index(rows, undecided.row))
		from, err = undecided.user, e
	}
	if len(g.list) > 0 {
		return nil, nil
	}
	return from, err
}

// pick adds the version at row to the group, unless it is no value, not visible, or
// not the newest that is.
func (h *tableHits) pick(row uint32, e *iterator.Item, g *group) error {
	if !e.Trailer.Kind().IsValue() || e.Trailer.SeqNum() > h.it.seq {
		return nil
	}
	if h.hasVersions && row > 0 {
		if err := h.above.Row(row - 1); err != nil {
			return err
		}
		if h.above.HasKey(e.User) && h.above.Trailer().SeqNum() <= h.it.seq {
			h.it.counts.Considered++
			h.it.counts.Shadowed++
			return nil
		}
	}
	isSure := h.selected.IsExact() || h.selected.Sure.Contains(row)
	v := g.add() // set in place: a copy waits for what it copies
	v.user, v.trailer, v.value = e.User, e.Trailer, e.Value
	v.hash, v.row, v.isSure, v.hidden = 0, row, isSure, false
	return nil
}

// firstNotBefore returns the first of tables, which lie side by side, that does not end
// before user.
func firstNotBefore(tables []*table, user []byte) int {
	return sort.Search(len(tables), func(i int) bool { return !tables[i].span.Before(user) })
}

// firstFrom returns the first of tables that does not start before user.
func firstFrom(tables []*table, user []byte) int {
	return sort.Search(len(tables), func(i int) bool { return bytes.Compare(tables[i].span.Start, user) >= 0 })
}
