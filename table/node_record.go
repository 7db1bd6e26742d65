package table

import (
	"fmt"
	"slices"
)

// A node is what the catalog keeps of a node of the cluster. It is immutable: a
// change makes a new one with the next version.
type node struct {
	id      uint64 // in the transport and in every raft group; never used again
	version uint64 // of this record, from 1
	zone    string // availability zone
	address string // where the others reach it
	state   nodeState
	// incarnation was drawn by the node when it asked for a number, so that a
	// repeated request gets the same one.
	incarnation uint64
}

type nodeState byte

const (
	// nodeJoining has a number; it is not known to have the catalog yet.
	nodeJoining nodeState = 1
	// nodeActive may be given replicas.
	nodeActive nodeState = 2
	// nodeDraining gives its replicas away.
	nodeDraining nodeState = 3
	// nodeLost has been silent for so long that its replicas are made anew on
	// other nodes. When it speaks again it is active.
	nodeLost nodeState = 4
	// nodeGone is no part of the cluster any more, for good.
	nodeGone nodeState = 5
)

func (s nodeState) String() string {
	switch s {
	case nodeJoining:
		return "joining"
	case nodeActive:
		return "active"
	case nodeDraining:
		return "draining"
	case nodeLost:
		return "lost"
	case nodeGone:
		return "gone"
	}
	return fmt.Sprintf("state(%d)", byte(s))
}

func (n *node) String() string { return fmt.Sprintf("%d@%s %s", n.id, n.zone, n.state) }

// with returns the next version of n, changed by f.
func (n *node) with(f func(*node)) *node {
	next := *n
	next.version++
	f(&next)
	return &next
}

// A node record. Integers are uvarints, text is a size and that many bytes.
//
//	+-----------+----+---------+------+---------+----------+-------------+
//	| format 1B | id | version | zone | address | state 1B | incarnation |
//	+-----------+----+---------+------+---------+----------+-------------+
//
// format is 1; nothing may follow.
const nodeFormat byte = 1

func (n *node) append(dst []byte) []byte {
	w := writer{append(dst, nodeFormat)}
	w.uint(n.id)
	w.uint(n.version)
	w.text(n.zone)
	w.text(n.address)
	w.byte(byte(n.state))
	w.uint(n.incarnation)
	return w.b
}

func decodeNode(b []byte) (*node, error) {
	if len(b) == 0 || b[0] != nodeFormat {
		return nil, fmt.Errorf("%w: format of a node", errRecord)
	}
	d := reader{b: b[1:]}
	n := &node{id: d.uint(), version: d.uint(), zone: d.text(), address: d.text(), state: nodeState(d.byte()), incarnation: d.uint()}
	if d.bad || len(d.b) > 0 || n.state < nodeJoining || n.state > nodeGone {
		return nil, fmt.Errorf("%w: node", errRecord)
	}
	return n, nil
}

// A replicaSet says which nodes shall have a replica of a group.
type replicaSet struct {
	// epoch counts the changes of nodes. While it is 0 the group may be born:
	// its first members are nodes. Replicas that are made later start empty.
	epoch uint64
	nodes []uint64 // in the order in which they shall lead; none = the first node of the cluster
}

// has reports whether a node shall have a replica.
func (s *replicaSet) has(id uint64) bool { return slices.Contains(s.members(), id) }

// members returns the nodes that shall have a replica.
func (s *replicaSet) members() []uint64 {
	if len(s.nodes) == 0 {
		return firstNodes
	}
	return s.nodes
}

// voters returns the members that a group is born with; none if the group has
// been born.
func (s *replicaSet) voters() []uint64 {
	if s.epoch > 0 {
		return nil
	}
	return s.members()
}

// firstNode made the database; what was there before there were other nodes is
// on it.
const firstNode uint64 = 1

var firstNodes = []uint64{firstNode}

// replicas writes the part of a record that has the replica sets of all slots, of
// the table and then of its indexes:
//
//	for each slot: epoch, node count, nodes
func (w *writer) replicas(r *record) {
	for s := range r.allSlots() {
		w.uint(s.replicas.epoch)
		w.uint(uint64(len(s.replicas.nodes)))
		for _, id := range s.replicas.nodes {
			w.uint(id)
		}
	}
}

func (d *reader) replicas(r *record) {
	for s := range r.allSlots() {
		s.replicas.epoch = d.uint()
		for range d.count() {
			id := d.uint()
			if id == 0 || slices.Contains(s.replicas.nodes, id) {
				d.fail()
			}
			s.replicas.nodes = append(s.replicas.nodes, id)
		}
	}
}

// allSlots goes over the slots of a table and then of its indexes.
func (r *record) allSlots() func(func(*slot) bool) {
	return func(yield func(*slot) bool) {
		for i := range r.slots {
			if !yield(&r.slots[i]) {
				return
			}
		}
		for i := range r.places {
			for j := range r.places[i].slots {
				if !yield(&r.places[i].slots[j]) {
					return
				}
			}
		}
	}
}

// liveSlots goes over the slots of a table and of its indexes that are not being
// deleted: those that have replicas.
func (r *record) liveSlots() func(func(*slot) bool) {
	return func(yield func(*slot) bool) {
		for i := range r.slots {
			if !yield(&r.slots[i]) {
				return
			}
		}
		for i := range r.places {
			for j := range r.places[i].slots {
				if r.places[i].status != indexDeleting && !yield(&r.places[i].slots[j]) {
					return
				}
			}
		}
	}
}

// withReplicas is with; f may change the replica sets of all slots.
func (r *record) withReplicas(f func(*record)) *record {
	return r.with(func(next *record) {
		next.slots = slices.Clone(r.slots)
		next.places = slices.Clone(r.places)
		for i := range next.places {
			next.places[i].slots = slices.Clone(next.places[i].slots)
		}
		f(next)
	})
}
