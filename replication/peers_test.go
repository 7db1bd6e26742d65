package replication

import (
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/internal/vfs"
)

// A cluster is three nodes with two groups in a simulated world. The network
// loses, delays and doubles messages; nodes lose power.
type cluster struct {
	w     *env.World
	rng   *rand.Rand
	nodes [3]clusterNode
	calm  bool // no more faults
	alone int  // the node that the network cuts off; -1: none

	next    uint64
	sent    map[uint64]error // outcome by command; missing while under way
	barrier int
}

type clusterNode struct {
	e      *env.Env
	disk   *vfs.Disk
	store  *memStore
	link   *link
	node   *Node
	groups [2]*Group
}

func (c *cluster) name(i int) string { return fmt.Sprint("n", i+1) }

// jitter replaces the source of raft's election jitter: one stream per node and
// group, as Options.EnterGroup makes possible.
type jitter struct {
	streams map[string]*rand.ChaCha8
	current string
}

func (j *jitter) enter(name string) { j.current = name }

func (j *jitter) Read(p []byte) (int, error) {
	s := j.streams[j.current]
	if s == nil {
		var seed [32]byte
		copy(seed[:], j.current)
		s = rand.NewChaCha8(seed)
		j.streams[j.current] = s
	}
	return s.Read(p)
}

func replaceJitter(t *testing.T) *jitter {
	j := &jitter{streams: map[string]*rand.ChaCha8{}}
	var old io.Reader
	old, cryptorand.Reader = cryptorand.Reader, j
	t.Cleanup(func() { cryptorand.Reader = old })
	return j
}

// A link is a node's transport.
type link struct {
	c       *cluster
	from    int
	receive [transport.Lanes]func(transport.NodeID, []byte)
}

func (l *link) Self() transport.NodeID               { return transport.NodeID(l.from + 1) }
func (l *link) Unreachable(to transport.NodeID) bool { return false }

func (l *link) Handle(lane transport.Lane, f func(transport.NodeID, []byte)) { l.receive[lane] = f }

func (l *link) Send(to transport.NodeID, lane transport.Lane, message []byte) {
	c := l.c
	copies := 1
	switch {
	case c.alone == int(to)-1 || c.alone == l.from:
		return
	case !c.calm:
		copies = []int{0, 1, 1, 1, 1, 1, 1, 1, 1, 2}[c.rng.IntN(10)]
	}
	for range copies {
		i := int(to) - 1
		if !c.w.Up(c.name(i)) {
			return
		}
		c.nodes[i].e.After(time.Duration(c.rng.IntN(5e6)), func() {
			if f := c.nodes[i].link.receive[lane]; f != nil {
				f(l.Self(), message)
			}
		})
	}
}

func (c *cluster) boot(i int, e *env.Env, j *jitter) {
	n := &c.nodes[i]
	n.e, n.node, n.groups = e, nil, [2]*Group{}
	n.link = &link{c: c, from: i}
	e.Go("boot", func() {
		node := check(Open(e, n.disk.Mount(), n.store, Options{
			NodeID: uint64(i + 1), Workers: 1 + i%2, SegmentBytes: 16 << 10, MaxSegments: 16,
			Transport: n.link, Tick: 10 * time.Millisecond,
			EnterGroup: func(id GroupID) { j.enter(fmt.Sprint(c.w.Seed(), c.name(i), id)) },
		}))
		n.node = node
		for k := range n.groups {
			id := GroupID(k + 1)
			n.groups[k] = check(node.Start(id, &counter{n.store, id}, []uint64{1, 2, 3}))
		}
	})
	e.Go("flusher", func() {
		for {
			e.Sleep(time.Duration(10+e.Rand()%100) * time.Millisecond)
			_ = n.store.Flush()
		}
	})
	for range 2 {
		e.Go("client", func() { c.client(e, n) })
	}
}

func (c *cluster) client(e *env.Env, n *clusterNode) {
	for {
		e.Sleep(time.Duration(1e6 + e.Rand()%10e6))
		if g := n.groups[e.Rand()%2]; g != nil && !c.calm {
			c.propose(g)
		}
	}
}

// propose also checks that what was answered is visible behind a barrier, on
// whichever node.
func (c *cluster) propose(g *Group) {
	c.next++
	id := c.next
	_, err := g.Propose(add(id, 1)).Await()
	c.sent[id] = err
	if err != nil {
		return
	}
	n := &c.nodes[c.rng.IntN(3)]
	other := n.groups[g.ID()-1]
	if other == nil || other.ReadBarrier() != nil || other != n.groups[g.ID()-1] {
		return
	}
	c.barrier++
	if n.store.counter(g.ID()).seen[id] != 1 {
		panic(fmt.Sprintf("stale read: command %d of group %d was answered, but %s has not applied it", id, g.ID(), other.node.name()))
	}
}

