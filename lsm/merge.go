package lsm

import (
	"bytes"
	"slices"
	"sort"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm/iterator"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/tombstone"
)

// A survivors walks over the versions of a flush or compaction that are still
// needed.
//
// Open snapshots cut time into stripes. All readers, present and future, that
// see anything of a stripe see its end: a snapshot, or for the last stripe, now.
//
//	seq:  1 2 3 | 4 5 6 7 | 8 9 ...      snapshots at 3 and 7
//	        0        1         2         stripes
//
// So of each user key only the newest version in each stripe matters:
//
//  1. A version is dropped if the stripe has a newer version of its key, or a newer
//     range delete over it.
//
//  2. A tombstone of stripe 0 is dropped if nothing older is left that it could
//     hide: not here, by rule 1, and not below the output level.
//
//  3. A version of the last stripe that has expired is dropped likewise, if nothing older
//     is left of its key, or else replaced by a tombstone.
//
// Rules 1 and 2 go for range deletes, too; see remaining.
//
// Invariant: a snapshot that is opened later sees no stripe but the last, because
// everything here was visible before the merge began.
type survivors struct {
	source    iterator.Source
	ranges    *tombstone.List
	snapshots []key.SeqNum // ascending

	// hidesNothing reports whether no level below the output has anything in the
	// span of user keys [start, end], or [start, end) if open.
	hidesNothing func(start, end []byte, open bool) bool

	expirer
	expires int64  // when the current version expires; 0: never
	isGone  bool   // it has expired, and a tombstone is to take its place
	expired uint64 // versions that were dropped or replaced

	user    []byte // of the last version looked at
	stripe  int    // its stripe
	started bool   // user and stripe are set
	isNew   bool   // the last version looked at has another user key than the one before
}

// stripeOf returns the stripe of a sequence number.
func (s *survivors) stripeOf(seq key.SeqNum) int {
	if len(s.snapshots) == 0 {
		return 0
	}
	return sort.Search(len(s.snapshots), func(i int) bool {
		return s.snapshots[i] > seq || s.snapshots[i] == seq && !plant.On(plant.SnapshotOffByOne)
	})
}

// lastOf returns the last sequence number of a stripe.
func (s *survivors) lastOf(stripe int) key.SeqNum {
	if stripe == len(s.snapshots) {
		return key.MaxSeqNum
	}
	return s.snapshots[stripe]
}

// first goes to the first version that is needed.
func (s *survivors) first() bool { return s.skip(s.source.First()) }

// next goes to the next version that is needed.
func (s *survivors) next() bool { return s.skip(s.source.Next()) }

// skip goes on from where the source stands, if it does, to a version that is
// needed.
func (s *survivors) skip(stands bool) bool {
	for ; stands; stands = s.source.Next() {
		user, t := s.source.Key()
		if s.needs(user, t) {
			return true
		}
	}
	return false
}

func (s *survivors) needs(user []byte, t key.Trailer) bool {
	s.isGone, s.expires = false, 0
	stripe := s.stripeOf(t.SeqNum())
	s.isNew = !s.started || !bytes.Equal(user, s.user)
	if !s.isNew && stripe == s.stripe {
		return false
	}
	if s.isNew {
		s.user = append(s.user[:0], user...)
	}
	s.started, s.stripe = true, stripe
	if s.ranges.Cover(user, s.lastOf(stripe)) > t.SeqNum() {
		return false
	}
	if s.expiry != nil {
		s.expires = s.expirer.at(user, t, s.source.Value())
	}
	if s.expires > 0 && s.expires <= s.now && stripe == len(s.snapshots) {
		s.expired++
		s.isGone, s.expires = true, 0
		return !(stripe == 0 && s.hidesNothing(user, user, false))
	}
	return !(t.Kind() == key.Delete && (stripe == 0 || plant.On(plant.TombstoneUnderSnapshot)) && s.hidesNothing(user, user, false))
}

// version returns the version that is needed. It is as the source has it, unless it has
// expired.
func (s *survivors) version() (user []byte, t key.Trailer, value []byte) {
	user, t = s.source.Key()
	if s.isGone {
		return user, key.MakeTrailer(t.SeqNum(), key.Delete), nil
	}
	return user, t, s.source.Value()
}

// remaining returns the range deletes that are still needed: of each fragment the
// newest in each stripe, and that of stripe 0 only if there is something below.
func (s *survivors) remaining() *tombstone.List {
	var needed []tombstone.Range
	for f := range s.ranges.All() {
		last := -1
		for _, seq := range f.Seqs {
			stripe := s.stripeOf(seq)
			if stripe == last || stripe == 0 && s.hidesNothing(f.Start, f.End, true) {
				continue
			}
			last = stripe
			needed = append(needed, tombstone.Range{Start: f.Start, End: f.End, Seq: seq})
		}
	}
	return tombstone.Build(needed)
}

// openSnapshots returns the sequence numbers of the open snapshots, ascending,
// without duplicates.
func (db *DB) openSnapshots() []key.SeqNum {
	db.mu.Lock()
	defer db.mu.Unlock()
	if plant.On(plant.SnapshotIgnored) {
		return nil
	}
	return slices.Compact(slices.Clone(db.snapshots))
}
