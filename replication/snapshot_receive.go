package replication

import (
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/replication/raftlog"
)

// An inbound is a snapshot that is being taken in.
type inbound struct {
	g       *Group
	from    uint64
	stream  uint64
	message *raftpb.Message // MsgSnap
	size    int             // of the message
	frames  *env.Queue[frame]
	done    *env.Future[struct{}]

	writer SnapshotWriter
	early  map[uint64][]byte // chunks whose turn has not come
	next   uint64
}

// receivePart hands a part of a snapshot to the task that takes it in. An offer
// begins a new one, unless the node takes in enough; the sender will ask again.
func (n *Node) receivePart(from uint64, f frame) {
	n.streams.mu.Lock()
	s := n.streams.in[f.group]
	n.streams.mu.Unlock()
	if s != nil && s.from == from && s.stream == f.stream {
		s.frames.TrySend(f)
		return
	}
	switch f.kind {
	case frameOffer:
		n.receiveOffer(from, f)
	case frameEnd:
		n.sendFrame(from, &frame{kind: frameResult, group: f.group, stream: f.stream, number: resultFailed})
	}
}

func (n *Node) receiveOffer(from uint64, f frame) {
	m := &raftpb.Message{}
	if proto.Unmarshal(f.data, m) != nil || m.GetType() != raftpb.MsgSnap || m.GetFrom() != from ||
		m.GetTo() != n.o.NodeID || raft.IsEmptySnap(m.GetSnapshot()) || m.GetSnapshot().GetMetadata().GetConfState() == nil {
		return
	}
	g, known := n.lookup(f.group)
	switch {
	case !known && n.o.OnUnknown != nil:
		n.o.OnUnknown(from, f.group)
		return
	case g == nil:
		return
	}
	s := &inbound{g: g, from: from, stream: f.stream, message: m, size: len(f.data), early: map[uint64][]byte{}}
	s.frames = env.NewQueue[frame](n.e, 4*snapshotWindow)
	s.done = env.NewFuture[struct{}](n.e)
	if n.addInbound(s) {
		n.tasks.Go("raft-restore", s.run)
	}
}

// addInbound reports whether the snapshot may begin. One of a later term, or
// a later one of the same sender, ends an earlier one of the same group; until
// that has ended, it has to wait.
func (n *Node) addInbound(s *inbound) bool {
	n.streams.mu.Lock()
	defer n.streams.mu.Unlock()
	old := n.streams.in[s.g.id]
	switch {
	case n.stop.Ready() || s.g.role.Load() == roleStopped:
		return false
	case old != nil:
		later := s.from == old.from && int64(s.stream-old.stream) > 0
		if term := old.message.GetTerm(); s.message.GetTerm() > term || s.message.GetTerm() == term && later {
			old.frames.Close()
		}
		return false
	case len(n.streams.in) >= n.o.Snapshots:
		return false
	}
	n.streams.in[s.g.id] = s
	return true
}

// endInbound ends what comes in for a group that is gone, and waits for it.
func (n *Node) endInbound(id GroupID) {
	n.streams.mu.Lock()
	s := n.streams.in[id]
	n.streams.mu.Unlock()
	if s != nil {
		s.frames.Close()
		_, _ = s.done.Await()
	}
}

// run is the task that takes a snapshot in.
func (s *inbound) run() error {
	n := s.g.node
	err := s.receive()
	n.streams.mu.Lock()
	delete(n.streams.in, s.g.id)
	n.streams.mu.Unlock()
	s.done.Set(struct{}{}, nil)
	result := frame{kind: frameResult, group: s.g.id, stream: s.stream, number: resultInstalled}
	if err != nil {
		n.e.Sometimes("replication: snapshot not installed")
		result.number = resultFailed
	}
	n.sendFrame(s.from, &result)
	return nil
}

func (s *inbound) receive() (err error) {
	meta := s.message.GetSnapshot().GetMetadata()
	s.writer, err = s.g.sm.Restore(SnapshotMeta{Index: meta.GetIndex(), Term: meta.GetTerm(), Members: encodeMembers(meta.GetConfState())})
	if err != nil {
		return fmt.Errorf("replication: restore: %w", err)
	}
	isWhole, err := s.takeChunks()
	if err == nil && isWhole {
		return s.install()
	}
	s.writer.Abort()
	return err
}

