package replication

import (
	"cmp"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
)

// Nodes watch each other, so that groups that have nothing to do need not. Each
// sends a beat every beatTicks to every node that it shares a group with; whatever comes
// from a node shows that it lives.
//
// A peer is silent when nothing has come for an election timeout of this node's own
// ticks: a process that was stopped has not ticked, and does not take its own
// absence for everybody else's.
type liveness struct {
	mu    env.Leaf
	peers map[uint64]*peer // by node
	nodes []uint64         // theirs, sorted; not changed in place. nil: to be made

	unfits atomic.Int32 // how many of them are unfit
}

type peer struct {
	node        uint64
	groups      int // of this node that have the peer as a member
	silence     int // ticks since it was heard
	incarnation uint64
	unfit       bool
}

// A news is what a worker must know about another node.
type news byte

const (
	newsSilent    news = iota // not heard for an election timeout
	newsRestarted             // it has lost its memory: who it leads, who it votes for
	newsBack                  // heard again after long
	newsUnfit                 // its disk is bad; it may be stuck (see Group.endure)
)

// beatTicks is how many ticks lie between two beats. Five of them fit into the silence of
// an election timeout, which begins with the last one: fewer beats do not notice later that a
// node is gone.
const beatTicks = 2

// longSilence is after how many ticks groups go to sleep without a member. It is
// longer than the silence after which that member's replica no longer sleeps.
const longSilence = 2 * electionTicks

func newLiveness(e *env.Env) *liveness {
	l := &liveness{peers: map[uint64]*peer{}}
	l.mu.Bind(e)
	return l
}

// join counts a group's members; leave takes them back.
func (l *liveness) join(nodes []uint64, self uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range nodes {
		if id == self {
			continue
		}
		p := l.peers[id]
		if p == nil {
			p = &peer{node: id}
			l.peers[id], l.nodes = p, nil
		}
		p.groups++
	}
}

func (l *liveness) leave(nodes []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range nodes {
		if p := l.peers[id]; p != nil {
			if p.groups--; p.groups == 0 {
				l.setFitLocked(p, true)
				delete(l.peers, id)
				l.nodes = nil
			}
		}
	}
}

// tick returns the peers, sorted, and those of them that are silent as of now.
func (l *liveness) tick() (all, silent []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.nodes == nil {
		l.nodes = slices.Sorted(maps.Keys(l.peers)) //sim:ok sorted
	}
	for _, id := range l.nodes {
		p := l.peers[id]
		if p.silence++; p.silence == electionTicks {
			silent = append(silent, id)
		}
	}
	return l.nodes, silent
}

// watches reports whether a node is a peer.
func (l *liveness) watches(node uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.peers[node] != nil
}

// heard notes that something has come from a node. b is nil if it was no beat.
func (l *liveness) heard(node uint64, b *beat) (list []news) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peers[node]
	if p == nil {
		return nil
	}
	if p.silence >= longSilence {
		list = append(list, newsBack)
	}
	p.silence = 0
	if b == nil {
		return list
	}
	if p.incarnation != b.incarnation && p.incarnation != 0 {
		list = append(list, newsRestarted)
	}
	if b.unfit && !p.unfit {
		list = append(list, newsUnfit)
	}
	p.incarnation = b.incarnation
	l.setFitLocked(p, !b.unfit)
	return list
}

func (l *liveness) setFitLocked(p *peer, fit bool) {
	switch {
	case p.unfit && fit:
		l.unfits.Add(-1)
	case !p.unfit && !fit:
		l.unfits.Add(1)
	}
	p.unfit = !fit
}

// isUnfit reports whether a node has said that it should not lead.
func (l *liveness) isUnfit(node uint64) bool {
	if l.unfits.Load() == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peers[node]
	return p != nil && p.unfit
}

// silence returns how many ticks ago a node was heard; of one that is not watched,
// longSilence.
func (l *liveness) silence(node uint64) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.peers[node]; p != nil {
		return p.silence
	}
	return longSilence
}

// fit reports whether a node is there and may lead.
func (l *liveness) fit(node uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peers[node]
	return p != nil && p.silence < electionTicks && !p.unfit
}

// startTicks begins to run the clock of groups with other members.
func (n *Node) startTicks() {
	n.mu.Lock()
	first := !n.ticking && !n.closed
	n.ticking = n.ticking || first
	n.mu.Unlock()
	if first {
		n.tasks.Go("raft-ticks", n.runTicks)
	}
}

func (n *Node) runTicks() error {
	for i := 0; ; i++ {
		if _, _, stopped := n.stop.AwaitFor(n.o.Tick); stopped {
			return nil
		}
		n.tick(i%beatTicks == 0)
	}
}

