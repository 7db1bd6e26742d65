package table

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/partition"
)

// join adds a node to a running cluster, as its operator would: it asks for a number,
// then starts under it.
func (b *bed) join(zone string) *bedNode {
	b.t.Helper()
	var m Member
	leader := b.ready()
	leader.do("join", func() (err error) {
		m, err = leader.JoinNode(zone, "somewhere", 1000+uint64(len(b.nodes)))
		return err
	})
	if m.ID != uint64(len(b.nodes)+1) {
		b.t.Fatalf("node %d joins as %+v", len(b.nodes)+1, m)
	}
	n := b.add(m.ID, zone)
	n.boot()
	b.until(fmt.Sprintf("node %d is active", n.id), func() bool {
		l := b.leader()
		return l != nil && l.catalog.snapshot().isActive(n.id) && n.Service != nil && n.Ready()
	})
	return n
}

// inCharge runs an operation at whoever is in charge, until it is done.
func (b *bed) inCharge(what string, f func(s *Service) error) {
	b.t.Helper()
	b.until(what, func() bool {
		n := b.leader()
		if n == nil {
			return false
		}
		done := false
		n.do(what, func() error {
			done = f(n.Service) == nil
			return nil
		})
		return done
	})
}

// replicasOf counts the replicas that nodes have in truth.
func (b *bed) replicasOf(id uint64) int {
	n := b.nodes[id-1]
	if n.Service == nil {
		return 0
	}
	return len(n.directory.hosted())
}

// quiet waits until every group has the members that the catalog wants, and is led by
// the first of them.
func (b *bed) quiet() {
	b.t.Helper()
	b.until("replicas are where they shall be", func() bool {
		for _, n := range b.nodes {
			if n.Service == nil || !n.Ready() {
				continue
			}
			for _, p := range n.directory.list(func(*livePartition) bool { return true }) {
				members := p.slot.replicas.members()
				if (p.group != nil) != slices.Contains(members, n.id) {
					return false
				}
				if p.group != nil && p.group.Leader() != members[0] {
					return false
				}
			}
		}
		return true
	})
}

// TestClusterGrows: one node becomes a cluster of four, gives everything away and
// leaves, while clients write.
func TestClusterGrows(t *testing.T) {
	for seed := range uint64(max(1, *chaosSeeds/3)) {
		testClusterGrows(t, seed)
	}
}

func testClusterGrows(t *testing.T, seed uint64) {
	b := newBed(t, seed, "a")
	b.create(Definition{Name: "tab", Attributes: attributes("p", "S", "x", "S"), Keys: keys("p"), Partitions: 2,
		GlobalIndexes: []IndexDefinition{{Name: "g", Keys: keys("x"), Projection: all()}}})
	first := b.nodes[0]
	for i := range 200 {
		first.put("tab", fmt.Sprintf(`{"p":{"S":"old%d"},"x":{"S":"x%d"}}`, i, i%5))
	}
	var counters []*counterKey
	stop := false
	for i := range 4 {
		k := &counterKey{name: fmt.Sprint("k", i)}
		counters = append(counters, k)
		b.count(k, &stop)
	}
	b.join("b")
	b.join("c")
	b.until("each node has a replica of each group", func() bool {
		return b.replicasOf(1) == 4 && b.replicasOf(2) == 4 && b.replicasOf(3) == 4
	})
	b.quiet()
	b.join("a")
	b.inCharge("drain", func(s *Service) error { return s.DrainNode(1) })
	b.until("node 1 has given everything away", func() bool { return b.replicasOf(1) == 0 })
	b.quiet()
	b.inCharge("remove", func(s *Service) error { return s.RemoveNode(1) })
	b.until("another node is in charge", func() bool { return b.leader() != nil && b.leader().id != 1 })
	first.crash()
	b.nodes = b.nodes[1:]
	b.run(3 * time.Second)
	stop = true
	b.run(time.Second)
	total := 0
	for _, k := range counters {
		total += k.count
		b.countUntilSure(k)
	}
	if total < 100 {
		t.Errorf("seed %d: only %d writes were answered", seed, total)
	}
	b.checkIndex("tab", "g")
	b.checkReplicas()
	if n := len(b.nodes[0].scanAll("tab", "")); n != 204 {
		t.Errorf("seed %d: the table has %d items, want 204", seed, n)
	}
	b.w.Close()
}

