package replication

import (
	"slices"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
)

const trioTimeout = electionTicks * trioTick

// settle lets leaders be elected and the groups go to sleep.
func (b *trio) settle(t testing.TB) {
	t.Helper()
	b.runUntil(t, 6*trioTimeout, "all groups have a leader and sleep", func() bool { return b.asleep() == b.groups*len(b.nodes) })
	for id := 1; id <= b.groups; id++ {
		if b.leader(GroupID(id)) == nil {
			t.Fatalf("seed %d: group %d sleeps without a leader", b.w.Seed(), id)
		}
	}
}

// asleep counts the replicas that do not tick.
func (b *trio) asleep() (n int) {
	for _, node := range b.nodes {
		for _, g := range node.groups {
			if g != nil && b.w.Up(node.name()) && g.role.Load() != roleStarting && !g.awake {
				n++
			}
		}
	}
	return n
}

// A new group does not wait for an election timeout to have its first leader, not
// even if its replicas start one after the other.
func TestNewGroupsHaveLeadersSoon(t *testing.T) {
	j := replaceJitter(t)
	for seed := range uint64(4) {
		b := newTrio(t, seed, j, 3, 10, nil)
		for _, n := range b.nodes[1:] {
			if seed%2 == 1 {
				n.e.Go("late", func() {
					b.w.Pause(n.name())
					b.w.After(time.Duration(n.i)*trioTimeout/4, func() { b.w.Resume(n.name()) })
				})
			}
		}
		b.runUntil(t, trioTimeout*3/2, "all new groups have leaders", func() bool {
			for id := 1; id <= b.groups; id++ {
				if b.leader(GroupID(id)) == nil {
					return false
				}
			}
			return true
		})
		if took := b.w.Now(); seed%2 == 0 && took > env.Mono(trioTimeout*8/10) {
			t.Errorf("seed %d: it took %s", seed, time.Duration(took))
		}
		b.w.Close()
	}
}

// The nodes that a node watches are the members of its groups, as long as there are
// groups.
func TestNodesAreWatchedWhileTheyShareGroups(t *testing.T) {
	b := newTrio(t, 1, replaceJitter(t), 3, 2, nil)
	b.settle(t)
	n := b.nodes[0]
	for id, want := range []int{2, 2, 0} {
		if id > 0 {
			n.do(t, func() {
				if err := n.node.Remove(GroupID(id)); err != nil {
					t.Error(err)
				}
			})
		}
		if got := len(n.node.liveness.peers); got != want {
			t.Errorf("after %d removals %d nodes are watched, want %d", id, got, want)
		}
	}
}

// Groups without work cost no messages: all that is left are the nodes' beats.
func TestIdleGroupsSleep(t *testing.T) {
	b := newTrio(t, 1, replaceJitter(t), 3, 20, nil)
	b.settle(t)
	before := b.net.Count(transport.Delivered)
	b.run(t, 50*trioTick)
	if sent := b.net.Count(transport.Delivered) - before; sent > 51*6 {
		t.Errorf("%d messages in 50 ticks among three nodes whose groups sleep, want 6 per tick", sent)
	}
	if n := b.asleep(); n != 60 {
		t.Errorf("%d replicas of 60 sleep", n)
	}
	n := b.leader(1)
	n.do(t, func() {
		st, err := n.groups[0].Status()
		if err != nil || !st.Asleep || st.Leased || len(st.Progress) != 3 {
			t.Errorf("status of a sleeping leader: %+v, %v", st, err)
		}
		for _, p := range st.Progress {
			if !p.Active {
				t.Errorf("node %d is not active in the eyes of a sleeping leader", p.Node)
			}
		}
	})
}

