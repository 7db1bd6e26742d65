package replication

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/replication/raftlog"
)

// A Node is one process's share of all groups: the log and the workers.
//
// A Node is safe for concurrent use.
type Node struct {
	e     *env.Env
	store Store
	o     Options
	log   *raftlog.Log

	workers  []*worker
	tasks    *env.Group
	stop     *env.Future[struct{}] // set when Close begins
	streams  streams
	segments *env.Queue[struct{}] // pokes the segment task
	unsynced *env.Queue[struct{}] // pokes the sync task

	failure atomic.Pointer[error] // why the log stopped

	incarnation uint64 // of this life; never 0
	liveness    *liveness
	fitness     fitness

	// mu guards what is below.
	mu      env.Leaf
	groups  map[GroupID]*Group // nil while a group starts or goes
	closed  bool
	ticking bool
}

func (o *Options) setDefaults() {
	o.Dir = orDefault(o.Dir, "raft")
	o.Workers = orDefault(o.Workers, 1)
	o.Interval = orDefault(o.Interval, 100*time.Millisecond)
	o.SegmentBytes = orDefault(o.SegmentBytes, 16<<20)
	o.MaxSegments = orDefault(o.MaxSegments, 8)
	o.RoundBytes = orDefault(o.RoundBytes, 4<<20)
	o.QueueBytes = orDefault(o.QueueBytes, 16<<20)
	o.Snapshots = orDefault(o.Snapshots, 4)
	o.Tick = orDefault(o.Tick, DefaultTick)
	o.SlowSync = orDefault(o.SlowSync, electionTicks*o.Tick/4)
	o.ClockDriftPPM = min(orDefault(o.ClockDriftPPM, 10_000), maxClockDriftPPM)
	if o.Volatile {
		o.Sync = SyncNever
	}
}

func orDefault[T comparable](v, value T) T {
	var zero T
	if v == zero {
		return value
	}
	return v
}

var errNoTransport = errors.New("replication: groups with other members need a Transport")

func (o *Options) check() error {
	switch {
	case o.NodeID == 0:
		return errors.New("replication: Options.NodeID is 0")
	case o.Transport != nil && uint64(o.Transport.Self()) != o.NodeID:
		return fmt.Errorf("replication: node %d has the transport of node %d", o.NodeID, o.Transport.Self())
	}
	return nil
}

// Open replays the log in fs and returns a node whose groups wait for Start.
// A torn end of the log is cut off; damage gives a *corrupt.Error.
func Open(e *env.Env, fs vfs.FS, store Store, o Options) (*Node, error) {
	o.setDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	log, err := raftlog.Open(e, fs, raftlog.Options{
		NodeID: o.NodeID, Dir: o.Dir, SegmentBytes: o.SegmentBytes,
		Relaxed:  o.Sync != SyncAlways,
		Volatile: o.Volatile,

		KeepSegments: o.MaxSegments,
	})
	if err != nil {
		return nil, fmt.Errorf("replication: %w", err)
	}
	n := &Node{
		e: e, store: store, o: o, log: log,
		tasks:    env.NewGroup(e),
		stop:     env.NewFuture[struct{}](e),
		segments: env.NewQueue[struct{}](e, 1),
		unsynced: env.NewQueue[struct{}](e, 1),
		groups:   map[GroupID]*Group{},
	}
	n.mu.Bind(e)
	n.incarnation, n.liveness = e.Rand()|1, newLiveness(e)
	n.streams = streams{last: e.Rand(), out: map[uint64]*outbound{}, in: map[GroupID]*inbound{}}
	n.streams.mu.Bind(e)
	for i := range o.Workers {
		n.workers = append(n.workers, newWorker(n, i))
	}
	n.tasks.Go("raft-segments", n.runSegments)
	if o.Sync == SyncInterval {
		n.tasks.Go("raft-sync", n.runSync)
	}
	if o.Transport != nil {
		o.Transport.Handle(transport.Raft, n.receive)
		o.Transport.Handle(transport.Snapshot, n.receiveFrame)
	}
	return n, nil
}

// ID returns the node's id.
func (n *Node) ID() uint64 { return n.o.NodeID }

// Groups returns the ids of all groups in the log, sorted. A group pins the
// log until it is started or removed.
func (n *Node) Groups() []GroupID { return n.log.Groups() }

