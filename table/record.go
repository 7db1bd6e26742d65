package table

import (
	"errors"
	"fmt"
	"strings"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/item"
)

// A record is what the catalog keeps of a table. It is immutable: a change
// makes a new one with the next version.
type record struct {
	space   spaceID
	version uint64 // of this record, from 1
	id      uint32 // part of every row key; never used again
	status  recordStatus
	uuid    string
	created env.Time

	onDemandSince, classUpdated env.Time // 0 = never

	changes      ThroughputChanges
	indexChanges []ThroughputChanges // one for each global index
	places       []indexPlace        // one for each global index

	def   Definition
	slots []slot // by first; the first one begins at hash 0

	settings
}

// key names the table within the catalog.
func (r *record) key() string { return r.space.key(r.def.Name) }

type recordStatus byte

const (
	recordCreating recordStatus = 1 // groups may be missing; finished at the next start
	recordActive   recordStatus = 2
	recordDeleting recordStatus = 3 // groups and rows may remain; finished at the next start
	recordClosing  recordStatus = 4 // to be deleted; the groups finish transactions first (delete_table.go)
)

// hasGroups reports whether all groups of the table are there, and are kept in order.
func (s recordStatus) hasGroups() bool { return s == recordActive || s == recordClosing }

func (s recordStatus) String() string {
	switch s {
	case recordCreating:
		return StatusCreating
	case recordActive:
		return StatusActive
	case recordDeleting, recordClosing:
		return StatusDeleting
	}
	return fmt.Sprintf("status(%d)", byte(s))
}

// A slot maps a hash range of a table to the group that serves it: from first
// up to the next slot's first.
type slot struct {
	first    uint64
	group    uint64
	replicas replicaSet
	split    *slotSplit // that is under way; nil = none
}

// lastOf returns the largest hash of slot i.
func lastOf(slots []slot, i int) uint64 {
	if i+1 < len(slots) {
		return slots[i+1].first - 1
	}
	return ^uint64(0)
}

// with returns the next version of r, changed by f.
func (r *record) with(f func(*record)) *record {
	next := *r
	next.version++
	f(&next)
	return &next
}

// A table record. Integers are uvarints; text is a size and that many bytes; a
// list is a count and its elements; an optional part is a byte, 0 or 1, and the
// part.
//
//	+-----------+---------+----+-----------+------+
//	| format 1B | version | id | status 1B | uuid |
//	+-----------+---------+----+-----------+------+----------+------------------+-----------+
//	| created | on-demand since | last increase | last decrease | class updated | decreases |
//	+---------+-----------------+---------------+---------------+---------------+-----------+
//	| name | attributes | keys | local indexes | global indexes | billing mode | throughput? |
//	+------+------------+------+---------------+----------------+--------------+-------------+
//	| on-demand? | warm? | stream? | class | protected 1B | sse? | tags | partitions | slots |
//	+------------+-------+---------+-------+--------------+------+------+------------+-------+
//	| last increase, last decrease, decreases; for each global index | account | region | parts |
//	+----------------------------------------------------------------+---------+--------+-------+
//
//	attribute: name, type 1B             key:        name, role 1B
//	index:     name, keys, projection?, throughput?, on-demand?
//	projection: type, names              throughput: read, write (zigzag)
//	stream:    enabled 1B, view type     sse:        enabled 1B, type, key id
//	tag:       key, value                slot:       first 8B, group
//	part:      kind, size, bytes (settings.go)
//
// format is 3; times are nanoseconds since the Unix epoch; nothing may follow.
// Older formats are read, too: format 2 ends before the account, format 1 with
// the slots. What is new in a record becomes a part of another kind.
const recordFormat byte = 3

// errRecord reports catalog bytes that this version cannot read.
var errRecord = errors.New("table: unreadable catalog record")

