package table

import (
	"errors"
	"slices"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/txn"
)

// errUnfinished says that transactions still need a table that is to be deleted.
var errUnfinished = errors.New("table: transactions are to be finished first")

// endTransactions closes the groups of a table, and returns when no transaction needs them any more. Without it, a table that shares a
// transaction with this one could not find out that it was committed, of which the client was told.
//
// In a cluster the leaders of the groups finish what coordinators have left, once it is old enough. That may take longer than anybody
// wants to wait: errUnfinished has the node in charge try again. What a node in charge could not reach, or end, for Options.LostAfter
// is given up; it does not know what others, in charge before it, could. A node that is alone finishes all itself, and gives up after
// callPatience: what it cannot finish by then, because of damage, it never will. Once is not enough: its disk may be full for a moment.
// The caller holds control.
func (s *Service) endTransactions(r *record) error {
	reign, began, lostAfter := s.reigning(), s.env.Now(), s.lostAfter
	if s.calls == nil {
		lostAfter = callPatience
	}
	since, known := reign.ending[r.id]
	if !known {
		since = began
		reign.ending[r.id] = began
	}
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		ended, err := s.closeGroups(r)
		now := s.env.Now()
		switch {
		case s.calls == nil && errors.Is(err, vfs.ErrNoSpace):
			return err
		case s.closed():
			return ErrClosed
		case !ended && !reign.over.Ready() && now.Sub(since) >= lostAfter:
			s.env.Sometimes("table: a table goes although transactions need it")
			ended = true
		}
		if ended {
			delete(reign.ending, r.id)
			return nil
		}
		if now.Sub(began) >= s.patience || reign.rest(pause) {
			s.env.Sometimes("table: transactions outlast the deletion of their table")
			return errUnfinished
		}
	}
}

// closeGroups closes all groups of a table itself; indexes have no part in transactions. It reports whether no
// transaction needs them.
func (c *core) closeGroups(r *record) (ended bool, err error) {
	g := env.NewGroup(c.env)
	tasks := min(len(r.slots), maxStarting)
	all := make([]bool, tasks)
	for task := range tasks {
		g.Go("close groups", func() error {
			all[task] = true
			var errs []error
			for i := task; i < len(r.slots); i += tasks {
				ended, err := c.closeSlot(&r.slots[i])
				all[task] = all[task] && ended
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		})
	}
	err = g.Wait()
	return !slices.Contains(all, false), err
}

// closeSlot closes the group of a slot, and that which is being split off, if that has hashes of its own by now.
func (c *core) closeSlot(s *slot) (ended bool, err error) {
	ended, err = c.closeGroup(s.group, s.first)
	if err != nil || s.split == nil {
		return ended, err
	}
	whole, err := c.closeGroup(s.group, s.split.at)
	if errors.Is(err, partition.ErrWrongPartition) {
		whole, err = c.closeGroup(s.split.child, s.split.at)
	}
	return ended && whole, err
}

// closeGroup closes a group, and reports whether it has no transactions. A node that is alone has it finish them.
func (c *core) closeGroup(group, hash uint64) (ended bool, err error) {
	p := c.directory.partition(group)
	switch {
	case p == nil:
		return false, nil // not known yet
	case c.calls == nil && p.group == nil:
		return true, nil // damaged: it can never be asked
	}
	if ended, err = p.close(hash); ended || err != nil || c.calls != nil {
		return ended, err
	}
	for _, t := range p.OngoingIn(0, ^uint64(0)) {
		c.recoverItems(p, &t)
	}
	for _, d := range p.Decided() {
		if d.Outcome == txn.Committed {
			c.recoverDecided(p, d)
		}
	}
	return p.close(hash)
}

func (p *livePartition) close(hash uint64) (ended bool, err error) {
	r, err := p.run(&partition.Command{Kind: partition.Close, Hash: hash})
	return err == nil && r.Transaction.Outcome == txn.Cancelled, err
}
