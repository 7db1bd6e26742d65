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
	group       group
	*partition.Partition
}

// A liveTable is a table whose partitions run: what the data plane works with.
// It is immutable.
type liveTable struct {
	*record
	schema     *partition.Schema
	base       keySet            // key schema of the table
	indexes    map[string]keySet // by index name
	partitions []*livePartition  // by first; they cover all hashes
	failed     error             // why the table cannot be used; some partitions are then nil
}

// A keySet is the key schema of a table or index, with types.
type keySet struct {
	definition *IndexDefinition // nil for the base table
	global     bool
	index      *partition.Index // nil for the base table
	hashes     []partition.Key  // one, or up to four for a global index
	ranges     []partition.Key  // none, one, or up to four for a global index
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

func newKeySet(d *Definition, keys []KeyElement) keySet {
	var k keySet
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

// newLiveTable derives from a record what the data plane looks up.
func newLiveTable(r *record, partitions []*livePartition) *liveTable {
	t := &liveTable{
		record:     r,
		base:       newKeySet(&r.def, r.def.Keys),
		indexes:    make(map[string]keySet),
		partitions: partitions,
	}
	t.schema = &partition.Schema{Table: r.id, Hash: t.base.hashes[0]}
	if len(t.base.ranges) > 0 {
		t.schema.Sort = t.base.ranges[0]
	}
	t.schema.Indexes = make([]partition.Index, 0, len(r.def.LocalIndexes)+len(r.def.GlobalIndexes))
	t.addIndexes(r.def.LocalIndexes, false)
	t.addIndexes(r.def.GlobalIndexes, true)
	return t
}

func (t *liveTable) addIndexes(list []IndexDefinition, global bool) {
	for i := range list {
		k := newKeySet(&t.def, list[i].Keys)
		k.definition, k.global = &list[i], global
		x := partition.Index{
			Name: k.definition.Name, Local: !global, Hashes: len(k.hashes), Keys: k.all(),
			All: k.definition.Projection.Type == projectAll, Projected: k.definition.Projection.NonKeyAttributes,
		}
		if x.Local {
			x.ID = uint32(i + 1)
		}
		t.schema.Indexes = append(t.schema.Indexes, x)
		k.index = &t.schema.Indexes[len(t.schema.Indexes)-1]
		t.indexes[k.definition.Name] = k
	}
}

// projectAll is the projection of every attribute.
const projectAll = "ALL"

// partitionOf returns the partition that serves a hash.
func (t *liveTable) partitionOf(hash uint64) *livePartition {
	return t.partitions[t.partitionIndex(hash)]
}

func (t *liveTable) partitionIndex(hash uint64) int {
	if len(t.partitions) == 1 {
		return 0
	}
	at, found := slices.BinarySearchFunc(t.partitions, hash, func(p *livePartition, h uint64) int {
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

// stats sums the counters of all partitions.
func (t *liveTable) stats() partition.Stats {
	var sum partition.Stats
	for _, p := range t.partitions {
		if p == nil { // of a failed table
			continue
		}
		s := p.Stats()
		sum.Items += s.Items
		sum.Bytes += s.Bytes
	}
	return sum
}

// localStats sums the counters of a local index by its number.
func (t *liveTable) localStats(number int) partition.Stats {
	var sum partition.Stats
	for _, p := range t.partitions {
		if p == nil { // of a failed table
			continue
		}
		s := p.IndexStats(uint32(number))
		sum.Items += s.Items
		sum.Bytes += s.Bytes
	}
	return sum
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

// startAll starts the groups of all given tables. A table with damaged data
// comes back failed, so that the others can be used; any other error ends it.
func (s *Service) startAll(records []*record) ([]*liveTable, error) {
	var jobs []startJob
	for _, r := range records {
		for i := range r.slots {
			jobs = append(jobs, startJob{record: r, slot: i})
		}
	}
	if err := s.runJobs(jobs); err != nil {
		return nil, err
	}
	tables := make([]*liveTable, len(records))
	for i, r := range records {
		tables[i] = jobsTable(jobs[:len(r.slots)])
		jobs = jobs[len(r.slots):]
	}
	return tables, nil
}

// A startJob starts the group of one slot.
type startJob struct {
	record    *record
	slot      int
	partition *livePartition
	damage    error // why there is no partition
}

// runJobs runs all jobs, many at a time.
func (s *Service) runJobs(jobs []startJob) error {
	g := env.NewGroup(s.env)
	tasks := min(len(jobs), maxStarting)
	for task := range tasks {
		g.Go("start groups", func() error {
			for i := task; i < len(jobs); i += tasks {
				if err := s.runJob(&jobs[i]); err != nil {
					return fmt.Errorf("table %s: %w", jobs[i].record.def.Name, err)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (s *Service) runJob(j *startJob) (err error) {
	j.partition, err = s.startPartition(j.record, j.slot)
	if err != nil && damaged(err) {
		j.damage, err = err, nil
	}
	return err
}

// jobsTable makes a table of the finished jobs of all its slots.
func jobsTable(jobs []startJob) *liveTable {
	r := jobs[0].record
	partitions := make([]*livePartition, len(jobs))
	var damage []error
	for i := range jobs {
		partitions[i] = jobs[i].partition
		damage = append(damage, jobs[i].damage)
	}
	t := newLiveTable(r, partitions)
	if err := errors.Join(damage...); err != nil {
		t.failed = fmt.Errorf("table %s: %w", r.def.Name, err)
	}
	return t
}

// damaged reports whether err is about the data of one table: bytes on disk that fail
// their check, or that could not be read when they were needed.
func damaged(err error) bool {
	var c *corrupt.Error
	return errors.As(err, &c) || errors.Is(err, partition.ErrFormat) || errors.Is(err, partition.ErrCommand) ||
		errors.Is(err, partition.ErrReplay)
}

func (s *Service) startPartition(r *record, i int) (*livePartition, error) {
	id := r.slots[i].group
	p, err := partition.Open(s.db, id)
	if err != nil {
		return nil, err
	}
	g, err := s.host.Start(id, p)
	if err != nil {
		return nil, fmt.Errorf("start group %d: %w", id, err)
	}
	if err := p.Serve(); err != nil {
		return nil, err
	}
	s.clock.Restore(p.Latest())
	return &livePartition{first: r.slots[i].first, last: r.last(i), group: g, Partition: p}, nil
}

// configure tells the partitions that do not know it yet what they are. The
// commands of all partitions travel together.
func (s *Service) configure(t *liveTable) error {
	var waiting []*env.Future[any]
	for _, p := range t.partitions {
		if p.Config() != nil {
			continue
		}
		c := partition.Command{Kind: partition.Configure, Config: &partition.Config{
			Version: 1, First: p.first, Last: p.last, Schema: *t.schema,
		}}
		waiting = append(waiting, p.group.Propose(c.Encode()))
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
