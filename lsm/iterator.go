package lsm

import (
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/key"
)

// IterOptions limit an iterator to keys in [Lower, Upper), nil stands for no bound, that
// begin with Prefix. The slices must not change while the iterator is in use.
//
// With Options.PrefixLen or Split the iterator leaves out tables that have no key with
// the prefix, as a rule without reading any block of them. What it finds is the same
// without.
type IterOptions struct {
	Lower, Upper []byte
	Prefix       []byte
}

// An Iterator moves over the live keys of the database as it was when the iterator was
// made, in order.
//
// It stands on a key (Valid), or before the first, or behind the last: Next from
// before the first goes to the first, Prev from behind the last to the last. A new
// one stands before the first. After an error (Err) it stands nowhere until it is
// placed again by First, Last, SeekGE or SeekLT.
//
// Keys lie in memory of the iterator. A value may lie in a mapped file: the move has
// read of the pages of its block (not of a value above 64 KiB), and a page that fails
// is then an error of the move. One that fails afterwards, before the value is used,
// ends the process, as with any mapped file. Who cannot accept that calls AppendValue.
//
// It keeps the tables that it reads from; close it soon. It is not safe for concurrent
// use. Moves allocate nothing, once its buffers have grown; those of closed iterators
// are used again.
type Iterator struct {
	c *cursor // closedCursor behind Close
}

// NewIter returns an iterator over what is visible now. The caller must close it.
//
// It is small enough to be inlined, so that the Iterator of a caller who does not
// hand it on lies on the stack.
func (db *DB) NewIter(o IterOptions) (*Iterator, error) {
	c, err := db.newCursor(o)
	if err != nil {
		return nil, err
	}
	return &Iterator{c}, nil
}

// NewIter is DB.NewIter as of the snapshot. The iterator may outlive it.
func (s *Snapshot) NewIter(o IterOptions) (*Iterator, error) {
	c, err := s.newCursor(o)
	if err != nil {
		return nil, err
	}
	return &Iterator{c}, nil
}

// First goes to the first key.
func (it *Iterator) First() bool { return it.c.toFirst() }

// Last goes to the last key.
func (it *Iterator) Last() bool { return it.c.toLast() }

// SeekGE goes to the first key that is not less than user.
func (it *Iterator) SeekGE(user []byte) bool { return it.c.seekGE(user) }

// SeekLT goes to the last key that is less than user.
func (it *Iterator) SeekLT(user []byte) bool { return it.c.seekLT(user) }

// Next goes to the following key.
func (it *Iterator) Next() bool { return it.c.next() }

// Prev goes to the preceding key.
func (it *Iterator) Prev() bool { return it.c.prev() }

// Valid reports whether the iterator stands on a key.
func (it *Iterator) Valid() bool { return it.c.place == onKey }

// Key returns the key, valid until the next move.
func (it *Iterator) Key() []byte { return it.c.item.User }

// Value returns the value, valid until the next move.
//
// A large value lies in a file of its own, which is read only now. If that fails, Value
// returns nil, the reason is in Err, and the iterator stands nowhere, as after a move
// that failed.
func (it *Iterator) Value() []byte {
	if it.c.item.Trailer.Kind() == key.ValuePointer {
		it.c.readPointed()
	}
	return it.c.item.Value
}

// AppendValue appends the value to dst and returns the extended slice. A page of a
// mapped file that cannot be read any more is its error; the iterator stays where it
// is.
func (it *Iterator) AppendValue(dst []byte) ([]byte, error) {
	item := it.c.item
	err := vfs.Guard(func() (err error) {
		if item.Trailer.Kind() == key.ValuePointer {
			dst, err = it.c.state.version.appendPointed(dst, item.User, item.Value)
			return err
		}
		dst = append(dst, item.Value...)
		return nil
	})
	if err != nil {
		err = it.c.state.version.nameFault(err)
	}
	return dst, err
}

// Err returns why the last move, or Value, failed, or nil.
func (it *Iterator) Err() error { return it.c.err }

// Close gives the tables back. It may be called more than once; whatever else is
// called afterwards finds nothing, for the reason ErrClosed.
func (it *Iterator) Close() error {
	c := it.c
	it.c = &closedCursor
	return c.close()
}
