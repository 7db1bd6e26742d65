package table

import (
	"errors"
	"fmt"
	"slices"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

// A group is what a table needs of a replicated group.
type group interface {
	Propose(command []byte) *env.Future[any]
	ReadBarrier() error
}

// A host starts and removes replicated groups.
type host interface {
	Start(id uint64, sm replication.StateMachine) (group, error)
	// Remove stops a group and forgets its log. A group that does not exist is
	// no error.
	Remove(id uint64) error
	// Groups returns the ids of all groups that have a log, sorted.
	Groups() []uint64
}

// A nodeHost is a replication.Node as a host.
type nodeHost struct{ node *replication.Node }

func (h nodeHost) Start(id uint64, sm replication.StateMachine) (group, error) {
	g, err := h.node.Start(replication.GroupID(id), sm)
	if err != nil {
		return nil, err
	}
	return g, nil
}

func (h nodeHost) Remove(id uint64) error {
	if _, found := slices.BinarySearch(h.node.Groups(), replication.GroupID(id)); !found {
		return nil
	}
	return h.node.Remove(replication.GroupID(id))
}

func (h nodeHost) Groups() []uint64 {
	var ids []uint64
	for _, id := range h.node.Groups() {
		ids = append(ids, uint64(id))
	}
	return ids
}

// A livePartition is a started partition and the group that replicates it.
type livePartition struct {
	first, last uint64 // hashes served: [first, last]
	id          uint64 // of the group
	group       group
	damage      error // why there is no partition
	*partition.Partition

	// upkeep brings changes to the global indexes; nil unless the table has or
	// had some. It is set before a liveTable that has them is published.
	upkeep *upkeep
}

// A partitionMap holds partitions that cover all hashes, by first.
type partitionMap []*livePartition

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
		damage = append(damage, p.damage)
	}
	return list, errors.Join(damage...)
}

var errNotStarted = errors.New("table: partition is not started")

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

// groups returns all partitions of the table and its indexes.
func (t *liveTable) groups() liveGroups {
	g := make(liveGroups)
	add := func(list partitionMap) {
		for _, p := range list {
			g[p.id] = p
		}
	}
	add(t.partitions)
	for _, k := range t.globals { //sim:ok only fills a map
		add(k.partitions)
	}
	return g
}

// projectAll is the projection of every attribute.
const projectAll = "ALL"

// of returns the partition that serves a hash.
func (m partitionMap) of(hash uint64) *livePartition { return m[m.index(hash)] }

func (m partitionMap) index(hash uint64) int {
	if len(m) == 1 {
		return 0
	}
	at, found := slices.BinarySearchFunc(m, hash, func(p *livePartition, h uint64) int {
		switch {
		case p.first < h:
			return -1
		case p.first > h:
			return 1
		}
		return 0
	})
	if found {
		return at
	}
	return at - 1
}

// sum adds up the counters of all partitions.
func (m partitionMap) sum(of func(*livePartition) partition.Stats) IndexCounts {
	var sum IndexCounts
	for _, p := range m {
		if p.damage != nil {
			continue
		}
		s := of(p)
		sum.Items += s.Items
		sum.Bytes += s.Bytes + itemOverhead*s.Items
	}
	return sum
}

// counts returns what the table or index holds.
func (k *keySet) counts() IndexCounts {
	return k.partitions.sum(func(p *livePartition) partition.Stats {
		if k.index != nil && k.index.Local {
			return p.IndexStats(k.index.ID)
		}
		return p.Stats()
	})
}

// maxStarting bounds how many groups start at the same time. They share the
// log's syncs; started one after the other they would cost a sync each.
const maxStarting = 128

// start starts the groups of one table.
func (s *Service) start(r *record) (*liveTable, error) {
	tables, err := s.startAll([]*record{r})
	if err != nil {
		return nil, err
	}
	return tables[0], tables[0].failed
}

