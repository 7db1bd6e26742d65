package table

import (
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
//	                 indexes get ids and groups, the entries of those it lacks go
//	kind 3, drop:    the table's key in the catalog, or, in the home space, its name
//
// The version is 1.
const (
	catalogVersion byte = 1

	catalogCreate  byte = 1
	catalogReplace byte = 2
	catalogDrop    byte = 3
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

// A catalogCommand is a decoded command.
type catalogCommand struct {
	kind   byte
	record *record // create, replace
	key    string  // drop
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
	}
	return c, fmt.Errorf("%w: command %d", errRecord, c.kind)
}

// Apply implements replication.StateMachine: one *catalogResult per command.
// As in partitions, everything of one entry reaches the store in one batch.
func (c *catalog) Apply(index uint64, commands [][]byte) []any {
	results := make([]catalogResult, len(commands))
	if c.broken == nil && index > c.applied {
		c.applyEntry(index, commands, results)
	}
	answers := make([]any, len(commands))
	for i := range results {
		if c.broken != nil {
			results[i] = catalogResult{err: c.broken}
		}
		answers[i] = &results[i]
	}
	return answers
}

func (c *catalog) applyEntry(index uint64, commands [][]byte, results []catalogResult) {
	batch := c.db.NewBatch()
	view := c.view.Load()
	for i, b := range commands {
		cmd, err := decodeCatalogCommand(b)
		if err == nil {
			view, results[i].record, err = c.execute(batch, view, cmd)
		}
		results[i].err = err
	}
	batch.Set(stateKey(), c.appendState(index))
	if err := c.db.Apply(batch); err != nil {
		c.broken = fmt.Errorf("catalog: apply entry %d: %w", index, err)
		return
	}
	c.applied = index
	c.view.Store(view)
}

// execute stages one command and returns the view after it.
func (c *catalog) execute(batch *lsm.Batch, view *catalogView, cmd catalogCommand) (*catalogView, *record, error) {
	switch cmd.kind {
	case catalogCreate:
		return c.create(batch, view, cmd.record)
	case catalogReplace:
		return c.replace(batch, view, cmd.record)
	}
	return c.drop(batch, view, cmd.key)
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

func (c *catalog) replace(batch *lsm.Batch, view *catalogView, r *record) (*catalogView, *record, error) {
	current := view.byKey[r.key()]
	if current == nil || current.id != r.id || current.version+1 != r.version {
		return view, current, errStale
	}
	c.assignPlaces(r)
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
		lower, upper := partition.TableSpan(p.id)
		batch.DeleteRange(lower, upper)
		for _, s := range p.slots {
			dropGroup(batch, s.group)
		}
	}
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
	lower, upper := partition.TableSpan(r.id)
	batch.DeleteRange(lower, upper)
	for _, s := range r.slots {
		dropGroup(batch, s.group)
		if len(r.places) > 0 {
			lower, upper := partition.ChangeSpan(s.group)
			batch.DeleteRange(lower, upper)
		}
	}
	c.dropPlaces(batch, r, &record{})
	batch.Delete(tableKey(r.id))
	return view.without(key), nil, nil
}
