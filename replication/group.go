package replication

import (
	"fmt"
	"sync/atomic"

	"go.etcd.io/raft/v3"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/invariant"
	"github.com/statordb/stator/replication/raftlog"
)

// A Group is this node's replica of one group. Its exported methods are safe
// for concurrent use, but must not be called by its own state machine.
type Group struct {
	id     GroupID
	node   *Node
	worker *worker
	sm     StateMachine
	log    *raftlog.Storage

	role   atomic.Uint32
	leader atomic.Uint64 // as last heard; 0: none
	sole   atomic.Bool   // this is the only member

	// Guarded by worker.mu.
	queue  []proposal
	closed error // why nothing is queued any more

	// Owned by the worker's task.
	raft    *raft.RawNode
	ready   raft.Ready
	batch   []proposal // taken from queue, about to be proposed
	number  uint64     // of the entry proposed last
	flights []flight   // proposed, not committed yet; oldest first
	last    uint64     // index of the last entry
	applied uint64
	active  bool // on worker.active
	reborn  bool // the members have changed since the group began
	empty   bool // it waits for its first snapshot
	blank   bool // it is empty, and this node has never had another one of the group; see isBlank

	splitting Splitting // sm, if it is one; immutable
	seeded    bool      // see seed.go; so are these
	vouches   bool
	fed       bool          // all members have entries, as this leader knows
	strange   int           // ticks for which some had none
	vouched   atomic.Uint64 // entry that has split a group off, see noteSplit

	appliedTerm      uint64        // of entry applied, if that was applied in this life
	offered          *installation // a staged snapshot that raft was just told of
	install          *installation // the snapshot that ready is about
	transfer         *transfer
	tale             tale
	pins             []pin // snapshots being sent
	noSnapshotBefore env.Mono
	batchBytes       int
	flying           int  // bytes of the flights
	given            bool // entries came since the log was acknowledged
	said             acknowledged
	stalled          bool // it waits for flights to arrive; see worker.isFlooded
	failure          error
	started          *env.Future[struct{}]
	reads            []read // ReadBarrier calls under way; oldest first
	lease            lease
	leased           func() bool // see lease.holds; nil until an observer is told
	touched          atomic.Bool // a read was served without the worker; see sleep
	sleep
}

// A role is what a group is to the outside.
type role = uint32

const (
	roleStarting role = iota
	roleFollower
	roleLeader
	roleStopped // removed, failed or closed; see Group.closed
)

// become changes the role and tells whoever wants to know.
func (g *Group) become(r role) {
	old := g.role.Swap(r)
	if r == roleLeader {
		g.lease.lead(g)
	} else {
		g.lease.revoke(g)
	}
	if f := g.node.o.OnRole; f != nil && (old == roleLeader) != (r == roleLeader) {
		f(g.id, r == roleLeader)
	}
}

// A proposal is a command that somebody waits for.
type proposal struct {
	cmd    []byte
	result *env.Future[any]
}

// A flight is the proposals that went into one entry.
type flight struct {
	number    uint64
	proposals []proposal
	bytes     int // of their commands
}

func newGroup(n *Node, s *raftlog.Storage, sm StateMachine) *Group {
	g := &Group{
		id: s.ID(), node: n, sm: sm, log: s,
		worker: n.workers[uint64(s.ID())%uint64(len(n.workers))],
		number: n.e.Rand(),
	}
	g.setMembers(s.Members())
	g.reborn = sm.Members() != nil
	n.seed(g)
	g.empty = len(s.Members().GetVoters()) == 0 && s.Last().Index == 0
	g.blank = g.empty && isBlank(s.Members())
	return g
}

const (
	electionTicks  = 10
	heartbeatTicks = 2

	maxMessageBytes     = 1 << 20
	maxInflightMessages = 256
	maxInflightBytes    = 16 << 20 // that a follower has not acknowledged
	maxUncommittedBytes = 64 << 20
	maxApplyBytes       = 4 << 20 // committed entries in memory at once
)

