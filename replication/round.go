package replication

import (
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/internal/invariant"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/replication/raftlog"
)

// maxSteps is after how many steps a round looks for new work, although
// a group that catches up is not done yet.
const maxSteps = 4

// scratch is memory that rounds use again.
type scratch struct {
	data    []byte // of the entry being proposed
	message raftpb.Message
	entry   entry
}

// keepScratchBytes is the capacity above which data is given back.
const keepScratchBytes = 1 << 20

// init prepares the message that proposes an entry. Raft copies the entry and
// keeps nothing of the message, so one will do.
func (s *scratch) init() {
	s.message = raftpb.Message{
		Type:    raftpb.MsgProp.Enum(),
		From:    new(uint64),
		Entries: []*raftpb.Entry{{}},
	}
}

// A round takes what waits, proposes it, and goes on until raft has nothing
// more to do: for a group without other voters that is when its entry is
// written, applied and answered.
func (w *worker) round() {
	for _, f := range w.take() {
		f(nil)
	}
	w.read()
	least := now
	if w.due {
		w.due, least = false, idle
		w.tick()
	}
	if len(w.taken) > 0 {
		w.propose()
		clear(w.taken)
		w.taken = w.taken[:0]
	}
	for i := 0; i < maxSteps && len(w.active) > 0; i++ {
		w.step()
	}
	w.flush(least)
	w.node.log.Unreserve(&w.batch)
	if w.stuck.Load() > 0 {
		w.stuck.Add(-1)
	}
}

// propose hands raft one entry for each group that has proposals.
func (w *worker) propose() {
	if err := w.reserve(); err != nil {
		for _, g := range w.taken {
			g.failBatch(err)
		}
		return
	}
	for _, g := range w.taken {
		err := w.proposeBatch(g)
		switch {
		case err == nil:
			w.activate(g)
		case errors.Is(err, ErrFailed):
			w.drop(g, err)
			fallthrough
		default:
			g.failBatch(err)
		}
	}
}

// reserve makes sure that the log has room, because there is no way back once
// raft knows of the entries.
func (w *worker) reserve() error {
	n := w.node
	if err := n.Err(); err != nil {
		return err
	}
	var total int64
	for _, g := range w.taken {
		data := maxEntryHeader
		for _, p := range g.batch {
			data += commandBytes(len(p.cmd))
		}
		total += raftlog.EntryBytes(data)
	}
	err := n.log.Reserve(&w.batch, total)
	if err == nil || plant.On(plant.LogSpaceNotReserved) {
		return nil
	}
	if n.log.Err() != nil {
		return n.fail(err)
	}
	n.e.Sometimes("replication: no space")
	n.noteFull(err)
	return fmt.Errorf("replication: %w", err)
}

func (g *Group) failBatch(err error) {
	failProposals(g.batch, err)
	g.worker.free(g.batch)
	g.batch = nil
}

