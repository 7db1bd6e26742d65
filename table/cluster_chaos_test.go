package table

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

var chaosSeeds = flag.Int("table.cluster-seeds", 1, "how many seeds the tests of clusters under faults run")

// A counterKey is one item that one client counts up, by writes that are on the
// condition that it has the value that the client knows.
type counterKey struct {
	name  string
	acked int // the value that was last answered
	most  int // the value that may be there
	late  int // the value that a request may still write of which nobody has heard again
	doubt bool
	count int // of answered writes
}

// condition holds if the item has the value that the client knows.
func (k *counterKey) condition(values string) *expr.Condition {
	if k.acked == 0 {
		return must(expr.ParseCondition(expr.ConditionExpression, "attribute_not_exists(v)", params("")))
	}
	return must(expr.ParseCondition(expr.ConditionExpression, "v = :old", params(values)))
}

// count counts an item up at random nodes until the bed says stop.
func (b *bed) count(k *counterKey, stop *bool) {
	e := b.w.NewNode("client " + k.name)
	rng := b.w.Stream("client " + k.name)
	e.Go("client", func() {
		for !*stop {
			n := b.nodes[rng.IntN(len(b.nodes))]
			if n.Service == nil {
				e.Sleep(10 * time.Millisecond)
				continue
			}
			b.countAt(n, k)
			e.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond)
		}
	})
}

// countAt makes one step at a node, in a task of the node, which may die.
func (b *bed) countAt(n *bedNode, k *counterKey) {
	done := false
	s := n.Service
	wasInDoubt := k.doubt
	n.e.Go("count "+k.name, func() {
		if wasInDoubt {
			r, err := s.Get(&GetRequest{Table: "tab", Key: js(fmt.Sprintf(`{"p":{"S":%q}}`, k.name)), Consistent: true})
			if err == nil {
				v := 0
				if r.Item != nil {
					_, _ = fmt.Sscanf(strings.SplitN(show(r.Item), `"v":{"N":"`, 2)[1], "%d", &v)
				}
				if v < k.acked || v > k.most {
					b.t.Errorf("seed %d: %s is %d at node %d, want %d to %d", b.w.Seed(), k.name, v, n.id, k.acked, k.most)
				}
				if k.late = 0; v < k.most {
					k.late = k.most // it may be on its way
				}
				k.acked, k.most, k.doubt = v, v, false
			}
			done = true
			return
		}
		k.most = k.acked + 1
		k.doubt = true // until there is an answer
		values := fmt.Sprintf(`{":v":{"N":"%d"},":old":{"N":"%d"},":x":{"S":"x%d"}}`, k.most, k.acked, k.most%3)
		_, err := s.UpdateItem(&UpdateRequest{Table: "tab", Key: js(fmt.Sprintf(`{"p":{"S":%q}}`, k.name)),
			Update:    must(expr.ParseUpdate("SET v = :v, x = :x", params(values))),
			Condition: k.condition(values), ReturnOnFailure: true})
		var failed *ConditionFailedError
		switch {
		case err == nil:
			k.acked, k.doubt = k.most, false
			k.count++
		case errors.As(err, &failed) && k.late == k.most && strings.Contains(show(failed.Item), fmt.Sprintf(`"v":{"N":"%d"}`, k.late)):
			// The one before whose fate was not known has been carried out after the read.
			k.acked, k.doubt = k.most, false
		case errors.As(err, &failed):
			b.t.Errorf("seed %d: %s from %d to %d at node %d: the condition was false, as if it had been carried out before", b.w.Seed(), k.name, k.acked, k.most, n.id)
		}
		done = true
	})
	for range 3000 {
		if done || n.Service != s {
			return
		}
		b.clock.Sleep(5 * time.Millisecond)
	}
	b.t.Errorf("seed %d: a request of %s at node %d takes more than 15 s", b.w.Seed(), k.name, n.id)
}

