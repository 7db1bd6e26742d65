package replication

import (
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/internal/vfs"
)

// A bed is a cluster in a simulated world where everything changes: nodes lose
// power, messages get lost, doubled and overtaken, members come and go, and logs
// keep so little that snapshots are the rule.
//
// At every apply it is checked that all replicas apply the same entry at an
// index, and come to the same state; and at every election that a term has one
// leader. In the end the replicas must agree, and what was answered must be
// there, once.
type bed struct {
	w           *env.World
	rng         *rand.Rand
	net         *transport.Network
	nodes       []*bedNode
	calm        bool
	noSnapshots bool // their lane loses everything
	j           *jitter

	next     uint64
	sent     map[uint64]error // outcome by command; missing while under way
	group    map[uint64]GroupID
	entries  map[bedPlace]uint64 // hash of what was applied
	states   map[bedPlace]uint64 // hash of the state after it
	leaders  map[bedPlace]uint64 // by term
	barriers int
	changes  map[string]int
}

type bedPlace struct {
	group GroupID
	index uint64 // or term
}

type bedNode struct {
	b           *bed
	id          uint64
	e           *env.Env
	disk        *vfs.Disk
	store       *memStore
	o           Options
	node        *Node
	groups      map[GroupID]*Group
	afterCommit func() // of a snapshot, before its log is switched
	born        map[GroupID]bool
	wanted      map[GroupID]bool // a message came for a group that is not here
}

const bedGroups = 2

// bedMembers are the members that the groups are born with. Who has them from
// a snapshot has them in this form.
var bedMembers = encodeMembers(&raftpb.ConfState{Voters: []uint64{1, 2, 3}})

func (n *bedNode) name() string { return fmt.Sprint("n", n.id) }

// A bedMachine is a counter that takes its time and has its state compared.
type bedMachine struct {
	counter
	n *bedNode
}

func (m *bedMachine) Apply(index uint64, commands [][]byte) []any {
	h := fnv.New64a()
	for _, c := range commands {
		_, _ = h.Write(c)
	}
	m.n.b.compare(m.n, "entry", m.n.b.entries, m.id, index, h.Sum64())
	results := m.counter.Apply(index, commands)
	m.compareState(index)
	return results
}

func (m *bedMachine) ApplyMembers(index uint64, members []byte) {
	h := fnv.New64a()
	_, _ = h.Write(members)
	m.n.b.compare(m.n, "members", m.n.b.entries, m.id, index, h.Sum64())
	m.counter.ApplyMembers(index, members)
	m.compareState(index)
}

func (m *bedMachine) compareState(index uint64) {
	st := m.store.counter(m.id)
	h := st.sum * 31
	for c, times := range st.seen {
		h += (c*0x9e3779b97f4a7c15 ^ uint64(times)) * 0xbf58476d1ce4e5b9
	}
	if st.members == nil {
		st.members = bedMembers
	}
	for _, b := range st.members {
		h = h*131 + uint64(b)
	}
	m.n.b.compare(m.n, "state", m.n.b.states, m.id, index, h)
}

func (b *bed) compare(n *bedNode, what string, known map[bedPlace]uint64, id GroupID, index, hash uint64) {
	p := bedPlace{id, index}
	if old, ok := known[p]; ok && old != hash {
		panic(fmt.Sprintf("%s of group %d at %d differs on %s", what, id, index, n.name()))
	}
	known[p] = hash
}

func (m *bedMachine) Restore(meta SnapshotMeta) (SnapshotWriter, error) {
	m.n.e.Sleep(time.Duration(m.n.e.Rand() % 2e6))
	w, err := m.counter.Restore(meta)
	return &bedWriter{w, m}, err
}

type bedWriter struct {
	SnapshotWriter
	m *bedMachine
}

func (w *bedWriter) Write(chunk []byte) error {
	e := w.m.n.e
	e.Sleep(time.Duration(e.Rand() % 1e6))
	if e.Rand()%200 == 0 {
		return vfs.ErrNoSpace
	}
	return w.SnapshotWriter.Write(chunk)
}

