package lsm

import (
	"encoding/binary"
	"errors"
	"math/bits"
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
//
// Lists and refs lie in the memory of memtables, outside the Go heap.
type facetIndex struct {
	facets FacetFunc
	keys   func(user []byte) bool // Options.FacetKeys
	tags   facet.Tags             // of the entry being added; the writer's
	bytes  atomic.Int64

	// mu guards the fields below it, but not the memory that they lead to: what has been
	// written there does not change any more.
	mu   env.Leaf
	rows facet.Builder
	refs refs
}

// refs lead from the number of an entry to the entry. They lie in blocks that double in
// size: block k has 2^(firstRefs+k) of them, 4 bytes each, from number 2^firstRefs × (2^k − 1) on.
type refs struct {
	pool   *memtable.Pool
	blocks [][]byte
	count  int
}

const (
	firstRefs = 8
	refBytes  = 4
)

func (r *refs) add(ref memtable.Ref) {
	block, i := placeOfRef(r.count)
	if block == len(r.blocks) {
		r.blocks = append(r.blocks, r.pool.Alloc(refBytes<<(firstRefs+block)))
	}
	binary.LittleEndian.PutUint32(r.blocks[block][refBytes*i:], uint32(ref))
	r.count++
}

func (r *refs) at(number uint32) memtable.Ref {
	block, i := placeOfRef(int(number))
	return memtable.Ref(binary.LittleEndian.Uint32(r.blocks[block][refBytes*i:]))
}

func placeOfRef(number int) (block, i int) {
	block = bits.Len32(uint32(number)>>firstRefs+1) - 1
	return block, number - (1<<block-1)<<firstRefs
}

func (r *refs) free() {
	for _, b := range r.blocks {
		r.pool.Free(b)
	}
	r.blocks = nil
}

// newMemory returns an empty memtable for about so many keys.
func (db *DB) newMemory(keys int) *memory {
	m := &memory{Table: memtable.New(db.slabs, keys)}
	if db.o.Facets != nil {
		m.index = &facetIndex{facets: db.o.Facets, keys: db.o.FacetKeys, rows: facet.NewBuilder(db.slabs), refs: refs{pool: db.slabs}}
		m.index.mu.Bind(db.e)
	}
	return m
}

// A faceter asks the facet function about versions of tables, which may have no more
// than a pointer to the value.
type faceter struct {
	facets FacetFunc
	keys   func(user []byte) bool // Options.FacetKeys
	from   *version               // has the value files; nil: there are no pointers
	tags   facet.Tags
	buffer []byte // for a value
}

func (o *Options) faceter(from *version) faceter {
	return faceter{facets: o.Facets, keys: o.FacetKeys, from: from}
}

// ask returns the tags of a value, valid until the next call. The caller guards it.
func (f *faceter) ask(user []byte, t key.Trailer, value []byte) (_ *facet.Tags, err error) {
	f.tags.Reset()
	if f.keys != nil && !f.keys(user) {
		return &f.tags, nil
	}
	if t.Kind() == key.ValuePointer {
		if value, f.buffer, err = f.from.valuePointed(user, value, f.buffer); err != nil {
			return nil, err
		}
	}
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
	if t.Kind() == key.Set && (x.keys == nil || x.keys(user)) {
		x.facets(user, value, &x.tags)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.rows.Add(uint32(x.refs.count), &x.tags)
	x.refs.add(ref)
	x.bytes.Store(int64(refBytes*x.refs.count + x.rows.Bytes()))
}

// Free gives the memory of the memtable back.
func (m *memory) Free() {
	m.Table.Free()
	if m.index != nil {
		m.index.rows.Free()
		m.index.refs.free()
	}
}

// selectRows finds the entries for which f holds. refs has all that were there when it
// began; so those that a reader may see.
func (x *facetIndex) selectRows(f Filter) (s facet.Selection, refs refs) {
	x.mu.Lock()
	refs = x.refs
	x.mu.Unlock()
	s, _ = f.Select(uint32(refs.count), func(tag []byte) (facet.Selection, error) {
		x.mu.Lock()
		rows, maybe := x.rows.Lists(tag)
		x.mu.Unlock()
		return facet.SelectionOf(rows, maybe, uint32(refs.count)), nil
	})
	return s, refs
}
