package replication

import (
	"errors"
	"testing"
	"time"
)

// write has two clients per group propose at whoever leads, until stopped. It
// returns how often each node has answered, which keeps counting.
func (b *trio) write() (answered []int, stop func()) {
	answered = make([]int, len(b.nodes))
	stopped, next := false, uint64(0)
	for _, n := range b.nodes {
		for range 2 {
			n.e.Go("writer", func() {
				for !stopped {
					n.e.Sleep(trioTick / 2)
					for _, g := range n.groups {
						if g == nil || !g.Leading() {
							continue
						}
						next++
						if _, err := g.Propose(add(next, 1)).Await(); err == nil {
							answered[n.i]++
						}
					}
				}
			})
		}
	}
	return answered, func() { stopped = true }
}

func (b *trio) leadsAny(n *trioNode) bool {
	for _, g := range n.groups {
		if g.Leading() {
			return true
		}
	}
	return false
}

// A node whose disk becomes slow hands its groups to others, which then work at the
// speed of their own disks, and leads none until it is well again.
func TestSlowDiskHandsOver(t *testing.T) {
	b := newTrio(t, 1, replaceJitter(t), 3, 4, nil)
	b.settle(t)
	sick := b.leader(1)
	answered, stop := b.write()
	b.run(t, trioTimeout)
	sick.delay = trioTimeout / 2
	b.runUntil(t, 12*trioTimeout, "the sick node leads nothing", func() bool { return !b.leadsAny(sick) })
	before := answered[0] + answered[1] + answered[2]
	for range 20 {
		b.run(t, trioTimeout/2)
		if b.leadsAny(sick) {
			t.Fatal("a node with a slow disk has become a leader")
		}
	}
	if n := answered[0] + answered[1] + answered[2] - before; n < 500 {
		t.Errorf("%d commands answered in ten election timeouts beside a slow disk", n)
	}
	sick.delay = 0
	b.runUntil(t, 60*trioTimeout, "the node is fit again", func() bool { return !sick.node.fitness.unfit.Load() })
	stop()
}

// A disk that hangs takes the worker with it. Others take over, also groups that
// slept when it began to hang.
func TestHangingDiskIsReplaced(t *testing.T) {
	b := newTrio(t, 2, replaceJitter(t), 3, 3, nil)
	b.settle(t)
	sick := b.leader(1)
	sick.delay = time.Hour
	var late error
	sick.e.Go("client", func() { _, late = sick.groups[0].Propose(add(1, 1)).Await() })
	b.runUntil(t, 5*trioTimeout, "another leader", func() bool { n := b.leader(1); return n != nil && n != sick })
	b.mustPropose(t, 1, 2)
	if late != nil {
		t.Errorf("the command on the hanging disk has failed already: %v", late)
	}
}

// However long a write takes, half an election timeout or for ever: within two election
// timeouts each group is answered by another node, although the sick one's heartbeats
// may go on. There the groups count as led no longer, so that nobody leaves work there.
func TestNobodyWaitsForAStuckLeader(t *testing.T) {
	for i, delay := range []time.Duration{trioTimeout / 2, trioTimeout, 2 * trioTimeout, time.Hour} {
		b := newTrio(t, uint64(i+1), replaceJitter(t), 3, 4, nil)
		b.settle(t)
		sick := b.leader(1)
		answered := make([]time.Duration, b.groups) // when, by another node
		next := uint64(0)
		for _, n := range b.nodes {
			for k, g := range n.groups {
				n.e.Go("writer", func() {
					for {
						n.e.Sleep(trioTick / 2)
						if !g.Leading() {
							continue
						}
						next++
						if _, err := g.Propose(add(next, 1)).Await(); err == nil && n != sick {
							answered[k] = time.Duration(b.w.Now())
						}
					}
				})
			}
		}
		b.run(t, trioTimeout)
		sick.delay = delay / 2 // of the write, and of its sync
		began := time.Duration(b.w.Now())
		for k := range answered {
			b.runUntil(t, 2*trioTimeout+trioTick, "the group is answered again", func() bool { return answered[k] > began })
		}
		// Writers try every half tick.
		if took := time.Duration(b.w.Now()) - began; took > 2*trioTimeout+trioTick {
			t.Errorf("a write takes %s: all groups are answered after %s", delay, took)
		}
		if delay > 2*trioTimeout && b.leadsAny(sick) {
			t.Errorf("a write takes %s, and its node still takes proposals", delay)
		}
	}
}

