package lsm

import (
	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/sstable"
)

// Entries that expire (Options.Expiry) leave the database by merges:
//
//  1. A version is asked for its expiry whenever it is written to a table. The table
//     keeps a summary (sstable.Expiry), by which policies find tables of which half
//     has expired.
//  2. A merge drops versions that had expired when it began, as far as nobody but
//     present and future readers sees them; where something older may be left
//     of the key, a tombstone takes the version's place. So nothing comes back to life.
//  3. A snapshot that was open when the merge began is known to it (survivors). One that is
//     opened while it is under way reads, until it is closed, from the state that
//     was current when it was opened (Snapshot.kept): what it saw, it sees.

// An ExpiryFunc says when a key with this value expires, in nanoseconds since 1970; 0 or less:
// never.
type ExpiryFunc func(user, value []byte) (unixNanos int64)

// An expirer asks when versions expire, if there is a function to ask.
type expirer struct {
	expiry ExpiryFunc
	from   *version // has the value files; nil: there are no pointers
	now    int64    // what expires until then is gone; 0: nothing is
	buffer []byte   // for a value
}

// at returns when a version expires, 0 for never; there is a function to ask. Nothing is known of a value that cannot be
// read: it stays. The caller guards it.
func (x *expirer) at(user []byte, t key.Trailer, value []byte) int64 {
	if !t.Kind().IsValue() {
		return 0
	}
	if t.Kind() == key.ValuePointer {
		var err error
		if value, x.buffer, err = x.from.valuePointed(user, value, x.buffer); err != nil {
			return 0
		}
	}
	return max(0, x.expiry(user, value))
}

// expiryOf is the compaction.View's Expiry.
func (v *version) expiryOf(meta *manifest.Table) sstable.Expiry {
	if t := v.byNum[meta.Num]; t.reader != nil {
		return t.reader.Properties().Expiry
	}
	return sstable.Expiry{}
}

// beginExpiring tells snapshots that are opened from now on that a merge drops what has
// expired, and returns those that are open, and the time up to which it may.
func (db *DB) beginExpiring() (snapshots []key.SeqNum, now env.Time) {
	db.mu.Lock()
	db.expiring++
	db.mu.Unlock()
	return db.openSnapshots(), db.now()
}

func (db *DB) endExpiring() {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.expiring--
}
