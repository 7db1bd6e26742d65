package table

import (
	"errors"
	"fmt"
	"slices"

	"github.com/statordb/stator/partition"
)

// A liveTable is a table whose partitions run: what the data plane works with.
// It is immutable.
type liveTable struct {
	*record
	schema     *partition.Schema // without global indexes that are being deleted
	base       keySet            // key schema of the table
	indexes    map[string]*keySet
	globals    map[uint32]*keySet // global indexes that changes are brought to, by id
	partitions partitionMap
	failed     error // why the table cannot be used
	complete   bool  // all replicas that this node shall have run
}

// A keySet is the key schema of a table or index, with types, and where its
// items or entries are.
type keySet struct {
	definition *IndexDefinition // nil for the base table
	global     bool
	status     indexStatus      // of a global index
	index      *partition.Index // nil for the base table, and for an index without entries
	hashes     []partition.Key  // one, or up to four for a global index
	ranges     []partition.Key  // none, one, or up to four for a global index
	partitions partitionMap     // those of the table, but for a global index
	failed     error            // why a global index cannot be used
}

// has reports whether name is a key attribute.
func (k *keySet) has(name string) bool {
	is := func(key partition.Key) bool { return key.Name == name }
	return slices.ContainsFunc(k.hashes, is) || slices.ContainsFunc(k.ranges, is)
}

// all returns the key attributes in order.
func (k *keySet) all() []partition.Key {
	return append(slices.Clone(k.hashes), k.ranges...)
}

func newKeySet(d *Definition, keys []KeyElement) *keySet {
	k := &keySet{}
	for _, e := range keys {
		key := partition.Key{Name: e.Name, Type: d.typeOf(e.Name)}
		if e.Role == Hash {
			k.hashes = append(k.hashes, key)
		} else {
			k.ranges = append(k.ranges, key)
		}
	}
	return k
}

// A liveGroups holds started partitions by the id of their group.
type liveGroups map[uint64]*livePartition

// of returns the partitions of slots that were started, and why those that were
// not are missing.
func (g liveGroups) of(slots []slot) (list partitionMap, err error) {
	var damage []error
	for i, s := range slots {
		p := g[s.group]
		if p == nil {
			p = &livePartition{first: s.first, last: lastOf(slots, i), id: s.group, damage: errNotStarted}
		}
		list = append(list, p)
		if len(s.replicas.members()) == 1 { // else there are others
			damage = append(damage, p.damage)
		}
	}
	return list, errors.Join(damage...)
}

var errNotStarted = errors.New("table: partition is not started")

// newLiveTable derives a table from a record and what the directory has of it.
func (c *core) newLiveTable(r *record) *liveTable {
	groups := make(liveGroups)
	for s := range r.allSlots() {
		if p := c.directory.partition(s.group); p != nil {
			groups[s.group] = p
		}
	}
	t := newLiveTable(r, groups)
	t.complete = true
	for s := range r.liveSlots() {
		p := groups[s.group]
		t.complete = t.complete && p != nil && (p.group != nil || p.damage != nil || !c.hosts(s))
		if s.split != nil {
			child := c.directory.partition(s.split.child)
			t.complete = t.complete && child != nil && child.exists()
		}
	}
	return t
}

// newLiveTable derives from a record what the data plane looks up.
func newLiveTable(r *record, groups liveGroups) *liveTable {
	t := &liveTable{
		record:  r,
		base:    *newKeySet(&r.def, r.def.Keys),
		indexes: make(map[string]*keySet),
		globals: make(map[uint32]*keySet),
	}
	var err error
	if t.partitions, err = groups.of(r.slots); err != nil {
		t.failed = fmt.Errorf("table %s: %w", r.def.Name, err)
	}
	t.base.partitions = t.partitions
	t.schema = &partition.Schema{Table: r.id, Hash: t.base.hashes[0], Facets: r.def.Facets}
	if len(t.base.ranges) > 0 {
		t.schema.Sort = t.base.ranges[0]
	}
	// Pointers to its elements are kept.
	t.schema.Indexes = make([]partition.Index, 0, len(r.def.LocalIndexes)+len(r.def.GlobalIndexes))
	for i := range r.def.LocalIndexes {
		k := t.addIndex(&r.def.LocalIndexes[i])
		k.partitions = t.partitions
		t.describeIndex(k, uint32(i+1))
	}
	for i := range r.def.GlobalIndexes {
		t.addGlobal(&r.def.GlobalIndexes[i], &r.places[i], groups)
	}
	return t
}

