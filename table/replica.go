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
	g, err := h.node.Start(replication.GroupID(id), sm, []uint64{h.node.ID()})
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
