package table

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

// A bed is a cluster of whole rooms, from the table operation down to the simulated
// disk and network, in one world.
type bed struct {
	t     *testing.T
	w     *env.World
	net   *transport.Network
	rng   *mrand.Rand
	nodes []*bedNode // by id, from 1
	clock *env.Env   // of a node that is always up
	group replication.GroupID
	jit   map[string]*mrand.Rand
	tick  time.Duration // of nodes that start from now on; 0: 50 ms
	keep  int           // replication.Options.KeepEntries of these
}

// A bedNode is one node of a bed, up or down.
type bedNode struct {
	bed  *bed
	id   uint64
	zone string
	disk *vfs.Disk
	e    *env.Env
	hung bool // its disk takes no more writes
	sick bool // its log takes no more writes, but fails
	full bool // its disk has no room for another table of the store

	founders []Member
	tune     func(*Options) // nil: nothing to change
	db       *lsm.DB
	node     *replication.Node
	*Service // nil while it is down
	err      error
}

// newBed makes a cluster of as many nodes as zones are given, and starts it.
func newBed(t *testing.T, seed uint64, zones ...string) *bed {
	return newBedIn(t, env.NewWorld(seed, env.Options{}), zones)
}

// newCalmBed makes one in which no step dawdles, for those who measure.
func newCalmBed(t *testing.T, seed uint64, zones ...string) *bed {
	return newBedIn(t, env.NewWorld(seed, env.Options{NoBuggify: true}), zones)
}

func newBedIn(t *testing.T, w *env.World, zones []string) *bed {
	b := &bed{t: t, w: w, jit: map[string]*mrand.Rand{}}
	b.rng, b.clock = b.w.Stream("test"), b.w.NewNode("clock")
	b.net = transport.NewNetwork(b.w, transport.NetworkOptions{})
	old := rand.Reader
	rand.Reader = b
	t.Cleanup(func() {
		b.w.Close()
		rand.Reader = old
	})
	var founders []Member
	for i, zone := range zones {
		founders = append(founders, Member{ID: uint64(i + 1), Zone: zone})
	}
	for _, m := range founders {
		b.add(m.ID, m.Zone).founders = founders
	}
	for _, n := range b.nodes {
		n.boot()
	}
	return b
}

// Read gives raft its election jitter, each group of each node a stream of its own.
func (b *bed) Read(p []byte) (int, error) {
	name := fmt.Sprint("raft/", b.group)
	s := b.jit[name]
	if s == nil {
		s = b.w.Stream(name)
		b.jit[name] = s
	}
	for i := range p {
		p[i] = byte(s.Uint32())
	}
	return len(p), nil
}

// add adds a node that is down.
func (b *bed) add(id uint64, zone string) *bedNode {
	n := &bedNode{bed: b, id: id, zone: zone, disk: vfs.NewDisk(b.w.Seed() + id)}
	b.nodes = append(b.nodes, n)
	n.e = b.w.NewNode(n.name())
	b.net.Add(transport.NodeID(id), transport.Site{Name: n.name(), Zone: zone})
	b.w.OnCrash(n.name(), func() {
		n.disk.Crash(vfs.RandomCrash(b.rng))
		n.Service = nil
	})
	return n
}

func (n *bedNode) name() string { return fmt.Sprint("n", n.id) }

// boot starts the node in a task of its own.
func (n *bedNode) boot() {
	n.e.Go("boot", func() { n.err = n.open() })
}

func (n *bedNode) open() error {
	fs := vfs.NewInject(n.disk.Mount(), n.stall)
	db, err := lsm.Open(n.e, fs, partition.StoreOptions(lsm.Options{DisableWAL: true, MemtableBytes: 64 << 10}))
	if err != nil {
		return err
	}
	hooks := &Hooks{}
	net := n.bed.net.Start(transport.NodeID(n.id), n.e)
	node, err := replication.Open(n.e, fs, db, replication.Options{
		NodeID: n.id, Transport: net, SegmentBytes: 64 << 10, MaxSegments: 3, OnRole: hooks.OnRole, Tick: cmp.Or(n.bed.tick, 50*time.Millisecond), KeepEntries: n.bed.keep,
		EnterGroup: func(g replication.GroupID) { n.bed.group = g*16 + replication.GroupID(n.id) },
	})
	if err != nil {
		return err
	}
	o := Options{
		Calls: transport.NewCalls(n.e, net), Hooks: hooks, Node: n.id, Zone: n.zone, Founders: n.founders, LostAfter: 10 * time.Second,
	}
	if n.tune != nil {
		n.tune(&o)
	}
	s, err := Open(n.e, db, node, o)
	if err != nil {
		return err
	}
	n.db, n.node, n.Service = db, node, s
	return nil
}

// stall is what a write to the disk waits for, or fails of.
func (n *bedNode) stall(op vfs.Op) error {
	if n.sick && op.Kind == vfs.OpSync && strings.HasPrefix(op.Name, "raft/") {
		return vfs.ErrIO
	}
	if n.full && op.Kind == vfs.OpWrite && strings.HasSuffix(op.Name, ".sst") {
		return vfs.ErrNoSpace
	}
	for n.hung && (op.Kind == vfs.OpWrite || op.Kind == vfs.OpSync) {
		n.e.Sleep(10 * time.Millisecond)
	}
	return nil
}