// TestClusterFaults: nodes crash, zones are cut off, and nothing that was answered is
// lost or done twice; indexes agree with their table at the end.
func TestClusterFaults(t *testing.T) {
	for seed := range uint64(*chaosSeeds) {
		b := newBed(t, seed, "a", "b", "c")
		b.create(Definition{Name: "tab", Attributes: attributes("p", "S", "x", "S"), Keys: keys("p"), Partitions: 2,
			GlobalIndexes: []IndexDefinition{{Name: "g", Keys: keys("x"), Projection: all()}}})
		var counters []*counterKey
		stop := false
		for i := range 5 {
			k := &counterKey{name: fmt.Sprint("k", i)}
			counters = append(counters, k)
			b.count(k, &stop)
		}
		churned := 0
		b.churn(&stop, &churned)
		for range 6 {
			b.run(time.Duration(500+b.rng.IntN(1000)) * time.Millisecond)
			b.fault()
		}
		b.run(2 * time.Second)
		stop = true
		b.run(time.Second)
		total := 0
		for _, k := range counters {
			total += k.count
			b.countUntilSure(k)
		}
		if total < 100 || churned < 2 {
			t.Errorf("seed %d: only %d writes were answered, and %d tables were made and deleted", seed, total, churned)
		}
		b.checkLeftovers()
		b.checkIndex("tab", "g")
		b.checkReplicas()
		b.w.Close()
	}
}

// churn makes, fills and deletes tables with indexes at whoever is in charge.
func (b *bed) churn(stop *bool, churned *int) {
	for number := range 2 {
		name := fmt.Sprint("churn", number)
		b.clock.Go(name, func() {
			for !*stop {
				n := b.leader()
				if n == nil {
					b.clock.Sleep(50 * time.Millisecond)
					continue
				}
				s, done := n.Service, false
				n.e.Go(name, func() {
					if b.churnOnce(s, name) {
						*churned++
					}
					done = true
				})
				for !done && n.Service == s {
					b.clock.Sleep(20 * time.Millisecond)
				}
			}
		})
	}
}

// churnOnce makes a table and deletes it, or what an earlier attempt left of it.
func (b *bed) churnOnce(s *Service, name string) bool {
	d := simple(name, 2)
	_, err := s.Create(d)
	var inUse *InUseError
	if err != nil && !errors.As(err, &inUse) {
		return false
	}
	if err == nil {
		if r, err := s.Scan(&ScanRequest{Table: name, Consistent: true}); err == nil && r.Count > 0 {
			b.t.Errorf("seed %d: new table %s has %d items", b.w.Seed(), name, r.Count)
		}
		_, err := s.Update(UpdateTableRequest{Table: name, Attributes: attributes("x", "S"),
			CreateIndexes: []IndexDefinition{{Name: "late", Keys: keys("x"), Projection: all()}}})
		if err != nil {
			return false
		}
		for i := range 10 {
			if _, err := s.Put(&PutRequest{Table: name, Item: js(fmt.Sprintf(`{"p":{"S":"%d"},"x":{"S":"x"}}`, i))}); err != nil {
				return false
			}
		}
	}
	for range 100 {
		if _, err = s.Delete(name); err == nil {
			return true
		}
		if !errors.As(err, &inUse) {
			return false
		}
		s.env.Sleep(50 * time.Millisecond) // the index is being made
	}
	return false
}

// checkLeftovers checks that nodes have the groups that they shall have, and no rows
// of tables that are gone.
func (b *bed) checkLeftovers() {
	b.t.Helper()
	var problem string
	b.until("what is gone is gone everywhere", func() bool {
		problem = ""
		for _, n := range b.nodes {
			n.do("look for leftovers", func() error {
				problem += n.leftovers()
				return nil
			})
		}
		return problem == ""
	})
}

func (n *bedNode) leftovers() (problem string) {
	view := n.catalog.snapshot()
	groups, tables := map[uint64]bool{catalogGroup: true}, map[uint32]bool{}
	for _, r := range view.records() {
		tables[r.id] = true
		for i := range r.places {
			tables[r.places[i].id] = true
		}
		for s := range r.allSlots() {
			groups[s.group] = s.replicas.has(n.id)
		}
	}
	for _, id := range n.node.Groups() {
		if !groups[uint64(id)] {
			problem += fmt.Sprintf("node %d has group %d; ", n.id, id)
		}
	}
	it, err := n.db.NewIter(lsm.IterOptions{Lower: []byte{0x10}, Upper: []byte{0x11}})
	if err != nil {
		return err.Error()
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if table := binary.BigEndian.Uint32(it.Key()[1:]); !tables[table] {
			problem += fmt.Sprintf("node %d has a row of table %d; ", n.id, table)
			break
		}
	}
	return problem
}

