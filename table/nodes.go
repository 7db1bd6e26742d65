package table

import (
	"errors"
	"fmt"
	"slices"

	"github.com/statordb/stator/internal/env"
)

// Operations on the nodes of a cluster. They are done by the node in charge; others
// answer with an *ElsewhereError.

// ErrNoNode means that there is no node of that number.
var ErrNoNode = errors.New("table: no such node")

// JoinNode gives a number to a node that wants to be a part of the cluster. The node opens
// its replication.Node and its Service under it, without founders, and is active when
// it has the catalog. incarnation is drawn by the node, is never 0, and names it: who
// repeats a request gets the same number.
func (c *core) JoinNode(zone, address string, incarnation uint64) (Member, error) {
	if zone == "" || incarnation == 0 {
		return Member{}, errors.New("table: a node that joins has a zone and an incarnation")
	}
	n, err := c.changeNode(func(*catalogView) (*node, error) {
		return &node{zone: zone, address: address, state: nodeJoining, incarnation: incarnation}, nil
	})
	if err != nil {
		return Member{}, err
	}
	return n.member(), nil
}

// DrainNode has a node give its replicas away; ActivateNode takes that back. It has
// done so when NodeLoad says that it shall have none, and it has none.
func (c *core) DrainNode(id uint64) error { return c.setState(id, nodeActive, nodeDraining) }

// ActivateNode makes a draining node active again.
func (c *core) ActivateNode(id uint64) error { return c.setState(id, nodeDraining, nodeActive) }

// RemoveNode takes a node out of the cluster for good; its number is never used again. While the cluster counts on
// the node it is refused with a *NodeInUseError: what it has must have gone elsewhere (DrainNode), or the node must
// be lost. Otherwise groups would live on two replicas, and a slip of the operator would cost them a healthy one.
func (c *core) RemoveNode(id uint64) error {
	if err := c.mayRemove(id); err != nil {
		return err
	}
	return c.ForgetNode(id)
}

// ForgetNode is RemoveNode of a node that has not been drained, too. Its replicas are made anew elsewhere.
func (c *core) ForgetNode(id uint64) error { return c.setState(id, 0, nodeGone) }

// A NodeInUseError reports that a node is not to be removed yet.
type NodeInUseError struct {
	Node    uint64
	State   string
	Groups  int  // that have, or want, a replica there, the catalog apart
	Unknown int  // groups whose members nobody could tell
	Catalog bool // it votes in the group of the catalog
}

func (e *NodeInUseError) Error() string {
	what := fmt.Sprintf("has replicas of %d partitions", e.Groups)
	switch {
	case e.Groups == 0 && e.Catalog:
		what = "has a vote about tables"
	case e.Groups == 0:
		what = fmt.Sprintf("may have replicas of %d partitions without a leader", e.Unknown)
	}
	if e.State == nodeDraining.String() {
		return fmt.Sprintf("node %d is not drained yet: it %s; wait, or remove it by force", e.Node, what)
	}
	return fmt.Sprintf("node %d %s: drain it first, or remove it by force", e.Node, what)
}

// mayRemove is done by the node in charge.
func (c *core) mayRemove(id uint64) error {
	if c.calls == nil {
		return errNotFounded
	}
	if err := c.inCharge(); err != nil {
		return err
	}
	view := c.catalog.snapshot()
	n := view.node(id)
	if n == nil || n.state == nodeGone || n.state == nodeLost {
		return nil // setState knows what to say of the first
	}
	e := &NodeInUseError{Node: id, State: n.state.String()}
	status, err := c.catalogGroup.Status()
	if err != nil {
		return err
	}
	e.Catalog = slices.Contains(status.Members.Voters, id) || !status.Known
	var asked []uint64
	for _, r := range view.records() {
		for s := range r.liveSlots() {
			if s.replicas.has(id) {
				e.Groups++
			} else {
				asked = append(asked, s.group)
			}
		}
	}
	if e.Groups == 0 && !e.Catalog {
		c.countMembers(e, asked)
	}
	if e.Groups+e.Unknown == 0 && !e.Catalog {
		return nil
	}
	return e
}

// askers is how many groups are asked for their members at a time.
const askers = 16

// countMembers counts the groups that still have the node among their members, although the catalog does not want it.
func (c *core) countMembers(e *NodeInUseError, groups []uint64) {
	counts := make([]NodeInUseError, askers)
	g := env.NewGroup(c.env)
	for i := range counts {
		g.Go("count members", func() error {
			for k := i; k < len(groups); k += askers {
				switch s, err := c.statusSoon(groups[k]); {
				case err != nil && c.directory.partition(groups[k]) != nil:
					counts[i].Unknown++
				case err == nil && (!s.known || slices.Contains(s.members, e.Node)):
					counts[i].Groups++
				}
			}
			return nil
		})
	}
	_ = g.Wait()
	for _, n := range counts {
		e.Groups += n.Groups
		e.Unknown += n.Unknown
	}
}

// MoveAddress tells the others where a node is reached from now on.
func (c *core) MoveAddress(id uint64, address string) error {
	_, err := c.changeNode(func(v *catalogView) (*node, error) {
		n := v.node(id)
		if n == nil || n.state == nodeGone {
			return nil, fmt.Errorf("%w: %d", ErrNoNode, id)
		}
		return n.with(func(n *node) { n.address = address }), nil
	})
	return err
}

// NodeLoad returns how many replicas the catalog wants a node to have, and how many
// groups it is to lead.
func (c *core) NodeLoad(id uint64) (replicas, leads int) {
	l := loadOf(c.catalog.snapshot())
	return l.replicas[id], l.leads[id]
}

// setState changes the state of a node that has the state from; 0 = any but gone.
func (c *core) setState(id uint64, from, to nodeState) error {
	_, err := c.changeNode(func(v *catalogView) (*node, error) {
		n := v.node(id)
		switch {
		case n == nil:
			return nil, fmt.Errorf("%w: %d", ErrNoNode, id)
		case n.state == to:
			return nil, nil
		case from != 0 && n.state != from, n.state == nodeGone:
			return nil, fmt.Errorf("table: node %d is %v", id, n.state)
		}
		return n.with(func(n *node) { n.state = to }), nil
	})
	return err
}

// changeNode proposes the record that f makes of the catalog; nil = nothing is to be
// done.
func (c *core) changeNode(f func(*catalogView) (*node, error)) (*node, error) {
	if c.calls == nil {
		return nil, errNotFounded
	}
	c.control.Lock()
	defer c.control.Unlock()
	if err := c.inCharge(); err != nil {
		return nil, err
	}
	n, err := f(c.catalog.snapshot())
	if n == nil || err != nil {
		return nil, err
	}
	return c.proposeNode(n)
}

func (c *core) proposeNode(n *node) (*node, error) {
	v, err := c.catalogGroup.Propose(nodeCommand(n)).Await()
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	r := v.(*catalogResult)
	return r.node, r.err
}

func (n *node) member() Member {
	return Member{ID: n.id, Zone: n.zone, Address: n.address, State: n.state.String()}
}
