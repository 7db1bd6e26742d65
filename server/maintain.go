package server

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm"
)

// Compact merges all tables of the closed database in dir down to the deepest level,
// where nothing deleted or overwritten takes space any more, and prints where the bytes
// are before and afterwards.
func Compact(dir string, w io.Writer) error {
	fs, lock, err := openClosed(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	in := inspector{fs: fs, w: w}
	space := func(c *lsm.Closed) error { return c.Space(w) }
	in.closed(space)
	if in.err != nil {
		return in.err
	}
	var o Options
	o.setDefaults()
	db, err := lsm.Open(env.New(), fs, o.store())
	if err != nil {
		return err
	}
	if err := errors.Join(db.Compact(nil, nil), db.Close()); err != nil {
		return err
	}
	fmt.Fprintln(w, "afterwards")
	in.closed(space)
	return in.err
}

// Checkpoint makes a copy of the closed database in dir, which can be opened like any
// other, in a new directory. Files that never change are linked where the file system
// allows it, so it is quick and takes little space.
func Checkpoint(dir, target string) error {
	_, lock, err := openClosed(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := os.Mkdir(target, 0o750); err != nil {
		return fmt.Errorf("server: checkpoint: %w", err)
	}
	// FORMAT comes last: without it the directory is no database.
	for _, part := range []string{storeDir, raftDir, formatFile} {
		if err := copyTree(filepath.Join(dir, part), filepath.Join(target, part)); err != nil {
			return fmt.Errorf("server: checkpoint: %w", err)
		}
	}
	return syncPath(target)
}

// copyTree copies a file or a directory of files.
func copyTree(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return copyFile(from, to)
	}
	if err := os.Mkdir(to, 0o750); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := copyTree(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return syncPath(to)
}

// copyFile links what never changes and copies the rest.
func copyFile(from, to string) error {
	switch filepath.Ext(from) {
	case ".sst", ".vlog":
		if os.Link(from, to) == nil {
			return nil
		}
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

func syncPath(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