// fault breaks something and mends it.
func (b *bed) fault() {
	n := b.nodes[b.rng.IntN(len(b.nodes))]
	pause := time.Duration(200+b.rng.IntN(3000)) * time.Millisecond
	switch b.rng.IntN(3) {
	case 0:
		n.crash()
		b.run(pause)
		n.restart()
	case 1:
		cut := b.net.Cut(b.net.Around(transport.NodeID(n.id)))
		b.run(pause)
		cut.Heal()
	case 2:
		cut := b.net.Cut(b.net.OutOf(transport.NodeID(n.id)))
		b.run(pause)
		cut.Heal()
	}
	b.until("all nodes are up", func() bool {
		return !slices.ContainsFunc(b.nodes, func(n *bedNode) bool { return n.Service == nil })
	})
}

func (b *bed) countUntilSure(k *counterKey) {
	for range 50 {
		if !k.doubt {
			return
		}
		n := b.nodes[0]
		n.do("read "+k.name, func() error { return nil })
		done := false
		b.clock.Go("sure", func() {
			b.countAt(n, k)
			done = true
		})
		b.until("an answer", func() bool { return done })
	}
	b.t.Errorf("seed %d: nobody knows what %s is", b.w.Seed(), k.name)
}

// checkIndex compares a global index that has all attributes with its table.
func (b *bed) checkIndex(table, index string) {
	b.t.Helper()
	n := b.nodes[0]
	var base, entries []string
	b.until("the index has all changes", func() bool {
		base, entries = n.scanAll(table, ""), n.scanAll(table, index)
		return slices.Equal(base, entries)
	})
	if len(base) == 0 {
		b.t.Errorf("seed %d: the table is empty", b.w.Seed())
	}
}

func (n *bedNode) scanAll(table, index string) (items []string) {
	n.bed.t.Helper()
	n.do("scan", func() error {
		var after = &ScanRequest{Table: table, Index: index, Consistent: index == ""}
		for {
			page, err := n.Scan(after)
			if err != nil {
				return err
			}
			for _, it := range page.Items {
				items = append(items, show(it))
			}
			if page.LastKey == nil {
				return nil
			}
			after.StartKey = page.LastKey
		}
	})
	slices.Sort(items)
	return items
}

// checkReplicas compares the replicas of all groups, once they have applied the same.
func (b *bed) checkReplicas() {
	b.t.Helper()
	b.until("all replicas have applied the same", func() bool {
		applied := map[uint64]uint64{}
		same := true
		for _, n := range b.nodes {
			for _, p := range n.directory.hosted() {
				var status replication.Status
				n.do("status", func() (err error) {
					status, err = p.group.Status()
					return err
				})
				if at, ok := applied[p.id]; ok && at != status.Applied {
					same = false
				}
				applied[p.id] = status.Applied
			}
		}
		return same
	})
	states := map[uint64]string{}
	for _, n := range b.nodes {
		for _, p := range n.directory.hosted() {
			state := fmt.Sprintf("%+v, rows %v", partitionSummary(p.Partition), n.rows(p))
			if want, ok := states[p.id]; ok && want != state {
				b.t.Errorf("seed %d: group %d at node %d is\n%s, elsewhere\n%s", b.w.Seed(), p.id, n.id, state, want)
			}
			states[p.id] = state
		}
	}
}

func partitionSummary(p *partition.Partition) string {
	s := p.State()
	return fmt.Sprint(s.Version, s.First, s.Last, s.Stats, s.Sequence, s.Latest)
}

// rows returns the rows of a replica.
func (n *bedNode) rows(p *livePartition) (rows []string) {
	n.do("rows", func() error {
		config := p.Config()
		if config == nil {
			return nil
		}
		x := (*partition.Index)(nil)
		if config.Entries {
			x = &config.Schema.Indexes[0]
		}
		lower, upper := config.Schema.HashSpan(x, config.First, config.Last)
		page, err := p.Page(&partition.PageRequest{Lower: lower, Upper: upper})
		if err != nil {
			return err
		}
		for _, it := range page.Items {
			rows = append(rows, show(it))
		}
		return nil
	})
	return rows
}
