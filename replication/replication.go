package replication

import (
	"errors"
	"time"

	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/replication/raftlog"
)

// A GroupID names one replicated group. It is chosen by the caller and never
// 0; an id may be used again after Node.Remove.
type GroupID = raftlog.GroupID

// A StateMachine is what a group replicates.
//
// Its methods are called by the group's worker task only (Applied, Members and
// Restored also by Node.Start, before the worker knows the group).
type StateMachine interface {
	// Apply carries out one committed entry: its commands in order, one result
	// each. Entries that raft writes for itself come with no commands.
	//
	// Apply is deterministic and records index durably in the same batch as
	// its effects, also when there are no commands. Indexes arrive in order,
	// without gaps, each once. The commands are valid until Apply returns.
	Apply(index uint64, commands [][]byte) []any
	// ApplyMembers carries out a committed entry that changed the group's
	// members: it records them in the same batch as index.
	ApplyMembers(index uint64, members []byte)
	// Applied returns the index recorded by the last Apply or ApplyMembers
	// whose effects are in the store, or that of the snapshot that replaced
	// them: 0 in an empty one.
	Applied() uint64
	// Members returns the members recorded last, by ApplyMembers or with
	// a snapshot; nil if the group still has those that it started with.
	Members() []byte
	// Snapshot pins the state as of Applied. It is quick; the reader is used
	// and closed by another task.
	Snapshot() (SnapshotReader, error)
	// Restore begins to stage a snapshot of another replica, beside the
	// present state. It is called by any task; so are Write and Abort. One
	// snapshot is staged at a time. What a crash leaves of a staged one is the
	// state machine's to clear away.
	Restore(meta SnapshotMeta) (SnapshotWriter, error)
	// Restored returns index and term of the snapshot that was committed last,
	// zeros if there was none. The log is switched to it afterwards; if a crash
	// comes between, the next Start does it.
	Restored() (index, term uint64)
}

// A Splitting is a StateMachine that can split off others, whose groups then begin with
// a state that is in no log (package partition draws it). Its methods may be called by
// any task.
type Splitting interface {
	StateMachine
	// Seed says which entry of which group the state comes from that the group
	// began with; zeros if it began with none.
	//
	// Such a group begins behind SeedIndex: its state machine has applied that entry, and says so in Restored,
	// together with SeedTerm.
	Seed() (parent GroupID, index uint64)
	// SeedVoters returns the members that the group began with, none if Seed has zeros.
	SeedVoters() []uint64
	// LastSplit returns the last entry applied in this life that split off a group.
	LastSplit() uint64
	// Holds returns the first entry that the log must keep; 0 if there is none. It splits a group off whose first state is not known to be
	// on a majority of its voters: a member that skipped the entry would not have that
	// state, and has no more the one that it would make it of.
	Holds() uint64
	// Carries reports whether a snapshot takes along, as of now, the first states of all groups for which the log is held. Else
	// none is sent.
	Carries() bool
}

// SeedIndex and SeedTerm are of the entry behind which a group begins that was split off another one. Nobody has written it: it stands
// for the state that the group begins with. So that state can be sent as a snapshot, like any other, to a member that has none
// (ADR 43).
const (
	SeedIndex = 1
	SeedTerm  = 1
)

// A SnapshotMeta says what a snapshot is of.
type SnapshotMeta struct {
	Index, Term uint64 // of the last entry that is in it
	Members     []byte // as of that entry; see DecodeMembers
}

// A SnapshotReader reads the state of a replica as it was when it was pinned.
type SnapshotReader interface {
	// Next returns the next chunk, at most MaxChunkBytes, or io.EOF. It is
	// valid until the next call.
	Next() ([]byte, error)
	Close()
}

// A SnapshotWriter takes in the chunks of a snapshot, in order.
type SnapshotWriter interface {
	Write(chunk []byte) error
	// Commit replaces the whole state, durably and in one step of the store:
	// before it nothing has changed, after it Applied, Members and Restored
	// are those of the snapshot. It is the last call, also if it fails.
	Commit() error
	// Abort throws away what was staged.
	Abort()
}

// MaxChunkBytes bounds a chunk of a snapshot.
const MaxChunkBytes = 1 << 20

// A Store is the engine that the state machines of a node write to. The log
// keeps an entry until the store no longer needs it to recover.
type Store interface {
	// LastSeq returns the sequence number of the last applied batch.
	LastSeq() uint64
	// FlushedSeq returns the sequence number up to which batches survive a
	// crash: the store then recovers exactly this prefix or a longer one.
	FlushedSeq() uint64
	// Flush raises FlushedSeq to at least the LastSeq at the time of the call.
	Flush() error
	// Admit is asked before each proposal. It may delay its caller, or refuse
	// with an error (vfs.ErrNoSpace when the store cannot flush).
	Admit() error
}

// A SyncMode says when a proposal counts as durable.
type SyncMode byte

const (
	// SyncAlways: before it is applied and answered. An acknowledged write
	// survives a power cut.
	SyncAlways SyncMode = iota
	// SyncInterval: within Options.Interval. An acknowledged write survives a
	// crash of the process; a power cut may take the last interval's writes.
	SyncInterval
	// SyncNever: when the operating system feels like it.
	SyncNever
)

