package replication

import (
	"errors"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/internal/transport"
)

// The members grow from three to four and shrink again, without the one that
// leads; whoever is added gets a snapshot, although the log has everything.
func TestChangeMembers(t *testing.T) {
	b := newLab(t, 4, Options{})
	b.write(t, 5)
	leader, old, fresh := b.leader(t), b.follower(t), b.nodes[3]
	change := func(c ...Change) error {
		t.Helper()
		return b.do(t, leader, func() error { return leader.groups[1].ChangeMembers(c...) })
	}
	for _, test := range []struct {
		changes []Change
		want    error
	}{
		{nil, ErrMembers},
		{[]Change{{Promote, fresh.id}}, ErrMembers},
		{[]Change{{Remove, fresh.id}}, ErrMembers},
		{[]Change{{Demote, fresh.id}}, ErrMembers},
		{[]Change{{AddLearner, old.id}}, ErrMembers},
		{[]Change{{Remove, leader.id}}, ErrMembers},
		{[]Change{{Demote, leader.id}}, ErrMembers},
		{[]Change{{AddLearner, fresh.id}, {Promote, fresh.id}}, ErrMembers},
		{[]Change{{AddLearner, fresh.id}}, nil},
	} {
		if err := change(test.changes...); !errors.Is(err, test.want) {
			t.Errorf("%v: %v, want %v", test.changes, err, test.want)
		}
	}
	b.wantEqual(t, fresh)
	if st := fresh.store.counter(1); st.restored[0] == 0 {
		t.Error("the learner replayed the log instead of taking a snapshot")
	}
	err := b.do(t, old, func() error { return old.groups[1].ChangeMembers(Change{Promote, fresh.id}) })
	if !errors.Is(err, ErrNotLeader) {
		t.Errorf("ChangeMembers of a follower: %v, want ErrNotLeader", err)
	}
	// A swap in one step, by way of a joint configuration.
	if err := change(Change{Promote, fresh.id}, Change{Remove, old.id}); err != nil {
		t.Fatalf("swap: %v", err)
	}
	b.write(t, 5)
	b.pass(t, time.Second)
	s := leader.groups[1].status()
	if len(s.Members.Voters) != 3 || s.Members.Joint() || len(s.Members.Learners) > 0 {
		t.Errorf("members are %+v, want three voters", s.Members)
	}
	b.wantEqual(t, fresh)
}

// A learner that cannot be reached is not promoted: the group would wait for it.
func TestPromoteNeedsALearnerThatHasCaughtUp(t *testing.T) {
	b := newLab(t, 4, Options{})
	leader, fresh := b.leader(t), b.nodes[3]
	b.crash(fresh)
	err := b.do(t, leader, func() error {
		g := leader.groups[1]
		if err := g.ChangeMembers(Change{AddLearner, fresh.id}); err != nil {
			return err
		}
		return g.ChangeMembers(Change{Promote, fresh.id})
	})
	if !errors.Is(err, ErrBusy) {
		t.Errorf("promote: %v, want ErrBusy", err)
	}
}

func TestTransfer(t *testing.T) {
	b := newLab(t, 3, Options{})
	b.write(t, 3)
	old, next := b.leader(t), b.follower(t)
	transfer := func(from *bedNode, to uint64) error {
		return b.do(t, from, func() error { return from.groups[1].Transfer(to) })
	}
	if err := transfer(old, 9); !errors.Is(err, ErrMembers) {
		t.Errorf("transfer to a stranger: %v, want ErrMembers", err)
	}
	if err := transfer(next, old.id); !errors.Is(err, ErrNotLeader) {
		t.Errorf("transfer by a follower: %v, want ErrNotLeader", err)
	}
	if err := transfer(old, old.id); err != nil {
		t.Errorf("transfer to itself: %v", err)
	}
	if err := transfer(old, next.id); err != nil || old.groups[1].Leader() != next.id || old.groups[1].Leading() {
		t.Fatalf("transfer: %v; the leader is %d", err, old.groups[1].Leader())
	}
	b.write(t, 3)
	// Nobody takes over, and the leader goes on.
	leader, gone := b.leader(t), b.follower(t)
	cut := b.net.Cut(b.net.Into(transport.NodeID(gone.id)))
	if err := transfer(leader, gone.id); !errors.Is(err, ErrBusy) {
		t.Errorf("transfer to one that hears nothing: %v, want ErrBusy", err)
	}
	b.write(t, 3)
	cut.Heal()
	b.wantEqual(t, gone)
}

