package lsm

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/statordb/stator/lsm/facet"
	"github.com/statordb/stator/lsm/filter"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/memtable"
)

// memoryHits is the hitSource of a memtable. When it is placed for the first time, it
// sorts the entries that may match; so it costs in proportion to them, and
// not to the memtable.
type memoryHits struct {
	it   *FilteredIter
	rank int // among the sources
	m    *memory

	rows     []memoryRow // in the order of internal keys
	gathered bool
	reverse  bool
	at       int // the next row; in reverse the one before it
	ahead    int // size of the next group
}

// A memoryRow is an entry that may match.
type memoryRow struct {
	window uint64 // of the user key behind what all have in common: most of the order
	ref    memtable.Ref
	isSure bool
}

func (h *memoryHits) seek(user []byte, reverse bool) {
	if !h.gathered {
		h.gather()
	}
	h.reverse, h.ahead = reverse, 1
	switch {
	case user != nil:
		h.at, _ = slices.BinarySearchFunc(h.rows, user, func(r memoryRow, user []byte) int {
			k, _, _ := h.m.At(r.ref)
			return cmp.Or(bytes.Compare(k, user), 1) // the first of equal ones
		})
	case reverse:
		h.at = len(h.rows)
	default:
		h.at = 0
	}
}

// gather finds the entries that may match, of those that the iterator sees.
func (h *memoryHits) gather() {
	h.gathered = true
	s, refs := h.m.index.selectRows(h.it.filter)
	var first []byte
	common := 0
	for row := range roaring.Values(s.May) {
		user, t, _ := h.m.At(refs.at(row))
		if t.SeqNum() > h.it.seq || t.Kind() != key.Set || !h.it.hasWithin(user) {
			continue
		}
		if len(h.rows) == 0 {
			first, common = user, len(user)
		}
		common = commonPrefix(first[:common], user)
		h.rows = append(h.rows, memoryRow{ref: refs.at(row), isSure: h.isSure(s, row)})
	}
	for i := range h.rows {
		r := &h.rows[i]
		user, _, _ := h.m.At(r.ref)
		r.window = window(user[common:])
	}
	slices.SortFunc(h.rows, func(a, b memoryRow) int {
		if a.window != b.window {
			return cmp.Compare(a.window, b.window)
		}
		ua, ta, _ := h.m.At(a.ref)
		ub, tb, _ := h.m.At(b.ref)
		return key.Compare(ua, ta, ub, tb)
	})
}

func (h *memoryHits) isSure(s facet.Selection, row uint32) bool {
	return s.IsExact() || s.Sure.Contains(row)
}

// hasWithin reports whether user is within the bounds.
func (it *FilteredIter) hasWithin(user []byte) bool {
	return (it.lower == nil || bytes.Compare(user, it.lower) >= 0) &&
		(it.upper == nil || bytes.Compare(user, it.upper) < 0)
}

func commonPrefix(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// window is the first eight bytes of k as a number that orders alike.
func window(k []byte) uint64 {
	if len(k) >= 8 {
		return binary.BigEndian.Uint64(k)
	}
	var b [8]byte
	copy(b[:], k)
	return binary.BigEndian.Uint64(b[:])
}

// fill implements hitSource. It cannot fail but where a newer source does.
func (h *memoryHits) fill(g *group) (from []byte, err error) {
	for len(g.list) == 0 && h.left() > 0 {
		n := min(h.ahead, h.left())
		h.ahead = min(2*h.ahead, maxGroup)
		for i := range n {
			g.list = append(g.list, h.candidate(h.rows[h.place(i)].ref, h.rows[h.place(i)].isSure))
		}
		users := g.list[:n]
		done, err := h.it.sift(g, h.rank, 0)
		if err != nil && len(g.list) == 0 {
			return users[done].user, err
		}
		h.move(done)
	}
	return nil, nil
}

func (h *memoryHits) close() {}

// left is the number of rows that are still to come.
func (h *memoryHits) left() int {
	if h.reverse {
		return h.at
	}
	return len(h.rows) - h.at
}

// place is where the row is that comes after i others.
func (h *memoryHits) place(i int) int {
	if h.reverse {
		return h.at - 1 - i
	}
	return h.at + i
}

func (h *memoryHits) move(n int) {
	if h.reverse {
		h.at -= n
	} else {
		h.at += n
	}
}

func (h *memoryHits) candidate(ref memtable.Ref, isSure bool) candidate {
	user, t, value := h.m.At(ref)
	c := candidate{user: user, hash: filter.Hash(user), trailer: t, value: value, isSure: isSure}
	if _, newest, _ := h.m.Get(user, c.hash, h.it.seq); newest != t {
		c.hidden = true
		h.it.counts.Shadowed++
	}
	return c
}
