package vfs

import (
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
)

// Mem is a file system in plain memory: fast, without faults, gone with the
// process. Sync and SyncDir do nothing.
type Mem struct {
	// mu guards the tree, not the content of files.
	mu   sync.RWMutex
	root *memDir
}

// memCapacity is what Usage claims as the size of the device.
const memCapacity = 1 << 40

type memDir struct {
	dirs  map[string]*memDir
	files map[string]*memInode
}

// memInode is one file's content; names and handles share it.
type memInode struct {
	// mu guards content. Bytes once mapped stay where they are: a later
	// WriteAt that grows the file leaves the mapping on the old array.
	mu      sync.RWMutex
	content []byte
}

// NewMem returns an empty file system.
func NewMem() *Mem { return &Mem{root: newMemDir()} }

func newMemDir() *memDir {
	return &memDir{dirs: map[string]*memDir{}, files: map[string]*memInode{}}
}

// dirLocked finds a directory by its full name.
func (m *Mem) dirLocked(op, name string) (*memDir, error) {
	if err := checkName(op, name); err != nil {
		return nil, err
	}
	d := m.root
	for part := range pathParts(name) {
		next, ok := d.dirs[part]
		if !ok {
			return nil, &fs.PathError{Op: op, Path: name, Err: ErrNotExist}
		}
		d = next
	}
	return d, nil
}

// parentLocked finds the directory that holds name, and name's last part.
func (m *Mem) parentLocked(op, name string) (*memDir, string, error) {
	if name == "" || name == "." || !fs.ValidPath(name) {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	dir, base := path.Split(name)
	d, err := m.dirLocked(op, strings.TrimSuffix(dir, "/"))
	return d, base, err
}

// pathParts yields the components of a checked name.
func pathParts(name string) func(yield func(string) bool) {
	if name == "" || name == "." {
		return func(func(string) bool) {}
	}
	return strings.SplitSeq(name, "/")
}

func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.parentLocked("create", name)
	if err != nil {
		return nil, err
	}
	if d.dirs[base] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: ErrExist}
	}
	inode := &memInode{}
	d.files[base] = inode
	return &memFile{inode: inode}, nil
}

func (m *Mem) Open(name string) (File, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	d, base, err := m.parentLocked("open", name)
	if err != nil {
		return nil, err
	}
	inode, ok := d.files[base]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: ErrNotExist}
	}
	return &memFile{inode: inode}, nil
}

// Remove also takes an empty directory, as the operating system does.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.parentLocked("remove", name)
	if err != nil {
		return err
	}
	if sub := d.dirs[base]; sub != nil {
		if len(sub.dirs)+len(sub.files) > 0 {
			return &fs.PathError{Op: "remove", Path: name, Err: ErrExist}
		}
		delete(d.dirs, base)
		return nil
	}
	if d.files[base] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: ErrNotExist}
	}
	delete(d.files, base)
	return nil
}

func (m *Mem) Rename(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, oldbase, to, newbase, err := m.twoLocked("rename", oldname, newname)
	if err != nil {
		return err
	}
	inode := from.files[oldbase]
	delete(from.files, oldbase)
	to.files[newbase] = inode
	return nil
}

func (m *Mem) Link(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, oldbase, to, newbase, err := m.twoLocked("link", oldname, newname)
	if err != nil {
		return err
	}
	if to.files[newbase] != nil {
		return &fs.PathError{Op: "link", Path: newname, Err: ErrExist}
	}
	to.files[newbase] = from.files[oldbase]
	return nil
}

// twoLocked resolves an existing file and a name for it that is no directory.
func (m *Mem) twoLocked(op, oldname, newname string) (from *memDir, oldbase string, to *memDir, newbase string, err error) {
	if from, oldbase, err = m.parentLocked(op, oldname); err != nil {
		return
	}
	if to, newbase, err = m.parentLocked(op, newname); err != nil {
		return
	}
	if from.files[oldbase] == nil {
		err = &fs.PathError{Op: op, Path: oldname, Err: ErrNotExist}
	} else if to.dirs[newbase] != nil {
		err = &fs.PathError{Op: op, Path: newname, Err: ErrExist}
	}
	return
}

