package lsm

import (
	"bytes"
	"fmt"
	"sort"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/iterator"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/sstable"
	"github.com/statordb/stator/lsm/tombstone"
)

// A levelIter strings the tables of a level other than 0, or one table of level 0,
// together: an iterator.Source that opens one table at a time.
//
// What cannot be read must not hide what can. An error of a source ends a merge at
// once, though the damage may lie far ahead of where the merge is. So a levelIter with
// marks does not fail: it stands on a mark, an entry with the trailer damageMark, at
// the first place in its direction where an entry may be missing. Whoever meets the
// mark in the merge fails there. A page fault is damage, too; without marks the
// caller has to guard against it.
type levelIter struct {
	tables       []*table // side by side, in order
	lower, upper []byte   // nil: no bound
	marks        bool
	passing      bool // the tables are read for the last time

	at   int          // index of the open table; -1 or len(tables): outside
	cur  sstable.Iter // of the open table, if that has a reader
	in   *table       // that cur is of, while cur is sound
	err  error        // why the last move failed, or would have without marks
	mark mark
}

// A mark stands for entries that cannot be read.
type mark struct {
	user    []byte
	is      bool // the iterator stands on it
	forward bool // it was come to going forward
}

// damageMark is a trailer that no entry has. It sorts before all versions.
const damageMark = key.MaxTrailer

var _ iterator.Stretched = (*levelIter)(nil)

func newLevelIter(tables []*table, lower, upper []byte) *levelIter {
	l := new(levelIter)
	l.init(tables, lower, upper)
	return l
}

// init makes l a new iterator without marks, reusing its memory.
func (l *levelIter) init(tables []*table, lower, upper []byte) {
	l.tables, l.lower, l.upper, l.marks, l.passing = tables, lower, upper, false, false
	l.at, l.in, l.err, l.mark.is = -1, nil, nil, false
}

// Stretch is that of the open table, or a mark alone.
func (l *levelIter) Stretch() *iterator.Stretch { return l.cur.Stretch() }

func (l *levelIter) First() bool { return l.forwardFrom(0) }

func (l *levelIter) Last() bool { return l.backwardFrom(len(l.tables) - 1) }

func (l *levelIter) SeekGE(user []byte, seq key.SeqNum) bool {
	i := sort.Search(len(l.tables), func(i int) bool {
		return !l.tables[i].span.Before(user) && !(plant.On(plant.LastKeyMissed) && bytes.Equal(l.tables[i].span.End, user))
	})
	if !l.open(i) {
		return false
	}
	from := user
	if start := l.tables[i].span.Start; bytes.Compare(from, start) < 0 {
		from = start
	}
	return l.forward(l.try(func() bool { return l.cur.SeekGE(user, seq) }), from)
}

func (l *levelIter) SeekLT(user []byte) bool {
	i := sort.Search(len(l.tables), func(i int) bool {
		return bytes.Compare(l.tables[i].span.Start, user) >= 0
	}) - 1
	if !l.open(i) {
		return false
	}
	from := user
	if span := l.tables[i].span; span.Before(user) {
		from = span.End
	}
	return l.backward(l.try(func() bool { return l.cur.SeekLT(user) }), from)
}

func (l *levelIter) Next() bool {
	switch {
	case l.mark.is && l.mark.forward: // nothing is known of what follows
		l.mark.is = false
		return false
	case l.mark.is:
		return l.forwardFrom(l.at + 1)
	case l.at >= len(l.tables) || l.err != nil:
		return false
	case l.at < 0:
		return l.First()
	}
	return l.forward(l.try(l.cur.Next), l.tables[l.at].span.Start)
}

func (l *levelIter) Prev() bool {
	switch {
	case l.mark.is && !l.mark.forward:
		l.mark.is = false
		return false
	case l.mark.is:
		return l.backwardFrom(l.at - 1)
	case l.at < 0 || l.err != nil:
		return false
	case l.at >= len(l.tables):
		return l.Last()
	}
	return l.backward(l.try(l.cur.Prev), l.tables[l.at].span.End)
}

