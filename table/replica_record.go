package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
)

// A replica record says that this node has, or had, a replica of a group, and where
// its rows are. It is for this node alone: it is written before the replica is
// started, and goes in the batch that drops the rows; so whatever a crash leaves of
// a replica that is not wanted any more is found and dropped later.
//
//	+-----------+----------+----------+---------+
//	| format 1B | table 4B | first 8B | last 8B |
//	+-----------+----------+----------+---------+
//
// format is 1, integers are big-endian. table is the id in the row keys, which an
// index has for itself; the hashes are those of the slot when the replica was
// started, without those that it has given to children. They count if the partition's
// own state cannot be read.
type replicaRecord struct {
	table       uint32
	first, last uint64
}

const (
	replicaFormat byte = 1
	replicaBytes       = 1 + 4 + 8 + 8
)

func replicaKey(group uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{partition.SpaceCatalog, catalogLocal}, group)
}

func (r replicaRecord) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, replicaFormat), r.table)
	dst = binary.BigEndian.AppendUint64(dst, r.first)
	return binary.BigEndian.AppendUint64(dst, r.last)
}

func decodeReplica(b []byte) (r replicaRecord, err error) {
	if len(b) != replicaBytes || b[0] != replicaFormat {
		return r, fmt.Errorf("%w: replica record of %d bytes", errRecord, len(b))
	}
	return replicaRecord{binary.BigEndian.Uint32(b[1:]), binary.BigEndian.Uint64(b[5:]), binary.BigEndian.Uint64(b[13:])}, nil
}

// noteReplica records that this node is about to have a replica. What is recorded
// already stays, because rows may lie there.
func (c *core) noteReplica(group uint64, r replicaRecord) error {
	_, err := c.db.Get(replicaKey(group), nil)
	if !errors.Is(err, lsm.ErrNotFound) {
		return err
	}
	b := c.db.NewBatch()
	b.Set(replicaKey(group), r.append(nil))
	return c.db.Apply(b)
}

// replicaRecords returns all that is recorded, by group.
func (c *core) replicaRecords() (map[uint64]replicaRecord, error) {
	all := make(map[uint64]replicaRecord)
	err := scanCatalog(c.db, catalogLocal, func(key, value []byte) error {
		if len(key) != 8 {
			return fmt.Errorf("%w: key of a replica", errRecord)
		}
		r, err := decodeReplica(value)
		all[binary.BigEndian.Uint64(key)] = r
		return err
	})
	return all, err
}

// dropRetired drops what there is of a replica whose log has been dropped, before the
// group gets a new one here. A replica's log goes for good, its data by a batch that a crash
// may undo, or that fails; and the group may be wanted again before dropLeftovers comes
// to it. The new replica must be empty: with some of the entries that the old one had
// acknowledged, or with the first state of a split and the voters of that, it would be one
// that has forgotten the rest. Nobody else has rows there; see mayBegin.
//
// The new log is made durable at once, and once it is there nobody would drop anything: so the
// store must have forgotten the data for good before. Also what was dropped in this life, and is not to be seen
// any more, may be in tables that a crash would go back to.
func (c *core) dropRetired(group uint64) error {
	groups, err := partition.Groups(c.db)
	if err != nil {
		return err
	}
	records, err := c.replicaRecords()
	if err != nil {
		return err
	}
	r, isRecorded := records[group]
	switch {
	case slices.Contains(groups, group):
		c.env.Sometimes("table: replica comes back to what was left of it")
		err = c.dropData(group, r)
	case isRecorded: // its hashes may be others now
		b := c.db.NewBatch()
		b.Delete(replicaKey(group))
		err = c.db.Apply(b)
	}
	if err != nil {
		return err
	}
	if err := c.db.Flush(); err != nil {
		return fmt.Errorf("group %d: what is left of a replica: %w", group, err)
	}
	return nil
}

// dropReplica removes the replica of a group from this node: it stops it, drops its
// log, and then all data. It can be repeated.
func (c *core) dropReplica(group uint64, r replicaRecord) error {
	if p := c.directory.partition(group); p != nil && p.upkeep != nil {
		p.upkeep.end()
	}
	if err := c.remove(group); err != nil {
		return err
	}
	return c.dropData(group, r)
}

// dropData drops all that the store has of a replica whose log is gone, and its record. Where its rows are, the
// partition knows best; the record, which may be zero if there is none, is for damaged ones.
func (c *core) dropData(group uint64, r replicaRecord) error {
	b := c.db.NewBatch()
	switch err := partition.Drop(c.db, group); {
	case err == nil:
	case damaged(err):
		for _, span := range partition.RowSpans(r.table, r.first, r.last) {
			b.DeleteRange(span[0], span[1])
		}
		b.DeleteRange(partition.ChangeSpan(group))
		b.DeleteRange(partition.GroupSpan(group))
	default:
		return err
	}
	b.Delete(replicaKey(group))
	if err := c.db.Apply(b); err != nil {
		return fmt.Errorf("drop the data of group %d: %w", group, err)
	}
	return nil
}