func (m *Mem) List(dir string) ([]string, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	d, err := m.dirLocked("list", dir)
	if err != nil {
		return nil, err
	}
	names := slices.AppendSeq(make([]string, 0, len(d.files)+len(d.dirs)), maps.Keys(d.files))
	names = slices.AppendSeq(names, maps.Keys(d.dirs))
	slices.Sort(names)
	return names, nil
}

func (m *Mem) MkdirAll(dir string) error {
	if err := checkName("mkdir", dir); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.root
	for part := range pathParts(dir) {
		if d.files[part] != nil {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: ErrExist}
		}
		if d.dirs[part] == nil {
			d.dirs[part] = newMemDir()
		}
		d = d.dirs[part]
	}
	return nil
}

func (m *Mem) SyncDir(dir string) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	_, err := m.dirLocked("syncdir", dir)
	return err
}

// Usage counts every file once, however many names it has.
func (m *Mem) Usage() (free, total int64, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	used := m.root.size(map[*memInode]bool{})
	return max(0, memCapacity-used), memCapacity, nil
}

func (d *memDir) size(seen map[*memInode]bool) (sum int64) {
	for _, inode := range d.files {
		if !seen[inode] {
			seen[inode] = true
			sum += inode.size()
		}
	}
	for _, sub := range d.dirs {
		sum += sub.size(seen)
	}
	return sum
}

func (n *memInode) size() int64 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return int64(len(n.content))
}

type memFile struct {
	inode *memInode
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.inode.mu.RLock()
	defer f.inode.mu.RUnlock()
	return readAt(f.inode.content, p, off)
}

// readAt is io.ReaderAt over a slice.
func readAt(content, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	if off >= int64(len(content)) {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	n := copy(p, content[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	f.inode.mu.Lock()
	defer f.inode.mu.Unlock()
	f.inode.growLocked(off + int64(len(p)))
	return copy(f.inode.content[off:], p), nil
}

// growLocked extends the content with zeros to at least n bytes. The unused
// tail of the array is always zero: truncation clears what it cuts.
func (n *memInode) growLocked(size int64) {
	if have := int64(len(n.content)); size > have {
		n.content = slices.Grow(n.content, int(size-have))[:size]
	}
}

func (f *memFile) WriteThrough(p []byte, off int64) (int, error) { return f.WriteAt(p, off) }

func (f *memFile) Sync() error { return nil }

func (f *memFile) Size() (int64, error) { return f.inode.size(), nil }

func (f *memFile) Truncate(n int64) error {
	if n < 0 {
		return fs.ErrInvalid
	}
	f.inode.mu.Lock()
	defer f.inode.mu.Unlock()
	if n >= int64(len(f.inode.content)) {
		f.inode.growLocked(n)
		return nil
	}
	clear(f.inode.content[n:])
	f.inode.content = f.inode.content[:n]
	return nil
}

func (f *memFile) Preallocate(n int64) error {
	f.inode.mu.Lock()
	defer f.inode.mu.Unlock()
	f.inode.growLocked(n)
	return nil
}

// Map returns the content itself. A file is mapped once it is complete, so
// this is the moment to give back what growing by doubling left unused.
func (f *memFile) Map() (Mapping, error) {
	f.inode.mu.Lock()
	defer f.inode.mu.Unlock()
	n := f.inode
	if cap(n.content)-len(n.content) > len(n.content)/8 {
		n.content = append(make([]byte, 0, len(n.content)), n.content...)
	}
	return &plainMapping{bytes: n.content}, nil
}

func (f *memFile) MapShared(n int64) (SharedMapping, error) { return unmapped{f, n}, nil }

func (f *memFile) Close() error { return nil }
