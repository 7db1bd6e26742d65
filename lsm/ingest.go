package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/compaction"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/sstable"
)

// ErrNotIngestible means that a file is a sound table, but not one that can be ingested:
// it was not written by a TableFile, or overlaps another one of the same call.
var ErrNotIngestible = errors.New("lsm: not to be ingested")

// Ingest makes tables that were written by a TableFile part of the database, all of them
// or none. What they hold is newer than everything written before and older than
// everything written after. When it returns, it is durable; readers see all of it, and
// snapshots and iterators from before see nothing of it.
//
// The files must not overlap each other. They are linked into the database's directory,
// or copied if they cannot be linked, and remain: the caller may remove them afterwards,
// but must not change them. They must not have names in that directory that look like
// a table's.
//
// Files are read and checked as a whole before anything happens; damage is
// a *corrupt.Error. Then memtables are flushed. Writers wait for the last part of that,
// and while the manifest is written.
func (db *DB) Ingest(names ...string) error {
	if len(names) == 0 {
		return nil
	}
	if err := db.ingest(names, nil, nil); err != nil {
		return fmt.Errorf("lsm: ingest: %w", err)
	}
	return nil
}

// ingest makes files part of the database. What they hide in the spans over goes in the
// same step, as far as nobody needs it. check, if not nil, is asked before anything happens;
// no other ingest comes in between.
func (db *DB) ingest(names []string, over []manifest.Span, check func() error) error {
	if err := db.Admit(); err != nil {
		return err
	}
	files, err := db.examineAll(names)
	if err != nil {
		return err
	}
	db.altering.Lock()
	defer db.altering.Unlock()
	if err := db.refused(); err != nil {
		return err
	}
	if check != nil {
		if err := check(); err != nil {
			return err
		}
	}
	if err := db.adopt(files); err != nil {
		db.disown(files)
		return err
	}
	// Most of what is in memory is flushed while writers may write.
	err = db.flushAll()
	if err == nil {
		err = db.ingestAdopted(files, over)
	}
	if err != nil && db.failed() == nil {
		db.disown(files)
	}
	return err
}

// A foreign is a file to be ingested.
type foreign struct {
	name  string
	found sstable.Meta
	span  manifest.Span

	num    manifest.FileNum // in the database
	linked bool             // there may be a file with that number
}

// examineAll checks files and brings them into the order of their keys.
func (db *DB) examineAll(names []string) ([]*foreign, error) {
	var files []*foreign
	for _, name := range names {
		f, err := db.examine(name)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b *foreign) int { return bytes.Compare(a.span.Start, b.span.Start) })
	for i := 1; i < len(files); i++ {
		if a, b := files[i-1], files[i]; !a.span.Before(b.span.Start) {
			return nil, fmt.Errorf("%w: %s %s overlaps %s %s", ErrNotIngestible, a.name, a.span, b.name, b.span)
		}
	}
	return files, nil
}

// examine reads a whole file.
func (db *DB) examine(name string) (*foreign, error) {
	r, err := openReader(db.fs, name, db.o.NoMmap, sstable.Options{})
	if err != nil {
		return nil, err
	}
	f := &foreign{name: name, found: sstable.Meta{Size: r.Size(), Properties: r.Properties()}}
	err = f.check(db, r)
	f.span = tableMeta(0, f.found).Span()
	if e := r.Close(); err == nil {
		err = e
	}
	return f, err
}

// check tells whether the database can take the file.
func (f *foreign) check(db *DB, r *sstable.Reader) error {
	p := &f.found.Properties
	if reason := unfit(p); reason != "" {
		return fmt.Errorf("%w: %s %s", ErrNotIngestible, f.name, reason)
	}
	if err := vfs.Guard(func() error {
		it := r.NewIter(nil, nil)
		for ok := it.First(); ok; ok = it.Next() {
			user, t := it.Key()
			if t.Kind() != key.Set && t.Kind() != key.Delete {
				return fmt.Errorf("%w: %s has %s", ErrNotIngestible, f.name, key.Internal{User: user, Trailer: t})
			}
		}
		return it.Err()
	}); err != nil {
		return err
	}
	t := &table{reader: r}
	return t.verifyEntries(db, nil) // there are no pointers
}

func unfit(p *sstable.Properties) string {
	switch {
	case p.Entries+p.RangeDeletes == 0:
		return "is empty"
	case !p.IsFlat():
		return fmt.Sprintf("has sequence numbers %d to %d and %d versions of %d keys, not 0 and one version of each key",
			p.SmallestSeq, p.LargestSeq, p.Entries, p.UserKeys)
	case p.Number == 0:
		return "has number 0"
	}
	return ""
}

// adopt gives the files durable names in the database.
func (db *DB) adopt(files []*foreign) error {
	for _, f := range files {
		f.num, f.linked = db.newFileNum(), true
		if err := linkOrCopy(db.fs, f.name, db.o.tableName(f.num)); err != nil {
			return err
		}
	}
	return db.fs.SyncDir(db.o.Dir)
}

// disown removes what adopt made. What cannot be removed now is removed by the next Open.
func (db *DB) disown(files []*foreign) {
	for _, f := range files {
		if f.linked {
			_ = db.fs.Remove(db.o.tableName(f.num))
		}
	}
}

