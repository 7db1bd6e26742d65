package vfs

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
)

// A CrashMode says what a Crash leaves of changes that were not synced.
type CrashMode byte

const (
	// KeepAll: only the process died; the page cache lives on.
	KeepAll CrashMode = iota
	// LoseAll: nothing unsynced is left.
	LoseAll
	// KeepPrefix: of every file the first so many sectors written are left, of
	// all directories the first so many changes.
	KeepPrefix
	// TearSectors: every dirty sector decides for itself which of its versions
	// is left; sizes are left as far as chance has it.
	TearSectors
	// TearGarbage: that, and sectors may have been hit while they were written.
	TearGarbage

	// AnyDirs, added to a mode, lets every directory change decide for itself,
	// as POSIX permits, instead of a prefix of them surviving, as on ext4 and
	// XFS. Renames stay atomic.
	AnyDirs CrashMode = 0x80
)

// sectorBytes is what a disk writes at once.
const sectorBytes = 512

// RandomCrash returns one of the modes of a power cut.
func RandomCrash(rng *rand.Rand) CrashMode {
	return LoseAll + CrashMode(rng.IntN(4)) + AnyDirs*CrashMode(rng.IntN(2))
}

// Crash ends the present life: its files, mappings and mounts are dead, and
// the disk holds what it has written back, and of the rest what mode says.
func (d *Disk) Crash(mode CrashMode) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life++
	d.crashAt, d.onCrash = 0, nil
	if mode&^AnyDirs != KeepAll {
		d.crashDirsLocked(mode)
	}
	d.used = 0
	for _, f := range d.rebootLocked() {
		f.crash(mode&^AnyDirs, d.rng)
		d.used += f.mem.size
	}
}

// crashDirsLocked decides which directory changes are left, and makes the
// durable tree the visible one.
func (d *Disk) crashDirsLocked(mode CrashMode) {
	prefix := d.rng.IntN(len(d.pending) + 1)
	for i, op := range d.pending {
		keep := i < prefix
		switch {
		case mode&^AnyDirs == LoseAll:
			keep = false
		case mode&AnyDirs != 0:
			keep = d.rng.IntN(2) == 0
		}
		if keep {
			op.persist()
		}
	}
	d.pending = nil
	d.root.walk(func(dir *diskDir) { dir.live = maps.Clone(dir.durable) })
}

// walk calls f for dir and everything below it, in no particular order.
func (dir *diskDir) walk(f func(*diskDir)) {
	f(dir)
	for _, e := range dir.live {
		if e.dir != nil {
			e.dir.walk(f)
		}
	}
}

// rebootLocked closes all handles and returns the files in the order of their
// creation.
func (d *Disk) rebootLocked() []*inode {
	links := map[*inode]int{}
	d.root.walk(func(dir *diskDir) {
		for _, e := range dir.live {
			if e.file != nil {
				links[e.file]++
			}
		}
	})
	for f, n := range links {
		f.links, f.opens, f.mappings = n, 0, nil
	}
	return slices.SortedFunc(maps.Keys(links), func(a, b *inode) int { return cmp.Compare(a.id, b.id) })
}

// crash makes what is left of the file its content.
func (n *inode) crash(mode CrashMode, rng *rand.Rand) {
	switch mode {
	case KeepAll:
		n.unsynced = n.unsynced && len(n.pending) > 0 // what a sync has lied about was synced for all that anybody knows
		return
	case LoseAll:
		n.pending = nil
	case KeepPrefix:
		n.cut(rng)
	case TearSectors, TearGarbage:
		n.tear(rng, mode == TearGarbage)
	}
	n.mem, n.unsynced, n.torn = n.durable.share(), false, false
}

// cut writes back the first so many of the pending sectors and sizes.
func (n *inode) cut(rng *rand.Rand) {
	var pieces []fileOp
	for _, op := range n.pending {
		pieces = append(pieces, op.sectors()...)
	}
	for _, p := range pieces[:rng.IntN(len(pieces)+1)] {
		p.apply(&n.durable)
	}
	n.pending = nil
}

// sectors splits a write where sectors begin.
func (op fileOp) sectors() []fileOp {
	if op.data == nil {
		return []fileOp{op}
	}
	var pieces []fileOp
	for off, data := op.off, op.data; len(data) > 0; {
		k := min(int64(len(data)), sectorBytes-off%sectorBytes)
		pieces = append(pieces, fileOp{off: off, data: data[:k]})
		off, data = off+k, data[k:]
	}
	return pieces
}

// sizes stands for all size changes where writes have their sector.
const sizes = -1

func (op fileOp) sector() int64 {
	if op.data == nil {
		return sizes
	}
	return op.off / sectorBytes
}

// tear writes back, sector by sector, the first so many of its pending
// versions, 0 to all; size changes count as one more sector. In a sector that
// was hit while it was written, the bytes being written are garbage: others,
// which may have been synced before, are not.
func (n *inode) tear(rng *rand.Rand, garbage bool) {
	var pieces []fileOp
	versions := map[int64]int{}
	for _, op := range n.pending {
		for _, p := range op.sectors() {
			pieces = append(pieces, p)
			versions[p.sector()]++
		}
	}
	left := map[int64]int{} // versions of a sector still to be written
	for _, p := range pieces {
		s := p.sector()
		if _, drawn := left[s]; !drawn {
			left[s] = rng.IntN(versions[s] + 1)
		}
		left[s]--
		switch {
		case left[s] >= 0:
			p.apply(&n.durable)
		case garbage && s != sizes && rng.IntN(4) == 0:
			n.durable.write(noise(rng, len(p.data)), p.off)
		}
	}
	// The size may be written before the data: a tail of zeros.
	if more := int(n.mem.size - n.durable.size); len(n.pending) > 0 && more > 0 && rng.IntN(4) == 0 {
		n.durable.resize(n.durable.size + int64(1+rng.IntN(more)))
	}
	n.pending = nil
}

func noise(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}
