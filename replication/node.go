package replication

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/internal/env"
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
	segments *env.Queue[struct{}]  // pokes the segment task
	unsynced *env.Queue[struct{}]  // pokes the sync task

	failure atomic.Pointer[error] // why the log stopped

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
	o.Tick = orDefault(o.Tick, 100*time.Millisecond)
	if o.Volatile {
		o.Sync = SyncNever
	}
	if len(o.Voters) == 0 {
		o.Voters = []uint64{o.NodeID}
	}
}

func orDefault[T comparable](v, value T) T {
	var zero T
	if v == zero {
		return value
	}
	return v
}

var errNoSender = errors.New("replication: other voters need a Sender")

func (o *Options) check() error {
	switch {
	case o.NodeID == 0:
		return errors.New("replication: Options.NodeID is 0")
	case !slices.Contains(o.Voters, o.NodeID):
		return fmt.Errorf("replication: node %d is not among the voters %v", o.NodeID, o.Voters)
	case len(o.Voters) > 1 && o.Sender == nil:
		return errNoSender
	case len(o.Voters) > 1 && o.Volatile:
		return errors.New("replication: a volatile log is not for groups with other voters")
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
	for i := range o.Workers {
		n.workers = append(n.workers, newWorker(n, i))
	}
	n.tasks.Go("raft-segments", n.runSegments)
	if o.Sync == SyncInterval {
		n.tasks.Go("raft-sync", n.runSync)
	}
	return n, nil
}

// Groups returns the ids of all groups in the log, sorted. A group pins the
// log until it is started or removed.
func (n *Node) Groups() []GroupID { return n.log.Groups() }

// Start creates a group, or resumes it where sm left off. When Start returns, a
// group that has no other voters leads itself and has applied every entry of
// its log.
//
// It returns ErrGroupRunning, ErrStopped, ErrFailed, ErrNoSpace, or ErrLogLost
// if the state machine and the log do not fit together.
func (n *Node) Start(id GroupID, sm StateMachine) (*Group, error) {
	if id == 0 {
		return nil, errors.New("replication: group 0")
	}
	if err := n.claim(id); err != nil {
		return nil, err
	}
	g, err := n.start(id, sm)
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

func (n *Node) start(id GroupID, sm StateMachine) (*Group, error) {
	storage, err := n.openStorage(id, sm.Applied())
	if err != nil {
		return nil, translate(err)
	}
	g := newGroup(n, storage, sm)
	if !g.sole {
		if n.o.Sender == nil {
			return nil, errNoSender
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
		return nil, err
	}
	return g, nil
}

// openStorage finds the group in the log, or adds it.
func (n *Node) openStorage(id GroupID, applied uint64) (*raftlog.Storage, error) {
	if s := n.log.Storage(id); s != nil {
		return s, n.log.Recover(s, applied)
	}
	if applied > 0 {
		return nil, fmt.Errorf("%w: state machine has applied %d entries of a group that is not in the log", ErrLogLost, applied)
	}
	autoLeave := false
	return n.log.Create(id, &raftpb.ConfState{Voters: n.o.Voters, AutoLeave: &autoLeave})
}

// Remove stops a group and drops its log. When Remove returns, no Apply of the
// group is running or will ever run, and a restart does not know the group. The
// caller deletes the state machine's data afterwards, not before: a group with
// a log and no data must not start.
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
	if g != nil {
		if err := g.worker.evict(g); err != nil {
			return err
		}
	}
	if err := n.log.Remove(id); err != nil {
		return fmt.Errorf("replication: remove group %d: %w", id, translate(err))
	}
	n.pokeSegments()
	return nil
}

// group returns a running group, or nil.
func (n *Node) group(id GroupID) *Group {
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
	n.segments.Close()
	n.unsynced.Close()
	_ = n.tasks.Wait()
	n.shorten()
	if err := n.log.Close(); err != nil {
		return fmt.Errorf("replication: close: %w", err)
	}
	return nil
}
