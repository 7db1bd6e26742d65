package vfs

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// A diskDir is one directory: its entries as programs see them, and as they
// are on the disk.
type diskDir struct {
	live, durable map[string]dirEntry
}

// A dirEntry names a file or a directory; the zero entry names nothing.
type dirEntry struct {
	file *inode
	dir  *diskDir
}

// A dirOp is one change of directories, which the disk makes whole or not at
// all: a rename takes a name away and gives one, all others do one thing.
type dirOp []dirSet

// A dirSet makes name refer to entry.
type dirSet struct {
	dir   *diskDir
	name  string
	entry dirEntry
}

func newDiskDir() *diskDir {
	return &diskDir{live: map[string]dirEntry{}, durable: map[string]dirEntry{}}
}

func set(entries map[string]dirEntry, name string, e dirEntry) {
	if e == (dirEntry{}) {
		delete(entries, name)
	} else {
		entries[name] = e
	}
}

// changeLocked makes op visible, and durable later.
func (d *Disk) changeLocked(op dirOp) {
	for _, s := range op {
		if old := s.dir.live[s.name].file; old != nil {
			old.links--
			d.freeLocked(old)
		}
		if s.entry.file != nil {
			s.entry.file.links++
		}
		set(s.dir.live, s.name, s.entry)
	}
	d.pending = append(d.pending, op)
}

func (op dirOp) persist() {
	for _, s := range op {
		set(s.dir.durable, s.name, s.entry)
	}
}

// syncDirLocked persists the pending changes of dir and, so that none overtakes
// an older one, of directories that those changes touch as well.
func (d *Disk) syncDirLocked(dir *diskDir) {
	touched := map[*diskDir]bool{dir: true}
	due := make([]bool, len(d.pending))
	for i, op := range slices.Backward(d.pending) {
		due[i] = slices.ContainsFunc(op, func(s dirSet) bool { return touched[s.dir] })
		if due[i] {
			for _, s := range op {
				touched[s.dir] = true
			}
		}
	}
	var rest []dirOp
	for i, op := range d.pending {
		if due[i] {
			op.persist()
		} else {
			rest = append(rest, op)
		}
	}
	d.pending = rest
}

func (d *Disk) dirLocked(op, name string) (*diskDir, error) {
	if err := checkName(op, name); err != nil {
		return nil, err
	}
	dir, rest := d.root, name
	if name == "." {
		rest = ""
	}
	for rest != "" { // pathParts would allocate, for each operation of a disk
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		if dir = dir.live[part].dir; dir == nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: ErrNotExist}
		}
	}
	return dir, nil
}

// placeLocked finds the directory that holds name, and name's last part.
func (d *Disk) placeLocked(op, name string) (*diskDir, string, error) {
	if name == "" || name == "." || !fs.ValidPath(name) {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	dir, base := path.Split(name)
	parent, err := d.dirLocked(op, strings.TrimSuffix(dir, "/"))
	return parent, base, err
}

func (d *Disk) fileLocked(op, name string) (*inode, error) {
	dir, base, err := d.placeLocked(op, name)
	if err != nil {
		return nil, err
	}
	if f := dir.live[base].file; f != nil {
		return f, nil
	}
	return nil, &fs.PathError{Op: op, Path: name, Err: ErrNotExist}
}

// Create is FS.Create.
func (m DiskFS) Create(name string) (File, error) {
	if err := m.begin(Op{Kind: OpCreate, Name: name}); err != nil {
		return nil, err
	}
	d := m.d
	defer d.mu.Unlock()
	dir, base, err := d.placeLocked("create", name)
	if err != nil {
		return nil, err
	}
	if dir.live[base].dir != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: ErrExist}
	}
	d.lastID++
	f := &inode{id: d.lastID}
	d.changeLocked(dirOp{{dir, base, dirEntry{file: f}}})
	return m.handleLocked(f, name), nil
}

// Open is FS.Open.
func (m DiskFS) Open(name string) (File, error) {
	if err := m.begin(Op{Kind: OpOpen, Name: name}); err != nil {
		return nil, err
	}
	defer m.d.mu.Unlock()
	f, err := m.d.fileLocked("open", name)
	if err != nil {
		return nil, err
	}
	return m.handleLocked(f, name), nil
}

