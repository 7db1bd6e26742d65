package partition

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/txn"
)

func splitCommand(s Split) []byte { return (&Command{Kind: SplitOff, Split: &s}).Encode() }

// rowsOf returns the rows, entries and sizes of item collections of a store.
func rowsOf(t testing.TB, db *lsm.DB) (rows []string) {
	for line := range strings.Lines(stateOf(t, db)) {
		if strings.HasPrefix(line, hex.EncodeToString([]byte{spaceRow})) {
			rows = append(rows, line)
		}
	}
	return rows
}

// A twin holds the same table twice: as one partition, and as two after a split.
type twin struct {
	t             testing.TB
	whole         *member
	db            *lsm.DB
	fs            vfs.FS
	parent, child *Partition
}

// apply carries out commands, one to an entry, in the whole and in the part that has the
// key, and compares the results.
func (w *twin) apply(commands [][]byte) {
	w.t.Helper()
	for _, b := range commands {
		c, err := DecodeCommand(b)
		if err != nil {
			w.t.Fatal(err)
		}
		if c.Kind == Trim {
			continue
		}
		schema := memberSchema()
		part := w.parent
		if row := schema.AppendRowKey(nil, c.Item); !part.Config().Owns(RowHash(row)) {
			part = w.child
		}
		want := w.whole.Apply(w.whole.Applied()+1, [][]byte{b})[0]
		if got := part.Apply(part.Applied()+1, [][]byte{b})[0]; !reflect.DeepEqual(got, want) {
			w.t.Fatalf("%v of %s: %+v, want %+v", c.Kind, c.Item, got, want)
		}
	}
}