func (w *bedWriter) Commit() error {
	e := w.m.n.e
	e.Sleep(time.Duration(e.Rand() % 30e6))
	if e.Rand()%8 == 0 && !w.m.n.b.calm {
		return vfs.ErrNoSpace
	}
	err := w.SnapshotWriter.Commit()
	w.m.compareState(w.m.Applied())
	if f := w.m.n.afterCommit; f != nil {
		w.m.n.b.w.After(0, f)
	}
	if e.Rand()%4 == 0 && !w.m.n.b.calm { // a crash here is one that Start completes
		w.m.n.b.w.After(time.Duration(e.Rand()%5e6), func() { w.m.n.b.crash(w.m.n) })
	}
	e.Sleep(time.Duration(e.Rand() % 20e6))
	return err
}

// A bedEnd is a node's end of the network.
type bedEnd struct {
	transport.Transport
	b *bed
}

func (end bedEnd) Send(to transport.NodeID, lane transport.Lane, message []byte) {
	if lane != transport.Snapshot || !end.b.noSnapshots {
		end.Transport.Send(to, lane, message)
	}
}

// bedNode is the node's Observer.
func (n *bedNode) Created(GroupID)                                          {}
func (n *bedNode) Appended(GroupID, uint64, uint64, []byte)                 {}
func (n *bedNode) Applied(GroupID, uint64, uint64, []byte, [][]byte, []any) {}
func (n *bedNode) Promised(GroupID, Promise)                                {}
func (n *bedNode) Resumed(GroupID, Promise)                                 {}
func (n *bedNode) Serves(GroupID, uint64, func() bool)                      {}
func (n *bedNode) Bound(GroupID, uint64, env.Mono)                          {}
func (n *bedNode) Voted(GroupID, uint64, env.Mono, uint64)                  {}
func (n *bedNode) Leased(GroupID, uint64, env.Mono, []uint64, []uint64)     {}
func (n *bedNode) Counts(GroupID, uint64, []uint64, []uint64)               {}
func (n *bedNode) Known(GroupID, uint64, []uint64)                          {}
func (n *bedNode) Left(GroupID)                                             {}
func (n *bedNode) Led(id GroupID, term uint64, _ func(uint64) (uint64, error)) {
	n.b.compare(n, "leader", n.b.leaders, id, term, n.id)
}

func (b *bed) boot(n *bedNode, e *env.Env) {
	n.e, n.node, n.groups, n.wanted = e, nil, map[GroupID]*Group{}, map[GroupID]bool{}
	o := n.o
	o.NodeID, o.Transport, o.Observer = n.id, bedEnd{b.net.Start(transport.NodeID(n.id), e), b}, n
	o.EnterGroup = func(id GroupID) { b.j.enter(fmt.Sprint(b.w.Seed(), n.name(), id)) }
	o.OnUnknown = func(_ uint64, id GroupID) { n.wanted[id] = true }
	e.Go("boot", func() {
		n.node = check(Open(e, n.disk.Mount(), n.store, o))
		for _, id := range n.node.Groups() {
			n.start(id, nil)
		}
		if n.id <= 3 {
			for id := GroupID(1); id <= bedGroups; id++ {
				if n.groups[id] == nil && !n.born[id] {
					n.start(id, []uint64{1, 2, 3})
					n.born[id] = true
				}
			}
		}
		e.Go("replicas", n.replicas)
		for range 2 {
			e.Go("client", n.client)
		}
	})
	e.Go("flusher", func() {
		for {
			e.Sleep(time.Duration(10+e.Rand()%100) * time.Millisecond)
			_ = n.store.Flush()
		}
	})
}

func (n *bedNode) start(id GroupID, voters []uint64) {
	n.groups[id] = check(n.node.Start(id, &bedMachine{counter{n.store, id}, n}, voters))
}