// TestClusterReplacesLost: a node that stays away is replaced by another one of its
// zone, and has nothing left when it comes back.
func TestClusterReplacesLost(t *testing.T) {
	b := newBed(t, 3, "a", "b", "c")
	b.create(simple("tab", 3))
	fourth := b.join("b")
	b.quiet()
	for i := range 20 {
		fourth.put("tab", fmt.Sprintf(`{"p":{"S":"k%d"}}`, i))
	}
	b.nodes[1].crash()
	b.until("node 2 is lost, and others have its replicas", func() bool {
		l := b.leader()
		if l == nil || l.catalog.snapshot().node(2).state != nodeLost {
			return false
		}
		n, _ := l.NodeLoad(2)
		return n == 0 && b.replicasOf(4) == 3
	})
	for i := range 20 {
		b.nodes[0].put("tab", fmt.Sprintf(`{"p":{"S":"k%d"},"v":{"N":"2"}}`, i))
	}
	b.nodes[1].restart()
	b.until("node 2 is active again", func() bool {
		l := b.leader()
		return l != nil && l.catalog.snapshot().isActive(2) && b.nodes[1].Service != nil && b.nodes[1].Ready()
	})
	b.quiet()
	b.checkLeftovers()
	b.checkReplicas()
	if n := len(b.nodes[1].scanAll("tab", "")); n != 20 {
		t.Errorf("the table has %d items, want 20", n)
	}
}

// TestClusterZoneLost: without one zone everything goes on; cut off from the others,
// a node answers nothing that it cannot know.
func TestClusterZoneLost(t *testing.T) {
	b := newBed(t, 4, "a", "b", "c")
	b.create(simple("tab", 3))
	b.nodes[0].put("tab", `{"p":{"S":"k"},"v":{"N":"1"}}`)
	b.quiet()
	away := b.leader()
	others := slices.DeleteFunc(slices.Clone(b.nodes), func(n *bedNode) bool { return n == away })
	cut := b.net.Cut(b.net.Around(transport.NodeID(away.id)))
	began := b.w.Now()
	for i := range 6 { // of all partitions
		others[i%2].put("tab", fmt.Sprintf(`{"p":{"S":"k%d"},"v":{"N":"2"}}`, i))
	}
	others[0].put("tab", `{"p":{"S":"k"},"v":{"N":"2"}}`)
	if took := b.w.Now().Sub(began); took > 4*time.Second {
		t.Errorf("writes took %s after a third of all leaders was cut off", took)
	}
	b.create(simple("second", 1))
	for _, consistent := range []bool{true, false} {
		away.do("read while cut off", func() error {
			r, err := away.Get(&GetRequest{Table: "tab", Key: js(`{"p":{"S":"k"}}`), Consistent: consistent})
			if err == nil {
				t.Errorf("a node that is cut off answers %s (consistent %v)", show(r.Item), consistent)
			}
			return nil
		})
	}
	cut.Heal()
	if got := away.get("tab", `{"p":{"S":"k"}}`, true); got != `{"p":{"S":"k"},"v":{"N":"2"}}` {
		t.Errorf("after healing the node reads %s", got)
	}
	away.do("find the new table", func() error {
		_, err := away.Get(&GetRequest{Table: "second", Key: js(`{"p":{"S":"k"}}`)})
		return err
	})
}

