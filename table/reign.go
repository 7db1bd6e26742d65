package table

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/replication"
)

// A reign is the time during which this node leads the catalog, and so is in charge:
// operations on tables, builders of indexes, the deletion of expired items and the
// placement of replicas are here. A node without others reigns from its start.
type reign struct {
	over       *env.Future[struct{}]       // set when it ends
	candidates atomic.Pointer[[]candidate] // partitions that nodes would have split; nil = not known yet
	ending     map[uint32]env.Mono         // since when tables that are to be deleted end their transactions; guarded by control
}

func newReign(e *env.Env) *reign {
	return &reign{over: env.NewFuture[struct{}](e), ending: make(map[uint32]env.Mono)}
}

// An ElsewhereError refuses an operation on tables on a node that is not in charge.
// Nothing has happened.
type ElsewhereError struct {
	Leader uint64 // the node that is in charge, 0 = not known
}

func (e *ElsewhereError) Error() string {
	return fmt.Sprintf("table: node %d leads the catalog", e.Leader)
}

// Leader returns the node that is in charge of operations on tables, 0 if it is not
// known, and whether this node is. Operations on another node answer with an
// *ElsewhereError.
func (c *core) Leader() (id uint64, here bool) {
	if c.reign.Load() != nil {
		return c.self, true
	}
	return c.leaderHint(), false
}

// leaderHint returns the node that leads the catalog as far as this node knows. One whose log has
// failed hears of no election: it knows what it was told last, and asks again in the background.
func (c *core) leaderHint() uint64 {
	if id := c.catalogGroup.Leader(); id != 0 || c.host.Err() == nil {
		return id
	}
	c.doubted.Store(true)
	c.poke()
	return c.told.Load()
}

// inCharge refuses an operation if this node is not in charge. The caller holds
// control.
func (c *core) inCharge() error {
	switch {
	case c.closed():
		return ErrClosed
	case c.reign.Load() == nil, c.calls != nil && !c.mayReign():
		return &ElsewhereError{Leader: c.leaderHint()}
	}
	return nil
}

// mayReign reports whether this node leads the catalog, and has it. One whose store has refused an
// entry of it goes on as a member of the group, and gives the lead away.
func (c *core) mayReign() bool {
	return c.catalogGroup.Leading() && (c.calls == nil || c.catalog.Err() == nil)
}

// inChargeNow is inCharge for an operation that may be refused for what the catalog says:
// one that has been deposed without knowing it, as when its log has failed, has an old
// catalog, and must not deny a table that its successor has made.
func (c *core) inChargeNow() error {
	if err := c.inCharge(); err != nil || c.calls == nil {
		return err
	}
	if err := c.catalogGroup.ReadBarrier(); err != nil {
		return c.elsewhere(fmt.Errorf("catalog: %w", err))
	}
	return nil
}

// elsewhere says that an operation is to be done by another node if the first of its
// proposals was refused because that one leads now, or led for a moment and changed the table.
func (c *core) elsewhere(err error) error {
	if err == nil || errors.Is(err, replication.ErrUnknownOutcome) {
		return err
	}
	if errors.Is(err, replication.ErrNotLeader) || errors.Is(err, errStale) {
		return &ElsewhereError{Leader: c.leaderHint()}
	}
	return err
}

// reigning returns the reign that began last. If it is over, or none began, its future
// is set.
func (c *core) reigning() *reign {
	if r := c.reign.Load(); r != nil {
		return r
	}
	r := newReign(c.env)
	r.over.Set(struct{}{}, nil)
	return r
}

// beginReign makes this node the one in charge, and finishes what was interrupted.
func (c *core) beginReign() {
	c.control.Lock()
	defer c.control.Unlock()
	if c.closing.Ready() || c.reign.Load() != nil {
		return
	}
	c.env.Sometimes("table: node takes charge")
	c.reign.Store(newReign(c.env))
	c.expiring = false
	if c.calls != nil {
		r := c.reign.Load()
		c.builders.Go("drive", func() error {
			c.drive(r)
			return nil
		})
	}
}

// endReign ends the tasks of the one in charge. They may still finish a step.
func (c *core) endReign() {
	if r := c.reign.Swap(nil); r != nil {
		r.over.Set(struct{}{}, nil)
	}
}
