package sstable

import (
	"bytes"
	"slices"
	"sort"

	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/iterator"
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
	view       view // of block j

	suffix  []byte
	trailer key.Trailer

	mapped []byte // the file, if it can be read in place
	warmed byte
}

// Init makes it an iterator over r that stands nowhere. It may be used again.
func (it *RowIter) Init(r *Reader) {
	it.Release()
	*it = RowIter{r: r, j: -1, view: view{scratch: it.view.scratch}}
	if m := r.m.Bytes(); int64(len(m)) == r.size {
		it.mapped = m
	}
}

// Release lets go of the block on which it stands. It must be called at the end of its use
// at the latest.
func (it *RowIter) Release() {
	it.j = -1
	it.view.release()
}

// Rows is the number of entries of the table.
func (r *Reader) Rows() uint32 { return uint32(r.properties.Entries) }

// Row goes to an entry, row < Rows.
func (it *RowIter) Row(row uint32) error {
	if it.j < 0 || row < it.first || row >= it.end {
		if err := it.enter(row, passed); err != nil {
			return err
		}
	}
	var ok bool
	it.suffix, it.trailer, _, ok = it.b.entry(int(row - it.first))
	if !ok {
		return it.malformed()
	}
	return nil
}

// HasKey reports whether the user key of the current entry is user.
func (it *RowIter) HasKey(user []byte) bool {
	n := it.b.prefix
	return len(user) == n+len(it.suffix) && bytes.Equal(user[n:], it.suffix) && bytes.Equal(user[:n], it.b.commonPrefix())
}

// Trailer is the second half of the current internal key.
func (it *RowIter) Trailer() key.Trailer { return it.trailer }

// enter makes the block of a row the current one.
func (it *RowIter) enter(row uint32, a admission) error {
	j, ok := it.r.index.blockOf(row, it.j)
	if !ok {
		return it.r.malformedRows(row)
	}
	it.j = -1
	if err := it.r.load(j, &it.view, a); err != nil {
		return err
	}
	return it.stand(j, it.view.data)
}

// stand makes block j, with that payload, the current one.
func (it *RowIter) stand(j int, data []byte) error {
	it.j = j
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
	if err := it.enter(x.row(j), sought); err != nil {
		return 0, err
	}
	i, _, ok := it.b.seek(user, t)
	if !ok {
		return 0, it.malformed()
	}
	return it.first + uint32(i), nil
}

// Read appends the entries of rows, at most MaxRead, to items, one for each row; their
// keys, and values that would not stay where they are, to buffer. It returns both. If it
// fails, the first row without an item is the one that cannot be read.
//
// What is wanted lies at as many places as there are rows, and one after the other each
// would be waited for: its block's head, then its slot, then the entry itself. So Read
// asks for all heads and, where they are likely to be, slots; then for all entries; the
// processor waits for many at a time ("group prefetching": Chen et al., ICDE 2004).
func (it *RowIter) Read(rows []uint32, items []iterator.Item, buffer []byte) (_ []iterator.Item, grown []byte, err error) {
	var p rowPlaces
	rows = rows[:min(len(rows), MaxRead)]
	// Blocks of which a filter wants few rows may come into the cache as of a Get, but not
	// those of one that wants most, as of a scan.
	sparse, a := isSparse(rows), passed
	if sparse {
		a = sought
	}
	if it.mapped != nil && sparse {
		it.locate(rows, &p)
		it.warmed ^= p.warm(len(rows))
	}
	for k := 0; k < len(rows); {
		if row := rows[k]; it.j < 0 || row < it.first || row >= it.end {
			if err := it.enterAt(row, &p, k, a); err != nil {
				return items, buffer, err
			}
		}
		before := len(items)
		items, buffer = it.take(rows[k:], items, buffer)
		if len(items) == before {
			return items, buffer, it.malformed()
		}
		k += len(items) - before
	}
	return items, buffer, nil
}

// MaxRead is how many rows Read takes: enough that cache misses overlap as far as the
// processor can.
const MaxRead = 64

// isSparse reports whether the entries of rows lie so far apart that the processor does
// not fetch one because it was asked for the other.
func isSparse(rows []uint32) bool {
	n := len(rows)
	return n > 1 && max(rows[0], rows[n-1])-min(rows[0], rows[n-1]) > sparseDistance*uint32(n)
}

const sparseDistance = 2

