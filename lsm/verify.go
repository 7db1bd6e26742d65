package lsm

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/sstable"
	"github.com/statordb/stator/lsm/vlog"
)

// Verify reads every table and value file and checks all of it while the database is in
// use: each by itself, and that every pointer leads to a value of its key. The error joins
// what was found: a *corrupt.Error for each damaged file.
func (db *DB) Verify() error { return db.verify(false) }

// VerifyNew is Verify without reading again what was found to be sound since Open: files
// do not change. That the value files are still there to which tables point is checked
// of all of them. It is for simulations that verify after each change.
func (db *DB) VerifyNew() error { return db.verify(true) }

func (db *DB) verify(onlyNew bool) error {
	v, err := db.holdVersion()
	if err != nil {
		return err
	}
	defer db.releaseVersion(v)
	var found []error
	sound := map[manifest.FileNum]*vlog.Reader{}
	for _, f := range v.values {
		if !onlyNew || !f.verified.Load() {
			if err := f.verify(); err != nil {
				found = append(found, fmt.Errorf("lsm: value file %s: %w", f.meta.Num, err))
				continue
			}
			f.verified.Store(true)
		}
		sound[f.meta.Num] = f.reader
	}
	for _, tables := range v.levels {
		for _, t := range tables {
			check := t.verify
			if onlyNew && t.verified.Load() {
				check = t.verifyRefs
			}
			if err := check(db, v, sound); err != nil {
				found = append(found, fmt.Errorf("lsm: table %s: %w", t.meta.Num, err))
				continue
			}
			if t.leadsInto(sound) {
				t.verified.Store(true)
			}
		}
	}
	return errors.Join(found...)
}

// leadsInto reports whether all the table's pointers have been followed: whether the value
// files are sound to which they lead.
func (t *table) leadsInto(sound map[manifest.FileNum]*vlog.Reader) bool {
	for _, ref := range t.meta.Values {
		if sound[ref.File] == nil {
			return false
		}
	}
	return true
}

func (t *table) verify(db *DB, v *version, values map[manifest.FileNum]*vlog.Reader) error {
	if t.reader == nil {
		return t.unreadable()
	}
	if err := t.verifyEntries(db, v); err != nil {
		return err
	}
	return vfs.Guard(func() error { return t.verifyPointers(v, values) })
}

// verifyRefs checks that the value files are there to which a sound table points. What the
// manifest says of these pointers was compared with the table when that was verified.
func (t *table) verifyRefs(_ *DB, v *version, _ map[manifest.FileNum]*vlog.Reader) error {
	for _, ref := range t.meta.Values {
		if _, known := v.meta.FindValues(ref.File); !known {
			return corrupt.New(t.name, 0, "there are pointers to value file %s, which is not there", ref.File)
		}
	}
	return nil
}

// verifyEntries checks the file, and what was made by functions that are known.
func (t *table) verifyEntries(db *DB, v *version) error {
	known := sstable.Functions{FacetsName: db.o.FacetsName, Split: db.o.Split, SplitName: db.o.SplitName}
	if db.o.Facets != nil {
		f := db.o.faceter(v)
		known.Facets = f.ask
	}
	return t.reader.VerifyWith(known)
}

// verifyPointers follows all pointers of a sound table, as far as they lead into sound
// files, and compares what they add up to with what the manifest says.
func (t *table) verifyPointers(v *version, values map[manifest.FileNum]*vlog.Reader) error {
	counted := map[manifest.FileNum]uint64{}
	it := t.reader.NewIter(nil, nil)
	defer it.Close()
	it.Pass()
	for ok := it.First(); ok; ok = it.Next() {
		user, tr := it.Key()
		if tr.Kind() != key.ValuePointer {
			continue
		}
		p, ok := vlog.DecodePointer(it.Value())
		if !ok {
			return corrupt.New(t.name, 0, "pointer of %s to its value is malformed", key.Format(user))
		}
		counted[manifest.FileNum(p.File)] += p.Size
		if _, known := v.meta.FindValues(manifest.FileNum(p.File)); !known {
			return corrupt.New(t.name, 0, "pointer of %s leads to value file %06d, which is not there", key.Format(user), p.File)
		}
		if r := values[manifest.FileNum(p.File)]; r != nil {
			var damage *corrupt.Error
			switch err := r.CheckPointer(user, p); {
			case errors.As(err, &damage): // the value file is sound, so it is the pointer
				return corrupt.New(t.name, 0, "%v", err)
			case err != nil:
				return err
			}
		}
	}
	if err := it.Err(); err != nil {
		return err
	}
	if refs := sortedRefs(counted); !slices.Equal(refs, t.meta.Values) {
		return corrupt.New(t.name, 0, "entries point to %v, the manifest says %v", refs, t.meta.Values)
	}
	return nil
}

// sortedRefs brings what a table points to into the order of the manifest.
func sortedRefs(bytes map[manifest.FileNum]uint64) []manifest.ValueRef {
	var refs []manifest.ValueRef
	for num, n := range bytes {
		refs = append(refs, manifest.ValueRef{File: num, Bytes: n})
	}
	slices.SortFunc(refs, func(a, b manifest.ValueRef) int { return cmp.Compare(a.File, b.File) })
	return refs
}

func (f *valueFile) verify() error {
	r, err := f.readable()
	if err != nil {
		return err
	}
	return r.Verify()
}
