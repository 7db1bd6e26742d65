package table

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

var crashSeeds = flag.Int("table.seeds", 15, "how many seeds TestCrashes runs")

// A stack is the whole room over its real neighbours: store, log and service.
type stack struct {
	db   *lsm.DB
	node *replication.Node
	*Service
}

func openStack(e *env.Env, fs vfs.FS) (*stack, error) {
	return openStackWith(e, fs, lsm.Options{DisableWAL: true, MemtableBytes: 64 << 10},
		replication.Options{NodeID: 1, SegmentBytes: 64 << 10, MaxSegments: 3})
}

func openStackWith(e *env.Env, fs vfs.FS, store lsm.Options, log replication.Options) (*stack, error) {
	db, err := lsm.Open(e, fs, partition.StoreOptions(store))
	if err != nil {
		return nil, err
	}
	node, err := replication.Open(e, fs, db, log)
	if err != nil {
		return nil, err
	}
	s, err := Open(e, db, node, Options{})
	if err != nil {
		return nil, err
	}
	return &stack{db, node, s}, nil
}

func (s *stack) close() error {
	return errors.Join(s.Close(), s.node.Close(), s.db.Close())
}

// A crashRun runs a node whose process or machine crashes again and again, and
// checks at each start that every answered write is there and that no table is
// half made.
type crashRun struct {
	w    *env.World
	disk *vfs.Disk
	rng  *rand.Rand

	facets []string // of the table that is written to
	keys   [simKeys]keyState
	tables map[string]tableState
	acked  int
}

const simKeys = 12

// A keyState is what is known of one item: the version last answered, and the
// one whose answer is outstanding (0 = none).
type keyState struct{ acked, pending int }

// A tableState is what is known of a table of the churning task.
type tableState struct {
	exists  bool
	items   int64
	unknown bool // an answer is outstanding
}

func TestCrashes(t *testing.T) {
	acked := 0
	for seed := range uint64(*crashSeeds) {
		r := &crashRun{}
		hash, err := r.run(seed)
		if err != nil {
			t.Fatalf("seed %d: %v\nreplay with -run TestCrashes -table.seeds %d", seed, err, seed+1)
		}
		acked += r.acked
		if seed%10 == 0 {
			if again, err := new(crashRun).run(seed); again != hash || err != nil {
				t.Fatalf("seed %d: two runs differ (%v)", seed, err)
			}
		}
	}
	if acked < *crashSeeds*20 {
		t.Errorf("only %d writes answered in %d seeds", acked, *crashSeeds)
	}
	t.Logf("%d writes answered", acked)
}

func (r *crashRun) run(seed uint64) (hash uint64, err error) {
	r.w = env.NewWorld(seed, env.Options{Policy: env.Policy(seed % 3)})
	defer r.w.Close()
	r.rng, r.disk, r.tables = r.w.Stream("test"), vfs.NewDisk(seed), map[string]tableState{}
	if seed%2 == 1 {
		r.facets = []string{"pad", "v"}
	}
	err = lives{w: r.w, disk: r.disk, rng: r.rng, count: 6, from: 2, more: 30, calls: 80}.run(r.life, r.lastLife)
	return r.w.Hash(), err
}

// lives is a node that is opened again and again on the same disk. A life lasts some
// milliseconds, or until a call of the disk at which the node dies.
type lives struct {
	w    *env.World
	disk *vfs.Disk
	rng  *rand.Rand

	count      int // before the last one
	from, more int // milliseconds: at least, and less than this many more
	calls      int // of the disk, at most, before a crash in one of two lives
}

// run runs all lives. The last one is not cut short.
func (l lives) run(life, last func(*env.Env) error) error {
	e := l.w.NewNode("n")
	l.w.OnCrash("n", func() {
		mode := vfs.KeepAll // only the process dies
		if l.rng.IntN(2) == 0 {
			mode = vfs.RandomCrash(l.rng)
		}
		l.disk.Crash(mode)
	})
	var failure error
	for i := range l.count {
		if i > 0 {
			e = l.w.Restart("n")
		}
		e.Go("life", func() { failure = life(e) })
		if l.rng.IntN(2) == 0 {
			l.disk.CrashAt(1+l.rng.IntN(l.calls), func() { l.w.Crash("n") })
		}
		if err := l.w.Run(l.w.Now().Add(time.Duration(l.from+l.rng.IntN(l.more)) * time.Millisecond)); err != nil {
			return err
		}
		if failure != nil {
			return fmt.Errorf("life %d: %w", i, failure)
		}
		if l.w.Up("n") {
			l.w.Crash("n")
		}
	}
	e = l.w.Restart("n")
	if err := l.w.Do(e, "last life", func() { failure = last(e) }); err != nil {
		return err
	}
	return failure
}

