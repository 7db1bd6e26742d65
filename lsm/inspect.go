package lsm

import (
	"fmt"
	"io"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/sstable"
	"github.com/statordb/stator/lsm/vlog"
	"github.com/statordb/stator/lsm/wal"
)

// Inspect prints what a file of a closed database holds, without changing anything:
//
//	what        name
//	manifest    a manifest segment, or the directory of a database for all of them
//	wal         a segment of the write-ahead log, or the directory
//	sstable     a table file
//	vlog        a value file
//	records     the same with every record
//
// Damage is a *corrupt.Error; what lies before it has been printed.
func Inspect(fs vfs.FS, w io.Writer, what, name string) error {
	var err error
	switch what {
	case "manifest":
		err = inspectAll(fs, name, manifest.SegmentNames, func(file string) error {
			return manifest.Inspect(fs, file, w)
		})
	case "wal":
		err = inspectAll(fs, name, logNames, func(file string) error {
			return inspectLog(fs, file, w)
		})
	case "sstable":
		err = inspectTable(fs, name, w)
	case "vlog", "records":
		err = inspectValues(fs, name, w, what == "records")
	default:
		err = fmt.Errorf("cannot inspect %q; use manifest, wal, sstable, vlog or records", what)
	}
	if err != nil {
		return fmt.Errorf("lsm: inspect: %w", err)
	}
	return nil
}

func logNames(fs vfs.FS, dir string) ([]string, error) { return wal.Names(fs, dir, logPrefix) }

// inspectAll calls f for the file, or for all files that names finds if it is
// a directory.
func inspectAll(fs vfs.FS, name string, names func(vfs.FS, string) ([]string, error), f func(string) error) error {
	files, err := names(fs, name)
	if err != nil {
		return f(name)
	}
	if len(files) == 0 {
		return fmt.Errorf("nothing in %q: %w", name, vfs.ErrNotExist)
	}
	for _, file := range files {
		if err := f(file); err != nil {
			return err
		}
	}
	return nil
}

func inspectLog(fs vfs.FS, name string, w io.Writer) error {
	sum, err := wal.Inspect(fs, name, func(at wal.Position, payload []byte) error {
		r, first, last, err := decodeBatch(payload)
		if err != nil {
			return corrupt.New(name, at.Offset, "%v", err)
		}
		return printBatch(w, at, r, first, last)
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, sum)
	return err
}

func printBatch(w io.Writer, at wal.Position, r batchReader, first, last key.SeqNum) error {
	if _, err := fmt.Fprintf(w, "%s batch of %d\n", at, last-first+1); err != nil {
		return err
	}
	seq := first
	for op, ok := r.next(); ok; op, ok = r.next() {
		k := key.Internal{User: op.user, Trailer: key.MakeTrailer(seq, op.kind)}
		detail := fmt.Sprintf("%d bytes", len(op.value))
		switch op.kind {
		case key.Delete:
			detail = ""
		case key.RangeDelete:
			detail = "to " + key.Format(op.value)
		}
		if _, err := fmt.Fprintf(w, "  %s %s\n", k, detail); err != nil {
			return err
		}
		seq++
	}
	return nil
}

// inspectTable prints a table's properties and then checks all of it.
func inspectTable(fs vfs.FS, name string, w io.Writer) error {
	r, err := openReader(fs, name, false, sstable.Options{})
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := fmt.Fprintln(w, r.Properties()); err != nil {
		return err
	}
	for _, d := range r.RangeDeletes() {
		if _, err := fmt.Fprintf(w, "  %s\n", d); err != nil {
			return err
		}
	}
	if err := r.DescribeBitmaps(w); err != nil {
		return err
	}
	if err := r.Verify(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%d bytes verified\n", r.Size())
	return err
}

// inspectValues prints what a value file has, perhaps every record, and then checks all
// of it.
func inspectValues(fs vfs.FS, name string, w io.Writer, records bool) error {
	m, err := mapFile(fs, name, false)
	if err != nil {
		return err
	}
	r, err := vlog.Open(m, name, 0, nil)
	if err != nil {
		m.Release()
		return err
	}
	defer r.Close()
	meta := r.Meta()
	if _, err := fmt.Fprintf(w, "value file %d: %d records, %d bytes of keys, %d of values\n",
		meta.Number, meta.Records, meta.KeyBytes, meta.ValueBytes); err != nil {
		return err
	}
	if records {
		if err := printRecords(r, w); err != nil {
			return err
		}
	}
	if err := r.Verify(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%d bytes verified\n", meta.Size)
	return err
}

func printRecords(r *vlog.Reader, w io.Writer) error {
	return vfs.Guard(func() error {
		return r.Records(func(c vlog.Record) error {
			_, err := fmt.Fprintf(w, "  %s\n", c)
			return err
		})
	})
}
