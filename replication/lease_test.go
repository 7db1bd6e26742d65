package replication

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
)

// A staleHunt writes to one group through whoever leads and reads at all nodes
// all the time. A read that shows less than was answered, or read, before it began
// is stale.
type staleHunt struct {
	*trio
	next     uint64
	seen     uint64 // the highest sum that anybody was told
	writes   int
	reads    int
	leased   int // reads that asked nobody
	stale    string
	transfer int
	pace     uint64 // how much slower than usual clients are; their group sleeps in between
	quiet    bool   // nobody writes, so that any log will do to be elected
}

func newStaleHunt(t *testing.T, seed uint64, j *jitter, tune func(int, *Options)) *staleHunt {
	h := &staleHunt{trio: newTrio(t, seed, j, 3, 1, tune), pace: 1}
	if seed%4 == 2 {
		h.pace = 20
	}
	for _, n := range h.nodes {
		h.clients(n)
	}
	return h
}

func (h *staleHunt) clients(n *trioNode) {
	e := n.e
	e.Go("writer", func() {
		for {
			e.Sleep(time.Duration(h.pace * (2e6 + e.Rand()%8e6)))
			if g := n.groups[0]; g != nil && g.Leading() && !h.quiet {
				h.next++
				if sum, err := g.Propose(add(h.next, 1)).Await(); err == nil {
					h.seen = max(h.seen, sum.(uint64))
					h.writes++
				}
			}
		}
	})
	for range 2 {
		e.Go("reader", func() {
			for {
				e.Sleep(time.Duration(h.pace * (1e6 + e.Rand()%4e6)))
				if g := n.groups[0]; g != nil {
					h.read(e, n, g)
				}
			}
		})
	}
}

func (h *staleHunt) read(e *env.Env, n *trioNode, g *Group) {
	before := h.seen
	index, leased := g.lease.check(e)
	if g.ReadBarrier() != nil {
		return
	}
	got := n.store.counter(1).sum
	h.reads++
	if leased && index == 0 {
		h.leased++
	}
	if got < before && h.stale == "" {
		h.stale = fmt.Sprintf("at %s %s read %d of term %d, though %d was answered before", time.Duration(h.w.Now()), n.name(), got, g.lease.term, before)
	}
	h.seen = max(h.seen, got)
}

// hunt brings trouble to whoever leads: it is cut off, stopped for a while,
// killed, or hands over; often two of them together.
func (h *staleHunt) hunt(t *testing.T, rounds int) {
	const timeout = electionTicks * trioTick
	some := func(d time.Duration) time.Duration { return time.Duration(h.rng.Int64N(int64(d))) }
	for range rounds {
		h.run(t, timeout+some(2*timeout))
		n := h.leader(1)
		if n == nil {
			continue
		}
		other := h.nodes[(n.i+1+h.rng.IntN(2))%3]
		third := h.nodes[3-n.i-other.i]
		switch h.rng.IntN(8) {
		case 0, 1:
			h.net.Cut(h.net.Around(n.id()))
			h.run(t, some(4*timeout))
		case 2:
			h.w.Pause(n.name())
			h.run(t, some(3*timeout))
			h.w.Resume(n.name())
		case 3:
			h.handOver(n, other)
			h.net.Cut(h.net.Around(n.id()))
			h.run(t, some(3*timeout))
		case 4:
			h.handOver(n, other)
			h.run(t, some(timeout/4))
		case 5: // a voter that forgets what it has promised, while the leader is cut off
			h.net.Cut(h.net.Around(n.id()))
			other.crash()
			h.run(t, some(timeout/4))
			other.restart()
			h.clients(other)
			h.run(t, some(3*timeout))
		case 6: // one voter has long missed the leader when the other forgets its promise
			h.quiet = true
			h.run(t, timeout/4)
			h.net.Cut(transport.Between([]transport.NodeID{n.id()}, []transport.NodeID{third.id()}))
			h.run(t, timeout+some(timeout))
			h.net.Cut(h.net.Around(n.id()))
			other.crash()
			other.restart()
			h.clients(other)
			h.quiet = false
			h.run(t, some(3*timeout))
		case 7: // the word to take over arrives when the leader has long gone on leading
			h.quiet = true
			h.run(t, timeout/4)
			h.net.Apply(transport.Toward([]transport.NodeID{n.id()}, []transport.NodeID{other.id()}), transport.Trouble{Lag: timeout + some(timeout)})
			h.handOver(n, other)
			h.run(t, timeout+some(timeout/2))
			h.quiet = false
			if h.rng.IntN(2) == 0 {
				h.net.Cut(h.net.Around(n.id()))
			} else {
				h.net.Cut(h.net.Into(n.id()))
			}
			h.run(t, some(3*timeout))
		}
		h.quiet = false
		h.net.Heal()
	}
}

