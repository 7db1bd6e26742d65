package table

import (
	"errors"
	"fmt"

	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

var errNoSnapshots = errors.New("table: snapshots of the catalog are not built")

func membersKey() []byte { return []byte{partition.SpaceCatalog, catalogMembers} }

// ApplyMembers implements replication.StateMachine: the members reach the store
// in the batch that moves the applied index.
func (c *catalog) ApplyMembers(index uint64, members []byte) {
	if c.broken != nil || index <= c.applied {
		return
	}
	batch := c.db.NewBatch()
	batch.Set(membersKey(), members)
	batch.Set(stateKey(), c.appendState(index, c.view.Load().cluster))
	if err := c.db.Apply(batch); err != nil {
		c.broken = fmt.Errorf("catalog: apply entry %d: %w", index, err)
		return
	}
	c.applied, c.members = index, members
}

// Members implements replication.StateMachine.
func (c *catalog) Members() []byte { return c.members }

func (c *catalog) loadMembers() error {
	b, err := c.db.Get(membersKey(), nil)
	if err != nil && !errors.Is(err, lsm.ErrNotFound) {
		return fmt.Errorf("catalog: read members: %w", err)
	}
	c.members = b
	return nil
}

// Snapshot implements replication.StateMachine.
func (c *catalog) Snapshot() (replication.SnapshotReader, error) { return nil, errNoSnapshots }

// Restore implements replication.StateMachine.
func (c *catalog) Restore(replication.SnapshotMeta) (replication.SnapshotWriter, error) {
	return nil, errNoSnapshots
}

// Restored implements replication.StateMachine: no snapshot was ever installed.
func (c *catalog) Restored() (index, term uint64) { return 0, 0 }