func (w *twin) open() {
	var err error
	if w.parent, err = Open(w.db, 7); err == nil {
		w.child, err = Open(w.db, 8)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *twin) compare(what string) {
	w.t.Helper()
	if got, want := rowsOf(w.t, w.db), rowsOf(w.t, w.whole.db); !slices.Equal(got, want) {
		w.t.Fatalf("%s: %d rows, want %d", what, len(got), len(want))
	}
	a, b, want := w.parent.State(), w.child.State(), w.whole.State()
	if a.Stats.Items+b.Stats.Items != want.Stats.Items || a.Stats.Bytes+b.Stats.Bytes != want.Stats.Bytes ||
		a.Local[0].Items+b.Local[0].Items != want.Local[0].Items || a.Local[0].Bytes+b.Local[0].Bytes != want.Local[0].Bytes {
		w.t.Errorf("%s: counters %+v and %+v, want %+v in sum", what, a, b, want)
	}
}

// TestSplit: two partitions are together what one would be: rows, sums, answers, also to
// requests that are repeated and were carried out before the split; after restarts, and in
// a replica of the child that comes from a snapshot.
func TestSplit(t *testing.T) {
	for seed := range uint64(6) {
		log := someLog(t, seed, 120)
		fs := vfs.NewMem()
		w := &twin{t: t, fs: fs, db: openStore(t, fs), whole: openMember(t, openStore(t, vfs.NewMem()))}
		before := &member{nil, w.db}
		var err error
		if before.Partition, err = Open(w.db, 7); err != nil {
			t.Fatal(err)
		}
		before.apply(t, log, 60)
		w.whole.apply(t, log, 60)
		w.parent = before.Partition
		plan, err := w.parent.PlanSplit(0)
		if err != nil {
			t.Fatal(err)
		}
		plan.Child, plan.Voters = 8, []uint64{1, 2, 3}
		var told []*Split
		w.parent.OnSplit(func(s *Split) { told = append(told, s) })
		sequence := w.parent.Sequence()
		// The same entry has a write for each side, and the split twice.
		commands := [][]byte{log[61][0], splitCommand(*plan), splitCommand(*plan)}
		for i, r := range w.parent.Apply(61, commands) {
			if err := r.(*Result).Err; err != nil {
				t.Fatalf("seed %d: command %d of the split: %v", seed, i, err)
			}
		}
		w.whole.Apply(61, commands[:1])
		if len(told) != 1 || told[0].Child != 8 {
			t.Errorf("seed %d: told of %v", seed, told)
		}
		w.open()
		a, b := w.parent.Config(), w.child.Config()
		if a.First != 0 || a.Last != plan.At-1 || b.First != plan.At || b.Last != ^uint64(0) || !reflect.DeepEqual(a.Schema, b.Schema) {
			t.Errorf("seed %d: hashes [%#x, %#x] and [%#x, %#x]", seed, a.First, a.Last, b.First, b.Last)
		}
		birth := w.child.Birth()
		if birth.Parent != 7 || birth.After != 7 || birth.Through < sequence || !slices.Equal(birth.Voters, plan.Voters) || !w.child.IsNewborn() || w.child.Members() != nil {
			t.Errorf("seed %d: born as %+v, applied %d", seed, birth, w.child.Applied())
		}
		if x, y := a.has(nil), w.parent.Stats().Items; x || y == 0 || w.child.Stats().Items == 0 {
			t.Errorf("seed %d: %d and %d items", seed, y, w.child.Stats().Items)
		}
		w.compare("after the split")
		for i := 61; i < 120; i++ {
			w.apply(log[i])
			w.apply(log[i-25]) // repeated requests
			if i%20 == 0 {
				if err := w.db.Close(); err != nil {
					t.Fatal(err)
				}
				w.db = openStore(t, fs)
				w.open()
			}
		}
		w.compare("in the end")
		if r := w.parent.Apply(w.parent.Applied()+1, [][]byte{splitCommand(*plan)})[0].(*Result); r.Err != nil {
			t.Errorf("seed %d: the split again, later: %v", seed, r.Err)
		}
		if children, err := w.parent.Children(); err != nil || len(children) != 1 || children[0].Child != 8 || children[0].At != plan.At {
			t.Errorf("seed %d: children %v, %v", seed, children, err)
		}
		snapshot, err := w.child.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		chunks := readAll(t, snapshot)
		other, err := Open(openStore(t, vfs.NewMem()), 8)
		if err != nil {
			t.Fatal(err)
		}
		if err := restore(other, replication.SnapshotMeta{Index: w.child.Applied(), Term: 1}, chunks); err != nil {
			t.Fatal(err)
		}
		if got, want := other.State(), w.child.State(); !reflect.DeepEqual(got.Stats, want.Stats) || got.First != want.First || other.Birth() == nil {
			t.Errorf("seed %d: the child's replica %+v, want %+v", seed, got, want)
		}
	}
}

// TestSplitPlanCounts: what a plan says of the child is what it has, and both parts are
// about as large. With a hash given, that is where it is split.
func TestSplitPlanCounts(t *testing.T) {
	s := newShelf(t, 1, 1<<62, ^uint64(0))
	for i := range 400 {
		it := parseItem(t, fmt.Sprintf(`{"p":{"S":"p%d"},"s":{"N":"1"},"x":{"N":"1"},"v":{"S":%q}}`, i, strings.Repeat("v", i)))
		s.apply(t, (&Command{Kind: Put, Timestamp: 1, Item: it}).Encode())
	}
	count := func(at uint64) (c Stats) {
		lower, _ := s.schema.HashSpan(nil, at, at)
		_, upper := s.schema.HashSpan(nil, 0, ^uint64(0))
		rows, err := s.Rows(RowOptions{Lower: lower, Upper: upper})
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			c.Items++
			c.Bytes += int64(rows.Item().Size())
		}
		return c
	}
	for _, at := range []uint64{0, 1 << 63, 3<<62 + 12345} {
		plan, err := s.PlanSplit(at)
		if err != nil {
			t.Fatal(err)
		}
		if at != 0 && plan.At != at || plan.Stats != count(plan.At) || len(plan.Local) != 1 || plan.Local[0].Items != plan.Stats.Items {
			t.Errorf("at %#x: %+v, want %+v", at, plan, count(plan.At))
		}
		if part := float64(plan.Stats.Bytes) / float64(s.Stats().Bytes); at == 0 && (part < 0.45 || part > 0.55) {
			t.Errorf("the child would have %.2f of the bytes", part)
		}
	}
	if _, err := s.PlanSplit(1); !errors.Is(err, ErrNoSplit) {
		t.Errorf("outside: %v", err)
	}
}

