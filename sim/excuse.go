package sim

import (
	"errors"
	"fmt"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/table"
)

// nodeErrors are those of a node that is down, cut off, or closing, or has lost its log.
var nodeErrors = []error{
	replication.ErrUnknownOutcome, replication.ErrStopped, replication.ErrFailed, table.ErrClosed, table.ErrUnavailable,
	partition.ErrFateUnknown, vfs.ErrDead, errNobody,
}

// diskErrors are those that only faults of disks explain, with the kinds of these.
var diskErrors = []struct {
	err   error
	kinds []string
}{
	{vfs.ErrNoSpace, []string{"full disk"}},
	{vfs.ErrIO, []string{"failing sync", "failing write", "failing read"}},
	{partition.ErrDamaged, []string{"failing read"}}, // another node's: its cause has come as text
}

// excused reports whether the faults of the run so far explain an error.
func (r *run) excused(err error) bool {
	for _, fault := range nodeErrors {
		if errors.Is(err, fault) {
			return true
		}
	}
	for _, d := range diskErrors {
		for _, kind := range d.kinds {
			if errors.Is(err, d.err) && r.fired[kind] > 0 {
				return true
			}
		}
	}
	return false
}

// mayBeLocal reports whether an error may be that of one node, so that others come to
// something else.
func mayBeLocal(err error) bool {
	for _, fault := range nodeErrors {
		if errors.Is(err, fault) {
			return true
		}
	}
	return errors.Is(err, vfs.ErrNoSpace) || errors.Is(err, vfs.ErrIO)
}

// judge reports an error that no fault explains.
func (r *run) judge(err error) {
	if err != nil && !r.excused(err) {
		r.fail(found(Unexpected, fmt.Errorf("sim: unexpected error: %w", err)))
	}
}
