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