func (w *worker) proposeBatch(g *Group) error {
	switch g.role.Load() {
	case roleLeader:
	case roleStopped: // since the proposals were taken
		return ErrStopped
	default:
		return g.notLeader()
	}
	g.number++
	w.data = appendEntryHeader(w.data[:0], w.node.o.NodeID, g.number, len(g.batch))
	for i := range g.batch {
		w.data = appendCommand(w.data, g.batch[i].cmd)
		g.batch[i].cmd = nil
	}
	*w.message.From = w.node.o.NodeID
	w.message.Entries[0].Data = w.data
	err := g.stepRaft(&w.message)
	w.message.Entries[0].Data = nil
	if cap(w.data) > keepScratchBytes {
		w.data = nil
	}
	switch {
	case errors.Is(err, raft.ErrProposalDropped):
		return fmt.Errorf("%w: %w", ErrNotLeader, err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	g.flights = append(g.flights, flight{g.number, g.batch, g.batchBytes})
	g.flying += g.batchBytes
	w.flying += g.batchBytes
	g.batch = nil
	return nil
}

func (g *Group) stepRaft(m *raftpb.Message) (err error) {
	defer g.guard(&err)
	g.enter()
	return g.raft.Step(m)
}

// A step carries out once what raft asks for: all active groups write together,
// and then each sends, applies and answers.
func (w *worker) step() {
	mustSync := w.collectReady()
	w.flush(now)
	for _, g := range w.active {
		if g.lease.leads != 0 {
			g.failure = w.applyStable(g)
		}
	}
	if !w.batch.Empty() && !w.write(mustSync) {
		return
	}
	for _, g := range w.active {
		g.sendLate()
	}
	w.flush(now)
	n := 0
	for _, g := range w.active {
		more, err := w.finish(g)
		if err != nil {
			g.failure = err
			w.broken = append(w.broken, g)
		}
		if g.active = more && err == nil; g.active {
			w.active[n] = g
			n++
		}
	}
	clear(w.active[n:])
	w.active = w.active[:n]
	for _, g := range w.broken {
		w.drop(g, fmt.Errorf("%w: %w", ErrFailed, g.failure))
	}
	w.broken = w.broken[:0]
}

// collectReady fills the batch. It reports whether that must be durable before
// the step goes on.
func (w *worker) collectReady() (mustSync bool) {
	for i := 0; i < len(w.active); {
		g := w.active[i]
		if g.install == nil {
			if err := g.takeReady(); err != nil {
				w.drop(g, fmt.Errorf("%w: %w", ErrFailed, err))
				continue
			}
			g.lease.follow(g)
			if g.begins() {
				g.active = false
				w.active = slices.Delete(w.active, i, i+1)
				continue
			}
		}
		g.sendEarly()
		// The vote of a group that is alone is nobody else's business. It is
		// in the log before the entries of its term, so that it is durable
		// once anything depends on it.
		mustSync = mustSync || g.install != nil && !plant.On(plant.InstallUnsynced) || len(g.ready.Entries) > 0 || g.changesMembers() || g.ready.MustSync && !g.sole.Load() && !plant.On(plant.VoteUnsynced)
		w.addReady(g)
		i++
	}
	return mustSync
}

func (g *Group) takeReady() (err error) {
	defer g.guard(&err)
	g.enter()
	g.ready = g.raft.Ready()
	if g.offered == nil && !raft.IsEmptySnap(g.ready.Snapshot) {
		return errors.New("raft wants a snapshot that nobody has staged")
	}
	return nil
}

func (w *worker) addReady(g *Group) {
	rd := &g.ready
	if g.install != nil {
		w.addSnapshot(g)
	} else if hs := rd.HardState; hs != nil && !plant.On(plant.HardStateLost) {
		have := g.log.Hard()
		// Commit alone is not worth a write: it can be worked out again, unless it
		// is about members.
		if hs.GetTerm() != have.Term && !plant.On(plant.TermUnsaved) || hs.GetVote() != have.Vote {
			w.batch.HardState(g.log, hardStateOf(rd))
		}
	}
	for _, e := range rd.Entries {
		if saysCommit(e) {
			w.batch.Commit(g.log, g.known(rd), e.GetIndex())
			g.noteEmpty(e)
		}
		w.batch.Entry(g.log, e)
		g.last = e.GetIndex()
		g.observeAppended(e)
	}
	if g.changesMembers() {
		w.batch.Commit(g.log, g.known(rd), g.last+1)
	}
}

// changesMembers reports whether a change of members is about to be applied. That it is
// committed must not be forgotten: a group that has lost a voter, and has replaced it, may lose
// another one. If the others came back, from a power cut, under the members of before, they might
// need one of those two, and have the entry all the same.
func (g *Group) changesMembers() bool {
	return g.install == nil && slices.ContainsFunc(g.ready.CommittedEntries, func(e *raftpb.Entry) bool { return e.GetType() != raftpb.EntryNormal })
}

// known returns the hard state to go before a change of members. Whoever has such an
// entry must not forget that the change before it is committed: after a crash it would
// be back under members two steps away, of which a majority may have nothing in common with
// one of those that act meanwhile. A leader proposes a change once it has applied
// the one before, and sends how far it has committed with it.
func (g *Group) known(rd *raft.Ready) raftlog.HardState {
	hs := g.log.Hard()
	if rd.HardState != nil {
		hs.Term, hs.Vote = rd.GetTerm(), rd.GetVote()
	}
	hs.Commit = max(hs.Commit, g.raft.BasicStatus().GetCommit())
	return hs
}

// hardStateOf returns what raft wants to be durable. Its commit index may count on
// entries that come with it and replace others; a crash between the two records
// must not find the old ones committed.
func hardStateOf(rd *raft.Ready) raftlog.HardState {
	hs := raftlog.HardState{Term: rd.GetTerm(), Vote: rd.GetVote(), Commit: rd.GetCommit()}
	if len(rd.Entries) > 0 {
		hs.Commit = min(hs.Commit, rd.Entries[0].GetIndex()-1)
	}
	return hs
}

// write is the one write and the one sync of a step.
func (w *worker) write(mustSync bool) bool {
	n := w.node
	began := n.e.Now()
	w.writing.Store(int64(max(1, began)))
	err := n.log.Write(&w.batch, mustSync && n.o.Sync == SyncAlways && !plant.On(plant.AckBeforeFsync))
	w.writing.Store(0)
	n.fitness.wrote(int64(n.e.Now().Sub(began)))
	w.batch.Reset()
	if err != nil {
		w.fail(n.fail(err))
		return false
	}
	if n.o.Sync == SyncInterval {
		n.unsynced.TrySend(struct{}{})
	}
	if live := n.log.Live(); live != w.live {
		w.live = live
		n.pokeSegments()
	}
	return true
}

// fail ends all proposals after the log has failed. The groups keep their
// roles: what they have applied may still be read.
func (w *worker) fail(err error) {
	for _, g := range w.groups {
		g.failFlights(err)
		g.failReads(err)
		if g.started != nil {
			g.started.Set(struct{}{}, err)
		}
	}
	for _, g := range w.active {
		g.active = false
	}
	clear(w.active)
	w.active = w.active[:0]
}

// finish does what may be done once the group's records are written. It reports
// whether raft has more to do.
func (w *worker) finish(g *Group) (more bool, err error) {
	rd := g.ready
	g.ready = raft.Ready{}
	if g.install != nil {
		w.installed(g)
	}
	if g.failure != nil {
		return false, g.failure
	}
	g.observeWritten(&rd)
	if err := w.apply(g, rd.CommittedEntries); err != nil {
		return false, err
	}
	g.answerReads(rd.ReadStates)
	return w.advance(g, rd)
}

func (g *Group) setRole(s *raft.SoftState) {
	g.leader.Store(s.Lead)
	g.endTransfer(s.Lead)
	if s.RaftState == raft.StateLeader {
		g.observeLed()
		return // once it has applied the entries of earlier terms; see advance
	}
	g.stepDown()
}

func (g *Group) stepDown() {
	g.become(roleFollower)
	g.failFlights(ErrNotLeader)
	g.failReads(g.notLeader())
}

// applyStable applies what is committed and in the log already. A leader does so
// while its new entries travel, before it waits for its disk: those who proposed the
// older ones need not wait for it, too.
func (w *worker) applyStable(g *Group) error {
	entries := g.ready.CommittedEntries
	n := len(entries)
	if new := g.ready.Entries; len(new) > 0 {
		for n > 0 && entries[n-1].GetIndex() >= new[0].GetIndex() {
			n--
		}
	}
	err := w.apply(g, entries[:n])
	g.ready.CommittedEntries = entries[n:]
	return err
}

// apply carries out committed entries and answers those who proposed them.
func (w *worker) apply(g *Group, entries []*raftpb.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	for _, e := range entries {
		if err := w.applyEntry(g, e); err != nil {
			return fmt.Errorf("entry %d: %w", e.GetIndex(), err)
		}
	}
	// What the state machine could not take stays in the log.
	w.node.log.Applied(g.log, g.sm.Applied(), w.node.store.LastSeq())
	g.lease.shown.Store(g.applied)
	if !g.sole.Load() {
		g.compact()
	}
	return nil
}

func (w *worker) applyEntry(g *Group, e *raftpb.Entry) error {
	if e.GetType() != raftpb.EntryNormal {
		return w.applyMembers(g, e)
	}
	if err := decodeEntry(&w.entry, e.GetData()); err != nil {
		return err
	}
	if e.GetIndex() != g.applied+1 { // a call with arguments allocates
		invariant.Check(false, "group %d: apply %d after %d", g.id, e.GetIndex(), g.applied)
	}
	results := g.sm.Apply(e.GetIndex(), w.entry.commands)
	g.applied, g.appliedTerm = e.GetIndex(), e.GetTerm()
	if g.splitting != nil {
		g.noteSplit(e.GetIndex())
	}
	if len(results) != len(w.entry.commands) {
		invariant.Check(false, "group %d: %d results of %d commands", g.id, len(results), len(w.entry.commands))
	}
	g.observeApplied(e, w.entry.commands, results)
	if len(results) == 0 {
		g.observeKnown()
	}
	g.answer(&w.entry, results)
	clear(w.entry.commands)
	return nil
}

// answer sets the futures of a flight that has arrived. Flights are committed
// in the order of their proposal.
func (g *Group) answer(e *entry, results []any) {
	if len(g.flights) == 0 || e.proposer != g.node.o.NodeID || e.number != g.flights[0].number {
		return
	}
	arrived := g.flights[0].proposals
	g.worker.answered = true
	for i, p := range arrived {
		if plant.On(plant.AnswersCrossed) {
			i = len(arrived) - 1 - i
		}
		if g.lease.wait > 0 {
			g.lease.held = append(g.lease.held, heldAnswer{p.result, results[i]})
			continue
		}
		g.observeServes()
		p.result.Set(results[i], nil)
	}
	g.worker.free(arrived)
	g.worker.landed(g, &g.flights[0])
	rest := copy(g.flights, g.flights[1:])
	g.flights[rest] = flight{}
	g.flights = g.flights[:rest]
}

// advance tells raft that its Ready is done.
func (w *worker) advance(g *Group, rd raft.Ready) (more bool, err error) {
	defer g.guard(&err)
	g.enter()
	g.raft.Advance(rd)
	if g.sole.Load() && g.role.Load() == roleLeader {
		// Asking raft costs allocations. A sole leader commits by itself what
		// is written, and has nothing else to do.
		return g.applied < g.last, nil
	}
	if g.raft.HasReady() {
		return true, nil
	}
	return g.settle()
}

// settle decides, when raft has nothing more to do, whether that is all.
func (g *Group) settle() (more bool, err error) {
	status := g.raft.BasicStatus()
	switch {
	case status.RaftState == raft.StateLeader && !g.isVoter():
		return g.handOver(status)
	case status.RaftState == raft.StateLeader && (status.GetTerm() == g.appliedTerm || plant.On(plant.LeadsTooEarly)):
		g.become(roleLeader)
	case status.RaftState == raft.StateLeader:
		// It leads once it has applied an entry of its term, and so all those
		// before it. A role from an earlier term counts no more.
		if g.role.Load() == roleLeader {
			g.become(roleFollower)
			g.failFlights(ErrNotLeader)
		}
	case g.sole.Load():
		// Entries of earlier terms are applied as far as they are known to be
		// committed; the first entry of our own term commits the others.
		return true, g.raft.Campaign()
	default:
		g.role.CompareAndSwap(roleStarting, roleFollower)
	}
	if g.started != nil {
		g.observeCounts()
		g.started.Set(struct{}{}, nil)
		g.started = nil
	}
	return false, nil
}