// replicas starts and removes replicas as the members are, and leads changes of
// members now and then.
func (n *bedNode) replicas() {
	for {
		n.e.Sleep(time.Duration(10e6 + n.e.Rand()%100e6))
		for id := GroupID(1); id <= bedGroups; id++ {
			g := n.groups[id]
			switch {
			case g == nil && n.wanted[id] && (n.born[id] || n.id > 3):
				n.start(id, nil)
			case g == nil:
			case n.e.Rand()%4 == 0 && n.b.left(id, n.id):
				n.remove(id)
			case g.Leading() && !n.b.calm:
				n.change(g)
			}
			n.wanted[id] = false
		}
	}
}

func (n *bedNode) remove(id GroupID) {
	if err := n.node.Remove(id); err != nil {
		panic(err)
	}
	delete(n.groups, id)
	n.store.mu.Lock()
	delete(n.store.state, id)
	n.store.seq++
	n.store.mu.Unlock()
	check(0, n.store.Flush())
	n.b.changes["replica removed"]++
}

// left reports whether a group no longer counts a node: the newest members that
// any replica has applied say so.
func (b *bed) left(id GroupID, node uint64) bool {
	var newest counterState
	for _, n := range b.nodes {
		if st := n.store.counter(id); st.applied > newest.applied {
			newest = st
		}
	}
	if newest.members == nil {
		newest.members = bedMembers
	}
	m := check(DecodeMembers(newest.members))
	return !slices.Contains(slices.Concat(m.Voters, m.Learners, m.Outgoing, m.Demoted), node)
}

// change changes the members at random. At least three voters remain: when two
// become one, a crash at the wrong moment may leave a group that cannot elect
// anybody; see docs/adr/0018-members.md.
func (n *bedNode) change(g *Group) {
	s, err := g.Status()
	if err != nil {
		return
	}
	var changes []Change
	voters := len(s.Members.Voters)
	target := n.e.Rand()%uint64(len(n.b.nodes)) + 1
	for range 1 + n.e.Rand()%2 {
		isVoter, isLearner := slices.Contains(s.Members.Voters, target), slices.Contains(s.Members.Learners, target)
		switch {
		case !isVoter && !isLearner:
			changes = append(changes, Change{AddLearner, target})
		case isLearner && n.e.Rand()%3 > 0:
			voters++
			changes = append(changes, Change{Promote, target})
		case isVoter && voters > 3 && n.e.Rand()%4 == 0:
			voters--
			changes = append(changes, Change{Demote, target})
		case isLearner:
			changes = append(changes, Change{Remove, target})
		case voters > 3:
			voters--
			changes = append(changes, Change{Remove, target})
		case target != n.id:
			err := g.Transfer(target)
			n.b.count("transfer", err)
			return
		}
		target = target%uint64(len(n.b.nodes)) + 1
	}
	if len(changes) == 0 {
		return
	}
	err = g.ChangeMembers(changes...)
	name := changes[0].Kind.String()
	if len(changes) > 1 {
		name = "several"
	}
	n.b.count(name, err)
}

func (b *bed) count(what string, err error) {
	if err == nil {
		b.changes[what]++
	}
}

func (n *bedNode) client() {
	for {
		n.e.Sleep(time.Duration(1e6 + n.e.Rand()%10e6))
		if g := n.groups[GroupID(n.e.Rand()%bedGroups+1)]; g != nil && !n.b.calm {
			n.b.propose(g)
		}
	}
}

func (b *bed) propose(g *Group) {
	b.next++
	id := b.next
	b.group[id] = g.ID()
	_, err := g.Propose(add(id, 1)).Await()
	b.sent[id] = err
	if err != nil {
		return
	}
	n := b.nodes[b.rng.IntN(len(b.nodes))]
	other := n.groups[g.ID()]
	if other == nil || other.ReadBarrier() != nil || other != n.groups[g.ID()] {
		return
	}
	b.barriers++
	if n.store.counter(g.ID()).seen[id] != 1 {
		panic(fmt.Sprintf("stale read: command %d of group %d was answered, but %s has not applied it", id, g.ID(), n.name()))
	}
}

