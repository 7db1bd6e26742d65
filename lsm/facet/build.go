package facet

import (
	"fmt"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"
)

// A Builder collects the rows of each tag, one or two bytes for each tag of a row. Rows come
// in ascending order. It is the memtable's index, too: of what was added once,
// nothing changes, so what Lists returns can be read while more is added.
// The zero value is empty, and has its lists on the Go heap.
type Builder struct {
	index      map[string]int // of the tag in lists
	lists      []list
	incomplete list // rows with a tag that is not kept
	store      store
}

// NewBuilder returns an empty builder whose lists lie in the memory given. The caller
// gives it back by Free.
func NewBuilder(m Memory) Builder { return Builder{store: store{memory: m}} }

// Free empties the builder and gives the memory back. Nobody may read from it any more.
func (b *Builder) Free() {
	b.store.release()
	*b = Builder{store: b.store}
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
			b.incomplete.add(&b.store, row)
			return
		}
	}
	b.lists[i].add(&b.store, row)
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

// Bytes is the memory that the lists take.
func (b *Builder) Bytes() int { return b.store.size }

// Lists are the rows with a tag as far as they were added by now, and those that may
// have it. Both stay as they are while more is added.
func (b *Builder) Lists(tag []byte) (rows, maybe Rows) {
	if i, found := b.index[string(tag)]; found {
		return b.lists[i].rows(&b.store), Rows{}
	}
	return Rows{}, b.incomplete.rows(&b.store)
}

// SelectionOf makes a selection of what Lists returns, as far as rows are less than end.
func SelectionOf(rows, maybe Rows, end uint32) Selection {
	sure := rows.bitmap(end)
	if maybe.size == 0 {
		return exactly(sure)
	}
	return Selection{Sure: sure, May: roaring.Or(sure, maybe.bitmap(end))}
}

// Append appends to dst what set.go draws, for a table of so many rows whose tags
// come from the function with that name.
func (b *Builder) Append(dst []byte, name string, rows uint32) ([]byte, error) {
	if len(name) > MaxNameBytes {
		return nil, fmt.Errorf("facet: name of %d bytes, at most %d", len(name), MaxNameBytes)
	}
	var sorted []*list
	for i := range b.lists {
		sorted = append(sorted, &b.lists[i])
	}
	slices.SortFunc(sorted, func(x, y *list) int { return strings.Compare(x.tag, y.tag) })
	sorted = append(sorted, &b.incomplete)
	var tags, bitmaps []byte
	var table []byte
	for _, l := range sorted {
		table = little.AppendUint32(table, uint32(len(tags)))
		table = little.AppendUint32(table, uint32(len(bitmaps)))
		table = little.AppendUint32(table, uint32(l.count))
		tags = append(tags, l.tag...)
		m := l.rows(&b.store).bitmap(rows)
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
