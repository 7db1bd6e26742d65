package lsm

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/sstable"
)

// A TableFile writes a table for DB.Ingest. It needs no database, so large amounts can be
// sorted and written elsewhere, several files at a time.
//
// Keys come in ascending order, each once. After an error the file is of no use; Finish or
// Abandon ends the use of a TableFile in any case. It is not safe for concurrent use.
type TableFile struct {
	fs     vfs.FS
	name   string
	file   vfs.File
	w      *sstable.Writer
	facets faceter
	expiry ExpiryFunc
	last   []byte // the last key
	keys   uint64
	err    error
}

var errTableEnded = errors.New("lsm: the table file is ended")

// NewTableFile creates a file. Of the options those count that say how a table is
// written: BlockBytes, Compression (of the last level),
// Facets, FacetsName, PrefixLen, Split, SplitName and Expiry. They should be those of the database.
func NewTableFile(e *env.Env, fs vfs.FS, name string, o Options) (*TableFile, error) {
	f, err := fs.Create(name)
	if err != nil {
		return nil, fmt.Errorf("lsm: table file: %w", err)
	}
	o = o.withDefaults()
	number := e.Rand() | 1 // no other file should have it, and 0 stands for none
	so := o.table(0, len(o.CompressionPerLevel)+1)
	so.Number = number
	t := &TableFile{fs: fs, name: name, file: f, w: sstable.NewWriter(f, so)}
	t.facets, t.expiry = o.faceter(nil), o.Expiry
	return t, nil
}

// Set gives a key a value.
func (t *TableFile) Set(user, value []byte) error { return t.add(key.Set, user, value) }

// Delete makes a key absent.
func (t *TableFile) Delete(user []byte) error { return t.add(key.Delete, user, nil) }

// DeleteRange makes all keys in [start, end) absent that the file itself does not set,
// wherever in the file that happens. Ranges may come in any order. Without a key between
// start and end it does nothing.
func (t *TableFile) DeleteRange(start, end []byte) error {
	if t.err == nil {
		t.err = checkSizes(key.RangeDelete, start, end)
	}
	if t.err == nil {
		t.err = t.w.AddRangeDelete(start, end, 0)
	}
	return t.err
}

func (t *TableFile) add(kind key.Kind, user, value []byte) error {
	if t.err == nil {
		t.err = t.write(kind, user, value)
	}
	return t.err
}

func (t *TableFile) write(kind key.Kind, user, value []byte) error {
	if err := checkSizes(kind, user, value); err != nil {
		return err
	}
	if t.keys > 0 && bytes.Compare(user, t.last) <= 0 {
		return fmt.Errorf("lsm: table file: key %s after %s", key.Format(user), key.Format(t.last))
	}
	trailer := key.MakeTrailer(0, kind)
	if err := t.w.Add(user, trailer, value); err != nil {
		return err
	}
	t.last = append(t.last[:0], user...)
	t.keys++
	if t.expiry != nil && kind == key.Set {
		t.w.Expires(t.expiry(user, value))
	}
	if t.facets.facets != nil && kind == key.Set {
		tags, err := t.facets.ask(user, trailer, value)
		if err != nil {
			return err
		}
		t.w.Tag(tags)
	}
	return nil
}

// Size is about how large the file would be if it were finished now.
func (t *TableFile) Size() uint64 { return t.w.EstimatedSize() }

// Finish completes the file, makes its bytes durable and closes it. On an error the file is
// removed.
func (t *TableFile) Finish() error {
	if t.err == nil && t.w.Entries() == 0 {
		t.err = errors.New("lsm: table file: nothing was written")
	}
	if t.err == nil {
		_, t.err = t.w.Finish()
	}
	if t.err != nil {
		t.Abandon()
		return t.err
	}
	t.err = t.file.Close()
	t.file = nil
	if t.err != nil {
		return t.err
	}
	t.err = errTableEnded
	return nil
}

// Abandon closes and removes the file, if it was not finished.
func (t *TableFile) Abandon() {
	if t.file == nil {
		return
	}
	t.w.Abandon()
	_ = t.file.Close()
	_ = t.fs.Remove(t.name)
	t.file = nil
	if t.err == nil {
		t.err = errTableEnded
	}
}
