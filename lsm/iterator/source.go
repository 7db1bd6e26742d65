// Package iterator walks over sorted internal keys: the shape that memtables,
// tables and merges share, and the merge of many into one.
//
// A read of the engine is a merge over the memtables, newest first, and the
// tables of each level; a compaction is a merge over its inputs. Neither merge
// hides anything: every version and every tombstone of every source comes out,
// in internal key order (see package key), and the caller decides what is
// visible.
package iterator

import "github.com/statordb/stator/lsm/key"

// A Source is a sorted sequence of internal keys with a cursor.
//
// The cursor stands before the first entry, on an entry, or after the last one.
// Every method that moves it reports whether it now stands on an entry. A new
// Source stands on none, and its first move is absolute (First, Last, SeekGE or
// SeekLT). Direction may be switched anywhere: Prev after the last entry goes
// to the last, Next before the first goes to the first; moving further out
// stays out.
//
// A move that fails reports false, and Err then says why; so false means the
// end only while Err is nil. An absolute move clears the error and tries anew.
//
// Slices from Key and Value are valid until the next move or Close. Key and
// Value may be called only while the cursor stands on an entry.
//
// A Source is not safe for concurrent use.
type Source interface {
	First() bool
	Last() bool
	// SeekGE goes to the first entry that a reader at seq can see at user or
	// behind it: the first not less than (user, key.SeekTrailer(seq)).
	SeekGE(user []byte, seq key.SeqNum) bool
	// SeekLT goes to the last entry whose user key is less than user.
	SeekLT(user []byte) bool
	Next() bool
	Prev() bool

	Key() (user []byte, t key.Trailer)
	Value() []byte
	Err() error
	Close() error
}

// A Skipper is a Source that may have many versions of a key.
type Skipper interface {
	Source
	// Skip goes to the next entry as Next does, but leaves out those that have the user
	// key of the current one. The source stands on an entry.
	Skip() bool
	// SkipBack goes to the preceding entry as Prev does, but leaves out those that have
	// the user key of the current one and that a reader at seq does not see. The source
	// stands on an entry.
	SkipBack(seq key.SeqNum) bool
}
