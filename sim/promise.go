package sim

import (
	"fmt"
	"maps"
	"slices"

	"github.com/statordb/stator/replication"
)

// A vow is what a node has promised about a group: it must be so in its next life,
// or the promise was not durable when it was given (Ongaro, section 3.8). That is
// noticed at the first restart, whether or not anything comes of it.
type vow struct{ term, vote, index uint64 }

// A tenant is a leader that has served in one life of its node.
type tenant struct {
	term  uint64
	holds func() bool // it has a lease now
}

// Promised keeps what must survive a crash.
func (o *nodeObserver) Promised(id replication.GroupID, p replication.Promise) {
	g := o.group(id)
	v := g.vows[o.node]
	switch {
	case p.Empties:
		v.index = 0
	case p.Index > 0:
		v.index = p.Index
	}
	if p.Term > v.term {
		v.term, v.vote = p.Term, 0
	}
	if p.Term == v.term && p.Vote != 0 {
		v.vote = p.Vote
	}
	g.vows[o.node] = v
}

// Resumed compares what a new life has with what earlier ones have promised.
func (o *nodeObserver) Resumed(id replication.GroupID, p replication.Promise) {
	v, vowed := o.group(id).vows[o.node]
	if !vowed || o.forgives != nil && o.forgives(o.node) {
		return
	}
	complain := func(format string, args ...any) {
		o.report(found(Durability, fmt.Errorf("sim: group %d: %s %s", id, o.node, fmt.Sprintf(format, args...))))
	}
	switch {
	case p.Term < v.term:
		complain("has taken part in term %d, and after a restart it is in term %d", v.term, p.Term)
	case p.Term == v.term && v.vote != 0 && p.Vote != v.vote:
		complain("has voted for node %d in term %d, and after a restart its vote is for %d", v.vote, v.term, p.Vote)
	case p.Index < v.index:
		complain("has said that its log goes up to entry %d, and after a restart it ends with %d", v.index, p.Index)
	}
}

// unvow takes back what was promised about entries that others take the place of.
func (g *groupHistory) unvow(node string, index uint64) {
	if v, vowed := g.vows[node]; vowed && v.index >= index {
		v.index = index - 1
		g.vows[node] = v
	}
}

// Serves checks that no leader of an earlier term can answer a read on its own while a
// later one can, or answers writes that the earlier one does not know of. That a client
// happens to ask the right one at the right moment is not needed.
func (o *nodeObserver) Serves(id replication.GroupID, term uint64, holds func() bool) {
	if o.noLeases {
		return
	}
	g := o.group(id)
	for _, name := range slices.Sorted(maps.Keys(g.tenants)) { //sim:ok sorted
		other := g.tenants[name]
		if name == o.node || other.term == term || !other.holds() {
			continue
		}
		if other.term < term || holds() {
			o.report(found(Leases, fmt.Errorf("sim: group %d: %s serves as leader of term %d while %s has a lease as leader of term %d",
				id, o.node, term, name, other.term)))
			return
		}
	}
	g.tenants[o.node] = tenant{term, func() bool { return o.alive() && holds() }}
}