// TestNoSplit: what cannot be split stays whole.
func TestNoSplit(t *testing.T) {
	s := newShelf(t, 1, 0, 1<<63)
	for i := range 20 { // one item collection
		it := parseItem(t, fmt.Sprintf(`{"p":{"S":"k5"},"s":{"N":"%d"}}`, i))
		s.apply(t, (&Command{Kind: Put, Timestamp: 1, Item: it}).Encode())
	}
	if _, err := s.PlanSplit(0); !errors.Is(err, ErrNoSplit) {
		t.Errorf("one item collection: %v", err)
	}
	config := s.Config()
	for _, at := range []uint64{0, 1<<63 + 1} {
		if r := s.apply(t, splitCommand(Split{At: at, Child: 9, Voters: []uint64{1}})); !errors.Is(r.Err, ErrNoSplit) || s.Config() != config {
			t.Errorf("at %#x: %v", at, r.Err)
		}
	}
	results := s.Apply(s.Applied()+1, [][]byte{
		splitCommand(Split{At: 1 << 62, Child: 9, Voters: []uint64{1}}), splitCommand(Split{At: 1 << 61, Child: 10, Voters: []uint64{1}}),
	})
	if err := results[1].(*Result).Err; results[0].(*Result).Err != nil || !errors.Is(err, ErrNoSplit) {
		t.Errorf("two splits in one entry: %v", err)
	}
}

func TestHeatSplitPoint(t *testing.T) {
	var h Heat
	h.Shift = 58
	if _, ok := h.SplitPoint(); ok {
		t.Error("no requests")
	}
	h.Requests[7] = 1000
	if _, ok := h.SplitPoint(); ok {
		t.Error("one key is hot")
	}
	h.Requests[3], h.Requests[9] = 500, 600
	if at, ok := h.SplitPoint(); !ok || at != 8<<58 {
		t.Errorf("split at %#x, %v, want after bucket 7", at, ok)
	}
}

// A mirror is a base table and its global index, each in partitions that split, and
// batches of entries on their way: late, doubled, and lost.
type mirror struct {
	t       *testing.T
	rng     *rand.Rand
	schema  Schema
	db      *lsm.DB
	base    []*Partition // by first hash
	index   []*Partition
	known   []*Partition      // index as the upkeep knows it
	cursors map[uint64]uint64 // of upkeeps, by base group
	sent    []sentBatch
	groups  uint64
	ts      uint64
	waited  int // how often a child's changes had to wait
	refused int // batches that met a split
}

type sentBatch struct {
	to *Partition
	b  []byte
}

func newMirror(t *testing.T, seed uint64) *mirror {
	m := &mirror{t: t, rng: rand.New(rand.NewPCG(seed, 4)), db: openStore(t, vfs.NewMem()), cursors: map[uint64]uint64{}, groups: 1}
	m.schema = Schema{Table: 3, Hash: Key{"p", item.S}, Indexes: []Index{{Name: "byG", ID: 9, Hashes: 1, Keys: []Key{{"g", item.S}}, All: true}}}
	m.base = []*Partition{m.open(&Config{Version: 1, Last: ^uint64(0), Schema: m.schema})}
	entries := m.schema
	entries.Table = 9
	m.index = []*Partition{m.open(&Config{Version: 1, Last: ^uint64(0), Entries: true, Schema: entries})}
	m.known = m.index
	return m
}

func (m *mirror) open(c *Config) *Partition {
	m.groups++
	p, err := Open(m.db, m.groups)
	if err != nil {
		m.t.Fatal(err)
	}
	if c != nil {
		m.must(p, (&Command{Kind: Configure, Config: c}).Encode())
	}
	return p
}

func (m *mirror) apply(p *Partition, b []byte) error {
	return p.Apply(p.Applied()+1, [][]byte{bytes.Clone(b)})[0].(*Result).Err
}

func (m *mirror) must(p *Partition, b []byte) {
	if err := m.apply(p, b); err != nil {
		m.t.Fatal(err)
	}
}

func of(list []*Partition, hash uint64) *Partition {
	for _, p := range list {
		if p.Config().Owns(hash) {
			return p
		}
	}
	return list[len(list)-1] // known may be of before a split
}

