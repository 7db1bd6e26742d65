package lsm

import (
	"errors"
	"fmt"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/sstable"
	"github.com/statordb/stator/lsm/tombstone"
)

// A table is an open table file. All but wrote, shadows and what changes in a heldFile is
// immutable.
type table struct {
	heldFile
	meta       *manifest.Table
	span       manifest.Span
	reader     *sstable.Reader // nil if the table cannot be read at all
	tombstones *tombstone.List

	// wrote are the value files that were written together with the table, or with
	// it and those that follow it in the same edit; nil once the edit is installed.
	wrote []*valueFile

	shadows shadows // on older tables
}

func (db *DB) newTable(meta *manifest.Table) *table {
	return &table{
		heldFile: heldFile{kind: "table", num: meta.Num, name: db.o.tableName(meta.Num)},
		meta:     meta, span: meta.Span(),
	}
}

func tableMeta(num manifest.FileNum, m sstable.Meta) *manifest.Table {
	return &manifest.Table{
		Num: num, Size: m.Size,
		Smallest: m.Smallest, Largest: m.Largest,
		SmallestSeq: m.SmallestSeq, LargestSeq: m.LargestSeq,
		Entries: m.Entries, Deletes: m.Deletes, RangeDeletes: m.RangeDeletes,
		RawBytes: m.KeyBytes + m.ValueBytes,
	}
}

// openTable opens a table file for reading.
func (db *DB) openTable(meta *manifest.Table) (*table, error) {
	t := db.newTable(meta)
	var err error
	o := originOf(meta)
	o.Pool = db.pool
	t.reader, err = openReader(db.fs, t.name, db.o.NoMmap, o)
	if err != nil {
		return nil, err
	}
	if err := t.check(); err != nil {
		return nil, errors.Join(err, t.reader.Close())
	}
	deletes := t.reader.RangeDeletes()
	ranges := make([]tombstone.Range, len(deletes))
	for i, d := range deletes {
		ranges[i] = tombstone.Range(d)
	}
	t.tombstones = tombstone.Build(ranges)
	return t, nil
}

// originOf returns what sstable.Open must know of a table.
func originOf(meta *manifest.Table) sstable.Options {
	number, seq := meta.Origin()
	return sstable.Options{Number: number, Seq: seq}
}

// openReader opens a table file, mapped where that is wanted and possible.
func openReader(fs vfs.FS, name string, noMmap bool, o sstable.Options) (*sstable.Reader, error) {
	m, err := mapFile(fs, name, noMmap)
	if err != nil {
		return nil, err
	}
	r, err := sstable.Open(m, name, o)
	if err != nil {
		m.Release()
	}
	return r, err
}

// mapFile maps a file, or reads it instead if that is wanted or it cannot be mapped.
func mapFile(fs vfs.FS, name string, noMmap bool) (vfs.Mapping, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	var m vfs.Mapping
	if !noMmap {
		m, err = f.Map()
	}
	if noMmap || errors.Is(err, errors.ErrUnsupported) {
		if m, err = vfs.ReadMapping(f); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return m, nil
	}
	if e := f.Close(); err == nil && e != nil {
		m.Release()
		err = e
	}
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", name, err)
	}
	return m, nil
}

// check compares what a table says of itself with what the manifest says:
// a sound file in the place of another is damage, too.
func (t *table) check() error {
	p := t.reader.Properties()
	same := tableMeta(t.meta.Num, sstable.Meta{Size: t.reader.Size(), Properties: p})
	if number, _ := t.meta.Origin(); p.Number != number || same.Size != t.meta.Size ||
		!same.Smallest.Equal(t.meta.Smallest) || !same.Largest.Equal(t.meta.Largest) ||
		same.Entries != t.meta.Entries || same.RangeDeletes != t.meta.RangeDeletes || same.LargestSeq != t.meta.LargestSeq {
		return corrupt.New(t.name, 0, "this is %v, want %v", p, t.meta)
	}
	return nil
}

// quarantine opens what can be opened of a table that the manifest names. It never
// fails: reads that need what is damaged give the error.
func (db *DB) quarantine(meta *manifest.Table) *table {
	t, err := db.openTable(meta)
	if err == nil {
		return t
	}
	t = db.newTable(meta)
	db.quarantined(&t.heldFile, err)
	return t
}
