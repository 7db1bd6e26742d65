package manifest

import (
	"fmt"
	"io"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/wal"
)

// Inspect prints every edit of one segment file, and what they add up to, without
// changing anything.
func Inspect(fs vfs.FS, name string, w io.Writer) error {
	state := State{Version: &Version{}}
	sum, err := wal.Inspect(fs, name, func(at wal.Position, payload []byte) error {
		e, err := decodeEdit(payload)
		if err == nil {
			state, err = state.apply(e)
		}
		if err != nil {
			return corrupt.New(name, at.Offset, "%v", err)
		}
		_, err = fmt.Fprintf(w, "%s %s\n", at, e)
		return err
	})
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\nnext file %s, flushed seq %d, log %s\n%s",
		sum, state.NextFile, state.FlushedSeq, state.Log, state.Version)
	return err
}

// SegmentNames returns the names of a manifest's segment files in dir, oldest
// first.
func SegmentNames(fs vfs.FS, dir string) ([]string, error) { return wal.Names(fs, dir, prefix) }
