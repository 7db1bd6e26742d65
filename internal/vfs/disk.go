package vfs

import (
	"math/rand/v2"
	"sync"
)

// A Disk is a simulated disk with a page cache: what is written can be read at
// once, but survives a Crash only as far as it was synced, or as chance has it.
// Faults come on demand. What chance decides is drawn from the disk's own
// stream, so a seed and a sequence of calls always give the same result.
//
// As an FS, a Disk always stands for its present life. Give a simulated node
// the FS from Mount instead: after a crash every call of the old life, also
// through files and mappings, answers ErrDead.
//
// A Disk is safe for concurrent use, but then the order of the calls, and with
// it the luck, is not repeatable.
type Disk struct {
	DiskFS

	// mu guards everything below, and all directories and inodes.
	mu       sync.Mutex
	rng      *rand.Rand
	life     int // number of crashes
	root     *diskDir
	pending  []dirOp // directory changes that are not durable, oldest first
	lastID   int
	capacity int64 // bytes
	used     int64 // bytes of all files that have a name or are open
	writes   int   // operations that change the disk, so far
	crashAt  int   // call onCrashAt before this one; 0: never
	onOp     func(op Op) error
	onCrash  func()
	lying    bool
}

// A DiskFS is the file system of one life of a Disk, or, as part of the Disk
// itself, of its present life.
type DiskFS struct {
	d    *Disk
	life int // -1: whichever it is
}

// defaultCapacity is far more than a simulation writes.
const defaultCapacity = 1 << 40

// NewDisk returns an empty disk of one tebibyte.
func NewDisk(seed uint64) *Disk {
	d := &Disk{rng: rand.New(rand.NewPCG(seed, 0xd15c)), root: newDiskDir(), capacity: defaultCapacity}
	d.DiskFS = DiskFS{d: d, life: -1}
	return d
}

// Mount returns the file system of the present life.
func (d *Disk) Mount() DiskFS {
	d.mu.Lock()
	defer d.mu.Unlock()
	return DiskFS{d: d, life: d.life}
}

// OnOp has f called before every operation, like the hook of NewInject, with
// two differences: f may sleep (latency), and may crash the disk. An error that
// f returns for a sync leaves the data half written and marks it clean, as
// Linux does: a second sync would succeed and lie. nil switches it off.
func (d *Disk) OnOp(f func(op Op) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.onOp = f
}

// CrashAt has f called before the n-th operation from now that changes the disk
// (see Op.Writes); 0 switches it off. f is expected to Crash the disk and the node on it.
func (d *Disk) CrashAt(n int, f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crashAt, d.onCrash = d.writes+n, f
}

// Writes returns how many operations have changed the disk.
func (d *Disk) Writes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writes
}

// SetCapacity sets the size of the disk in bytes. Growing beyond it fails with
// ErrNoSpace; overwriting does not. It may be less than what is in use.
func (d *Disk) SetCapacity(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.capacity = bytes
}

// SetLying makes Sync and SyncDir report success without doing anything.
func (d *Disk) SetLying(lying bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lying = lying
}

// FlipBit damages one bit of a file for good: in the page cache, on the disk
// and under mappings. bit counts from the start of the file.
func (d *Disk) FlipBit(name string, bit int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	inode, err := d.fileLocked("flip", name)
	if err != nil {
		return err
	}
	inode.mem.flip(bit)
	inode.durable.flip(bit)
	for _, m := range inode.mappings {
		if bit/8 < m.Size() {
			m.bytes[bit/8] ^= 1 << (bit % 8)
		}
	}
	return nil
}

// begin asks the hooks about an operation, and returns with the lock held
// unless there is an error.
func (m DiskFS) begin(op Op) error {
	d := m.d
	d.mu.Lock()
	if m.deadLocked() {
		d.mu.Unlock()
		return ErrDead
	}
	life := d.life
	var crash func()
	if op.Writes() {
		if d.writes++; d.writes == d.crashAt {
			crash = d.onCrash
		}
	}
	hook := d.onOp
	d.mu.Unlock()
	if crash != nil {
		crash()
	}
	if hook != nil {
		if err := hook(op); err != nil {
			return err
		}
	}
	d.mu.Lock()
	if d.life != life {
		d.mu.Unlock()
		return ErrDead
	}
	return nil
}

func (m DiskFS) deadLocked() bool { return m.life >= 0 && m.life != m.d.life }
