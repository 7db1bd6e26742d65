package table

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/statordb/stator/item"
)

// splitSomething splits a partition of a table, or of one of its indexes, in the middle of its
// data. It reports whether that could be done.
func (w *world) splitSomething(table string, rng *rand.Rand) bool {
	w.t.Helper()
	var groups []uint64
	for s := range w.record(table).liveSlots() {
		groups = append(groups, s.group)
	}
	group := groups[rng.IntN(len(groups))]
	child, err := w.SplitGroup(group, 0)
	if errors.Is(err, ErrNoSplit) {
		return false
	}
	if err != nil || child == 0 {
		w.t.Fatalf("split group %d: %d, %v", group, child, err)
	}
	return true
}

// TestSplitModel: whatever splits in between, a table answers as a map does, and its indexes
// have what its items say.
func TestSplitModel(t *testing.T) {
	splits := 0
	for seed := range uint64(3) {
		w := newWorld(t)
		d := &driver{
			world: w, t: t, rand: rand.New(rand.NewPCG(seed, 41)), table: "tab", hashType: item.S, sortType: item.N,
			model: model{hash: "p", sort: "s", items: map[string]item.Item{}},
		}
		def := Definition{Name: "tab", Attributes: attributes("p", "S", "s", "N", "n", "N"), Keys: keys("p", "s"),
			GlobalIndexes: []IndexDefinition{{Name: "g", Keys: keys("n"), Projection: all()}},
			LocalIndexes:  []IndexDefinition{{Name: "l", Keys: keys("p", "n"), Projection: all()}}}
		w.create(def)
		for round := range 8 {
			d.run(60)
			if w.splitSomething("tab", d.rand) {
				splits++
			}
			for _, index := range []string{"g", "l"} {
				d.checkIndex(&def, index)
			}
			if round == 4 {
				w.open()
			}
		}
	}
	if splits < 10 {
		t.Errorf("only %d splits could be done", splits)
	}
}

// checkIndex waits until an index has what the model says.
func (d *driver) checkIndex(def *Definition, index string) {
	d.t.Helper()
	want := 0
	for _, it := range d.model.items {
		if _, ok := it.Get("n"); ok {
			want++
		}
	}
	var got []item.Item
	for range 2000 {
		var err error
		if got, err = scanAll(d.Service, def.Name, index, d.rand); err != nil {
			d.t.Fatalf("scan %s: %v", index, err)
		}
		same := len(got) == want && !slices.ContainsFunc(got, func(it item.Item) bool { return !d.model.get(it).Equal(it) })
		if same {
			return
		}
		d.env.Sleep(time.Millisecond)
	}
	d.t.Fatalf("index %s has %d entries, the items say %d, or not the same", index, len(got), want)
}

// TestClusterSplits: while nodes crash and are cut off, partitions of a table and of its index
// split; nothing that was answered is lost or done twice, indexes agree with their table, and all
// replicas are the same.
func TestClusterSplits(t *testing.T) {
	for seed := range uint64(*chaosSeeds) {
		testClusterSplits(t, 100+seed)
	}
}

func testClusterSplits(t *testing.T, seed uint64) {
	b := newBed(t, seed, "a", "b", "c")
	b.create(Definition{Name: "tab", Attributes: attributes("p", "S", "x", "S"), Keys: keys("p"), Partitions: 1,
		GlobalIndexes: []IndexDefinition{{Name: "g", Keys: keys("x"), Projection: all()}}})
	var counters []*counterKey
	stop := false
	for i := range 8 {
		k := &counterKey{name: fmt.Sprint("k", i)}
		counters = append(counters, k)
		b.count(k, &stop)
	}
	splits := 0
	b.splitNow(&stop, &splits)
	for range 5 {
		b.run(time.Duration(500+b.rng.IntN(1500)) * time.Millisecond)
		b.fault()
	}
	b.run(3 * time.Second)
	stop = true
	b.run(time.Second)
	total := 0
	for _, k := range counters {
		total += k.count
		b.countUntilSure(k)
	}
	b.until("splits that have begun are at their end", func() bool {
		l := b.leader()
		return l != nil && !slices.ContainsFunc(l.catalog.snapshot().records(), func(r *record) bool {
			return isSplitting(r.slots) || isSplitting(r.places[0].slots)
		})
	})
	r := b.ready().catalog.snapshot().records()[0]
	if total < 100 || splits == 0 || len(r.slots)+len(r.places[0].slots) < 2+splits {
		t.Errorf("seed %d: %d writes were answered, %d splits; partitions: %v, %v", seed, total, splits, r.slots, r.places[0].slots)
	}
	b.quiet()
	b.checkLeftovers()
	b.checkIndex("tab", "g")
	b.checkReplicas()
	if n := len(b.nodes[0].scanAll("tab", "")); n != len(counters) {
		t.Errorf("seed %d: the table has %d items, want %d", seed, n, len(counters))
	}
	b.w.Close()
}

// splitNow splits one partition after the other at whoever is in charge.
func (b *bed) splitNow(stop *bool, splits *int) {
	rng := b.w.Stream("splits")
	b.clock.Go("splits", func() {
		for !*stop {
			b.clock.Sleep(time.Duration(200+rng.IntN(800)) * time.Millisecond)
			n := b.leader()
			if n == nil || len(n.catalog.snapshot().records()) == 0 {
				continue
			}
			s, done := n.Service, false
			r := s.catalog.snapshot().records()[0]
			var groups []uint64
			for slot := range r.liveSlots() {
				groups = append(groups, slot.group)
			}
			if len(groups) >= 12 || r.status != recordActive {
				continue
			}
			n.e.Go("split", func() {
				if _, err := s.SplitGroup(groups[rng.IntN(len(groups))], 0); err == nil {
					*splits++
				}
				done = true
			})
			for !done && n.Service == s {
				b.clock.Sleep(20 * time.Millisecond)
			}
		}
	})
}

// Two tasks may bring a split to its end at the same time. The slower one, with the record from
// before, does not lead the directory back to it.
func TestStartFromAnOldRecord(t *testing.T) {
	w := newWorld(t)
	w.create(Definition{Name: "tab", Attributes: attributes("p", "S"), Keys: keys("p")})
	for i := range 40 {
		w.put("tab", fmt.Sprintf(`{"p":{"S":"%d"}}`, i))
	}
	before := w.record("tab")
	group := before.slots[0].group
	child, err := w.SplitGroup(group, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.startGroups(before); err != nil {
		t.Fatal(err)
	}
	after := w.record("tab")
	for i := range after.slots {
		s := &after.slots[i]
		if p := w.directory.find(after.id, s.first); p == nil || p.id != s.group || p.last != after.lastHash(s.group) {
			t.Errorf("hash %#x: in %+v, not in group %d", s.first, p, s.group)
		}
	}
	if len(after.slots) != 2 || after.slots[1].group != child {
		t.Errorf("slots: %+v", after.slots)
	}
}