func (m *mirror) write() {
	m.ts++
	c := Command{Kind: Put, Timestamp: txn.Timestamp(m.ts), Item: parseItem(m.t, fmt.Sprintf(`{"p":{"S":"p%d"},"g":{"S":"g%d"},"n":{"N":"%d"}}`, m.rng.IntN(12), m.rng.IntN(6), m.ts))}
	switch m.rng.IntN(5) {
	case 0:
		c.Kind, c.Item = Delete, parseItem(m.t, fmt.Sprintf(`{"p":{"S":"p%d"}}`, m.rng.IntN(12)))
	case 1:
		c.Item = parseItem(m.t, fmt.Sprintf(`{"p":{"S":"p%d"},"n":{"N":"1"}}`, m.rng.IntN(12)))
	}
	m.must(of(m.base, RowHash(m.schema.AppendRowKey(nil, c.Item))), c.Encode())
}

func (m *mirror) split(list *[]*Partition) {
	p := (*list)[m.rng.IntN(len(*list))]
	c := p.Config()
	if c.Last-c.First < 1<<60 || len(*list) >= 6 {
		return
	}
	m.must(p, splitCommand(Split{At: c.First + (c.Last-c.First)/4*(1+m.rng.Uint64N(3)), Child: m.groups + 1, Voters: []uint64{1}}))
	*list = append(slices.Clone(*list), m.open(nil))
}

// ship does a round of the upkeep of a base partition, as package table does.
func (m *mirror) ship(p *Partition, most int, faults bool) {
	if b := p.Birth(); b != nil {
		at := slices.IndexFunc(m.base, func(q *Partition) bool { return q.group == b.After })
		if m.base[at].Trimmed() < b.Through {
			m.waited++
			return
		}
	}
	cursor := max(m.cursors[p.group], p.Trimmed())
	through := cursor
	batches := map[*Partition]*EntryBatch{}
	batch := func(key []byte) *EntryBatch {
		to := of(m.known, RowHash(key))
		if batches[to] == nil {
			batches[to] = NewEntryBatch(p.group)
		}
		return batches[to]
	}
	x := &m.schema.Indexes[0]
	err := p.Changes(cursor, func(c *Change) bool {
		through = c.Sequence
		var after []byte
		if c.New != nil && x.Has(c.New) {
			after = m.schema.AppendEntryKey(nil, x, c.New)
		}
		if c.Old != nil && x.Has(c.Old) {
			if before := m.schema.AppendEntryKey(nil, x, c.Old); !bytes.Equal(before, after) {
				batch(before).Delete(c.Sequence, before)
			}
		}
		if after != nil {
			batch(after).Put(c.Sequence, after, c.Timestamp, m.schema.Entry(x, c.New))
		}
		most--
		return most > 0
	})
	if err != nil {
		m.t.Fatal(err)
	}
	failed := false
	for _, to := range m.index {
		if batches[to] == nil {
			continue
		}
		b := batches[to].Encode(through)
		m.sent = append(m.sent, sentBatch{to, b})
		if faults && m.rng.IntN(5) == 0 { // it may come later
			failed = true
			continue
		}
		if err := m.apply(to, b); errors.Is(err, ErrWrongPartition) {
			failed, m.known = true, m.index
			m.refused++
		} else if err != nil {
			m.t.Fatal(err)
		}
	}
	if failed {
		return
	}
	m.cursors[p.group] = through
	if !faults || m.rng.IntN(3) == 0 {
		m.must(p, (&Command{Kind: Trim, Through: through}).Encode())
	}
	if faults && m.rng.IntN(8) == 0 {
		delete(m.cursors, p.group) // another leader begins
	}
}

