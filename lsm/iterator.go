package lsm

import (
	"bytes"
	"cmp"
	"sort"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/iterator"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/tombstone"
)

// IterOptions limit an iterator to keys in [Lower, Upper); nil stands for no bound.
// The slices must not change while the iterator is in use.
type IterOptions struct {
	Lower, Upper []byte
}

// An Iterator moves over the live keys of the database as it was when the iterator was
// made, in order.
//
// It stands on a key (Valid), or before the first, or behind the last: Next from
// before the first goes to the first, Prev from behind the last to the last. A new
// one stands before the first. After an error (Err) it stands nowhere until it is
// placed again by First, Last, SeekGE or SeekLT.
//
// It keeps the tables that it reads from; close it soon. It is not safe for concurrent
// use.
type Iterator struct {
	db           *DB
	state        *state
	seq          key.SeqNum
	lower, upper []byte
	sources      []iterator.Source
	merge        iterator.Merge    // of sources
	deletes      []*tombstone.List // of all sources; without the empty ones

	place place
	err   error

	// Going forward, the merge stands on the current version; user and value are
	// its. Going backward it stands on the version before the current key's,
	// and user and value are copies in buf.
	reverse     bool
	stands      bool // going backward: the merge stands on a version
	user, value []byte
	buf         []byte
	skip        []byte // a copy of a user key whose versions are being stepped over
}

// A place is where an iterator stands.
type place int8

const (
	atStart place = iota // before the first key
	onKey
	atEnd
)

// NewIter returns an iterator over what is visible now. The caller must close it.
func (db *DB) NewIter(o IterOptions) (*Iterator, error) {
	s, err := db.acquireState()
	if err != nil {
		return nil, err
	}
	return db.newIter(s, key.SeqNum(db.visible.Load()), o), nil
}

// newIter takes over the reference to the state.
func (db *DB) newIter(s *state, seq key.SeqNum, o IterOptions) *Iterator {
	it := &Iterator{db: db, state: s, seq: seq, lower: o.Lower, upper: o.Upper}
	it.addMemtable(s.active)
	for _, m := range s.sealed {
		it.addMemtable(m)
	}
	l0 := s.version.levels[0]
	for i := range l0 {
		it.addTables(l0[i : i+1])
	}
	for _, tables := range s.version.levels[1:] {
		it.addTables(tables)
	}
	it.addDeletes(s.version.tombstones())
	it.merge.Init(it.sources...)
	db.metrics.iterators.Add(1)
	return it
}

func (it *Iterator) addMemtable(m *memory) {
	it.sources = append(it.sources, m.NewIter())
	it.addDeletes(m.Tombstones())
}

// addTables adds those of tables, which lie side by side, that are within the bounds.
func (it *Iterator) addTables(tables []*table) {
	if tables = it.within(tables); len(tables) > 0 {
		l := newLevelIter(tables, it.lower, it.upper)
		l.marks = true
		it.sources = append(it.sources, l)
	}
}

func (it *Iterator) addDeletes(l *tombstone.List) {
	if !l.Empty() {
		it.deletes = append(it.deletes, l)
	}
}

// within returns the part of tables that may have keys within the bounds.
func (it *Iterator) within(tables []*table) []*table {
	first, end := 0, len(tables)
	if it.lower != nil {
		first = sort.Search(end, func(i int) bool { return !tables[i].span.Before(it.lower) })
	}
	if it.upper != nil {
		end = sort.Search(end, func(i int) bool { return bytes.Compare(tables[i].span.Start, it.upper) >= 0 })
	}
	return tables[first:max(first, end)]
}

// First goes to the first key.
func (it *Iterator) First() bool {
	return it.run(func() {
		if it.lower != nil {
			it.forward(it.merge.SeekGE(it.lower, it.seq))
			return
		}
		it.forward(it.merge.First())
	})
}

// Last goes to the last key.
func (it *Iterator) Last() bool {
	return it.run(func() {
		if it.upper != nil {
			it.backward(it.merge.SeekLT(it.upper))
			return
		}
		it.backward(it.merge.Last())
	})
}

// SeekGE goes to the first key that is not less than user.
func (it *Iterator) SeekGE(user []byte) bool {
	if it.lower != nil && bytes.Compare(user, it.lower) < 0 {
		user = it.lower
	}
	return it.run(func() { it.forward(it.merge.SeekGE(user, it.seq)) })
}

// SeekLT goes to the last key that is less than user.
func (it *Iterator) SeekLT(user []byte) bool {
	if it.upper != nil && bytes.Compare(user, it.upper) > 0 {
		user = it.upper
	}
	return it.run(func() { it.backward(it.merge.SeekLT(user)) })
}

