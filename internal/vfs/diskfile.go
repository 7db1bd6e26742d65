package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// An inode is one file: as programs see it, as it is on the disk, and what
// lies between the two.
//
// Invariant: durable with all of pending applied gives mem, unless torn is set.
type inode struct {
	id       int // order of creation
	mem      image
	durable  image
	pending  []fileOp // oldest first
	unsynced bool     // changed since the last Sync, whatever that Sync did
	torn     bool     // a sync has failed since the last power cut
	links    int      // names among the live ones
	opens    int      // handles and mappings
	mappings []*diskMapping
}

// A fileOp is a write of data at off or, if data is nil, a new size.
type fileOp struct {
	off  int64
	data []byte
	size int64
}

// apply changes the image.
func (op fileOp) apply(m *image) {
	if op.data == nil {
		m.resize(op.size)
	} else {
		m.write(op.data, op.off)
	}
}

// changeFileLocked makes op visible, and durable later. It keeps nothing of op.data.
func (d *Disk) changeFileLocked(f *inode, op fileOp) error {
	if len(f.mappings) > 0 {
		return errors.New("vfs: change of a file that is mapped, so must be immutable")
	}
	size := op.size
	if op.data != nil {
		size = max(f.mem.size, op.off+int64(len(op.data)))
	}
	grow := size - f.mem.size
	if grow > 0 && d.used+grow > d.capacity {
		return SimulatedNoSpace
	}
	d.used += grow
	end, had := op.off+int64(len(op.data)), int64(len(f.mem.head))
	op.apply(&f.mem)
	switch {
	case op.data == nil:
	case op.off >= had && end <= int64(len(f.mem.head)):
		op.data = f.mem.lend(op.off, end) // what is appended is rarely changed
	default:
		op.data = keep(op.data)
	}
	f.pending = append(f.pending, op)
	f.unsynced = true
	return nil
}

// freeLocked gives back the space of a file that nobody can reach. The disk
// may still know it: an unlink that is not durable can be undone by a crash.
func (d *Disk) freeLocked(f *inode) {
	if f.links == 0 && f.opens == 0 {
		d.used -= f.mem.size
	}
}

type diskFile struct {
	m      DiskFS
	inode  *inode
	name   string
	closed bool
}

func (m DiskFS) handleLocked(f *inode, name string) *diskFile {
	f.opens++
	return &diskFile{m: DiskFS{m.d, m.d.life}, inode: f, name: name}
}

func (f *diskFile) begin(op Op) error {
	op.Name = f.name
	if err := f.m.begin(op); err != nil {
		return err
	}
	if f.closed {
		f.m.d.mu.Unlock()
		return fmt.Errorf("vfs: %s %s: %w", op.Kind, f.name, fs.ErrClosed)
	}
	return nil
}

func (f *diskFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.begin(Op{Kind: OpRead, Off: off, Len: len(p)}); err != nil {
		return 0, err
	}
	defer f.m.d.mu.Unlock()
	return f.inode.mem.ReadAt(p, off)
}

func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.begin(Op{Kind: OpWrite, Off: off, Len: len(p)}); err != nil {
		return 0, err
	}
	defer f.m.d.mu.Unlock()
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	if len(p) == 0 {
		return 0, nil
	}
	if err := f.m.d.changeFileLocked(f.inode, fileOp{off: off, data: p}); err != nil {
		return 0, &fs.PathError{Op: "write", Path: f.name, Err: err}
	}
	return len(p), nil
}

// WriteThrough is two operations, a write and a sync of that alone.
func (f *diskFile) WriteThrough(p []byte, off int64) (int, error) {
	n, err := f.WriteAt(p, off)
	if err != nil {
		return n, err
	}
	if err := f.begin(Op{Kind: OpSync, Off: off, Len: len(p)}); err != nil {
		f.syncFailed()
		return 0, err
	}
	defer f.m.d.mu.Unlock()
	if !f.m.d.lying {
		f.inode.persistRange(off, off+int64(len(p)))
	}
	return n, nil
}

func (f *diskFile) Sync() error {
	if err := f.begin(Op{Kind: OpSync}); err != nil {
		f.syncFailed()
		return err
	}
	defer f.m.d.mu.Unlock()
	f.inode.unsynced = false
	if !f.m.d.lying {
		f.inode.persist()
	}
	return nil
}

// persist writes back everything. After appends, which is what most files get, the disk
// has the bytes of the page cache; others are copied, or each write after a sync would copy
// the file.
func (n *inode) persist() {
	if len(n.pending) == 0 {
		return
	}
	if n.torn || slices.ContainsFunc(n.pending, n.overwrites) {
		for _, op := range n.pending {
			op.apply(&n.durable)
		}
	} else {
		n.durable = n.mem.share()
	}
	n.pending = nil
}

func (n *inode) overwrites(op fileOp) bool {
	return op.data == nil || op.off < int64(len(n.durable.head))
}