func (n *Node) tick(beats bool) {
	peers, silent := n.liveness.tick()
	if n.Err() == nil { // a node whose log has failed is as good as gone
		if n.checkFitness() || beats { // bad news do not wait
			n.beat(peers...)
		}
	}
	for _, id := range silent {
		n.e.Sometimes("replication: node is silent")
		n.tell(id, newsSilent)
	}
	for _, w := range n.workers {
		w.postTick()
	}
}

// beat sends the same bytes to all of them, which nobody changes.
func (n *Node) beat(to ...uint64) {
	bundle := appendBundleHeader(make([]byte, 0, bundleHeaderBytes+beatBytes))
	bundle = appendBeat(bundle, beat{n.incarnation, n.fitness.unfit.Load()})
	for _, id := range to {
		n.o.Transport.Send(transport.NodeID(id), transport.Raft, bundle)
	}
}

// hear takes notice of a bundle and of the beat in it, if there is one.
//
// A node that is not watched but watches this one gets an answer: the replica
// here may be empty, and not know who else is a member. A leader that has gone to
// sleep without it must learn that it is there.
func (n *Node) hear(from uint64, b *beat) {
	if b != nil && !n.liveness.watches(from) && n.Err() == nil {
		n.beat(from)
	}
	for _, what := range n.liveness.heard(from, b) {
		n.tell(from, what)
	}
}

func (n *Node) tell(node uint64, what news) {
	for _, w := range n.workers {
		w.post(func(err error) {
			if err == nil {
				w.learn(node, what)
			}
		})
	}
}

// learn lets the groups that it concerns act on news of a node. What they do is
// spread over time, because there may be thousands.
func (w *worker) learn(node uint64, what news) {
	for _, g := range slices.Clone(w.groups) {
		if g.sole.Load() || !g.running() {
			continue
		}
		follows := g.leader.Load() == node
		leads := g.lease.leads != 0 && g.hasMember(node)
		switch {
		case follows && (what == newsSilent || what == newsRestarted):
			w.forsake(g)
		case follows && what == newsUnfit:
			w.wakeUp(g)
			g.pause = int(uint64(g.id) % (electionTicks / 2)) // the same at all followers; see endure
		case leads && !g.awake && (what == newsSilent || what == newsRestarted || what == newsBack && g.without):
			w.wakeUp(g)
			g.pause = w.spread(electionTicks)
		}
	}
}

// spread returns a random number of ticks from 0 to most.
func (w *worker) spread(most int) int { return int(w.node.e.Rand() % uint64(most+1)) }

// forsake gives up on a leader whose node is silent, or has forgotten that it
// leads: the replica no longer protects it from other candidates, and is one
// itself unless another comes first.
func (w *worker) forsake(g *Group) {
	gone := g.leader.Load()
	if err := g.forgetLeader(); err != nil {
		w.drop(g, failed(err))
		return
	}
	g.leader.Store(0) // raft says so, too, with its next Ready
	w.activate(g)
	g.countdown = g.turn(gone)
}

// isNew reports whether the group has never had a leader, as far as this replica
// knows. Nobody has one to lose, so it need not wait for an election timeout.
func (g *Group) isNew() bool { return g.lease.term == 0 && !g.sole.Load() && !g.empty }

// turn returns after how many ticks a replica stands for election. The voters of a
// group take turns, two ticks apart, because candidates of the same moment split
// the votes; groups begin with different voters and at different ticks, because
// there may be thousands.
func (g *Group) turn(gone uint64) int {
	rank, n := 0, 0
	for _, id := range g.log.Members().GetVoters() { // sorted
		if id == g.node.o.NodeID {
			rank = n
		}
		if id != gone {
			n++
		}
	}
	id := uint64(g.id)
	turn := (rank + int(id%uint64(max(1, n)))) % max(1, n)
	return 1 + 2*turn + int(id/uint64(max(1, n))%(electionTicks/4+1))
}

// firstTurn is turn for a new group. One that was split off another group is led first by
// whoever vouches for it.
func (g *Group) firstTurn() int {
	switch {
	case g.vouches:
		return 1
	case g.seeded:
		return g.turn(0) + electionTicks/2
	}
	return g.turn(0)
}

// nextTurn is after how long a candidate of a new group tries again.
func (g *Group) nextTurn() int {
	if g.vouches {
		return 1
	}
	return electionTicks / 2
}

func (g *Group) forgetLeader() (err error) {
	defer g.guard(&err)
	g.enter()
	return g.raft.ForgetLeader()
}

func (g *Group) hasMember(node uint64) bool {
	_, found := slices.BinarySearchFunc(g.peers, node, cmp.Compare[uint64])
	return found
}

// watch has the node watch the group's members, and no longer those from before.
func (g *Group) watch(members Members) {
	all := members.others(g.node.o.NodeID)
	g.node.liveness.join(all, g.node.o.NodeID)
	g.node.liveness.leave(g.peers)
	g.peers = all
}

// unwatch is watch for a group that is no more.
func (g *Group) unwatch() {
	g.node.liveness.leave(g.peers)
	g.peers = nil
}
