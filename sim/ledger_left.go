package sim

import (
	"fmt"
	"time"

	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/txn"
)

// checkLeft waits until nothing is left of transactions that are over: no item is taken, and no partition has the record of
// one that was committed. A coordinator may have died with all of that still to be done; then it is done by who leads the
// partitions, whether or not somebody comes across it. What was cancelled is remembered for longer than a run takes.
func (r *run) checkLeft() {
	if r.rotten() {
		return
	}
	limit := 2*r.limit() + 2*r.stale()
	var left error
	for start := r.clients.Now(); r.err == nil && r.clients.Now().Sub(start) < limit; r.clients.Sleep(100 * time.Millisecond) {
		if left = r.leftOfTransactions(); left == nil {
			return
		}
	}
	if r.err == nil {
		r.fail(found(Progress, fmt.Errorf("sim: %s after all faults were over: %w", limit, left)))
	}
}

// stale is how long a transaction may be undecided until its coordinator is taken for dead.
func (r *run) stale() time.Duration {
	if stale := r.plan.Knobs.Stale.Std(); stale > 0 {
		return stale
	}
	return 5 * time.Second // of package table
}

// leftOfTransactions tells of something that is left.
func (r *run) leftOfTransactions() (left error) {
	for _, n := range r.nodes {
		answered, err := r.inTask(n, "look for what is left of transactions", func(s *server) error {
			groups, err := partition.Groups(s.store)
			if err != nil {
				return err
			}
			for _, group := range groups {
				p, g := s.tables.Replica(group), s.log.Group(replication.GroupID(group))
				if p != nil && g != nil && g.Leading() && left == nil { // others may have it from the leader later
					left = leftIn(p, s.n.name, group)
				}
			}
			return nil
		})
		if answered && err != nil && left == nil {
			left = err
		}
	}
	return left
}

// A holder of transactions is a partition, or a test's.
type holder interface {
	OngoingIn(first, last uint64) []partition.OngoingTransaction
	Decided() []partition.DecidedTransaction
}

func leftIn(p holder, node string, group uint64) error {
	for _, t := range p.OngoingIn(0, ^uint64(0)) {
		return fmt.Errorf("transaction %v still has items of group %d on %s", t.ID, group, node)
	}
	for _, d := range p.Decided() {
		if d.Outcome != txn.Cancelled {
			return fmt.Errorf("transaction %v, which is %v, is still recorded in group %d on %s", d.ID, d.Outcome, group, node)
		}
	}
	return nil
}
