package table

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/statordb/stator/internal/env"
)

// The driver is the task of the node in charge: it founds the cluster, finishes what
// the one before has left unfinished, and then looks again and again whether nodes
// have come or gone and whether replicas are where they should be.

const (
	defaultLostAfter = 5 * time.Minute
	drivePause       = time.Second
	driveRetry       = 100 * time.Millisecond
	// maxMoving is how many groups change their members at the same time.
	maxMoving = 4
)

// drive runs until the reign ends.
func (c *core) drive(r *reign) {
	begun := false
	heard := make(map[uint64]env.Mono)  // when each node answered last
	broken := make(map[uint64][]uint64) // groups whose replica is broken, by node
	var m mover
	for pause := time.Duration(0); !r.rest(pause); {
		pause = drivePause
		if !begun {
			if err := c.takeOver(r); err != nil {
				c.env.Sometimes("table: taking charge failed")
				pause = driveRetry
				continue
			}
			begun = true
		}
		if err := c.finishAll(r); err != nil {
			c.env.Sometimes("table: something interrupted cannot be finished yet")
		}
		c.listen(r, heard, broken)
		if err := c.driveStep(r, heard, broken, &m); err != nil {
			c.env.Sometimes("table: driver failed")
			pause = driveRetry
		}
	}
}

// takeOver founds the cluster if there is none, and starts the tasks that tables need.
func (c *core) takeOver(r *reign) error {
	c.control.Lock()
	defer c.control.Unlock()
	if r.over.Ready() {
		return nil
	}
	home := (*c.spaces.Load())[spaceID{}]
	if len(c.catalog.snapshot().nodes) == 0 {
		if _, err := home.propose(foundCommand(newClusterID(c.env), founding(c.founders))); err != nil && !errors.Is(err, errFounded) {
			return err
		}
	}
	home.startTasks()
	return nil
}

// finishAll finishes creations and deletions that were interrupted: whoever is at one
// now holds control.
func (c *core) finishAll(r *reign) (failed error) {
	for _, rec := range c.catalog.snapshot().records() {
		if rec.status != recordActive {
			failed = errors.Join(failed, c.finishOne(r, rec))
		}
	}
	return failed
}

func (c *core) finishOne(r *reign, rec *record) error {
	c.control.Lock()
	defer c.control.Unlock()
	now := c.catalog.snapshot().byKey[rec.key()]
	if r.over.Ready() || now == nil || now.id != rec.id {
		return nil
	}
	if err := c.enter(rec.space).finish(now); err != nil {
		return fmt.Errorf("table %s: finish: %w", rec.def.Name, err)
	}
	return nil
}

// listen asks all nodes whether they are there, and what they have to say.
func (c *core) listen(r *reign, heard map[uint64]env.Mono, broken map[uint64][]uint64) {
	view := c.catalog.snapshot()
	answered := make([]bool, len(view.nodes))
	reports := make([][]uint64, len(view.nodes))
	loads := make([][]candidate, len(view.nodes))
	g := env.NewGroup(c.env)
	for i, n := range view.nodes {
		if n.state == nodeGone {
			continue
		}
		if _, known := heard[n.id]; !known {
			heard[n.id] = c.env.Now() // silence counts from the beginning of the reign
		}
		if n.id == c.self {
			answered[i] = true
			reports[i], loads[i] = c.report()
			continue
		}
		g.Go("listen", func() error {
			a, err := c.ask(n.id, callPing, 0, 0, nil, callPatience)
			if answered[i] = err == nil; answered[i] {
				d := reader{b: a.body}
				reports[i], loads[i] = d.uints(), d.candidates()
			}
			return nil
		})
	}
	_ = g.Wait()
	all := slices.Concat(loads...)
	r.candidates.Store(&all)
	for i, n := range view.nodes {
		switch {
		case answered[i]:
			heard[n.id], broken[n.id] = c.env.Now(), reports[i]
		case n.state == nodeGone || n.state == nodeLost:
			delete(broken, n.id) // or its groups would wait for it to drop what is broken
		}
	}
}

// driveStep makes the next change, if there is one.
func (c *core) driveStep(r *reign, heard map[uint64]env.Mono, broken map[uint64][]uint64, m *mover) error {
	c.control.Lock()
	defer c.control.Unlock()
	if r.over.Ready() {
		return nil
	}
	for _, n := range c.catalog.snapshot().nodes {
		if next := c.nextState(n, heard[n.id]); next != n.state {
			c.env.Sometimes("table: node becomes " + env.Mark(next.String()))
			if _, err := c.proposeNode(n.with(func(n *node) { n.state = next })); err != nil {
				return err
			}
		}
	}
	return c.moveReplicas(broken, m)
}

// nextState returns the state that a node should have.
func (c *core) nextState(n *node, heard env.Mono) nodeState {
	silent := c.env.Now().Sub(heard)
	switch {
	case n.state == nodeActive && silent > c.lostAfter:
		return nodeLost
	case n.state == nodeLost && silent < c.lostAfter && silent < 2*drivePause:
		return nodeActive
	case n.state == nodeJoining && silent < 2*drivePause && n.id != c.self && c.follows(n.id):
		return nodeActive
	}
	return n.state
}

// follows reports whether a node has the catalog.
func (c *core) follows(id uint64) bool {
	status, err := c.catalogGroup.Status()
	if err != nil {
		return false
	}
	for _, p := range status.Progress {
		if p.Node == id {
			return p.Active && !p.Snapshot && p.Match > 0
		}
	}
	return false
}

// moveReplicas makes the next change of replicas. The caller holds control.
func (c *core) moveReplicas(broken map[uint64][]uint64, m *mover) error {
	m.moving = slices.DeleteFunc(m.moving, func(group uint64) bool { return !c.isBusy(group) })
	view := c.catalog.snapshot()
	if len(m.moving) >= maxMoving || m.isDone(view, broken) {
		return nil
	}
	asked := false
	next := nextMove(view, broken,
		func(group uint64) bool { asked = true; return c.isBusy(group) },
		func(group uint64) []uint64 { asked = true; return c.steady(group) })
	if next == nil {
		if !asked {
			m.done, m.despite = view, maps.Clone(broken)
		}
		return nil
	}
	c.env.Sometimes("table: replicas move")
	c.env.Trace("group %d: %s", next.group, next.why)
	changed := next.table.withNodes(next.group, next.nodes)
	_, err := c.enter(changed.space).replace(changed)
	if err == nil {
		m.moving = append(m.moving, next.group)
	}
	return err
}

// A mover is what a node in charge remembers of the moves of replicas.
type mover struct {
	moving []uint64 // groups that were given other replicas
	// done is a catalog in which there was nothing to move while the replicas in despite were broken, whatever groups were
	// doing.
	done    *catalogView
	despite map[uint64][]uint64
}

func (m *mover) isDone(view *catalogView, broken map[uint64][]uint64) bool {
	return m.done == view && maps.EqualFunc(m.despite, broken, slices.Equal[[]uint64])
}

func sameNodes(a, b []uint64) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// isBusy reports whether the members of a group are not what the catalog wants, or
// cannot be asked for.
func (c *core) isBusy(group uint64) bool {
	p := c.directory.partition(group)
	if p == nil {
		return false // its table is gone
	}
	s, err := c.statusSoon(group)
	return err != nil || !s.known || !sameNodes(s.members, p.slot.replicas.members())
}

// steady returns the voters of a group that can be relied on, none if nobody knows.
func (c *core) steady(group uint64) []uint64 {
	s, err := c.statusSoon(group)
	if err != nil {
		return nil
	}
	return s.steady
}
