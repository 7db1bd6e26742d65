package lsm

import (
	"bytes"

	"github.com/statordb/stator/lsm/compaction"
	"github.com/statordb/stator/lsm/manifest"
)

// Compact flushes and then merges everything in [lower, upper) down to the deepest
// level that holds something of it; nil stands for no bound. Deleted versions that no
// snapshot needs are gone afterwards, and without bounds also the log files that were kept
// for reuse.
//
// If a table is damaged, what must be merged with it stays as it is, and the error
// says so.
func (db *DB) Compact(lower, upper []byte) error {
	if err := db.Flush(); err != nil {
		return err
	}
	if lower == nil && upper == nil {
		if err := db.trimSpares(); err != nil {
			return err
		}
	}
	deepest := db.deepest(lower, upper)
	for level := range deepest {
		if err := db.compactLevel(level, deepest, lower, upper); err != nil {
			return err
		}
	}
	if err := db.purge(deepest, lower, upper); err != nil {
		return err
	}
	return db.damageWithin(lower, upper)
}

// trimSpares gives the space of unused log files back. That it cannot is no reason
// not to compact.
func (db *DB) trimSpares() error {
	db.writing.Lock()
	defer db.writing.Unlock()
	if err := db.refused(); err != nil || db.log == nil {
		return err
	}
	if err := db.log.Trim(); err != nil && db.log.Err() != nil {
		return db.fail(err)
	}
	return nil
}

// spanWithin returns the span [lower, upper) as far as the version has tables.
func spanWithin(v *manifest.Version, lower, upper []byte) (s manifest.Span, ok bool) {
	all := v.All()
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

// deepest returns the deepest level with a table in [lower, upper), but not above the one
// that level 0 is merged into.
func (db *DB) deepest(lower, upper []byte) int {
	v := db.current.Load().version
	s, ok := spanWithin(v.meta, lower, upper)
	for level := manifest.Levels - 1; ok && level > v.shape.Base; level-- {
		if len(v.meta.Overlapping(level, s)) > 0 {
			return level
		}
	}
	return v.shape.Base
}

// compactLevel merges what a level has in [lower, upper) into a deeper one, with
// everything between: level 0 at once, others table by table. What comes to the level
// meanwhile may stay.
func (db *DB) compactLevel(level, output int, lower, upper []byte) error {
	for {
		span, ok, err := db.compactFirst(level, output, lower, upper)
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
// into a deeper level, or as deep as damage lets it. It returns the table's span.
func (db *DB) compactFirst(level, output int, lower, upper []byte) (span manifest.Span, ok bool, err error) {
	err = db.compactAsked(func(v *compaction.View) *compaction.Pick {
		if span, ok = spanWithin(v.Version, lower, upper); !ok {
			return nil
		}
		if level > 0 {
			tables := v.Overlapping(level, span)
			if ok = len(tables) > 0; !ok {
				return nil
			}
			span = tables[0].Span()
		}
		for to := output; to > level; to-- {
			if p := v.Within(level, to, span); p != nil {
				return p
			}
		}
		return nil
	})
	return span, ok, err
}

// compactAsked carries out what choose picks. If that is in conflict with what is being
// merged, it waits, and has choose pick again.
func (db *DB) compactAsked(choose func(*compaction.View) *compaction.Pick) error {
	return db.carryOut(func(v *compaction.View) (p *compaction.Pick, isBusy bool) {
		alone := *v
		alone.Running = nil
		if p = choose(&alone); p != nil && !v.Allows(p) {
			return nil, true
		}
		return p, false
	})
}

// carryOut carries out what choose picks, for a caller who waits. If choose reports that what
// is being merged keeps it from picking more, it is asked again after the next merge has ended.
//
// The future is taken before choose looks: a merge that ends in between sets it.
func (db *DB) carryOut(choose func(*compaction.View) (p *compaction.Pick, isBusy bool)) error {
	for {
		if err := db.refused(); err != nil {
			return err
		}
		db.mu.Lock()
		ended := db.ended
		db.mu.Unlock()
		isBusy := false
		c, err := db.claim(func(_ *version, v *compaction.View) (p *compaction.Pick) {
			p, isBusy = choose(v)
			return p
		})
		if err != nil {
			return err
		}
		if c != nil {
			c.asked = true
			if err := db.compact(c); err != nil {
				return err
			}
		}
		if !isBusy {
			return nil
		}
		_, _ = ended.Await()
	}
}

// purge rewrites the tables of the deepest level that still have tombstones. They
// stayed because a snapshot was open when they came there.
func (db *DB) purge(level int, lower, upper []byte) error {
	v, err := db.holdVersion()
	if err != nil {
		return err
	}
	defer db.releaseVersion(v)
	s, ok := spanWithin(v.meta, lower, upper)
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
	return db.compactAsked(func(v *compaction.View) *compaction.Pick {
		for _, t := range v.Levels[level] {
			if t == meta && v.Usable(t) {
				return compaction.Rewrite(level, t)
			}
		}
		return nil
	})
}

// damageWithin returns the error of a damaged table in [lower, upper).
func (db *DB) damageWithin(lower, upper []byte) error {
	v, err := db.holdVersion()
	if err != nil {
		return err
	}
	defer db.releaseVersion(v)
	s, ok := spanWithin(v.meta, lower, upper)
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
