package lsm

import (
	"slices"

	"github.com/statordb/stator/lsm/key"
)

// A Snapshot is a view of the database as it was when the snapshot was made. Versions
// that it sees are kept until it is closed. It is safe for concurrent use.
type Snapshot struct {
	db  *DB
	seq key.SeqNum
	pin uint64 // its number in DB.pins
}

// NewSnapshot returns a view of all that is visible now. The caller must close it.
func (db *DB) NewSnapshot() *Snapshot {
	db.mu.Lock()
	defer db.mu.Unlock()
	// Read under mu: a merge that begins later finds the snapshot, one that began
	// earlier merges nothing newer.
	seq := key.SeqNum(db.visible.Load())
	i, _ := slices.BinarySearch(db.snapshots, seq)
	db.snapshots = slices.Insert(db.snapshots, i, seq)
	return &Snapshot{db, seq, db.pins.add(true, uint64(seq), 1)}
}

// Seq returns the sequence number of the last operation that the snapshot sees.
func (s *Snapshot) Seq() uint64 { return uint64(s.seq) }

// Get is DB.Get as of the snapshot.
func (s *Snapshot) Get(user, dst []byte) ([]byte, error) {
	st, err := s.db.acquireState()
	if err != nil {
		return dst, err
	}
	dst, err = st.get(user, s.seq, dst)
	s.db.releaseState(st)
	return dst, err
}

// Close lets go of the snapshot, which must not be used afterwards.
func (s *Snapshot) Close() {
	s.db.pins.remove(s.pin)
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	if i, found := slices.BinarySearch(s.db.snapshots, s.seq); found && s.db.snapshots != nil {
		s.db.snapshots = slices.Delete(s.db.snapshots, i, i+1)
	}
}