func newBed(seed uint64, j *jitter) *bed {
	clear(j.streams)
	b := &bed{
		w: env.NewWorld(seed, env.Options{Policy: env.Policy(seed % 3)}), j: j,
		sent: map[uint64]error{}, group: map[uint64]GroupID{},
		entries: map[bedPlace]uint64{}, states: map[bedPlace]uint64{}, leaders: map[bedPlace]uint64{}, changes: map[string]int{},
	}
	b.rng = b.w.Stream("test")
	b.net = transport.NewNetwork(b.w, transport.NetworkOptions{})
	for i := range 3 + b.rng.IntN(4) {
		n := &bedNode{b: b, id: uint64(i + 1), disk: vfs.NewDisk(seed*8 + uint64(i)), store: newMemStore(), born: map[GroupID]bool{}}
		n.o = Options{
			Workers: 1 + i%2, SegmentBytes: 16 << 10, MaxSegments: 2 + b.rng.IntN(3),
			KeepEntries: b.rng.IntN(6), Snapshots: 1 + b.rng.IntN(3), Tick: 10 * time.Millisecond,
		}
		b.nodes = append(b.nodes, n)
		e := b.w.NewNode(n.name())
		b.net.Add(transport.NodeID(n.id), transport.Site{Name: n.name(), Zone: n.name()})
		b.w.OnCrash(n.name(), func() { n.disk.Crash(vfs.RandomCrash(b.rng)) })
		b.boot(n, e)
	}
	return b
}

// crash cuts a node's power, unless that has happened.
func (b *bed) crash(n *bedNode) {
	if b.w.Up(n.name()) {
		b.w.Crash(n.name())
	}
}

// restart starts all nodes that are down.
func (b *bed) restart() {
	for _, n := range b.nodes {
		if !b.w.Up(n.name()) {
			n.store = n.store.crash()
			b.boot(n, b.w.Restart(n.name()))
		}
	}
}

func (b *bed) run(d int) error {
	return b.w.Run(b.w.Now().Add(time.Duration(b.rng.IntN(d)) * time.Millisecond))
}

func (b *bed) simulate() (uint64, error) {
	defer b.w.Close()
	all := b.net.Nodes()
	b.net.Apply(transport.Among(all), transport.Trouble{
		Loss: transport.PPM(b.rng.IntN(50_000)), Double: transport.PPM(b.rng.IntN(50_000)), Reorder: transport.PPM(b.rng.IntN(100_000)),
	})
	for range 12 {
		if err := b.run(500); err != nil {
			return 0, err
		}
		node := all[b.rng.IntN(len(all))]
		ways := [][]transport.Way{nil, b.net.Around(node), b.net.Into(node), b.net.OutOf(node)}[b.rng.IntN(4)]
		cut := b.net.Cut(ways)
		if err := b.run(500); err != nil {
			return 0, err
		}
		cut.Heal()
		n := b.nodes[b.rng.IntN(len(b.nodes))]
		if b.rng.IntN(2) == 0 {
			n.disk.CrashAt(1+b.rng.IntN(30), func() { b.crash(n) })
			if err := b.run(300); err != nil {
				return 0, err
			}
			n.disk.CrashAt(0, nil)
		}
		b.crash(n)
		if err := b.run(300); err != nil {
			return 0, err
		}
		b.restart()
	}
	b.calm = true
	b.restart()
	b.net.Heal()
	if err := b.w.Run(b.w.Now().Add(8 * time.Second)); err != nil {
		return 0, err
	}
	return b.w.Hash(), b.verify()
}