// Options configure a Node. The zero value of every field but NodeID is good.
type Options struct {
	// NodeID names this node; it is never 0 and never used by another node of
	// the same groups, not even after this one is gone.
	NodeID uint64
	// Dir holds the log. Default "raft".
	Dir string
	// Workers is the number of tasks that share the groups. Default 1.
	Workers int
	// Sync says when a proposal counts as durable. Default SyncAlways.
	Sync SyncMode
	// Volatile is for databases in memory, which end with the process: the log
	// forgets entries once they are applied. Sync is then SyncNever.
	Volatile bool
	// Interval is SyncInterval's interval. Default 100 ms.
	Interval time.Duration
	// SegmentBytes is the size of the log's segments. Default 16 MB.
	SegmentBytes int64
	// MaxSegments is how many segments may live before the store is asked to
	// flush so that the oldest can go. Entries of groups with other members
	// stay until then for those that lag. Default 8.
	MaxSegments int
	// KeepEntries limits how many applied entries of a group are kept for
	// members that lag; who needs an earlier one gets a snapshot. Default 0: as
	// many as there are in the segments.
	KeepEntries int
	// RoundBytes limits the commands of one round of a worker; a round takes
	// at least one command. Default 4 MB.
	RoundBytes int
	// QueueBytes limits the commands that wait at a worker. When they exceed
	// it Propose parks its caller. Half as much of a group, and twice as much of all
	// groups of a worker, may be proposed and not committed before more waits.
	// Default 16 MB.
	QueueBytes int
	// Transport carries messages to the other nodes of the groups; their ids
	// there are those here. Default: none, for a node whose groups have no
	// other members. Open takes charge of the lanes Raft and Snapshot.
	Transport transport.Transport
	// Snapshots is how many snapshots the node sends at a time, and how many it
	// takes in. Each has at most four chunks under way. Default 4.
	Snapshots int
	// Tick is the length of raft's clock tick for groups that have other
	// voters; a heartbeat takes one, an election timeout ten. It is the same at all
	// nodes, which the transport sees to. Default DefaultTick, 100 ms.
	Tick time.Duration
	// SlowSync is how long writes of the log may take, smoothed over a few, before
	// the node hands its leaderships to others. Default a quarter of the election
	// timeout.
	SlowSync time.Duration
	// ClockDriftPPM bounds how much faster or slower than true time the
	// monotonic clock of any node runs, in parts per million; consistent reads
	// rely on it (see docs/replication.md). Default 10,000, which is 1 %. At most
	// 400,000.
	ClockDriftPPM int
	// EnterGroup, if set, is called by the worker before it runs raft code of
	// a group. Raft draws its election jitter from crypto/rand.Reader, a
	// variable; whoever replaces that reader learns here whose draw comes
	// next, and can give every node and group a stream of its own.
	EnterGroup func(GroupID)
	// Observer, if set, is told what the node's groups do. Default: nobody is.
	Observer Observer
	// OnRole, if set, is called by the group's worker when the replica begins
	// to lead its group, having applied everything of earlier terms, and when
	// it no longer does. It must not park.
	OnRole func(id GroupID, leading bool)
	// OnUnknown, if set, is called when a message for a group arrives that this
	// node has no replica of. It must not park, and is called again and again.
	OnUnknown func(from uint64, id GroupID)
}

// DefaultTick is Options.Tick if that is 0.
const DefaultTick = 100 * time.Millisecond

// ErrNoSpace means that the disk is full: the proposal was refused before
// anything happened, and will be accepted again once there is room.
var ErrNoSpace = vfs.ErrNoSpace

// What a failed proposal may match. Unless ErrUnknownOutcome is in the chain, too,
// the command was not proposed and nothing happened.
var (
	// ErrStopped means that the node is closed or the group removed.
	ErrStopped = errors.New("replication: stopped")
	// ErrFailed means that a write or sync of the log failed, so that the node
	// accepts no more proposals until it is opened again. Applied state can
	// still be read. If Node.Err is nil, it is this group alone that cannot go
	// on, because a committed entry is unreadable; then it refuses reads, too.
	ErrFailed = errors.New("replication: log failed")
	// ErrNotLeader means that another voter leads the group, or none does.
	ErrNotLeader = errors.New("replication: not the leader")
	// ErrUnknownOutcome means that the command was proposed and may or may not
	// be, or become, committed.
	ErrUnknownOutcome = errors.New("replication: outcome unknown")
	// ErrLogLost means that the log lacks entries which are known to have been
	// committed. The group must not run on it: an amnesiac voter breaks Raft.
	// A *corrupt.Error in the chain says where.
	ErrLogLost = raftlog.ErrLost
	// ErrBusy means that another change of members or transfer of leadership is
	// under way, or that the group is not ready for this one. Nothing happened.
	ErrBusy = errors.New("replication: group is busy")
	// ErrGroupRunning means that a group was started twice.
	ErrGroupRunning = errors.New("replication: group is running")
)
