package replication

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
)

// A lease lets a leader answer consistent reads without asking anybody. The proof
// is in docs/replication.md. In short:
//
//  1. What a leader sends carries its clock (note.sent). Answers carry the
//     newest one of the term that their sender has seen (note.echo).
//  2. Who sees such a message promises that until an election timeout has
//     passed on its own clock, no vote of its hides the promise: a vote
//     granted says how long the promise still binds, and to whom.
//  3. The lease lasts an election timeout, less what clocks may differ, from
//     the newest time that a quorum has echoed.
//  4. A new leader may replicate at once, but serves no consistent read and
//     answers no proposal before the promises of a majority that has voted for
//     it are over (wait). A voter that was started again does not know what it
//     has promised, and is bound for the full time.
//  5. A leader that hands over gives its leases up first and says so, so that
//     promises to it need not be waited for.
//
// Raft's own lease (ReadOnlyLeaseBased) is not used: it has served stale reads
// with exact clocks, because the leader's window and its followers' are not
// aligned.
type lease struct {
	// until is the end of the lease on this node's clock; 0: there is none;
	// forever: nobody else could lead.
	// Invariant: it is 0 unless this replica leads in its current term, has
	// applied an entry of that term, and waits for nobody's lease.
	until atomic.Int64
	// announced is the highest commit index that others were told; others may
	// show what they have applied. shown is what this replica has applied.
	announced, shown atomic.Uint64

	// What is below belongs to the worker.

	term  uint64 // of raft, as of its last Ready
	leads uint64 // the term in which this replica leads; 0: it does not

	// As a leader.
	floor  env.Mono // leases from what was sent up to here were given up
	ceded  bool     // leadership is being handed over: no more leases
	echoes []echo
	wait   env.Mono     // when the leases of earlier leaders are over; 0: they are
	before env.Mono     // until when it waited already, in an earlier term that it led
	held   []heldAnswer // to be given then

	// As a follower.
	heard echo    // the leader of the highest term and its newest sent
	bound binding // what was promised last
	prior binding // what was promised before the term of bound
	lost  binding // what may have been promised in an earlier life

	// As a candidate: the votes that came in a term, by others, with their promises, and
	// the members who could vote. Some come when it leads already.
	voted  uint64
	votes  []vote
	voters *raftpb.ConfState
	given  binding // what the leader of a term has given up, see note.sent
}

const forever = math.MaxInt64

// maxClockDriftPPM leaves a lease at all.
const maxClockDriftPPM = 400_000

// An echo is the newest sent that a node has seen, or sent back.
type echo struct {
	node, term uint64
	sent       env.Mono
}

// A binding is a promise in terms of this node's clock.
type binding struct {
	until env.Mono
	term  uint64
	sent  env.Mono
}

// A vote is one that was granted, with what its voter has promised to others.
type vote struct {
	node     uint64
	promised binding // zero: nothing that binds it now
}

// covers reports whether giving up b makes p void, too.
func (b *binding) covers(p *binding) bool {
	return p.term < b.term || p.term == b.term && p.sent <= b.sent
}

// A heldAnswer is the result of a proposal that was applied while an earlier leader
// may still have had a lease: it could serve a read that does not know of it.
type heldAnswer struct {
	result *env.Future[any]
	value  any
}

// electionTimeout is how long a promise lasts.
func (n *Node) electionTimeout() time.Duration { return electionTicks * n.o.Tick }

// leaseTime is how long a lease lasts. If clocks run at rates within 1±ρ, a
// promise of T lasts at least T/(1+ρ) of true time, and a lease of T(1-2ρ) at most
// T(1-2ρ)/(1-ρ), which is less.
func (n *Node) leaseTime() time.Duration {
	t := n.electionTimeout()
	if plant.On(plant.LeaseOutlivesPromise) {
		return 2 * t
	}
	if plant.On(plant.LeaseIgnoresDrift) {
		return t
	}
	return t - t/1e6*time.Duration(2*n.o.ClockDriftPPM)
}

// restart binds a replica that may have promised something in an earlier life, or to a leader
// of the group from which its own was split off. One that never had other members has promised nothing.
func (l *lease) restart(g *Group) {
	l.term = g.log.Hard().Term
	if (l.term > 0 || (g.seeded || g.blank) && !plant.On(plant.ChildNotBound)) && (g.reborn || !g.sole.Load()) && !plant.On(plant.PromiseForgotten) {
		l.lost = binding{g.node.e.Now().Add(g.node.electionTimeout()), l.term, forever}
	}
	if g.vouches && l.term == 0 {
		l.given = givenAtBirth()
	}
	l.shown.Store(g.applied)
	g.observeBound(l.term, l.binding(g).until)
}