// Next goes to the following key.
func (it *Iterator) Next() bool {
	switch {
	case it.err != nil || it.place == atEnd:
		return false
	case it.place == atStart:
		return it.First()
	}
	return it.run(func() {
		it.skip = append(it.skip[:0], it.user...)
		it.forward(it.stepPast(it.merge.Next()))
	})
}

// Prev goes to the preceding key.
func (it *Iterator) Prev() bool {
	switch {
	case it.err != nil || it.place == atStart:
		return false
	case it.place == atEnd:
		return it.Last()
	}
	return it.run(func() {
		if it.reverse {
			it.backward(it.stands)
			return
		}
		// What precedes the current version of its key is newer than the iterator.
		it.backward(it.merge.Prev())
	})
}

// run makes a move. A page of a mapped file that cannot be read is an error of it.
func (it *Iterator) run(move func()) bool {
	it.err = nil
	err := vfs.Guard(func() error {
		move()
		return it.merge.Err()
	})
	if err = cmp.Or(it.err, err); err != nil {
		it.fail(err)
	}
	return it.place == onKey
}

func (it *Iterator) fail(err error) {
	it.err = err
	it.place = atStart
	it.user, it.value = nil, nil
}

// stepPast goes forward over the versions of the key in skip and what lies before it.
func (it *Iterator) stepPast(stands bool) bool {
	for ; stands; stands = it.merge.Next() {
		if user, t := it.merge.Key(); t == damageMark || bytes.Compare(user, it.skip) > 0 {
			break
		}
	}
	return stands
}

// forward goes from where the merge stands, if it does, to the next live key.
func (it *Iterator) forward(stands bool) {
	it.reverse = false
	for stands {
		user, t := it.merge.Key()
		switch {
		case it.upper != nil && bytes.Compare(user, it.upper) >= 0:
			stands = false
		case t == damageMark:
			it.err = it.damaged().err
			return
		case t.SeqNum() > it.seq: // newer than the iterator
			stands = it.merge.Next()
		case it.isLive(user, t):
			it.place, it.user, it.value = onKey, user, it.merge.Value()
			return
		default:
			it.skip = append(it.skip[:0], user...)
			stands = it.stepPast(it.merge.Next())
		}
	}
	it.place = atEnd
}

// backward goes from where the merge stands, if it does, to the preceding live key.
func (it *Iterator) backward(stands bool) {
	it.reverse = true
	for stands {
		user, t := it.merge.Key()
		if it.lower != nil && bytes.Compare(user, it.lower) < 0 {
			break
		}
		if t == damageMark {
			it.err = it.damaged().err
			return
		}
		it.skip = append(it.skip[:0], user...)
		var live bool
		if live, stands = it.collect(); live {
			it.place, it.user, it.value, it.stands = onKey, it.skip, it.buf, stands
			return
		}
	}
	it.place = atStart
}

// collect goes backward over the versions of the key in skip, which come oldest
// first, and copies the value of the one that is visible. It reports whether that one
// is live, and whether the merge then stands on an earlier key.
func (it *Iterator) collect() (live, stands bool) {
	for stands = true; stands; stands = it.merge.Prev() {
		user, t := it.merge.Key()
		if t == damageMark {
			// Newer versions of the key may be missing, unless the damaged table
			// lies before it.
			if l := it.damaged(); l.covers(it.skip) {
				it.err = l.err
				return false, false
			}
			break
		}
		if !bytes.Equal(user, it.skip) {
			break
		}
		if t.SeqNum() > it.seq {
			continue
		}
		if live = it.isLive(user, t); live {
			it.buf = append(it.buf[:0], it.merge.Value()...)
		}
	}
	return live, stands
}

// isLive reports whether a version is a value that no range delete hides.
func (it *Iterator) isLive(user []byte, t key.Trailer) bool {
	if t.Kind() != key.Set {
		return false
	}
	for _, l := range it.deletes {
		if l.Cover(user, it.seq) > t.SeqNum() {
			return false
		}
	}
	return true
}

// damaged returns the source on whose mark the merge stands.
func (it *Iterator) damaged() *levelIter { return it.sources[it.merge.Index()].(*levelIter) }

// Valid reports whether the iterator stands on a key.
func (it *Iterator) Valid() bool { return it.place == onKey }

// Key returns the key, valid until the next move.
func (it *Iterator) Key() []byte { return it.user }

// Value returns the value, valid until the next move.
func (it *Iterator) Value() []byte { return it.value }

// Err returns why the last move failed, or nil.
func (it *Iterator) Err() error { return it.err }

// Close gives the tables back. It may be called more than once.
func (it *Iterator) Close() error {
	if it.state == nil {
		return nil
	}
	err := it.merge.Close()
	it.fail(ErrClosed)
	it.db.metrics.iterators.Add(-1)
	it.db.releaseState(it.state)
	it.state = nil
	return err
}
