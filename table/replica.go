package table

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

// A group is what a table needs of a replicated group.
type group interface {
	Propose(command []byte) *env.Future[any]
	ReadBarrier() error
	Leading() bool
	// Leader returns the node that leads, as far as this replica knows; 0 if it
	// knows none.
	Leader() uint64
	// Applied returns up to which entry this replica has applied the log.
	Applied() uint64
	Status() (replication.Status, error)
	ChangeMembers(changes ...replication.Change) error
	Transfer(to uint64) error
}

// A host starts and removes replicated groups.
type host interface {
	// Start resumes a group, or creates one with these voters; without voters the
	// replica is empty until the group sends it a snapshot.
	Start(id uint64, sm replication.StateMachine, voters []uint64) (group, error)
	// Remove stops a group and forgets its log. A group that does not exist is
	// no error.
	Remove(id uint64) error
	// Groups returns the ids of all groups that have a log, sorted.
	Groups() []uint64
	// Retired reports whether a group was removed here that others go on with, and not
	// started since.
	Retired(id uint64) bool
	// Err returns why the log takes no more writes, or nil.
	Err() error
}

// A nodeHost is a replication.Node as a host.
type nodeHost struct{ node *replication.Node }

func (h nodeHost) Start(id uint64, sm replication.StateMachine, voters []uint64) (group, error) {
	g, err := h.node.Start(replication.GroupID(id), sm, voters)
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

func (h nodeHost) Retired(id uint64) bool { return h.node.Retired(replication.GroupID(id)) }

func (h nodeHost) Err() error { return h.node.Err() }

func (h nodeHost) Groups() []uint64 {
	var ids []uint64
	for _, id := range h.node.Groups() {
		ids = append(ids, uint64(id))
	}
	return ids
}

// maxStarting bounds how many groups start at the same time. They share the
// log's syncs; started one after the other they would cost a sync each.
const maxStarting = 128

// start starts the replicas that this node shall have of one table.
func (s *Service) start(r *record) (*liveTable, error) {
	if err := s.startGroups(r); err != nil {
		return nil, err
	}
	t := s.newLiveTable(r)
	return t, t.failed
}

// startGroups starts what a record says, or the one of the same table that has taken its place
// meanwhile: a directory that went back to an old one would stay so until the next change.
func (c *core) startGroups(r *record) error {
	c.local.Lock()
	defer c.local.Unlock()
	if now := c.catalog.snapshot().byKey[r.key()]; now != nil && now.id == r.id && now.version > r.version {
		c.env.Sometimes("table: groups are started from a newer record")
		r = now
	}
	return c.startAll([]*record{r})
}

// startAll starts the replicas that this node shall have of all given tables and
// of their indexes, as far as they do not run, and enters all their partitions in
// the directory. What has damaged data is entered as such, so that the others can be
// used; any other error ends it.
func (c *core) startAll(records []*record) error {
	var jobs []startJob
	for _, r := range records {
		jobs = append(jobs, c.jobsOf(r)...)
	}
	if len(jobs) == 0 {
		return nil
	}
	logged := c.host.Groups()
	for i := range jobs {
		_, jobs[i].isLogged = slices.BinarySearch(logged, jobs[i].id)
	}
	if c.calls != nil {
		jobs = c.mayStart(jobs)
	}
	return c.runJobs(jobs)
}

// mayStart returns the jobs that a node of a cluster may do now: a replica that it
// has is resumed, wanted or not, because the group may count on it; a new one is
// made if it is wanted and the catalog is fresh (follow.go).
func (c *core) mayStart(jobs []startJob) (may []startJob) {
	for _, j := range jobs {
		if j.isLogged || c.fresh.Load() && c.hosts(j.slot) {
			may = append(may, j)
		}
	}
	return may
}

// jobsOf brings the directory in line with a record and returns what is not started.
func (c *core) jobsOf(r *record) (jobs []startJob) {
	jobs = c.appendJobs(jobs, r, r.id, r.slots)
	for i := range r.places {
		if r.places[i].status != indexDeleting {
			jobs = c.appendJobs(jobs, r, r.places[i].id, r.places[i].slots)
		}
	}
	return jobs
}

// A startJob starts the replica of one slot.
type startJob struct {
	record *record
	table  uint32 // in the keys of the rows
	*livePartition
	slots    *[]slot // among which it is
	isLogged bool    // the node has a log of it
}

// appendJobs appends what is to be started for some slots. The partitions of the
// others are entered in the directory, or changed there, if that is necessary.
func (c *core) appendJobs(jobs []startJob, r *record, table uint32, slots []slot) []startJob {
	add := func(s *slot, last uint64, isChild bool) {
		next := &livePartition{core: c, table: table, first: s.first, last: last, id: s.group, slot: s, isChild: isChild, lead: new(atomic.Uint64)}
		current := c.directory.partition(s.group)
		if current != nil {
			next = current.changed(next)
		}
		if current == nil && c.calls != nil || current != nil && current.isOther(next) {
			c.directory.put(next)
		}
		if next.group == nil && next.damage == nil {
			jobs = append(jobs, startJob{record: r, table: table, livePartition: next, slots: &slots})
		}
	}
	for i := range slots {
		add(&slots[i], lastOf(slots, i), false)
		if slots[i].split != nil {
			add(slots[i].child(), lastOf(slots, i), true)
		}
	}
	return jobs
}

// hosts reports whether this node shall have a replica of a slot.
func (c *core) hosts(s *slot) bool { return s.replicas.has(c.self) }

// runJobs runs all jobs, many at a time.
func (c *core) runJobs(jobs []startJob) error {
	g := env.NewGroup(c.env)
	tasks := min(len(jobs), maxStarting)
	for task := range tasks {
		g.Go("start groups", func() error {
			for i := task; i < len(jobs); i += tasks {
				if err := c.runJob(&jobs[i]); err != nil {
					return fmt.Errorf("table %s: %w", jobs[i].record.def.Name, err)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (c *core) runJob(j *startJob) error {
	p := *j.livePartition // that one may be in the directory
	err := c.startPartition(j, &p)
	if errors.Is(err, errUnborn) {
		c.env.Sometimes("table: replica waits for a split")
		c.unborn.Store(true)
		return nil
	}
	if err != nil && damaged(err) {
		p.damage, err = err, nil
	}
	if err == nil {
		c.directory.put(&p)
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

func (c *core) startPartition(j *startJob, p *livePartition) (err error) {
	if err := c.mayBegin(j); err != nil {
		return err
	}
	if c.calls != nil && !j.isLogged && c.host.Retired(p.id) {
		if err := c.dropRetired(p.id); err != nil {
			return err
		}
	}
	if p.Partition, err = partition.Open(c.db, p.id); err != nil {
		return err
	}
	voters := p.slot.replicas.voters()
	isBorn := !j.isLogged && p.IsNewborn() && slices.Contains(p.Birth().Voters, c.self)
	switch {
	case isBorn:
		voters = p.Birth().Voters
	case j.isLogged && c.calls != nil && !slices.Contains(voters, c.self):
		// A replica that it has, and that the catalog on its disk is too old to know of.
		voters = nil
	case !j.isLogged && (p.Applied() == 0 || p.IsNewborn()) && (j.isChild || c.calls == nil && p.slot.replicas.epoch > 0):
		return errUnborn
	case !j.isLogged && p.IsNewborn():
		c.env.Sometimes("table: replica does not begin with a first state that is for others")
		if err := c.dropRetired(p.id); err != nil {
			return err
		}
		if p.Partition, err = partition.Open(c.db, p.id); err != nil {
			return err
		}
	}
	if err := c.noteStart(j, p, isBorn); err != nil {
		return err
	}
	if len(p.slot.replicas.members()) > 1 {
		p.Replicate()
	}
	p.OnSplit(c.onSplit)
	p.OnUnfinished(c.unfinished)
	if p.group, err = c.host.Start(p.id, p.Partition, voters); err != nil {
		return fmt.Errorf("start group %d: %w", p.id, err)
	}
	if c.calls == nil {
		if err := p.Serve(); err != nil {
			return err
		}
	}
	if c.calls == nil {
		c.clock.Restore(p.Latest()) // nobody else has made it
	} else {
		c.showClock(p.Latest())
	}
	if p.Unfinished() {
		c.unfinished()
	}
	return nil
}

// removeGroups removes the replicas of groups that are dissolved, with their data if
// it is known where that is; else whoever drops the record sees to it.
func (c *core) removeGroups(groups []uint64) error {
	c.local.Lock()
	defer c.local.Unlock()
	var records map[uint64]replicaRecord
	if c.calls != nil {
		var err error
		if records, err = c.replicaRecords(); err != nil {
			return err
		}
	}
	for _, id := range groups {
		var err error
		if r, ok := records[id]; ok {
			err = c.dropReplica(id, r)
		} else {
			err = c.remove(id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// remove stops the replica of a group, if there is one here, and drops its log.
func (c *core) remove(group uint64) error {
	if err := c.host.Remove(group); err != nil {
		return fmt.Errorf("remove group %d: %w", group, err)
	}
	c.directory.forget(group)
	return nil
}
