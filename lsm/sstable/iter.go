package sstable

import (
	"bytes"

	"github.com/statordb/stator/lsm/iterator"
	"github.com/statordb/stator/lsm/key"
)

var _ iterator.Stretched = (*Iter)(nil)

// An Iter walks over the point entries of a table with lower <= user key <
// upper; it is an iterator.Source. Moving allocates nothing, but for the first
// compressed block and for stretches with more bytes of keys than any before.
//
// Invariant: while place is onEntry, block j is decoded in b, and the stretch is its
// entries from entry from on, all within [first, end).
type Iter struct {
	r            *Reader
	lower, upper []byte // bounds; nil: none
	err          error

	place place
	j     int // block decoded in b, -1 if none
	b     block
	// The entries of block j that lie within the bounds. They are found once
	// for each block, so that a step needs no comparison of keys.
	first, end int

	stretch iterator.Stretch
	from    int    // entry of block j that is the stretch's first
	grow    int    // how many entries the next stretch gets; see widen
	keys    []byte // the user keys of the stretch
	used    int    // how many of the stretch's items have been set since Init

	view    view // of block j
	passing bool // see Pass
	touched byte
}

// A seek decodes the one entry that it finds, as most sources of a merge are not
// asked for more. A step from there decodes some, further steps many.
const (
	firstStretch = 16
	maxStretch   = 64
	// A stretch of long keys is shorter, to bound what an iterator holds: a block
	// stores the prefix of its keys once, a stretch in every key.
	maxPrefixBytes = 16 << 10
	// A block of one large value is not kept for the next use.
	maxKeptScratch = 1 << 20
)

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
	items := it.stretch.Items[:0]
	clear(items[:it.used]) // of slices of a mapping that may go
	it.view.release()
	if cap(it.view.scratch) > maxKeptScratch {
		it.view.scratch = nil
	}
	*it = Iter{
		r: r, lower: lower, upper: upper, j: -1, grow: 1,
		stretch: iterator.Stretch{Items: items}, keys: it.keys[:0], view: view{scratch: it.view.scratch},
	}
	if r != nil {
		it.stretch.Distinct = r.properties.UserKeys == r.properties.Entries
	}
}

// Pass says that the table is read for the last time, as by a merge: its blocks do not come
// into the cache.
func (it *Iter) Pass() { it.passing = true }

// Stretch is the entries around the current one.
func (it *Iter) Stretch() *iterator.Stretch { return &it.stretch }

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
	if it.stretch.At+1 < len(it.stretch.Items) {
		it.stretch.At++
		return true
	}
	if i := it.from + len(it.stretch.Items); i < it.end {
		it.widen()
		return it.show(i, i, it.end)
	}
	return it.leaveForward()
}

// Prev goes to the preceding entry.
func (it *Iter) Prev() bool {
	if it.place != onEntry {
		return it.place == afterLast && it.err == nil && it.Last()
	}
	if it.stretch.At > 0 {
		it.stretch.At--
		return true
	}
	if it.from > it.first {
		it.widen()
		return it.show(it.from-1, it.first, it.from)
	}
	return it.leaveBackward()
}

// Key is the current internal key, valid until the next move.
func (it *Iter) Key() (user []byte, t key.Trailer) {
	e := &it.stretch.Items[it.stretch.At]
	return e.User, e.Trailer
}

// Value is the current value, valid until the next move.
func (it *Iter) Value() []byte { return it.stretch.Items[it.stretch.At].Value }

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
	if !it.decode(j, sought) {
		return false
	}
	i, _, ok := it.b.seek(user, t)
	if !ok {
		return it.malformed()
	}
	if it.grow = 1; i < it.end {
		return it.show(i, i, it.end)
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
	if !it.decode(j, sought) {
		return false
	}
	i, _, ok := it.b.seek(user, key.MaxTrailer)
	if !ok {
		return it.malformed()
	}
	if it.grow = 1; i > it.first {
		return it.show(i-1, it.first, i)
	}
	return it.leaveBackward()
}

// leaveForward goes on behind block j, unless the upper bound lies within it.
func (it *Iter) leaveForward() bool {
	if it.end < it.b.count {
		return it.stop(afterLast)
	}
	it.widen()
	return it.enterForward(it.j + 1)
}

// leaveBackward goes on before block j, unless the lower bound lies within it.
func (it *Iter) leaveBackward() bool {
	if it.first > 0 {
		return it.stop(beforeFirst)
	}
	it.widen()
	return it.enterBackward(it.j - 1)
}

