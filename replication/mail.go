package replication

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/replication/raftlog"
)

// An outbox collects what the groups of a worker have to say, so that a node is
// sent one bundle for all of them.
type outbox struct {
	letters []letter // in the order in which their nodes were first written to
	words   []word   // oldest first
	spare   int      // size of the largest bundle lately
	soonBy  env.Mono // when what is to leave soon leaves by itself; 0: not known, or there is none
}

// A word says that the log of a group is committed further, and is in no letter yet. While commands
// keep coming, the group's next entries say the same, and more: then it never leaves, and
// saves both nodes a message and the answer to it.
type word struct {
	to    uint64
	group GroupID
	since env.Mono
	item  []byte // of a bundle
}

// maxWords bounds the words that are looked through for each message. What is more goes into letters at once.
const maxWords = 64

type letter struct {
	to      uint64
	bundle  []byte
	urgency urgency
}

// An urgency says when a letter leaves. It may always go along with something more urgent for the
// same node, and mostly does: each letter that travels by itself costs both nodes a wake-up.
type urgency byte

const (
	// idle is what tells its reader nothing new. It leaves with the next tick at the latest.
	idle urgency = iota
	// soon is word that the log is committed further, without entries: followers can apply
	// those that they have. It leaves after Node.wordPause at the latest. For half of that it is no letter yet, but a word.
	soon
	now
)

// maxBundleBytes is the size from which a bundle is not added to.
const maxBundleBytes = 1 << 20

// to returns the bundle for a node, to add something to. It is valid until the next call.
func (o *outbox) to(node uint64, u urgency) *[]byte {
	for i := range o.letters {
		if l := &o.letters[i]; l.to == node && len(l.bundle) < maxBundleBytes {
			l.urgency = max(l.urgency, u)
			return &l.bundle
		}
	}
	bundle := appendBundleHeader(make([]byte, 0, max(64, o.spare)))
	o.letters = append(o.letters, letter{node, bundle, u})
	return &o.letters[len(o.letters)-1].bundle
}

// has reports whether a letter is at least so urgent.
func (o *outbox) has(u urgency) bool {
	return slices.ContainsFunc(o.letters, func(l letter) bool { return l.urgency >= u })
}

// isEmpty reports whether nothing is to be sent.
func (o *outbox) isEmpty() bool { return len(o.letters)+len(o.words) == 0 }

// keep keeps a word, in place of an earlier one of the same group. What the earlier one has waited counts.
func (o *outbox) keep(to uint64, g GroupID, t env.Mono, m *raftpb.Message, n *note) {
	i := o.find(to, g)
	if i < 0 {
		i = len(o.words)
		if i < cap(o.words) {
			o.words = o.words[:i+1] // with the memory of a word that has left
		} else {
			o.words = append(o.words, word{})
		}
		w := &o.words[i]
		w.to, w.group, w.since = to, g, t
	}
	w := &o.words[i]
	w.item, _ = appendMessage(w.item[:0], g, m, n)
}

// overtake drops the word of a group to a node that is sent entries now.
func (o *outbox) overtake(to uint64, g GroupID) {
	if i := o.find(to, g); i >= 0 {
		o.forget(i)
	}
}

func (o *outbox) find(to uint64, g GroupID) int {
	return slices.IndexFunc(o.words, func(w word) bool { return w.group == g && w.to == to })
}

func (o *outbox) forget(i int) {
	gone := o.words[i]
	last := i + copy(o.words[i:], o.words[i+1:])
	o.words[last] = word{item: gone.item}
	o.words = o.words[:last]
}

// ripen puts words into letters that have waited for entries for half of their time, or are about
// to leave anyway.
func (w *worker) ripen(least urgency) {
	o := &w.out
	if len(o.words) == 0 {
		return
	}
	pause := w.node.wordPause()
	t := w.node.e.Now()
	for len(o.words) > 0 && (least <= soon || t.Sub(o.words[0].since) >= pause/2) {
		first := &o.words[0]
		bundle := o.to(first.to, soon)
		*bundle = append(*bundle, first.item...)
		if o.soonBy == 0 {
			o.soonBy = first.since.Add(pause)
		}
		o.forget(0)
	}
}