// rowPlaces are the places of some rows. Where nothing is known of one, as its block was
// not checked yet, the block is nil.
type rowPlaces struct {
	j      [MaxRead]int    // the block's number
	blocks [MaxRead][]byte // the block
	at     [MaxRead]int    // in the block, about where the slot is, and then the entry
	last   [MaxRead]int    // in the block, the entry's last byte, or one in its third line
}

// locate finds the blocks of rows, and about where their slots are.
func (it *RowIter) locate(rows []uint32, p *rowPlaces) {
	j := it.j
	for k, row := range rows {
		if k > 0 && row >= it.r.index.row(j) && row < it.r.index.row(j+1) {
			p.blocks[k] = p.blocks[k-1] // it had the row before
		} else {
			var ok bool
			if j, ok = it.r.index.blockOf(row, j); !ok {
				return // and enter will say so
			}
			p.blocks[k] = it.checkedBlock(j)
		}
		p.j[k] = j
		p.at[k] = min(slotsGuess+4*int(row-it.r.index.row(j)), max(len(p.blocks[k])-1, 0))
	}
}

// warm brings the first n entries into the cache. The loops that ask are as short as can
// be, because the processor looks ahead over a few hundred instructions only. It finds
// nothing out and checks nothing but bounds.
func (p *rowPlaces) warm(n int) (warmed byte) {
	for k, b := range p.blocks[:n] {
		if b != nil {
			warmed ^= b[envelopeBytes+24] ^ b[p.at[k]]
		}
	}
	for k, b := range p.blocks[:n] {
		if b == nil {
			continue
		}
		count, prefix := int(little.Uint16(b[envelopeBytes+24:])), int(little.Uint16(b[envelopeBytes+26:]))
		slots := envelopeBytes + blockHeaderBytes + prefix
		slot := slots + p.at[k] - slotsGuess
		at, end := 0, 0
		if slot+6 <= len(b) && codecOf(b) == codecNone {
			at = slots + 4*count + int(little.Uint16(b[slot:]))
			end = slots + 4*count + int(little.Uint16(b[slot+4:])) // of the last one, anywhere
		}
		p.at[k], p.last[k] = min(at, len(b)-1), min(max(end-1, at), at+2*lineBytes, len(b)-1)
	}
	for k, b := range p.blocks[:n] {
		if b != nil {
			at := p.at[k]
			warmed ^= b[at] ^ b[min(at+lineBytes, len(b)-1)] ^ b[p.last[k]]
		}
	}
	return warmed
}

// slotsGuess is where slots begin, with a common prefix of usual length.
const slotsGuess = envelopeBytes + blockHeaderBytes + 12

// checkedBlock returns block j if it may be looked into without a check.
func (it *RowIter) checkedBlock(j int) []byte {
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

// enterAt is enter for row k of those whose places are known.
func (it *RowIter) enterAt(row uint32, p *rowPlaces, k int, a admission) error {
	stored := p.blocks[k]
	if stored == nil || codecOf(stored) != codecNone {
		return it.enter(row, a)
	}
	it.view.release()
	it.view.data = payload(stored)
	return it.stand(p.j[k], it.view.data)
}

// take appends the entries of rows, from the first on, as far as they lie in the current
// block and are well formed.
func (it *RowIter) take(rows []uint32, items []iterator.Item, buffer []byte) ([]iterator.Item, []byte) {
	b := &it.b
	data, slots := b.data, b.data[b.slots:b.entries]
	prefix := b.commonPrefix()
	isCopied := !it.view.stays()
	for _, row := range rows {
		i := int(row - it.first)
		if row < it.first || i >= b.count {
			break
		}
		start, end := b.entries+int(little.Uint16(slots[4*i:])), len(data)
		if i+1 < b.count {
			end = b.entries + int(little.Uint16(slots[4*i+4:]))
		}
		key0, key1 := b.suffixAt(start, end)
		if key1 > end {
			break
		}
		at := len(buffer)
		keyEnd := at + len(prefix) + key1 - key0
		if buffer = appendKey(buffer, prefix, data[key0:key1]); isCopied {
			buffer = append(buffer, data[key1:end]...)
		}
		items = slices.Grow(items, 1)[:len(items)+1]
		item := &items[len(items)-1] // set in place: a copy waits for what it copies
		item.User = buffer[at:keyEnd:keyEnd]
		item.Trailer = b.trailerAt(start)
		if item.Value = data[key1:end:end]; isCopied {
			item.Value = buffer[keyEnd:len(buffer):len(buffer)]
		}
	}
	return items, buffer
}
