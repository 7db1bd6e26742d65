package replication

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/replication/raftlog"
)

// A worker owns some of the node's groups. Its task runs their raft instances
// and state machines; everybody else only leaves work for it.
type worker struct {
	node *Node
	wake *env.Queue[struct{}]

	// mu guards what is below, and the queue and closed of the worker's groups.
	mu       env.Leaf
	dirty    []*Group // those with something in their queue; longest waiting first
	waiting  int      // proposals in the queues
	queued   int      // bytes of their commands
	full     []*env.Future[struct{}]
	posts    []func(error)
	in       inbox
	ticks    int          // 1: the task shall tick
	missed   int          // ticks that nobody needed; see mayMiss
	spare    int          // how many of those there may be, while the task waits
	spares   [][]proposal // empty; for the queues of groups that have none
	awake    bool         // a wake-up is under way or not needed
	stopping bool

	// Owned by the task.
	groups  []*Group // sorted by id
	active  []*Group // those whose raft may have something ready
	batch   raftlog.Batch
	taken   []*Group
	freed   [][]proposal // on their way to spares
	broken  []*Group     // those that a step must drop; why is in Group.failure
	live    int          // segments of the log when last looked at
	out     outbox
	reading []delivery // what inbox was
	// answered says that somebody was, since gather was last called.
	answered bool
	scratch

	flying     int      // bytes of the flights of all groups
	clocked    []*Group // those whose raft ticks, and some that were woken and sleep again
	ticking    []*Group // scratch of tick
	patrolled  int      // see patrol
	place      int      // in groups
	due        bool     // it is time to tick
	evacuating int      // ticks until the next try

	writing atomic.Int64 // when a write of the log began, as env.Mono; 0: none is under way
	stuck   atomic.Int32 // rounds for which it counts as stuck in a write; see checkFitness
}

func newWorker(n *Node, i int) *worker {
	w := &worker{node: n, wake: env.NewQueue[struct{}](n.e, 1)}
	w.mu.Bind(n.e)
	w.scratch.init()
	n.tasks.Go(fmt.Sprintf("raft-worker-%d", i), w.run)
	return w
}

// enqueue leaves a proposal for the next round. It parks while too many bytes
// are waiting; one command of any size is taken when nothing waits.
func (w *worker) enqueue(g *Group, p proposal) error {
	for {
		w.mu.Lock()
		if g.closed != nil {
			err := g.closed
			w.mu.Unlock()
			return err
		}
		if w.queued == 0 || w.queued+len(p.cmd) <= w.node.o.QueueBytes {
			break
		}
		room := env.NewFuture[struct{}](w.node.e)
		w.full = append(w.full, room)
		w.mu.Unlock()
		w.node.e.Sometimes("replication: queue full")
		_, _ = room.Await()
	}
	if len(g.queue) == 0 {
		w.dirty = append(w.dirty, g)
		w.lendQueueLocked(g)
	}
	g.queue = append(g.queue, p)
	w.queued += len(p.cmd)
	w.waiting++
	w.pokeAndUnlock()
	return nil
}

// post has f called by the worker's task; or with an error, and then maybe by
// the caller's task, if there will be no more rounds.
func (w *worker) post(f func(error)) {
	w.mu.Lock()
	if w.stopping {
		w.mu.Unlock()
		f(ErrStopped)
		return
	}
	w.posts = append(w.posts, f)
	w.pokeAndUnlock()
}

func (w *worker) close() {
	w.mu.Lock()
	w.stopping = true
	w.pokeAndUnlock()
}

func (w *worker) pokeAndUnlock() {
	poke := !w.awake
	w.awake = true
	w.mu.Unlock()
	if poke {
		w.wake.TrySend(struct{}{})
	}
}

// run is the worker's task.
func (w *worker) run() error {
	for w.wait() {
		w.gather()
		w.round()
	}
	w.stop()
	return nil
}

// wait parks until there is something to do. It reports false when the worker
// must end.
func (w *worker) wait() bool {
	for {
		w.mu.Lock()
		if w.stopping {
			w.mu.Unlock()
			return false
		}
		if len(w.dirty)+len(w.posts)+len(w.in.messages)+w.ticks+len(w.active) > 0 {
			w.mu.Unlock()
			return true
		}
		w.awake, w.spare = false, w.mayMiss()
		w.mu.Unlock()
		if len(w.out.words) == 0 && !w.out.has(soon) {
			w.wake.Recv()
		} else if _, woken := w.wake.RecvFor(w.linger()); !woken {
			w.flush(soon)
		}
	}
}

