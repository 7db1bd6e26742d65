package lsm

import (
	"bytes"
	"slices"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/iterator"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/tombstone"
)

// A merging is what all parts of one compaction have in common.
//
// A large one is cut into parts by key range, which are merged at the same time and
// installed together. They share nothing else: each reads and writes what lies between
// its bounds, range deletes cut at them.
//
//	inputs:    [a      m       z]
//	           [ c    k  p   x  ]
//	parts:     [    )[    )[    )
type merging struct {
	db        *DB
	c         *claim
	ranges    *tombstone.List
	snapshots []key.SeqNum
	below     []*manifest.Table // of the level under the output, within the span
	times     times             // of the tables written
	expireNow int64             // what expires until then is dropped; 0: nothing is
}

// merge writes what is still needed of a claim's tables into new ones. On an error nothing
// is left behind.
func (db *DB) merge(c *claim) ([]*table, error) {
	m := &merging{
		db: db, c: c, ranges: tombstonesOf(c.v.open(c.Tables())), snapshots: c.snapshots,
		times: timesOf(db.now(), c.Tables()), expireNow: int64(c.expireNow),
	}
	if !c.expires {
		m.snapshots = db.openSnapshots()
	}
	if c.Output > 0 && c.Output+1 < manifest.Levels {
		m.below = c.v.meta.Overlapping(c.Output+1, c.Span())
	}
	bounds, err := m.split()
	if err != nil {
		return nil, err
	}
	writers := make([]*tableWriter, len(bounds)+1)
	parts := env.NewGroup(db.e)
	for i := range writers {
		var lower, upper []byte
		if i > 0 {
			lower = bounds[i-1]
		}
		if i < len(bounds) {
			upper = bounds[i]
		}
		w := m.writer(lower, upper)
		writers[i] = w
		if i < len(bounds) {
			parts.Go("lsm-merge", func() error { return m.part(w) })
		}
	}
	err = m.part(writers[len(bounds)])
	if e := parts.Wait(); err == nil {
		err = e
	}
	var done []*table
	for _, w := range writers {
		done = append(done, w.done...)
	}
	if err != nil {
		db.discard(done)
		return nil, err
	}
	return done, nil
}

// writer returns the writer of a part.
func (m *merging) writer(lower, upper []byte) *tableWriter {
	w := &tableWriter{db: m.db, level: m.c.Output, lower: lower, upper: upper, below: m.below, times: m.times}
	w.values.empties = m.db.emptied(m.c.v)
	w.facets.from = m.c.v
	if !m.c.asked {
		w.pace = pace{db: m.db, resumed: m.db.e.Now(), userBytes: m.db.metrics.userBytes.Load()}
	}
	if m.c.Output > 0 {
		w.maxSize = uint64(m.db.o.TableBytes)
	}
	for lower != nil && len(w.below) > 0 && w.below[0].Span().Before(lower) {
		w.below = w.below[1:]
	}
	return w
}

// part merges what lies between the bounds of w.
func (m *merging) part(w *tableWriter) error {
	var sources []iterator.Source
	for _, in := range m.c.Inputs {
		tables := m.c.v.open(in.Tables)
		if in.Level > 0 {
			l := newLevelIter(tables, w.lower, w.upper)
			l.passing = true
			sources = append(sources, l)
			continue
		}
		for _, t := range tables {
			it := t.reader.NewIter(w.lower, w.upper)
			it.Pass()
			sources = append(sources, it)
		}
	}
	merged := iterator.New(sources...)
	s := &survivors{
		source: merged, ranges: m.ranges, snapshots: m.snapshots,
		hidesNothing: m.c.v.hidesNothingBelow(m.c.Output, m.c.Inputs),
		expirer:      expirer{expiry: m.db.o.Expiry, from: m.c.v, now: m.expireNow},
	}
	err := w.writeAll(s)
	m.db.metrics.expired.Add(s.expired)
	if e := merged.Close(); err == nil && e != nil {
		w.abandon()
		err = e
	}
	return err
}

// partTables is how many tables' worth of input make a part worth while.
const partTables = 4

// split returns the keys at which a claim is cut into parts of about one size.
func (m *merging) split() (bounds [][]byte, err error) {
	if m.c.Output == 0 { // one table
		return nil, nil
	}
	n := min(m.db.o.CompactionConcurrency, int(m.c.Bytes()/uint64(partTables*m.db.o.TableBytes)))
	if n < 2 {
		return nil, nil
	}
	err = vfs.Guard(func() error {
		bounds = m.bounds(n)
		return nil
	})
	return bounds, err
}

// bounds returns where n parts meet.
func (m *merging) bounds(n int) (bounds [][]byte) {
	var pieces [][]byte // each begins about as many bytes as any other
	size := max(1, m.c.Bytes()/uint64(16*n))
	for _, t := range m.c.v.open(m.c.Tables()) {
		pieces = append(pieces, t.reader.Split(int(t.meta.Size/size))...)
	}
	slices.SortFunc(pieces, bytes.Compare)
	for i := 1; i < n && len(pieces) > 0; i++ {
		b := pieces[len(pieces)*i/n]
		if len(bounds) == 0 || bytes.Compare(bounds[len(bounds)-1], b) < 0 {
			bounds = append(bounds, b)
		}
	}
	return bounds
}

// times are when the first and the last entry of tables were flushed.
type times struct{ oldest, newest env.Time }

// timesOf returns the times of tables. Where a table of an older version does not say, it
// counts as new: nothing is dropped too early.
func timesOf(now env.Time, tables []*manifest.Table) times {
	all := times{now, 0}
	for _, t := range tables {
		if t.OldestTime == 0 {
			all.newest = now
			continue
		}
		all.oldest, all.newest = min(all.oldest, t.OldestTime), max(all.newest, t.NewestTime)
	}
	return times{all.oldest, max(all.oldest, all.newest)}
}

// now is the wall clock. It is later than 1970.
func (db *DB) now() env.Time {
	now, _ := db.e.Wall()
	return max(1, now)
}