// handOver begins a transfer of leadership.
func (h *staleHunt) handOver(n, other *trioNode) {
	to := uint64(other.id())
	n.e.Go("transfer", func() {
		g := n.groups[0]
		g.worker.post(func(err error) {
			if err == nil && g.raft != nil {
				g.enter()
				g.raft.TransferLeader(to)
				g.worker.activate(g)
				h.transfer++
			}
		})
	})
}

var leaseSeeds = flag.Int("replication.leaseseeds", 20, "how many seeds TestLeasesServeNoStaleRead runs")

// Whatever happens to leaders, no read is stale while clocks keep to the bound.
func TestLeasesServeNoStaleRead(t *testing.T) {
	j := replaceJitter(t)
	seeds := uint64(*leaseSeeds / underRace)
	if testing.Short() {
		seeds = max(1, seeds/4)
	}
	var sum staleHunt
	for seed := range seeds {
		h := newStaleHunt(t, seed, j, nil)
		if seed%2 == 1 { // clocks drift as far as they may
			for _, n := range h.nodes {
				h.w.SetClock(n.name(), int64(10_000*(h.rng.IntN(3)-1)), 0)
			}
		}
		h.hunt(t, 12)
		if h.stale != "" {
			t.Fatalf("seed %d: %s", seed, h.stale)
		}
		sum.writes += h.writes
		sum.reads += h.reads
		sum.leased += h.leased
		sum.transfer += h.transfer
		h.w.Close()
	}
	t.Logf("%d writes, %d reads, %d of them under a lease, %d transfers", sum.writes, sum.reads, sum.leased, sum.transfer)
	if uint64(sum.writes) < 50*seeds || uint64(sum.leased) < 50*seeds || sum.leased < sum.reads/2 {
		t.Error("too few")
	}
}

// A leader whose clock runs slower than the bound allows believes in its lease for
// too long, and the hunt sees what then happens. So it can fail.
func TestHuntSeesStaleReadsOfBrokenClocks(t *testing.T) {
	j := replaceJitter(t)
	for seed := range uint64(40) {
		h := newStaleHunt(t, seed, j, nil)
		for _, n := range h.nodes {
			h.w.SetClock(n.name(), int64(900_000*(h.rng.IntN(2))-450_000), 0)
		}
		h.hunt(t, 12)
		h.w.Close()
		if h.stale != "" {
			t.Logf("seed %d: %s", seed, h.stale)
			return
		}
	}
	t.Error("no stale read, although clocks ran 45 % too fast or too slow")
}