// An empty replica votes for nobody and takes no entries that would be the first
// of the group's life.
func TestEmptyReplicaIsDeaf(t *testing.T) {
	for _, test := range []struct {
		m    *raftpb.Message
		want bool
	}{
		{&raftpb.Message{Type: raftpb.MsgVote.Enum()}, false},
		{&raftpb.Message{Type: raftpb.MsgPreVote.Enum()}, false},
		{&raftpb.Message{Type: raftpb.MsgTimeoutNow.Enum()}, false},
		{&raftpb.Message{Type: raftpb.MsgApp.Enum()}, false},
		{&raftpb.Message{Type: raftpb.MsgApp.Enum(), Index: new(uint64(5))}, true},
		{&raftpb.Message{Type: raftpb.MsgHeartbeat.Enum()}, true},
	} {
		if got := isForEmpty(test.m); got != test.want {
			t.Errorf("isForEmpty(%v) = %t", test.m.GetType(), got)
		}
	}
	// Two of three voters: one has lost its place, and is empty again. Alone with
	// it the third one must not be elected.
	b := newLab(t, 3, Options{})
	b.write(t, 3)
	leader, wiped := b.leader(t), b.follower(t)
	err := b.do(t, wiped, func() error {
		if err := wiped.node.Remove(1); err != nil {
			return err
		}
		wiped.store.state[1] = counterState{}
		wiped.start(1, nil)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if hs := wiped.groups[1].log.Hard(); hs.Term == 0 {
		t.Error("the replica has forgotten its term")
	}
	b.crash(leader)
	b.pass(t, 3*time.Second)
	for _, n := range b.nodes {
		if n != leader && n.groups[1].Leading() {
			t.Errorf("%s was elected with the vote of an empty replica", n.name())
		}
	}
}

// A voter is replaced, and drops its replica as soon as the leader knows that the others know. The leader is lost at
// the same moment, and the two that are left have a leader again, even if their power was cut.
func TestVotersKnowThatTheyAre(t *testing.T) {
	for _, cut := range []bool{false, true} {
		b := newLab(t, 4, Options{})
		b.write(t, 3)
		leader, replaced, fresh := b.leader(t), b.follower(t), b.nodes[3]
		other := b.nodes[6-leader.id-replaced.id-1]
		group := leader.groups[1]
		if err := b.do(t, leader, func() error { return group.ChangeMembers(Change{AddLearner, fresh.id}) }); err != nil {
			t.Fatal(err)
		}
		b.pass(t, time.Second)
		if s := group.status(); !s.Known {
			t.Fatalf("cut %t: members %+v are not known, want known: a learner is no voter", cut, s.Members)
		}
		err := b.do(t, leader, func() error {
			return group.ChangeMembers(Change{Promote, fresh.id}, Change{Remove, replaced.id})
		})
		if err != nil {
			t.Fatal(err)
		}
		told := b.w.Now()
		for s := group.status(); s.Members.Joint() || !s.Known; s = group.status() {
			if s.Known && s.Members.Joint() {
				t.Fatal("joint members are known")
			}
			if b.pass(t, 10*time.Microsecond); b.w.Now().Sub(told) > time.Second {
				t.Fatalf("cut %t: members %+v are not known after a second", cut, s.Members)
			}
		}
		b.crash(leader)
		b.crash(replaced)
		if cut {
			for _, n := range []*bedNode{other, fresh} {
				n.store.flushErr = errors.New("nothing is flushed") // what is applied is known from the log alone
				b.crash(n)
				n.store = n.store.crash()
				b.boot(n, b.w.Restart(n.name()))
			}
		}
		b.pass(t, time.Second)
		b.write(t, 3)
	}
}

// A voter was lost and has been replaced; then another one is lost, and the power of the other
// two is cut. They do not come back under the members of before, of which two would be missing.
func TestReplacedVoterIsNotNeededAgain(t *testing.T) {
	b := newLab(t, 4, Options{})
	b.write(t, 3)
	leader, replaced, fresh := b.leader(t), b.follower(t), b.nodes[3]
	other := b.nodes[6-leader.id-replaced.id-1]
	if err := b.do(t, leader, func() error { return leader.groups[1].ChangeMembers(Change{AddLearner, fresh.id}) }); err != nil {
		t.Fatal(err)
	}
	b.pass(t, time.Second)
	for _, n := range b.nodes {
		n.store.flushErr = errors.New("nothing is flushed") // what is applied is known from the log alone
	}
	b.crash(replaced)
	err := b.do(t, leader, func() error {
		return leader.groups[1].ChangeMembers(Change{Promote, fresh.id}, Change{Remove, replaced.id})
	})
	if err != nil {
		t.Fatal(err)
	}
	b.pass(t, 100*time.Millisecond)
	for _, n := range []*bedNode{leader, other, fresh} {
		if s := n.groups[1].status(); s.Members.Joint() || len(s.Members.Voters) != 3 {
			t.Fatalf("%s has members %+v, want three voters", n.name(), s.Members)
		}
	}
	b.crash(other)
	b.crash(leader)
	b.crash(fresh)
	for _, n := range []*bedNode{leader, fresh} {
		n.store = n.store.crash()
		b.boot(n, b.w.Restart(n.name()))
	}
	b.pass(t, time.Second)
	b.write(t, 3)
}
