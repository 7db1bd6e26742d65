package sstable

import (
	"bytes"
	"sort"

	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/filter"
	"github.com/statordb/stator/lsm/key"
)

// A RowIter reads entries by row: the position of an entry in the table. It is for
// readers who know from a bitmap which rows they want, in ascending or descending
// order. Going from row to row it decodes one entry and, if need be, one block head.
//
// Invariant: while j >= 0, block j is decoded in b and has the rows [first, end).
type RowIter struct {
	r          *Reader
	j          int
	b          block
	first, end uint32
	scratch    []byte // of a decoded block
	isCopy     bool   // the block is decoded in scratch

	suffix  []byte
	trailer key.Trailer
	value   []byte

	mapped []byte // the file, as far as Warm may read it
	warmed byte
}

// Init makes it an iterator over r that stands nowhere. It may be used again.
func (it *RowIter) Init(r *Reader) {
	*it = RowIter{r: r, j: -1, scratch: it.scratch}
	if m := r.m.Bytes(); int64(len(m)) == r.size {
		it.mapped = m
	}
}

// Filter returns the table's filter if it is in use already, for Touch, else one that
// knows nothing.
func (r *Reader) Filter() *filter.Filter {
	if f := r.filter.Load(); f != nil {
		return f
	}
	return &noFilter
}

var noFilter filter.Filter

// Rows is the number of entries of the table.
func (r *Reader) Rows() uint32 { return uint32(r.properties.Entries) }

// Row goes to an entry, row < Rows.
func (it *RowIter) Row(row uint32) error {
	if it.j < 0 || row < it.first || row >= it.end {
		if err := it.enter(row); err != nil {
			return err
		}
	}
	var ok bool
	it.suffix, it.trailer, it.value, ok = it.b.entry(int(row - it.first))
	if !ok {
		return it.malformed()
	}
	return nil
}

// AppendKey appends the user key of the current entry to dst.
func (it *RowIter) AppendKey(dst []byte) []byte {
	return append(append(dst, it.b.commonPrefix()...), it.suffix...)
}

// HasKey reports whether the user key of the current entry is user.
func (it *RowIter) HasKey(user []byte) bool {
	n := it.b.prefix
	return len(user) == n+len(it.suffix) && bytes.Equal(user[n:], it.suffix) && bytes.Equal(user[:n], it.b.commonPrefix())
}

// Trailer is the second half of the current internal key.
func (it *RowIter) Trailer() key.Trailer { return it.trailer }

// Value is the current value: valid as long as the table if HoldsStill, else until
// the iterator goes to another block.
func (it *RowIter) Value() []byte { return it.value }

// HoldsStill reports whether the current block is read in place.
func (it *RowIter) HoldsStill() bool { return !it.isCopy }

// enter makes the block of a row the current one.
func (it *RowIter) enter(row uint32) error {
	j, ok := it.r.index.blockOf(row, it.j)
	if !ok {
		return it.r.malformedRows(row)
	}
	it.j = -1
	data, scratch, err := it.r.load(j, it.scratch, false)
	it.scratch = scratch
	if err != nil {
		return err
	}
	it.j = j
	it.isCopy = len(data) > 0 && len(scratch) > 0 && &data[0] == &scratch[0]
	it.first, it.end = it.r.index.row(j), it.r.index.row(j+1)
	if !it.b.parse(data, it.r.lift) || int(it.end-it.first) != it.b.count {
		return it.malformed()
	}
	return nil
}

func (it *RowIter) malformed() error {
	err := it.r.malformed(it.j)
	it.j = -1
	return err
}

func (r *Reader) malformedRows(row uint32) error {
	return corrupt.New(r.name, r.section(sectionIndex).offset, "index has no block for row %d", row)
}