func (t *liveTable) addIndex(d *IndexDefinition) *keySet {
	k := newKeySet(&t.def, d.Keys)
	k.definition = d
	t.indexes[d.Name] = k
	return k
}

func (t *liveTable) addGlobal(d *IndexDefinition, place *indexPlace, groups liveGroups) {
	k := t.addIndex(d)
	k.global, k.status = true, place.status
	if place.status == indexDeleting {
		return
	}
	t.describeIndex(k, place.id)
	if place.id == 0 {
		return
	}
	if k.partitions, k.failed = groups.of(place.slots); k.failed != nil {
		k.failed = fmt.Errorf("table %s: index %s: %w", t.def.Name, d.Name, k.failed)
	}
	t.globals[place.id] = k
}

// describeIndex tells the partitions of an index.
func (t *liveTable) describeIndex(k *keySet, id uint32) {
	t.schema.Indexes = append(t.schema.Indexes, partition.Index{
		Name: k.definition.Name, Local: !k.global, ID: id, Hashes: len(k.hashes), Keys: k.all(),
		All: k.definition.Projection.Type == projectAll, Projected: k.definition.Projection.NonKeyAttributes,
	})
	k.index = &t.schema.Indexes[len(t.schema.Indexes)-1]
}

// projectAll is the projection of every attribute.
const projectAll = "ALL"

// configure tells the partitions of a table and of its indexes what they are, if
// they do not know or, with again, if they know something older. The commands of
// all partitions travel together.
func (c *core) configure(t *liveTable, again bool) error {
	var waiting []proposal
	propose := func(p *livePartition, c partition.Config) {
		if current := p.config(); current != nil && (!again || current.Version >= c.Version) {
			return
		}
		c.First, c.Last = p.first, p.last
		command := partition.Command{Kind: partition.Configure, Config: &c}
		waiting = append(waiting, p.propose(command.Encode()))
	}
	for i := range t.places {
		k := t.globals[t.places[i].id]
		if k == nil || k.failed != nil {
			continue
		}
		schema := *t.schema
		schema.Table, schema.Indexes = k.index.ID, []partition.Index{*k.index}
		for _, p := range k.partitions {
			propose(p, partition.Config{Version: 1, Entries: true, Schema: schema})
		}
	}
	for _, p := range t.partitions {
		schema, err := p.schemaFrom(t.schema, again)
		if err != nil {
			return fmt.Errorf("table %s: configure: %w", t.def.Name, err)
		}
		propose(p, partition.Config{Version: t.version, Schema: schema})
	}
	for i := range waiting {
		result, err := waiting[i].outcome()
		if err == nil {
			err = result.Err
		}
		if err != nil {
			return fmt.Errorf("table %s: configure: %w", t.def.Name, err)
		}
	}
	return nil
}

// schemaFrom returns the schema that a partition is to have. Local indexes that
// it has not kept from its first row on stay without entries.
func (p *livePartition) schemaFrom(s *partition.Schema, again bool) (next partition.Schema, err error) {
	next = *s
	var kept []uint64
	switch current := p.config(); {
	case current != nil:
		kept = keptBy(current)
	case again && slices.ContainsFunc(s.Indexes, func(x partition.Index) bool { return x.Local }):
		status, err := p.core.statusOf(p.id)
		if err != nil {
			return next, err
		}
		if status.version == 0 {
			return next, nil
		}
		kept = status.kept
	default:
		return next, nil
	}
	next.Indexes = slices.Clone(s.Indexes)
	for i := range next.Indexes {
		if x := &next.Indexes[i]; x.Local && !slices.Contains(kept, uint64(x.ID)) {
			x.ID = 0
		}
	}
	return next, nil
}

// config returns the configuration of the replica here, nil if there is none.
func (p *livePartition) config() *partition.Config {
	if p.Partition == nil {
		return nil
	}
	return p.Config()
}
