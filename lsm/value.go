package lsm

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/vlog"
)

// A valueFile is an open value file (package vlog): large values to which entries of
// tables point. Versions hold it as they hold tables. All but what changes in a heldFile is
// immutable.
type valueFile struct {
	heldFile
	meta   manifest.ValueFile // without Live
	reader *vlog.Reader       // nil if the file cannot be read at all
}

func (db *DB) newValueFile(meta manifest.ValueFile) *valueFile {
	return &valueFile{
		heldFile: heldFile{kind: "value file", num: meta.Num, name: db.o.valueName(meta.Num)},
		meta:     meta,
	}
}

// values are the value files of a database. DB.mu guards them.
type values struct {
	open     map[manifest.FileNum]*valueFile // held by versions
	obsolete []*valueFile                    // to be closed and removed by the cleaner
}

// openValues opens a value file for reading. It must be as the manifest has it, or
// will have it.
func (db *DB) openValues(meta manifest.ValueFile) (*valueFile, error) {
	f := db.newValueFile(meta)
	m, err := mapFile(db.fs, f.name, db.o.NoMmap)
	if err != nil {
		return nil, err
	}
	if f.reader, err = vlog.Open(m, f.name, uint64(meta.Num), &db.valueDecoder); err != nil {
		m.Release()
		return nil, err
	}
	if have := f.reader.Meta(); have.Size != meta.Size || have.Records != meta.Records {
		return nil, errors.Join(corrupt.New(f.name, 0, "this is %+v, want %v", have, meta), f.reader.Close())
	}
	return f, nil
}

// quarantineValues opens what can be opened of a value file that the manifest names. It
// never fails: reads that need what is damaged give the error.
func (db *DB) quarantineValues(meta manifest.ValueFile) *valueFile {
	f, err := db.openValues(meta)
	if err == nil {
		return f
	}
	f = db.newValueFile(meta)
	db.quarantined(&f.heldFile, err)
	return f
}

// readable returns the reader, or why there is none.
func (f *valueFile) readable() (*vlog.Reader, error) {
	if f.reader == nil {
		return nil, f.unreadable()
	}
	return f.reader, nil
}

// holdValuesLocked gives a new version the value files that the manifest says it has. They
// are open, or were written with the tables that are new in it.
func (db *DB) holdValuesLocked(v *version, added []*table) {
	for _, t := range added {
		for _, f := range t.wrote {
			db.values.open[f.meta.Num] = f
		}
		t.wrote = nil
	}
	for _, meta := range v.meta.Values {
		f := db.values.open[meta.Num]
		f.refs++
		v.values = append(v.values, f)
	}
}

// dropValuesLocked marks the value files that next does not have any more.
func dropValuesLocked(old, next *version) {
	for _, f := range old.values {
		if _, held := next.meta.FindValues(f.meta.Num); !held {
			f.dropped = true
		}
	}
}

// releaseValuesLocked gives the value files of a version back.
func (db *DB) releaseValuesLocked(v *version) {
	for _, f := range v.values {
		if f.refs--; f.refs == 0 {
			delete(db.values.open, f.meta.Num)
			db.values.obsolete = append(db.values.obsolete, f)
		}
	}
}

// pointed finds the value file to which the value of an entry of user points.
func (v *version) pointed(user, pointer []byte) (*vlog.Reader, vlog.Pointer, error) {
	p, ok := vlog.DecodePointer(pointer)
	if !ok {
		return nil, p, v.badPointer(user, "is malformed")
	}
	i, ok := v.meta.FindValues(manifest.FileNum(p.File))
	if !ok {
		return nil, p, v.badPointer(user, fmt.Sprintf("leads to value file %06d, which is not there", p.File))
	}
	r, err := v.values[i].readable()
	return r, p, err
}

// badPointer reports an entry that makes no sense though its block is sound. Which table
// it is from is not known here; the newest that may have the key and points into any
// value file is likely.
func (v *version) badPointer(user []byte, reason string) error {
	name := "CURRENT"
	for level := len(v.levels) - 1; level >= 0; level-- {
		for _, t := range v.levels[level] {
			if t.span.Contains(user) && len(t.meta.Values) > 0 {
				name = t.name
			}
		}
	}
	return corrupt.New(name, 0, "pointer of %q to its value %s", bytes.Clone(user), reason)
}

// appendPointed appends the value that is pointed to. The caller guards it.
func (v *version) appendPointed(dst, user, pointer []byte) ([]byte, error) {
	r, p, err := v.pointed(user, pointer)
	if err != nil {
		return dst, err
	}
	return r.AppendValue(dst, user, p)
}

// valuePointed returns the value that is pointed to, in place or in scratch, which is
// returned grown. It touches every page of the value, so that one that cannot be read is
// an error here, not later. The caller guards it.
func (v *version) valuePointed(user, pointer, scratch []byte) (value, grown []byte, err error) {
	r, p, err := v.pointed(user, pointer)
	if err != nil {
		return nil, scratch, err
	}
	value, scratch, err = r.Value(user, p, scratch)
	touch(value)
	return value, scratch, err
}

// touch reads from every page of b.
//
//go:noinline
func touch(b []byte) (sum byte) {
	for i := 0; i < len(b); i += pageBytes {
		sum ^= b[i]
	}
	if len(b) > 0 {
		sum ^= b[len(b)-1]
	}
	return sum
}

const pageBytes = 4096