// takeChunks returns when it has all of them.
func (s *inbound) takeChunks() (isWhole bool, err error) {
	patience := patienceTicks * s.g.node.o.Tick
	s.acknowledge()
	for {
		f, ok := s.frames.RecvFor(patience)
		switch {
		case !ok || f.kind == frameCancel:
			return false, errGivenUp
		case f.kind == frameEnd && f.number == s.next:
			return true, nil
		case f.kind == frameChunk:
			if err := s.take(f); err != nil {
				return false, err
			}
		}
		s.acknowledge()
	}
}

func (s *inbound) acknowledge() {
	s.g.node.sendFrame(s.from, &frame{kind: frameAck, group: s.g.id, stream: s.stream, number: s.next})
}

// take writes a chunk whose turn it is, and those that came before their turn.
func (s *inbound) take(f frame) error {
	if f.number < s.next || f.number >= s.next+snapshotWindow {
		return nil
	}
	s.early[f.number] = f.data
	for {
		chunk, ok := s.early[s.next]
		if !ok {
			return nil
		}
		if err := s.writer.Write(chunk); err != nil {
			return err
		}
		delete(s.early, s.next)
		s.next++
	}
}

// install asks raft whether it wants the snapshot, commits it, and has the
// worker switch the log.
func (s *inbound) install() error {
	w, g := s.g.worker, s.g
	in := &installation{message: s.message, wanted: env.NewFuture[struct{}](g.node.e), done: env.NewFuture[struct{}](g.node.e)}
	w.post(func(err error) {
		if err == nil {
			err = w.offer(g, in, s.size)
		}
		if err != nil {
			in.wanted.Set(struct{}{}, err)
		}
	})
	if _, err := in.wanted.Await(); err != nil {
		s.writer.Abort()
		return err
	}
	err := s.writer.Commit()
	w.post(func(stopped error) {
		if stopped != nil {
			in.done.Set(struct{}{}, stopped)
			return
		}
		w.committed(g, in, err)
	})
	_, err = in.done.Await()
	return err
}

// An installation is a snapshot on its way into a group. Owned by the worker's
// task, but for the futures.
type installation struct {
	message   *raftpb.Message
	wanted    *env.Future[struct{}] // raft takes the snapshot; nothing else happens until it is committed
	done      *env.Future[struct{}] // the log is switched
	committed bool
}

func (in *installation) id() raftlog.EntryID {
	meta := in.message.GetSnapshot().GetMetadata()
	return raftlog.EntryID{Index: meta.GetIndex(), Term: meta.GetTerm()}
}

// isForEmpty reports whether an empty replica may see a message: only what leads
// to a snapshot. It has forgotten, or never knew, what it would have to know to
// vote, or to take the entries that a group began with.
func isForEmpty(m *raftpb.Message) bool {
	return m.GetType() == raftpb.MsgHeartbeat || m.GetType() == raftpb.MsgApp && m.GetIndex() > 0
}

// isBlank reports whether the members of an empty replica, of which there are none, say that the node
// has never had a replica of the group before. So it has acknowledged nothing, and is as good a voter as one that
// has just been born. It may be one without knowing: a voter of a group that was split off begins empty if
// it has skipped the split, and the group may need its vote to have a leader, from whom it gets
// a snapshot. All other empty replicas have forgotten what they had, or may have.
//
// The mark is the flag that a joint configuration is left by itself. There being none, it means nothing else.
func isBlank(m *raftpb.ConfState) bool { return len(m.GetVoters()) == 0 && m.GetAutoLeave() }

// isForBlank reports whether a blank replica may see a message that others that are empty may not.
func isForBlank(m *raftpb.Message) bool {
	return m.GetType() == raftpb.MsgVote || m.GetType() == raftpb.MsgPreVote
}

