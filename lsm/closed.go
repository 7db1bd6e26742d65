package lsm

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/sstable"
	"github.com/statordb/stator/lsm/vlog"
	"github.com/statordb/stator/lsm/wal"
)

// A Closed is a database that nobody has open, to be looked into without changing
// anything. It is not safe for concurrent use.
type Closed struct {
	fs    vfs.FS
	dir   string
	state manifest.State
}

// ErrNoDatabase means that there is no database in a directory.
var ErrNoDatabase = manifest.ErrNone

// OpenClosed reads the manifest of the database in dir, of which damage is an error. The error matches ErrNoDatabase
// if there is none.
func OpenClosed(fs vfs.FS, dir string) (*Closed, error) {
	state, err := manifest.Read(fs, dir)
	if err != nil {
		return nil, fmt.Errorf("lsm: %w", err)
	}
	return &Closed{fs, dir, state}, nil
}

func (c *Closed) tableName(n manifest.FileNum) string {
	return path.Join(c.dir, n.String()+tableSuffix)
}

func (c *Closed) valueName(n manifest.FileNum) string {
	return path.Join(c.dir, n.String()+valueSuffix)
}

// mapFile maps a file of the database.
func (c *Closed) mapFile(name string) (vfs.Mapping, error) {
	f, err := c.fs.Open(name)
	if errors.Is(err, vfs.ErrNotExist) {
		return nil, corrupt.New(name, 0, "file is missing")
	}
	if err != nil {
		return nil, err
	}
	m, err := f.Map()
	if e := f.Close(); err == nil && e != nil {
		m.Release()
		err = e
	}
	return m, err
}

func (c *Closed) openTable(t *manifest.Table) (*sstable.Reader, error) {
	name := c.tableName(t.Num)
	m, err := c.mapFile(name)
	if err != nil {
		return nil, err
	}
	r, err := sstable.Open(m, name, originOf(t))
	if err != nil {
		m.Release()
		return nil, err
	}
	return r, nil
}

// ParseKey reads a user key as listings print it, with \xNN for what does not print.
func ParseKey(text string) ([]byte, error) {
	user, ok := key.Parse(text)
	if !ok {
		return nil, fmt.Errorf("lsm: key %q: a backslash stands for \\xNN", text)
	}
	return user, nil
}

// Find prints every version of a key that the files of the database hold, and every
// range delete over it, the place of each in front: the write-ahead log first, then the
// tables from level 0 down. So the first line is what a read finds, unless the log is
// not the engine's own.
//
// A file that cannot be read is named, and is part of the error; the others are
// looked through.
func (c *Closed) Find(w io.Writer, user []byte) error {
	found := []error{c.findInLog(w, user)}
	for level, tables := range c.state.Version.Levels {
		for _, t := range tables {
			if err := c.findInTable(w, level, t, user); err != nil {
				fmt.Fprintf(w, "L%d %s: %v\n", level, t.Num, err)
				found = append(found, err)
			}
		}
	}
	return errors.Join(found...)
}

func (c *Closed) findInTable(w io.Writer, level int, t *manifest.Table, user []byte) error {
	if !t.Span().Contains(user) {
		return nil
	}
	r, err := c.openTable(t)
	if err != nil {
		return err
	}
	defer r.Close()
	return vfs.Guard(func() error {
		for _, d := range r.RangeDeletes() {
			if string(d.Start) <= string(user) && string(user) < string(d.End) {
				fmt.Fprintf(w, "L%d %s: %s\n", level, t.Num, d)
			}
		}
		it := r.NewIter(nil, nil)
		defer it.Close()
		for ok := it.SeekGE(user, key.MaxSeqNum); ok; ok = it.Next() {
			have, tr := it.Key()
			if string(have) != string(user) {
				break
			}
			fmt.Fprintf(w, "L%d %s: %s\n", level, t.Num, describe(have, tr, it.Value()))
		}
		return it.Err()
	})
}

// describe prints one version and what it holds.
func describe(user []byte, t key.Trailer, value []byte) string {
	k := key.Internal{User: user, Trailer: t}
	switch t.Kind() {
	case key.Delete:
		return k.String()
	case key.ValuePointer:
		if p, ok := vlog.DecodePointer(value); ok {
			return fmt.Sprintf("%s in value file %06d at %d, %d bytes", k, p.File, p.Offset, p.Size)
		}
	}
	const shown = 64
	if len(value) > shown {
		return fmt.Sprintf("%s = %s… %d bytes", k, key.Format(value[:shown]), len(value))
	}
	return fmt.Sprintf("%s = %s", k, key.Format(value))
}

// findInLog prints what the write-ahead log has of a key, newest first.
func (c *Closed) findInLog(w io.Writer, user []byte) error {
	var lines []string
	err := c.eachLog(func(name string) error {
		_, err := wal.Inspect(c.fs, name, func(at wal.Position, payload []byte) error {
			r, seq, _, err := decodeBatch(payload)
			if err != nil {
				return corrupt.New(name, at.Offset, "%v", err)
			}
			for op, ok := r.next(); ok; op, ok = r.next() {
				switch covers := string(op.user) <= string(user) && string(user) < string(op.value); {
				case op.kind == key.RangeDelete && covers:
					lines = append(lines, fmt.Sprintf("log %s: [%s, %s)#%d", at, key.Format(op.user), key.Format(op.value), seq))
				case op.kind != key.RangeDelete && string(op.user) == string(user):
					lines = append(lines, fmt.Sprintf("log %s: %s", at, describe(op.user, key.MakeTrailer(seq, op.kind), op.value)))
				}
				seq++
			}
			return nil
		})
		return err
	})
	for _, line := range slices.Backward(lines) {
		fmt.Fprintln(w, line)
	}
	return err
}