// gather lets those who were just answered propose again before the round
// closes, as long as that brings more: a sync costs the same for one and for
// many. It does not wait for those who do something else first, nor for anybody if
// nobody proposes anything and nobody was answered.
func (w *worker) gather() {
	answered := w.answered
	w.answered = false
	if !answered && w.proposals() == 0 {
		return
	}
	patience := 1
	if w.node.o.Sync == SyncAlways {
		patience = 4 // still less than 1 % of a sync
	}
	most := 0
	for idle := 0; idle < patience; idle++ {
		w.node.e.Yield()
		if n := w.proposals(); n > most {
			most, idle = n, -1
		}
	}
}

func (w *worker) proposals() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waiting
}

// take collects posts and, up to RoundBytes, the proposals of the groups that
// waited longest.
func (w *worker) take() (posts []func(error)) {
	w.mu.Lock()
	posts, w.posts = w.posts, nil
	w.due, w.ticks = w.ticks > 0, 0
	w.patrolled += w.missed * len(w.groups)
	w.missed = 0
	w.spares = append(w.spares, w.freed...)
	w.spares = w.spares[:min(len(w.spares), maxSpares)]
	room := w.node.o.RoundBytes
	if w.node.e.Buggify("replication: tiny round") {
		room = 1
	}
	budget := room
	n := 0
	for n < len(w.dirty) && (room > 0 || len(w.taken) == 0) {
		g := w.dirty[n]
		if w.isFlooded(g) {
			w.node.e.Sometimes("replication: too much in flight")
			g.stalled = true
			n++
			continue
		}
		room -= g.takeLocked(room)
		w.waiting -= len(g.batch)
		w.taken = append(w.taken, g)
		n++
		if len(g.queue) > 0 { // its turn comes again after the others
			w.dirty = append(w.dirty, g)
			break
		}
	}
	w.dirty = slices.Delete(w.dirty, 0, n)
	w.queued -= budget - room
	full := w.full
	w.full = nil
	w.mu.Unlock()
	clear(w.freed)
	w.freed = w.freed[:0]
	for _, f := range full {
		f.Set(struct{}{}, nil)
	}
	return posts
}

// takeLocked moves commands of up to room bytes, at least one, from the queue
// to the batch and returns their bytes.
func (g *Group) takeLocked(room int) (bytes int) {
	n := 0
	for n < len(g.queue) && (n == 0 || bytes+len(g.queue[n].cmd) <= room) {
		bytes += len(g.queue[n].cmd)
		n++
	}
	if n < len(g.queue) {
		g.batch = slices.Clone(g.queue[:n])
		g.queue = slices.Delete(g.queue, 0, n)
	} else {
		g.batch, g.queue = g.queue, nil
	}
	g.batchBytes = bytes
	return bytes
}

// isFlooded reports whether so much of a group is proposed and not committed that
// no more of it should be. What waits then stays in the queue, and when that is
// full, Propose parks.
func (w *worker) isFlooded(g *Group) bool {
	limit := w.node.o.QueueBytes
	return g.flying > limit/2 || g.flying > 0 && w.flying > 2*limit
}

// landed notes that a flight has arrived, or was given up.
func (w *worker) landed(g *Group, f *flight) {
	g.flying -= f.bytes
	w.flying -= f.bytes
	if !g.stalled || w.isFlooded(g) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	g.stalled = false
	if len(g.queue) > 0 {
		w.dirty = append(w.dirty, g)
	}
}

const (
	maxSpares     = 64
	maxSpareItems = 1024
)

// lendQueueLocked gives a group without a queue a used one. An idle group has
// none, so that many of them cost little.
func (w *worker) lendQueueLocked(g *Group) {
	if n := len(w.spares); g.queue == nil && n > 0 {
		g.queue, w.spares = w.spares[n-1], w.spares[:n-1]
	}
}

// free takes back a slice of proposals that were all answered.
func (w *worker) free(ps []proposal) {
	clear(ps)
	if cap(ps) <= maxSpareItems && len(w.freed) < maxSpares {
		w.freed = append(w.freed, ps[:0])
	}
}

// startBytes bounds what a group writes until it leads, beside the empty entry of a
// new leader: a vote, a term and how far it is committed.
const startBytes = 3 * raftlog.MarkBytes

