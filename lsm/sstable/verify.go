package sstable

import (
	"bytes"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/facet"
	"github.com/statordb/stator/lsm/filter"
	"github.com/statordb/stator/lsm/key"
)

// Verify reads the whole table and checks everything that can be checked. Since
// every byte of the file is under some checksum, it finds every flipped bit;
// beyond that it finds what a faulty writer may have sealed in:
//
//  1. footer, directory and every section: checksum, place, kind
//  2. every data block: checksum, codec, heads, entries in order
//  3. the index: each separator between its blocks, each row number, and that a
//     search for a block's first and last key ends in that block
//  4. the filters: no key of the table, and no prefix, is ruled out
//  5. the properties: counted anew
//  6. the bitmaps: that each is well-formed and within the table
//
// The error is a *corrupt.Error unless the file could not be read.
func (r *Reader) Verify() error { return r.VerifyWith(Functions{}) }

// Functions are those that the writer of a table was given, as far as they are known.
type Functions struct {
	// Facets says what the facet function of that name gives a value. If it fails, bitmaps
	// are not compared.
	Facets     func(user []byte, t key.Trailer, value []byte) (*facet.Tags, error)
	FacetsName string

	Split     SplitFunc
	SplitName string
}

// VerifyWith is Verify for who has the functions by which a table was made: what bears their
// names is compared with what they say.
func (r *Reader) VerifyWith(f Functions) error {
	return vfs.Guard(func() error {
		v := verifier{r: r, Functions: f}
		for _, check := range []func() error{v.sections, v.data, v.end} {
			if err := check(); err != nil {
				return err
			}
		}
		return nil
	})
}

// A verifier goes through the data once and remembers what the end must match.
type verifier struct {
	r *Reader
	Functions
	filter   *filter.Filter
	prefixes *filter.Filter // nil: there are none, or nobody knows of what
	counted  Properties
	last     key.Internal // the entry before; a buffer of its own
	stored   []byte       // a block as in the file, unless that is mapped
	scratch  []byte       // the block decoded

	bitmaps *facet.Set    // what is to be compared; nil: nothing
	rows    facet.Builder // of bitmaps, anew
}

// sections reads again what Open has read, and the sections that Open does not
// need.
func (v *verifier) sections() error {
	r := v.r
	again := &Reader{name: r.name, m: r.m, file: r.file, size: r.size, pool: r.pool}
	if err := again.open(r.number, 0); err != nil {
		return err
	}
	for _, s := range again.sections {
		if s.kind == sectionData || s.size == 0 {
			continue
		}
		b, err := r.view(s.offset, int(s.size))
		if err != nil {
			return err
		}
		if err := r.check(b, s.kind, s.offset); err != nil {
			return err
		}
	}
	f, err := again.loadFilter()
	v.filter = f
	if err != nil {
		return err
	}
	if err := v.openPrefixes(again); err != nil {
		return err
	}
	return v.openBitmaps(again)
}

func (v *verifier) openPrefixes(r *Reader) error {
	_, err := r.loadPrefixes()
	if err == nil && v.Split != nil {
		v.prefixes, err = r.PrefixFilter(v.SplitName)
	}
	return err
}

func (v *verifier) openBitmaps(r *Reader) error {
	s, err := r.loadBitmaps()
	if s == nil {
		return err
	}
	if err := s.Check(); err != nil {
		return r.badBitmaps(err)
	}
	if v.Facets != nil && s.Name() == v.FacetsName {
		v.bitmaps = s
	}
	return nil
}

// facetsOf notes the tags of a value, the entry counted last.
func (v *verifier) facetsOf(user []byte, t key.Trailer, value []byte) {
	if v.bitmaps == nil || !t.Kind().IsValue() {
		return
	}
	tags, err := v.Facets(user, t, value)
	if err != nil {
		v.bitmaps = nil
		return
	}
	v.rows.Add(uint32(v.counted.Entries-1), tags)
}

func (v *verifier) data() error {
	for j := range v.r.index.blocks {
		if err := v.block(j); err != nil {
			return err
		}
	}
	return nil
}

// block checks data block j, whether or not that has been done before.
func (v *verifier) block(j int) error {
	r := v.r
	offset, size := r.index.extent(j)
	stored, grown, err := r.read(offset, size, v.stored)
	v.stored = grown
	if err != nil {
		return err
	}
	if err := r.check(stored, sectionData, offset); err != nil {
		return err
	}
	data := payload(stored)
	if codecOf(stored) != codecNone {
		if data, v.scratch, err = r.decode(stored, offset, v.scratch); err != nil {
			return err
		}
	}
	var b block
	if !b.parse(data, r.lift) {
		return r.malformed(j)
	}
	if got, want := r.index.row(j), v.counted.Entries; uint64(got) != want {
		return v.index("block %d starts at row %d, index says %d", j, want, got)
	}
	if err := v.border(j, &b); err != nil {
		return err
	}
	if err := v.entries(j, &b); err != nil {
		return err
	}
	if got := r.index.find(v.last.User, v.last.Trailer); got != j {
		return v.index("search for %v ends in block %d, not %d", v.last, got, j)
	}
	return nil
}