// open makes the raft instance.
func (g *Group) open() (err error) {
	defer g.guard(&err)
	g.enter()
	g.applied, g.last = g.sm.Applied(), g.log.Last().Index
	g.lease.restart(g)
	g.raft, err = raft.NewRawNode(&raft.Config{
		ID:            g.node.o.NodeID,
		ElectionTick:  electionTicks,
		HeartbeatTick: heartbeatTicks,
		Storage:       source{g.log, g},
		Applied:       g.applied,

		MaxSizePerMsg:             maxMessageBytes,
		MaxCommittedSizePerReady:  maxApplyBytes,
		MaxUncommittedEntriesSize: maxUncommittedBytes,
		MaxInflightMsgs:           maxInflightMessages,
		MaxInflightBytes:          maxInflightBytes,

		CheckQuorum:               true,
		PreVote:                   true,
		StepDownOnRemoval:         false, // see Group.handOver
		DisableProposalForwarding: true,  // the proposer chose the command's time

		Logger: quietLogger{},
	})
	return err
}

// enter announces whose raft code runs next; see Options.EnterGroup.
func (g *Group) enter() {
	if f := g.node.o.EnterGroup; f != nil {
		f(g.id)
	}
}

// guard turns raft's panics about its log into an error. In a simulation they
// are findings, and stop it.
func (g *Group) guard(err *error) {
	switch p := recover().(type) {
	case nil:
	case raftPanic:
		invariant.Check(!g.node.e.Simulated(), "raft: group %d: %s", g.id, p.message)
		*err = fmt.Errorf("replication: group %d: raft: %s", g.id, p.message)
	case *raftlog.ReadError:
		*err = fmt.Errorf("replication: group %d: %w", g.id, p)
	default:
		panic(p)
	}
}

// ID returns the group's id.
func (g *Group) ID() GroupID { return g.id }

// Leading reports whether this replica leads the group, as far as it knows. One whose
// log has not come back from a write for an election timeout does not: it has no lease
// any more, and others may lead. The same is true of one whose log has failed, which hears of
// nobody any more, as soon as its lease is over.
func (g *Group) Leading() bool {
	return g.role.Load() == roleLeader && g.worker.stuck.Load() == 0 && !g.isDeaf()
}

// isDeaf reports whether others may lead without this replica hearing of it: its log has failed,
// and it has no lease. A replica that is alone keeps its lease.
func (g *Group) isDeaf() bool {
	if g.node.Err() == nil {
		return false
	}
	_, leased := g.lease.check(g.node.e)
	return !leased
}

// Propose submits a command. The future is set once the command is applied
// here, with what Apply returned for it, and so after it is durable as
// Options.Sync says. The command must not be changed before that.
//
// Propose parks its caller while the worker's queue is full or the store asks
// for patience. An error that matches ErrUnknownOutcome leaves open what became
// of the command. With any other one nothing happened: ErrNoSpace, ErrNotLeader,
// ErrStopped, ErrFailed, or what Store.Admit or the file system said.
func (g *Group) Propose(cmd []byte) *env.Future[any] {
	f := env.NewFuture[any](g.node.e)
	if err := g.propose(proposal{cmd, f}); err != nil {
		f.Set(nil, err)
	}
	return f
}

func (g *Group) propose(p proposal) error {
	if err := g.node.Err(); err != nil {
		return err
	}
	if err := g.node.store.Admit(); err != nil {
		g.node.noteFull(err)
		return fmt.Errorf("replication: store refuses writes: %w", err)
	}
	return g.worker.enqueue(g, p)
}

// ReadBarrier returns when reads of the applied state reflect every command
// that was answered before the call. Under a lease the leader knows that by
// itself; otherwise it asks a majority. Other replicas return a *NotLeaderError.
func (g *Group) ReadBarrier() error {
	index, ok := g.lease.check(g.node.e)
	if ok && !g.touched.Load() {
		g.touched.Store(true)
	}
	switch {
	case ok && index == 0:
		return nil
	case ok:
		return g.awaitRead(index)
	case g.role.Load() == roleFollower:
		return g.notLeader()
	}
	return g.awaitRead(0)
}
