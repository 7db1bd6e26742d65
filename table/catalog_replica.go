package table

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

func membersKey() []byte { return []byte{partition.SpaceCatalog, catalogMembers} }

// ApplyMembers implements replication.StateMachine: the members reach the store
// in the batch that moves the applied index.
func (c *catalog) ApplyMembers(index uint64, members []byte) {
	if c.Err() != nil || index <= c.applied {
		return
	}
	batch := c.db.NewBatch()
	batch.Set(membersKey(), members)
	batch.Set(stateKey(), c.appendState(index, c.view.Load().cluster))
	if err := c.db.Apply(batch); err != nil {
		c.fail(fmt.Errorf("catalog: apply entry %d: %w", index, err))
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

// catalogSpans are the keys that are replicated: a snapshot has these.
func catalogSpans() []lsm.KeySpan {
	return []lsm.KeySpan{{Lower: []byte{partition.SpaceCatalog, catalogState}, Upper: []byte{partition.SpaceCatalog, catalogLocal}}}
}

// Snapshot implements replication.StateMachine.
func (c *catalog) Snapshot() (replication.SnapshotReader, error) {
	if c.Err() != nil {
		return nil, c.Err()
	}
	return partition.NewCopyReader(c.db, catalogGroup, c.applied, catalogSpans()), nil
}

// Restored implements replication.StateMachine.
func (c *catalog) Restored() (index, term uint64) { return c.restored.index, c.restored.term }

// A restored record says of which entry of the log the snapshot was that was installed
// last. It is this node's own: snapshots do not bring it. Integers are big-endian.
//
//	+-----------+----------+---------+
//	| format 1B | index 8B | term 8B |  format is 1
//	+-----------+----------+---------+
type restored struct{ index, term uint64 }

const (
	restoredFormat byte = 1
	restoredBytes       = 1 + 8 + 8
)

func restoredKey() []byte { return []byte{partition.SpaceCatalog, catalogRestored} }

func (r restored) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{restoredFormat}, r.index)
	return binary.BigEndian.AppendUint64(b, r.term)
}

func (c *catalog) loadRestored() error {
	b, err := c.db.Get(restoredKey(), nil)
	switch {
	case errors.Is(err, lsm.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("catalog: read restored: %w", err)
	case len(b) != restoredBytes || b[0] != restoredFormat:
		return fmt.Errorf("catalog: %w: restored of %d bytes", errRecord, len(b))
	}
	c.restored = restored{binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:])}
	return nil
}

// A catalogRestoring is a snapshot of the catalog that is being staged.
type catalogRestoring struct {
	*partition.CopyWriter
	catalog *catalog
	meta    replication.SnapshotMeta
}

// Restore implements replication.StateMachine. What the node has of tables that were
// dropped meanwhile is not the catalog's to remove.
func (c *catalog) Restore(meta replication.SnapshotMeta) (replication.SnapshotWriter, error) {
	var members []byte
	if len(meta.Members) > 0 {
		members = meta.Members
	}
	return &catalogRestoring{catalog: c, meta: meta, CopyWriter: partition.NewCopyWriter(c.db, partition.CopyOptions{
		Group: catalogGroup, Index: meta.Index,
		Spans: func(copied []lsm.KeySpan) ([]lsm.KeySpan, error) {
			spans := catalogSpans()
			if len(copied) != 1 || !bytes.Equal(copied[0].Lower, spans[0].Lower) || !bytes.Equal(copied[0].Upper, spans[0].Upper) {
				return nil, fmt.Errorf("%w: spans of the catalog", partition.ErrCopy)
			}
			return spans, nil
		},
		Own: []partition.Pair{
			{Key: membersKey(), Value: members},
			{Key: restoredKey(), Value: restored{meta.Index, meta.Term}.encode()},
		},
	})}, nil
}

// Commit implements replication.SnapshotWriter.
func (r *catalogRestoring) Commit() error {
	if err := r.CopyWriter.Commit(nil); err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	c := r.catalog
	c.fail(c.load())
	c.applied, c.restored = r.meta.Index, restored{r.meta.Index, r.meta.Term}
	if c.watcher != nil {
		c.watcher()
	}
	return nil
}

// CheckCatalog compares what this node has of the catalog in memory with what it would have if it were opened now, on what the
// store says. It returns nil, too, if something is applied meanwhile. It is for simulations, as partition.CheckMemory.
func (c *core) CheckCatalog() error {
	have, applied := c.catalog, c.catalog.applied
	stored := &catalog{db: c.db, nextTable: 1, nextGroup: catalogGroup + 1}
	err := stored.load()
	if have.Err() != nil || have.applied != applied || have.entry > applied || err == nil && stored.applied != applied {
		return nil
	}
	if err != nil {
		return err
	}
	if mine, other := have.text(), stored.text(); mine != other {
		return fmt.Errorf("catalog as of entry %d: in memory it is %s, and in the store %s", applied, mine, other)
	}
	return nil
}

// text has all that is in the store of a catalog.
func (c *catalog) text() string {
	v := c.view.Load()
	b := fmt.Appendf(nil, "%x, members %x, %+v, tables", c.appendState(c.applied, v.cluster), c.members, c.restored)
	for _, key := range v.keys {
		b = fmt.Appendf(b, " %s %x", key, v.byKey[key].append(nil))
	}
	b = append(b, ", nodes"...)
	for _, n := range v.nodes {
		b = fmt.Appendf(b, " %x", n.append(nil))
	}
	return string(b)
}
