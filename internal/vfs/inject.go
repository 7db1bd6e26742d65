package vfs

// An OpKind names one method of FS, File or Mapping.
type OpKind string

// The operations that an Inject asks its hook about.
const (
	OpCreate      OpKind = "create"
	OpOpen        OpKind = "open"
	OpRemove      OpKind = "remove"
	OpRename      OpKind = "rename"
	OpLink        OpKind = "link"
	OpList        OpKind = "list"
	OpMkdirAll    OpKind = "mkdirall"
	OpSyncDir     OpKind = "syncdir"
	OpUsage       OpKind = "usage"
	OpRead        OpKind = "read"
	OpWrite       OpKind = "write"
	OpSync        OpKind = "sync"
	OpSize        OpKind = "size"
	OpTruncate    OpKind = "truncate"
	OpPreallocate OpKind = "preallocate"
	OpMap         OpKind = "map"
	OpView        OpKind = "view"
	OpClose       OpKind = "close"
)

// An Op is one call about to be made.
type Op struct {
	Kind OpKind
	Name string // file or directory; for rename and link the old name
	Off  int64  // read, write, view, and a sync of a part
	Len  int    // the same: bytes; 0: a sync of all
}

// Writes reports whether the operation changes the disk.
func (o Op) Writes() bool {
	switch o.Kind {
	case OpCreate, OpRemove, OpRename, OpLink, OpMkdirAll, OpSyncDir, OpWrite, OpSync, OpTruncate, OpPreallocate:
		return true
	}
	return false
}

// NewInject returns fs with hook in front of every call. If the hook returns an
// error, the call fails with it and has no effect (a close still closes).
// Mapping.Bytes cannot fail and is not asked about.
//
// The hook is called concurrently if the FS is used concurrently.
func NewInject(fs FS, hook func(op Op) error) FS {
	return &inject{fs: fs, hook: hook}
}

type inject struct {
	fs   FS
	hook func(op Op) error
}

func (i *inject) Create(name string) (File, error) {
	return i.file(OpCreate, name, i.fs.Create)
}

func (i *inject) Open(name string) (File, error) {
	return i.file(OpOpen, name, i.fs.Open)
}

func (i *inject) file(kind OpKind, name string, open func(string) (File, error)) (File, error) {
	if err := i.hook(Op{Kind: kind, Name: name}); err != nil {
		return nil, err
	}
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	return &injectFile{f: f, name: name, hook: i.hook}, nil
}

func (i *inject) Remove(name string) error {
	if err := i.hook(Op{Kind: OpRemove, Name: name}); err != nil {
		return err
	}
	return i.fs.Remove(name)
}

func (i *inject) Rename(oldname, newname string) error {
	if err := i.hook(Op{Kind: OpRename, Name: oldname}); err != nil {
		return err
	}
	return i.fs.Rename(oldname, newname)
}

func (i *inject) Link(oldname, newname string) error {
	if err := i.hook(Op{Kind: OpLink, Name: oldname}); err != nil {
		return err
	}
	return i.fs.Link(oldname, newname)
}

func (i *inject) List(dir string) ([]string, error) {
	if err := i.hook(Op{Kind: OpList, Name: dir}); err != nil {
		return nil, err
	}
	return i.fs.List(dir)
}

func (i *inject) MkdirAll(dir string) error {
	if err := i.hook(Op{Kind: OpMkdirAll, Name: dir}); err != nil {
		return err
	}
	return i.fs.MkdirAll(dir)
}

func (i *inject) SyncDir(dir string) error {
	if err := i.hook(Op{Kind: OpSyncDir, Name: dir}); err != nil {
		return err
	}
	return i.fs.SyncDir(dir)
}

func (i *inject) Usage() (free, total int64, err error) {
	if err := i.hook(Op{Kind: OpUsage}); err != nil {
		return 0, 0, err
	}
	return i.fs.Usage()
}

type injectFile struct {
	f    File
	name string
	hook func(op Op) error
}

func (f *injectFile) ask(kind OpKind) error { return f.hook(Op{Kind: kind, Name: f.name}) }

func (f *injectFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.hook(Op{OpRead, f.name, off, len(p)}); err != nil {
		return 0, err
	}
	return f.f.ReadAt(p, off)
}

func (f *injectFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.hook(Op{OpWrite, f.name, off, len(p)}); err != nil {
		return 0, err
	}
	return f.f.WriteAt(p, off)
}

// WriteThrough asks the hook about a write and about a sync.
func (f *injectFile) WriteThrough(p []byte, off int64) (int, error) {
	if err := f.hook(Op{OpWrite, f.name, off, len(p)}); err != nil {
		return 0, err
	}
	if err := f.hook(Op{OpSync, f.name, off, len(p)}); err != nil {
		return 0, err
	}
	return f.f.WriteThrough(p, off)
}

func (f *injectFile) Sync() error {
	if err := f.ask(OpSync); err != nil {
		return err
	}
	return f.f.Sync()
}

func (f *injectFile) Size() (int64, error) {
	if err := f.ask(OpSize); err != nil {
		return 0, err
	}
	return f.f.Size()
}

func (f *injectFile) Truncate(n int64) error {
	if err := f.ask(OpTruncate); err != nil {
		return err
	}
	return f.f.Truncate(n)
}

func (f *injectFile) Preallocate(n int64) error {
	if err := f.ask(OpPreallocate); err != nil {
		return err
	}
	return f.f.Preallocate(n)
}

func (f *injectFile) Map() (Mapping, error) {
	if err := f.ask(OpMap); err != nil {
		return nil, err
	}
	m, err := f.f.Map()
	if err != nil {
		return nil, err
	}
	return &injectMapping{Mapping: m, name: f.name, hook: f.hook}, nil
}

// MapShared has every write through the mapping ask the hook like any other.
func (f *injectFile) MapShared(n int64) (SharedMapping, error) {
	if err := f.ask(OpMap); err != nil {
		return nil, err
	}
	return unmapped{f, n}, nil
}

func (f *injectFile) Close() error {
	asked := f.ask(OpClose)
	if err := f.f.Close(); err != nil {
		return err
	}
	return asked
}

type injectMapping struct {
	Mapping
	name string
	hook func(op Op) error
}

func (m *injectMapping) View(off int64, n int) ([]byte, error) {
	if err := m.hook(Op{OpView, m.name, off, n}); err != nil {
		return nil, err
	}
	return m.Mapping.View(off, n)
}
