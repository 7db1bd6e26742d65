package replication

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/internal/vfs"
)

// A trio is a small cluster in a simulated world: nodes in zones of their own, each
// with a disk, a store and the same groups of counters. Tests bring the clients
// and the trouble.
type trio struct {
	w      *env.World
	rng    *rand.Rand // for the test's own choices
	net    *transport.Network
	jitter *jitter
	nodes  []*trioNode // node i has id i+1
	groups int
	voters []uint64
	tune   func(i int, o *Options)
	boots  int
}

// A trioNode is a machine. The fields behind disk are of its present life.
type trioNode struct {
	b      *trio
	i      int
	disk   *vfs.Disk
	delay  time.Duration // of each write and sync of the log
	failed bool          // they fail
	store  *memStore
	e      *env.Env
	node   *Node
	groups []*Group // nil until started
}

const trioTick = 10 * time.Millisecond

// newTrio boots n nodes. tune, if not nil, changes the options of each.
func newTrio(t testing.TB, seed uint64, j *jitter, n, groups int, tune func(i int, o *Options)) *trio {
	return newTrioOn(t, seed, j, n, groups, transport.NetworkOptions{}, tune)
}

func newTrioOn(t testing.TB, seed uint64, j *jitter, n, groups int, network transport.NetworkOptions, tune func(i int, o *Options)) *trio {
	clear(j.streams)
	b := &trio{
		w:      env.NewWorld(seed, env.Options{Policy: env.Policy(seed % 3)}),
		jitter: j, groups: groups, tune: tune,
	}
	t.Cleanup(b.w.Close)
	b.rng = b.w.Stream("test")
	b.net = transport.NewNetwork(b.w, network)
	for i := range n {
		b.voters = append(b.voters, uint64(i+1))
		node := &trioNode{b: b, i: i, disk: vfs.NewDisk(seed*uint64(n) + uint64(i)), store: newMemStore()}
		b.nodes = append(b.nodes, node)
		e := b.w.NewNode(node.name())
		b.net.Add(node.id(), transport.Site{Name: node.name(), Zone: string(rune('a' + i)), Region: "r"})
		b.w.OnCrash(node.name(), func() { node.disk.Crash(vfs.RandomCrash(b.rng)) })
		node.boot(e)
	}
	return b
}

func (n *trioNode) name() string         { return fmt.Sprint("n", n.i+1) }
func (n *trioNode) id() transport.NodeID { return transport.NodeID(n.i + 1) }

func (n *trioNode) boot(e *env.Env) {
	b := n.b
	b.boots++
	n.e, n.node, n.groups = e, nil, make([]*Group, b.groups)
	o := Options{
		NodeID: uint64(n.id()), SegmentBytes: 64 << 10, MaxSegments: 16, Tick: trioTick,
		Transport:  b.net.Start(n.id(), e),
		EnterGroup: func(id GroupID) { b.jitter.enter(fmt.Sprint(b.w.Seed(), n.name(), id)) },
	}
	if b.tune != nil {
		b.tune(n.i, &o)
	}
	e.Go("boot", func() {
		n.node = check(Open(e, vfs.NewInject(n.disk.Mount(), n.slow), n.store, o))
		for k := range n.groups {
			id := GroupID(k + 1)
			n.groups[k] = check(n.node.Start(id, &counter{n.store, id}, b.voters))
		}
	})
	e.Go("flusher", func() {
		for {
			e.Sleep(time.Duration(20+e.Rand()%100) * time.Millisecond)
			_ = n.store.Flush()
		}
	})
}

// slow is what a write or a sync waits for.
func (n *trioNode) slow(op vfs.Op) error {
	if n.delay > 0 && (op.Kind == vfs.OpSync || op.Kind == vfs.OpWrite) {
		n.e.Sleep(n.delay)
	}
	if n.failed && (op.Kind == vfs.OpSync || op.Kind == vfs.OpWrite) {
		return vfs.ErrIO
	}
	return nil
}

// crash cuts the node's power, and restart gives it back.
func (n *trioNode) crash() { n.b.w.Crash(n.name()) }

func (n *trioNode) restart() {
	n.store = n.store.crash()
	n.boot(n.b.w.Restart(n.name()))
}

// run lets time pass.
func (b *trio) run(t testing.TB, d time.Duration) {
	t.Helper()
	if err := b.w.Run(b.w.Now().Add(d)); err != nil {
		t.Fatalf("seed %d: %v", b.w.Seed(), err)
	}
}

// runUntil lets time pass until cond holds, at most for d.
func (b *trio) runUntil(t testing.TB, d time.Duration, what string, cond func() bool) {
	t.Helper()
	for until := b.w.Now().Add(d); !cond(); {
		if b.w.Now() >= until {
			t.Fatalf("seed %d: not within %s: %s", b.w.Seed(), d, what)
		}
		b.run(t, trioTick/10)
	}
}

// leader returns the node that leads a group in the highest term, or nil.
func (b *trio) leader(id GroupID) *trioNode {
	var best *trioNode
	for _, n := range b.nodes {
		g := n.groups[id-1]
		if !b.w.Up(n.name()) || g == nil || !g.Leading() {
			continue
		}
		if best == nil || g.lease.term > best.groups[id-1].lease.term {
			best = n
		}
	}
	return best
}

// do runs f as a task of the node and returns when it has ended.
func (n *trioNode) do(t testing.TB, f func()) {
	t.Helper()
	if err := n.b.w.Do(n.e, "do", f); err != nil {
		t.Fatalf("seed %d: %v", n.b.w.Seed(), err)
	}
}

// mustPropose has the group's leader take a command.
func (b *trio) mustPropose(t testing.TB, id GroupID, identity uint64) {
	t.Helper()
	n := b.leader(id)
	if n == nil {
		t.Fatalf("seed %d: group %d has no leader", b.w.Seed(), id)
	}
	var err error
	n.do(t, func() { _, err = n.groups[id-1].Propose(add(identity, 1)).Await() })
	if err != nil {
		t.Fatalf("seed %d: propose at %s: %v", b.w.Seed(), n.name(), err)
	}
}
