package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

// A convergence compares replicas with each other. Two that have applied the same
// entries hold the same, byte for byte; and when all faults are over, every member of
// a group gets all that its leader has.
type convergence struct {
	run *run
	// seen is what a replica held when it had applied so much.
	seen map[position]witnessed
	keys map[*partition.Config][]foreignKey // see keysFor
}

type position struct{ group, applied uint64 }

type witnessed struct {
	print partition.Fingerprint
	node  string
}

// compareReplicas looks at what the nodes that are up hold now. Replicas that are busy
// are rarely found at the same entry; those of a quiet group are.
func (r *run) compareReplicas() {
	for _, n := range r.nodes {
		answered, err := r.inTask(n, "fingerprints", func(s *server) error { return r.convergence.look(s) })
		if answered && err != nil && !isLocal(err) {
			r.fail(found(Replicas, err))
		}
	}
}

// crashed notes that a node went down. A log that is not synced may lose its end, and
// get another one.
func (c *convergence) crashed(mode vfs.CrashMode) {
	if c.run.plan.Knobs.syncMode() != replication.SyncAlways && mode != vfs.KeepAll {
		clear(c.seen)
	}
}

// look takes the fingerprints of all groups of a node; while clients are at work, of
// those that have applied something since this life of it was looked at last. In the end all
// count: the files that they are in may have been merged meanwhile.
func (c *convergence) look(s *server) error {
	if s.looks++; s.looks%4 == 1 || c.run.ending {
		err := twice(s, s.tables.CheckCatalog)
		if err == nil {
			err = c.counts(s, catalogGroup)
		}
		if err != nil {
			return err
		}
	}
	groups, err := partition.Groups(s.store)
	if err != nil {
		return err
	}
	for _, group := range groups {
		applied, err := partition.AppliedIn(s.store, group)
		if err != nil {
			return err
		}
		if applied != 0 && s.looked[group] == applied && !c.run.ending {
			continue
		}
		f, err := partition.FingerprintOf(s.store, group)
		if err != nil {
			return err
		}
		s.looked[group] = f.Applied
		at := position{group, f.Applied}
		if err = c.trespass(s, group); err == nil {
			err = c.counts(s, group)
		}
		switch turn := (f.Applied + group) % 4; { // each costs a reading of the group's window
		case err == nil && turn%2 == 0:
			err = c.remembers(s, group)
		case err == nil && turn == 1:
			err = c.recollects(s, group)
		}
		if err != nil {
			return err
		}
		before, known := c.seen[at]
		if !known {
			c.seen[at] = witnessed{f, s.n.name}
			continue
		}
		if before.print != f {
			return fmt.Errorf("sim: group %d as of entry %d: %s holds %d pairs with sum %08x, but %s held %d with sum %08x",
				group, f.Applied, s.n.name, f.Pairs, f.Sum, before.node, before.print.Pairs, before.print.Sum)
		}
	}
	return nil
}

// recollects checks that a replica has in memory what it would have if it were opened on its store. A snapshot may be
// on its way from one to the other.
func (c *convergence) recollects(s *server, group uint64) error {
	p := s.tables.Replica(group)
	if p == nil {
		return nil
	}
	return twice(s, p.CheckMemory)
}

// counts checks that a replica takes the same nodes for the members of its group wherever it has them, and
// that it does not sleep as leader of one that lacks something.
func (c *convergence) counts(s *server, group uint64) error {
	g := s.log.Group(replication.GroupID(group))
	if g == nil {
		return nil
	}
	if err := twice(s, g.CheckMembers); err != nil {
		return err
	}
	for _, n := range c.run.nodes {
		if n == s.n || n.server == nil {
			continue
		}
		if member := n.server.log.Group(replication.GroupID(group)); member != nil {
			if err := twice(s, func() error { return g.CheckSleep(member) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// twice asks again, a moment later, what finds something wrong that may be so for a moment.
func twice(s *server, check func() error) error {
	if check() == nil {
		return nil
	}
	s.e.Sleep(time.Millisecond)
	if err := check(); err != nil {
		return fmt.Errorf("sim: %s: %w", s.n.name, err)
	}
	return nil
}

// converge waits, while nobody writes and nothing fails, until all members of all
// groups have all that there is, and are those that they should be: a cluster that never
// makes a replica anew, or has two in one zone, works until the next zone is lost.
func (r *run) converge() {
	limit := r.catchUpLimit()
	var missing error
	for start := r.clients.Now(); r.clients.Now().Sub(start) < limit; r.clients.Sleep(100 * time.Millisecond) {
		if missing = r.behind(); missing == nil || r.rotten() {
			return
		}
	}
	r.fail(found(Progress, fmt.Errorf("sim: %s after all faults were over: %w", limit, missing)))
}

// catchUpLimit is how long a replica may take to have what its leader has.
func (r *run) catchUpLimit() time.Duration {
	return r.limit() + 3*snapshotPatience*max(r.plan.Knobs.Tick.Std(), time.Millisecond)
}

// snapshotPatience is about how many ticks it takes until a snapshot that does not get
// on is given up.
const snapshotPatience = 110

// behind tells of a replica that has not all that the leader of its group has, or that is missing.
func (r *run) behind() error {
	type replica struct {
		n *node
		replication.Status
		listed bool // in the catalog, as the node knows it
	}
	groups := map[replication.GroupID][]replica{}
	var ids []replication.GroupID
	for _, n := range r.nodes {
		if n.gone {
			continue
		}
		answered, err := r.inTask(n, "status", func(s *server) error {
			listed := map[replication.GroupID]bool{}
			for _, g := range s.tables.Layout() {
				listed[replication.GroupID(g.ID)] = true
			}
			for _, id := range s.log.Groups() {
				g := s.log.Group(id)
				if g == nil {
					continue
				}
				status, err := g.Status()
				if err != nil {
					return fmt.Errorf("group %d on %s: %w", id, n.name, err)
				}
				groups[id] = append(groups[id], replica{n, status, listed[id]})
				ids = append(ids, id)
			}
			return nil
		})
		if err != nil || !answered {
			return fmt.Errorf("node %s: %w", n.name, err)
		}
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		at := slices.IndexFunc(groups[id], func(x replica) bool { return x.Leading })
		if at < 0 {
			text := fmt.Sprintf("nobody leads group %d", id)
			for _, x := range groups[id] {
				text += fmt.Sprintf("; %s: term %d, %d of %d applied, voters %v, in the catalog: %v", x.n.name, x.Term, x.Applied, x.Last, x.Members.Voters, x.listed)
			}
			return errors.New(text)
		}
		leader := groups[id][at]
		for _, p := range leader.Progress {
			i := slices.IndexFunc(groups[id], func(x replica) bool { return x.n.id == p.Node })
			switch {
			case i < 0:
				return fmt.Errorf("node %d is a member of group %d and has no replica", p.Node, id)
			case groups[id][i].Applied < leader.Last:
				return fmt.Errorf("%s has applied %d entries of group %d, and its leader %s has %d, and knows that it has %d (heard of: %v, in want of a snapshot: %v)",
					groups[id][i].n.name, groups[id][i].Applied, id, leader.n.name, leader.Last, p.Match, p.Active, p.Snapshot)
			}
		}
	}
	if len(r.plan.Nodes) > 1 {
		return r.unwhole(isCounted)
	}
	return nil
}
