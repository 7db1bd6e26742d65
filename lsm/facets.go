package lsm

import (
	"errors"
	"sort"
	"sync/atomic"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/facet"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/memtable"
)

// A FacetFunc derives from a key and its value the tags by which filtered iterators
// find it; see Options.Facets.
type FacetFunc = facet.Func

// Tags is the set of tags that a FacetFunc fills.
type Tags = facet.Tags

// A Filter is a condition on the tags of a key's value. The zero Filter holds for all.
type Filter = facet.Expr

// HasTag holds for values that have the tag.
func HasTag(tag []byte) Filter { return facet.Has(tag) }

// And holds where all filters hold.
func And(filters ...Filter) Filter { return facet.And(filters...) }

// Or holds where one of the filters holds.
func Or(filters ...Filter) Filter { return facet.Or(filters...) }

// Not holds where f does not.
func Not(f Filter) Filter { return facet.Not(f) }

// ErrNoFacets means that the database was opened without Options.Facets.
var ErrNoFacets = errors.New("lsm: no facet function")

// A facetIndex holds the bitmaps of a memtable: for each tag the entries that have it,
// by their number in the order in which they came. The lists only grow; a reader takes
// them as they are and makes bitmaps of what it needs.
type facetIndex struct {
	facets FacetFunc
	tags   facet.Tags // of the entry being added; the writer's
	bytes  atomic.Int64

	// mu guards the fields below it, but not what the slices in them have: that
	// does not change any more.
	mu   env.Leaf
	rows facet.Builder
	refs []memtable.Ref // by number
}

// newMemory returns an empty memtable for about so many keys.
func (db *DB) newMemory(keys int) *memory {
	m := &memory{Table: memtable.New(db.slabs, keys)}
	if db.o.Facets != nil {
		m.index = &facetIndex{facets: db.o.Facets}
		m.index.mu.Bind(db.e)
	}
	return m
}

// A faceter asks the facet function about versions of tables, which may have no more
// than a pointer to the value.
type faceter struct {
	facets FacetFunc
	from   *version // has the value files; nil: there are no pointers
	tags   facet.Tags
	buffer []byte // for a value
}

// ask returns the tags of a value, valid until the next call. The caller guards it.
func (f *faceter) ask(user []byte, t key.Trailer, value []byte) (_ *facet.Tags, err error) {
	if t.Kind() == key.ValuePointer {
		if value, f.buffer, err = f.from.valuePointed(user, value, f.buffer); err != nil {
			return nil, err
		}
	}
	f.tags.Reset()
	f.facets(user, value, &f.tags)
	return &f.tags, nil
}

// Insert adds one version; hash is what Prefetch returned for its key.
func (m *memory) Insert(user []byte, hash uint64, t key.Trailer, value []byte) {
	ref := m.Table.Insert(user, hash, t, value)
	if m.index != nil {
		m.index.add(ref, user, t, value)
	}
}

// Bytes returns the memory used.
func (m *memory) Bytes() int {
	n := m.Table.Bytes()
	if m.index != nil {
		n += int(m.index.bytes.Load())
	}
	return n
}

func (x *facetIndex) add(ref memtable.Ref, user []byte, t key.Trailer, value []byte) {
	x.tags.Reset()
	if t.Kind() == key.Set {
		x.facets(user, value, &x.tags)
	}
	x.bytes.Add(int64(4 + 4*x.tags.Len()))
	x.mu.Lock()
	defer x.mu.Unlock()
	x.rows.Add(uint32(len(x.refs)), &x.tags)
	x.refs = append(x.refs, ref)
}

// selectRows finds the entries for which f holds. refs has all that were there when it
// began; so those that a reader may see.
func (x *facetIndex) selectRows(f Filter) (s facet.Selection, refs []memtable.Ref) {
	x.mu.Lock()
	refs = x.refs
	x.mu.Unlock()
	s, _ = f.Select(uint32(len(refs)), func(tag []byte) (facet.Selection, error) {
		x.mu.Lock()
		rows, maybe := x.rows.Lists(tag)
		x.mu.Unlock()
		return facet.SelectionOf(before(rows, len(refs)), before(maybe, len(refs))), nil
	})
	return s, refs
}

// before cuts a list off at the first row that is not less than n.
func before(rows []uint32, n int) []uint32 {
	return rows[:sort.Search(len(rows), func(i int) bool { return int(rows[i]) >= n })]
}