// offer steps the message whose snapshot is staged.
func (w *worker) offer(g *Group, in *installation, size int) error {
	switch {
	case !g.running():
		return ErrStopped
	case g.offered != nil:
		return ErrBusy
	}
	if err := g.stepRaft(in.message); err != nil && !isHarmless(err) {
		err = fmt.Errorf("%w: %w", ErrFailed, err)
		w.drop(g, err)
		return err
	}
	g.offered = in
	w.activate(g)
	return nil
}

// begins looks at what raft wants next. It reports whether that is to install
// a snapshot, for which the group has to wait.
func (g *Group) begins() bool {
	in := g.offered
	if in == nil {
		return false
	}
	g.offered = nil
	meta := g.ready.Snapshot.GetMetadata()
	if raft.IsEmptySnap(g.ready.Snapshot) || (raftlog.EntryID{Index: meta.GetIndex(), Term: meta.GetTerm()}) != in.id() {
		in.wanted.Set(struct{}{}, errRefused) // it has what is in it, or another leader
		return false
	}
	g.install = in
	g.observeInstall()
	in.wanted.Set(struct{}{}, nil)
	return true
}

// committed goes on after Commit.
func (w *worker) committed(g *Group, in *installation, err error) {
	if g.install != in { // dropped meanwhile
		in.done.Set(struct{}{}, ErrStopped)
		return
	}
	if err != nil {
		w.takeBack(g, err)
		return
	}
	need := raftlog.MarkBytes + int64(len(encodeMembers(g.ready.Snapshot.GetMetadata().GetConfState())))
	for _, e := range g.ready.Entries {
		need += raftlog.EntryBytes(len(e.GetData()))
	}
	if err := w.node.log.Reserve(&w.batch, need); err != nil && w.node.log.Err() == nil {
		// There is no way back. A crash now is one that Start knows how to end.
		w.node.e.Sometimes("replication: no space to switch the log")
		w.node.e.After(retryTicks*w.node.o.Tick, func() {
			w.post(func(stopped error) {
				if stopped != nil {
					in.done.Set(struct{}{}, stopped)
					return
				}
				w.committed(g, in, nil)
			})
		})
		return
	}
	in.committed = true
	w.activate(g)
}

// addSnapshot adds the record that switches the log.
func (w *worker) addSnapshot(g *Group) {
	hs := g.log.Hard()
	if rd := &g.ready; rd.HardState != nil {
		hs.Term, hs.Vote = rd.GetTerm(), rd.GetVote()
	}
	id := g.install.id()
	w.batch.Restored(g.log, id, hs, g.ready.Snapshot.GetMetadata().GetConfState())
	g.last = id.Index
}

// installed ends an installation when the log is switched.
func (w *worker) installed(g *Group) {
	in := g.install
	g.install = nil
	g.applied, g.appliedTerm = in.id().Index, in.id().Term
	g.lease.shown.Store(g.applied)
	if !plant.On(plant.SnapshotMembersIgnored) {
		g.setMembers(g.log.Members())
	}
	g.observeCounts()
	g.reborn, g.empty, g.blank = true, false, false
	w.node.e.Sometimes("replication: snapshot installed")
	in.done.Set(struct{}{}, nil)
}

// takeBack makes raft forget a snapshot that could not be committed: nothing of
// what it did since has been written or sent, so the group starts again from
// what it has, as after a crash.
func (w *worker) takeBack(g *Group, reason error) {
	in := g.install
	g.install, g.ready = nil, raft.Ready{}
	g.become(roleFollower)
	g.leader.Store(0)
	g.failFlights(ErrNotLeader)
	g.failReads(ErrNotLeader)
	err := w.node.recover(g.log, g.sm)
	if err == nil {
		err = g.open()
	}
	if err != nil {
		w.drop(g, fmt.Errorf("%w: %w", ErrFailed, err))
	} else {
		w.activate(g)
	}
	in.done.Set(struct{}{}, reason)
}

// endInstallation is for a group that stops.
func (g *Group) endInstallation(reason error) {
	if g.offered != nil {
		g.offered.wanted.Set(struct{}{}, reason)
		g.offered = nil
	}
	if g.install != nil && g.install.committed {
		g.install.done.Set(struct{}{}, reason)
	}
	g.install = nil // otherwise committed will find that it is gone
}
