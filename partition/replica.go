package partition

import (
	"errors"
	"fmt"

	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/replication"
)

// ErrNoSnapshots means that a partition cannot be moved by a snapshot yet.
var ErrNoSnapshots = errors.New("partition: snapshots are not built")

// ApplyMembers executes a committed log entry that changed the group's members:
// they reach the store in the batch that moves the applied index.
func (p *Partition) ApplyMembers(index uint64, members []byte) {
	if p.broken != nil || index <= p.applied {
		return
	}
	p.scratch.batch.Reset()
	p.scratch.batch.Set(appendGroupKey(nil, p.group, partMembers), members)
	clear(p.scratch.sources)
	p.commit(index, p.config.Load(), p.counters())
	if p.broken == nil {
		p.members = members
	}
}

// Members returns what ApplyMembers was last given, nil if it was never called.
func (p *Partition) Members() []byte { return p.members }

func (p *Partition) loadMembers() error {
	b, err := p.db.Get(appendGroupKey(nil, p.group, partMembers), nil)
	if err != nil && !errors.Is(err, lsm.ErrNotFound) {
		return fmt.Errorf("partition %d: read members: %w", p.group, err)
	}
	p.members = b
	return nil
}

// Snapshot implements replication.StateMachine.
func (p *Partition) Snapshot() (replication.SnapshotReader, error) { return nil, ErrNoSnapshots }

// Restore implements replication.StateMachine.
func (p *Partition) Restore(replication.SnapshotMeta) (replication.SnapshotWriter, error) {
	return nil, ErrNoSnapshots
}

// Restored implements replication.StateMachine: no snapshot was ever installed.
func (p *Partition) Restored() (index, term uint64) { return 0, 0 }