// enterForward goes to the first entry within the bounds from block j on.
func (it *Iter) enterForward(j int) bool {
	if j >= it.r.index.blocks {
		return it.stop(afterLast)
	}
	if !it.decode(j, passed) {
		return false
	}
	if it.first < it.end {
		return it.show(it.first, it.first, it.end)
	}
	return it.stop(afterLast)
}

// enterBackward goes to the last entry within the bounds up to block j.
func (it *Iter) enterBackward(j int) bool {
	if j < 0 {
		return it.stop(beforeFirst)
	}
	if !it.decode(j, passed) {
		return false
	}
	if it.first < it.end {
		return it.show(it.end-1, it.first, it.end)
	}
	return it.stop(beforeFirst)
}

func (it *Iter) stop(p place) bool {
	it.place = p
	return false
}

// decode makes j the current block and finds the bounds in it.
func (it *Iter) decode(j int, a admission) bool {
	if it.j == j {
		return true
	}
	it.j = -1
	if it.passing {
		a = ignored
	}
	if err := it.r.load(j, &it.view, a); err != nil {
		return it.fail(err)
	}
	data := it.view.data
	it.j = j
	if it.b.warm(data); !it.b.parse(data, it.r.lift) {
		return it.malformed()
	}
	if it.view.stays() { // and is not in memory of our own
		it.touched ^= it.touch(data)
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
	return true
}

// widen makes the next stretch longer.
func (it *Iter) widen() { it.grow = min(max(2*it.grow, firstStretch), maxStretch) }

// touch reads from all pages of the current block but the first, unless it is a large
// value. Nobody wants the byte: a mapped page that cannot be read fails here, where the
// caller is on its guard, rather than when the value is used.
func (it *Iter) touch(data []byte) (b byte) {
	if len(data) > maxTouchedBytes {
		return 0
	}
	offset, _ := it.r.index.extent(it.j)
	for at := pageBytes - int(offset+envelopeBytes)%pageBytes; at < len(data); at += pageBytes {
		b ^= data[at]
	}
	return b
}

const maxTouchedBytes = 64 << 10

// show makes entry i of the current block the current entry and decodes others beside
// it, which lie in [lower, upper): i is the first of them or the last.
//
// One that is malformed ends the stretch before it; it fails the move that
// comes to it.
func (it *Iter) show(i, lower, upper int) bool {
	n := min(it.grow, 1+maxPrefixBytes/(1+it.b.prefix))
	if i == lower {
		upper = min(upper, lower+n)
	} else {
		lower = max(lower, upper-n)
	}
	for {
		behind := it.decodeStretch(lower, upper)
		switch {
		case behind > i: // all of the stretch, or all that can be reached of it
			it.place, it.from = onEntry, lower
			it.stretch.At = i - lower
			return true
		case behind == i:
			return it.malformed()
		}
		lower = behind + 1 // entry behind is malformed, so begin on the other side
	}
}

// decodeStretch decodes entries [lower, upper) of the current block into the stretch
// and returns the end of those that fitted.
func (it *Iter) decodeStretch(lower, upper int) int {
	b := &it.b
	data, slots := b.data, b.data[b.slots:b.entries]
	prefix := b.commonPrefix()
	items, keys := it.stretch.Items[:0], it.keys[:0]
	start := b.entries + b.place(lower)
	i := lower
	for ; i < upper; i++ {
		end := len(data)
		if i+1 < b.count {
			end = b.entries + int(little.Uint16(slots[4*i+4:]))
		}
		key0, key1 := b.suffixAt(start, end)
		if key1 > end {
			break
		}
		at := len(keys)
		keys = appendKey(keys, prefix, data[key0:key1])
		items = append(items, iterator.Item{
			User:    keys[at:len(keys):len(keys)],
			Trailer: b.trailerAt(start),
			Value:   data[key1:end:end],
		})
		start = end
	}
	it.stretch.Items, it.keys = items, keys
	it.used = max(it.used, len(items))
	return i
}

// appendKey appends a user key. Copying eight bytes, some of them too many, is
// quicker than a call that copies two.
func appendKey(keys, prefix, suffix []byte) []byte {
	at := len(keys)
	p, s := len(prefix), len(suffix)
	if p > 16 || s > 16 || cap(prefix) < 16 || cap(suffix) < 16 || cap(keys)-at < 32 {
		return append(append(keys, prefix...), suffix...)
	}
	k := keys[at : at+32]
	prefix, suffix = prefix[:16], suffix[:16]
	little.PutUint64(k, little.Uint64(prefix))
	little.PutUint64(k[8:], little.Uint64(prefix[8:]))
	little.PutUint64(k[p:], little.Uint64(suffix))
	little.PutUint64(k[p+8:], little.Uint64(suffix[8:]))
	return keys[:at+p+s]
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
