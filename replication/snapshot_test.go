package replication

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/internal/vfs"
)

var frames = []struct {
	hex string
	f   frame
}{
	{"01" + "07" + "0200000000000000" + "686579", frame{kind: frameOffer, group: 7, stream: 2, data: []byte("hey")}},
	{"02" + "07" + "0200000000000000" + "ac02" + "5bc0b182" + "686579", frame{kind: frameChunk, group: 7, stream: 2, number: 300, data: []byte("hey")}},
	{"03" + "07" + "0200000000000000" + "05", frame{kind: frameEnd, group: 7, stream: 2, number: 5}},
	{"04" + "07" + "0200000000000000" + "05", frame{kind: frameAck, group: 7, stream: 2, number: 5}},
	{"05" + "07" + "0200000000000000" + "01", frame{kind: frameResult, group: 7, stream: 2, number: resultFailed}},
	{"06" + "07" + "0200000000000000", frame{kind: frameCancel, group: 7, stream: 2}},
}

func (f *frame) equal(g *frame) bool {
	return f.kind == g.kind && f.group == g.group && f.stream == g.stream && f.number == g.number && bytes.Equal(f.data, g.data)
}

func TestFrameBytes(t *testing.T) {
	for _, s := range frames {
		b := s.f.append(nil)
		if got := hex.EncodeToString(b); got != s.hex {
			t.Errorf("%+v:\n got %s\nwant %s", s.f, got, s.hex)
		}
		if got, err := decodeFrame(b); err != nil || !got.equal(&s.f) {
			t.Errorf("decodeFrame(%s) = %+v, %v", s.hex, got, err)
		}
	}
}

// Whatever is wrong with a chunk, it is not taken for data: it is cut short, or
// belongs to another place, or a bit has flipped.
func TestFrameRefuses(t *testing.T) {
	chunk := frames[1].f.append(nil)
	for n := range len(chunk) {
		if f, err := decodeFrame(chunk[:n]); err == nil {
			t.Errorf("the first %d bytes decode as %+v", n, f)
		}
	}
	for bit := 8; bit < 8*len(chunk); bit++ { // the kind decides which check there is
		b := bytes.Clone(chunk)
		b[bit/8] ^= 1 << (bit % 8)
		if f, err := decodeFrame(b); err == nil && f.group == 7 {
			t.Errorf("bit %d flipped: decodes as %+v", bit, f)
		}
	}
	for _, text := range []string{"", "00", "07" + "07" + "0200000000000000", "04" + "00" + "0200000000000000" + "05",
		"04" + "07" + "0200000000000000" + "8500", "04" + "07" + "0200000000000000" + "05" + "00", "03" + "07" + "0200000000000000"} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := decodeFrame(b); err == nil {
			t.Errorf("%s decodes as %+v", text, f)
		}
	}
	big := frame{kind: frameChunk, group: 1, data: make([]byte, MaxChunkBytes+1)}
	if _, err := decodeFrame(big.append(nil)); err == nil {
		t.Error("a chunk above the limit is taken")
	}
}

func FuzzFrame(f *testing.F) {
	for _, s := range frames {
		f.Add(s.f.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeFrame(b)
		if err != nil {
			return
		}
		if again := got.append(nil); !bytes.Equal(again, b) {
			t.Errorf("%x decodes to something that encodes as %x", b, again)
		}
	})
}

func FuzzMembers(f *testing.F) {
	f.Add(bedMembers)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		cs, err := decodeMembers(b)
		if err == nil && len(b) > 0 && !bytes.Equal(encodeMembers(cs), b) {
			t.Errorf("%x decodes to something that encodes as %x", b, encodeMembers(cs))
		}
		if _, err2 := DecodeMembers(b); (err == nil) != (err2 == nil) {
			t.Errorf("decodeMembers: %v, DecodeMembers: %v", err, err2)
		}
	})
}

func FuzzChange(f *testing.F) {
	b, err := encodeChange([]Change{{AddLearner, 4}, {Promote, 3}, {Demote, 2}, {Remove, 1}}, 9, 1<<60)
	if err != nil {
		f.Fatal(err)
	}
	if _, proposer, number, err := decodeChange(b); err != nil || proposer != 9 || number != 1<<60 {
		f.Fatalf("decodeChange: proposer %d, number %d, %v; want 9 and %d", proposer, number, err, uint64(1<<60))
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if cc, _, _, err := decodeChange(b); err == nil && cc == nil {
			t.Error("neither a change nor an error")
		}
	})
}

