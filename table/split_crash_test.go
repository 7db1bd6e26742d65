package table

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
)

// A splitRun is a crashRun whose table splits all the time.
type splitRun struct {
	crashRun
	splits int
}

// TestSplitCrashes: a node whose process or machine crashes at any step of splits has every answered
// write, exact counts, and goes on with the splits.
func TestSplitCrashes(t *testing.T) {
	splits, begun := 0, 0
	for seed := range uint64(max(3, *crashSeeds/3)) {
		r := &splitRun{}
		slots, err := r.run(500 + seed)
		if err != nil {
			t.Fatalf("seed %d: %v\nreplay with -run TestSplitCrashes -table.seeds %d", 500+seed, err, 3*seed+3)
		}
		splits, begun = splits+r.splits, begun+slots-1
	}
	if splits == 0 || begun < splits {
		t.Errorf("%d splits were answered, there are %d", splits, begun)
	}
}

func (r *splitRun) run(seed uint64) (slots int, err error) {
	r.w = env.NewWorld(seed, env.Options{Policy: env.Policy(seed % 3)})
	defer r.w.Close()
	r.rng, r.disk, r.tables = r.w.Stream("test"), vfs.NewDisk(seed), map[string]tableState{}
	last := func(e *env.Env) error {
		s, err := openStack(e, r.disk.Mount())
		if err != nil {
			return err
		}
		if err := r.verify(e, s); err != nil {
			return err
		}
		slots = len(s.record("tab").slots)
		return s.close()
	}
	err = lives{w: r.w, disk: r.disk, rng: r.rng, count: 6, from: 4, more: 30, calls: 60}.run(r.life, last)
	return slots, err
}

func (r *splitRun) life(e *env.Env) error {
	s, err := openStack(e, r.disk.Mount())
	if err != nil {
		return err
	}
	if err := r.verify(e, s); err != nil {
		return err
	}
	_, err = s.Create(Definition{Name: "tab", Attributes: attributes("p", "S"), Keys: keys("p"), BillingMode: BillingOnDemand})
	var inUse *InUseError
	if err != nil && !errors.As(err, &inUse) {
		return err
	}
	for k := range r.keys {
		e.Go(fmt.Sprint("writer-", k), func() { r.writer(e, s, k) })
	}
	e.Go("splitter", func() {
		for {
			e.Sleep(time.Duration(e.Rand() % 3e6))
			slots := s.record("tab").slots
			_, err := s.SplitGroup(slots[e.Rand()%uint64(len(slots))].group, 0)
			if err == nil {
				r.splits++
			} else if !errors.Is(err, ErrNoSplit) && !errors.Is(err, ErrGroupBusy) {
				panic(fmt.Sprintf("split: %v", err))
			}
		}
	})
	return nil
}

// verify waits until splits under way are at their end, and looks at everything.
func (r *splitRun) verify(e *env.Env, s *stack) error {
	for range 10_000 {
		if rec := s.record("tab"); rec == nil || !isSplitting(rec.slots) {
			return r.check(s)
		}
		e.Sleep(time.Millisecond)
	}
	return errors.New("a split does not come to its end")
}

// TestSplitTypedRefusal: a partition that has given a key away says so, and what was sent to it with
// tables from before finds its way.
func TestSplitTypedRefusal(t *testing.T) {
	w := newWorld(t)
	w.create(simple("tab", 1))
	for i := range 40 {
		w.put("tab", fmt.Sprintf(`{"p":{"S":"k%d"},"v":{"N":"1"}}`, i))
	}
	before := (*w.live.Load())["tab"]
	if _, err := w.SplitGroup(before.slots[0].group, 0); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := range 40 {
		key := js(fmt.Sprintf(`{"p":{"S":"k%d"}}`, i))
		if _, err := before.get(key, true); errors.Is(err, partition.ErrWrongPartition) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
		sent := w.proposeWrite(before, &partition.Command{Kind: partition.Put, Item: js(fmt.Sprintf(`{"p":{"S":"k%d"},"v":{"N":"2"}}`, i))})
		if _, err := sent.await(); err != nil {
			t.Errorf("write with old tables: %v", err)
		}
		r, err := w.Get(&GetRequest{Table: "tab", Key: key, Consistent: true})
		if v, _ := r.Item.Get("v"); err != nil || !v.Equal(item.Int(2)) {
			t.Errorf("read %s: %s, %v", key, show(r.Item), err)
		}
	}
	if refused == 0 || refused == 40 {
		t.Errorf("the parent refuses %d of 40 keys", refused)
	}
}