// persistRange writes back what lies in [from, to), and everything where a pending
// size would cut into that.
func (n *inode) persistRange(from, to int64) {
	isAll := !slices.ContainsFunc(n.pending, func(op fileOp) bool {
		return op.data == nil || op.off < from || to < op.off+int64(len(op.data))
	})
	if isAll || slices.ContainsFunc(n.pending, func(op fileOp) bool { return op.data == nil && op.size < to }) {
		n.persist()
		return
	}
	var left []fileOp
	for _, op := range n.pending {
		end := op.off + int64(len(op.data))
		if op.data == nil || end <= from || to <= op.off {
			left = append(left, op)
			continue
		}
		lower, upper := max(from, op.off), min(to, end)
		n.durable.write(op.data[lower-op.off:upper-op.off], lower)
		if op.off < lower {
			left = append(left, fileOp{off: op.off, data: op.data[:lower-op.off]})
		}
		if upper < end {
			left = append(left, fileOp{off: upper, data: op.data[upper-op.off:]})
		}
	}
	n.pending = left
}

// syncFailed leaves the data half written and marks it clean.
func (f *diskFile) syncFailed() {
	f.m.d.mu.Lock()
	defer f.m.d.mu.Unlock()
	if !f.m.deadLocked() && !f.closed {
		f.inode.tear(f.m.d.rng, false)
		f.inode.torn = true
	}
}

func (f *diskFile) Size() (int64, error) {
	if err := f.begin(Op{Kind: OpSize}); err != nil {
		return 0, err
	}
	defer f.m.d.mu.Unlock()
	return f.inode.mem.size, nil
}

func (f *diskFile) Truncate(n int64) error {
	if n < 0 {
		return fs.ErrInvalid
	}
	if err := f.begin(Op{Kind: OpTruncate, Off: n}); err != nil {
		return err
	}
	defer f.m.d.mu.Unlock()
	return f.resizeLocked("truncate", n)
}

func (f *diskFile) Preallocate(n int64) error {
	if err := f.begin(Op{Kind: OpPreallocate, Off: n}); err != nil {
		return err
	}
	defer f.m.d.mu.Unlock()
	if n <= f.inode.mem.size {
		return nil
	}
	return f.resizeLocked("preallocate", n)
}

func (f *diskFile) resizeLocked(op string, n int64) error {
	if err := f.m.d.changeFileLocked(f.inode, fileOp{size: n}); err != nil {
		return &fs.PathError{Op: op, Path: f.name, Err: err}
	}
	return nil
}

func (f *diskFile) Close() error {
	if err := f.begin(Op{Kind: OpClose}); err != nil {
		return err
	}
	defer f.m.d.mu.Unlock()
	f.closed = true
	f.inode.opens--
	f.m.d.freeLocked(f.inode)
	return nil
}

// Map holds the caller to the rules: the file is synced, and must not change
// while it is mapped. The mapping is a copy, which Release fills with poison:
// who reads on sees a bad checksum, not by luck the right bytes.
func (f *diskFile) Map() (Mapping, error) {
	if err := f.begin(Op{Kind: OpMap}); err != nil {
		return nil, err
	}
	defer f.m.d.mu.Unlock()
	if f.inode.unsynced {
		return nil, &fs.PathError{Op: "map", Path: f.name, Err: errors.New("vfs: not synced")}
	}
	m := &diskMapping{f: f, bytes: f.inode.mem.bytes()}
	f.inode.mappings = append(f.inode.mappings, m)
	f.inode.opens++
	return m, nil
}

func (f *diskFile) MapShared(n int64) (SharedMapping, error) {
	if err := f.begin(Op{Kind: OpMap}); err != nil {
		return nil, err
	}
	defer f.m.d.mu.Unlock()
	if n > f.inode.mem.size {
		return nil, &fs.PathError{Op: "map", Path: f.name, Err: errors.New("vfs: not preallocated")}
	}
	return unmapped{f, n}, nil
}

// poison is what a released mapping reads as.
const poison = 0xDB

var poisoned = bytes.Repeat([]byte{poison}, 4<<10)

type diskMapping struct {
	f        *diskFile
	bytes    []byte
	released bool
}

func (m *diskMapping) Bytes() []byte { return m.bytes }
func (m *diskMapping) Size() int64   { return int64(len(m.bytes)) }

func (m *diskMapping) View(off int64, n int) ([]byte, error) {
	if err := checkView(off, n, len(m.bytes)); err != nil {
		return nil, err
	}
	if err := m.f.m.begin(Op{OpView, m.f.name, off, n}); err != nil {
		return nil, err
	}
	defer m.f.m.d.mu.Unlock()
	return m.bytes[off : off+int64(n) : off+int64(n)], nil
}

func (m *diskMapping) Release() {
	d := m.f.m.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.released {
		return
	}
	m.released = true
	for rest := m.bytes; len(rest) > 0; {
		rest = rest[copy(rest, poisoned):]
	}
	f := m.f.inode
	f.mappings = slices.DeleteFunc(f.mappings, func(o *diskMapping) bool { return o == m })
	if !m.f.m.deadLocked() {
		f.opens--
		d.freeLocked(f)
	}
}
