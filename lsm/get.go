package lsm

import (
	"errors"
	"fmt"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/filter"
	"github.com/statordb/stator/lsm/key"
)

// Get appends the value of a key to dst and returns the extended slice. Without
// a live version of the key the error is ErrNotFound, and dst is returned as it is.
//
// Damage on the way is a *corrupt.Error: what lies below it is not known.
func (db *DB) Get(user, dst []byte) ([]byte, error) {
	s, err := db.acquireState()
	if err != nil {
		return dst, err
	}
	dst, err = s.get(user, key.SeqNum(db.visible.Load()), dst)
	db.releaseState(s)
	return dst, err
}

// get looks for the newest version that a reader at seq sees, from the newest source
// to the oldest: the first version that is found is it. A range delete over the key
// ends the search, too, because all that follows is older.
func (s *state) get(user []byte, seq key.SeqNum, dst []byte) ([]byte, error) {
	hash := filter.Hash(user)
	if v, t, found := s.active.get(user, hash, seq); found {
		return appendLive(dst, v, t)
	}
	for _, m := range s.sealed {
		if v, t, found := m.get(user, hash, seq); found {
			return appendLive(dst, v, t)
		}
	}
	err := vfs.Guard(func() (err error) {
		dst, err = s.version.get(user, hash, seq, dst)
		return err
	})
	return dst, s.version.nameFault(err)
}

// nameFault says in which file a page could not be read, if that is what err is about.
func (v *version) nameFault(err error) error {
	if !errors.Is(err, vfs.ErrIO) {
		return err
	}
	var fault *vfs.FaultError
	if !errors.As(err, &fault) {
		return err
	}
	for _, tables := range v.levels {
		for _, t := range tables {
			if t.reader == nil {
				continue
			}
			if offset, ok := t.reader.Offset(fault.Addr); ok {
				return fmt.Errorf("lsm: read %s at %d: %w", t.name, offset, err)
			}
		}
	}
	return err
}

// get returns the newest version in the memtable, or a tombstone for a range delete
// that is newer.
func (m *memory) get(user []byte, hash uint64, seq key.SeqNum) (value []byte, t key.Trailer, found bool) {
	value, t, found = m.Get(user, hash, seq)
	if cover := m.Tombstones().Cover(user, seq); cover > 0 && (!found || cover > t.SeqNum()) {
		return nil, key.MakeTrailer(cover, key.RangeDelete), true
	}
	return value, t, found
}

// appendLive appends a value unless it is a tombstone. Memtables have no pointers.
func appendLive(dst, value []byte, t key.Trailer) ([]byte, error) {
	if t.Kind() != key.Set {
		return dst, ErrNotFound
	}
	return append(dst, value...), nil
}

// get looks through the tables. The caller guards it against page faults.
func (v *version) get(user []byte, hash uint64, seq key.SeqNum, dst []byte) ([]byte, error) {
	for _, t := range v.levels[0] {
		if !t.span.Contains(user) {
			continue
		}
		value, tr, found, err := t.get(user, hash, seq, dst)
		if found || err != nil {
			return v.appendFound(dst, user, value, tr, err)
		}
	}
	for level := 1; level < len(v.levels); level++ {
		t := v.find(level, user)
		if t == nil {
			continue
		}
		value, tr, found, err := t.get(user, hash, seq, dst)
		if found || err != nil {
			return v.appendFound(dst, user, value, tr, err)
		}
	}
	return dst, ErrNotFound
}

// appendFound appends what a table has: a value, or that to which it points.
func (v *version) appendFound(dst, user, value []byte, t key.Trailer, err error) ([]byte, error) {
	switch {
	case err != nil:
		return dst, err
	case t.Kind() == key.ValuePointer:
		return v.appendPointed(dst, user, value)
	}
	return appendLive(dst, value, t)
}

// get returns the newest version in the table, or a tombstone for a range delete that
// is newer. The value may lie behind the end of dst, in its memory.
func (t *table) get(user []byte, hash uint64, seq key.SeqNum, dst []byte) (value []byte, tr key.Trailer, found bool, err error) {
	if t.reader == nil {
		return nil, 0, false, t.unreadable()
	}
	value, tr, found, err = t.reader.GetHashed(user, hash, seq, dst)
	if cover := t.tombstones.Cover(user, seq); err == nil && cover > 0 && (!found || cover > tr.SeqNum()) {
		return nil, key.MakeTrailer(cover, key.RangeDelete), true, nil
	}
	return value, tr, found, err
}
