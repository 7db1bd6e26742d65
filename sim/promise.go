package sim

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

// A vow is what a node has promised about a group: it must be so in its next life,
// or the promise was not durable when it was given (Ongaro, section 3.8). That is
// noticed at the first restart, whether or not anything comes of it.
type vow struct{ term, vote, index uint64 }

// A tenant is a leader that has served in one life of its node.
type tenant struct {
	node  string
	term  uint64
	alive func() bool // this life goes on
	holds func() bool // it has a lease now
}

// A leased is the last lease of a leader, which lasts until a true time. That its node has gone down since is nothing that a
// later leader could know: it must wait all the same.
type leased struct {
	term uint64
	ends env.Mono
}

// Promised keeps what must survive a crash.
func (o *nodeObserver) Promised(id replication.GroupID, p replication.Promise) {
	g := o.group(id)
	if first, is := g.doomed[o.id]; is && p.Index >= first {
		o.report(found(Durability, fmt.Errorf("sim: group %d: %s says that its log goes up to entry %d, but wrote entry %d after a sync or write of the log had failed",
			id, o.node, p.Index, first)))
	}
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
	delete(o.group(id).doomed, o.id)
	v, vowed := o.group(id).vows[o.node]
	if !vowed || o.forgives != nil && o.forgives(o.node) {
		return
	}
	if err := v.broken(p); err != nil {
		o.report(found(Durability, fmt.Errorf("sim: group %d: %s %w", id, o.node, err)))
	}
}

