package replication

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// Two voters become one, under load, and at each step of it the power of one or both is
// cut. When all are back somebody leads, and everything that was answered is there.
//
// The hard case is that of a leader that goes down right after it has told the other one
// that it is a voter no more: it has forgotten that, and some entries, too, and needs a
// vote of who has them.
func TestTwoVotersBecomeOne(t *testing.T) {
	j := replaceJitter(t)
	changed, yielded := 0, uint64(0)
	for _, kind := range []ChangeKind{Remove, Demote} {
		for _, crash := range [][2]bool{{true, false}, {false, true}, {true, true}} {
			for step := 8; step < 24; step++ {
				b := newTrio(t, uint64(step+1), j, 2, 1, nil)
				b.settle(t)
				stays := b.leader(1)
				goes := b.nodes[1-stays.i]
				for _, n := range b.nodes {
					n.delay = time.Duration(100+100*((n.i+step)%3)) * time.Microsecond
				}
				if step%2 == 0 { // what it says arrives before it has that on disk
					stays.delay *= 10
				}
				acked, over, done := map[uint64]bool{}, false, false
				for writer := range uint64(8) {
					stays.e.Go("writer", func() {
						for k := uint64(1); !over; k++ {
							id := writer<<32 + k
							if _, err := stays.groups[0].Propose(add(id, 1)).Await(); err != nil {
								return
							}
							acked[id] = true
							stays.e.Sleep(time.Duration(stays.e.Rand() % uint64(4*stays.delay))) // not in step with the log
						}
					})
				}
				b.run(t, trioTick)
				stays.e.Go("change", func() { done = stays.groups[0].ChangeMembers(Change{kind, uint64(goes.id())}) == nil })
				b.run(t, max(150*time.Microsecond, stays.delay/4)*time.Duration(step))
				over = true
				if done {
					changed++
				}
				for i, n := range []*trioNode{stays, goes} {
					if crash[i] {
						n.crash()
					}
				}
				b.run(t, 2*trioTimeout)
				for _, n := range b.nodes {
					n.delay = 0
					if !b.w.Up(n.name()) {
						n.restart()
					}
				}
				b.runUntil(t, 8*trioTimeout, "somebody leads", func() bool { return b.leader(1) != nil })
				b.mustPropose(t, 1, 1<<50)
				n := b.leader(1)
				for id := range acked {
					if n.store.counter(1).seen[id] != 1 {
						t.Fatalf("%s, crash %v, step %d: command %d was answered and is there %d times", kind, crash, step, id, n.store.counter(1).seen[id])
					}
				}
				yielded += b.w.Marks()["replication: yield to the only voter"]
			}
		}
	}
	t.Logf("%d changes were answered before the crash; %d votes for a shorter log", changed, yielded)
	if changed == 0 || yielded == 0 {
		t.Error("the steps miss what they are to meet")
	}
}

// The one that is to go comes to lead before the change is committed, and its power is cut
// at each step from then on. The other one leads in the end.
func TestLeavingVoterLeads(t *testing.T) {
	j := replaceJitter(t)
	led := 0
	for seed := uint64(1); seed <= 16; seed++ {
		b := newTrio(t, seed, j, 2, 1, nil)
		b.settle(t)
		stays := b.leader(1)
		goes := b.nodes[1-stays.i]
		cut := b.net.Cut(b.net.Into(stays.id())) // acknowledgements are lost
		last := goes.groups[0].log.Last().Index
		stays.e.Go("change", func() { _ = stays.groups[0].ChangeMembers(Change{Remove, uint64(goes.id())}) })
		b.runUntil(t, trioTimeout, "the entry has arrived", func() bool { return goes.groups[0].log.Last().Index > last })
		stays.crash()
		cut.Heal()
		b.run(t, 2*trioTimeout)
		stays.restart()
		leads := func(n *trioNode) bool {
			return n.groups[0] != nil && n.groups[0].raft != nil && n.groups[0].raft.BasicStatus().RaftState == raft.StateLeader
		}
		b.runUntil(t, 5*trioTimeout, "an election", func() bool { return leads(goes) || leads(stays) })
		if leads(goes) {
			led++
			b.run(t, time.Duration(seed)*150*time.Microsecond)
			goes.crash()
			b.run(t, 2*trioTimeout)
			goes.restart()
		}
		b.runUntil(t, 8*trioTimeout, "the one that stays leads", func() bool { return b.leader(1) == stays })
		b.mustPropose(t, 1, 1)
	}
	if led == 0 {
		t.Error("the one that goes has never led")
	}
}

// Whoever has a change of members in its log knows after a power cut that the change
// before is committed, although its store has forgotten that it had applied it.
func TestChangeBeforeIsRemembered(t *testing.T) {
	b := newLab(t, 5, Options{})
	b.write(t, 3)
	leader := b.leader(t)
	var changes []uint64 // their indexes
	for _, c := range []Change{{AddLearner, 4}, {AddLearner, 5}, {Promote, 4}} {
		err := b.do(t, leader, func() error {
			for {
				if err := leader.groups[1].ChangeMembers(c); err == nil || c.Kind != Promote {
					return err
				}
				leader.e.Sleep(10 * time.Millisecond)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	b.pass(t, time.Second)
	for _, n := range b.nodes[:3] {
		changes = changes[:0]
		last := n.groups[1].log.Last().Index
		entries, err := n.groups[1].log.Entries(firstIndex+1, last+1, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.GetType() != raftpb.EntryNormal {
				changes = append(changes, e.GetIndex())
			}
		}
		if len(changes) < 3 {
			t.Fatalf("%s has changes at %v, want three", n.name(), changes)
		}
		if before := changes[len(changes)-2]; n.groups[1].log.Hard().Commit < before {
			t.Errorf("%s has on disk that %d is committed; the change before the last is entry %d", n.name(), n.groups[1].log.Hard().Commit, before)
		}
	}
}
