package lsm

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/statordb/stator/lsm/compaction"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/iterator"
	"github.com/statordb/stator/lsm/manifest"
)

// compactTask keeps the levels in shape.
func (db *DB) compactTask() error {
	retry := firstRetry
	for {
		did, err := db.compactOnce()
		db.mu.Lock()
		db.mergeErr = err
		db.mu.Unlock()
		switch {
		case err != nil:
			db.merges.RecvFor(retry)
			retry = min(2*retry, lastRetry)
			if db.merges.Closed() {
				return nil
			}
		case did:
			retry = firstRetry
			if db.merges.Closed() {
				return nil
			}
		default:
			if _, ok := db.merges.Recv(); !ok {
				return nil
			}
		}
	}
}

// compactOnce carries out the compaction that is needed most, if any.
func (db *DB) compactOnce() (did bool, err error) {
	if err := db.failed(); err != nil {
		return false, err
	}
	db.compacting.Lock()
	defer db.compacting.Unlock()
	v, err := db.holdVersion()
	if err != nil {
		return false, err
	}
	defer db.releaseVersion(v)
	p := db.o.compaction().Next(v.meta, v.isSound)
	db.stuckL0.Store(p == nil && len(v.levels[0]) >= db.o.L0Tables)
	if p == nil {
		p = db.emptying(v)
	}
	if p == nil {
		return false, nil
	}
	return true, db.compact(v, p)
}

// holdVersion returns the current version, or ErrClosed. The caller must release it.
func (db *DB) holdVersion() (*version, error) {
	s, err := db.acquireState()
	if err != nil {
		return nil, err
	}
	defer db.releaseState(s)
	s.version.refs.Add(1)
	return s.version, nil
}

// isSound is the compaction.Usable of a version's tables.
func (v *version) isSound(meta *manifest.Table) bool {
	for _, tables := range v.levels {
		for _, t := range tables {
			if t.meta == meta {
				return t.isSound()
			}
		}
	}
	return false
}

// open returns the open tables of a level.
func (v *version) open(level int, metas []*manifest.Table) []*table {
	var tables []*table
	for _, m := range metas {
		for _, t := range v.levels[level] {
			if t.meta == m {
				tables = append(tables, t)
			}
		}
	}
	return tables
}

// compact carries out a pick. The caller holds compacting: no other compaction
// changes the tables of the pick meanwhile. Flushes may add to level 0.
//
// If a table turns out to be damaged, it will not be picked again, and the error is
// only reported: the next pick goes around it.
func (db *DB) compact(v *version, p *compaction.Pick) error {
	began := db.e.Now()
	w := db.compactionWriter(v, p)
	edit := &manifest.Edit{}
	for _, t := range p.Inputs {
		edit.Deleted = append(edit.Deleted, manifest.Deleted{Level: p.Level, Num: t.Num})
	}
	for _, t := range p.Below {
		edit.Deleted = append(edit.Deleted, manifest.Deleted{Level: p.Output, Num: t.Num})
	}
	inputs, below := v.open(p.Level, p.Inputs), v.open(p.Output, p.Below)
	if p.Move {
		db.e.Sometimes("lsm-table-moved")
		addTables(edit, p.Output, inputs)
	} else {
		err := db.merge(v, p, w, inputs, below)
		for db.blameValues(err, v) {
			w = db.compactionWriter(v, p)
			err = db.merge(v, p, w, inputs, below)
		}
		if err != nil {
			return db.blame(err, append(inputs, below...))
		}
		addTables(edit, p.Output, w.done)
	}
	if err := db.install(edit, w.done, nil); err != nil {
		if db.failed() == nil {
			w.abandon()
		}
		return fmt.Errorf("lsm: compact: %w", err)
	}
	event := CompactionEvent{
		Pick: p, Tables: nums(w.done),
		BytesRead: p.InputBytes(), BytesWritten: tableBytes(w.done), ValueBytes: newValueBytes(edit),
		Duration: db.e.Now().Sub(began),
	}
	if p.Move {
		event.BytesRead = 0
	} else if p.Level == 0 {
		db.pacer.drained(StallL0, tableBytes(inputs), event.Duration)
	}
	db.metrics.compacted(&event)
	db.o.Events.compacted(event)
	return nil
}

func (db *DB) compactionWriter(v *version, p *compaction.Pick) *tableWriter {
	w := &tableWriter{db: db, level: p.Output, maxSize: uint64(db.o.TableBytes)}
	w.values.empties = db.emptied(v)
	return w
}

// merge writes what is still needed of the tables into new ones.
func (db *DB) merge(v *version, p *compaction.Pick, w *tableWriter, inputs, below []*table) error {
	var sources []iterator.Source
	for _, t := range inputs {
		sources = append(sources, t.reader.NewIter(nil, nil))
	}
	if len(below) > 0 {
		sources = append(sources, newLevelIter(below, nil, nil))
	}
	merged := iterator.New(sources...)
	if p.Output+1 < manifest.Levels && len(p.Tables()) > 0 {
		w.below = v.meta.Overlapping(p.Output+1, spanOf(p.Tables()))
	}
	err := w.writeAll(&survivors{
		source:       merged,
		ranges:       tombstonesOf(append(inputs, below...)),
		snapshots:    db.openSnapshots(),
		hidesNothing: v.hidesNothingBelow(p.Output),
	})
	if e := merged.Close(); err == nil && e != nil {
		w.abandon()
		err = e
	}
	return err
}

