package sstable

import (
	"bytes"

	"github.com/statordb/stator/lsm/iterator"
	"github.com/statordb/stator/lsm/key"
)

var _ iterator.Source = (*Iter)(nil)

// An Iter walks over the point entries of a table with lower <= user key <
// upper; it is an iterator.Source. Moving allocates nothing, but for the first
// compressed block and for keys longer than any before.
//
// Invariant: while place is onEntry, block j is decoded in b, and entry i of it,
// lower <= i < upper, in user, trailer and value.
type Iter struct {
	r            *Reader
	lower, upper []byte // bounds; nil: none
	err          error

	place place
	j     int // block decoded in b, -1 if none
	b     block
	i     int
	// The entries of block j that lie within the bounds. They are found once
	// for each block, so that a step needs no comparison of keys.
	first, end int

	user    []byte // the prefix of the block stays in it from entry to entry
	trailer key.Trailer
	value   []byte

	scratch []byte // of a decoded block
}

// A place is where a cursor stands.
type place uint8

const (
	beforeFirst place = iota
	onEntry
	afterLast
)

// NewIter returns an iterator over the entries with user keys in [lower,
// upper); nil stands for no bound. It keeps the slices.
func (r *Reader) NewIter(lower, upper []byte) *Iter {
	it := new(Iter)
	it.Init(r, lower, upper)
	return it
}

// Init makes it an iterator as NewIter does, but reuses its memory.
func (it *Iter) Init(r *Reader, lower, upper []byte) {
	*it = Iter{r: r, lower: lower, upper: upper, j: -1, user: it.user[:0], scratch: it.scratch}
}

// First goes to the first entry.
func (it *Iter) First() bool {
	it.err = nil
	if it.lower != nil {
		return it.seekGE(it.lower, key.MaxTrailer)
	}
	return it.enterForward(0)
}

// Last goes to the last entry.
func (it *Iter) Last() bool {
	it.err = nil
	if it.upper != nil {
		return it.seekLT(it.upper)
	}
	return it.enterBackward(it.r.index.blocks - 1)
}

// SeekGE goes to the first entry not less than (user, key.SeekTrailer(seq)).
func (it *Iter) SeekGE(user []byte, seq key.SeqNum) bool {
	it.err = nil
	if it.lower != nil && bytes.Compare(user, it.lower) < 0 {
		return it.seekGE(it.lower, key.MaxTrailer)
	}
	return it.seekGE(user, key.SeekTrailer(seq))
}

// SeekLT goes to the last entry whose user key is less than user.
func (it *Iter) SeekLT(user []byte) bool {
	it.err = nil
	if it.upper != nil && bytes.Compare(user, it.upper) > 0 {
		user = it.upper
	}
	return it.seekLT(user)
}

// Next goes to the following entry.
func (it *Iter) Next() bool {
	if it.place != onEntry {
		return it.place == beforeFirst && it.err == nil && it.First()
	}
	if it.i+1 < it.end {
		return it.show(it.i + 1)
	}
	return it.leaveForward()
}

// Prev goes to the preceding entry.
func (it *Iter) Prev() bool {
	if it.place != onEntry {
		return it.place == afterLast && it.err == nil && it.Last()
	}
	if it.i > it.first {
		return it.show(it.i - 1)
	}
	return it.leaveBackward()
}

// Key is the current internal key, valid until the next move.
func (it *Iter) Key() (user []byte, t key.Trailer) { return it.user, it.trailer }

// Value is the current value, valid until the next move.
func (it *Iter) Value() []byte { return it.value }

// Err is the error that ended the last move, if any.
func (it *Iter) Err() error { return it.err }

// Close ends the use of the iterator; it may be used again after Init.
func (it *Iter) Close() error {
	it.Init(nil, nil, nil)
	return nil
}

// seekGE goes to the first entry not less than (user, t), which is not less
// than the lower bound.
func (it *Iter) seekGE(user []byte, t key.Trailer) bool {
	j := it.r.index.find(user, t)
	if j == it.r.index.blocks {
		return it.stop(afterLast)
	}
	if !it.decode(j) {
		return false
	}
	i, _, ok := it.b.seek(user, t)
	if !ok {
		return it.malformed()
	}
	if i < it.end {
		return it.show(i)
	}
	return it.leaveForward()
}

// seekLT goes to the last entry less than user, which is not greater than the
// upper bound.
func (it *Iter) seekLT(user []byte) bool {
	j := min(it.r.index.find(user, key.MaxTrailer), it.r.index.blocks-1)
	if j < 0 {
		return it.stop(beforeFirst)
	}
	if !it.decode(j) {
		return false
	}
	i, _, ok := it.b.seek(user, key.MaxTrailer)
	if !ok {
		return it.malformed()
	}
	if i > it.first {
		return it.show(i - 1)
	}
	return it.leaveBackward()
}

// leaveForward goes on behind block j, unless the upper bound lies within it.
func (it *Iter) leaveForward() bool {
	if it.end < it.b.count {
		return it.stop(afterLast)
	}
	return it.enterForward(it.j + 1)
}

// leaveBackward goes on before block j, unless the lower bound lies within it.
func (it *Iter) leaveBackward() bool {
	if it.first > 0 {
		return it.stop(beforeFirst)
	}
	return it.enterBackward(it.j - 1)
}

// enterForward goes to the first entry within the bounds from block j on.
func (it *Iter) enterForward(j int) bool {
	if j >= it.r.index.blocks {
		return it.stop(afterLast)
	}
	if !it.decode(j) {
		return false
	}
	if it.first < it.end {
		return it.show(it.first)
	}
	return it.stop(afterLast)
}

// enterBackward goes to the last entry within the bounds up to block j.
func (it *Iter) enterBackward(j int) bool {
	if j < 0 {
		return it.stop(beforeFirst)
	}
	if !it.decode(j) {
		return false
	}
	if it.first < it.end {
		return it.show(it.end - 1)
	}
	return it.stop(beforeFirst)
}

func (it *Iter) stop(p place) bool {
	it.place = p
	return false
}

// decode makes j the current block and finds the bounds in it.
func (it *Iter) decode(j int) bool {
	if it.j == j {
		return true
	}
	it.j = -1
	data, scratch, err := it.r.load(j, it.scratch)
	it.scratch = scratch
	if err != nil {
		return it.fail(err)
	}
	it.j = j
	if !it.b.parse(data) {
		return it.malformed()
	}
	it.first, it.end = 0, it.b.count
	ok1, ok2 := true, true
	if it.lower != nil {
		it.first, _, ok1 = it.b.seek(it.lower, key.MaxTrailer)
	}
	if it.upper != nil {
		it.end, _, ok2 = it.b.seek(it.upper, key.MaxTrailer)
	}
	if !ok1 || !ok2 {
		return it.malformed()
	}
	it.user = append(it.user[:0], it.b.commonPrefix()...)
	return true
}

// show makes entry i of the current block the current entry.
func (it *Iter) show(i int) bool {
	suffix, trailer, value, ok := it.b.entry(i)
	if !ok {
		return it.malformed()
	}
	it.place, it.i = onEntry, i
	it.user = append(it.user[:it.b.prefix], suffix...)
	it.trailer, it.value = trailer, value
	return true
}

func (it *Iter) malformed() bool {
	err := it.r.malformed(it.j)
	it.j = -1
	return it.fail(err)
}

// fail ends the move with err; no step leads on from here.
func (it *Iter) fail(err error) bool {
	it.err = err
	return it.stop(afterLast)
}
