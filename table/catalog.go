package table

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
)

// The catalog's keys. Integers are big-endian.
//
//	state  | 0x02 | 0 |                state (below)
//	table  | 0x02 | 1 | table id 4B |  table record (record.go)
//	node   | 0x02 | 2 | node id 8B |   node record (node_record.go)
//	members | 0x02 | 3 |               of the catalog's group (package replication)
//	restored | 0x02 | 4 |              the last snapshot (catalog_replica.go)
//
// These are replicated. What a node keeps here for itself alone begins at
// catalogLocal:
//
//	replica | 0x02 | 0x80 | group 8B |  replica record (replica_record.go)
//
// The state, of format 1, or 2 once there are nodes:
//
//	+-----------+------------+---------------+---------------+
//	| format 1B | applied 8B | next table 4B | next group 8B |
//	+-----------+------------+---------------+---------------+
//	| next node 8B | cluster id 16B |  in format 2
//	+--------------+----------------+
const (
	catalogState    byte = 0
	catalogTable    byte = 1
	catalogNode     byte = 2
	catalogMembers  byte = 3
	catalogRestored byte = 4
	catalogLocal    byte = 0x80

	stateFormat      byte = 1
	stateFormatNodes byte = 2
	stateBytes            = 1 + 8 + 4 + 8
	stateNodesBytes       = stateBytes + 8 + 16

	// catalogGroup is the replicated group of the catalog; partitions get the
	// ids after it.
	catalogGroup uint64 = 1
)

// A catalog is the state machine that keeps table records and hands out table
// and group ids.
//
// It knows five commands: create a record, replace a record by its next
// version, drop a table; found the cluster, and add or replace a node. A
// replacement names the version it was made from and
// is refused if that is no longer the current one, so the decision may be made
// outside, from a snapshot of the catalog.
//
// snapshot may be called from any task; the rest is for one task at a time.
type catalog struct {
	db   *lsm.DB
	view atomic.Pointer[catalogView]

	applied   uint64
	entry     uint64 // is being applied, or was the last one
	members   []byte // of the group; nil if they never changed
	restored  restored
	nextTable uint32
	nextGroup uint64
	nextNode  uint64                // 0 while there are no nodes
	watcher   func()                // called when view has changed; nil = nobody
	failure   atomic.Pointer[error] // why the store refused a batch; nil = it has not
}

// Err returns why nothing more is applied, so that what is read here grows old; nil if
// all is well.
func (c *catalog) Err() error {
	if f := c.failure.Load(); f != nil {
		return *f
	}
	return nil
}

// fail notes why the catalog is broken; nil: it is not any more.
func (c *catalog) fail(err error) {
	if err == nil {
		c.failure.Store(nil)
		return
	}
	c.failure.Store(&err)
}

// A catalogView is the catalog at one point of its log. It is immutable.
type catalogView struct {
	keys    []string // sorted; see spaceID.key
	byKey   map[string]*record
	nodes   []*node   // by id; none before there was a cluster
	cluster clusterID // zero before there was a cluster
}

// A clusterID names a cluster, so that nodes of different ones do not mix.
type clusterID [16]byte

// A catalogResult answers one catalog command.
type catalogResult struct {
	record *record // as it is now; nil after a drop
	node   *node   // as it is now, after a command about a node
	err    error
}

var (
	errTableExists = errors.New("table: name is taken")
	errStale       = errors.New("table: catalog record has changed")
	errFounded     = errors.New("table: there is a cluster already")
	errNotFounded  = errors.New("table: there is no cluster")
)

func openCatalog(db *lsm.DB) (*catalog, error) {
	c := &catalog{db: db, nextTable: 1, nextGroup: catalogGroup + 1}
	return c, c.load()
}

// load reads what the store has of the catalog.
func (c *catalog) load() error {
	v := &catalogView{byKey: make(map[string]*record)}
	if err := c.loadState(v); err != nil {
		return err
	}
	if err := c.loadMembers(); err != nil {
		return err
	}
	if err := c.loadRestored(); err != nil {
		return err
	}
	if err := c.loadTables(v); err != nil {
		return err
	}
	if err := c.loadNodes(v); err != nil {
		return err
	}
	c.view.Store(v)
	return nil
}

func (c *catalog) snapshot() *catalogView { return c.view.Load() }

// Applied implements replication.StateMachine.
func (c *catalog) Applied() uint64 { return c.applied }

func stateKey() []byte { return []byte{partition.SpaceCatalog, catalogState} }

func tableKey(id uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{partition.SpaceCatalog, catalogTable}, id)
}

func nodeKey(id uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{partition.SpaceCatalog, catalogNode}, id)
}