// blame finds the table that an error of a merge comes from. Without damage it is
// the disk's, and the merge is worth another try.
func (db *DB) blame(err error, tables []*table) error {
	var damage *corrupt.Error
	if !errors.As(err, &damage) {
		return fmt.Errorf("lsm: compact: %w", err)
	}
	for _, t := range tables {
		if t.name == damage.File {
			db.damaged(t, err)
			return nil
		}
	}
	return fmt.Errorf("lsm: compact: %w", err)
}

// Compact flushes and then merges everything in [lower, upper) down to the deepest
// level that holds something of it; nil stands for no bound. Deleted versions that no
// snapshot needs are gone afterwards.
//
// If a table is damaged, what must be merged with it stays as it is, and the error
// says so.
func (db *DB) Compact(lower, upper []byte) error {
	if err := db.Flush(); err != nil {
		return err
	}
	deepest := max(1, db.deepest(lower, upper))
	for level := range deepest {
		if err := db.compactLevel(level, lower, upper); err != nil {
			return err
		}
	}
	if err := db.purge(deepest, lower, upper); err != nil {
		return err
	}
	return db.damageWithin(lower, upper)
}

// within returns the span [lower, upper) as far as the version has tables.
func (v *version) within(lower, upper []byte) (s manifest.Span, ok bool) {
	all := v.meta.All()
	if len(all) == 0 {
		return s, false
	}
	s = spanOf(all)
	if lower != nil && (s.Before(lower)) {
		return s, false
	}
	if lower != nil && string(lower) > string(s.Start) {
		s.Start = lower
	}
	if upper != nil && !s.Before(upper) {
		s.End, s.EndOpen = upper, true
	}
	return s, string(s.Start) < string(s.End) || string(s.Start) == string(s.End) && !s.EndOpen
}

// deepest returns the deepest level with a table in [lower, upper).
func (db *DB) deepest(lower, upper []byte) int {
	v := db.current.Load().version
	s, ok := v.within(lower, upper)
	for level := manifest.Levels - 1; ok && level > 0; level-- {
		if len(v.meta.Overlapping(level, s)) > 0 {
			return level
		}
	}
	return 0
}

// compactLevel merges what a level has in [lower, upper) into the next one: level 0 at
// once, others table by table. What comes to the level meanwhile may stay.
func (db *DB) compactLevel(level int, lower, upper []byte) error {
	for {
		span, ok, err := db.compactFirst(level, lower, upper)
		if err != nil || !ok || level == 0 {
			return err
		}
		lower = behind(span)
	}
}

// behind returns the first key behind a span. A table that damage keeps in its place
// is not met a second time.
func behind(s manifest.Span) []byte {
	if s.EndOpen {
		return s.End
	}
	return append(bytes.Clone(s.End), 0)
}

// compactFirst merges the first table of a level in [lower, upper), or all of level 0,
// into the next level, unless damage prevents it. It returns the table's span.
func (db *DB) compactFirst(level int, lower, upper []byte) (span manifest.Span, ok bool, err error) {
	db.compacting.Lock()
	defer db.compacting.Unlock()
	if err := db.refused(); err != nil {
		return span, false, err
	}
	v, err := db.holdVersion()
	if err != nil {
		return span, false, err
	}
	defer db.releaseVersion(v)
	span, ok = v.within(lower, upper)
	if !ok {
		return span, false, nil
	}
	if level > 0 {
		tables := v.meta.Overlapping(level, span)
		if len(tables) == 0 {
			return span, false, nil
		}
		span = tables[0].Span()
	}
	if p := db.o.compaction().Within(v.meta, level, span, v.isSound); p != nil {
		err = db.compact(v, p)
	}
	return span, true, err
}

// purge rewrites the tables of the deepest level that still have tombstones. They
// stayed because a snapshot was open when they came there.
func (db *DB) purge(level int, lower, upper []byte) error {
	v, err := db.holdVersion()
	if err != nil {
		return err
	}
	defer db.releaseVersion(v)
	s, ok := v.within(lower, upper)
	if !ok {
		return nil
	}
	for _, meta := range v.meta.Overlapping(level, s) {
		if meta.Deletes+meta.RangeDeletes == 0 {
			continue
		}
		if err := db.rewrite(level, meta); err != nil {
			return err
		}
	}
	return nil
}

// rewrite replaces a table by what is still needed of it, unless another compaction
// has taken it meanwhile.
func (db *DB) rewrite(level int, meta *manifest.Table) error {
	db.compacting.Lock()
	defer db.compacting.Unlock()
	if err := db.refused(); err != nil {
		return err
	}
	v, err := db.holdVersion()
	if err != nil {
		return err
	}
	defer db.releaseVersion(v)
	if len(v.open(level, []*manifest.Table{meta})) == 0 || !v.isSound(meta) {
		return nil
	}
	return db.compact(v, compaction.Rewrite(level, meta))
}

// damageWithin returns the error of a damaged table in [lower, upper).
func (db *DB) damageWithin(lower, upper []byte) error {
	v, err := db.holdVersion()
	if err != nil {
		return err
	}
	defer db.releaseVersion(v)
	s, ok := v.within(lower, upper)
	for _, tables := range v.levels {
		for _, t := range tables {
			if ok && !t.isSound() && t.span.Overlaps(s) {
				return t.unreadable()
			}
		}
	}
	return nil
}

// spanOf returns the span around tables.
func spanOf(tables []*manifest.Table) manifest.Span {
	s := tables[0].Span()
	for _, t := range tables[1:] {
		s = s.Union(t.Span())
	}
	return s
}