// TestSplitNotFoundInTime: a request that has not found the partition of its key in time has not
// been carried out, and says so, in the words of the table.
func TestSplitNotFoundInTime(t *testing.T) {
	w := newWorld(t)
	w.create(simple("tab", 1))
	w.patience = 5 * time.Millisecond
	live := (*w.live.Load())["tab"]
	asked := 0
	err := w.at(partition.Place{Table: live.id}, func(*livePartition) error {
		asked++
		return partition.ErrWrongPartition
	})
	if !errors.Is(err, ErrUnavailable) || asked < 2 {
		t.Errorf("after %d attempts: %v, want ErrUnavailable", asked, err)
	}
}

// TestSplitsItself: partitions that are too large are split, on a node that is alone, too.
func TestSplitsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, options: Options{SplitBytes: 8 << 10}}
		w.begin()
		defer func() { w.Close(); w.db.Close() }()
		w.create(simple("tab", 1))
		for i := range 60 {
			w.put("tab", fmt.Sprintf(`{"p":{"S":"k%d"},"v":{"S":%q}}`, i, longText(400)))
		}
		time.Sleep(5 * splitPause)
		page, err := w.Scan(&ScanRequest{Table: "tab", Consistent: true})
		if n := len(w.record("tab").slots); n < 3 || err != nil || page.Count != 60 {
			t.Errorf("%d partitions with %d items, %v, want at least 3 with 60", n, page.Count, err)
		}
	})
}

// TestClusterSplitsHot: a partition with many requests is split, and another node leads the new one.
func TestClusterSplitsHot(t *testing.T) {
	b := newBed(t, 31, "a", "b", "c")
	for _, n := range b.nodes {
		n.tune = func(o *Options) { o.SplitRate, o.SplitAfter = 40, 900*time.Millisecond }
	}
	b.create(simple("tab", 1))
	var counters []*counterKey
	stop := false
	for i := range 8 {
		k := &counterKey{name: fmt.Sprint("k", i)}
		counters = append(counters, k)
		b.count(k, &stop)
	}
	b.until("the partition is split", func() bool { return len(b.ready().catalog.snapshot().records()[0].slots) > 1 })
	b.run(time.Second)
	stop = true
	b.run(time.Second)
	slots := b.ready().catalog.snapshot().records()[0].slots
	if slots[0].replicas.members()[0] == slots[1].replicas.members()[0] {
		t.Errorf("both parts shall be led by node %d", slots[0].replicas.members()[0])
	}
	for _, k := range counters {
		b.countUntilSure(k)
	}
	b.quiet()
	b.checkReplicas()
}

// TestClusterSplitSkipped: a replica that was away while its partition split, and for so long
// that the log does not go back so far, gets both parts by snapshots; also if one of the other
// two is gone when it comes, so that the new part has no leader without its vote. While it is away
// nobody begins a split.
func TestClusterSplitSkipped(t *testing.T) {
	for _, alone := range []bool{false, true} {
		t.Run(fmt.Sprintf("alone=%v", alone), func(t *testing.T) { testSplitSkipped(t, alone) })
	}
}

func testSplitSkipped(t *testing.T, alone bool) {
	b := newBed(t, 32, "a", "b", "c")
	b.create(simple("tab", 1))
	for i := range 40 {
		b.nodes[i%3].put("tab", fmt.Sprintf(`{"p":{"S":"k%d"},"v":{"S":%q}}`, i, longText(200)))
	}
	b.quiet()
	leader, away, group := b.crashBystander()
	b.run(2 * time.Second)
	leader.do("split that waits", func() error {
		if _, err := leader.SplitGroup(group, 0); !errors.Is(err, errIncomplete) {
			t.Errorf("split with a replica away: %v, want that it waits", err)
		}
		return nil
	})
	leader.splitAnyway(group)
	for i := range 200 { // several segments of the log
		leader.put("tab", fmt.Sprintf(`{"p":{"S":"k%d"},"v":{"S":%q}}`, i%40, longText(2000)))
	}
	b.run(3 * time.Second)
	if alone {
		other := b.nodes[slices.IndexFunc(b.nodes, func(n *bedNode) bool { return n != away && n != leader })]
		other.crash()
		away.restart()
		b.until("the node is back", func() bool { return away.Service != nil && away.Ready() })
		if n := len(away.scanAll("tab", "")); n != 40 {
			t.Errorf("of two nodes the table has %d items, want 40", n)
		}
		other.restart()
	} else {
		away.restart()
	}
	b.quiet()
	b.checkLeftovers()
	b.checkReplicas()
	restored := 0
	for _, p := range away.directory.hosted() {
		if index, _ := p.Restored(); index > 0 {
			restored++
		}
	}
	if restored < 2 {
		t.Errorf("%d replicas came by a snapshot, want both parts", restored)
	}
	if n := len(away.scanAll("tab", "")); n != 40 {
		t.Errorf("the table has %d items, want 40", n)
	}
}

