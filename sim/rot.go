package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/replication"
	whole "github.com/statordb/stator/server"
)

// rot damages some bits of one file of the closed database and starts it again.
// Either the start or the reads that meet the damage say which file it is; all
// other reads are right, and nothing panics.
func (r *run) rot() {
	n := r.nodes[0]
	n.close()
	n.damage(rand.New(rand.NewPCG(uint64(r.plan.Rot), 0xb17)))
	n.restart()
	if n.server != nil {
		r.readAll()
	}
}

// tailBytes is how much of a file counts as its end, where a table says what the rest of it is: a flip in four is there.
const tailBytes = 1 << 10

// damage flips bits of one of the files of a node that is down.
func (n *node) damage(rng *rand.Rand) {
	files, err := tree(n.disk, "")
	if err != nil || len(files) == 0 {
		n.run.fail(found(Unexpected, fmt.Errorf("sim: %d files: %w", len(files), err)))
		return
	}
	if tables := slices.DeleteFunc(slices.Clone(files), func(name string) bool { return path.Ext(name) != ".sst" }); len(tables) > 0 && rng.IntN(2) == 0 {
		files = tables // most of the bytes, in few of the files
	}
	name := files[rng.IntN(len(files))]
	hit := false
	doubtful, from, to, err := replication.Doubtful(n.disk, logName)
	for range 1 << max(0, rng.IntN(7)-3) {
		size := sizeOf(n.disk, name)
		at := rng.Int64N(size)
		if rng.IntN(4) == 0 {
			at = size - 1 - rng.Int64N(min(size, tailBytes))
		}
		bit := 8*at + rng.Int64N(8)
		if len(n.run.nodes) > 1 && err == nil && name == doubtful && from <= bit/8 && bit/8 < to {
			// The node would forget what it has promised, and go on: neither it nor anybody else could know.
			n.run.world.Note("fault: bit %d of %s on %s stays", bit, name, n.name)
			continue
		}
		n.rot, hit = name, true
		n.run.world.Note("fault: bit %d of %s on %s", bit, name, n.name)
		if err := n.disk.FlipBit(name, bit); err != nil {
			n.run.fail(found(Unexpected, err))
		}
	}
	if hit {
		n.run.fire("bit rot")
	}
}

// rotten reports whether a node has a damaged file.
func (r *run) rotten() bool {
	return slices.ContainsFunc(r.nodes, func(n *node) bool { return n.rot != "" && !n.gone })
}

// isRot reports whether err names a file that was damaged.
func (r *run) isRot(err error) bool {
	var damage *corrupt.Error
	if errors.Is(err, whole.ErrFormat) && slices.ContainsFunc(r.nodes, func(n *node) bool { return n.rot == "FORMAT" }) {
		return true // a text of one line has no checksum
	}
	return errors.As(err, &damage) && slices.ContainsFunc(r.nodes, func(n *node) bool { return n.rot == damage.File })
}

// tree lists the files below dir that hold anything.
func tree(fs vfs.FS, dir string) (files []string, err error) {
	names, err := fs.List(dir)
	for _, name := range names {
		name = path.Join(dir, name)
		if f, err := fs.Open(name); err == nil {
			f.Close()
			if sizeOf(fs, name) > 0 {
				files = append(files, name)
			}
			continue
		}
		below, err := tree(fs, name)
		if err != nil {
			return nil, err
		}
		files = append(files, below...)
	}
	return files, err
}

func sizeOf(fs vfs.FS, name string) int64 {
	f, err := fs.Open(name)
	if err != nil {
		return 0
	}
	defer f.Close()
	size, _ := f.Size()
	return size
}