func (b *bed) verify() error {
	for id := GroupID(1); id <= bedGroups; id++ {
		var leader *bedNode
		for _, n := range b.nodes {
			if g := n.groups[id]; g != nil && g.Leading() {
				if leader != nil {
					return fmt.Errorf("group %d is led by %s and %s", id, leader.name(), n.name())
				}
				leader = n
			}
		}
		if leader == nil {
			return fmt.Errorf("group %d has no leader:\n%s", id, b.describe(id))
		}
		want := leader.store.counter(id)
		if s := leader.groups[id].status(); s.Members.Joint() {
			return fmt.Errorf("group %d is still joint: %+v", id, s.Members)
		}
		for _, n := range b.nodes {
			if b.left(id, n.id) {
				if n.groups[id] != nil {
					return fmt.Errorf("%s still has a replica of group %d", n.name(), id)
				}
				continue
			}
			got := n.store.counter(id)
			if n.groups[id] == nil || got.applied != want.applied || got.sum != want.sum || !maps.Equal(got.seen, want.seen) {
				return fmt.Errorf("group %d: %s is at %d with sum %d, %s leads at %d with sum %d\n%s", id, n.name(), got.applied, got.sum, leader.name(), want.applied, want.sum, b.describe(id))
			}
		}
		for cmd := uint64(1); cmd <= b.next; cmd++ {
			err, told := b.sent[cmd]
			times := want.seen[cmd]
			switch {
			case b.group[cmd] != id && times > 0:
				return fmt.Errorf("command %d of group %d was applied by group %d", cmd, b.group[cmd], id)
			case b.group[cmd] != id:
			case times > 1:
				return fmt.Errorf("command %d applied %d times", cmd, times)
			case told && err == nil && times == 0:
				return fmt.Errorf("command %d was answered and is lost", cmd)
			case told && err != nil && !errors.Is(err, ErrUnknownOutcome) && times > 0:
				return fmt.Errorf("command %d was refused (%v) and applied", cmd, err)
			}
		}
	}
	return nil
}

// describe prints what each replica of a group knows.
func (b *bed) describe(id GroupID) (text string) {
	for _, n := range b.nodes {
		g := n.groups[id]
		if g == nil || g.raft == nil {
			text += fmt.Sprintf("%s: none\n", n.name())
			continue
		}
		s := g.status()
		text += fmt.Sprintf("%s: role %d term %d leader %d applied %d committed %d last %v members %+v empty %t waiting %t state %v\n", n.name(), g.role.Load(), s.Term, s.Leader,
			s.Applied, s.Committed, g.log.Last(), s.Members, g.empty, g.install != nil, g.raft.BasicStatus().RaftState)
		first, _ := g.log.FirstIndex()
		text += fmt.Sprintf("    log begins with %d, sm at %d, no snapshot before %v, now %v, pins %v, streams %d out %d in, offered %t, progress %+v\n",
			first, g.sm.Applied(), g.noSnapshotBefore, b.w.Now(), g.pins, len(n.node.streams.out), len(n.node.streams.in), g.offered != nil, g.raft.Status().Progress)
	}
	return text
}

var (
	bedSeeds = flag.Int("replication.bed", max(1, 4/underRace), "how many seeds TestMembersInSimulation runs")
	bedFirst = flag.Uint64("replication.first", 0, "the first of them")
)

func TestMembersInSimulation(t *testing.T) {
	j := replaceJitter(t)
	changes, marks := map[string]int{}, map[env.Mark]uint64{}
	answered, barriers := 0, 0
	for seed := *bedFirst; seed < *bedFirst+uint64(*bedSeeds); seed++ {
		b := newBed(seed, j)
		hash, err := b.simulate()
		if err != nil {
			t.Fatalf("seed %d: %v\nreplay with -run TestMembersInSimulation -replication.first %d -replication.bed 1", seed, err, seed)
		}
		for _, err := range b.sent {
			if err == nil {
				answered++
			}
		}
		barriers += b.barriers
		for what, n := range b.changes {
			changes[what] += n
		}
		for m, n := range b.w.Marks() {
			marks[m] += n
		}
		if seed == *bedFirst {
			if again, err := newBed(seed, j).simulate(); again != hash {
				t.Fatalf("seed %d: two runs differ (%v)", seed, err)
			}
		}
	}
	t.Logf("%d commands answered, %d barriers, %v, %v", answered, barriers, changes, marks)
	if *bedSeeds < 4 {
		return
	}
	for _, what := range []string{"add learner", "promote", "demote", "remove", "several", "transfer", "replica removed"} {
		if changes[what] == 0 {
			t.Errorf("nothing of the kind %q happened", what)
		}
	}
	if answered < 100**bedSeeds || barriers < 20**bedSeeds || marks["replication: snapshot installed"] == 0 {
		t.Errorf("%d commands answered, %d barriers, %d snapshots: too few", answered, barriers, marks["replication: snapshot installed"])
	}
}