// crash takes the node down, as a power cut.
func (n *bedNode) crash() { n.bed.w.Crash(n.name()) }

// restart brings it up again.
func (n *bedNode) restart() {
	n.e = n.bed.w.Restart(n.name())
	n.boot()
}

// run lets time pass.
func (b *bed) run(d time.Duration) {
	b.t.Helper()
	if err := b.w.Run(b.w.Now().Add(d)); err != nil {
		b.t.Fatal(err)
	}
	for _, n := range b.nodes {
		if n.err != nil {
			b.t.Fatalf("seed %d: node %d: %v", b.w.Seed(), n.id, n.err)
		}
	}
}

// until lets time pass until something is so.
func (b *bed) until(what string, is func() bool) {
	b.t.Helper()
	for range 600 {
		if is() {
			return
		}
		b.run(100 * time.Millisecond)
	}
	for _, n := range b.nodes {
		if n.Service != nil {
			b.t.Logf("node %d: %s", n.id, n.dump())
		}
	}
	b.t.Fatalf("seed %d: not within a minute: %s", b.w.Seed(), what)
}

// dump says what a node knows.
func (n *bedNode) dump() string {
	v := n.catalog.snapshot()
	text := fmt.Sprintf("nodes %v, fresh %v, reigns %v, catalog led by %d:", v.nodes, n.fresh.Load(), n.reign.Load() != nil, n.catalogGroup.Leader())
	for _, p := range n.directory.list(func(*livePartition) bool { return true }) {
		text += fmt.Sprintf("\n\tgroup %d on %v", p.id, p.slot.replicas.members())
		if p.group != nil {
			text += fmt.Sprintf(", here, led by %d, applied %d", p.group.Leader(), p.Applied())
		}
	}
	return text
}

// do runs f as a task of a node, and waits for it.
func (n *bedNode) do(what string, f func() error) {
	n.bed.t.Helper()
	var err error
	if failure := n.bed.w.Do(n.e, what, func() { err = f() }); failure != nil {
		n.bed.t.Fatal(failure)
	}
	if err != nil {
		for _, n := range n.bed.nodes {
			if n.Service != nil {
				n.bed.t.Logf("node %d: %s", n.id, n.dump())
			}
		}
		n.bed.t.Fatalf("seed %d: %s at node %d: %v", n.bed.w.Seed(), what, n.id, err)
	}
}

// leader returns the node that is in charge, nil if there is none.
func (b *bed) leader() *bedNode {
	for _, n := range b.nodes {
		if n.Service != nil {
			if _, here := n.Leader(); here {
				return n
			}
		}
	}
	return nil
}

// ready waits until the cluster has a leader that has founded it.
func (b *bed) ready() *bedNode {
	b.t.Helper()
	b.until("a node is in charge", func() bool {
		n := b.leader()
		return n != nil && len(n.catalog.snapshot().nodes) > 0
	})
	return b.leader()
}

// create makes a table at whoever is in charge.
func (b *bed) create(d Definition) {
	b.t.Helper()
	if d.BillingMode == "" {
		d.BillingMode = BillingOnDemand
	}
	n := b.ready()
	n.do("create "+d.Name, func() error {
		_, err := n.Create(d)
		return err
	})
}

func (n *bedNode) put(table, text string) {
	n.bed.t.Helper()
	n.do("put "+text, func() error {
		_, err := n.Put(&PutRequest{Table: table, Item: js(text)})
		return err
	})
}

func (n *bedNode) get(table, key string, consistent bool) (text string) {
	n.bed.t.Helper()
	n.do("get "+key, func() error {
		r, err := n.Get(&GetRequest{Table: table, Key: js(key), Consistent: consistent})
		if err == nil {
			text = show(r.Item)
		}
		return err
	})
	return text
}

// TestClusterWrites: what is written at one node is read at all others, and nobody but
// the node in charge creates tables.
func TestClusterWrites(t *testing.T) {
	b := newBed(t, 1, "a", "b", "c")
	b.create(simple("tab", 4))
	for i := range 12 {
		b.nodes[i%3].put("tab", fmt.Sprintf(`{"p":{"S":"k%d"},"v":{"N":"%d"}}`, i, i))
	}
	for i := range 12 {
		want := fmt.Sprintf(`{"p":{"S":"k%d"},"v":{"N":"%d"}}`, i, i)
		for _, n := range b.nodes {
			if got := n.get("tab", fmt.Sprintf(`{"p":{"S":"k%d"}}`, i), true); got != want {
				t.Errorf("node %d reads %s, want %s", n.id, got, want)
			}
		}
	}
	for _, n := range b.nodes {
		n.do("scan", func() error {
			page, err := n.Scan(&ScanRequest{Table: "tab", Consistent: true})
			if err == nil && page.Count != 12 {
				t.Errorf("node %d scans %d items, want 12", n.id, page.Count)
			}
			return err
		})
		if _, here := n.Leader(); here {
			continue
		}
		n.do("create elsewhere", func() error {
			_, err := n.Create(simple("other", 1))
			var elsewhere *ElsewhereError
			if !errors.As(err, &elsewhere) || elsewhere.Leader != b.leader().id {
				t.Errorf("Create at node %d: %v, want that it is to be done by node %d", n.id, err, b.leader().id)
			}
			return nil
		})
	}
}
