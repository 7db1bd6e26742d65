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
		in.space()
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
	var found strings.Builder
	in.closed(func(c *lsm.Closed) error { return c.Find(&found, user) })
	if found.Len() == 0 && in.err == nil {
		fmt.Fprintf(&found, "no version of %s is in the store; writes since its last flush are in the replicated log alone\n", name)
	}
	_, _ = io.WriteString(in.w, found.String())
}

// space prints where the bytes of the store are, and those of the log.
func (in *inspector) space() {
	in.closed(func(c *lsm.Closed) error { return c.Space(in.w) })
	var sum uint64
	for _, at := range in.files(raftDir, ".log") {
		size, err := fileSize(in.fs, at)
		if err != nil {
			in.note(at, err)
			continue
		}
		sum += size
		fmt.Fprintf(in.w, "%s: %d bytes\n", at, size)
	}
	fmt.Fprintf(in.w, "%d bytes in the replicated log\n", sum)
}

// verify checks the store and the log.
func (in *inspector) verify() {
	in.closed(func(c *lsm.Closed) error { return c.Verify(in.w) })
	for _, at := range in.files(raftDir, ".log") {
		size, err := fileSize(in.fs, at)
		if err == nil {
			err = replication.Inspect(in.fs, raftDir, path.Base(at), io.Discard)
		}
		if err != nil {
			in.note(at, err)
			continue
		}
		fmt.Fprintf(in.w, "%s: %d bytes are sound\n", at, size)
	}
}

func fileSize(fs vfs.FS, name string) (uint64, error) {
	f, err := fs.Open(name)
	if err != nil {
		return 0, err
	}
	size, err := f.Size()
	return uint64(size), errors.Join(err, f.Close())
}

// files returns the files in dir with the suffix.
func (in *inspector) files(dir, suffix string) (found []string) {
	all, err := in.fs.List(dir)
	if err != nil && !errors.Is(err, vfs.ErrNotExist) {
		in.note(dir, err)
	}
	for _, n := range all {
		if strings.HasSuffix(n, suffix) {
			found = append(found, path.Join(dir, n))
		}
	}
	return found
}

// each calls f for the named file in dir, or for all files with the suffix.
func (in *inspector) each(dir, name, suffix string, f func(at string) error) {
	var files []string
	switch {
	case name == "":
		files = in.files(dir, suffix)
	default: // as a listing names it, with or without its directory and its suffix
		files = []string{path.Join(dir, strings.TrimSuffix(path.Base(name), suffix)+suffix)}
	}
	for _, at := range files {
		fmt.Fprintln(in.w, at)
		in.note(at, f(at))
	}
}