func (n *Node) name() string { return fmt.Sprint("n", n.o.NodeID) }

func (c *cluster) run(t *testing.T, seed uint64, j *jitter) (uint64, error) {
	clear(j.streams)
	c.w = env.NewWorld(seed, env.Options{Policy: env.Policy(seed % 3)})
	defer c.w.Close()
	c.rng, c.sent, c.alone = c.w.Stream("test"), map[uint64]error{}, -1
	for i := range c.nodes {
		c.nodes[i].disk, c.nodes[i].store = vfs.NewDisk(seed*3+uint64(i)), newMemStore()
		c.boot(i, c.w.NewNode(c.name(i)), j)
		c.w.OnCrash(c.name(i), func() { c.nodes[i].disk.Crash(vfs.RandomCrash(c.rng)) })
	}
	for range 12 {
		if err := c.w.Run(c.w.Now().Add(time.Duration(100+c.rng.IntN(400)) * time.Millisecond)); err != nil {
			return 0, err
		}
		c.alone = c.rng.IntN(6) - 1 // 3 and 4: none, either
		if err := c.w.Run(c.w.Now().Add(time.Duration(c.rng.IntN(500)) * time.Millisecond)); err != nil {
			return 0, err
		}
		c.alone = -1
		i := c.rng.IntN(3)
		c.w.Crash(c.name(i))
		if err := c.w.Run(c.w.Now().Add(time.Duration(c.rng.IntN(300)) * time.Millisecond)); err != nil {
			return 0, err
		}
		c.nodes[i].store = c.nodes[i].store.crash()
		c.boot(i, c.w.Restart(c.name(i)), j)
	}
	c.calm = true
	if err := c.w.Run(c.w.Now().Add(5 * time.Second)); err != nil {
		return 0, err
	}
	return c.w.Hash(), c.verify()
}

func (c *cluster) verify() error {
	applied := map[uint64]int{}
	for id := GroupID(1); id <= 2; id++ {
		first := c.nodes[0].store.counter(id)
		leaders := 0
		for i := range c.nodes {
			if c.nodes[i].groups[id-1].Leading() {
				leaders++
			}
			got := c.nodes[i].store.counter(id)
			if got.applied != first.applied || got.sum != first.sum || !maps.Equal(got.seen, first.seen) {
				return fmt.Errorf("group %d: %s is at %d with sum %d, n1 at %d with sum %d", id, c.name(i), got.applied, got.sum, first.applied, first.sum)
			}
		}
		if leaders != 1 {
			return fmt.Errorf("group %d has %d leaders", id, leaders)
		}
		for cmd, times := range first.seen {
			applied[cmd] += times
		}
	}
	for cmd := uint64(1); cmd <= c.next; cmd++ {
		err, told := c.sent[cmd]
		switch {
		case applied[cmd] > 1:
			return fmt.Errorf("command %d applied %d times", cmd, applied[cmd])
		case told && err == nil && applied[cmd] == 0:
			return fmt.Errorf("command %d was answered and is lost", cmd)
		case told && err != nil && !errors.Is(err, ErrUnknownOutcome) && applied[cmd] > 0:
			return fmt.Errorf("command %d was refused (%v) and applied", cmd, err)
		}
	}
	return nil
}

func TestThreeVotersInSimulation(t *testing.T) {
	j := replaceJitter(t)
	answered, unknown, barriers := 0, 0, 0
	const seeds = max(1, 10/underRace)
	for seed := range uint64(seeds) {
		c := &cluster{}
		hash, err := c.run(t, seed, j)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, err := range c.sent {
			switch {
			case err == nil:
				answered++
			case errors.Is(err, ErrUnknownOutcome):
				unknown++
			}
		}
		barriers += c.barrier
		if seed > 0 {
			continue
		}
		if again, err := new(cluster).run(t, seed, j); again != hash {
			t.Fatalf("seed %d: two runs differ (%v)", seed, err)
		}
	}
	t.Logf("%d commands answered, %d with unknown outcome, %d barriers", answered, unknown, barriers)
	if answered < 100*seeds || unknown == 0 && seeds > 1 || barriers < 50*seeds {
		t.Errorf("%d commands answered, %d with unknown outcome, %d barriers: too few", answered, unknown, barriers)
	}
}
