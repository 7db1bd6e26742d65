package lsm

import (
	"bytes"
	"sort"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/filter"
)

// keyBounds are those of an iterator: [lower, upper), nil stands for none. If hash is that of
// a prefix which all keys wanted have, tables are asked for it.
type keyBounds struct {
	lower, upper []byte
	hash         uint64
	split        string // the name of the function that gave the prefix; empty: no prefix
}

// keyBounds returns the bounds that options come to. The end of a prefix is made in buffer, which
// is returned grown.
func (db *DB) keyBounds(o IterOptions, buffer []byte) (b keyBounds, grown []byte) {
	b = keyBounds{lower: o.Lower, upper: o.Upper}
	if len(o.Prefix) == 0 {
		return b, buffer
	}
	if bytes.Compare(b.lower, o.Prefix) < 0 {
		b.lower = o.Prefix
	}
	buffer = appendBehind(buffer[:0], o.Prefix)
	if len(buffer) > 0 && (b.upper == nil || bytes.Compare(buffer, b.upper) < 0) {
		b.upper = buffer
	}
	if db.o.Split != nil {
		if prefix := db.o.Split.Prefix(o.Prefix); prefix != nil {
			b.hash, b.split = filter.Hash(prefix), db.o.SplitName
		}
	}
	return b, buffer
}

// appendBehind appends the least key behind all that begin with prefix; nothing if there
// is none.
func appendBehind(dst, prefix []byte) []byte {
	for n := len(prefix); n > 0; n-- {
		if c := prefix[n-1]; c < 0xff {
			return append(append(dst, prefix[:n-1]...), c+1)
		}
	}
	return dst
}

// within returns the part of tables, which lie side by side, that may have keys within the
// bounds, and how many more of them the prefix has left out.
//
// Only those at the edges are asked: what lies between them has nothing but the prefix.
func (b *keyBounds) within(tables []*table) (in []*table, skipped int) {
	first, end := 0, len(tables)
	if b.lower != nil {
		first = sort.Search(end, func(i int) bool { return !tables[i].span.Before(b.lower) })
	}
	if b.upper != nil {
		end = sort.Search(end, func(i int) bool { return bytes.Compare(tables[i].span.Start, b.upper) >= 0 })
	}
	if b.split != "" {
		for first < end && b.lacks(tables[first]) {
			first++
			skipped++
		}
		for first < end-1 && b.lacks(tables[end-1]) {
			end--
			skipped++
		}
	}
	return tables[first:max(first, end)], skipped
}

// lacks reports whether a table is known to have no entry with the prefix. If its filter
// cannot be read, nothing is known: the table is read, and nothing is lost.
func (b *keyBounds) lacks(t *table) (lacks bool) {
	if t.reader == nil {
		return false
	}
	_ = vfs.Guard(func() error {
		f, err := t.reader.PrefixFilter(b.split)
		lacks = err == nil && f != nil && !f.MayContain(b.hash)
		return nil
	})
	return lacks
}
