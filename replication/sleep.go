package replication

import (
	"errors"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"github.com/statordb/stator/replication/raftlog"
)

// A group that has nothing to do sleeps: its replicas do not tick, and so send no
// heartbeats. How it goes to sleep:
//
//  1. The leader has seen no work for restTicks, and every member has all of its
//     log. From then on its heartbeats say that it is idle.
//  2. A follower that has applied all of that log sleeps, and says so in its
//     answer.
//  3. When all members have, the leader sleeps, too. One on a node that has
//     been silent for long does not count; the leader wakes when that node is
//     heard again.
//
// What wakes a replica: work, any message but an idle heartbeat, and news of the
// nodes that it depends on (see liveness). A follower that is woken by anybody
// but its leader wakes the leader. A leader that sleeps has no lease, because
// nobody echoes its clock: the next consistent read asks a majority.
//
// Should a wake-up call be lost, the patrol wakes every replica now and then.
type sleep struct {
	awake   bool // raft's clock runs
	listed  bool // on worker.clocked
	pause   int  // ticks until it does
	peers   []uint64
	resting int      // ticks without work
	asleep  []uint64 // while the leader rests: the members that have said that they sleep
	without bool     // some did not, because their node is silent
	sleepy  bool     // a follower that agrees that the group is idle
	index   uint64   // last entry at the last tick

	// unheard is how many ticks there were since the leader was heard, or more. While they are
	// fewer than an election timeout, a follower does nothing because of one.
	unheard int
	// countdown is how many ticks a replica waits before it stands for election
	// because its leader's node is gone; 0: it does not.
	countdown int
	// orphaned is how many ticks there has been no leader.
	orphaned int
	// endured is for how many ticks the leader has been one that should not lead.
	endured int
}

const (
	restTicks = 5
	// patrolTicks is how long it takes the patrol to come round.
	patrolTicks = 36_000
)

// wakeUp has a group tick.
func (w *worker) wakeUp(g *Group) {
	g.sleepy = false
	g.resting, g.asleep, g.without, g.pause = 0, g.asleep[:0], false, 0
	if g.awake || g.sole.Load() {
		return
	}
	g.awake = true
	if !g.listed {
		g.listed = true
		w.clocked = append(w.clocked, g)
	}
}

// postTick has the task tick. A tick that it has not come to is not repeated: a
// worker that could not run has not lost its leaders.
func (w *worker) postTick() {
	w.mu.Lock()
	if !w.awake && w.missed < w.spare && !w.node.fitness.unfit.Load() {
		w.missed++
		w.mu.Unlock()
		return
	}
	w.ticks = 1
	w.pokeAndUnlock()
}

// mayMiss returns how many ticks would do nothing, if nothing else happens before: none
// while a group's clock runs, a letter is to leave with the next one or leaderships are to be handed over, else
// those until the patrol comes by. So the worker of groups that all sleep does, too.
func (w *worker) mayMiss() int {
	if len(w.clocked) > 0 || !w.out.isEmpty() || w.evacuating > 0 || w.stuck.Load() > 0 {
		return 0
	}
	if len(w.groups) == 0 {
		return patrolTicks
	}
	return max(0, (patrolTicks-w.patrolled-1)/len(w.groups))
}

// tick advances the clocks of the groups that are awake.
func (w *worker) tick() {
	// A candidate writes, and cannot be told that there is no room.
	err := w.node.log.Reserve(&w.batch, int64(min(len(w.clocked), 64))*(startBytes+raftlog.EntryBytes(0)))
	w.node.noteFull(err)
	w.ticking = append(w.ticking[:0], w.clocked...)
	for _, g := range w.ticking {
		if g.role.Load() == roleStopped {
			g.awake = false
		}
		if !g.awake || !g.running() || err != nil && g.lease.leads == 0 {
			continue
		}
		if err := w.tickGroup(g); err != nil {
			w.drop(g, failed(err))
		}
	}
	w.clocked = slices.DeleteFunc(w.clocked, func(g *Group) bool {
		g.listed = g.awake
		return !g.awake
	})
	clear(w.ticking)
	w.patrol()
	w.evacuate()
}

func (w *worker) tickGroup(g *Group) error {
	switch {
	case g.sole.Load() || g.empty:
		g.awake = false
		return nil
	case g.pause > 0:
		g.pause--
		return nil
	}
	if g.lease.ceded && g.raft.BasicStatus().LeadTransferee == 0 {
		g.lease.resume()
	}
	g.rest()
	g.watchStrangers()
	if g.lease.leads != 0 && g.maySleep() {
		w.node.e.Sometimes("replication: group sleeps")
		g.awake = false
		return nil
	}
	w.endure(g)
	if g.orphaned++; g.leader.Load() != 0 {
		g.orphaned = 0
	}
	if g.role.Load() == roleStopped {
		return nil
	}
	if g.countdown > 0 {
		if g.countdown--; g.countdown == 0 && g.leader.Load() == 0 {
			if g.isNew() {
				g.countdown = g.nextTurn() // in case the others were not there yet
			}
			w.ready(g)
			return g.campaign()
		}
	}
	if g.lease.leads == 0 && !w.node.mayCampaign(g) {
		return nil // raft's clock would make it a candidate
	}
	if err := errors.Join(w.tellMembers(g), g.tickRaft()); err != nil {
		return err
	}
	g.unheard++
	leader := g.leader.Load()
	if follows := leader != 0 && leader != w.node.o.NodeID; follows && g.unheard < electionTicks && g.isSettled() {
		return nil // raft's clock has counted, and that is all; to ask raft costs allocations
	}
	return w.stir(g)
}