// follow notes what raft has become, before anybody is told.
func (l *lease) follow(g *Group) {
	rd := &g.ready
	changed := false
	if hs := rd.HardState; hs != nil && hs.GetTerm() != l.term {
		l.term, changed = hs.GetTerm(), true
		l.floor, l.ceded = 0, false
	}
	if changed || rd.SoftState != nil && rd.SoftState.RaftState != raft.StateLeader {
		l.revoke(g)
	}
	if changed && g.role.Load() == roleLeader {
		g.stepDown() // even if raft leads again by now
	}
}

func (l *lease) revoke(g *Group) {
	if l.until.Swap(0) != 0 {
		g.observeLeased(0, nil)
	}
	l.leads = 0
	l.echoes = l.echoes[:0]
}

// lead begins the leases of a term, once the replica has applied an entry of it.
func (l *lease) lead(g *Group) {
	if l.leads == l.term {
		return
	}
	l.leads = l.term
	l.shown.Store(g.applied)
	g.observeKnown()
	l.startWait(g)
}

// startWait works out when the leases of earlier leaders are over.
func (l *lease) startWait(g *Group) {
	l.before = l.wait // of answers that are held since this replica led before
	until := l.freeFrom(g)
	if plant.On(plant.NewLeaderDoesNotWait) {
		until = 0
	}
	l.wait = until
	if until > g.node.e.Now() {
		g.node.e.Sometimes("replication: a new leader waits for a lease")
		l.wakeAt(g, until)
		return
	}
	l.endWait(g)
}

// shorten looks whether a vote that came late ends the wait earlier: of the majorities that
// have voted, the one that is free first will do.
func (l *lease) shorten(g *Group) {
	if l.wait == 0 || l.leads != l.term || l.voted != l.term {
		return
	}
	until := l.freeFrom(g)
	if until >= l.wait {
		return
	}
	g.node.e.Sometimes("replication: a late vote shortens the wait for a lease")
	if l.wait = until; until > g.node.e.Now() {
		l.wakeAt(g, until)
		return
	}
	l.endWait(g)
}

// freeFrom returns the time on this node's clock at which no earlier leader can have a lease
// any more. A lease rests on promises of a majority, so each majority that votes for another
// leader has somebody in it who knows of them: it is over when the promises of any one of
// these majorities are.
func (l *lease) freeFrom(g *Group) env.Mono {
	own := l.binding(g)
	granted := []vote{{g.node.o.NodeID, own}}
	if l.voted != l.term {
		return max(l.before, l.end(&own)) // it votes alone
	}
	granted = append(granted, l.votes...)
	until, ok := l.earliest(granted, l.voters.GetVoters())
	if old := l.voters.GetVotersOutgoing(); ok && len(old) > 0 {
		var other env.Mono
		other, ok = l.earliest(granted, old)
		until = max(until, other)
	}
	if !ok { // raft counts otherwise: trust nobody
		for i := range granted {
			until = max(until, l.end(&granted[i].promised))
		}
	}
	return max(l.before, until)
}

// earliest returns when the promises of some majority of the voters are over, among those
// whose votes are there; false: they are no majority.
func (l *lease) earliest(granted []vote, voters []uint64) (env.Mono, bool) {
	var room [8]env.Mono
	ends := room[:0]
	for i := range granted {
		if slices.Contains(voters, granted[i].node) {
			ends = append(ends, l.end(&granted[i].promised))
		}
	}
	slices.Sort(ends)
	if len(ends) <= len(voters)/2 {
		return 0, false
	}
	return ends[len(voters)/2], true
}

// end returns when a promise is over, or what is left of it.
func (l *lease) end(p *binding) env.Mono {
	if p.until > 0 && l.given.sent > 0 && l.given.covers(p) {
		return min(p.until, l.given.until)
	}
	return p.until
}

// binding returns what this replica has promised.
func (l *lease) binding(g *Group) binding { return l.orLost(g, l.bound) }