// linkOrCopy gives a file a second name, or if that is impossible makes a copy of it.
// Its bytes are durable then.
func linkOrCopy(fs vfs.FS, from, to string) error {
	if err := fs.Link(from, to); err != nil {
		return copyFile(fs, from, to)
	}
	f, err := fs.Open(to)
	if err != nil {
		return err
	}
	err = f.Sync()
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// copyBytes is how much of a file is copied at a time.
const copyBytes = 1 << 20

func copyFile(fs vfs.FS, from, to string) (err error) {
	source, err := fs.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = closed(source, err) }()
	f, err := fs.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = closed(f, err) }()
	buf := make([]byte, copyBytes)
	for at := int64(0); ; {
		n, err := source.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read %s at %d: %w", from, at, err)
		}
		if n == 0 {
			return f.Sync()
		}
		if _, err := f.WriteAt(buf[:n], at); err != nil {
			return fmt.Errorf("write %s at %d: %w", to, at, err)
		}
		at += int64(n)
	}
}

// closed closes f and returns err, or if that is nil, why it could not be closed.
func closed(f vfs.File, err error) error {
	if e := f.Close(); err == nil {
		return e
	}
	return err
}

// ingestAdopted makes adopted files part of the version. While writers are held, and with
// nothing left in the memtables, the files are the next operations, one sequence number
// for each: whatever the log holds is before or after them.
func (db *DB) ingestAdopted(files []*foreign, over []manifest.Span) error {
	if err := db.holdWriters(); err != nil {
		return err
	}
	defer db.letWritersGo()
	if err := db.flushAll(); err != nil {
		return err
	}
	tables, err := db.openForeign(files)
	if err != nil {
		return err
	}
	err = db.installForeign(tables, over)
	if err != nil && db.failed() == nil {
		for _, t := range tables {
			_ = t.reader.Close()
		}
	}
	return err
}

// openForeign opens files with the next sequence numbers.
func (db *DB) openForeign(files []*foreign) ([]*table, error) {
	var tables []*table
	now, seq := db.now(), key.SeqNum(db.visible.Load())
	for _, f := range files {
		seq++
		meta := tableMeta(f.num, sstable.Meta{Size: f.found.Size, Properties: f.found.Lifted(seq)})
		meta.Foreign = f.found.Number
		meta.OldestTime, meta.NewestTime = now, now
		t, err := db.openTable(meta)
		if err != nil {
			for _, t := range tables {
				_ = t.reader.Close()
			}
			return nil, err
		}
		tables = append(tables, t)
	}
	return tables, nil
}

// installForeign installs tables, which are the newest of all, and drops what they hide
// in the spans over.
func (db *DB) installForeign(tables []*table, over []manifest.Span) error {
	last := tables[len(tables)-1].meta.LargestSeq
	edit := &manifest.Edit{FlushedSeq: last}
	gone := map[*manifest.Table]bool{}
	if len(over) > 0 {
		// Snapshots that are opened from here on keep the tables that they see.
		snapshots, _ := db.beginExpiring()
		defer db.endExpiring()
		c, err := db.claim(func(_ *version, v *compaction.View) *compaction.Pick {
			p, _ := droppable(v, over, tables[0].meta.SmallestSeq, snapshots)
			return p
		})
		if err != nil {
			return err
		}
		if c != nil {
			defer db.release(c)
			for _, in := range c.Inputs {
				for _, t := range in.Tables {
					edit.Deleted = append(edit.Deleted, manifest.Deleted{Level: in.Level, Num: t.Num})
					gone[t] = true
				}
			}
		}
	}
	for _, t := range tables {
		level := 0
		c, err := db.claimPlace(t.meta, gone)
		if err != nil {
			return err
		}
		if c != nil {
			level = c.Output
			defer db.release(c)
		}
		addTables(edit, level, []*table{t})
	}
	active := db.newMemory(0)
	active.lastSeq = last
	if err := db.installAs(edit, tables, nil, active); err != nil {
		active.Free()
		return err
	}
	db.inserting.Lock()
	db.lastSeq = last
	db.inserting.Unlock()
	db.metrics.ingested.Add(uint64(len(tables)))
	return nil
}

// claimPlace claims the deepest level below 0 that can take a new table as it is, or
// returns nil: neither it nor any level above has something in the same place but for
// tables that go, so nothing older lies above it, and no compaction under way will
// bring something there.
//
// FIFO goes by the order of level 0.
func (db *DB) claimPlace(meta *manifest.Table, gone map[*manifest.Table]bool) (*claim, error) {
	if _, isFIFO := db.o.Compaction.(FIFO); isFIFO {
		return nil, nil
	}
	metas := []*manifest.Table{meta}
	return db.claim(func(v *version, view *compaction.View) *compaction.Pick {
		for level := manifest.Levels - 1; level >= max(1, v.shape.Base); level-- {
			p := &compaction.Pick{
				Inputs: []compaction.Input{{Level: level, Tables: metas}}, Output: level,
				Way: compaction.Move, Reason: "ingested",
			}
			if isVacant(v.meta, level, meta.Span(), gone) && !slices.ContainsFunc(view.Running, p.Conflicts) {
				return p
			}
		}
		return nil
	})
}

// isVacant reports whether nothing down to a level, but for what goes, overlaps a span.
func isVacant(v *manifest.Version, level int, s manifest.Span, gone map[*manifest.Table]bool) bool {
	for l := 0; l <= level; l++ {
		if slices.ContainsFunc(v.Overlapping(l, s), func(t *manifest.Table) bool { return !gone[t] }) {
			return false
		}
	}
	return true
}