// adopt takes charge of a group. Raft cannot be told that there is no room for
// what it wants to write, so there must be before it begins.
func (w *worker) adopt(g *Group) {
	err := w.node.Err() // of a write of another worker, which the log may not know yet
	if err == nil {
		err = w.node.log.Reserve(&w.batch, startBytes+raftlog.EntryBytes(0))
	}
	if err == nil {
		err = g.open()
	}
	if err != nil {
		g.started.Set(struct{}{}, translate(err))
		return
	}
	i, _ := slices.BinarySearchFunc(w.groups, g.id, compareGroup)
	w.groups = slices.Insert(w.groups, i, g)
	w.activate(g)
	if g.isNew() {
		g.countdown = g.firstTurn()
	}
}

func compareGroup(g *Group, id GroupID) int { return cmp.Compare(g.id, id) }

// activate has the next step look at a group that was given something to do.
func (w *worker) activate(g *Group) {
	w.wakeUp(g)
	w.ready(g)
}

// stir is ready for what mostly comes to nothing, such as the echo of a heartbeat: the
// group is left alone if raft has nothing to say and nothing else is under way.
func (w *worker) stir(g *Group) error {
	if !g.active && g.isSettled() {
		if more, err := g.hasReady(); !more || err != nil {
			return err
		}
	}
	w.ready(g)
	return nil
}

// isSettled reports whether settle would change nothing.
func (g *Group) isSettled() bool {
	if g.started != nil || g.offered != nil {
		return false
	}
	role := g.role.Load()
	return (role == roleLeader || role == roleFollower) && g.isVoter()
}

func (g *Group) hasReady() (more bool, err error) {
	defer g.guard(&err)
	g.enter()
	return g.raft.HasReady(), nil
}

// ready is activate for what is not work. A node whose log has failed takes no more
// steps: raft is not told that what it wanted to write last is done.
func (w *worker) ready(g *Group) {
	isWaiting := g.install != nil && !g.install.committed
	if !g.active && !isWaiting && w.node.Err() == nil {
		g.active = true
		w.active = append(w.active, g)
	}
}

// evict makes the worker forget a group and returns when it has.
func (w *worker) evict(g *Group) error {
	done := env.NewFuture[struct{}](w.node.e)
	w.post(func(err error) {
		if err == nil {
			w.drop(g, ErrStopped)
		}
		done.Set(struct{}{}, err)
	})
	_, err := done.Await()
	return err
}

// drop stops a group for good.
func (w *worker) drop(g *Group, reason error) {
	led := g.lease.leads != 0
	g.become(roleStopped)
	g.leader.Store(0)
	w.groups = slices.DeleteFunc(w.groups, func(x *Group) bool { return x == g })
	w.active = slices.DeleteFunc(w.active, func(x *Group) bool { return x == g })
	g.active = false
	w.refuse(g, reason)
	g.failFlights(reason)
	g.failReads(reason)
	g.endInstallation(reason)
	if g.transfer != nil {
		g.transfer.done.Set(struct{}{}, reason)
		g.transfer = nil
	}
	g.lease.abandon(reason)
	if led && !errors.Is(reason, ErrStopped) {
		for _, id := range g.peers {
			w.call(g, id) // if they sleep, nobody would notice
		}
	}
	g.awake = false
	g.unwatch()
	if g.started != nil {
		g.started.Set(struct{}{}, reason)
	}
}

// refuse fails what waits in the group's queue, now and later.
func (w *worker) refuse(g *Group, reason error) {
	w.mu.Lock()
	g.closed = reason
	queue := g.queue
	g.queue = nil
	w.waiting -= len(queue)
	for _, p := range queue {
		w.queued -= len(p.cmd)
	}
	w.dirty = slices.DeleteFunc(w.dirty, func(x *Group) bool { return x == g })
	full := w.full
	w.full = nil
	w.mu.Unlock()
	failProposals(queue, reason)
	for _, f := range full {
		f.Set(struct{}{}, nil)
	}
}

// reason returns why a group was dropped.
func (w *worker) reason(g *Group) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return g.closed
}

// stop ends the worker's groups.
func (w *worker) stop() {
	w.mu.Lock()
	posts := w.posts
	w.posts = nil
	w.mu.Unlock()
	for _, f := range posts {
		f(ErrStopped)
	}
	for len(w.groups) > 0 {
		w.drop(w.groups[0], ErrStopped)
	}
}

func failProposals(ps []proposal, err error) {
	for _, p := range ps {
		p.result.Set(nil, err)
	}
}

// failFlights gives up on proposals whose fate is open.
func (g *Group) failFlights(reason error) {
	for i := range g.flights {
		f := &g.flights[i]
		g.worker.landed(g, f)
		err := fmt.Errorf("%w: %w", reason, ErrUnknownOutcome)
		if plant.On(plant.UnknownReportedAsFailed) {
			err = reason
		}
		failProposals(f.proposals, err)
	}
	g.flights = nil
}
