package lsm

import (
	"bytes"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/sstable"
	"github.com/statordb/stator/lsm/tombstone"
)

// A tableWriter writes versions in order into one table after the other.
//
// Tables are cut between user keys only, so that no two share one. Range deletes
// are cut with them: the table that ends where the next begins, at b, gets its part
// of them up to b, and the next one the rest.
//
//	versions:       a  c  e | g  k
//	range delete:     [b        |   m)      →  [b, g) in one, [g, m) in the other
type tableWriter struct {
	db      *DB
	level   int
	isFlush bool              // or a merge
	maxSize uint64            // of a table; 0: one table takes all
	ranges  *tombstone.List   // to be written
	below   []*manifest.Table // level+1, in order: a table should not overlap too many
	overlap uint64            // bytes of below that the open table overlaps
	times   times             // of what is written
	lower   []byte            // where the open table begins; nil: no bound
	upper   []byte            // where the last table ends; nil: no bound
	open    *openTable        // nil between tables
	done    []*table          // finished, durable and open for reading
	values  valueWriter
	facets  faceter
	writer  *sstable.Writer // used again from table to table; nil before the first
	pace    pace            // of a merge in the background; the zero one never pauses
}

type openTable struct {
	num  manifest.FileNum
	name string
	file vfs.File
	w    *sstable.Writer
}

// maxOverlap bounds how much of the level below one table may overlap, in tables: it
// is what compaction will have to rewrite together with it.
const maxOverlap = 10

// writeAll writes everything that s finds. On an error nothing is left behind.
func (w *tableWriter) writeAll(s *survivors) error {
	err := vfs.Guard(func() error { return w.write(s) })
	if err != nil {
		w.abandon()
	}
	return err
}

func (w *tableWriter) write(s *survivors) error {
	if w.ranges = s.remaining(); w.isFlush && plant.On(plant.RangeDeleteLostInFlush) {
		w.ranges = nil
	}
	w.values.db, w.values.isFlush = w.db, w.isFlush
	w.facets = w.db.o.faceter(w.facets.from)
	for ok := s.first(); ok; ok = s.next() {
		user, t, value := s.version()
		if w.open != nil && s.isNew && w.isFull(user) {
			if err := w.finish(user); err != nil {
				return err
			}
		}
		if w.open == nil {
			if err := w.begin(); err != nil {
				return err
			}
		}
		if err := w.add(user, t, value); err != nil {
			return err
		}
		w.open.w.Expires(s.expires)
	}
	if err := s.source.Err(); err != nil {
		return err
	}
	if err := w.finish(w.upper); err != nil {
		return err
	}
	if len(w.done) == 0 {
		return nil
	}
	if err := w.values.finishFile(); err != nil {
		return err
	}
	w.done[0].wrote, w.values.done = w.values.done, nil
	if plant.On(plant.TableNameUnsynced) {
		return nil
	}
	return w.db.fs.SyncDir(w.db.o.Dir)
}

// add writes one version into the open table, its value where that belongs, and the
// tags of its value.
func (w *tableWriter) add(user []byte, t key.Trailer, value []byte) error {
	placed, kept, err := w.values.place(user, t, value)
	if err != nil {
		return err
	}
	if err := w.open.w.Add(user, placed, kept); err != nil {
		return err
	}
	w.pace.step(len(user) + len(kept))
	if w.facets.facets == nil || !t.Kind().IsValue() {
		return nil
	}
	tags, err := w.facets.ask(user, t, value)
	if err != nil {
		w.open.w.ForgetFacets() // whoever filters will ask again, and get the error
		return nil
	}
	w.open.w.Tag(tags)
	return nil
}

// isFull reports whether the open table should end before user.
func (w *tableWriter) isFull(user []byte) bool {
	if w.maxSize == 0 {
		return false
	}
	for len(w.below) > 0 && w.below[0].Span().Before(user) {
		w.overlap += w.below[0].Size
		w.below = w.below[1:]
	}
	return w.open.w.EstimatedSize() >= w.maxSize || w.overlap >= maxOverlap*w.maxSize
}

func (w *tableWriter) begin() error {
	num := w.db.newFileNum()
	name := w.db.o.tableName(num)
	f, err := w.db.fs.Create(name)
	if err != nil {
		return err
	}
	if w.writer == nil {
		w.writer = new(sstable.Writer)
	}
	w.writer.Reset(w.db.limited(f, w.isFlush), w.db.o.table(num, w.level))
	w.open = &openTable{num, name, f, w.writer}
	w.overlap = 0
	return nil
}

// finish ends the open table before upper, with its share of the range deletes. There
// may be no open table but range deletes for one.
func (w *tableWriter) finish(upper []byte) error {
	for f := range w.ranges.Within(w.lower, upper) {
		if w.open == nil {
			if err := w.begin(); err != nil {
				return err
			}
		}
		for _, seq := range f.Seqs {
			if err := w.open.w.AddRangeDelete(f.Start, f.End, seq); err != nil {
				return err
			}
		}
	}
	w.lower = bytes.Clone(upper)
	if w.open == nil {
		return nil
	}
	meta, err := w.open.w.Finish()
	if err != nil {
		return err
	}
	if err := w.open.file.Close(); err != nil {
		return err
	}
	m := tableMeta(w.open.num, meta)
	m.Values = w.values.takeRefs()
	m.OldestTime, m.NewestTime = w.times.oldest, w.times.newest
	t, err := w.db.openTable(m)
	if err != nil {
		return err
	}
	w.done = append(w.done, t)
	w.open = nil
	return nil
}

// abandon closes and removes what was written. What cannot be removed now is
// removed by the next Open.
func (w *tableWriter) abandon() {
	if w.open != nil {
		w.open.w.Abandon()
		_ = w.open.file.Close()
		_ = w.db.fs.Remove(w.open.name)
	}
	w.db.discard(w.done)
	w.open, w.done = nil, nil
	w.values.abandon()
}

// discard closes and removes tables that no version has had.
func (db *DB) discard(tables []*table) {
	for _, t := range tables {
		_ = t.reader.Close()
		_ = db.fs.Remove(t.name)
		db.discardValues(t.wrote)
	}
}

func (db *DB) newFileNum() manifest.FileNum {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.nextFile++
	return db.nextFile - 1
}
