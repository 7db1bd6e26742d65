package lsm

import (
	"bytes"
	"sort"

	"github.com/statordb/stator/lsm/iterator"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/sstable"
	"github.com/statordb/stator/lsm/tombstone"
)

// A levelIter strings the tables of a level other than 0, or one table of level 0,
// together: an iterator.Source that opens one table at a time.
type levelIter struct {
	tables       []*table // side by side, in order
	lower, upper []byte   // nil: no bound

	at      int             // index of the table that cur reads; -1 or len: outside
	cur     iterator.Source // nil outside
	sound   sstable.Iter    // cur, for a table with a reader
	damaged damagedIter     // cur, for one without
	err     error
}

var _ iterator.Source = (*levelIter)(nil)

func newLevelIter(tables []*table, lower, upper []byte) *levelIter {
	return &levelIter{tables: tables, lower: lower, upper: upper, at: -1}
}

func (l *levelIter) First() bool {
	l.open(0)
	return l.forward(l.cur != nil && l.cur.First())
}

func (l *levelIter) Last() bool {
	l.open(len(l.tables) - 1)
	return l.backward(l.cur != nil && l.cur.Last())
}

func (l *levelIter) SeekGE(user []byte, seq key.SeqNum) bool {
	l.open(sort.Search(len(l.tables), func(i int) bool { return !l.tables[i].span.Before(user) }))
	return l.forward(l.cur != nil && l.cur.SeekGE(user, seq))
}

func (l *levelIter) SeekLT(user []byte) bool {
	first := sort.Search(len(l.tables), func(i int) bool {
		return bytes.Compare(l.tables[i].meta.Smallest.User, user) >= 0
	})
	l.open(first - 1)
	return l.backward(l.cur != nil && l.cur.SeekLT(user))
}

func (l *levelIter) Next() bool {
	if l.cur == nil {
		return l.at < 0 && l.err == nil && l.First()
	}
	return l.forward(l.cur.Next())
}

func (l *levelIter) Prev() bool {
	if l.cur == nil {
		return l.at >= len(l.tables) && l.err == nil && l.Last()
	}
	return l.backward(l.cur.Prev())
}

// forward goes on to the following tables until one has an entry.
func (l *levelIter) forward(stands bool) bool {
	for !stands && l.proceed(l.at+1) {
		stands = l.cur.First()
	}
	return stands
}

func (l *levelIter) backward(stands bool) bool {
	for !stands && l.proceed(l.at-1) {
		stands = l.cur.Last()
	}
	return stands
}

// proceed opens table i because cur is exhausted. It reports false if there is none,
// or if cur is not exhausted but failed.
func (l *levelIter) proceed(i int) bool {
	if l.cur == nil {
		return false
	}
	if l.err = l.cur.Err(); l.err != nil {
		return false
	}
	l.open(i)
	return l.cur != nil
}

// open makes table i the one to read.
func (l *levelIter) open(i int) {
	l.err = nil
	l.cur = nil
	l.at = i
	if i < 0 || i >= len(l.tables) {
		return
	}
	t := l.tables[i]
	if t.reader == nil {
		l.damaged = damagedIter{table: t}
		l.cur = &l.damaged
		return
	}
	l.sound.Init(t.reader, l.lower, l.upper)
	l.cur = &l.sound
}

func (l *levelIter) Key() (user []byte, t key.Trailer) { return l.cur.Key() }
func (l *levelIter) Value() []byte                     { return l.cur.Value() }
func (l *levelIter) Err() error                        { return l.err }
func (l *levelIter) Close() error                      { return nil }

// A damagedIter stands for a table that cannot be read. Wherever something of the
// table could be, it has one entry, with the trailer damageMark; whoever meets it in
// a merge has come to the first place where entries may be missing, and fails there.
// So what lies before and behind the table can still be read.
type damagedIter struct {
	table *table
	user  []byte
}

// damageMark is a trailer that no entry has. It sorts before all versions.
const damageMark = key.MaxTrailer

func (d *damagedIter) stand(user []byte) bool {
	d.user = user
	return true
}

func (d *damagedIter) First() bool { return d.stand(d.table.span.Start) }
func (d *damagedIter) Last() bool  { return d.stand(d.table.span.End) }

func (d *damagedIter) SeekGE(user []byte, _ key.SeqNum) bool {
	if d.table.span.Before(user) {
		return false
	}
	if bytes.Compare(user, d.table.span.Start) < 0 {
		user = d.table.span.Start
	}
	return d.stand(user)
}

func (d *damagedIter) SeekLT(user []byte) bool {
	if bytes.Compare(user, d.table.span.Start) <= 0 {
		return false
	}
	if d.table.span.Before(user) {
		user = d.table.span.End
	}
	return d.stand(user)
}

func (d *damagedIter) Next() bool                        { return false }
func (d *damagedIter) Prev() bool                        { return false }
func (d *damagedIter) Key() (user []byte, t key.Trailer) { return d.user, damageMark }
func (d *damagedIter) Value() []byte                     { return nil }
func (d *damagedIter) Err() error                        { return nil }
func (d *damagedIter) Close() error                      { return nil }

// tombstonesOf returns the range deletes of tables.
func tombstonesOf(tables []*table) *tombstone.List {
	lists := make([]*tombstone.List, len(tables))
	for i, t := range tables {
		lists[i] = t.tombstones
	}
	return tombstone.Merge(lists...)
}