// A group that has sent a snapshot sleeps again, once the log behind it need no longer be
// kept.
func TestGroupSleepsAfterSnapshot(t *testing.T) {
	b := newTrio(t, 1, replaceJitter(t), 3, 1, func(_ int, o *Options) { o.KeepEntries = 1 })
	b.settle(t)
	behind := b.nodes[0]
	if behind == b.leader(1) {
		behind = b.nodes[1]
	}
	behind.crash()
	for identity := uint64(1); identity <= 20; identity++ {
		b.mustPropose(t, 1, identity)
	}
	sender := b.leader(1)
	before := sender.node.streams.last
	behind.restart()
	b.runUntil(t, 6*trioTimeout, "a snapshot is sent", func() bool { return sender.node.streams.last > before })
	b.settle(t)
}

// A group that sleeps takes the next proposal at once, and goes to sleep again.
func TestSleepingGroupTakesProposals(t *testing.T) {
	j := replaceJitter(t)
	for seed := range uint64(3) {
		b := newTrio(t, seed, j, 3, 2, nil)
		for identity := uint64(1); identity <= 3; identity++ {
			b.settle(t)
			began := b.w.Now()
			b.mustPropose(t, 1, identity)
			if took := b.w.Now().Sub(began); took > trioTick {
				t.Errorf("seed %d: a proposal to a sleeping group took %s", seed, took)
			}
			if b.nodes[0].groups[0].awake && b.nodes[0].groups[1].awake {
				t.Errorf("seed %d: the other group woke, too", seed)
			}
		}
		b.settle(t)
		for _, n := range b.nodes {
			if got := n.store.counter(1).sum; got != 3 {
				t.Errorf("seed %d: %s sleeps with sum %d, want 3", seed, n.name(), got)
			}
		}
		b.w.Close()
	}
}

// A leader that sleeps has no lease. A consistent read asks a majority, and is
// refused or late, but never stale, if another one has taken over meanwhile.
func TestSleepingLeaderServesNoStaleRead(t *testing.T) {
	j := replaceJitter(t)
	for seed := range uint64(5) {
		b := newTrio(t, seed, j, 3, 1, nil)
		b.settle(t)
		b.run(t, trioTimeout)
		old := b.leader(1)
		g := old.groups[0]
		if _, ok := g.lease.check(old.e); ok {
			t.Errorf("seed %d: a sleeping leader has a lease", seed)
		}
		var err error
		old.do(t, func() { err = g.ReadBarrier() })
		if err != nil {
			t.Errorf("seed %d: a read that wakes the group: %v", seed, err)
		}
		b.settle(t)
		b.net.Cut(b.net.Around(old.id()))
		b.runUntil(t, 3*trioTimeout, "another leader", func() bool { n := b.leader(1); return n != nil && n != old })
		b.mustPropose(t, 1, 1)
		old.do(t, func() { err = g.ReadBarrier() })
		if err == nil {
			t.Errorf("seed %d: a leader that slept through an election serves reads", seed)
		}
		b.w.Close()
	}
}

// A replica that was cut off while its group slept and worked catches up, and the
// group sleeps again.
func TestSleeperCatchesUp(t *testing.T) {
	j := replaceJitter(t)
	for seed := range uint64(4) {
		b := newTrio(t, seed, j, 3, 1, nil)
		b.settle(t)
		lead := b.leader(1)
		other := b.nodes[(lead.i+1)%3]
		b.net.Cut(b.net.Around(other.id()))
		if seed%2 == 0 { // long enough for the others to sleep without it
			b.run(t, 4*trioTimeout)
		}
		b.mustPropose(t, 1, 1)
		b.run(t, 4*trioTimeout)
		b.net.Heal()
		b.runUntil(t, 4*trioTimeout, "the replica catches up", func() bool { return other.store.counter(1).sum == 1 })
		b.settle(t)
		b.w.Close()
	}
}