// Start creates a group with the given voters, this node among them, or resumes
// it where sm left off; then the voters say nothing. When Start returns, a group
// that has no other members leads itself and has applied every entry of its log.
//
// Every voter of a new group must be started so, until Start has returned once;
// from then on the replica is known here. If it is removed later, it may come
// back only as an empty one.
//
// A new replica without voters is empty: it takes nothing but a snapshot from the leader
// of a group that has added it, and votes for nobody unless the node never had one of the group before.
//
// It returns ErrGroupRunning, ErrStopped, ErrFailed, ErrNoSpace, or ErrLogLost
// if the state machine and the log do not fit together.
func (n *Node) Start(id GroupID, sm StateMachine, voters []uint64) (*Group, error) {
	switch {
	case id == 0:
		return nil, errors.New("replication: group 0")
	case len(voters) > 0 && !slices.Contains(voters, n.o.NodeID):
		return nil, fmt.Errorf("replication: group %d: node %d is not among the voters %v", id, n.o.NodeID, voters)
	}
	if err := n.claim(id); err != nil {
		return nil, err
	}
	g, err := n.start(id, sm, voters)
	n.settle(id, g)
	if err != nil {
		return nil, fmt.Errorf("replication: start group %d: %w", id, err)
	}
	return g, nil
}

// claim takes the id of a group that is not running.
func (n *Node) claim(id GroupID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return ErrStopped
	}
	if _, ok := n.groups[id]; ok {
		return fmt.Errorf("%w: %d", ErrGroupRunning, id)
	}
	n.groups[id] = nil
	return nil
}

// settle ends a claim: with a running group, or with none.
func (n *Node) settle(id GroupID, g *Group) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if g == nil {
		delete(n.groups, id)
		return
	}
	n.groups[id] = g
}

func (n *Node) start(id GroupID, sm StateMachine, voters []uint64) (*Group, error) {
	storage, err := n.openStorage(id, sm, voters)
	if err != nil {
		return nil, translate(err)
	}
	g := newGroup(n, storage, sm)
	if !g.sole.Load() {
		if err := n.mayHavePeers(); err != nil {
			n.liveness.leave(g.peers)
			return nil, err
		}
		n.startTicks()
	}
	f := env.NewFuture[struct{}](n.e)
	g.worker.post(func(err error) {
		if err != nil {
			f.Set(struct{}{}, err)
			return
		}
		g.started = f
		g.worker.adopt(g)
	})
	if _, err := f.Await(); err != nil {
		g.worker.post(func(error) { g.unwatch() })
		return nil, err
	}
	return g, nil
}

// mayHavePeers says what forbids groups with other members.
func (n *Node) mayHavePeers() error {
	switch {
	case n.o.Transport == nil:
		return errNoTransport
	case n.o.Volatile:
		// A node that ends would forget what it has promised as a voter, and
		// its successor must not have its id. Nobody could see to that.
		return errors.New("replication: a volatile log is not for groups with other members")
	}
	return nil
}

// openStorage finds the group in the log, or adds it.
func (n *Node) openStorage(id GroupID, sm StateMachine, voters []uint64) (*raftlog.Storage, error) {
	if s := n.log.Storage(id); s != nil {
		err := n.recover(s, sm)
		if err == nil {
			n.observeResumed(s)
		}
		return s, err
	}
	isSeeded := isAtSeed(sm) && len(voters) > 0
	if applied := sm.Applied(); applied > 0 && !isSeeded {
		return nil, fmt.Errorf("%w: state machine has applied %d entries of a group that is not in the log", ErrLogLost, applied)
	}
	if len(voters) != 1 {
		if err := n.mayHavePeers(); err != nil {
			return nil, err
		}
	}
	if n.o.Observer != nil {
		n.o.Observer.Created(id)
	}
	isBlank := len(voters) == 0 && !n.log.Retired(id)
	s, err := n.log.Create(id, &raftpb.ConfState{Voters: slices.Sorted(slices.Values(voters)), AutoLeave: &isBlank})
	if err == nil && isSeeded {
		if err = n.log.Begin(s, seed, s.Members()); err == nil {
			err = n.log.Recover(s, SeedIndex)
		}
	}
	if err == nil {
		n.observeResumed(s)
	}
	return s, err
}

