package raftlog

import (
	"fmt"
	"io"
	"path"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/wal"
)

// Inspect decodes every record of the log in dir, or of the named segment, and
// prints what each segment holds.
func Inspect(fs vfs.FS, dir, name string, w io.Writer) error {
	files := []string{path.Join(dir, name)}
	if name == "" {
		var err error
		if files, err = wal.Names(fs, dir, filePrefix); err != nil {
			return err
		}
	}
	for _, file := range files {
		if err := inspectSegment(fs, file, w); err != nil {
			return err
		}
	}
	return nil
}

// Doubtful returns the part of a closed log of which nobody can say, from the log alone, whether it was ever durable: what was
// written with the last sync, and after it. Damage there looks like the torn tail that a crash leaves.
func Doubtful(fs vfs.FS, dir string) (file string, from, to int64, err error) {
	files, err := wal.Names(fs, dir, filePrefix)
	if err != nil || len(files) == 0 {
		return "", 0, 0, err
	}
	file = files[len(files)-1]
	sum, err := wal.Inspect(fs, file, nil)
	return file, sum.Synced, sum.End, err
}

func inspectSegment(fs vfs.FS, file string, w io.Writer) error {
	var entries, states int
	groups := map[GroupID]bool{}
	sum, err := wal.Inspect(fs, file, func(at wal.Position, payload []byte) error {
		r, err := decodeRecord(payload)
		if err != nil {
			return corrupt.New(file, at.Offset, "%v", err)
		}
		switch r.kind {
		case kindCheckpoint:
			return nil
		case kindEntry:
			entries++
		default:
			states++
		}
		groups[r.group] = true
		return nil
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s; %d entries and %d other records of %d groups\n", sum, entries, states, len(groups))
	return err
}