func (r *crashRun) lastLife(e *env.Env) error {
	s, err := openStack(e, r.disk.Mount())
	if err != nil {
		return err
	}
	if err := r.check(s); err != nil {
		return err
	}
	return s.close()
}

func (r *crashRun) life(e *env.Env) error {
	s, err := openStack(e, r.disk.Mount())
	if err != nil {
		return err
	}
	if err := r.check(s); err != nil {
		return err
	}
	_, err = s.Create(Definition{Name: "tab", Attributes: attributes("p", "S"), Keys: keys("p"), BillingMode: BillingOnDemand, Partitions: 3, Facets: r.facets})
	var inUse *InUseError
	if err != nil && !errors.As(err, &inUse) {
		return err
	}
	for k := range r.keys {
		e.Go(fmt.Sprint("writer-", k), func() { r.writer(e, s, k) })
	}
	e.Go("churner", func() { r.churner(e, s) })
	return nil
}

func keyText(k int) item.Item { return js(fmt.Sprintf(`{"p":{"S":"k%d"}}`, k)) }

// writer raises the version of one item, by put, update or delete and put.
func (r *crashRun) writer(e *env.Env, s *stack, k int) {
	state := &r.keys[k]
	for {
		state.pending = state.acked + 1
		values := fmt.Sprintf(`{":v":{"N":"%d"}}`, state.pending)
		var err error
		switch e.Rand() % 3 {
		case 0:
			it := fmt.Sprintf(`{"p":{"S":"k%d"},"v":{"N":"%d"},"pad":{"S":%q}}`, k, state.pending, longText(int(e.Rand()%2000)))
			_, err = s.Put(&PutRequest{Table: "tab", Item: js(it)})
		case 1:
			_, err = s.UpdateItem(&UpdateRequest{Table: "tab", Key: keyText(k), Update: update("SET v = :v", values),
				Condition: condition("attribute_not_exists(v) OR v < :v", values)})
		case 2:
			it := fmt.Sprintf(`{"p":{"S":"k%d"},"v":{"N":"%d"}}`, k, state.pending)
			_, err = s.BatchWrite(&BatchWriteRequest{Tables: []BatchWriteTable{{"tab", []BatchWriteOp{{Put: js(it)}}}}})
		}
		if err != nil {
			panic(fmt.Sprintf("write of key %d: %v", k, err))
		}
		state.acked, state.pending = state.pending, 0
		r.acked++
		if e.Rand()%4 == 0 {
			e.Sleep(time.Duration(e.Rand() % 2e6))
		}
	}
}

// churner creates and deletes tables.
func (r *crashRun) churner(e *env.Env, s *stack) {
	for {
		name := fmt.Sprint("churn", e.Rand()%3)
		was := r.tables[name]
		r.tables[name] = tableState{unknown: true}
		var after tableState
		var err error
		if was.exists {
			_, err = s.Delete(name)
		} else {
			_, err = s.Create(Definition{Name: name, Attributes: attributes("p", "S"), Keys: keys("p"), BillingMode: BillingOnDemand, Partitions: 2})
			if err == nil {
				_, err = s.Put(&PutRequest{Table: name, Item: js(`{"p":{"S":"x"}}`)})
			}
			after = tableState{exists: true, items: 1}
		}
		if err != nil {
			panic(fmt.Sprintf("table %s: %v", name, err))
		}
		r.tables[name] = after
		e.Sleep(time.Duration(e.Rand() % 2e6))
	}
}

// check compares what is there after a start with what is known, and makes it
// what is known.
func (r *crashRun) check(s *stack) error {
	if _, err := s.Describe("tab"); err == nil {
		for k := range r.keys {
			if err := r.checkKey(s, k); err != nil {
				return err
			}
		}
		if err := checkCounts(s, "tab"); err != nil {
			return err
		}
	}
	for i := range 3 {
		if err := r.checkTable(s, fmt.Sprint("churn", i)); err != nil {
			return err
		}
	}
	return nil
}

func (r *crashRun) checkKey(s *stack, k int) error {
	state := &r.keys[k]
	g, err := s.Get(&GetRequest{Table: "tab", Key: keyText(k), Consistent: true})
	if err != nil {
		return err
	}
	got := 0
	if v, ok := g.Item.Get("v"); ok {
		fmt.Sscan(v.Number().String(), &got)
	}
	if got != state.acked && (state.pending == 0 || got != state.pending) {
		return fmt.Errorf("key %d has version %d, answered was %d, outstanding %d", k, got, state.acked, state.pending)
	}
	state.acked, state.pending = got, 0
	if g.Item == nil {
		return nil
	}
	return checkFound(s, g.Item)
}

