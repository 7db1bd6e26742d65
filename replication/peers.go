package replication

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/replication/raftlog"
)

// A message on the Raft lane is the group's id, an unsigned varint, and raft's
// message for it, in protobuf's encoding.

// send hands messages to the transport.
func (g *Group) send(ms []*raftpb.Message) {
	for _, m := range ms {
		frame, err := proto.MarshalOptions{}.MarshalAppend(binary.AppendUvarint(nil, uint64(g.id)), m)
		if err == nil { // it has no required fields that could be missing
			g.node.o.Transport.Send(transport.NodeID(m.GetTo()), transport.Raft, frame)
		}
	}
}

// maxPosts is how many messages may wait at a worker; more are dropped, which
// raft takes as it takes a lossy network.
const maxPosts = 4096

// receive takes a message from another node. It is dropped if it is malformed,
// or the group is not running or too busy.
func (n *Node) receive(from transport.NodeID, frame []byte) {
	id, size := binary.Uvarint(frame)
	m := &raftpb.Message{}
	if size <= 0 || id == 0 || proto.Unmarshal(frame[size:], m) != nil || m.GetType() == raftpb.MsgSnap {
		return
	}
	g, known := n.lookup(GroupID(id))
	switch {
	case !known && n.o.OnUnknown != nil:
		n.o.OnUnknown(uint64(from), GroupID(id))
		return
	case g == nil || g.worker.isFull():
		return
	}
	g.worker.post(func(err error) {
		if err == nil {
			g.worker.receive(g, m, len(frame))
		}
	})
}

func (w *worker) isFull() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.posts) >= maxPosts
}

// receive steps a message, if the log has room for what it brings.
func (w *worker) receive(g *Group, m *raftpb.Message, size int) {
	if !g.running() {
		return
	}
	need := int64(size) + raftlog.MarkBytes
	for range m.GetEntries() {
		need += raftlog.EntryBytes(0)
	}
	if err := w.node.log.Reserve(&w.batch, need); err != nil {
		return
	}
	if err := g.stepRaft(m); err != nil && !isHarmless(err) {
		w.drop(g, fmt.Errorf("%w: %w", ErrFailed, err))
		return
	}
	w.activate(g)
}

// isHarmless reports whether a message was refused without consequences.
func isHarmless(err error) bool {
	return errors.Is(err, raft.ErrStepLocalMsg) || errors.Is(err, raft.ErrStepPeerNotFound) || errors.Is(err, raft.ErrProposalDropped)
}

func (g *Group) running() bool { return g.role.Load() != roleStopped && g.node.Err() == nil }

// startTicks begins to run raft's clock, once there is a group that needs it.
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
	for {
		if _, _, stopped := n.stop.AwaitFor(n.o.Tick); stopped {
			return nil
		}
		for _, w := range n.workers {
			w.post(func(err error) {
				if err == nil {
					w.tick()
				}
			})
		}
	}
}

// tick advances the clocks of all groups that are not quiescent.
func (w *worker) tick() {
	for _, g := range append([]*Group(nil), w.groups...) {
		if g.isQuiescent() || !g.running() {
			continue
		}
		if err := g.tickRaft(); err != nil {
			w.drop(g, fmt.Errorf("%w: %w", ErrFailed, err))
			continue
		}
		w.activate(g)
	}
}

// isQuiescent reports whether the group can do without ticks: always, if there
// is nobody to send a heartbeat to.
func (g *Group) isQuiescent() bool { return g.sole.Load() }

func (g *Group) tickRaft() (err error) {
	defer g.guard(&err)
	g.enter()
	g.raft.Tick()
	return nil
}

// A read is a ReadBarrier that waits for its index to be known and applied.
type read struct {
	number uint64
	index  uint64 // 0 while raft has not told
	done   *env.Future[struct{}]
}

// readIndex asks raft for the commit index as of now and waits until it is
// applied. Raft forgets a request whose message or leader is lost, so it is
// repeated a few times under a new number.
func (g *Group) readIndex() error {
	patience := electionTicks * g.node.o.Tick
	for range 3 {
		done := env.NewFuture[struct{}](g.node.e)
		g.worker.post(func(err error) {
			if err == nil {
				err = g.requestRead(done)
			}
			if err != nil {
				done.Set(struct{}{}, err)
			}
		})
		if _, err, ok := done.AwaitFor(patience); ok {
			return err
		}
		g.worker.post(func(err error) {
			if err == nil {
				g.forgetRead(done)
			}
		})
	}
	return fmt.Errorf("%w: no answer in %s", ErrNotLeader, 3*patience.Round(time.Millisecond))
}

func (g *Group) requestRead(done *env.Future[struct{}]) (err error) {
	switch {
	case g.role.Load() == roleStopped:
		return g.worker.reason(g)
	case g.node.Err() != nil:
		return g.node.Err()
	}
	defer g.guard(&err)
	g.enter()
	g.number++
	g.reads = append(g.reads, read{number: g.number, done: done})
	g.raft.ReadIndex(binary.LittleEndian.AppendUint64(nil, g.number))
	g.worker.activate(g)
	return nil
}

func (g *Group) forgetRead(done *env.Future[struct{}]) {
	for i, r := range g.reads {
		if r.done == done {
			g.reads = append(g.reads[:i], g.reads[i+1:]...)
			return
		}
	}
}

// answerReads releases those whose index is known and applied.
func (g *Group) answerReads(states []raft.ReadState) {
	for _, s := range states {
		if len(s.RequestCtx) != 8 {
			continue
		}
		number := binary.LittleEndian.Uint64(s.RequestCtx)
		for i := range g.reads {
			if g.reads[i].number == number {
				g.reads[i].index = max(1, s.Index)
			}
		}
	}
	rest := g.reads[:0]
	for _, r := range g.reads {
		if r.index > 0 && r.index <= g.applied {
			r.done.Set(struct{}{}, nil)
			continue
		}
		rest = append(rest, r)
	}
	clear(g.reads[len(rest):])
	g.reads = rest
}

func (g *Group) failReads(reason error) {
	for _, r := range g.reads {
		r.done.Set(struct{}{}, reason)
	}
	g.reads = nil
}