// crashBystander takes down a node that neither is in charge nor leads the only partition of the only table, which is group.
func (b *bed) crashBystander() (leader, away *bedNode, group uint64) {
	leader = b.leader()
	group = leader.catalog.snapshot().records()[0].slots[0].group
	lead := leader.directory.partition(group).slot.replicas.members()[0]
	away = b.nodes[slices.IndexFunc(b.nodes, func(n *bedNode) bool { return n.id != lead && n != leader })]
	away.crash()
	return leader, away, group
}

// splitAnyway splits a group at the node in charge, which would wait for the replica that is away.
func (n *bedNode) splitAnyway(group uint64) {
	n.bed.t.Helper()
	n.do("split with a replica away", func() error {
		plan, err := n.planSplit(group, 0, false)
		if err != nil {
			return err
		}
		if _, err = n.beginSplit(group, plan.At); err != nil {
			return err
		}
		for range 100 {
			if err = n.carrySplit(n.reigning(), group, plan); err == nil {
				break
			}
			n.e.Sleep(50 * time.Millisecond)
		}
		return err
	})
}

// TestClusterBirthOnAFullDisk: a node that knows all that the catalog says, and waits only for a split, comes to that
// while its disk is full. It tries again until there is room, although the catalog says nothing new any more.
func TestClusterBirthOnAFullDisk(t *testing.T) {
	b := newBed(t, 36, "a", "b", "c")
	b.create(simple("tab", 1))
	for i := range 20 {
		b.nodes[i%3].put("tab", fmt.Sprintf(`{"p":{"S":"k%d"}}`, i))
	}
	b.quiet()
	leader, away, group := b.crashBystander()
	leader.splitAnyway(group)
	away.full = true
	away.restart()
	b.until("the node is back", func() bool { return away.Service != nil && away.Ready() })
	b.run(3 * time.Second)
	child := leader.catalog.snapshot().records()[0].slots[1].group
	begun := func() bool { p := away.directory.partition(child); return p != nil && p.exists() }
	if begun() {
		t.Fatal("the child began on a full disk")
	}
	away.full = false
	b.until("the child begins", begun)
	b.quiet()
	b.checkReplicas()
}

// TestClusterSplitWhileIndexIsBuilt: an index that is built while the table splits has every item once.
func TestClusterSplitWhileIndexIsBuilt(t *testing.T) {
	b := newBed(t, 33, "a", "b", "c")
	b.create(simple("tab", 1))
	for i := range 120 {
		b.nodes[i%3].put("tab", fmt.Sprintf(`{"p":{"S":"k%d"},"x":{"S":"x%d"}}`, i, i%7))
	}
	b.quiet()
	b.inCharge("create the index", func(s *Service) error {
		_, err := s.Update(UpdateTableRequest{Table: "tab", Attributes: attributes("x", "S"),
			CreateIndexes: []IndexDefinition{{Name: "g", Keys: keys("x"), Projection: all()}}})
		return err
	})
	for range 3 {
		b.inCharge("split", func(s *Service) error {
			slots := s.record("tab").slots
			_, err := s.SplitGroup(slots[len(slots)-1].group, 0)
			return err
		})
	}
	b.until("the index is there", func() bool {
		r := b.ready().catalog.snapshot().records()[0]
		return r.places[0].status == indexActive
	})
	b.checkIndex("tab", "g")
	if n := len(b.ready().catalog.snapshot().records()[0].slots); n != 4 {
		t.Errorf("the table has %d partitions, want 4", n)
	}
}

// TestClusterSplitIsShort: whoever writes to the upper half of a partition that splits waits for less
// than an election, although a new group has to find a leader: the replica that led the parent
// vouches.
func TestClusterSplitIsShort(t *testing.T) {
	b := newBed(t, 35, "a", "b", "c")
	b.create(simple("tab", 1))
	for i := range 30 {
		b.nodes[i%3].put("tab", fmt.Sprintf(`{"p":{"S":"k%d"}}`, i))
	}
	b.quiet()
	stop, longest := false, time.Duration(0)
	for _, n := range b.nodes {
		n.e.Go("writer", func() {
			for i := 0; !stop; i++ {
				began := n.e.Now()
				if _, err := n.Put(&PutRequest{Table: "tab", Item: js(fmt.Sprintf(`{"p":{"S":"k%d"}}`, i%30))}); err != nil {
					t.Errorf("node %d: %v", n.id, err)
				}
				longest = max(longest, n.e.Now().Sub(began))
				n.e.Sleep(time.Millisecond)
			}
		})
	}
	b.inCharge("split", func(s *Service) error {
		_, err := s.SplitGroup(s.record("tab").slots[0].group, 0)
		return err
	})
	b.run(2 * time.Second)
	stop = true
	b.run(time.Second)
	t.Logf("the longest write took %v", longest)
	if electionTimeout := 500 * time.Millisecond; longest > electionTimeout*4/5 {
		t.Errorf("a write took %v while its partition split, an election timeout is %v", longest, electionTimeout)
	}
}
