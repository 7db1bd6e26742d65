package replication

import (
	"errors"
	"io"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/replication/raftlog"
)

// A source is a group's log as raft sees it: with snapshots.
type source struct {
	*raftlog.Storage
	g *Group
}

// InitialState implements raft.Storage: raft does not know of the mark of a blank replica.
func (s source) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	hs, members, err := s.Storage.InitialState()
	if err == nil && isBlank(members) {
		members = &raftpb.ConfState{AutoLeave: new(bool)}
	}
	return hs, members, err
}

// Snapshot implements raft.Storage: raft wants to send one. The state is pinned
// when it does; until then nothing is applied.
func (s source) Snapshot() (*raftpb.Snapshot, error) {
	g := s.g
	isWhole := g.applied > 0 && g.sm.Applied() == g.applied
	if !isWhole || g.holds() != 0 && !g.splitting.Carries() || g.node.e.Now() < g.noSnapshotBefore || !g.node.mayStream() {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	term, err := s.Term(g.applied)
	if err != nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	index := g.applied
	return &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		Index: &index, Term: &term, ConfState: proto.Clone(s.Members()).(*raftpb.ConfState),
	}}, nil
}

func (n *Node) mayStream() bool {
	n.streams.mu.Lock()
	defer n.streams.mu.Unlock()
	return len(n.streams.out) < n.o.Snapshots
}

// A pin keeps the log behind a snapshot that is under way, or just arrived, so that
// its receiver can go on from there.
type pin struct {
	index uint64
	until env.Mono // 0: the snapshot is under way
}

// An outbound is a snapshot that is being sent.
type outbound struct {
	g       *Group
	to      uint64
	stream  uint64
	index   uint64
	offer   []byte // MsgSnap
	reader  SnapshotReader
	answers *env.Queue[frame]

	window   []frame // chunks that are not acknowledged
	next     uint64  // number of the next chunk
	accepted bool    // the offer was acknowledged
	ended    bool    // the reader has no more
	again    uint64  // the number that is acknowledged again and again
}

// sendSnapshot begins to send what raft promised to a member.
func (g *Group) sendSnapshot(m *raftpb.Message) {
	s, err := g.newOutbound(m)
	if err != nil {
		g.node.e.Sometimes("replication: no snapshot")
		g.worker.post(func(err error) {
			if err == nil {
				g.reportSnapshot(m.GetTo(), raft.SnapshotFailure)
			}
		})
		return
	}
	g.pins = append(g.pins, pin{index: s.index})
	g.node.tasks.Go("raft-snapshot", s.run)
}

func (g *Group) newOutbound(m *raftpb.Message) (*outbound, error) {
	offer, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	reader, err := g.sm.Snapshot()
	if err != nil {
		return nil, err
	}
	if g.holds() != 0 {
		g.node.e.Sometimes("replication: a snapshot takes first states along")
	}
	n := g.node
	s := &outbound{g: g, to: m.GetTo(), index: m.GetSnapshot().GetMetadata().GetIndex(), offer: offer, reader: reader}
	s.answers = env.NewQueue[frame](n.e, 4*snapshotWindow)
	n.streams.mu.Lock()
	defer n.streams.mu.Unlock()
	if n.stop.Ready() {
		reader.Close()
		return nil, ErrStopped
	}
	n.streams.last++
	s.stream = n.streams.last
	n.streams.out[s.stream] = s
	return s, nil
}

// run is the task that sends.
func (s *outbound) run() error {
	g, n := s.g, s.g.node
	status := raft.SnapshotFinish
	if err := s.send(); err != nil {
		status = raft.SnapshotFailure
		n.sendFrame(s.to, s.frame(frameCancel))
	}
	s.reader.Close()
	n.streams.mu.Lock()
	delete(n.streams.out, s.stream)
	n.streams.arrived = n.e.Now().Add(afterTicks * n.o.Tick)
	n.streams.mu.Unlock()
	g.worker.post(func(err error) {
		if err == nil {
			g.unpin(s.index)
			if status == raft.SnapshotFailure && s.isSuperseded() {
				return
			}
			if plant.On(plant.SnapshotFailureUnreported) && status == raft.SnapshotFailure {
				return
			}
			g.reportSnapshot(s.to, status)
		}
	})
	return nil
}

// isSuperseded reports whether another snapshot is under way to the same member, which raft has begun since. What becomes of this one
// is none of raft's business then: it would take the failure for the other one's, begin a third, which ends that at its receiver, and so on for ever.
// It is asked by the worker's task, which begins them.
func (s *outbound) isSuperseded() bool {
	n := s.g.node
	n.streams.mu.Lock()
	defer n.streams.mu.Unlock()
	for _, other := range n.streams.out { //sim:ok whether there is one
		if other.g == s.g && other.to == s.to && int64(other.stream-s.stream) > 0 {
			return true
		}
	}
	return false
}

