package lsm

import (
	"errors"
	"slices"

	"github.com/statordb/stator/lsm/compaction"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/vlog"
)

// Garbage in value files is collected by compaction:
//
//  1. A merge drops versions, and pointers with them. What tables point to, the manifest
//     knows; so it knows the garbage, too.
//  2. compaction.ValuePolicy condemns the files with the most garbage. Merges that pass
//     over pointers into them write those values anew (empties).
//  3. If too much garbage is left nevertheless, tables that point into them are rewritten
//     (emptying).
//  4. A file into which nothing points is gone with the edit that made it so.

// empties are the value files out of which a merge moves values.
type empties struct {
	version *version
	files   []manifest.FileNum // ascending
	scratch []byte
}

// emptied returns what a merge of tables of v should move.
func (db *DB) emptied(v *version) empties {
	return empties{version: v, files: db.o.valuePolicy().Condemned(v.meta, v.valuesSound)}
}

// valuesSound reports whether values may be moved out of a file.
func (v *version) valuesSound(num manifest.FileNum) bool {
	i, ok := v.meta.FindValues(num)
	return ok && v.values[i].isSound()
}

func (e *empties) condemns(p vlog.Pointer) bool {
	if len(e.files) == 0 {
		return false
	}
	_, found := slices.BinarySearch(e.files, manifest.FileNum(p.File))
	return found
}

// read returns the value that is pointed to, until the next read.
func (e *empties) read(user, pointer []byte) (value []byte, err error) {
	value, e.scratch, err = e.version.valuePointed(user, pointer, e.scratch)
	return value, err
}

// emptying returns the pick that rewrites a table to empty value files, or nil. Tables that
// are not usable stay.
func (db *DB) emptying(v *version, usable compaction.Usable) *compaction.Pick {
	policy := db.o.valuePolicy()
	level, t := policy.Overdue(v.meta, policy.Condemned(v.meta, v.valuesSound), usable)
	if t == nil {
		return nil
	}
	p := compaction.Rewrite(level, t)
	p.Reason = "garbage in value files"
	db.e.Sometimes("lsm-values-emptied")
	return p
}

// blameValues reports whether an error of a merge comes from a value file that it was to
// empty. If so, that is not tried again, and the merge can go on without.
func (db *DB) blameValues(err error, v *version) bool {
	var damage *corrupt.Error
	if !errors.As(err, &damage) {
		return false
	}
	for _, f := range v.values {
		if f.name == damage.File && f.isSound() {
			db.damaged(&f.heldFile, err)
			return true
		}
	}
	return false
}