// checkFound: a filter on the version of an item finds it, in a table with facets
// and in one without.
func checkFound(s *stack, it item.Item) error {
	p, _ := it.Get("p")
	v, _ := it.Get("v")
	_, padded := it.Get("pad")
	text := "p = :p AND v = :v AND attribute_exists(#pad)"
	if !padded {
		text = "p = :p AND v = :v AND attribute_not_exists(#pad)"
	}
	c, err := expr.ParseCondition(expr.FilterExpression, text, expr.NewParams(map[string]string{"#pad": "pad"}, item.NewItem(map[string]item.Value{":p": p, ":v": v})))
	if err != nil {
		return err
	}
	page, err := s.Scan(&ScanRequest{Table: "tab", Filter: c, Consistent: true})
	if err == nil && (page.Count != 1 || !page.Items[0].Equal(it)) {
		err = fmt.Errorf("%d items found for %s", page.Count, show(it))
	}
	return err
}

// checkTable: a table is there as a whole or not at all.
func (r *crashRun) checkTable(s *stack, name string) error {
	d, err := s.Describe(name)
	var missing *NotFoundError
	if err != nil && !errors.As(err, &missing) {
		return err
	}
	was := r.tables[name]
	if !was.unknown && was.exists != (err == nil) {
		return fmt.Errorf("table %s: %v, want it to exist = %v", name, err, was.exists)
	}
	if err != nil {
		r.tables[name] = tableState{}
		return nil
	}
	if d.Status != StatusActive || !was.unknown && d.ItemCount != was.items {
		return fmt.Errorf("table %s is %s with %d items, want %d", name, d.Status, d.ItemCount, was.items)
	}
	r.tables[name] = tableState{exists: true, items: d.ItemCount}
	return checkCounts(s, name)
}

// checkCounts compares the counters of a table with its items.
func checkCounts(s *stack, name string) error {
	items, size := int64(0), int64(0)
	q := &ScanRequest{Table: name, Consistent: true, Limit: 5}
	for {
		page, err := s.Scan(q)
		if err != nil {
			return err
		}
		for _, it := range page.Items {
			items++
			size += int64(it.Size()) + itemOverhead
		}
		if page.LastKey == nil {
			break
		}
		q.StartKey = page.LastKey
	}
	d, err := s.Describe(name)
	if err != nil {
		return err
	}
	if d.ItemCount != items || d.SizeBytes != size {
		return fmt.Errorf("table %s counts %d items and %d bytes, has %d and %d", name, d.ItemCount, d.SizeBytes, items, size)
	}
	return nil
}

// TestStackRestart: tables and items of several concurrent writers are back
// after an orderly restart, on a plain file system in memory.
func TestStackRestart(t *testing.T) {
	e, fs := env.New(), vfs.NewMem()
	s, err := openStack(e, fs)
	if err != nil {
		t.Fatal(err)
	}
	for _, partitions := range []int{1, 8} {
		d := simple(fmt.Sprint("tab", partitions), partitions)
		if _, err := s.Create(d); err != nil {
			t.Fatal(err)
		}
	}
	g := env.NewGroup(e)
	for writer := range 8 {
		g.Go("writer", func() error {
			for i := range 50 {
				it := js(fmt.Sprintf(`{"p":{"S":"%d-%d"},"v":{"N":"%d"}}`, writer, i, i))
				for _, table := range []string{"tab1", "tab8"} {
					if _, err := s.Put(&PutRequest{Table: table, Item: it}); err != nil {
						return err
					}
				}
				// One key for all: the commands of an entry see each other.
				if _, err := s.UpdateItem(&UpdateRequest{Table: "tab1", Key: js(`{"p":{"S":"sum"}}`), Update: update("ADD n :one", `{":one":{"N":"1"}}`)}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
		if s, err = openStack(e, fs); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"tab1", "tab8"} {
			if err := checkCounts(s, table); err != nil {
				t.Error(err)
			}
			for writer := range 8 {
				for i := range 50 {
					r, err := s.Get(&GetRequest{Table: table, Key: js(fmt.Sprintf(`{"p":{"S":"%d-%d"}}`, writer, i)), Consistent: true})
					want := fmt.Sprintf(`{"p":{"S":"%d-%d"},"v":{"N":"%d"}}`, writer, i, i)
					if err != nil || show(r.Item) != want {
						t.Errorf("%s: %s, %v, want %s", table, show(r.Item), err, want)
					}
				}
			}
		}
		r, err := s.Get(&GetRequest{Table: "tab1", Key: js(`{"p":{"S":"sum"}}`)})
		if err != nil || show(r.Item) != `{"n":{"N":"400"},"p":{"S":"sum"}}` {
			t.Errorf("sum is %s, %v, want 400", show(r.Item), err)
		}
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
