package vfs

import (
	"math/rand/v2"
	"slices"
)

// Remains returns what a power cut at this moment would leave, as a disk of its own: of files what was synced,
// and of the changes of directories that are not durable those that keep says, the oldest first. The disk
// itself goes on as if nothing had been. The cost grows with the number of files, not with what is in them.
func (d *Disk) Remains(keep func() bool) *Disk { return d.remains(keep, 0) }

// TornRemains is Remains with any of the sectors that were written to files and not synced, as TearSectors leaves
// them. The seed decides which; it is not 0.
func (d *Disk) TornRemains(keep func() bool, seed uint64) *Disk { return d.remains(keep, seed) }

func (d *Disk) remains(keep func() bool, tear uint64) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	copied := NewDisk(0)
	c := remains{dirs: map[*diskDir]*diskDir{}, files: map[*inode]*inode{}, tear: tear}
	copied.root = c.dir(d.root)
	for _, op := range d.pending {
		if !keep() {
			continue
		}
		for _, s := range op {
			set(c.dir(s.dir).durable, s.name, c.entry(s.entry))
		}
	}
	copied.root.settle()
	return copied
}

// Pending returns how many changes of directories are not durable.
func (d *Disk) Pending() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.pending)
}

// Unsynced reports whether a power cut could take something of a directory: a change of its names, or a write to one of its files.
func (d *Disk) Unsynced(dir string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	in, err := d.dirLocked("unsynced", dir)
	if err != nil {
		return false
	}
	isPending := slices.ContainsFunc(d.pending, func(op dirOp) bool {
		return slices.ContainsFunc(op, func(s dirSet) bool { return s.dir == in })
	})
	for _, e := range in.live { //sim:ok any of them will do
		isPending = isPending || e.file != nil && len(e.file.pending) > 0
	}
	return isPending
}

// remains copies directories and files, each once.
type remains struct {
	dirs  map[*diskDir]*diskDir
	files map[*inode]*inode
	tear  uint64 // 0: nothing that is not synced is left of files
}

// dir copies what is durable of a directory.
func (c *remains) dir(d *diskDir) *diskDir {
	if have := c.dirs[d]; have != nil {
		return have
	}
	copied := newDiskDir()
	c.dirs[d] = copied
	for name, e := range d.durable { //sim:ok only copies into another map
		copied.durable[name] = c.entry(e)
	}
	return copied
}

func (c *remains) entry(e dirEntry) dirEntry {
	if e.dir != nil {
		return dirEntry{dir: c.dir(e.dir)}
	}
	if e.file == nil {
		return dirEntry{}
	}
	have := c.files[e.file]
	if have == nil {
		have = &inode{id: e.file.id, durable: e.file.durable.share()}
		if c.tear != 0 && len(e.file.pending) > 0 {
			have.mem.size, have.pending = e.file.mem.size, e.file.pending
			have.tear(rand.New(rand.NewPCG(c.tear, uint64(have.id))), false) // of a stream of its own: files come in any order
		}
		have.mem = have.durable.share()
		c.files[e.file] = have
	}
	return dirEntry{file: have}
}

// settle makes what is durable visible.
func (dir *diskDir) settle() {
	for name, e := range dir.durable { //sim:ok only copies into another map
		dir.live[name] = e
		if e.dir != nil {
			e.dir.settle()
		}
		if e.file != nil {
			e.file.links++
		}
	}
}