// TestClusterRepeats: the same seed gives the same run, to the last step.
func TestClusterRepeats(t *testing.T) {
	var hashes []uint64
	for range 2 {
		b := newBed(t, 8, "a", "b", "c")
		b.create(simple("tab", 2))
		stop := false
		b.count(&counterKey{name: "k"}, &stop)
		b.run(time.Second)
		b.nodes[1].crash()
		b.run(2 * time.Second)
		b.nodes[1].restart()
		b.run(2 * time.Second)
		hashes = append(hashes, b.w.Hash())
		b.w.Close()
	}
	if hashes[0] != hashes[1] {
		t.Errorf("two runs of one seed have the hashes %x and %x", hashes[0], hashes[1])
	}
}

// TestClusterBrokenReplica: a leader that cannot read a row which others can stops,
// another one answers, and the replica is made anew.
func TestClusterBrokenReplica(t *testing.T) {
	b := newBed(t, 6, "a", "b", "c")
	b.create(simple("tab", 1))
	b.nodes[0].put("tab", `{"p":{"S":"k"},"v":{"N":"1"}}`)
	b.quiet()
	p := (*b.nodes[0].live.Load())["tab"].partitions[0]
	leader := b.nodes[p.slot.replicas.nodes[0]-1]
	leader.do("break a row", func() error {
		batch := leader.db.NewBatch()
		row := (*leader.live.Load())["tab"].schema.AppendRowKey(nil, js(`{"p":{"S":"k"}}`))
		batch.Set(row, []byte("junk"))
		return leader.db.Apply(batch)
	})
	for _, n := range b.nodes {
		n.do("count", func() error {
			r, err := n.UpdateItem(&UpdateRequest{Table: "tab", Key: js(`{"p":{"S":"k"}}`),
				Update: must(expr.ParseUpdate("ADD v :one", params(`{":one":{"N":"1"}}`))), Return: AllNew})
			if err == nil && show(r.Attributes) != fmt.Sprintf(`{"p":{"S":"k"},"v":{"N":"%d"}}`, n.id+1) {
				t.Errorf("update at node %d answers %s", n.id, show(r.Attributes))
			}
			return err
		})
	}
	b.until("the replica is made anew", func() bool {
		q := leader.directory.partition(p.id)
		return q != nil && q.group != nil && q.Partition != p.Partition && q.slot.replicas.epoch >= 2 && q.Err() == nil
	})
	b.quiet()
	b.checkReplicas()
	if got := leader.get("tab", `{"p":{"S":"k"}}`, false); got != `{"p":{"S":"k"},"v":{"N":"4"}}` {
		t.Errorf("the new replica has %s", got)
	}
}

// TestClusterOlderCatalog: a node comes back with a replica that the catalog on its disk
// does not know of, because that is older than what the node had applied. It starts all
// the same, and drops the replica once it has heard that nobody counts on it.
func TestClusterOlderCatalog(t *testing.T) {
	b := newBed(t, 10, "a", "b", "c")
	b.create(simple("tab", 1))
	fourth := b.join("a")
	b.quiet()
	p := fourth.directory.partition((*fourth.live.Load())["tab"].partitions[0].id)
	fourth.do("start a replica", func() error {
		if err := fourth.noteReplica(p.id, replicaRecord{(*fourth.live.Load())["tab"].id, p.first, p.last}); err != nil {
			return err
		}
		replica, err := partition.Open(fourth.db, p.id)
		if err != nil {
			return err
		}
		if _, err := fourth.host.Start(p.id, replica, nil); err != nil {
			return err
		}
		return fourth.db.Flush()
	})
	fourth.crash()
	fourth.restart()
	b.until("the node is up", func() bool { return fourth.Service != nil || fourth.err != nil })
	if fourth.err != nil {
		t.Fatalf("the node does not start: %v", fourth.err)
	}
	b.until("the replica is gone", func() bool { return len(fourth.node.Groups()) == 1 })
	b.checkLeftovers()
}