func (r *record) append(dst []byte) []byte {
	w := writer{append(dst, recordFormat)}
	w.uint(r.version)
	w.uint(uint64(r.id))
	w.byte(byte(r.status))
	w.text(r.uuid)
	for _, t := range []env.Time{r.created, r.onDemandSince, r.changes.LastIncrease, r.changes.LastDecrease, r.classUpdated} {
		w.uint(uint64(t))
	}
	w.uint(uint64(r.changes.Decreases))
	w.definition(&r.def)
	w.slots(r.slots)
	for _, c := range r.indexChanges {
		w.uint(uint64(c.LastIncrease))
		w.uint(uint64(c.LastDecrease))
		w.uint(uint64(c.Decreases))
	}
	w.text(r.space.account)
	w.text(r.space.region)
	w.parts(r)
	return w.b
}

func decodeRecord(b []byte) (*record, error) {
	if len(b) == 0 || b[0] < 1 || b[0] > recordFormat {
		return nil, fmt.Errorf("%w: format", errRecord)
	}
	d := reader{b: b[1:]}
	r := &record{
		version: d.uint(),
		id:      uint32(d.uint()),
		status:  recordStatus(d.byte()),
		uuid:    d.text(),
	}
	for _, t := range []*env.Time{&r.created, &r.onDemandSince, &r.changes.LastIncrease, &r.changes.LastDecrease, &r.classUpdated} {
		*t = env.Time(d.uint())
	}
	r.changes.Decreases = int64(d.uint())
	r.def = d.definition()
	r.slots = d.slots()
	for range r.def.GlobalIndexes {
		var c ThroughputChanges
		if b[0] > 1 {
			c = ThroughputChanges{LastIncrease: env.Time(d.uint()), LastDecrease: env.Time(d.uint()), Decreases: int64(d.uint())}
		}
		r.indexChanges = append(r.indexChanges, c)
	}
	if b[0] > 2 {
		r.space = spaceID{account: d.text(), region: d.text()}
		d.parts(r)
	}
	if d.bad || len(d.b) > 0 {
		return nil, fmt.Errorf("%w: malformed", errRecord)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r, nil
}

// check verifies what the rest of the package relies on.
func (r *record) check() error {
	switch {
	case strings.Contains(r.space.account+r.space.region+r.def.Name, "/"):
		return fmt.Errorf("%w: name", errRecord)
	case r.status < recordCreating || r.status > recordClosing:
		return fmt.Errorf("%w: status %d", errRecord, r.status)
	case r.def.Throughput == nil:
		return fmt.Errorf("%w: no throughput", errRecord)
	}
	if err := checkSlots(r.slots); err != nil {
		return err
	}
	if err := r.checkPlaces(); err != nil {
		return err
	}
	for i := range r.places {
		if err := checkSplits(r.places[i].slots); err != nil {
			return err
		}
	}
	if err := checkSplits(r.slots); err != nil {
		return err
	}
	return r.def.checkStored()
}

// checkStored verifies that every key of a stored definition is defined.
func (d *Definition) checkStored() error {
	schemas := [][]KeyElement{d.Keys}
	for _, list := range [][]IndexDefinition{d.LocalIndexes, d.GlobalIndexes} {
		for i := range list {
			if list[i].Projection == nil {
				return fmt.Errorf("%w: index without projection", errRecord)
			}
			schemas = append(schemas, list[i].Keys)
		}
	}
	for _, keys := range schemas {
		if len(keys) == 0 || keys[0].Role != Hash {
			return fmt.Errorf("%w: key schema", errRecord)
		}
		for _, k := range keys {
			if d.typeOf(k.Name) == 0 {
				return fmt.Errorf("%w: key %q without definition", errRecord, k.Name)
			}
		}
	}
	return nil
}

// typeOf returns the defined type of an attribute, 0 if it has none.
func (d *Definition) typeOf(name string) item.Type {
	for _, a := range d.Attributes {
		if a.Name == name {
			return a.Type
		}
	}
	return 0
}
