package lsm

import (
	"bytes"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/filter"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/sstable"
)

// A shadow is the rows of an older table that a newer one hides: all versions of the keys
// of which the newer one has any, value or tombstone. Neither table changes, so it is found
// once, and then a filtered scan leaves those rows out by an operation on bitmaps instead of
// asking the newer table about each.
//
//	older   a#1 c#2 d#5 f#3        shadow {1, 3}
//	newer       c#9     f#8 g#7
//
// It holds for readers who see everything in the newer table.
type shadow struct {
	asked   atomic.Uint64                  // rows about which the newer table was asked one by one
	claimed atomic.Bool                    // somebody finds it, or has tried to
	rows    atomic.Pointer[roaring.Bitmap] // nil: not known
}

// shadows are those that a newer table casts. They go with it.
type shadows struct {
	// mu guards of.
	mu env.Leaf
	of map[manifest.FileNum]*shadow // by older table
}

// on returns the shadow on an older table.
func (s *shadows) on(older *table) *shadow {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.of[older.meta.Num]
	if one == nil {
		if s.of == nil || len(s.of) >= maxShadows { // of tables that are gone, mostly
			s.of = map[manifest.FileNum]*shadow{}
		}
		one = new(shadow)
		s.of[older.meta.Num] = one
	}
	return one
}

// To find a shadow costs a lookup in the older table for each key of the newer one. It is
// done once that many rows have been asked about that it will have been worth it.
const (
	shadowFrom = 4         // rows asked about for each entry of the newer table
	maxShadows = 64        // of one table
	maxCasters = 16        // tables of one level above an older table
	shadowRows = 1_000_000 // entries of the newer table; a row of a shadow takes two bytes or less
)

// find finds the shadow of newer on older. If that fails, the rows are asked about one by
// one as before, and whoever meets the damage then tells of it.
func (s *shadow) find(newer, older *table) {
	rows, err := shadowOf(newer, older)
	if err == nil {
		s.rows.Store(rows)
	}
}

func shadowOf(newer, older *table) (*roaring.Bitmap, error) {
	found := roaring.New()
	f, err := older.reader.Filter()
	if err != nil {
		return nil, err
	}
	it := newer.reader.NewIter(nil, nil)
	defer it.Close()
	it.Pass()
	var rows sstable.RowIter
	rows.Init(older.reader)
	defer rows.Release()
	var last []byte
	for ok := it.SeekGE(older.span.Start, key.MaxSeqNum); ok; ok = it.Next() {
		user, _ := it.Key()
		if older.span.Before(user) {
			break
		}
		if bytes.Equal(user, last) || !f.MayContain(filter.Hash(user)) {
			continue
		}
		last = append(last[:0], user...)
		row, err := rows.Seek(user, key.MaxTrailer)
		if err != nil {
			return nil, err
		}
		for ; row < older.reader.Rows(); row++ {
			if err := rows.Row(row); err != nil {
				return nil, err
			}
			if !rows.HasKey(user) {
				break
			}
			found.Add(row)
		}
	}
	found.RunOptimize()
	return found, it.Err()
}

// shaded is what a tableHits knows of the shadows on its current table.
type shaded struct {
	unknown [][]*shadow       // of each newer source, those that are not all known
	rows    []*roaring.Bitmap // of the sources in known
	known   uint64            // newer sources, one bit each, of which all shadows are known
	asked   uint64            // rows about which the sources in unknown were asked
}

// lookUp finds what is known of the shadows on t, and finds those for which it is time.
func (s *shaded) lookUp(it *FilteredIter, rank int, t *table) {
	*s = shaded{unknown: s.unknown[:0], rows: s.rows[:0]}
	for r := range min(rank, 64) {
		casters, all := it.newer[r].castersOn(t, it.seq), true
		if len(casters) == 0 {
			continue
		}
		var list []*shadow
		before := len(s.rows)
		for _, newer := range casters {
			one := newer.shadows.on(t)
			if one.rows.Load() == nil && one.asked.Load() >= shadowFrom*newer.meta.Entries && one.claimed.CompareAndSwap(false, true) {
				one.find(newer, t)
			}
			if rows := one.rows.Load(); rows != nil {
				s.rows = append(s.rows, rows)
			} else {
				all = false
			}
			list = append(list, one)
		}
		if all {
			s.known |= 1 << r
			continue
		}
		s.rows = s.rows[:before]
		s.unknown = append(s.unknown, list)
	}
}

// leave counts the rows for which shadows would have saved questions.
func (s *shaded) leave() {
	for _, list := range s.unknown {
		for _, one := range list {
			one.asked.Add(s.asked / uint64(len(list)))
		}
	}
	*s = shaded{unknown: s.unknown[:0], rows: s.rows[:0]}
}

// castersOn returns the tables whose shadows on older say all about the source for a reader
// at seq; none if they cannot.
func (n *newerSource) castersOn(older *table, seq key.SeqNum) []*table {
	if n.memory != nil {
		return nil
	}
	first := firstNotBefore(n.tables, older.span.Start)
	end := first
	for ; end < len(n.tables) && n.tables[end].span.Overlaps(older.span); end++ {
		t := n.tables[end]
		if t.reader == nil || t.meta.LargestSeq > seq || t.meta.Entries > shadowRows || end-first == maxCasters {
			return nil
		}
	}
	return n.tables[first:end]
}
