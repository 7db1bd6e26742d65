package sstable

import (
	"errors"

	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/filter"
)

// A SplitFunc returns how many bytes from the start of a user key are its prefix, 0 if it
// has none.
//
// It must look at nothing but these bytes: if it says n > 0 of a key, it says n of every
// key that begins with the same n bytes. So the keys with one prefix lie side by side, and
// whoever knows a key's beginning may know its prefix.
type SplitFunc func(user []byte) int

// Prefix returns the prefix of a user key, or of all keys that begin with user; nil if that
// is not known.
func (f SplitFunc) Prefix(user []byte) []byte {
	if n := f(user); n > 0 && n <= len(user) {
		return user[:n]
	}
	return nil
}

// A table's prefixes are filtered like its keys, for iterators that want those of one
// prefix. The payload of the section, whose lines start on a multiple of 64 bytes
// in the file, is
//
//	 0 probes       4B
//	 4 skip         4B
//	 8 name length  4B  at most maxSplitName
//	12 zero         4B
//	16 name             of the split function
//	   zero             skip bytes
//	   lines            a filter of the distinct prefixes (package filter)
//
// A reader whose function has another name cannot use it.
const prefixHeaderBytes = 16

// maxSplitName bounds Options.SplitName.
const maxSplitName = 255

// prefixes are what a Writer knows of the prefixes added.
type prefixes struct {
	hashes []uint64 // of the distinct ones
	last   int      // length of the last key's
	broken bool     // the function does not keep to the rules
}

// add notes the prefix of a new user key, which shares so many bytes with the one before.
func (p *prefixes) add(split SplitFunc, user []byte, shared int) {
	if p.last > 0 && shared >= p.last {
		return // it has the same, if the function keeps to the rules
	}
	prefix := split.Prefix(user)
	if p.last = len(prefix); p.last == 0 {
		return
	}
	p.broken = p.broken || split(prefix) != p.last
	p.hashes = append(p.hashes, filter.Hash(prefix))
}

// writePrefixes writes the filter of prefixes, unless the function does not keep to the
// rules: then it might rule out what is there.
func (w *Writer) writePrefixes() error {
	p, name := &w.prefixes, w.options.SplitName
	if w.options.Split == nil || p.broken || w.properties.Entries == 0 || len(name) > maxSplitName {
		return nil
	}
	bits := max(w.options.FilterBitsPerKey, 1)
	head := envelopeBytes + prefixHeaderBytes + int64(len(name))
	skip := -(w.offset() + head) & (lineBytes - 1)
	_, err := w.writeSection(sectionPrefixes, func(dst []byte) []byte {
		dst = little.AppendUint32(dst, uint32(filter.Probes(bits)))
		dst = little.AppendUint32(dst, uint32(skip))
		dst = little.AppendUint64(dst, uint64(len(name)))
		dst = append(append(dst, name...), make([]byte, skip)...)
		return filter.Append(dst, p.hashes, bits)
	})
	return err
}

// A prefixFilter is a section that has been read.
type prefixFilter struct {
	name   string
	filter filter.Filter
}

// PrefixFilter returns the filter of the prefixes that the split function of that name gives
// the table's point entries; nil if the table has none. Range deletes are not in it.
func (r *Reader) PrefixFilter(name string) (*filter.Filter, error) {
	f := r.prefixes.Load()
	if f == nil {
		var err error
		if f, err = r.loadPrefixes(); f == nil {
			return nil, err
		}
	}
	if f.name != name {
		return nil, nil
	}
	return &f.filter, nil
}

// loadPrefixes checks the section at its first touch; nil if there is none.
func (r *Reader) loadPrefixes() (*prefixFilter, error) {
	s := r.prefixesAt
	if s.size == 0 {
		return nil, nil
	}
	payload, err := r.readSection(s)
	if err != nil {
		return nil, err
	}
	f := new(prefixFilter)
	if *f, err = parsePrefixes(payload); err != nil {
		return nil, corrupt.New(r.name, s.offset, "prefix filter: %v", err)
	}
	r.prefixes.Store(f)
	return f, nil
}

// parsePrefixes decodes the payload of the section.
func parsePrefixes(b []byte) (f prefixFilter, err error) {
	if len(b) < prefixHeaderBytes {
		return f, errors.New("header cut off")
	}
	probes, skip, size := little.Uint32(b), uint64(little.Uint32(b[4:])), little.Uint64(b[8:])
	b = b[prefixHeaderBytes:]
	if size > min(maxSplitName, uint64(len(b))) || skip > uint64(len(b))-size || probes > filter.MaxProbes {
		return f, errors.New("header makes no sense")
	}
	f.name = string(b[:size])
	f.filter, err = filter.New(b[size+skip:], int(probes))
	return f, err
}
