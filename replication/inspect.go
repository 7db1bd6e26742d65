package replication

import (
	"fmt"
	"io"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/replication/raftlog"
)

// Inspect prints one line for each segment of the closed log in dir, oldest
// first, or only for the named one, without changing anything. Damage is
// a *corrupt.Error; what lies before it has been printed.
func Inspect(fs vfs.FS, dir, name string, w io.Writer) error {
	if err := raftlog.Inspect(fs, dir, name, w); err != nil {
		return fmt.Errorf("replication: inspect: %w", err)
	}
	return nil
}

// Doubtful returns the part of the closed log in dir in which damage cannot be told from the torn tail that a crash leaves: what
// was written with the last sync, and after it.
func Doubtful(fs vfs.FS, dir string) (file string, from, to int64, err error) {
	if file, from, to, err = raftlog.Doubtful(fs, dir); err != nil {
		err = fmt.Errorf("replication: %w", err)
	}
	return file, from, to, err
}

// Remembered opens the log that options name, which nobody else has open, as Open does, and returns what a
// node that starts on it would know of each of its groups.
func Remembered(fs vfs.FS, o Options) (map[GroupID]Promise, error) {
	log, err := raftlog.Open(env.New(), fs, raftlog.Options{NodeID: o.NodeID, Dir: o.Dir, SegmentBytes: o.SegmentBytes})
	if err != nil {
		return nil, fmt.Errorf("replication: %w", err)
	}
	groups := make(map[GroupID]Promise)
	for _, id := range log.Groups() {
		s := log.Storage(id)
		hs := s.Hard()
		groups[id] = Promise{Term: hs.Term, Vote: hs.Vote, Index: s.Last().Index}
	}
	if err := log.Close(); err != nil {
		return nil, fmt.Errorf("replication: %w", err)
	}
	return groups, nil
}
