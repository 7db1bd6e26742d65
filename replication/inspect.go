package replication

import (
	"fmt"
	"io"

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
