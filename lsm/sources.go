package lsm

import (
	"sync/atomic"

	"github.com/statordb/stator/lsm/iterator"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/memtable"
	"github.com/statordb/stator/lsm/tombstone"
)

// sources are where a cursor reads from: memtables, newest first, then tables of level
// 0, newest first, then levels. Those in which it can find nothing are left out.
//
// The iterators are kept for the cursor's next use.
type sources struct {
	list      []iterator.Source
	unbounded int // this many at the start of list, the memtables, do not keep to bounds
	memtables []*memtable.Iter
	levels    []*levelIter
	levelsIn  int // how many of levels are in list
	deletes   []*tombstone.List
}

// newCursor returns a cursor on what is visible now.
func (db *DB) newCursor(o IterOptions) (*cursor, error) {
	s, err := db.acquireState()
	if err != nil {
		return nil, err
	}
	return db.openCursor(s, key.SeqNum(db.visible.Load()), o), nil
}

func (s *Snapshot) newCursor(o IterOptions) (*cursor, error) {
	st, err := s.acquireState()
	if err != nil {
		return nil, err
	}
	return s.db.openCursor(st, s.seq, o), nil
}

// openCursor takes over the reference to the state.
func (db *DB) openCursor(s *state, seq key.SeqNum, o IterOptions) *cursor {
	c := db.cursors.take()
	b, end := db.keyBounds(o, c.prefixEnd)
	c.db, c.state, c.seq, c.lower, c.upper, c.prefixEnd = db, s, seq, b.lower, b.upper, end
	c.place, c.err, c.item = atStart, nil, &noItem
	c.reverse, c.beyond = false, false
	c.leaveRun()
	c.addMemtable(s.active)
	for _, m := range s.sealed {
		c.addMemtable(m)
	}
	c.unbounded = len(c.list)
	l0, skipped := s.version.levels[0], 0
	for i := range l0 {
		skipped += c.addTables(l0[i:i+1], &b)
	}
	for _, tables := range s.version.levels[1:] {
		skipped += c.addTables(tables, &b)
	}
	if skipped > 0 {
		db.metrics.prefixSkipped.Add(uint64(skipped))
	}
	c.addDeletes(s.version.tombstones())
	c.merge.Init(c.list...)
	db.metrics.iterators.Add(1)
	c.pin = db.pins.add(false, uint64(seq), 3)
	return c
}

// close gives back the state and the cursor.
func (c *cursor) close() error {
	if c.state == nil {
		return nil
	}
	err := c.merge.Close()
	db, s := c.db, c.state
	c.sources.clear()
	c.db, c.state, c.lower, c.upper = nil, nil, nil, nil
	c.place, c.err, c.item, c.own = atStart, ErrClosed, &noItem, iterator.Item{}
	c.ahead = ahead{}
	c.skip, c.value, c.pointed = trim(c.skip), trim(c.value), trim(c.pointed)
	c.leaveRun()
	db.metrics.iterators.Add(-1)
	db.pins.remove(c.pin)
	db.cursors.give(c)
	db.releaseState(s)
	return err
}

// trim returns b, empty, to be used again unless it is large.
func trim(b []byte) []byte {
	if cap(b) > maxKept {
		return nil
	}
	return b[:0]
}

const maxKept = 64 << 10 // bytes

// addMemtable adds a memtable, unless there is nothing in it. What comes into the
// active one later is newer than the cursor, which has its sequence number already.
func (s *sources) addMemtable(m *memory) {
	if m.Len() == 0 {
		return
	}
	n := len(s.list)
	if n == len(s.memtables) {
		s.memtables = append(s.memtables, new(memtable.Iter))
	}
	s.memtables[n].Init(m.Table)
	s.list = append(s.list, s.memtables[n])
	s.addDeletes(m.Tombstones())
}

// addTables adds those of tables, which lie side by side, that are within the bounds. It
// returns how many the prefix has left out.
func (s *sources) addTables(tables []*table, b *keyBounds) (skipped int) {
	if tables, skipped = b.within(tables); len(tables) == 0 {
		return skipped
	}
	if s.levelsIn == len(s.levels) {
		s.levels = append(s.levels, new(levelIter))
	}
	l := s.levels[s.levelsIn]
	s.levelsIn++
	l.init(tables, b.lower, b.upper)
	l.marks = true
	s.list = append(s.list, l)
	return skipped
}

func (s *sources) addDeletes(l *tombstone.List) {
	if !l.Empty() {
		s.deletes = append(s.deletes, l)
	}
}

// clear lets go of everything but memory for the next use. The iterators have been
// closed.
func (s *sources) clear() {
	clear(s.list)
	clear(s.deletes)
	s.list, s.deletes, s.unbounded, s.levelsIn = s.list[:0], s.deletes[:0], 0, 0
}

// cursorPool keeps a few closed cursors, whose buffers have grown, for the next
// callers. It never waits: two who come at the same time take from different slots.
type cursorPool struct {
	slots [4]atomic.Pointer[cursor]
}

func (p *cursorPool) take() *cursor {
	for i := range p.slots {
		if p.slots[i].Load() != nil {
			if c := p.slots[i].Swap(nil); c != nil {
				return c
			}
		}
	}
	return new(cursor)
}

func (p *cursorPool) give(c *cursor) {
	for i := range p.slots {
		if p.slots[i].CompareAndSwap(nil, c) {
			return
		}
	}
}