// A lab is a bed where nothing happens by itself.
func newLab(t *testing.T, nodes int, o Options) *bed {
	b := &bed{
		w: env.NewWorld(1, env.Options{}), j: replaceJitter(t), calm: true,
		sent: map[uint64]error{}, group: map[uint64]GroupID{},
		entries: map[bedPlace]uint64{}, states: map[bedPlace]uint64{}, leaders: map[bedPlace]uint64{}, changes: map[string]int{},
	}
	t.Cleanup(b.w.Close)
	b.rng = b.w.Stream("test")
	b.net = transport.NewNetwork(b.w, transport.NetworkOptions{})
	o.Tick = 10 * time.Millisecond
	for i := range nodes {
		n := &bedNode{b: b, id: uint64(i + 1), disk: vfs.NewDisk(uint64(i)), store: newMemStore(), born: map[GroupID]bool{}, o: o}
		b.nodes = append(b.nodes, n)
		e := b.w.NewNode(n.name())
		b.net.Add(transport.NodeID(n.id), transport.Site{Name: n.name(), Zone: n.name()})
		b.w.OnCrash(n.name(), func() { n.disk.Crash(vfs.LoseAll) })
		b.boot(n, e)
	}
	b.pass(t, time.Second)
	return b
}

func (b *bed) pass(t *testing.T, d time.Duration) {
	t.Helper()
	if err := b.w.Run(b.w.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
}

// do runs f as a task of a node.
func (b *bed) do(t *testing.T, n *bedNode, f func() error) error {
	t.Helper()
	var result error
	if err := b.w.Do(n.e, "test", func() { result = f() }); err != nil {
		t.Fatal(err)
	}
	return result
}

func (b *bed) leader(t *testing.T) *bedNode {
	t.Helper()
	for range 100 {
		for _, n := range b.nodes {
			if b.w.Up(n.name()) && n.groups[1] != nil && n.groups[1].Leading() {
				return n
			}
		}
		b.pass(t, 100*time.Millisecond)
	}
	t.Fatalf("no leader:\n%s", b.describe(1))
	return nil
}

// write has n commands applied at the leader.
func (b *bed) write(t *testing.T, count int) {
	t.Helper()
	leader := b.leader(t)
	err := b.do(t, leader, func() error {
		for range count {
			b.next++
			if _, err := leader.groups[1].Propose(add(b.next, 1)).Await(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("Propose: %v", err)
	}
}

// wantEqual waits until a node has what the leader has.
func (b *bed) wantEqual(t *testing.T, n *bedNode) {
	t.Helper()
	for range 50 {
		if n.groups[1] != nil && n.store.counter(1).applied == b.leader(t).store.counter(1).applied {
			return // the states were compared when they were applied
		}
		b.pass(t, 100*time.Millisecond)
	}
	t.Fatalf("%s has not caught up:\n%s", n.name(), b.describe(1))
}

func (b *bed) follower(t *testing.T) *bedNode {
	leader := b.leader(t)
	for _, n := range b.nodes {
		if n != leader && n.groups[1] != nil {
			return n
		}
	}
	t.Fatal("no follower")
	return nil
}

// Trap: if the message that brings a snapshot is lost and raft is not told, it
// takes the member for busy with it, for ever.
func TestLostSnapshotIsReported(t *testing.T) {
	b := newLab(t, 3, Options{KeepEntries: 1})
	slow := b.follower(t)
	cut := b.net.Cut(b.net.Around(transport.NodeID(slow.id)))
	b.write(t, 20)
	b.noSnapshots = true // from here on they get lost
	cut.Heal()
	b.pass(t, 3*time.Second) // the leader gives up
	if b.w.Marks()["replication: snapshot failed"] == 0 {
		t.Fatal("the leader still waits for the snapshot")
	}
	if got := slow.store.counter(1).applied; got > 10 {
		t.Fatalf("the follower has applied %d entries without a snapshot", got)
	}
	b.noSnapshots = false
	b.wantEqual(t, slow)
}

// Trap: a crash after the store has the snapshot and before the log is switched.
// The hard state must not count for the old entries, which were never committed.
func TestCrashBeforeTheSwitch(t *testing.T) {
	b := newLab(t, 3, Options{KeepEntries: 1})
	leader := b.leader(t)
	// The leader writes what nobody else gets, and is deposed.
	cut := b.net.Cut(b.net.Around(transport.NodeID(leader.id)))
	for range 5 {
		b.next++
		leader.groups[1].Propose(add(b.next, 1000))
	}
	b.pass(t, 2*time.Second)
	lonely := leader.groups[1].log.Last()
	b.write(t, 30)
	// Now it gets a snapshot, and loses power when the store has it.
	leader.afterCommit = func() { b.crash(leader) }
	cut.Heal()
	for range 100 {
		if b.pass(t, 50*time.Millisecond); !b.w.Up(leader.name()) {
			break
		}
	}
	leader.afterCommit = nil
	if b.w.Up(leader.name()) {
		t.Fatalf("%s got no snapshot:\n%s", leader.name(), b.describe(1))
	}
	// Without the others, it must come up with the snapshot and nothing else.
	cut = b.net.Cut(b.net.Around(transport.NodeID(leader.id)))
	b.restart()
	b.pass(t, 100*time.Millisecond)
	if b.w.Marks()["replication: snapshot installed, log not switched"] != 1 {
		t.Error("the log was switched by then")
	}
	st := leader.store.counter(1)
	log := leader.groups[1].log
	if st.applied != st.restored[0] || log.Last().Index != st.applied || log.Has(lonely) && lonely.Index >= st.applied {
		t.Errorf("applied %d after a snapshot of %d; the log ends with %v, and had ended with %v", st.applied, st.restored[0], log.Last(), lonely)
	}
	if st.sum >= 1000 {
		t.Errorf("the sum is %d: uncommitted entries were applied", st.sum)
	}
	cut.Heal()
	b.wantEqual(t, leader)
}

// Trap: damage is not a torn tail. A voter whose log has lost what it promised
// must not take part; the others go on, and its place is taken by a new node.
func TestDamagedVoterIsReplaced(t *testing.T) {
	b := newLab(t, 4, Options{})
	broken := b.follower(t)
	b.write(t, 20)
	b.crash(broken)
	names, err := broken.disk.Mount().List("raft")
	if err != nil || len(names) == 0 {
		t.Fatalf("log segments: %v, %v", names, err)
	}
	if err := broken.disk.FlipBit("raft/"+names[len(names)-1], 8*4500); err != nil { // in an entry, long synced
		t.Fatal(err)
	}
	e := b.w.Restart(broken.name())
	err = b.do(t, &bedNode{e: e}, func() error {
		n, err := Open(e, broken.disk.Mount(), broken.store.crash(), Options{NodeID: broken.id})
		if err == nil {
			_ = n.Close()
		}
		return err
	})
	if err == nil {
		t.Fatal("Open of a damaged log succeeds")
	}
	b.crash(broken)
	broken.groups = map[GroupID]*Group{}
	b.write(t, 5)
	leader, fresh := b.leader(t), b.nodes[3]
	change := func(c ...Change) error {
		return b.do(t, leader, func() error {
			for {
				// The leader learns by a heartbeat that a learner has caught up.
				err := leader.groups[1].ChangeMembers(c...)
				if !errors.Is(err, ErrBusy) {
					return err
				}
				leader.e.Sleep(leader.node.o.Tick)
			}
		})
	}
	if err := change(Change{Remove, broken.id}); err != nil {
		t.Fatalf("remove: %v", err)
	}
	if err := change(Change{AddLearner, fresh.id}); err != nil {
		t.Fatalf("add: %v", err)
	}
	b.wantEqual(t, fresh)
	if err := change(Change{Promote, fresh.id}); err != nil {
		t.Fatalf("promote: %v", err)
	}
	b.write(t, 5)
	b.wantEqual(t, fresh)
}

// A Ready that brings entries which replace others may say that the new ones are
// committed. The hard state is written first.
func TestHardStateDoesNotCountOnEntriesBehindIt(t *testing.T) {
	l := newLab(t, 3, Options{})
	g := l.leader(t).groups[1]
	commit, term, vote := uint64(9), uint64(4), uint64(0)
	g.ready.HardState = &raftpb.HardState{Term: &term, Vote: &vote, Commit: &commit}
	if got := hardStateOf(&g.ready); got.Commit != 9 {
		t.Errorf("Commit = %d without entries, want 9", got.Commit)
	}
	index := uint64(7)
	g.ready.Entries = []*raftpb.Entry{{Index: &index}}
	if got := hardStateOf(&g.ready); got.Commit != 6 || got.Term != 4 {
		t.Errorf("Commit = %d, term %d with entries from 7 on, want 6 and 4", got.Commit, got.Term)
	}
	g.ready.HardState, g.ready.Entries = nil, nil
}

// How much of the log is kept for others: more while a snapshot is on its way, so
// that the log is still there when it has arrived; nothing on a full disk.
func TestKeepSegments(t *testing.T) {
	b := newLab(t, 3, Options{MaxSegments: 3})
	n := b.leader(t).node
	want := func(segments int) {
		t.Helper()
		if got := n.keepSegments(); got != segments {
			t.Errorf("%d segments are kept, want %d", got, segments)
		}
	}
	want(3)
	n.streams.out[1] = &outbound{}
	want(24)
	delete(n.streams.out, 1)
	n.streams.arrived = b.w.Now() + 1
	want(24)
	n.noteFull(ErrNoSpace)
	want(0)
	b.pass(t, 2*time.Second)
	want(3)
}