// A follower that lacks the end of the log cannot know that, since raft tells it of what is committed only as far as its own log goes; so it
// may say that it sleeps. If it is silent then, the group sleeps without it, and it catches up when it is back.
func TestLaggardIsNotTakenForAsleep(t *testing.T) {
	b := newTrio(t, 1, replaceJitter(t), 3, 1, nil)
	b.settle(t)
	leader := b.leader(1)
	g, laggard := leader.groups[0], b.nodes[(leader.i+1)%3]
	cut := b.net.Cut(b.net.Around(laggard.id()))
	b.mustPropose(t, 1, 1)
	b.runUntil(t, trioTimeout, "the leader is idle", g.isIdle)
	from, term := uint64(laggard.id()), g.lease.term
	leader.do(t, func() {
		m := &message{typ: typeHeartbeatResp}
		m.note.idle = true
		m.raft.From, m.raft.Term = &from, &term
		g.worker.rouse(g, m)
	})
	if slices.Contains(g.asleep, from) {
		t.Error("a follower that lacks an entry counts as asleep")
	}
	b.runUntil(t, 20*trioTimeout, "the group sleeps without it", func() bool { return !g.awake && g.without })
	cut.Heal()
	b.runUntil(t, 10*trioTimeout, "it has caught up", func() bool { return laggard.groups[0].applied == g.applied })
}

// When a zone fails, all groups that it led have another leader within two election
// timeouts, whether they slept or not, and whether its node stays away or comes back
// at once.
func TestFailoverWithinTwoElectionTimeouts(t *testing.T) {
	j := replaceJitter(t)
	var worst, sum time.Duration
	n := 0
	for seed := range uint64(16 / min(4, underRace)) {
		const groups = 12
		b := newTrio(t, seed, j, 3, groups, nil)
		b.settle(t)
		old := b.leader(1)
		if seed%2 == 0 { // some are awake
			for id := GroupID(1); id <= groups/2; id++ {
				b.mustPropose(t, id, 1)
			}
		}
		b.run(t, time.Duration(b.rng.Int64N(int64(trioTick))))
		terms := map[GroupID]uint64{} // of the groups that it led
		for id := GroupID(1); id <= groups; id++ {
			if b.leader(id) == old {
				terms[id] = old.groups[id-1].lease.term
			}
		}
		died := b.w.Now()
		old.crash()
		if seed%4 >= 2 {
			b.run(t, trioTimeout/2)
			old.restart()
		}
		hasNew := func(id GroupID) bool {
			n := b.leader(id)
			return n != nil && n.groups[id-1].lease.term > terms[id] && n.groups[id-1].lease.until.Load() > 0
		}
		for id := range terms {
			b.runUntil(t, 3*trioTimeout, "another leader with a lease", func() bool { return hasNew(id) })
		}
		took := b.w.Now().Sub(died)
		worst, sum, n = max(worst, took), sum+took, n+1
		b.w.Close()
	}
	t.Logf("all leaders of a zone failed over in %s, at most %s; the election timeout is %s", sum/time.Duration(n), worst, trioTimeout)
	if worst >= 2*trioTimeout {
		t.Errorf("it took up to %s", worst)
	}
}

// A link cut in one direction, or flapping, makes no follower depose a leader that the
// others hear: the term stays.
func TestGrayLinksDeposeNobody(t *testing.T) {
	j := replaceJitter(t)
	for seed := range uint64(6) {
		b := newTrio(t, seed, j, 3, 2, nil)
		b.settle(t)
		lead := b.leader(1)
		other := b.nodes[(lead.i+1+int(seed)%2)%3]
		term := lead.groups[0].lease.term
		ways := transport.Toward([]transport.NodeID{lead.id()}, []transport.NodeID{other.id()})
		if seed < 3 {
			b.net.Cut(ways)
		} else {
			b.net.Flap(ways, transport.Trouble{Cut: true}, trioTimeout*3/2, trioTimeout/4)
		}
		for identity := range uint64(6) {
			b.run(t, trioTimeout)
			b.mustPropose(t, 1, identity)
		}
		b.net.Heal()
		b.run(t, 2*trioTimeout)
		if b.leader(1) != lead || lead.groups[0].lease.term != term {
			t.Errorf("seed %d: led by %v in term %d, was %s in term %d", seed, b.leader(1), lead.groups[0].lease.term, lead.name(), term)
		}
		if got := other.store.counter(1).sum; got != 6 {
			t.Errorf("seed %d: %s has %d of 6 commands", seed, other.name(), got)
		}
		b.w.Close()
	}
}