// rest counts the ticks without work.
func (g *Group) rest() {
	if g.touched.Swap(false) || g.index != g.last {
		g.index, g.resting, g.asleep = g.last, 0, g.asleep[:0]
		return
	}
	g.resting++
}

// isIdle reports whether the leader may say so.
func (g *Group) isIdle() bool {
	return g.lease.leads != 0 && g.resting >= restTicks
}

// maySleep reports whether a leader that rests may sleep.
func (g *Group) maySleep() bool {
	if !g.isIdle() || !g.isDone() {
		return false
	}
	g.without = false
	for _, id := range g.peers {
		if slices.Contains(g.asleep, id) {
			continue
		}
		if g.node.liveness.silence(id) < longSilence {
			return false
		}
		g.without = true
	}
	return true
}

// isDone reports whether nothing is under way, and all members that can be reached
// have the whole log.
func (g *Group) isDone() bool {
	g.dropPins()
	if g.applied != g.last || len(g.flights)+len(g.reads)+len(g.pins) > 0 || g.transfer != nil || g.lease.wait > 0 || g.lease.ceded {
		return false
	}
	done := !g.isJoint() && !g.tale.due
	g.raft.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		if id != g.node.o.NodeID && p.Match != g.last && g.node.liveness.silence(id) < longSilence {
			done = false
		}
	})
	return done
}

// hasAll reports whether a member has the whole log. One that lacks the end of it does not know, and says that it sleeps: raft tells no
// member of more that is committed than it is known to have.
func (g *Group) hasAll(member uint64) (all bool) {
	g.raft.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		all = all || id == member && p.Match == g.last
	})
	return all
}

// rouse decides whether a message that has arrived wakes the group. It is asked
// before raft sees it.
func (w *worker) rouse(g *Group, m *message) {
	switch m.typ {
	case typeHeartbeat:
		term := m.raft.GetTerm()
		isLeader := term == g.lease.term && m.raft.GetFrom() == g.leader.Load()
		if m.note.idle && isLeader && m.raft.GetCommit() == g.last && g.applied == g.last {
			g.sleepy, g.awake, g.countdown = true, false, 0
			return
		}
	case typeHeartbeatResp:
		isOurs := g.lease.leads != 0 && m.raft.GetTerm() == g.lease.term
		if isOurs && m.note.idle && g.isIdle() && !slices.Contains(g.asleep, m.raft.GetFrom()) && g.hasAll(m.raft.GetFrom()) {
			g.asleep = append(g.asleep, m.raft.GetFrom())
		}
		if isOurs && (g.awake || m.note.idle) {
			return
		}
	}
	g.sleepy = false
	if g.awake && m.typ != typePreVote && m.typ != typeVote {
		return
	}
	wasAwake := g.awake
	w.wakeUp(g)
	if leader := g.leader.Load(); !wasAwake && leader != 0 && leader != m.raft.GetFrom() {
		w.call(g, leader)
	}
}

// call sends a wake-up call.
func (w *worker) call(g *Group, to uint64) {
	if to != w.node.o.NodeID {
		bundle := w.out.to(to, now)
		*bundle = appendWake(*bundle, g.id, g.lease.term)
	}
}

// called is told of a wake-up call. It comes from a follower, or from a leader that
// is no more.
func (w *worker) called(g *Group, from uint64) {
	if g.leader.Load() == from {
		w.forsake(g)
		return
	}
	w.activate(g)
}

// patrol wakes a few groups.
func (w *worker) patrol() {
	w.patrolled += len(w.groups)
	for w.patrolled >= patrolTicks {
		w.patrolled -= patrolTicks
		if len(w.groups) == 0 {
			return
		}
		w.place = (w.place + 1) % len(w.groups)
		if g := w.groups[w.place]; !g.awake && !g.sole.Load() && !g.empty && g.running() {
			w.activate(g)
			if leader := g.leader.Load(); leader != 0 {
				w.call(g, leader)
			}
		}
	}
}

func (g *Group) tickRaft() (err error) {
	defer g.guard(&err)
	g.enter()
	g.raft.Tick()
	return nil
}

func (g *Group) campaign() (err error) {
	if !g.node.mayCampaign(g) {
		return nil
	}
	defer g.guard(&err)
	g.enter()
	return g.raft.Campaign()
}
