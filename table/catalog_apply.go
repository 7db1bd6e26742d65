package table

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
)

// A catalog command. Integers are uvarints.
//
//	+------------+---------+----------+
//	| version 1B | kind 1B | body ... |
//	+------------+---------+----------+
//
//	kind 1, create:  a table record without id and groups, which the catalog fills in
//	kind 2, replace: a table record with the version after the current one; new global
//	                 indexes get ids and groups, the entries of those it lacks go; splits
//	                 that begin get a group
//	kind 3, drop:    the table's key in the catalog, or, in the home space, its name
//	kind 4, found:   cluster id 16B, count, and for each of the first nodes its record
//	kind 5, node:    a node record: one without id is given one; otherwise it has the
//	                 version after the current one
//
// The version is 1.
const (
	catalogVersion byte = 1

	catalogCreate  byte = 1
	catalogReplace byte = 2
	catalogDrop    byte = 3
	catalogFound   byte = 4
	catalogJoin    byte = 5
)

func createCommand(r *record) []byte {
	return r.append([]byte{catalogVersion, catalogCreate})
}

func replaceCommand(r *record) []byte {
	return r.append([]byte{catalogVersion, catalogReplace})
}

func dropCommand(r *record) []byte {
	w := writer{[]byte{catalogVersion, catalogDrop}}
	if r.space == (spaceID{}) {
		w.text(r.def.Name)
	} else {
		w.text(r.key())
	}
	return w.b
}

func foundCommand(id clusterID, nodes []*node) []byte {
	w := writer{append([]byte{catalogVersion, catalogFound}, id[:]...)}
	w.uint(uint64(len(nodes)))
	for _, n := range nodes {
		w.text(string(n.append(nil)))
	}
	return w.b
}

func nodeCommand(n *node) []byte {
	return n.append([]byte{catalogVersion, catalogJoin})
}

// A catalogCommand is a decoded command.
type catalogCommand struct {
	kind    byte
	record  *record   // create, replace
	key     string    // drop
	cluster clusterID // found
	nodes   []*node   // found; node: the only one
}

func decodeCatalogCommand(b []byte) (c catalogCommand, err error) {
	if len(b) < 2 || b[0] != catalogVersion {
		return c, fmt.Errorf("%w: command of %d bytes", errRecord, len(b))
	}
	c.kind = b[1]
	switch c.kind {
	case catalogCreate, catalogReplace:
		c.record, err = decodeRecord(b[2:])
		return c, err
	case catalogDrop:
		d := reader{b: b[2:]}
		c.key = d.text()
		if !strings.Contains(c.key, "/") {
			c.key = spaceID{}.key(c.key)
		}
		if d.bad || len(d.b) > 0 {
			return c, fmt.Errorf("%w: drop", errRecord)
		}
		return c, nil
	case catalogFound:
		err = c.decodeFound(b[2:])
		return c, err
	case catalogJoin:
		n, err := decodeNode(b[2:])
		c.nodes = []*node{n}
		return c, err
	}
	return c, fmt.Errorf("%w: command %d", errRecord, c.kind)
}

func (c *catalogCommand) decodeFound(b []byte) error {
	if len(b) < len(c.cluster) {
		return fmt.Errorf("%w: cluster id", errRecord)
	}
	c.cluster = clusterID(b)
	d := reader{b: b[len(c.cluster):]}
	last := uint64(0)
	for range d.count() {
		n, err := decodeNode([]byte(d.text()))
		if err != nil {
			return err
		}
		if n.id <= last { // which also keeps 0 out
			return fmt.Errorf("%w: order of nodes", errRecord)
		}
		last = n.id
		c.nodes = append(c.nodes, n)
	}
	if d.bad || len(d.b) > 0 || len(c.nodes) == 0 {
		return fmt.Errorf("%w: found", errRecord)
	}
	return nil
}

// Apply implements replication.StateMachine: one *catalogResult per command.
// As in partitions, everything of one entry reaches the store in one batch.
func (c *catalog) Apply(index uint64, commands [][]byte) []any {
	results := make([]catalogResult, len(commands))
	if c.Err() == nil && index > c.applied {
		c.applyEntry(index, commands, results)
	}
	answers := make([]any, len(commands))
	for i := range results {
		if c.Err() != nil {
			results[i] = catalogResult{err: c.Err()}
		}
		answers[i] = &results[i]
	}
	return answers
}

func (c *catalog) applyEntry(index uint64, commands [][]byte, results []catalogResult) {
	c.entry = index
	batch := c.db.NewBatch()
	view := c.view.Load()
	for i, b := range commands {
		cmd, err := decodeCatalogCommand(b)
		if err == nil {
			view, err = c.execute(batch, view, cmd, &results[i])
		}
		results[i].err = err
	}
	batch.Set(stateKey(), c.appendState(index, view.cluster))
	if err := c.db.Apply(batch); err != nil {
		c.fail(fmt.Errorf("catalog: apply entry %d: %w", index, err))
		return
	}
	c.applied = index
	changed := view != c.view.Load()
	c.view.Store(view)
	if changed && c.watcher != nil {
		c.watcher()
	}
}

// execute stages one command and returns the view after it.
func (c *catalog) execute(batch *lsm.Batch, view *catalogView, cmd catalogCommand, result *catalogResult) (next *catalogView, err error) {
	switch cmd.kind {
	case catalogCreate:
		next, result.record, err = c.create(batch, view, cmd.record)
	case catalogReplace:
		next, result.record, err = c.replace(batch, view, cmd.record)
	case catalogFound:
		next, err = c.found(batch, view, cmd)
	case catalogJoin:
		next, result.node, err = c.putNode(batch, view, cmd.nodes[0])
	default:
		next, result.record, err = c.drop(batch, view, cmd.key)
	}
	return next, err
}