func (s *outbound) frame(kind frameKind) *frame {
	return &frame{kind: kind, group: s.g.id, stream: s.stream, number: s.next}
}

var (
	errGivenUp = errors.New("snapshot given up")
	errRefused = errors.New("snapshot refused")
)

// send returns nil when the member has installed the snapshot.
func (s *outbound) send() error {
	tick := s.g.node.o.Tick
	wait, silence := resendTicks*tick, time.Duration(0)
	s.resend()
	for s.g.leader.Load() == s.g.node.o.NodeID { // the snapshot may be what it needs to lead in fact
		if err := s.fill(); err != nil {
			return err
		}
		f, ok := s.answers.RecvFor(wait)
		switch {
		case !ok && s.answers.Closed():
			return errGivenUp
		case !ok:
			if silence += wait; silence >= patienceTicks*tick {
				return errGivenUp
			}
			wait = min(2*wait, patienceTicks/4*tick)
			s.resend()
			continue
		case f.kind == frameResult && f.number == resultInstalled && s.ended:
			return nil
		case f.kind == frameResult:
			return errRefused
		}
		if s.acknowledged(f.number) {
			wait, silence = resendTicks*tick, 0
		}
	}
	return errGivenUp
}

// fill sends chunks while the window has room.
func (s *outbound) fill() error {
	for s.accepted && !s.ended && len(s.window) < snapshotWindow {
		chunk, err := s.reader.Next()
		if err == io.EOF {
			s.ended = true
			s.g.node.sendFrame(s.to, s.frame(frameEnd))
			break
		}
		if err != nil {
			return err
		}
		f := s.frame(frameChunk)
		f.data = slices.Clone(chunk)
		s.next++
		s.window = append(s.window, *f)
		s.g.node.sendFrame(s.to, f)
	}
	return nil
}

// resend sends again what the member may not have got.
func (s *outbound) resend() {
	n := s.g.node
	if !s.accepted {
		f := s.frame(frameOffer)
		f.data = s.offer
		n.sendFrame(s.to, f)
		return
	}
	for i := range s.window {
		n.sendFrame(s.to, &s.window[i])
	}
	if s.ended {
		n.sendFrame(s.to, s.frame(frameEnd))
	}
}

// acknowledged notes up to which number the chunks have come. It reports whether
// that shows that the member gets on: with the last chunks, or with what it does
// once it has all of them.
func (s *outbound) acknowledged(number uint64) bool {
	if !s.accepted {
		s.accepted = true
		return true
	}
	first := s.next - uint64(len(s.window))
	if number > first && number <= s.next {
		s.window = slices.Delete(s.window, 0, int(number-first))
		s.again = 0
		return true
	}
	if number == first && len(s.window) > 0 {
		// The chunks behind it arrive: this one is lost.
		if s.again++; s.again == 2 {
			s.g.node.sendFrame(s.to, &s.window[0])
		}
	}
	return s.ended && number == s.next
}

// receiveAnswer hands an answer to whom it is for. A member that goes on with
// a snapshot that nobody sends is told so.
func (n *Node) receiveAnswer(from uint64, f frame) {
	n.streams.mu.Lock()
	s := n.streams.out[f.stream]
	n.streams.mu.Unlock()
	if s != nil && s.to == from && s.g.id == f.group {
		s.answers.TrySend(f)
		return
	}
	if f.kind == frameAck {
		n.sendFrame(from, &frame{kind: frameCancel, group: f.group, stream: f.stream})
	}
}

// reportSnapshot tells raft how it went.
func (g *Group) reportSnapshot(to uint64, status raft.SnapshotStatus) {
	if !g.running() {
		return
	}
	if status == raft.SnapshotFailure {
		g.node.e.Sometimes("replication: snapshot failed")
		g.noSnapshotBefore = g.node.e.Now().Add(retryTicks * g.node.o.Tick)
	}
	if err := g.report(to, status); err != nil {
		g.worker.drop(g, err)
		return
	}
	g.worker.activate(g)
}

func (g *Group) report(to uint64, status raft.SnapshotStatus) (err error) {
	defer g.guard(&err)
	g.enter()
	g.raft.ReportSnapshot(to, status)
	return nil
}

// unpin lets the log behind a snapshot go, a little later.
func (g *Group) unpin(index uint64) {
	g.dropPins()
	for i := range g.pins {
		if p := &g.pins[i]; p.index == index && p.until == 0 {
			p.until = g.node.e.Now().Add(retryTicks * g.node.o.Tick)
			return
		}
	}
}

// pinned returns the index behind which the log is needed.
func (g *Group) pinned() uint64 {
	g.dropPins()
	index := g.applied
	for _, p := range g.pins {
		index = min(index, p.index)
	}
	return index
}

func (g *Group) dropPins() {
	if len(g.pins) > 0 {
		now := g.node.e.Now()
		g.pins = slices.DeleteFunc(g.pins, func(p pin) bool { return p.until != 0 && p.until <= now })
	}
}
