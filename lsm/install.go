package lsm

import (
	"github.com/statordb/stator/internal/invariant"
	"github.com/statordb/stator/lsm/manifest"
)

// install makes an edit durable and lets readers see the version that it leads to.
// added are the tables of the edit that are new. If a memtable was flushed, it leaves
// the state in the same step.
//
// After an error nothing has changed for readers. If the manifest is failed, the
// edit may nevertheless be durable, so no file may be removed: not the tables that
// were to be added, and not those they were to replace.
func (db *DB) install(edit *manifest.Edit, added []*table, flushed *memory) error {
	db.installing.Lock()
	defer db.installing.Unlock()
	db.mu.Lock()
	edit.NextFile = db.nextFile
	db.mu.Unlock()
	meta, err := db.manifest.Append(edit)
	if err != nil {
		if db.manifest.Err() != nil {
			return db.fail(err)
		}
		return err
	}
	old := db.current.Load().version // only install changes it
	next := newVersion(meta, byNum(old, added))
	db.mu.Lock()
	for _, tables := range next.levels {
		for _, t := range tables {
			t.refs++
		}
	}
	db.holdValuesLocked(next, added)
	dropValuesLocked(old, next)
	for _, d := range edit.Deleted {
		if t := tableOf(old, d); !next.holds(t) {
			t.dropped = true
		}
	}
	s := db.current.Load()
	db.replaceStateLocked(&state{active: s.active, sealed: without(s.sealed, flushed), version: next})
	db.mu.Unlock()
	db.releaseState(s)
	wake(db.merges)
	return nil
}

// byNum indexes open tables.
func byNum(v *version, added []*table) map[manifest.FileNum]*table {
	tables := map[manifest.FileNum]*table{}
	for _, level := range v.levels {
		for _, t := range level {
			tables[t.meta.Num] = t
		}
	}
	for _, t := range added {
		tables[t.meta.Num] = t
	}
	return tables
}

// newVersion returns the version that the manifest describes, of open tables.
func newVersion(s manifest.State, tables map[manifest.FileNum]*table) *version {
	v := &version{meta: s.Version, flushedSeq: s.FlushedSeq}
	for level, metas := range s.Version.Levels {
		for _, m := range metas {
			v.levels[level] = append(v.levels[level], tables[m.Num])
		}
	}
	return v
}

func tableOf(v *version, d manifest.Deleted) *table {
	for _, t := range v.levels[d.Level] {
		if t.meta.Num == d.Num {
			return t
		}
	}
	invariant.Check(false, "lsm: table %s is not in L%d", d.Num, d.Level) // the manifest refuses such an edit
	return nil
}

func (v *version) holds(t *table) bool {
	for _, tables := range v.levels {
		for _, have := range tables {
			if have == t {
				return true
			}
		}
	}
	return false
}

func without(all []*memory, m *memory) []*memory {
	var rest []*memory
	for _, have := range all {
		if have != m {
			rest = append(rest, have)
		}
	}
	return rest
}

// hidesNothingBelow returns the survivors.hidesNothing of tables written to level.
func (v *version) hidesNothingBelow(level int) func(start, end []byte, open bool) bool {
	return func(start, end []byte, open bool) bool {
		span := manifest.Span{Start: start, End: end, EndOpen: open}
		for l := level + 1; l < manifest.Levels; l++ {
			if len(v.meta.Overlapping(l, span)) > 0 {
				return false
			}
		}
		return true
	}
}

// addTables appends tables to an edit, and the value files that were written with them.
func addTables(edit *manifest.Edit, level int, tables []*table) {
	for _, t := range tables {
		edit.Added = append(edit.Added, manifest.Added{Level: level, Table: t.meta})
		for _, f := range t.wrote {
			edit.Values = append(edit.Values, f.meta)
		}
	}
}

// newValueBytes returns the size of the value files that an edit adds.
func newValueBytes(edit *manifest.Edit) (n uint64) {
	for _, f := range edit.Values {
		n += f.Size
	}
	return n
}