// blockOf finds the block that row lies in. It looks near block hint first, if that
// is not -1: who reads by bitmaps goes a few blocks further at a time.
func (x *index) blockOf(row uint32, hint int) (j int, ok bool) {
	j = hint
	if j < 0 || !x.near(&j, row) {
		j = sort.Search(x.blocks, func(i int) bool { return x.row(i+1) > row })
	}
	return j, j < x.blocks && x.row(j) <= row && row < x.row(j+1)
}

// near moves j step by step to the block of a row, if it does not lie far.
func (x *index) near(j *int, row uint32) bool {
	i := *j
	for steps := 0; steps < nearSteps; steps++ {
		switch {
		case row < x.row(i):
			i--
		case row >= x.row(i+1):
			i++
		default:
			*j = i
			return true
		}
		if i < 0 || i >= x.blocks {
			return false
		}
	}
	return false
}

// Seek returns the first row whose internal key is not less than (user, t); Rows if
// there is none.
func (it *RowIter) Seek(user []byte, t key.Trailer) (uint32, error) {
	x := it.r.index
	j := x.find(user, t)
	if j == x.blocks {
		return it.r.Rows(), nil
	}
	if err := it.enter(x.row(j)); err != nil {
		return 0, err
	}
	i, _, ok := it.b.seek(user, t)
	if !ok {
		return 0, it.malformed()
	}
	return it.first + uint32(i), nil
}

// Warm brings entries into the cache. What is wanted next lies at as many places as
// there are rows, and one after the other each would be waited for: its block's head,
// then its slot, then the entry itself. Warm asks for all heads and, where they are
// likely to be, slots; then for all entries; the processor waits for many at a time.
// The loops that ask are as short as can be, because it looks ahead over a few hundred
// instructions only. Warm finds nothing out and checks nothing but bounds. Blocks not
// checked yet, and compressed ones, it leaves out.
func (it *RowIter) Warm(rows []uint32) {
	if it.mapped == nil || len(rows) < 2 {
		return
	}
	var blocks [warmRows][]byte
	var places [warmRows]int // in the block, of the slot and then of the entry
	n := it.placesOf(rows[:min(len(rows), warmRows)], &blocks, &places)
	warmed := byte(0)
	for k, b := range blocks[:n] {
		warmed ^= b[envelopeBytes+24] ^ b[places[k]]
	}
	for k, b := range blocks[:n] {
		count, prefix := int(little.Uint16(b[envelopeBytes+24:])), int(little.Uint16(b[envelopeBytes+26:]))
		slots := envelopeBytes + blockHeaderBytes + prefix
		slot := slots + places[k] - slotsGuess
		at := 0
		if slot+4 <= len(b) && codecOf(b) == codecNone {
			at = slots + 4*count + int(little.Uint16(b[slot:]))
		}
		places[k] = min(at, len(b)-1)
	}
	for k, b := range blocks[:n] {
		at := places[k]
		warmed ^= b[at] ^ b[min(at+lineBytes, len(b)-1)]
	}
	it.warmed = warmed
}

// placesOf finds the blocks of rows, and about where their slots are.
func (it *RowIter) placesOf(rows []uint32, blocks *[warmRows][]byte, places *[warmRows]int) (n int) {
	j := it.j
	for _, row := range rows {
		var ok bool
		if j, ok = it.r.index.blockOf(row, j); !ok {
			return n
		}
		if b := it.warmable(j); b != nil {
			blocks[n], places[n] = b, min(slotsGuess+4*int(row-it.r.index.row(j)), len(b)-1)
			n++
		}
	}
	return n
}

const (
	warmRows   = 64                                    // how many rows Warm takes at most
	slotsGuess = envelopeBytes + blockHeaderBytes + 12 // where slots begin, with a common prefix of usual length
)

// warmable returns block j if it may be looked into without a check.
func (it *RowIter) warmable(j int) []byte {
	if it.r.checked[j>>6].Load()>>(j&63)&1 == 0 {
		return nil
	}
	offset, size := it.r.index.extent(j)
	b := it.mapped[offset : int(offset)+size]
	if len(b) < envelopeBytes+blockHeaderBytes {
		return nil
	}
	return b
}