// bindingBefore returns what a vote in a term has to say. The vote may leave after the
// candidate leads, and has been promised something itself.
func (l *lease) bindingBefore(g *Group, term uint64) binding {
	if l.bound.term == term {
		return l.orLost(g, l.prior)
	}
	return l.orLost(g, l.bound)
}

// orLost adds what may have been promised in an earlier life.
func (l *lease) orLost(g *Group, b binding) binding {
	if l.lost.until > g.node.e.Now() {
		b.until = max(b.until, l.lost.until)
		if !b.covers(&l.lost) {
			b.term, b.sent = l.lost.term, l.lost.sent
		}
	}
	return b
}

// wakeAt ends the wait once this node's clock shows a time, and not before: a timer may
// go off earlier if the clock was slowed down meanwhile.
func (l *lease) wakeAt(g *Group, until env.Mono) {
	g.node.e.After(until.Sub(g.node.e.Now()), func() {
		g.worker.post(func(err error) {
			switch {
			case err != nil:
			case g.node.e.Now() < until: // the clock has been slowed down since the timer was set
				g.node.e.Sometimes("replication: a timer is early")
				l.wakeAt(g, until)
			default:
				l.endWait(g)
			}
		})
	})
}

// endWait gives the answers that were held.
func (l *lease) endWait(g *Group) {
	if g.node.e.Now() < l.wait {
		return // there is another timer
	}
	l.wait = 0
	for _, a := range l.held {
		a.result.Set(a.value, nil)
	}
	l.held = nil
	l.renew(g)
	g.answerReads(nil)
}

// abandon fails the answers that are held, of a group that stops.
func (l *lease) abandon(reason error) {
	l.until.Store(0)
	for _, a := range l.held {
		a.result.Set(nil, fmt.Errorf("%w: %w", reason, ErrUnknownOutcome))
	}
	l.held = nil
}

// renew works out the end of the lease.
func (l *lease) renew(g *Group) {
	if l.leads == 0 || l.leads != l.term || l.wait != 0 || l.ceded {
		return
	}
	members := g.log.Members()
	now := g.node.e.Now()
	sent := l.quorum(g, members.GetVoters(), now)
	if old := members.GetVotersOutgoing(); len(old) > 0 && !plant.On(plant.LeaseIgnoresOutgoing) {
		sent = min(sent, l.quorum(g, old, now))
	}
	switch {
	case sent == forever:
		l.until.Store(forever)
	case sent <= l.floor:
		l.until.Store(0)
		return
	default:
		until := sent.Add(g.node.leaseTime())
		l.until.Store(int64(until))
		g.observeLeased(until, members)
	}
	g.observeServes()
}

// holds returns a function that says whether a consistent read would be served
// without asking anybody.
func (l *lease) holds(e *env.Env) func() bool {
	return func() bool {
		_, ok := l.check(e)
		return ok
	}
}

// quorum returns the newest time such that a majority of the voters has echoed it
// or a later one; forever if this node is a majority by itself.
func (l *lease) quorum(g *Group, voters []uint64, now env.Mono) env.Mono {
	if len(voters) == 1 && voters[0] == g.node.o.NodeID {
		return forever
	}
	var room [8]env.Mono
	times := room[:0]
	for _, v := range voters {
		t := env.Mono(0)
		if v == g.node.o.NodeID {
			t = now
		} else if e := l.echoOf(v); e != nil {
			t = e.sent
		}
		times = append(times, t)
	}
	slices.Sort(times)
	if len(times) == 0 {
		return 0
	}
	if plant.On(plant.LeaseWithoutQuorum) {
		return times[len(times)-1]
	}
	if plant.On(plant.EvenQuorum) {
		return times[len(times)/2]
	}
	return times[(len(times)-1)/2]
}

func (l *lease) echoOf(node uint64) *echo {
	for i := range l.echoes {
		if l.echoes[i].node == node {
			return &l.echoes[i]
		}
	}
	return nil
}

// arrived takes notice of a message before raft does. What a message of a leader
// promises is noted whether or not raft cares for it: too many promises do no harm.
func (l *lease) arrived(g *Group, m *message) {
	n, term, from := &m.note, m.raft.GetTerm(), m.raft.GetFrom()
	switch m.typ {
	case typeAppend, typeHeartbeat:
		if n.sent > 0 {
			l.promise(g, term, from, n.sent)
		}
	case typeAppendResp, typeHeartbeatResp:
		if n.echo > 0 && term == l.term {
			sent := n.echo
			if plant.On(plant.LeaseFromReceipt) {
				sent = g.node.e.Now()
			}
			l.echoed(from, sent)
		}
	case typeVoteResp:
		if !m.raft.GetReject() {
			l.vote(g, from, term, n.promise)
		}
	case typeTimeoutNow:
		b := binding{g.node.e.Now().Add(time.Duration(n.wait)), term, n.sent}
		if n.sent > 0 && b.covers(&l.given) {
			l.given = b
		}
	}
}