// Remove is FS.Remove. It also takes an empty directory.
func (m DiskFS) Remove(name string) error {
	if err := m.begin(Op{Kind: OpRemove, Name: name}); err != nil {
		return err
	}
	d := m.d
	defer d.mu.Unlock()
	dir, base, err := d.placeLocked("remove", name)
	if err != nil {
		return err
	}
	e, ok := dir.live[base]
	if !ok {
		return &fs.PathError{Op: "remove", Path: name, Err: ErrNotExist}
	}
	if e.dir != nil && len(e.dir.live) > 0 {
		return &fs.PathError{Op: "remove", Path: name, Err: ErrExist}
	}
	d.changeLocked(dirOp{{dir, base, dirEntry{}}})
	return nil
}

// Rename is FS.Rename.
func (m DiskFS) Rename(oldname, newname string) error {
	if err := m.begin(Op{Kind: OpRename, Name: oldname}); err != nil {
		return err
	}
	defer m.d.mu.Unlock()
	from, to, err := m.d.twoLocked("rename", oldname, newname)
	if err != nil || from.dir == to.dir && from.name == to.name {
		return err
	}
	to.entry, from.entry = from.entry, dirEntry{}
	m.d.changeLocked(dirOp{to, from})
	return nil
}

// Link is FS.Link.
func (m DiskFS) Link(oldname, newname string) error {
	if err := m.begin(Op{Kind: OpLink, Name: oldname}); err != nil {
		return err
	}
	defer m.d.mu.Unlock()
	from, to, err := m.d.twoLocked("link", oldname, newname)
	if err != nil {
		return err
	}
	if to.entry.file != nil {
		return &fs.PathError{Op: "link", Path: newname, Err: ErrExist}
	}
	to.entry = from.entry
	m.d.changeLocked(dirOp{to})
	return nil
}

// twoLocked resolves an existing file and a name for it that is no directory.
func (d *Disk) twoLocked(op, oldname, newname string) (from, to dirSet, err error) {
	if from.dir, from.name, err = d.placeLocked(op, oldname); err != nil {
		return
	}
	if to.dir, to.name, err = d.placeLocked(op, newname); err != nil {
		return
	}
	from.entry, to.entry = from.dir.live[from.name], to.dir.live[to.name]
	if from.entry.file == nil {
		err = &fs.PathError{Op: op, Path: oldname, Err: ErrNotExist}
	} else if to.entry.dir != nil {
		err = &fs.PathError{Op: op, Path: newname, Err: ErrExist}
	}
	return
}

// List is FS.List.
func (m DiskFS) List(dir string) ([]string, error) {
	if err := m.begin(Op{Kind: OpList, Name: dir}); err != nil {
		return nil, err
	}
	defer m.d.mu.Unlock()
	dd, err := m.d.dirLocked("list", dir)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(dd.live)), nil
}

// MkdirAll is FS.MkdirAll. A new directory is durable once its parent is
// synced; until then a crash may take it with everything in it.
func (m DiskFS) MkdirAll(dir string) error {
	if err := m.begin(Op{Kind: OpMkdirAll, Name: dir}); err != nil {
		return err
	}
	d := m.d
	defer d.mu.Unlock()
	if err := checkName("mkdir", dir); err != nil {
		return err
	}
	at := d.root
	for part := range pathParts(dir) {
		if at.live[part].file != nil {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: ErrExist}
		}
		if at.live[part].dir == nil {
			d.changeLocked(dirOp{{at, part, dirEntry{dir: newDiskDir()}}})
		}
		at = at.live[part].dir
	}
	return nil
}

// SyncDir is FS.SyncDir.
func (m DiskFS) SyncDir(dir string) error {
	if err := m.begin(Op{Kind: OpSyncDir, Name: dir}); err != nil {
		return err
	}
	defer m.d.mu.Unlock()
	dd, err := m.d.dirLocked("syncdir", dir)
	if err == nil && !m.d.lying {
		m.d.syncDirLocked(dd)
	}
	return err
}

// Usage is FS.Usage.
func (m DiskFS) Usage() (free, total int64, err error) {
	if err := m.begin(Op{Kind: OpUsage}); err != nil {
		return 0, 0, err
	}
	defer m.d.mu.Unlock()
	return max(0, m.d.capacity-m.d.used), m.d.capacity, nil
}
