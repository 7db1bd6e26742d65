package lsm

import (
	"maps"
	"slices"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm/compaction"
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
	return db.installAs(edit, added, flushed, nil)
}

// installAs is install. If active is not nil, it becomes the active memtable in the same
// step, in the place of one that is empty, and readers see everything up to
// edit.FlushedSeq. Whoever reads from the old state never meets what comes into the new
// memtable: it would see that without what was installed before.
func (db *DB) installAs(edit *manifest.Edit, added []*table, flushed, active *memory) error {
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
	next := db.newVersion(meta, withAdded(old.byNum, added))
	db.mu.Lock()
	for _, tables := range next.levels {
		for _, t := range tables {
			t.refs++
		}
	}
	db.holdValuesLocked(next, added)
	dropValuesLocked(old, next)
	for _, d := range edit.Deleted {
		if next.byNum[d.Num] == nil {
			old.byNum[d.Num].dropped = true
		}
	}
	s := db.current.Load()
	after := &state{active: s.active, sealed: without(s.sealed, flushed), version: next}
	if active != nil {
		active.log = s.active.log
		after.active = active
	}
	db.replaceStateLocked(after)
	if active != nil {
		db.visible.Store(uint64(edit.FlushedSeq)) // under mu: a snapshot has all of it or nothing
	}
	db.mu.Unlock()
	db.releaseState(s)
	db.divideMemory()
	wake(db.merges)
	return nil
}

// withAdded returns open tables by their number, with further ones.
func withAdded(tables map[manifest.FileNum]*table, added []*table) map[manifest.FileNum]*table {
	if len(added) == 0 {
		return tables
	}
	all := maps.Clone(tables)
	for _, t := range added {
		all[t.meta.Num] = t
	}
	return all
}

// newVersion returns the version that the manifest describes, of open tables.
func (db *DB) newVersion(s manifest.State, tables map[manifest.FileNum]*table) *version {
	v := &version{meta: s.Version, flushedSeq: s.FlushedSeq, byNum: map[manifest.FileNum]*table{}}
	for level, metas := range s.Version.Levels {
		for _, m := range metas {
			t := tables[m.Num]
			v.levels[level] = append(v.levels[level], t)
			v.byNum[m.Num] = t
		}
		if level > 0 {
			v.fences[level] = newFences(v.levels[level])
		}
	}
	view := &compaction.View{Version: s.Version, Options: db.o.compaction()}
	if db.o.Expiry != nil {
		view.Expiry = v.expiryOf
	}
	v.shape = db.o.Compaction.Shape(view)
	return v
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

// hidesNothingBelow returns the survivors.hidesNothing of what is merged into a level. What is
// in level 0 and not merged with it counts as below, if that is where the tables go.
func (v *version) hidesNothingBelow(level int, merged []compaction.Input) func(start, end []byte, open bool) bool {
	return func(start, end []byte, open bool) bool {
		span := manifest.Span{Start: start, End: end, EndOpen: open}
		if level == 0 {
			for _, t := range v.meta.Overlapping(0, span) {
				if len(merged) == 0 || !slices.Contains(merged[0].Tables, t) {
					return false
				}
			}
		}
		return !v.hasBelow(level, span)
	}
}

// hasBelow reports whether a level below has tables within the span.
func (v *version) hasBelow(level int, span manifest.Span) bool {
	for l := level + 1; l < manifest.Levels; l++ {
		if len(v.meta.Overlapping(l, span)) > 0 && !plant.On(plant.TombstoneDropped) {
			return true
		}
	}
	return false
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