// flush sends letters that are at least so urgent. The transport keeps the bundles.
func (w *worker) flush(least urgency) {
	w.ripen(least)
	o := &w.out
	if len(o.letters) == 0 {
		return
	}
	o.spare /= 2
	kept := o.letters[:0]
	for _, l := range o.letters {
		if l.urgency < least {
			kept = append(kept, l)
			continue
		}
		o.spare = min(max(o.spare, len(l.bundle)), 64<<10)
		w.node.o.Transport.Send(transport.NodeID(l.to), transport.Raft, l.bundle)
	}
	clear(o.letters[len(kept):])
	o.letters = kept
	if !o.has(soon) {
		o.soonBy = 0
	}
}

// linger returns how long the worker may park before it has to send what is to leave soon.
func (w *worker) linger() time.Duration {
	o := &w.out
	t := w.node.e.Now()
	if o.soonBy == 0 {
		if !o.has(soon) {
			return o.words[0].since.Add(w.node.wordPause()).Sub(t)
		}
		o.soonBy = t.Add(w.node.wordPause())
	}
	return o.soonBy.Sub(t)
}

// wordPause is how long word of a commit waits for something to go along with: 5 ms, if a tick is 100. What a
// client does next mostly comes within that, if it comes at all.
func (n *Node) wordPause() time.Duration { return n.o.Tick / 20 }

// urgencyOf is asked for each message once, in the order in which they leave.
func (g *Group) urgencyOf(m *raftpb.Message) urgency {
	switch m.GetType() {
	case raftpb.MsgApp:
		if len(m.GetEntries()) == 0 {
			return soon
		}
	case raftpb.MsgAppResp:
		// Raft answers word of a commit, too. What that says the leader has been told already,
		// unless the answer to the last entries was lost: then these come again.
		said := acknowledged{m.GetTo(), m.GetTerm(), m.GetIndex()}
		if !m.GetReject() && !g.given && said == g.said {
			return idle
		}
		g.said, g.given = said, false
	}
	return now
}

// acknowledged is what a follower has told a leader last of its log.
type acknowledged struct{ leader, term, index uint64 }

// mustWait reports whether a message claims something that holds only once what
// raft wanted to write before it is durable. All others may be sent at once: a
// leader's disk and the network then work at the same time (Ongaro's thesis,
// 10.2.1), and a candidate counts its own vote only when that is written.
//
// To raft the answer to a heartbeat promises nothing. But a lease may rest on it, and a replica that has
// been in no term yet takes itself for free after a crash (lease.restart): so the first answer in a term waits
// until that is written.
func (g *Group) mustWait(m *raftpb.Message) bool {
	switch m.GetType() {
	case raftpb.MsgAppResp, raftpb.MsgVoteResp, raftpb.MsgPreVoteResp:
		return !plant.On(plant.AcknowledgedBeforeWrite)
	case raftpb.MsgHeartbeatResp:
		return m.GetTerm() > g.log.Hard().Term
	}
	return false
}

// sendEarly sends what need not wait for the disk and leaves the rest.
func (g *Group) sendEarly() {
	all := g.ready.Messages
	late := all[:0]
	for _, m := range all {
		if g.mustWait(m) {
			late = append(late, m)
		} else {
			g.send(m)
		}
	}
	clear(all[len(late):])
	g.ready.Messages = late
}

// sendLate sends what had to wait. A leader that steps down does so before anybody
// can learn of its vote for another one.
func (g *Group) sendLate() {
	if s := g.ready.SoftState; s != nil {
		g.setRole(s)
	}
	for _, m := range g.ready.Messages {
		g.send(m)
	}
}

// send puts a message into the worker's outbox.
func (g *Group) send(m *raftpb.Message) {
	if m.GetType() == raftpb.MsgSnap {
		g.sendSnapshot(m)
		return
	}
	g.observeSent(m)
	n := g.lease.stamp(g, m)
	o := &g.worker.out
	u := g.urgencyOf(m)
	if u == soon && len(o.words) < maxWords {
		o.keep(m.GetTo(), g.id, g.node.e.Now(), m, &n)
		return
	}
	if m.GetType() == raftpb.MsgApp {
		o.overtake(m.GetTo(), g.id)
	}
	to := o.to(m.GetTo(), u)
	*to, _ = appendMessage(*to, g.id, m, &n)
}

