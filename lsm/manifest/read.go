package manifest

import (
	"errors"
	"fmt"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/wal"
)

// Read returns what the manifest of a closed database adds up to, without changing
// anything. Errors are those of Open.
func Read(fs vfs.FS, dir string) (State, error) {
	from, err := readCurrent(fs, dir)
	if errors.Is(err, vfs.ErrNotExist) {
		return State{}, fmt.Errorf("%w in %q", ErrNone, dir)
	}
	if err != nil {
		return State{}, fmt.Errorf("manifest: %w", err)
	}
	names, err := SegmentNames(fs, dir)
	if err != nil {
		return State{}, err
	}
	state := State{Version: &Version{}}
	for _, name := range names {
		// Segments before the one that CURRENT names are left over.
		if id, ok := wal.ParseSegmentName(prefix, name); !ok || id < from {
			continue
		}
		_, err := wal.Inspect(fs, name, func(at wal.Position, payload []byte) error {
			e, err := decodeEdit(payload)
			if err == nil {
				state, err = state.apply(e)
			}
			if err != nil {
				return corrupt.New(name, at.Offset, "%v", err)
			}
			return nil
		})
		if err != nil {
			return State{}, fmt.Errorf("manifest: %w", err)
		}
	}
	return state, nil
}
