package server

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/replication"
)

// What Inspect can look at.
const (
	InspectAll      = "all"
	InspectManifest = "manifest"
	InspectTables   = "sstable"
	InspectValues   = "vlog"
	InspectLog      = "wal"
	InspectFind     = "find"   // one key in all files of the store
	InspectSpace    = "space"  // where the bytes are
	InspectVerify   = "verify" // every byte of every file
)

// Inspect prints what the files of the closed database in dir hold, without
// changing anything: the edits of the manifest, the properties of each sorted
// table after checking every block, the same of value files, the segments of the
// log. name limits it to one file of that kind, of which it then shows all; for InspectFind it is the key,
// as other listings print it. Damage does not end it: each damaged file is named with the
// offset, and the first one is also the error.
func Inspect(dir string, w io.Writer, what, name string) error {
	fs, lock, err := openClosed(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	in := inspector{fs: fs, w: w}
	switch what {
	case InspectAll:
		in.manifest("")
		in.tables("")
		in.values("")
		in.log("")
	case InspectManifest:
		in.manifest(name)
	case InspectTables:
		in.tables(name)
	case InspectValues:
		in.values(name)
	case InspectLog:
		in.log(name)
	case InspectFind:
		in.find(name)
	case InspectSpace:
		in.closed(func(c *lsm.Closed) error { return c.Space(w) })
	case InspectVerify:
		in.verify()
	default:
		return fmt.Errorf("server: cannot inspect %q", what)
	}
	return in.err
}

// openClosed locks the database in dir and opens its files.
func openClosed(dir string) (*vfs.OS, *vfs.DirLock, error) {
	_, err := os.Stat(filepath.Join(dir, formatFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w: %s has no file %s", ErrNotDatabase, dir, formatFile)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("server: %w", err)
	}
	fs, err := vfs.NewOS(dir)
	if err != nil {
		return nil, nil, err
	}
	lock, err := vfs.Lock(dir)
	return fs, lock, err
}

type inspector struct {
	fs  vfs.FS
	w   io.Writer
	err error // the first
}

func (in *inspector) note(file string, err error) {
	if err == nil {
		return
	}
	fmt.Fprintf(in.w, "%s: %v\n", file, err)
	if in.err == nil {
		in.err = err
	}
}

func (in *inspector) manifest(name string) {
	at := path.Join(storeDir, name)
	fmt.Fprintln(in.w, "manifest", at)
	in.note(at, lsm.Inspect(in.fs, in.w, "manifest", at))
}

func (in *inspector) tables(name string) {
	in.each(storeDir, name, ".sst", func(at string) error {
		return lsm.Inspect(in.fs, in.w, "sstable", at)
	})
}

func (in *inspector) values(name string) {
	what := "vlog"
	if name != "" {
		what = "records"
	}
	in.each(storeDir, name, ".vlog", func(at string) error {
		return lsm.Inspect(in.fs, in.w, what, at)
	})
}

func (in *inspector) log(name string) {
	in.each(raftDir, name, ".log", func(at string) error {
		return replication.Inspect(in.fs, raftDir, path.Base(at), in.w)
	})
}

// closed calls f for the store.
func (in *inspector) closed(f func(*lsm.Closed) error) {
	c, err := lsm.OpenClosed(in.fs, storeDir)
	if err == nil {
		err = f(c)
	}
	in.note(storeDir, err)
}

func (in *inspector) find(name string) {
	user, err := lsm.ParseKey(name)
	if err != nil {
		in.note(name, err)
		return
	}
	in.closed(func(c *lsm.Closed) error { return c.Find(in.w, user) })
}

// verify checks the store and the log.
func (in *inspector) verify() {
	in.closed(func(c *lsm.Closed) error { return c.Verify(in.w) })
	in.each(raftDir, "", ".log", func(at string) error {
		return replication.Inspect(in.fs, raftDir, path.Base(at), io.Discard)
	})
}

// each calls f for the named file in dir, or for all files with the suffix.
func (in *inspector) each(dir, name, suffix string, f func(at string) error) {
	names := []string{name}
	if name == "" {
		all, err := in.fs.List(dir)
		if err != nil && !errors.Is(err, vfs.ErrNotExist) {
			in.note(dir, err)
			return
		}
		names = names[:0]
		for _, n := range all {
			if strings.HasSuffix(n, suffix) {
				names = append(names, n)
			}
		}
	}
	for _, n := range names {
		at := path.Join(dir, n)
		fmt.Fprintln(in.w, at)
		in.note(at, f(at))
	}
}