// An inbox is what other nodes have told the groups of a worker and was not read
// yet; guarded by worker.mu. What does not fit is dropped, which raft takes as
// it takes a lossy network.
type inbox struct {
	messages []delivery
	bytes    int
}

type delivery struct {
	g    *Group
	m    *message
	size int // of what it holds in memory
}

const (
	maxInboxBytes = 64 << 20
	messageBytes  = 512 // what a message without entries takes
)

// receive takes a bundle from another node. From the first malformed item on it is
// dropped, and so are messages for groups that are not running.
func (n *Node) receive(from transport.NodeID, bundle []byte) {
	r, err := readBundle(bundle, uint64(from), n.o.NodeID)
	if err != nil {
		return
	}
	if !r.atBeat() {
		n.hear(uint64(from), nil)
	}
	for len(r.b) > 0 {
		if r.atBeat() {
			b, err := r.nextBeat()
			if err != nil {
				return
			}
			n.hear(uint64(from), &b)
			continue
		}
		before := len(r.b)
		m, err := r.next()
		if err != nil {
			return
		}
		n.deliver(m, before-len(r.b))
	}
}

func (n *Node) deliver(m *message, size int) {
	g, known := n.lookup(m.group)
	switch {
	case g != nil:
		g.worker.deliver(delivery{g, m, messageBytes + size})
	case !known && n.o.OnUnknown != nil:
		n.o.OnUnknown(m.raft.GetFrom(), m.group)
	}
}

func (w *worker) deliver(d delivery) {
	w.mu.Lock()
	if w.stopping || w.in.bytes > 0 && w.in.bytes+d.size > maxInboxBytes {
		w.mu.Unlock()
		return
	}
	w.in.messages = append(w.in.messages, d)
	w.in.bytes += d.size
	w.pokeAndUnlock()
}

// read hands raft what has arrived.
func (w *worker) read() {
	w.mu.Lock()
	arrived := w.in.messages
	w.in = inbox{messages: w.reading[:0]}
	w.mu.Unlock()
	for _, d := range arrived {
		w.receive(d.g, d.m, d.size)
	}
	clear(arrived)
	w.reading = arrived
}

// receive steps a message, if the log has room for what it brings.
func (w *worker) receive(g *Group, m *message, size int) {
	if !g.running() || g.empty && !isForEmpty(&m.raft) && !(g.blank && isForBlank(&m.raft)) && !plant.On(plant.EmptyReplicaVotes) {
		return
	}
	if m.typ == typeWake {
		w.called(g, m.raft.GetFrom())
		return
	}
	if m.typ == typeTimeoutNow && !w.node.mayCampaign(g) {
		return
	}
	need := int64(size) + raftlog.MarkBytes
	for _, e := range m.raft.Entries {
		need += raftlog.EntryBytes(0)
		if saysCommit(e) {
			need += raftlog.MarkBytes
		}
	}
	if err := w.node.log.Reserve(&w.batch, need); err != nil {
		w.node.noteFull(err)
		return
	}
	w.rouse(g, m)
	g.lease.arrived(g, m)
	if (m.typ == typeHeartbeat || m.typ == typeAppend) && m.raft.GetTerm() == g.lease.term {
		g.unheard = 0 // raft counts from here, too, or from when its term began
	}
	g.given = g.given || len(m.raft.Entries) > 0
	if (m.typ == typeVote || m.typ == typePreVote) && g.yields(m.raft.GetFrom()) {
		last := g.log.Last()
		m.raft.Index, m.raft.LogTerm = &last.Index, &last.Term
	}
	if err := g.stepRaft(&m.raft); err != nil && !isHarmless(err) {
		w.drop(g, failed(err))
		return
	}
	if m.note.echo > 0 {
		g.lease.renew(g)
	}
	if err := w.stir(g); err != nil {
		w.drop(g, failed(err))
	}
}