// found makes the node a part of a cluster. It happens once.
func (c *catalog) found(batch *lsm.Batch, view *catalogView, cmd catalogCommand) (*catalogView, error) {
	if len(view.nodes) > 0 {
		return view, errFounded
	}
	next := *view
	next.nodes, next.cluster = cmd.nodes, cmd.cluster
	for _, n := range cmd.nodes {
		batch.Set(nodeKey(n.id), n.append(nil))
		c.nextNode = n.id + 1
	}
	return &next, nil
}

// putNode adds a node, or replaces its record. One that asks again whether it may
// join gets the answer that it got.
func (c *catalog) putNode(batch *lsm.Batch, view *catalogView, n *node) (*catalogView, *node, error) {
	if len(view.nodes) == 0 {
		return view, nil, errNotFounded
	}
	if n.id == 0 {
		for _, known := range view.nodes {
			if known.incarnation == n.incarnation {
				return view, known, nil
			}
		}
		n.id, n.version, n.state = c.nextNode, 1, nodeJoining
		c.nextNode++
	} else if current := view.node(n.id); current == nil || current.version+1 != n.version || current.state == nodeGone {
		return view, current, errStale
	}
	batch.Set(nodeKey(n.id), n.append(nil))
	return view.withNode(n), n, nil
}

func (c *catalog) create(batch *lsm.Batch, view *catalogView, r *record) (*catalogView, *record, error) {
	if current := view.byKey[r.key()]; current != nil {
		return view, current, errTableExists
	}
	r.version = 1
	r.id = c.nextTable
	c.nextTable++
	c.assignGroups(r.slots)
	c.assignPlaces(r)
	batch.Set(tableKey(r.id), r.append(nil))
	return view.with(r), r, nil
}

func (c *catalog) assignGroups(slots []slot) {
	for i := range slots {
		slots[i].group = c.nextGroup
		c.nextGroup++
	}
}

// assignPlaces gives ids and groups to global indexes that are new.
func (c *catalog) assignPlaces(r *record) {
	for i := range r.places {
		if p := &r.places[i]; p.id == 0 && len(p.slots) > 0 {
			p.id = c.nextTable
			c.nextTable++
			c.assignGroups(p.slots)
		}
	}
}

// assignChildren gives numbers to the groups of splits that begin.
func (c *catalog) assignChildren(r *record) {
	for s := range r.allSlots() {
		if s.split != nil && s.split.child == 0 {
			s.split = &slotSplit{at: s.split.at, child: c.nextGroup}
			c.nextGroup++
		}
	}
}

func (c *catalog) replace(batch *lsm.Batch, view *catalogView, r *record) (*catalogView, *record, error) {
	current := view.byKey[r.key()]
	if current == nil || current.id != r.id || current.version+1 != r.version {
		return view, current, errStale
	}
	c.assignPlaces(r)
	c.assignChildren(r)
	c.dropPlaces(batch, current, r)
	batch.Set(tableKey(r.id), r.append(nil))
	return view.with(r), r, nil
}

// dropPlaces removes the entries and group states of global indexes that a record
// has no more. Their groups must have been stopped.
func (c *catalog) dropPlaces(batch *lsm.Batch, current, next *record) {
	for i := range current.places {
		p := &current.places[i]
		if p.id == 0 || slices.ContainsFunc(next.places, func(q indexPlace) bool { return q.id == p.id }) {
			continue
		}
		if c.hasReplicas(p.slots) {
			continue
		}
		lower, upper := partition.TableSpan(p.id)
		batch.DeleteRange(lower, upper)
		for _, id := range groupsOf(p.slots) {
			dropGroup(batch, id)
		}
	}
}

// hasReplicas reports whether the node has a record of replicas of some slots. Then it
// may still run them, and drops them with their data by itself; follow.go. If it cannot read that, it will find out. A node that is alone
// has no such records, and nobody who would look again.
func (c *catalog) hasReplicas(slots []slot) bool {
	if c.nextNode == 0 {
		return false
	}
	return slices.ContainsFunc(groupsOf(slots), func(group uint64) bool {
		_, err := c.db.Get(replicaKey(group), nil)
		return !errors.Is(err, lsm.ErrNotFound)
	})
}

// dropGroup removes what a group keeps beside its rows.
func dropGroup(batch *lsm.Batch, group uint64) {
	lower, upper := partition.GroupSpan(group)
	batch.DeleteRange(lower, upper)
}

// drop removes the record, the rows and the group states of a table at once.
// The groups must have been stopped. Rows go in the same batch as the record,
// so a crash never leaves rows without an owner.
func (c *catalog) drop(batch *lsm.Batch, view *catalogView, key string) (*catalogView, *record, error) {
	r := view.byKey[key]
	if r == nil || r.status != recordDeleting {
		return view, r, errStale
	}
	if !c.hasReplicas(r.slots) {
		c.dropRows(batch, r)
	}
	c.dropPlaces(batch, r, &record{})
	batch.Delete(tableKey(r.id))
	return view.without(key), nil, nil
}

func (c *catalog) dropRows(batch *lsm.Batch, r *record) {
	lower, upper := partition.TableSpan(r.id)
	batch.DeleteRange(lower, upper)
	for _, id := range groupsOf(r.slots) {
		dropGroup(batch, id)
		if len(r.places) > 0 {
			lower, upper := partition.ChangeSpan(id)
			batch.DeleteRange(lower, upper)
		}
	}
}
