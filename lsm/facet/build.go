package facet

import (
	"fmt"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"
)

// A Builder collects the rows of each tag, 4 bytes for each tag of a row. Rows come
// in ascending order. It is the memtable's index, too: of what was added once,
// nothing changes, so the lists that rowsOf returns can be read while more is added.
// The zero value is empty.
type Builder struct {
	index      map[string]int // of the tag in lists
	lists      []list
	incomplete []uint32 // rows with a tag that is not kept
}

type list struct {
	tag  string
	rows []uint32 // ascending
}

// Add notes the tags of a row, which is not less than those added before.
func (b *Builder) Add(row uint32, tags *Tags) {
	for i := range tags.Len() {
		b.add(row, tags.At(i))
	}
}

func (b *Builder) add(row uint32, tag []byte) {
	i, found := b.index[string(tag)]
	if !found {
		if i = b.newList(tag); i < 0 {
			b.incomplete = appendRow(b.incomplete, row)
			return
		}
	}
	b.lists[i].rows = appendRow(b.lists[i].rows, row)
}

// newList returns the place of a tag that is new, or -1 if it is not to be kept.
func (b *Builder) newList(tag []byte) int {
	if len(tag) > MaxTagBytes || len(b.lists) == MaxTags {
		return -1
	}
	if b.index == nil {
		b.index = map[string]int{}
	}
	b.lists = append(b.lists, list{tag: string(tag)})
	b.index[b.lists[len(b.lists)-1].tag] = len(b.lists) - 1
	return len(b.lists) - 1
}

func appendRow(rows []uint32, row uint32) []uint32 {
	if n := len(rows); n > 0 && rows[n-1] == row {
		return rows
	}
	return append(rows, row)
}

// Reset empties the builder.
func (b *Builder) Reset() { *b = Builder{} }

// Lists are the rows with a tag as far as they were added by now, and those that may
// have it. Both stay as they are while more is added.
func (b *Builder) Lists(tag []byte) (rows, maybe []uint32) {
	if i, found := b.index[string(tag)]; found {
		return b.lists[i].rows, nil
	}
	return nil, b.incomplete
}

// SelectionOf makes a selection of what Lists returns.
func SelectionOf(rows, maybe []uint32) Selection {
	sure := bitmapOf(rows)
	if len(maybe) == 0 {
		return exactly(sure)
	}
	return Selection{Sure: sure, May: roaring.Or(sure, bitmapOf(maybe))}
}

func bitmapOf(rows []uint32) *roaring.Bitmap {
	b := roaring.New()
	b.AddMany(rows)
	return b
}

// Append appends to dst what set.go draws, for a table of so many rows whose tags
// come from the function with that name.
func (b *Builder) Append(dst []byte, name string, rows uint32) ([]byte, error) {
	if len(name) > MaxNameBytes {
		return nil, fmt.Errorf("facet: name of %d bytes, at most %d", len(name), MaxNameBytes)
	}
	sorted := slices.SortedFunc(slices.Values(b.lists), func(x, y list) int { return strings.Compare(x.tag, y.tag) })
	sorted = append(sorted, list{rows: b.incomplete})
	var tags, bitmaps []byte
	var table []byte
	for _, l := range sorted {
		table = little.AppendUint32(table, uint32(len(tags)))
		table = little.AppendUint32(table, uint32(len(bitmaps)))
		table = little.AppendUint32(table, uint32(len(l.rows)))
		tags = append(tags, l.tag...)
		m := bitmapOf(l.rows)
		m.RunOptimize()
		encoded, err := m.ToBytes()
		if err != nil {
			return nil, fmt.Errorf("facet: encode a bitmap: %w", err)
		}
		bitmaps = append(bitmaps, encoded...)
	}
	dst = little.AppendUint32(dst, rows)
	dst = little.AppendUint32(dst, uint32(len(sorted)-1))
	dst = little.AppendUint32(dst, uint32(len(name)))
	dst = little.AppendUint32(dst, uint32(len(tags)))
	dst = append(dst, table...)
	dst = append(dst, name...)
	dst = append(dst, tags...)
	return append(dst, bitmaps...), nil
}
