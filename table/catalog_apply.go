package table

import (
	"fmt"
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
//	kind 2, replace: a table record with the version after the current one
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
	for i := range r.slots {
		r.slots[i].group = c.nextGroup
		c.nextGroup++
	}
	batch.Set(tableKey(r.id), r.append(nil))
	return view.with(r), r, nil
}

func (c *catalog) replace(batch *lsm.Batch, view *catalogView, r *record) (*catalogView, *record, error) {
	current := view.byKey[r.key()]
	if current == nil || current.id != r.id || current.version+1 != r.version {
		return view, current, errStale
	}
	batch.Set(tableKey(r.id), r.append(nil))
	return view.with(r), r, nil
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
		lower, upper := partition.GroupSpan(s.group)
		batch.DeleteRange(lower, upper)
	}
	batch.Delete(tableKey(r.id))
	return view.without(key), nil, nil
}