// broken says what of a vow somebody who starts with p would not know.
func (v vow) broken(p replication.Promise) error {
	switch {
	case p.Term < v.term:
		return fmt.Errorf("has taken part in term %d, and after a restart it is in term %d", v.term, p.Term)
	case p.Term == v.term && v.vote != 0 && p.Vote != v.vote:
		return fmt.Errorf("has voted for node %d in term %d, and after a restart its vote is for %d", v.vote, v.term, p.Vote)
	case p.Index < v.index:
		return fmt.Errorf("has said that its log goes up to entry %d, and after a restart it ends with %d", v.index, p.Index)
	}
	return nil
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
// happens to ask the right one at the right moment is not needed. The same holds for a group
// that was split off and a leader of its parent that does not know of the split.
func (o *nodeObserver) Serves(id replication.GroupID, term uint64, holds func() bool) {
	if o.noLeases {
		return
	}
	g := o.group(id)
	for i := range g.tenants {
		other := &g.tenants[i]
		if other.node == o.node || other.term == term {
			continue
		}
		if !other.alive() {
			if l := g.leases[other.node]; other.term < term && l.term == other.term && l.ends > o.now() {
				o.report(found(Leases, fmt.Errorf("sim: group %d: %s serves as leader of term %d while %s would have a lease as leader of term %d for another %s, had it not gone down",
					id, o.node, term, other.node, other.term, time.Duration(l.ends-o.now()))))
				return
			}
			continue
		}
		if !other.holds() {
			continue
		}
		if other.term < term || holds() {
			o.report(found(Leases, fmt.Errorf("sim: group %d: %s serves as leader of term %d while %s has a lease as leader of term %d",
				id, o.node, term, other.node, other.term)))
			return
		}
	}
	o.servesBeside(id, g, holds)
	at, known := slices.BinarySearchFunc(g.tenants, o.node, func(t tenant, node string) int { return cmp.Compare(t.node, node) })
	now := tenant{o.node, term, o.alive, holds}
	if known {
		g.tenants[at] = now
	} else {
		g.tenants = slices.Insert(g.tenants, at, now)
	}
}

// noteDone keeps what a command has done whose result is known for the first time: the request that it carries out, and the group
// that it splits off.
func (c *consensus) noteDone(id replication.GroupID, index uint64, b []byte, result any) {
	if id == catalogGroup || !isDone(result) {
		return
	}
	command, err := partition.DecodeCommand(b)
	if err != nil {
		return
	}
	c.noteRequest(id, index, &command)
	if command.Kind != partition.SplitOff {
		return
	}
	part := replication.GroupID(command.Split.Child)
	if child := c.group(part); child.parent == 0 {
		parent := c.group(id)
		child.parent, child.birth = id, index
		child.requests = inherited(parent.requests[:until(parent.requests, index)])
		parent.parts = append(parent.parts, part)
	}
}

// servesBeside checks what Serves does for a group that was split off, and for one that others were
// split off. A leader that serves has applied an entry of its term, so it is known how far it is. One that is behind may
// answer writes that were committed before: as long as it has no lease, it serves no reads.
func (o *nodeObserver) servesBeside(id replication.GroupID, g *groupHistory, holds func() bool) {
	ignorant := func(parent, part *groupHistory, node string) bool { return parent.at[node] < part.birth }
	complain := func(parent, part replication.GroupID, old, new string) {
		o.report(found(Leases, fmt.Errorf("sim: group %d: %s serves while %s has a lease as leader of group %d, from which the group was split off without its knowing",
			part, new, old, parent)))
	}
	if g.parent != 0 {
		parent := o.group(g.parent)
		for i := range parent.tenants {
			if t := &parent.tenants[i]; t.node != o.node && t.alive() && t.holds() && ignorant(parent, g, t.node) {
				complain(g.parent, id, t.node, o.node)
				return
			}
		}
	}
	for _, part := range g.parts {
		child := o.group(part)
		if !ignorant(g, child, o.node) || !holds() {
			continue
		}
		for i := range child.tenants {
			if t := &child.tenants[i]; t.node != o.node && t.alive() && t.holds() {
				complain(id, part, o.node, t.node)
				return
			}
		}
	}
}

// A bond is until when a replica takes itself for bound to the leaders that it has promised
// something, by the clock of a life of its node.
type bond struct {
	until env.Mono
	clock func(env.Mono) env.Mono // of that life
	term  uint64                  // of the latest leader
	prior *bond                   // to leaders before that term; nil: none
}

// before is the bond to leaders of terms before one.
func (b bond) before(term uint64) bond {
	if b.term < term {
		return b
	}
	if b.prior == nil {
		return bond{}
	}
	return *b.prior
}

// ends is the true time; it is now, or earlier, if the bond is over.
func (b *bond) ends() env.Mono {
	if b.clock == nil {
		return 0
	}
	return b.clock(b.until)
}

// Bound checks that a replica does not forget that it is bound, also when it is started again.
func (o *nodeObserver) Bound(id replication.GroupID, term uint64, until env.Mono) {
	if o.noLeases {
		return
	}
	g := o.group(id)
	before := g.bonds[o.id]
	if before.clock == nil && len(g.leaders) == 0 {
		o.boundFromBirth(id, g, until)
	}
	if before.term > g.vows[o.node].term && term < before.term {
		before = before.before(before.term) // it has not answered that leader: nobody counts on it
	}
	now := bond{until: until, clock: o.clock, term: max(term, before.term)}
	switch {
	case term > before.term:
		last := bond{until: before.until, clock: before.clock, term: before.term}
		now.prior = &last
	case term == before.term:
		now.prior = before.prior
	default:
		now.prior = &bond{until: until, clock: o.clock, term: term}
	}
	if short := before.ends() - now.ends(); short > 0 && before.clock != nil {
		o.report(found(Leases, fmt.Errorf("sim: group %d: %s has promised a leader to be bound for %s longer than it takes itself to be",
			id, o.node, time.Duration(short))))
		return
	}
	g.bonds[o.id] = now
}

// boundFromBirth checks that whoever begins as a voter of a group that was split off is bound as a voter of the parent
// is: leaders of that one may serve what has gone to the part.
func (o *nodeObserver) boundFromBirth(id replication.GroupID, g *groupHistory, until env.Mono) {
	if g.parent == 0 {
		return
	}
	b := o.group(g.parent).bonds[o.id]
	if short := b.ends() - o.clock(until); short > 0 && b.clock != nil {
		o.report(found(Leases, fmt.Errorf("sim: group %d: %s takes itself for bound for %s less than it is as a replica of group %d, from which the group was split off",
			id, o.node, time.Duration(short), g.parent)))
	}
}

// Voted checks that a vote says how long the one who gives it is bound, and that whoever gives
// it has again what it said it has before its replica was removed: others were elected, and have
// committed entries, counting on that.
func (o *nodeObserver) Voted(id replication.GroupID, term uint64, until env.Mono, last uint64) {
	if acked := o.group(id).acked[o.id]; last < acked && (o.forgives == nil || !o.forgives(o.node)) {
		o.report(found(Completeness, fmt.Errorf("sim: group %d: %s votes with a log that ends with entry %d, but had said that it has entry %d, which is committed",
			id, o.node, last, acked)))
	}
	if o.noLeases {
		return
	}
	b := o.group(id).bonds[o.id].before(term)
	if short := b.ends() - o.clock(until); short > 0 && b.clock != nil {
		o.report(found(Leases, fmt.Errorf("sim: group %d: a vote of %s hides that it is bound to an earlier leader for another %s",
			id, o.node, time.Duration(short))))
	}
}

// Leased checks that a lease does not last longer than a majority of the voters is bound: else
// a later leader may be elected whom nobody has told of it, whether or not there is one.
func (o *nodeObserver) Leased(id replication.GroupID, term uint64, until env.Mono, voters, outgoing []uint64) {
	if o.noLeases {
		return
	}
	g, ends := o.group(id), o.clock(until)
	if until == 0 {
		delete(g.leases, o.node)
		return
	}
	g.leases[o.node] = leased{term, ends}
	for _, majority := range [][]uint64{voters, outgoing} {
		bound := 0
		for _, v := range majority {
			b := g.bonds[v]
			if v == o.id || b.ends() >= ends {
				bound++
			}
		}
		if len(majority) > 0 && bound <= len(majority)/2 {
			o.report(found(Leases, fmt.Errorf("sim: group %d: the lease of %s as leader of term %d lasts longer than %d of its voters %v are bound",
				id, o.node, term, len(majority)-bound, majority)))
			return
		}
	}
}
