package partition

import (
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
)

// A table may declare attributes, its facets, by which filters find rows without
// reading the others. The store keeps bitmaps for that: of each tag that
// function facets derives from a row, the rows that have it.
//
// What the tags are must follow from the row alone. The store asks when it
// writes a table file, long after the command and also while it opens, when no
// schema can be read yet; and the answer must be the same for ever. So a row
// carries a mark for each facet, made when it was written, and its key says that
// it does: a table that has declared nothing has neither, and its values are
// never looked at.
//
//	item  status=open, region missing      facets  status, region
//	row   | 2 | timestamp | 2 | mark of "open" | 0 | item |
//	tags  table·0·mark of "open", table·1·0
//
// Marks are short: several values may share one. So bitmaps say which rows may
// match, and the filter is still judged on each of them.

// MaxFacets is how many facets a table may have.
const MaxFacets = 8

// Marks. A store keeps at most 4,096 tags for each of its files, so there are not
// more marks than that allows to several facets.
const (
	absentMark = 0    // the item does not have the attribute
	marks      = 1023 // of values: 1 to 1023
)

// facetMark returns the mark of an attribute of an item.
func facetMark(it item.Item, name string) uint16 {
	v, ok := it.Get(name)
	if !ok {
		return absentMark
	}
	return valueMark(v)
}

// valueMark returns the mark of a value. Equal values have equal bytes.
func valueMark(v item.Value) uint16 { return uint16(1 + xxhash.Sum64(v)%marks) }

// StoreOptions returns the options of a node's store with what partitions need:
// every store that has rows is opened with it.
func StoreOptions(o lsm.Options) lsm.Options {
	o.Facets, o.FacetKeys, o.FacetsName = facets, hasFacets, facetsName
	return o
}

// facetsName names what facets does, for the store. It changes when a row gets
// other tags than before.
const facetsName = "rows.1"

// hasFacets reports whether a key of the store belongs to a row with facets.
func hasFacets(key []byte) bool {
	return len(key) > indexOffset && key[0] == spaceRow && key[indexOffset]&facetsFlag != 0 && key[indexOffset] != collectionsIndex
}

// facets gives a row one tag for each facet of its table. A row that cannot be
// read has none.
//
//	tag: | table 4B | place of the facet 1B | mark 2B |
func facets(key, value []byte, tags *lsm.Tags) {
	if !hasFacets(key) {
		return
	}
	marks, ok := rowMarks(value)
	if !ok {
		return
	}
	var tag [facetTagBytes]byte
	copy(tag[:], key[1:indexOffset])
	for ; len(marks) > 0; marks = marks[2:] {
		copy(tag[5:], marks[:2])
		tags.Add(tag[:])
		tag[4]++
	}
}

const facetTagBytes = 4 + 1 + 2

func facetTag(table uint32, facet int, mark uint16) lsm.Filter {
	tag := binary.BigEndian.AppendUint32(make([]byte, 0, facetTagBytes), table)
	return lsm.HasTag(binary.BigEndian.AppendUint16(append(tag, byte(facet)), mark))
}

// Narrow returns a filter of the store that all rows pass of which the condition
// is true, and few others: for the base table (x nil) or an index. It returns nil
// if the condition says nothing about facets that would leave rows out.
func (s *Schema) Narrow(x *Index, condition *expr.Condition) *lsm.Filter {
	if len(s.Facets) == 0 {
		return nil
	}
	n := narrowing{schema: s, index: x, table: s.Table}
	if x != nil && !x.Local {
		n.table = x.ID
	}
	need := condition.Need(func(name string) bool { return n.facet(name) >= 0 })
	if need == nil {
		return nil
	}
	f := n.filter(need)
	return &f
}

type narrowing struct {
	schema *Schema
	index  *Index
	table  uint32
}

// facet returns the place of a facet by its name, -1 if it is none. An attribute
// that an index does not have is none there: its entries are marked by what they
// have, but filters may be judged on the item.
func (n *narrowing) facet(name string) int {
	if n.index != nil && !n.schema.projects(n.index, name) {
		return -1
	}
	return slices.Index(n.schema.Facets, name)
}

// projects reports whether the entries of an index have the attribute if their
// items do.
func (s *Schema) projects(x *Index, name string) bool {
	isKey := func(k Key) bool { return k.Name == name }
	return x.All || s.IsKey(name) || slices.ContainsFunc(x.Keys, isKey) || slices.Contains(x.Projected, name)
}

func (n *narrowing) filter(need *expr.Need) lsm.Filter {
	if need.Attribute == "" {
		parts := make([]lsm.Filter, len(need.Parts))
		for i, p := range need.Parts {
			parts[i] = n.filter(p)
		}
		if need.Any {
			return lsm.Or(parts...)
		}
		return lsm.And(parts...)
	}
	facet := n.facet(need.Attribute)
	absent := facetTag(n.table, facet, absentMark)
	switch {
	case need.Absent:
		return absent
	case need.Values == nil:
		return lsm.Not(absent)
	case len(need.Values) == 1:
		return facetTag(n.table, facet, valueMark(need.Values[0]))
	}
	var list []uint16
	for _, v := range need.Values {
		list = append(list, valueMark(v))
	}
	slices.Sort(list)
	var tags []lsm.Filter
	for _, mark := range slices.Compact(list) {
		tags = append(tags, facetTag(n.table, facet, mark))
	}
	return lsm.Or(tags...)
}