// open makes table i the open one and reports whether there is such a table.
func (l *levelIter) open(i int) bool {
	l.err, l.mark.is = nil, false
	if l.at = max(-1, min(i, len(l.tables))); l.at != i || i < 0 || i == len(l.tables) {
		return false
	}
	t := l.tables[i]
	switch {
	case t.reader == nil:
		l.err = t.unreadable()
		return true
	case t == l.in: // the block that is wanted may be decoded already
		return true
	}
	l.in = t
	lower, upper := l.lower, l.upper
	if lower != nil && bytes.Compare(lower, t.span.Start) <= 0 {
		lower = nil
	}
	if upper != nil && t.span.Before(upper) {
		upper = nil
	}
	l.cur.Init(t.reader, lower, upper)
	if l.passing {
		l.cur.Pass()
	}
	return true
}

// try makes a move of cur, unless the table cannot be read.
func (l *levelIter) try(move func() bool) (stands bool) {
	if l.err != nil || !l.marks {
		return l.err == nil && move()
	}
	if err := vfs.Guard(func() error {
		stands = move()
		return nil
	}); err != nil {
		l.err, stands = fmt.Errorf("lsm: read %s: %w", l.in.name, err), false
	}
	return stands
}

// forwardFrom goes to the first entry of table i and those behind it.
func (l *levelIter) forwardFrom(i int) bool {
	return l.open(i) && l.forward(l.try(l.cur.First), l.tables[i].span.Start)
}

func (l *levelIter) backwardFrom(i int) bool {
	return l.open(i) && l.backward(l.try(l.cur.Last), l.tables[i].span.End)
}

// forward completes a move of cur: if it found nothing, the next table has the next
// entry. If it failed, entries may be missing from the key from on; after a step, that
// is the step's origin, and any key not behind that one serves as well, as the merge
// then comes to the mark at once.
func (l *levelIter) forward(stands bool, from []byte) bool {
	switch {
	case stands:
		return true
	case l.fails():
		return l.marked(from, true)
	}
	return l.forwardFrom(l.at + 1)
}

func (l *levelIter) backward(stands bool, from []byte) bool {
	switch {
	case stands:
		return true
	case l.fails():
		return l.marked(from, false)
	}
	return l.backwardFrom(l.at - 1)
}

func (l *levelIter) fails() bool {
	if l.err == nil {
		l.err = l.cur.Err()
	}
	if l.err != nil {
		l.in = nil
	}
	return l.err != nil
}

func (l *levelIter) marked(user []byte, forward bool) bool {
	if l.marks {
		l.mark = mark{append(l.mark.user[:0], user...), true, forward}
		s := l.cur.Stretch() // cur is not used again before its next Init
		s.Items = append(s.Items[:0], iterator.Item{User: l.mark.user, Trailer: damageMark})
		s.At = 0
	}
	return l.marks
}

func (l *levelIter) Key() (user []byte, t key.Trailer) { return l.cur.Key() }

func (l *levelIter) Value() []byte { return l.cur.Value() }

func (l *levelIter) Err() error {
	if l.mark.is {
		return nil
	}
	return l.err
}

// Close ends the use of the iterator; it may be used again after init.
func (l *levelIter) Close() error {
	l.init(nil, nil, nil)
	return l.cur.Close()
}

// covers reports whether the open table, on whose mark the iterator stands, may have
// versions of user.
func (l *levelIter) covers(user []byte) bool { return l.tables[l.at].span.Contains(user) }

// tombstonesOf returns the range deletes of tables.
func tombstonesOf(tables []*table) *tombstone.List {
	lists := make([]*tombstone.List, len(tables))
	for i, t := range tables {
		lists[i] = t.tombstones
	}
	return tombstone.Merge(lists...)
}
