package replication

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/replication/raftlog"
)

// A ChangeKind is what becomes of a member.
type ChangeKind byte

const (
	// AddLearner adds a node, which has or will have an empty replica. It gets
	// a snapshot and follows, but does not count.
	AddLearner ChangeKind = iota
	// Promote makes a learner that has caught up a voter.
	Promote
	// Demote makes a voter a learner.
	Demote
	// Remove removes a member of any kind.
	Remove
)

func (k ChangeKind) String() string {
	return [...]string{"add learner", "promote", "demote", "remove"}[k&3]
}

// A Change is what becomes of one member.
type Change struct {
	Kind ChangeKind
	Node uint64
}

func (c Change) String() string { return fmt.Sprintf("%s %d", c.Kind, c.Node) }

// ErrMembers means that the members are not such that the change is possible.
var ErrMembers = errors.New("replication: not with these members")

// promoteLag is how many entries a learner may lack when it is promoted. As
// a voter it will be waited for.
const promoteLag = 64

// ChangeMembers changes the members, and returns when this replica has applied
// the change. Several changes become one, by way of a joint configuration that
// ends by itself.
//
// The error matches ErrNotLeader, ErrMembers (also for a leader that would demote
// or remove itself, instead of giving its leadership away first), or ErrBusy (another change or
// a transfer is under way, or a learner has not caught up); with any of these
// nothing happened. ErrUnknownOutcome leaves it open.
func (g *Group) ChangeMembers(changes ...Change) error {
	f := env.NewFuture[any](g.node.e)
	g.worker.post(func(err error) {
		if err == nil {
			err = g.worker.proposeChange(g, changes, f)
		}
		if err != nil {
			f.Set(nil, err)
		}
	})
	_, err := f.Await()
	return err
}

func (w *worker) proposeChange(g *Group, changes []Change, f *env.Future[any]) error {
	switch {
	case g.role.Load() == roleStopped:
		return w.reason(g)
	case g.node.Err() != nil:
		return g.node.Err()
	case g.role.Load() != roleLeader:
		return g.notLeader()
	}
	if err := g.checkChanges(changes); err != nil {
		return err
	}
	g.number++
	data, err := encodeChange(changes, w.node.o.NodeID, g.number)
	if err != nil {
		return err
	}
	if err := w.node.log.Reserve(&w.batch, raftlog.MarkBytes+raftlog.EntryBytes(len(data))); err != nil {
		return fmt.Errorf("replication: %w", err)
	}
	m := &raftpb.Message{
		Type: raftpb.MsgProp.Enum(), From: &w.node.o.NodeID,
		Entries: []*raftpb.Entry{{Type: raftpb.EntryConfChangeV2.Enum(), Data: data}},
	}
	err = g.stepRaft(m)
	w.activate(g)
	switch {
	case errors.Is(err, raft.ErrProposalDropped):
		return fmt.Errorf("%w: %w", ErrBusy, err)
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrFailed, err)
		w.drop(g, err)
		return err
	case m.Entries[0].GetType() != raftpb.EntryConfChangeV2:
		// Raft has put an empty entry in its place, because an earlier change
		// may not be applied yet.
		return fmt.Errorf("%w: another change of members is under way", ErrBusy)
	}
	g.flights = append(g.flights, flight{number: g.number, proposals: []proposal{{result: f}}})
	return nil
}

// checkChanges refuses what raft would carry out all the same.
func (g *Group) checkChanges(changes []Change) error {
	m := membersOf(g.log.Members())
	if m.Joint() {
		return fmt.Errorf("%w: another change of members is under way", ErrBusy)
	}
	voters := len(m.Voters)
	for i, c := range changes {
		isVoter, isLearner := slices.Contains(m.Voters, c.Node), slices.Contains(m.Learners, c.Node)
		isTwice := slices.ContainsFunc(changes[:i], func(d Change) bool { return d.Node == c.Node })
		switch {
		case isTwice, c.Node == 0,
			c.Kind == AddLearner && (isVoter || isLearner),
			c.Kind == Promote && !isLearner,
			c.Kind == Demote && !isVoter,
			c.Kind == Remove && !isVoter && !isLearner:
			return fmt.Errorf("%w: %s of voters %v, learners %v", ErrMembers, c, m.Voters, m.Learners)
		case isVoter && c.Node == g.node.o.NodeID:
			return fmt.Errorf("%w: %s, which leads: transfer the leadership first", ErrMembers, c)
		case c.Kind == AddLearner:
			if err := g.node.mayHavePeers(); err != nil {
				return err
			}
		case c.Kind == Promote:
			if err := g.checkCaughtUp(c.Node); err != nil {
				return err
			}
			voters++
		case isVoter:
			voters--
		}
	}
	if len(changes) == 0 || voters == 0 {
		return fmt.Errorf("%w: %v leaves %d voters", ErrMembers, changes, voters)
	}
	return nil
}

func (g *Group) checkCaughtUp(node uint64) error {
	s := g.raft.Status()
	p := s.Progress[node]
	if p.State != tracker.StateReplicate || p.Match+promoteLag < s.GetCommit() {
		return fmt.Errorf("%w: node %d has not caught up", ErrBusy, node)
	}
	return nil
}

// The data of an entry that changes members is raft's ConfChangeV2 in protobuf,
// whose context says as in other entries who waits for it:
//
//	| proposer | number 8B |
func encodeChange(changes []Change, proposer, number uint64) ([]byte, error) {
	cc := &raftpb.ConfChangeV2{Context: binary.LittleEndian.AppendUint64(binary.AppendUvarint(nil, proposer), number)}
	for _, c := range changes {
		t := [...]raftpb.ConfChangeType{
			AddLearner: raftpb.ConfChangeAddLearnerNode,
			Promote:    raftpb.ConfChangeAddNode,
			Demote:     raftpb.ConfChangeAddLearnerNode,
			Remove:     raftpb.ConfChangeRemoveNode,
		}[c.Kind&3]
		cc.Changes = append(cc.Changes, &raftpb.ConfChangeSingle{Type: t.Enum(), NodeId: &c.Node})
	}
	return proto.Marshal(cc)
}

// decodeChange also returns who waits, or zeros: raft proposes the end of a joint
// configuration itself.
func decodeChange(data []byte) (cc *raftpb.ConfChangeV2, proposer, number uint64, err error) {
	cc = &raftpb.ConfChangeV2{}
	if err := proto.Unmarshal(data, cc); err != nil {
		return nil, 0, 0, fmt.Errorf("a change of members: %w", err)
	}
	proposer, n := binary.Uvarint(cc.GetContext())
	if n <= 0 || len(cc.GetContext()) != n+8 {
		return cc, 0, 0, nil
	}
	return cc, proposer, binary.LittleEndian.Uint64(cc.GetContext()[n:]), nil
}
