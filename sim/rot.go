package sim

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
)

// rot damages some bits of one file of the closed database and starts it again.
// Either the start or the reads that meet the damage say which file it is; all
// other reads are right, and nothing panics.
func (r *run) rot() {
	r.close()
	files, err := tree(r.disk, "")
	if err != nil {
		r.fail(found(Unexpected, fmt.Errorf("sim: list files: %w", err)))
		return
	}
	if tables := slices.DeleteFunc(slices.Clone(files), func(name string) bool { return path.Ext(name) != ".sst" }); len(tables) > 0 && r.chance.IntN(2) == 0 {
		files = tables // most of the bytes, in few of the files
	}
	r.rotten = files[r.chance.IntN(len(files))]
	r.fired["bit rot"]++
	for range 1 << max(0, r.chance.IntN(7)-3) {
		bit := 8*r.chance.Int64N(sizeOf(r.disk, r.rotten)) + r.chance.Int64N(8)
		r.world.Note("fault: bit %d of %s", bit, r.rotten)
		if err := r.disk.FlipBit(r.rotten, bit); err != nil {
			r.fail(found(Unexpected, err))
		}
	}
	r.restart()
	if r.server != nil {
		r.readAll()
	}
}

// isRot reports whether err names the file that rot damaged.
func (r *run) isRot(err error) bool {
	var damage *corrupt.Error
	return r.rotten != "" && errors.As(err, &damage) && damage.File == r.rotten
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