// border checks the separator in front of block j, and that a search for its
// first key leads to it.
func (v *verifier) border(j int, b *block) error {
	suffix, trailer, _, ok := b.entry(0)
	if !ok {
		return v.r.malformed(j)
	}
	user := append(bytes.Clone(b.commonPrefix()), suffix...)
	first := key.Internal{User: user, Trailer: trailer}
	sep := v.r.index.separator(j)
	if sep.Compare(first) > 0 || j > 0 && sep.Compare(v.last) <= 0 {
		return v.index("separator %v is not between %v and %v", sep, v.last, first)
	}
	if got := v.r.index.find(user, trailer); got != j {
		return v.index("search for %v ends in block %d, not %d", first, got, j)
	}
	return nil
}

// entries checks order, heads and filter of block j and counts its entries.
func (v *verifier) entries(j int, b *block) error {
	user := bytes.Clone(b.commonPrefix())
	for i := range b.count {
		suffix, trailer, value, ok := b.entry(i)
		if !ok {
			return v.r.malformed(j)
		}
		user = append(user[:b.prefix], suffix...)
		head, ok := b.spread.head(window(user, b.prefix), entryHeadBits)
		if !ok || head != uint64(little.Uint16(b.data[b.slots+4*i+2:])) {
			return v.r.malformed(j)
		}
		if v.counted.Entries > 0 && key.Compare(user, trailer, v.last.User, v.last.Trailer) <= 0 {
			return v.r.malformed(j)
		}
		if !v.filter.MayContain(filter.Hash(user)) {
			s := v.r.section(sectionFilter)
			return corrupt.New(v.r.name, s.offset, "filter rules out %s, which is in the table", key.Format(user))
		}
		if prefix := v.prefixOf(user); prefix != nil && !v.prefixes.MayContain(filter.Hash(prefix)) {
			s := v.r.section(sectionPrefixes)
			return corrupt.New(v.r.name, s.offset, "filter rules out the prefix of %s, which is in the table", key.Format(user))
		}
		isNew := v.counted.Entries == 0 || !bytes.Equal(user, v.last.User)
		v.counted.addEntry(user, trailer, len(value), isNew)
		v.facetsOf(user, trailer, value)
		v.last.User = append(v.last.User[:0], user...)
		v.last.Trailer = trailer
	}
	return nil
}

// prefixOf returns the prefix of a user key, if the table should know it.
func (v *verifier) prefixOf(user []byte) []byte {
	if v.prefixes == nil {
		return nil
	}
	return v.Split.Prefix(user)
}

// end checks what the whole of the data says about index and properties.
func (v *verifier) end() error {
	x := v.r.index
	if x.blocks > 0 {
		if got := x.row(x.blocks); uint64(got) != v.counted.Entries {
			return v.index("index ends at row %d, data at %d", got, v.counted.Entries)
		}
		if sep := x.separator(x.blocks); !bytes.Equal(sep.User, v.last.User) || sep.Trailer != 0 {
			return v.index("last separator is %v, last entry %v", sep, v.last)
		}
		v.counted.widen(v.last)
	}
	for _, d := range v.r.deletes {
		v.counted.addRangeDelete(d)
	}
	v.counted.Number = v.r.number
	v.counted.DataBlocks = uint64(x.blocks)
	v.counted.DataBytes = uint64(v.r.section(sectionData).size)
	v.counted.FilterBytes = uint64(v.r.section(sectionFilter).size)
	v.counted.IndexBytes = uint64(v.r.section(sectionIndex).size)
	if v.bitmaps != nil {
		if err := v.bitmaps.Equal(&v.rows); err != nil {
			return v.r.badBitmaps(err)
		}
	}
	stored := v.r.properties
	v.counted.Expiry = stored.Expiry // nobody knows how it came about
	if got, want := stored.append(nil), v.counted.append(nil); !bytes.Equal(got, want) {
		return corrupt.New(v.r.name, v.r.section(sectionProperties).offset,
			"properties are %v, counted %v", stored, v.counted)
	}
	return nil
}

// index reports that the index contradicts the data.
func (v *verifier) index(format string, args ...any) error {
	return corrupt.New(v.r.name, v.r.section(sectionIndex).offset, format, args...)
}
