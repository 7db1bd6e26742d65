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

	// kept is the state that it reads from; nil: the current one. See expiry.go.
	kept *state
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
	s := &Snapshot{db: db, seq: seq, pin: db.pins.add(true, uint64(seq), 1)}
	if db.expiring > 0 {
		// It is not given up before mu is: whoever replaces it needs mu. After Close it is.
		s.kept, _ = db.acquireState()
	}
	return s
}

// acquireState returns the state to read from, or ErrClosed. The caller must release it.
func (s *Snapshot) acquireState() (*state, error) {
	st, err := s.db.acquireState() // also to learn whether the database is closed
	if err != nil || s.kept == nil {
		return st, err
	}
	s.db.releaseState(st)
	s.kept.refs.Add(1)
	return s.kept, nil
}

// Seq returns the sequence number of the last operation that the snapshot sees.
func (s *Snapshot) Seq() uint64 { return uint64(s.seq) }

// Get is DB.Get as of the snapshot.
func (s *Snapshot) Get(user, dst []byte) ([]byte, error) {
	st, err := s.acquireState()
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
	if s.kept != nil {
		defer s.db.releaseState(s.kept)
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	if i, found := slices.BinarySearch(s.db.snapshots, s.seq); found && s.db.snapshots != nil {
		s.db.snapshots = slices.Delete(s.db.snapshots, i, i+1)
	}
}