// recover brings the log and the state machine together.
func (n *Node) recover(s *raftlog.Storage, sm StateMachine) error {
	changed := sm.Members() != nil
	if changed {
		members, err := decodeMembers(sm.Members())
		if err != nil {
			return err
		}
		s.SetMembers(members)
	}
	index, term := sm.Restored()
	snapshot := raftlog.EntryID{Index: index, Term: term}
	switch {
	case index == 0 || s.Has(snapshot):
	case isAtSeed(sm):
		if err := n.beginAtSeed(s, sm.(Splitting)); err != nil {
			return err
		}
	default:
		n.e.Sometimes("replication: snapshot installed, log not switched")
		if err := n.log.Restore(s, snapshot, s.Members()); err != nil {
			return err
		}
	}
	if err := n.log.Recover(s, sm.Applied()); err != nil {
		return err
	}
	if changed {
		s.Compact(firstIndex)
	}
	return nil
}

// Remove stops a group and drops its log. When Remove returns, no Apply of the
// group is running or will ever run, and a restart does not know the group. The
// caller deletes the state machine's data afterwards, not before: a group with
// a log and no data must not start.
//
// If the group has other members, what this replica has promised them as a voter
// stays behind, a few bytes, in case it is started again; see Forget.
func (n *Node) Remove(id GroupID) error {
	n.mu.Lock()
	g, known := n.groups[id]
	switch {
	case n.closed:
		n.mu.Unlock()
		return ErrStopped
	case known && g == nil:
		n.mu.Unlock()
		return fmt.Errorf("%w: %d is starting or going", ErrGroupRunning, id)
	}
	n.groups[id] = nil
	n.mu.Unlock()
	defer n.settle(id, nil)
	n.observeLeft(g)
	if g != nil {
		if err := g.worker.evict(g); err != nil {
			return err
		}
	}
	n.endInbound(id)
	if err := n.log.Remove(id); err != nil {
		return fmt.Errorf("replication: remove group %d: %w", id, translate(err))
	}
	n.pokeSegments()
	return nil
}

// Forget drops what Remove left of a replica, once the whole group is gone and
// its id will not be used again.
func (n *Node) Forget(id GroupID) error {
	if err := n.log.Forget(id); err != nil {
		return fmt.Errorf("replication: forget group %d: %w", id, translate(err))
	}
	return nil
}

// Retired reports whether a replica was removed here, of a group that others go on with, and
// not started since. If there is data of it, a crash has left it or brought it back; the
// caller deletes it before the replica is started again, which has to be an empty one.
func (n *Node) Retired(id GroupID) bool { return n.log.Retired(id) }

// lookup returns a group if it is running, and whether the node knows of it.
func (n *Node) lookup(id GroupID) (g *Group, known bool) {
	n.mu.Lock()
	g, known = n.groups[id]
	closed := n.closed
	n.mu.Unlock()
	return g, known || closed || n.log.Storage(id) != nil
}

// Group returns a group that runs here, nil if there is none of that id.
func (n *Node) Group(id GroupID) *Group {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.groups[id]
}

// Err returns why the node accepts no more proposals, or nil.
func (n *Node) Err() error {
	if p := n.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// fail stops all proposals from now on.
func (n *Node) fail(err error) error {
	err = translate(err)
	if n.failure.CompareAndSwap(nil, &err) {
		n.e.Sometimes("replication: log failed")
		for _, w := range n.workers {
			w.post(func(stopped error) {
				if stopped == nil {
					w.fail(err)
				}
			})
		}
	}
	return n.Err()
}

// translate turns what the log says into what this room promises.
func translate(err error) error {
	if errors.Is(err, raftlog.ErrFailed) && !errors.Is(err, ErrFailed) {
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	return err
}

// Close stops all groups, finishes what they have proposed, makes the log
// durable and closes it. The store, which must still be open, is asked to flush,
// so that the next Open finds next to nothing to replay. Close may be called
// more than once.
func (n *Node) Close() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil
	}
	n.closed = true
	n.mu.Unlock()
	n.stop.Set(struct{}{}, nil)
	for _, w := range n.workers {
		w.close()
	}
	n.closeStreams()
	n.segments.Close()
	n.unsynced.Close()
	_ = n.tasks.Wait()
	n.shorten()
	if err := n.log.Close(); err != nil {
		return fmt.Errorf("replication: close: %w", err)
	}
	return nil
}
