package manifest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/key"
)

// Levels is how many levels there are. Level 0 takes what was flushed, and its
// tables may overlap; in every other one they do not.
const Levels = 7

// A FileNum names a table file or a value file. It is never used again.
type FileNum uint64

func (n FileNum) String() string { return fmt.Sprintf("%06d", uint64(n)) }

// A Table describes one table file. It is immutable.
type Table struct {
	Num               FileNum
	Size              uint64       // of the file, in bytes
	Smallest, Largest key.Internal // of points and range deletes; Largest.Trailer is key.MaxTrailer if Largest.User itself is not in the table

	SmallestSeq, LargestSeq key.SeqNum

	Entries      uint64 // versions, range deletes not included
	Deletes      uint64 // tombstones among Entries
	RangeDeletes uint64
	RawBytes     uint64 // keys and values before compression; of a separated value the pointer

	Values []ValueRef // value files that entries point into, by number; not stored in the table file

	// Foreign is the number under which the file was written, if it was built outside
	// the database; else 0, and it is Num. A foreign file has sequence number 0
	// throughout, and stands for SmallestSeq, which is LargestSeq and not 0.
	Foreign uint64

	// When the first and the last of its entries were flushed from memory, by the
	// wall clock; 0: unknown.
	OldestTime, NewestTime env.Time
}

// Origin returns what must be known to read the file: the number under which it was
// written, and the sequence number to show instead of the 0 in it; 0: the file's own.
func (t *Table) Origin() (number uint64, seq key.SeqNum) {
	if t.Foreign != 0 {
		return t.Foreign, t.SmallestSeq
	}
	return uint64(t.Num), 0
}

// Span returns the user keys between the bounds.
func (t *Table) Span() Span {
	return Span{t.Smallest.User, t.Largest.User, t.Largest.Trailer == key.MaxTrailer}
}

func (t *Table) String() string {
	return fmt.Sprintf("%s [%s, %s]", t.Num, t.Smallest, t.Largest)
}

// A Version is the set of tables at one moment. It is immutable: replaced, never
// edited.
//
// Invariant: level 0 is ordered newest first; a table's sequence numbers are all
// larger than those of the tables behind it. Every other level is ordered by
// key, and no two of its tables have a user key in common. Of one user key, each
// level holds newer versions than the levels below.
//
// Of one record of a value file there is at most one entry in all tables that points
// to it. So what the tables say of a value file adds up to what is in use of it,
// exactly, and a file of which nothing is in use is not in the version.
type Version struct {
	Levels [Levels][]*Table
	Values []ValueFile // ascending by number
}

// String prints one line per level that has tables, and one per value file.
func (v *Version) String() string {
	var b strings.Builder
	for level, tables := range v.Levels {
		if len(tables) == 0 {
			continue
		}
		fmt.Fprintf(&b, "L%d:", level)
		for _, t := range tables {
			fmt.Fprintf(&b, " %s", t)
		}
		b.WriteByte('\n')
	}
	for _, f := range v.Values {
		fmt.Fprintf(&b, "values %s\n", f)
	}
	return b.String()
}

// Overlapping returns the tables of a level whose spans overlap s, in order.
func (v *Version) Overlapping(level int, s Span) []*Table {
	tables := v.Levels[level]
	if level == 0 {
		var some []*Table
		for _, t := range tables {
			if t.Span().Overlaps(s) {
				some = append(some, t)
			}
		}
		return some
	}
	first, _ := slices.BinarySearchFunc(tables, s, func(t *Table, s Span) int {
		if t.Span().Before(s.Start) {
			return -1
		}
		return 1
	})
	end := first
	for end < len(tables) && tables[end].Span().Overlaps(s) {
		end++
	}
	return tables[first:end]
}

// Bytes returns the size of a level's files.
func (v *Version) Bytes(level int) (n uint64) {
	for _, t := range v.Levels[level] {
		n += t.Size
	}
	return n
}

var errBadEdit = errors.New("edit does not fit the version before it")

// apply returns the version that the edit leads to.
func (v *Version) apply(e *Edit) (*Version, error) {
	next := &Version{}
	if !e.Snapshot {
		next.Levels, next.Values = v.Levels, v.Values
	}
	var deleted []*Table
	for _, d := range e.Deleted {
		i := slices.IndexFunc(next.Levels[d.Level], func(t *Table) bool { return t.Num == d.Num })
		if i < 0 {
			return nil, fmt.Errorf("%w: deleted table %s is not in level %d", errBadEdit, d.Num, d.Level)
		}
		deleted = append(deleted, next.Levels[d.Level][i])
		next.Levels[d.Level] = slices.Delete(slices.Clone(next.Levels[d.Level]), i, i+1)
	}
	for level := range Levels {
		var added []*Table
		for _, a := range e.Added {
			if a.Level == level {
				added = append(added, a.Table)
			}
		}
		if len(added) == 0 {
			continue
		}
		tables := slices.Concat(next.Levels[level], added)
		slices.SortFunc(tables, levelOrder(level))
		next.Levels[level] = tables
		if err := checkLevel(level, tables); err != nil {
			return nil, err
		}
	}
	var err error
	if next.Values, err = applyValues(next.Values, e.Values, deleted, e.Added); err != nil {
		return nil, err
	}
	return next, nil
}

func levelOrder(level int) func(a, b *Table) int {
	if level == 0 {
		return func(a, b *Table) int {
			return cmp.Or(cmp.Compare(b.LargestSeq, a.LargestSeq), cmp.Compare(b.Num, a.Num))
		}
	}
	return func(a, b *Table) int { return a.Smallest.Compare(b.Smallest) }
}

// checkLevel checks the invariant of Version for a level in order.
func checkLevel(level int, tables []*Table) error {
	for i := 1; i < len(tables); i++ {
		a, b := tables[i-1], tables[i]
		if a.Num == b.Num {
			return fmt.Errorf("%w: table %s is twice in level %d", errBadEdit, a.Num, level)
		}
		if level == 0 && a.SmallestSeq <= b.LargestSeq {
			return fmt.Errorf("%w: sequence numbers of tables %s and %s overlap", errBadEdit, a.Num, b.Num)
		}
		if level > 0 && !a.Span().Before(b.Smallest.User) {
			return fmt.Errorf("%w: tables %s and %s overlap in level %d", errBadEdit, a, b, level)
		}
	}
	return nil
}

// All returns every table of the version, level by level.
func (v *Version) All() []*Table { return slices.Concat(v.Levels[:]...) }

// boundsOrdered reports whether the bounds of a decoded table make sense.
func (t *Table) boundsOrdered() bool {
	c := bytes.Compare(t.Smallest.User, t.Largest.User)
	return c < 0 || c == 0 && t.Smallest.Trailer >= t.Largest.Trailer && t.Largest.Trailer != key.MaxTrailer
}