// eachLog calls f for the segments of the write-ahead log that are still needed.
func (c *Closed) eachLog(f func(name string) error) error {
	names, err := logNames(c.fs, c.dir)
	if err != nil {
		return err
	}
	var found []error
	for _, name := range names {
		if id, ok := wal.ParseSegmentName(logPrefix, name); ok && id >= c.state.Log {
			found = append(found, f(name))
		}
	}
	return errors.Join(found...)
}

// Space prints where the bytes of the database are: by level, in value files, in
// the log, and in files that the manifest does not name.
func (c *Closed) Space(w io.Writer) error {
	names, err := c.fs.List(c.dir)
	if err != nil {
		return fmt.Errorf("lsm: %w", err)
	}
	known := map[string]bool{}
	var all, raw uint64
	for level, tables := range c.state.Version.Levels {
		var l LevelMetrics
		var entries, deletes uint64
		for _, t := range tables {
			known[path.Base(c.tableName(t.Num))] = true
			l.Tables++
			l.Bytes += t.Size
			l.RawBytes += t.RawBytes
			entries += t.Entries
			deletes += t.Deletes + t.RangeDeletes
		}
		if l.Tables == 0 {
			continue
		}
		all += l.Bytes
		raw += l.RawBytes
		fmt.Fprintf(w, "L%d: %d tables, %d bytes for %d of keys and values (%.2f), %d versions, %d of them deletes\n",
			level, l.Tables, l.Bytes, l.RawBytes, ratio(l.Bytes, l.RawBytes), entries, deletes)
	}
	used := c.usedValues()
	for _, f := range c.state.Version.Values {
		known[path.Base(c.valueName(f.Num))] = true
		all += f.Size
		fmt.Fprintf(w, "values %s: %d bytes, %d of them in use (%.2f)\n", f.Num, f.Size, used[f.Num], ratio(used[f.Num], f.Size))
	}
	var other uint64
	for _, name := range names {
		if known[name] {
			continue
		}
		size, err := fileSize(c.fs, path.Join(c.dir, name))
		if err != nil { // a directory, perhaps
			fmt.Fprintf(w, "%s: %v\n", name, err)
			continue
		}
		other += size
		fmt.Fprintf(w, "%s: %d bytes\n", name, size)
	}
	_, err = fmt.Fprintf(w, "%d bytes in tables and value files, %d in logs and others; %d of keys and values in tables\n", all, other, raw)
	return err
}

func (c *Closed) usedValues() map[manifest.FileNum]uint64 {
	used := map[manifest.FileNum]uint64{}
	for _, t := range c.state.Version.All() {
		for _, r := range t.Values {
			used[r.File] += r.Bytes
		}
	}
	return used
}

func fileSize(fs vfs.FS, name string) (uint64, error) {
	f, err := fs.Open(name)
	if err != nil {
		return 0, err
	}
	size, err := f.Size()
	return uint64(size), errors.Join(err, f.Close())
}

// Complete checks that every file that the manifest names is there, with the size that it says. Unlike Verify it
// reads none of them.
func (c *Closed) Complete() error {
	var found []error
	check := func(name string, want uint64) {
		size, err := fileSize(c.fs, name)
		switch {
		case errors.Is(err, vfs.ErrNotExist):
			err = corrupt.New(name, 0, "file is missing")
		case err == nil && size != want:
			err = corrupt.New(name, int64(min(size, want)), "file has %d bytes of %d", size, want)
		}
		if err != nil {
			found = append(found, err)
		}
	}
	for _, t := range c.state.Version.All() {
		check(c.tableName(t.Num), t.Size)
	}
	for _, f := range c.state.Version.Values {
		check(c.valueName(f.Num), f.Size)
	}
	return errors.Join(found...)
}

// Verify checks every byte of every file that the manifest names, and the log, and prints
// a line for each. The error joins what was found.
func (c *Closed) Verify(w io.Writer) error {
	var found []error
	report := func(name string, size uint64, err error) {
		if err != nil {
			fmt.Fprintf(w, "%s: %v\n", name, err)
			found = append(found, err)
			return
		}
		fmt.Fprintf(w, "%s: %d bytes are sound\n", name, size)
	}
	for _, t := range c.state.Version.All() {
		report(c.tableName(t.Num), t.Size, c.verifyTable(t))
	}
	for _, f := range c.state.Version.Values {
		report(c.valueName(f.Num), f.Size, c.verifyValues(f))
	}
	if err := c.eachLog(func(name string) error {
		sum, err := wal.Inspect(c.fs, name, nil)
		report(name, uint64(sum.End), err)
		return nil
	}); err != nil {
		return err
	}
	return errors.Join(found...)
}

func (c *Closed) verifyTable(t *manifest.Table) error {
	r, err := c.openTable(t)
	if err != nil {
		return err
	}
	defer r.Close()
	if r.Size() != t.Size || r.Properties().Entries != t.Entries {
		return corrupt.New(c.tableName(t.Num), 0, "this is %v, want %v", r.Properties(), t)
	}
	return r.Verify()
}

func (c *Closed) verifyValues(f manifest.ValueFile) error {
	name := c.valueName(f.Num)
	m, err := c.mapFile(name)
	if err != nil {
		return err
	}
	r, err := vlog.Open(m, name, uint64(f.Num), nil)
	if err != nil {
		m.Release()
		return err
	}
	defer r.Close()
	return r.Verify()
}