// TestClusterLeavesOnBadDisk: a node that gives a replica away, and cannot drop its data,
// sends requests to those who have it all the same.
func TestClusterLeavesOnBadDisk(t *testing.T) {
	b := newBed(t, 11, "a", "b", "c")
	b.create(simple("tab", 1))
	b.quiet()
	n := b.nodes[0]
	n.put("tab", `{"p":{"S":"k"},"v":{"N":"1"}}`)
	n.disk.OnOp(func(op vfs.Op) error {
		if strings.Contains(op.Name, "manifest") && op.Writes() {
			return vfs.ErrIO
		}
		return nil
	})
	n.do("leave", func() error {
		if err := n.db.Flush(); err == nil {
			t.Error("a store whose manifest cannot be written flushes")
		}
		n.local.Lock()
		defer n.local.Unlock()
		if err := n.leaveGroup((*n.live.Load())["tab"].partitions[0]); err == nil {
			t.Error("a store that has failed drops data")
		}
		return nil
	})
	if got := n.get("tab", `{"p":{"S":"k"}}`, true); got != `{"p":{"S":"k"},"v":{"N":"1"}}` {
		t.Errorf("the node that has left reads %s", got)
	}
}

// TestClusterDropsLeftovers: what could not be dropped with a replica goes in a later
// life of the node.
func TestClusterDropsLeftovers(t *testing.T) {
	b := newBed(t, 12, "a", "b", "c")
	b.create(simple("tab", 1))
	fourth := b.join("a")
	b.quiet()
	p := fourth.directory.partition((*fourth.live.Load())["tab"].partitions[0].id)
	fourth.do("leave data behind", func() error {
		if err := fourth.noteReplica(p.id, replicaRecord{(*fourth.live.Load())["tab"].id, p.first, p.last}); err != nil {
			return err
		}
		return fourth.db.Flush()
	})
	fourth.crash()
	fourth.restart()
	b.until("the data is gone", func() bool {
		if fourth.Service == nil {
			return false
		}
		records, err := fourth.replicaRecords()
		return err == nil && len(records) == 0
	})
	if got := fourth.get("tab", `{"p":{"S":"k"}}`, true); got != "none" {
		t.Errorf("the node reads %s", got)
	}
}

// TestClusterUnknownTable: a node that has not heard of a table, and cannot ask whoever
// is in charge, does not say that there is none.
func TestClusterUnknownTable(t *testing.T) {
	b := newBed(t, 1, "a", "b", "c")
	leader := b.ready()
	away := b.nodes[leader.id%3]
	cut := b.net.Cut(b.net.Around(transport.NodeID(away.id)))
	b.create(simple("new", 1))
	get := func(table string) (err error) {
		away.do("get", func() error {
			_, err = away.Get(&GetRequest{Table: table, Key: js(`{"p":{"S":"k"}}`), Consistent: true})
			return nil
		})
		return err
	}
	if err := get("new"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("cut off, a get from a table that is new: %v, want %v", err, ErrUnavailable)
	}
	show := func() (described, settings error) {
		away.do("show", func() error {
			_, described = away.Describe("new")
			_, settings = away.Recovery("new")
			return nil
		})
		return described, settings
	}
	if described, settings := show(); !errors.Is(described, ErrUnavailable) || !errors.Is(settings, ErrUnavailable) {
		t.Errorf("cut off, a table that is new is shown with %v and %v, want %v", described, settings, ErrUnavailable)
	}
	b.clock.Go("heal", func() {
		b.clock.Sleep(2 * time.Second)
		cut.Heal()
	})
	if err := get("new"); err != nil {
		t.Errorf("connected again, a get from a table that is new: %v", err)
	}
	var none *NotFoundError
	if err := get("none"); !errors.As(err, &none) {
		t.Errorf("a get from a table that never was: %v, want a NotFoundError", err)
	}
	if described, settings := show(); described != nil || settings != nil {
		t.Errorf("connected again, a table that is new is shown with %v and %v", described, settings)
	}
}