// A leader with a full disk refuses what it is given and hands over; the group goes
// on without that disk.
func TestFullDiskHandsOver(t *testing.T) {
	b := newTrio(t, 3, replaceJitter(t), 3, 2, func(_ int, o *Options) { o.SegmentBytes = 4 << 10 })
	b.settle(t)
	sick := b.leader(1)
	sick.disk.SetCapacity(1)
	refused := 0
	for identity := uint64(1); b.leader(1) == sick || b.leader(1) == nil; identity++ {
		if b.w.Now() > 0 && identity > 2000 {
			t.Fatal("the node with a full disk leads on")
		}
		sick.do(t, func() {
			_, err := sick.groups[0].Propose(append(add(identity, 1), make([]byte, 500)...)).Await()
			if errors.Is(err, ErrNoSpace) {
				refused++
			}
			sick.e.Sleep(trioTick / 4)
		})
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
	for identity := uint64(5000); identity < 5100; identity++ {
		b.mustPropose(t, 1, identity)
	}
	if err := sick.node.Err(); err != nil {
		t.Errorf("the full disk has failed the node: %v", err)
	}
}

// If all disks are slow, slow leaders are better than none.
func TestSlowDisksEverywhere(t *testing.T) {
	b := newTrio(t, 4, replaceJitter(t), 3, 1, nil)
	b.settle(t)
	for _, n := range b.nodes {
		n.delay = trioTimeout / 2
	}
	answered, stop := b.write()
	b.run(t, 40*trioTimeout)
	if n := answered[0] + answered[1] + answered[2]; n < 20 {
		t.Errorf("%d commands answered in 40 election timeouts", n)
	}
	stop()
}

// A leader whose log has failed gives its groups away to nobody: raft waits for ever
// for what it wanted to write. Others notice its silence.
func TestFailedLogHandsNothingOver(t *testing.T) {
	b := newTrio(t, 5, replaceJitter(t), 3, 1, nil)
	b.settle(t)
	sick := b.leader(1)
	sick.failed = true
	sick.do(t, func() {
		if _, err := sick.groups[0].Propose(add(1, 1)).Await(); !errors.Is(err, ErrFailed) {
			t.Errorf("Propose on a failing disk: %v, want ErrFailed", err)
		}
		for _, to := range b.voters {
			if err := sick.groups[0].Transfer(to); !errors.Is(err, ErrFailed) {
				t.Errorf("Transfer to node %d after that: %v, want ErrFailed", to, err)
			}
		}
	})
	b.runUntil(t, 5*trioTimeout, "another leader", func() bool { n := b.leader(1); return n != nil && n != sick })
	b.mustPropose(t, 1, 2)
}

// The leader is lost while one of the two others has a slow disk, and alone the end of the log. That one leads, rather than
// nobody: the other one is fit, and cannot be elected.
func TestUnfitLeadsIfNobodyElseCan(t *testing.T) {
	b := newTrio(t, 7, replaceJitter(t), 3, 1, nil)
	b.settle(t)
	lost := b.leader(1)
	sick, behind := b.nodes[(lost.i+1)%3], b.nodes[(lost.i+2)%3]
	b.net.Cut(b.net.Around(behind.id()))
	sick.delay = trioTimeout / 2
	for i := range uint64(6) {
		b.mustPropose(t, 1, i+1)
	}
	if !sick.node.fitness.unfit.Load() {
		t.Fatal("a node with a slow disk takes itself for fit")
	}
	lost.crash()
	b.net.Heal()
	b.runUntil(t, 8*trioTimeout, "a leader", func() bool { return b.leader(1) != nil })
	b.mustPropose(t, 1, 7)
}