// A leader that waits for the leases of earlier ones gives the answers that it holds
// also if its clock is slowed down meanwhile, so that its timer goes off early.
func TestLeaseWaitEndsWhenTheClockSlowsDown(t *testing.T) {
	b := newTrio(t, 1, replaceJitter(t), 3, 1, nil)
	b.runUntil(t, 10*time.Second, "a leader", func() bool { return b.leader(1) != nil })
	leader := b.leader(1)
	n := b.nodes[(leader.i+1)%3]
	b.mustPropose(t, 1, 1)
	for _, n := range []*trioNode{n, b.nodes[(leader.i+2)%3]} {
		n.crash()
		n.restart() // bound by what it may have promised, and so every majority is
		b.runUntil(t, time.Second, "the replica is there", func() bool { return n.groups[0] != nil && n.groups[0].Leader() != 0 })
	}
	leader.do(t, func() { _ = leader.groups[0].Transfer(uint64(n.id())) })
	b.runUntil(t, time.Second, "it leads", func() bool { return n.groups[0].Leading() })
	l := &n.groups[0].lease
	if l.wait.Sub(n.e.Now()) < time.Millisecond {
		t.Fatalf("%s leads and waits for nobody's lease", n.name())
	}
	b.w.SetClock(n.name(), -10_000, 0) // as slow as is promised
	var answered bool
	var err error
	n.do(t, func() {
		early := n.e.Now() < l.wait
		_, err, answered = n.groups[0].Propose(add(2, 1)).AwaitFor(10 * electionTicks * trioTick)
		if !early || n.e.Now() < l.wait {
			t.Errorf("proposed during the wait: %t; answered at %d, the wait ends at %d", early, n.e.Now(), l.wait)
		}
	})
	if err != nil || !answered {
		t.Errorf("answered: %t, error: %v", answered, err)
	}
}

// A node that was started again does not know what it has promised. If it is given the lead, and
// the two others know, it waits for nobody: they are a majority.
func TestRestartedLeaderDoesNotWait(t *testing.T) {
	b := newTrio(t, 1, replaceJitter(t), 3, 1, nil)
	b.runUntil(t, 10*time.Second, "a leader", func() bool { return b.leader(1) != nil })
	leader := b.leader(1)
	b.mustPropose(t, 1, 1)
	n := b.nodes[(leader.i+1)%3]
	n.crash()
	n.restart()
	b.runUntil(t, time.Second, "the replica is there", func() bool { return n.groups[0] != nil && n.groups[0].Leader() != 0 })
	leader.do(t, func() { _ = leader.groups[0].Transfer(uint64(n.id())) })
	b.runUntil(t, time.Second, "it leads", func() bool { return n.groups[0].Leading() })
	if own := n.groups[0].lease.binding(n.groups[0]); own.until.Sub(n.e.Now()) < 5*trioTick {
		t.Fatalf("%s is not bound itself", n.name())
	}
	began := n.e.Now()
	n.do(t, func() {
		if _, err := n.groups[0].Propose(add(2, 1)).Await(); err != nil {
			t.Error(err)
		}
	})
	if took := n.e.Now().Sub(began); took > 2*trioTick {
		t.Errorf("the first answer took %v, where an election timeout is %v", took, electionTicks*trioTick)
	}
}

// A vote may leave when the candidate leads already, and has been promised something: that is
// no promise to anybody else, and must not hide those that are.
func TestVoteTellsOfEarlierLeaders(t *testing.T) {
	b := newTrio(t, 1, replaceJitter(t), 3, 1, nil)
	b.runUntil(t, 10*time.Second, "a leader", func() bool { return b.leader(1) != nil })
	b.mustPropose(t, 1, 1)
	g := b.nodes[(b.leader(1).i+1)%3].groups[0]
	l, now := &g.lease, g.node.e.Now()
	term := l.bound.term
	if p := l.bindingBefore(g, term); p.until > now {
		t.Errorf("a vote in term %d tells of the promise to who was elected by it, for %v", term, p.until.Sub(now))
	}
	if p := l.bindingBefore(g, term+1); p.until <= now || p.term != term {
		t.Errorf("a vote in term %d tells of term %d until %d, at %d", term+1, p.term, p.until, now)
	}
	l.promise(g, term+1, 9, 5)
	if p := l.bindingBefore(g, term+1); p.until <= now || p.term != term {
		t.Errorf("with its candidate in the lead, a vote in term %d tells of term %d until %d, at %d", term+1, p.term, p.until, now)
	}
}