// TestClusterFirstTable: a node that did not know an account learns of it by its first table, also for
// those who asked for the account before: as after a start, when requests come before the catalog.
func TestClusterFirstTable(t *testing.T) {
	b := newBed(t, 1, "a", "b", "c")
	leader := b.ready()
	away := b.nodes[leader.id%3]
	guest, isKnown := away.In("444455556666", "eu-west-1")
	if isKnown {
		t.Fatal("the account is known")
	}
	leader.do("create", func() error {
		host, _ := leader.In("444455556666", "eu-west-1")
		_, err := host.Create(simple("first", 1))
		return err
	})
	away.do("use", func() error {
		if _, err := guest.Get(&GetRequest{Table: "first", Key: js(`{"p":{"S":"k"}}`), Consistent: true}); err != nil {
			t.Errorf("a get from the first table of an account: %v", err)
		}
		if d, err := guest.Describe("first"); err != nil || d.Status != StatusActive {
			t.Errorf("it is shown as %v, %v", d, err)
		}
		return nil
	})
}

// TestClusterIndexPlaced: an index that is added to a table of a cluster has a replica in each
// zone from its first entry on, and not on one node alone until others are added.
func TestClusterIndexPlaced(t *testing.T) {
	b := newBed(t, 7, "a", "b", "c")
	b.create(Definition{Name: "tab", Attributes: attributes("p", "S"), Keys: keys("p"), Partitions: 2})
	b.inCharge("add an index", func(s *Service) error {
		_, err := s.Update(UpdateTableRequest{Table: "tab", Attributes: attributes("x", "S"),
			CreateIndexes: []IndexDefinition{{Name: "g", Keys: keys("x"), Projection: all()}}})
		if err != nil {
			return err
		}
		for _, slot := range s.catalog.snapshot().records()[0].places[0].slots {
			if n := len(slot.replicas.members()); n != 3 {
				t.Errorf("group %d of the index shall have %d replicas, want 3", slot.group, n)
			}
		}
		return nil
	})
	b.until("the index is active", func() bool {
		n := b.ready()
		return n != nil && n.catalog.snapshot().records()[0].places[0].status == indexActive
	})
	b.quiet()
	b.checkReplicas()
	b.w.Close()
}

// TestClusterBirthMissed: a node is away when a table is made. Before it comes, another one that has a replica is
// lost and taken out, so that the catalog wants a third one in its place. The group still counts the two; the one
// that comes has nothing, and was never there: without its vote nobody would lead.
func TestClusterBirthMissed(t *testing.T) {
	b := newBed(t, 51, "a", "b", "c", "d", "e")
	leader := b.ready()
	b.quiet()
	var rest []*bedNode // those of the first three, which will have the replicas, that are not in charge
	for _, n := range b.nodes[:3] {
		if n != leader {
			rest = append(rest, n)
		}
	}
	late, lost := rest[0], rest[1]
	late.crash()
	b.create(simple("tab", 1))
	leader.put("tab", `{"p":{"S":"k"}}`)
	members := b.leader().catalog.snapshot().records()[0].slots[0].replicas.members()
	if !slices.Contains(members, late.id) || !slices.Contains(members, lost.id) {
		t.Fatalf("the replicas are on %v, not on %d and %d", members, late.id, lost.id)
	}
	lost.crash()
	b.inCharge("remove", func(s *Service) error { return s.ForgetNode(lost.id) })
	b.until("the catalog wants another one", func() bool {
		return !slices.Contains(b.leader().catalog.snapshot().records()[0].slots[0].replicas.members(), lost.id)
	})
	late.restart()
	b.until("the node is back", func() bool { return late.Service != nil && late.Ready() })
	if got, want := late.get("tab", `{"p":{"S":"k"}}`, true), `{"p":{"S":"k"}}`; got != want {
		t.Errorf("the node reads %s, want %s", got, want)
	}
	b.until("all replicas are where they should be", func() bool {
		r := b.leader().catalog.snapshot().records()[0]
		isBusy := true
		b.leader().do("busy", func() error { isBusy = b.leader().isBusy(r.slots[0].group); return nil })
		return !isBusy
	})
}