// startAll starts the groups of all given tables and of their indexes. What has
// damaged data comes back failed, so that the others can be used; any other error
// ends it.
func (s *Service) startAll(records []*record) ([]*liveTable, error) {
	var jobs []startJob
	for _, r := range records {
		jobs = appendJobs(jobs, r, r.slots)
		for i := range r.places {
			if r.places[i].status != indexDeleting {
				jobs = appendJobs(jobs, r, r.places[i].slots)
			}
		}
	}
	groups, err := s.runJobs(jobs)
	if err != nil {
		return nil, err
	}
	tables := make([]*liveTable, len(records))
	for i, r := range records {
		tables[i] = newLiveTable(r, groups)
	}
	return tables, nil
}

// A startJob starts the group of one slot.
type startJob struct {
	record *record
	*livePartition
}

func appendJobs(jobs []startJob, r *record, slots []slot) []startJob {
	for i, s := range slots {
		jobs = append(jobs, startJob{r, &livePartition{first: s.first, last: lastOf(slots, i), id: s.group}})
	}
	return jobs
}

// runJobs runs all jobs, many at a time.
func (s *Service) runJobs(jobs []startJob) (liveGroups, error) {
	g := env.NewGroup(s.env)
	tasks := min(len(jobs), maxStarting)
	for task := range tasks {
		g.Go("start groups", func() error {
			for i := task; i < len(jobs); i += tasks {
				if err := s.runJob(jobs[i].livePartition); err != nil {
					return fmt.Errorf("table %s: %w", jobs[i].record.def.Name, err)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	groups := make(liveGroups, len(jobs))
	for i := range jobs {
		groups[jobs[i].id] = jobs[i].livePartition
	}
	return groups, nil
}

func (s *Service) runJob(p *livePartition) error {
	err := s.startPartition(p)
	if err != nil && damaged(err) {
		p.damage, err = err, nil
	}
	return err
}

// damaged reports whether err is about the data of one table: bytes on disk that fail
// their check, or that could not be read when they were needed.
func damaged(err error) bool {
	var c *corrupt.Error
	return errors.As(err, &c) || errors.Is(err, partition.ErrFormat) || errors.Is(err, partition.ErrCommand) ||
		errors.Is(err, partition.ErrReplay)
}

func (s *Service) startPartition(p *livePartition) (err error) {
	if p.Partition, err = partition.Open(s.db, p.id); err != nil {
		return err
	}
	if p.group, err = s.host.Start(p.id, p.Partition); err != nil {
		return fmt.Errorf("start group %d: %w", p.id, err)
	}
	if err := p.Serve(); err != nil {
		return err
	}
	s.clock.Restore(p.Latest())
	return nil
}

// configure tells the partitions of a table and of its indexes what they are, if
// they do not know or, with again, if they know something older. The commands of
// all partitions travel together.
func (s *Service) configure(t *liveTable, again bool) error {
	var waiting []*env.Future[any]
	propose := func(p *livePartition, c partition.Config) {
		if current := p.Config(); current != nil && (!again || current.Version >= c.Version) {
			return
		}
		c.First, c.Last = p.first, p.last
		command := partition.Command{Kind: partition.Configure, Config: &c}
		waiting = append(waiting, p.group.Propose(command.Encode()))
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
		propose(p, partition.Config{Version: t.version, Schema: p.schemaFrom(t.schema)})
	}
	for _, f := range waiting {
		v, err := f.Await()
		if err == nil {
			err = v.(*partition.Result).Err
		}
		if err != nil {
			return fmt.Errorf("table %s: configure: %w", t.def.Name, err)
		}
	}
	return nil
}

// schemaFrom returns the schema that a partition is to have. Local indexes that
// it has not kept from its first row on stay without entries.
func (p *livePartition) schemaFrom(s *partition.Schema) partition.Schema {
	next, current := *s, p.Config()
	if current == nil {
		return next
	}
	next.Indexes = slices.Clone(s.Indexes)
	for i := range next.Indexes {
		if x := &next.Indexes[i]; x.Local && !current.Keeps(x) {
			x.ID = 0
		}
	}
	return next
}
