package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"path"

	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
)

// A KeySpan is the keys in [Lower, Upper).
type KeySpan struct{ Lower, Upper []byte }

// A Replacement gives spans of keys new contents, all of them in one step: a copy of a
// part of another database, for example. Until Commit nothing has changed; after it,
// the spans hold the keys that were set, and no others. Keys come in ascending order,
// each once. They are written to table files beside those of the database, so that their
// amount does not matter; what a crash leaves of them, the next Open removes.
//
// Commit or Abort ends its use. It is not safe for concurrent use; several may be
// written at the same time.
type Replacement struct {
	db     *DB
	spans  []KeySpan // what is left of them: sorted, apart, and not empty
	whole  []manifest.Span
	names  []string // of the files, also of the one that is being written
	file   *TableFile
	limit  uint64 // bytes of a file
	err    error
	closed bool
}

// stagedSuffix ends the names of files that are not part of the database yet.
const stagedSuffix = ".staged"

// ErrSpans refuses spans that are not in order, and keys that are in none.
var ErrSpans = errors.New("lsm: keys or spans out of order")

// Replace begins to replace what is in some spans, which are sorted and do not overlap.
func (db *DB) Replace(spans ...KeySpan) (*Replacement, error) {
	r := &Replacement{db: db, limit: uint64(db.o.TableBytes)}
	for _, s := range spans {
		if bytes.Compare(s.Lower, s.Upper) >= 0 || len(r.spans) > 0 && bytes.Compare(r.spans[len(r.spans)-1].Upper, s.Lower) > 0 {
			return nil, fmt.Errorf("%w: [%s, %s)", ErrSpans, key.Format(s.Lower), key.Format(s.Upper))
		}
		r.spans = append(r.spans, s)
		r.whole = append(r.whole, manifest.Span{Start: s.Lower, End: s.Upper, EndOpen: true})
	}
	if len(spans) == 0 {
		return nil, fmt.Errorf("%w: none", ErrSpans)
	}
	return r, nil
}

// Set gives a key of one of the spans its new value.
func (r *Replacement) Set(user, value []byte) error {
	if r.err == nil && r.closed {
		r.err = errTableEnded
	}
	if r.err == nil {
		r.err = r.set(user, value)
	}
	return r.err
}

func (r *Replacement) set(user, value []byte) error {
	if !r.isWithin(user) {
		return fmt.Errorf("%w: key %s", ErrSpans, key.Format(user))
	}
	if r.file != nil && r.file.Size() >= r.limit {
		if err := r.finish(user); err != nil {
			return err
		}
	}
	if err := r.begin(); err != nil {
		return err
	}
	return r.file.Set(user, value)
}

// isWithin reports whether one of the spans that are left has a key.
func (r *Replacement) isWithin(user []byte) bool {
	for _, s := range r.spans {
		if bytes.Compare(user, s.Upper) < 0 {
			return bytes.Compare(user, s.Lower) >= 0
		}
	}
	return false
}

func (r *Replacement) begin() error {
	if r.file != nil {
		return nil
	}
	name := path.Join(r.db.o.Dir, r.db.newFileNum().String()+stagedSuffix)
	f, err := NewTableFile(r.db.e, r.db.fs, name, r.db.o)
	if err != nil {
		return err
	}
	r.file, r.names = f, append(r.names, name)
	return nil
}

// finish ends the current file, which stands for what the spans have up to a key; nil: for
// all the rest.
func (r *Replacement) finish(upto []byte) error {
	for len(r.spans) > 0 {
		s := &r.spans[0]
		if upto != nil && bytes.Compare(s.Lower, upto) >= 0 {
			break
		}
		end := s.Upper
		if upto != nil && bytes.Compare(upto, end) < 0 {
			end = bytes.Clone(upto)
		}
		if err := r.file.DeleteRange(s.Lower, end); err != nil {
			return err
		}
		if s.Lower = end; bytes.Equal(end, s.Upper) {
			r.spans = r.spans[1:]
		}
	}
	err := r.file.Finish()
	r.file = nil
	return err
}

// Commit makes the replacement part of the database, durably. After an error nothing has
// changed, but as Ingest says. check, if not nil, is asked right before; its error is an
// error of Commit. No other Ingest or Commit of the database happens in between.
func (r *Replacement) Commit(check func() error) error {
	if r.err == nil && r.closed {
		r.err = errTableEnded
	}
	if r.err == nil {
		r.err = r.begin()
	}
	if r.err == nil {
		r.err = r.finish(nil)
	}
	if r.err == nil {
		r.err = r.db.ingest(r.names, r.whole, check)
	}
	err := r.err
	r.Abort()
	if err != nil {
		return fmt.Errorf("lsm: replace: %w", err)
	}
	return nil
}

// Abort removes what was written. After Commit it does nothing.
func (r *Replacement) Abort() {
	if r.file != nil {
		r.file.Abandon()
		r.file = nil
	}
	for _, name := range r.names {
		_ = r.db.fs.Remove(name) // else the next Open does it
	}
	r.names, r.closed = nil, true
}