func (c *catalog) loadState(v *catalogView) error {
	b, err := c.db.Get(stateKey(), nil)
	if errors.Is(err, lsm.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("catalog: read state: %w", err)
	}
	withNodes := len(b) == stateNodesBytes && b[0] == stateFormatNodes
	if !withNodes && (len(b) != stateBytes || b[0] != stateFormat) {
		return fmt.Errorf("catalog: %w: state of %d bytes", errRecord, len(b))
	}
	c.applied = binary.BigEndian.Uint64(b[1:])
	c.nextTable = binary.BigEndian.Uint32(b[9:])
	c.nextGroup = binary.BigEndian.Uint64(b[13:])
	if withNodes {
		c.nextNode = binary.BigEndian.Uint64(b[stateBytes:])
		v.cluster = clusterID(b[stateBytes+8:])
	}
	return nil
}

func (c *catalog) appendState(applied uint64, cluster clusterID) []byte {
	format := stateFormat
	if c.nextNode > 0 {
		format = stateFormatNodes
	}
	b := binary.BigEndian.AppendUint64([]byte{format}, applied)
	b = binary.BigEndian.AppendUint32(b, c.nextTable)
	b = binary.BigEndian.AppendUint64(b, c.nextGroup)
	if format == stateFormat {
		return b
	}
	return append(binary.BigEndian.AppendUint64(b, c.nextNode), cluster[:]...)
}

func (c *catalog) loadTables(v *catalogView) error {
	err := scanCatalog(c.db, catalogTable, func(_, value []byte) error {
		r, err := decodeRecord(value)
		if err == nil {
			v.byKey[r.key()] = r
			v.keys = append(v.keys, r.key())
		}
		return err
	})
	slices.Sort(v.keys)
	return err
}

func (c *catalog) loadNodes(v *catalogView) error {
	return scanCatalog(c.db, catalogNode, func(_, value []byte) error {
		n, err := decodeNode(value)
		if err == nil {
			v.nodes = append(v.nodes, n)
		}
		return err
	})
}

// scanCatalog calls f with the records of one kind, by key; without the kind's prefix.
func scanCatalog(db *lsm.DB, kind byte, f func(key, value []byte) error) error {
	it, err := db.NewIter(lsm.IterOptions{
		Lower: []byte{partition.SpaceCatalog, kind},
		Upper: []byte{partition.SpaceCatalog, kind + 1},
	})
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		key := it.Key()
		err := vfs.Guard(func() (err error) {
			value := it.Value()
			if err := it.Err(); err != nil {
				return err
			}
			return f(key[2:], value)
		})
		if err != nil {
			return fmt.Errorf("catalog: record %x: %w", key, err)
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("catalog: read records: %w", err)
	}
	return nil
}

// node returns a node by its id, nil if it is not known.
func (v *catalogView) node(id uint64) *node {
	at, found := slices.BinarySearchFunc(v.nodes, id, func(n *node, id uint64) int { return cmp.Compare(n.id, id) })
	if !found {
		return nil
	}
	return v.nodes[at]
}

// withNode returns the view with n in place of the node of the same id.
func (v *catalogView) withNode(n *node) *catalogView {
	next := *v
	next.nodes = slices.Clone(v.nodes)
	at, found := slices.BinarySearchFunc(next.nodes, n.id, func(n *node, id uint64) int { return cmp.Compare(n.id, id) })
	if found {
		next.nodes[at] = n
	} else {
		next.nodes = slices.Insert(next.nodes, at, n)
	}
	return &next
}

// with returns the view with r in place of the record of the same key.
func (v *catalogView) with(r *record) *catalogView {
	next, key := v.clone(), r.key()
	if at, found := slices.BinarySearch(next.keys, key); !found {
		next.keys = slices.Insert(next.keys, at, key)
	}
	next.byKey[key] = r
	return next
}

func (v *catalogView) without(key string) *catalogView {
	next := v.clone()
	if at, found := slices.BinarySearch(next.keys, key); found {
		next.keys = slices.Delete(next.keys, at, at+1)
	}
	delete(next.byKey, key)
	return next
}

func (v *catalogView) clone() *catalogView {
	next := &catalogView{keys: slices.Clone(v.keys), byKey: make(map[string]*record, len(v.byKey)+1), nodes: v.nodes, cluster: v.cluster}
	for key, r := range v.byKey {
		next.byKey[key] = r
	}
	return next
}

// records returns all records in the order of their tables' creation.
func (v *catalogView) records() []*record {
	list := make([]*record, 0, len(v.keys))
	for _, key := range v.keys {
		list = append(list, v.byKey[key])
	}
	slices.SortFunc(list, func(a, b *record) int { return int(int64(a.id) - int64(b.id)) })
	return list
}

// after returns up to limit names of a space's tables that are greater than
// start, and whether more follow.
func (v *catalogView) after(id spaceID, start string, limit int) (names []string, more bool) {
	at, found := slices.BinarySearch(v.keys, id.key(start))
	if found {
		at++
	}
	for _, key := range v.keys[at:] {
		name, ok := strings.CutPrefix(key, id.key(""))
		if !ok {
			break
		}
		if len(names) == limit {
			return names, true
		}
		names = append(names, name)
	}
	return names, false
}