func (l *lease) promise(g *Group, term, from uint64, sent env.Mono) {
	if term > l.heard.term {
		l.heard = echo{from, term, sent}
	} else if term == l.heard.term {
		l.heard.sent = max(l.heard.sent, sent)
	}
	b := binding{g.node.e.Now().Add(g.node.electionTimeout()), term, sent}
	if term > l.bound.term {
		l.prior = l.bound
	}
	if b.covers(&l.bound) {
		l.bound = b
	} else {
		l.bound.until = max(l.bound.until, b.until)
		if term < l.bound.term {
			l.prior.until = max(l.prior.until, b.until)
		}
	}
	g.observeBound(term, l.binding(g).until)
}

func (l *lease) echoed(node uint64, sent env.Mono) {
	if e := l.echoOf(node); e != nil {
		e.sent = max(e.sent, sent)
	} else {
		l.echoes = append(l.echoes, echo{node: node, sent: sent})
	}
}

func (l *lease) vote(g *Group, from, term uint64, p promise) {
	if term != l.voted {
		l.voted, l.votes, l.voters = term, l.votes[:0], g.log.Members()
	}
	if slices.ContainsFunc(l.votes, func(v vote) bool { return v.node == from }) {
		return // what it said first holds
	}
	v := vote{node: from}
	if p.remaining > 0 {
		v.promised = binding{g.node.e.Now().Add(time.Duration(p.remaining)), p.term, p.sent}
	}
	l.votes = append(l.votes, v)
	l.shorten(g)
}

// stamp says what a message has to say about leases.
func (l *lease) stamp(g *Group, m *raftpb.Message) (n note) {
	switch m.GetType() {
	case raftpb.MsgApp, raftpb.MsgHeartbeat:
		if !l.ceded {
			n.sent = g.node.e.Now()
		}
		n.idle = m.GetType() == raftpb.MsgHeartbeat && g.isIdle() && len(m.GetContext()) == 0 && g.isDone()
		if c := m.GetCommit(); c > l.announced.Load() {
			l.announced.Store(c)
		}
	case raftpb.MsgAppResp, raftpb.MsgHeartbeatResp:
		if m.GetTerm() == l.heard.term && m.GetTo() == l.heard.node {
			n.echo = l.heard.sent
		}
		n.idle = m.GetType() == raftpb.MsgHeartbeatResp && g.sleepy
	case raftpb.MsgVoteResp:
		if m.GetReject() {
			break
		}
		b := l.bindingBefore(g, m.GetTerm())
		if left := b.until - g.node.e.Now(); left > 0 && !plant.On(plant.VoteHidesPromise) {
			n.promise = promise{left, b.term, b.sent}
		}
		g.observeVoted(m.GetTerm(), n.promise)
	case raftpb.MsgTimeoutNow:
		l.cede(g)
		if l.leads == 0 {
			break // it does not know yet which leases are left
		}
		n.sent = l.floor
		if l.wait > 0 {
			n.wait = max(0, l.wait-g.node.e.Now())
		}
	}
	return n
}

// cede gives up the lease, and all that what was sent until now could bring.
func (l *lease) cede(g *Group) {
	if l.floor = g.node.e.Now(); plant.On(plant.LeaseKeptInTransfer) {
		return
	}
	l.until.Store(0)
	l.ceded = true
	g.observeLeased(0, nil)
}

// resume takes leases again after a transfer that came to nothing. They count from
// what is sent from now on.
func (l *lease) resume() {
	l.ceded = false
}

// check says what the lease has to say about a read that begins now: whether it
// may be served, and which index must be applied first.
func (l *lease) check(e *env.Env) (index uint64, ok bool) {
	until := l.until.Load()
	if until == 0 || until != forever && int64(e.Now()) >= until && !plant.On(plant.StaleLeaderRead) {
		return 0, false
	}
	if index = l.announced.Load(); index <= l.shown.Load() {
		index = 0
	}
	return index, true
}
