package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// OS is the operating system's file system below one directory.
//
// Directories are made with mode 0o750 and files with 0o640, less the umask.
type OS struct {
	root string
}

// NewOS returns the tree below root, which is created if it does not exist.
func NewOS(root string) (*OS, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("vfs: root: %w", err)
	}
	if err := makeRoot(abs); err != nil {
		return nil, fmt.Errorf("vfs: root: %w", err)
	}
	return &OS{root: abs}, nil
}

// makeRoot makes the directory and those above it. The names of all that are new
// survive a power cut.
func makeRoot(abs string) error {
	above := []string{filepath.Dir(abs)}
	for dir := above[0]; ; dir = above[len(above)-1] {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		above = append(above, filepath.Dir(dir))
	}
	if err := os.MkdirAll(abs, 0o750); err != nil {
		return err
	}
	for _, dir := range above {
		if err := syncDir(dir); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// Root returns the absolute path of the tree, for messages.
func (o *OS) Root() string { return o.root }

func (o *OS) path(op, name string) (string, error) {
	if err := checkName(op, name); err != nil {
		return "", err
	}
	return filepath.Join(o.root, filepath.FromSlash(name)), nil
}

// Create removes an old file of that name first: a reader that still maps it
// keeps its bytes.
func (o *OS) Create(name string) (File, error) {
	path, err := o.path("create", name)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, translate(err)
	}
	return openFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

// Open falls back to reading only where writing is not permitted, so that a
// write-protected copy of a database can be inspected.
func (o *OS) Open(name string) (File, error) {
	path, err := o.path("open", name)
	if err != nil {
		return nil, err
	}
	f, err := openFile(path, os.O_RDWR)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return openFile(path, os.O_RDONLY)
	}
	return f, err
}

func (o *OS) Remove(name string) error {
	path, err := o.path("remove", name)
	if err != nil {
		return err
	}
	return translate(os.Remove(path))
}

func (o *OS) Rename(oldname, newname string) error {
	return o.two("rename", oldname, newname, os.Rename)
}

func (o *OS) Link(oldname, newname string) error {
	return o.two("link", oldname, newname, os.Link)
}

func (o *OS) two(op, oldname, newname string, f func(oldpath, newpath string) error) error {
	oldpath, err := o.path(op, oldname)
	if err != nil {
		return err
	}
	newpath, err := o.path(op, newname)
	if err != nil {
		return err
	}
	return translate(f(oldpath, newpath))
}

func (o *OS) List(dir string) ([]string, error) {
	path, err := o.path("list", dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		return nil, translate(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (o *OS) MkdirAll(dir string) error {
	path, err := o.path("mkdir", dir)
	if err != nil {
		return err
	}
	return translate(os.MkdirAll(path, 0o750))
}

func (o *OS) SyncDir(dir string) error {
	path, err := o.path("syncdir", dir)
	if err != nil {
		return err
	}
	return translate(syncDir(path))
}

func (o *OS) Usage() (free, total int64, err error) {
	free, total, err = usage(o.root)
	return free, total, translate(err)
}

// osFile adds what *os.File lacks. ReadAt and Close are the embedded ones.
type osFile struct {
	*os.File
}

func openFile(path string, flag int) (File, error) {
	f, err := os.OpenFile(path, flag, 0o640)
	if err != nil {
		return nil, translate(err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "open", Path: path, Err: syscall.EISDIR}
	}
	if err != nil {
		f.Close()
		return nil, translate(err)
	}
	return osFile{f}, nil
}

func (f osFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	return n, translate(err)
}

func (f osFile) WriteThrough(p []byte, off int64) (int, error) {
	n, err := writeThrough(f.File, p, off)
	return n, translate(err)
}

// writeAndSync is WriteThrough where the system has nothing better.
func writeAndSync(f *os.File, p []byte, off int64) (int, error) {
	n, err := f.WriteAt(p, off)
	if err == nil {
		err = syncFile(f)
	}
	return n, err
}

func (f osFile) Sync() error { return translate(syncFile(f.File)) }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, translate(err)
	}
	return info.Size(), nil
}

func (f osFile) Truncate(n int64) error { return translate(f.File.Truncate(n)) }

func (f osFile) Preallocate(n int64) error {
	size, err := f.Size()
	if err != nil || size >= n {
		return err
	}
	err = preallocate(f.File, n)
	if errors.Is(err, errors.ErrUnsupported) {
		err = writeZeros(f.File, size, n)
	}
	if err == nil {
		return nil
	}
	// Give back what a half-done reservation took; the first error matters.
	_ = f.File.Truncate(size)
	return translate(err)
}

// writeZeros fills [from, to) for systems that cannot reserve space.
func writeZeros(w io.WriterAt, from, to int64) error {
	zeros := make([]byte, min(to-from, 1<<20))
	for off := from; off < to; off += int64(len(zeros)) {
		n := min(int64(len(zeros)), to-off)
		if _, err := w.WriteAt(zeros[:n], off); err != nil {
			return err
		}
	}
	return nil
}

func (f osFile) Map() (Mapping, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b, release, err := mapFile(f.File, size)
	if err != nil {
		return nil, translate(err)
	}
	return &plainMapping{bytes: b, release: release}, nil
}

func (f osFile) MapShared(n int64) (SharedMapping, error) {
	m, err := mapShared(f.File, n)
	if errors.Is(err, errors.ErrUnsupported) {
		return unmapped{f, n}, nil
	}
	return m, translate(err)
}

// translate makes every way of being out of space match ErrNoSpace.
func translate(err error) error {
	if err != nil && errors.Is(err, errQuota) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}

// checkName refuses names that leave the root; "" is the root itself.
func checkName(op, name string) error {
	if name != "" && !fs.ValidPath(name) {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return nil
}