// TestSplitsKeepIndexes: whatever splits, and however late batches arrive, each change
// reaches the index once and in order: in the end it has what the items say.
func TestSplitsKeepIndexes(t *testing.T) {
	waited, refused := 0, 0
	for seed := range uint64(25) {
		m := newMirror(t, seed)
		for range 300 {
			switch n := m.rng.IntN(100); {
			case n < 50:
				m.write()
			case n < 85:
				m.ship(m.base[m.rng.IntN(len(m.base))], 1+m.rng.IntN(6), true)
			case n < 96 && len(m.sent) > 0:
				late := m.sent[max(0, len(m.sent)-1-m.rng.IntN(30))]
				if err := m.apply(late.to, late.b); err != nil && !errors.Is(err, ErrWrongPartition) {
					t.Fatal(err)
				}
			case n < 98:
				m.split(&m.base)
			default:
				m.split(&m.index)
			}
		}
		for range 20 {
			for _, p := range m.base {
				m.ship(p, 1000, false)
			}
		}
		var want []string
		lower, upper := m.schema.HashSpan(nil, 0, ^uint64(0))
		for _, it := range m.items(lower, upper) {
			if x := &m.schema.Indexes[0]; x.Has(it) {
				want = append(want, fmt.Sprintf("%x", m.schema.AppendEntryKey(nil, x, it))+string(m.schema.Entry(x, it)))
			}
		}
		var got []string
		lower, upper = m.schema.HashSpan(&m.schema.Indexes[0], 0, ^uint64(0))
		for _, it := range m.items(lower, upper) {
			got = append(got, fmt.Sprintf("%x", m.schema.AppendEntryKey(nil, &m.schema.Indexes[0], it))+string(it))
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: the index has %d entries, the items say %d", seed, len(got), len(want))
		}
		items := int64(0)
		for _, p := range m.index {
			items += p.Stats().Items
		}
		if items != int64(len(got)) {
			t.Errorf("seed %d: %d entries are counted, there are %d", seed, items, len(got))
		}
		waited, refused = waited+m.waited, refused+m.refused
	}
	if waited == 0 || refused == 0 {
		t.Errorf("a child waited %d times, %d batches were refused", waited, refused)
	}
}

func (m *mirror) items(lower, upper []byte) (items []item.Item) {
	rows, err := m.base[0].Rows(RowOptions{Lower: lower, Upper: upper})
	if err != nil {
		m.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		items = append(items, bytes.Clone(rows.Item()))
	}
	return items
}

// TestSplitBackfill: each part goes on with its rows, and together they bring all of them.
func TestSplitBackfill(t *testing.T) {
	for _, before := range []int{0, 5, 20, 35, 100} {
		m := newMirror(t, uint64(before))
		for range 60 {
			m.write()
		}
		p := m.base[0]
		total, _ := p.PlanSplit(1 << 63)
		step := func(p *Partition, rows int) bool {
			r := p.Apply(p.Applied()+1, [][]byte{(&Command{Kind: Backfill, Index: 9, Rows: uint32(rows)}).Encode()})[0].(*Result)
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			return r.Done
		}
		if before > 0 {
			step(p, min(before, 1000))
		}
		m.must(p, splitCommand(Split{At: total.At, Child: m.groups + 1, Voters: []uint64{1}}))
		m.base = append(m.base, m.open(nil))
		brought := map[string]int{}
		for _, p := range m.base {
			for !step(p, 3) {
			}
			err := p.Changes(p.Trimmed(), func(c *Change) bool {
				if c.Backfill {
					brought[string(m.schema.AppendRowKey(nil, c.New))]++
				}
				return true
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		lower, upper := m.schema.HashSpan(nil, 0, ^uint64(0))
		want := 0
		for _, it := range m.items(lower, upper) {
			if m.schema.Indexes[0].Has(it) {
				want++
				if n := brought[string(m.schema.AppendRowKey(nil, it))]; n != 1 {
					t.Errorf("%d rows before the split: %s was brought %d times", before, it, n)
				}
			}
		}
		if len(brought) != want {
			t.Errorf("%d rows before the split: %d rows were brought, want %d", before, len(brought), want)
		}
	}
}

// TestSplitGolden: commands and records of splits have the bytes of version 1.
func TestSplitGolden(t *testing.T) {
	s := Split{At: 1 << 63, Child: 0x0a0b, Voters: []uint64{1, 2, 300}, Stats: Stats{3, 4}, Local: []Stats{{5, 6}}}
	var out strings.Builder
	dump := func(what string, b []byte) { out.WriteString(what + "\n" + hex.Dump(b)) }
	dump("command", splitCommand(s))
	dump("key of a split", appendSplitKey(nil, 7, s.Child))
	dump("split", appendSplitRecord(nil, s.At, ^uint64(0), 0x0e0f))
	dump("birth", (&Birth{Parent: 7, Index: 0x0e0f, After: 6, Through: 0x0c0d, Voters: s.Voters}).append(nil))
	checkGolden(t, "testdata/split.v1.golden", out.String())
}
