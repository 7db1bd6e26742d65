package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/key"
)

// An iterTester fills a database whose blocks hold many keys and walks over it, so that
// iterators spend most of their time in runs.
type iterTester struct {
	t     *testing.T
	seed  uint64
	rng   *rand.Rand
	db    *DB
	model *model
	views []modelSnapshot

	inRuns, moves int
}

// TestIteratorRuns compares iterators with a sorted map under random overwrites,
// deletes, range deletes, snapshots, flushes and compactions.
func TestIteratorRuns(t *testing.T) {
	seeds, first := uint64(12), rand.Uint64()>>16
	if testing.Short() {
		seeds = 4
	}
	if s := os.Getenv("LSM_SEED"); s != "" {
		first, _ = strconv.ParseUint(s, 10, 64)
		seeds = 1
	}
	var inRuns, moves int
	for seed := first; seed < first+seeds; seed++ {
		tr := &iterTester{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 2)), model: newModel()}
		tr.run()
		inRuns, moves = inRuns+tr.inRuns, moves+tr.moves
	}
	if 100*inRuns < moves {
		t.Errorf("%d of %d moves ended in a run: the test proves little", inRuns, moves)
	}
}

func (t *iterTester) run() {
	o := quietOptions()
	// Consecutive seeds take turns, so that some have blocks large enough for runs.
	o.BlockBytes = []int{64, 700, 4096, 4096}[t.seed%4]
	o.TableBytes = []int{4 << 10, 1 << 20}[t.rng.IntN(2)]
	o.Compression = []Compression{NoCompression, S2}[t.rng.IntN(2)]
	t.db = mustOpenDB(t.t, vfs.NewMem(), o)
	for i := range 30 {
		t.write()
		if i%10 == 9 {
			t.must(t.db.Compact(nil, nil))
		}
		switch t.rng.IntN(8) {
		case 0, 1:
			t.must(t.db.Flush())
		case 2:
			t.must(t.db.Compact(nil, nil))
		case 3:
			level := t.rng.IntN(3)
			_, _, err := t.db.compactFirst(level, level+1, nil, nil)
			t.must(err)
		case 4, 5:
			t.views = append(t.views, modelSnapshot{t.db.NewSnapshot(), maps.Clone(t.model.now())})
		}
		t.walk(t.db, t.model.now())
		if n := len(t.views); n > 0 {
			v := t.views[t.rng.IntN(n)]
			t.walk(v, v.content)
		}
	}
	for _, v := range t.views {
		v.Close()
	}
	t.must(t.db.Close())
}

func (t *iterTester) must(err error) {
	if err != nil {
		t.t.Helper()
		t.t.Fatalf("LSM_SEED=%d: %v", t.seed, err)
	}
}

func (t *iterTester) key() []byte {
	return fmt.Appendf(nil, "%0*d", 4+3*t.rng.IntN(2), t.rng.IntN(400))
}

// write applies a batch to neighbouring keys, or to any.
func (t *iterTester) write() {
	n := 1 + t.rng.IntN(1<<t.rng.IntN(10))
	from, near := t.rng.IntN(400), t.rng.IntN(2) == 0
	b := t.db.NewBatch()
	var ops []operation
	for i := range n {
		op := operation{kind: key.Set, user: t.key()}
		if near {
			op.user = fmt.Appendf(nil, "%04d", (from+i)%400)
		}
		switch r := t.rng.IntN(200); {
		case r == 0:
			op.kind, op.value = key.RangeDelete, fmt.Appendf(nil, "%s~", op.user)
			if t.rng.IntN(3) == 0 {
				op.value = fmt.Appendf(nil, "%04d", min(400, 1+t.rng.IntN(100)+int(op.user[3]-'0')))
			}
			if bytes.Compare(op.user, op.value) >= 0 {
				continue
			}
			b.DeleteRange(op.user, op.value)
		case r < 10:
			op.kind = key.Delete
			b.Delete(op.user)
		default:
			op.value = fmt.Appendf(nil, "%d of %d", i, len(t.model.ops))
			if t.rng.IntN(200) == 0 {
				op.value = append(op.value, make([]byte, 9000)...)
			}
			b.Set(op.user, op.value)
		}
		ops = append(ops, op)
	}
	if len(ops) == 0 {
		return
	}
	t.model.apply(ops)
	t.must(t.db.Apply(b))
}

// walk makes random moves within random bounds, mostly many in one direction.
func (t *iterTester) walk(v view, content map[string]string) {
	var o IterOptions
	if t.rng.IntN(3) == 0 {
		o.Lower = t.key()
	}
	if t.rng.IntN(3) == 0 {
		o.Upper = t.key()
	}
	keys := slices.Sorted(maps.Keys(content))
	keys = slices.DeleteFunc(keys, func(k string) bool {
		return o.Lower != nil && k < string(o.Lower) || o.Upper != nil && k >= string(o.Upper)
	})
	it, err := v.NewIter(o)
	t.must(err)
	defer func() { t.must(it.Close()) }()
	at := -1
	var trace []string
	for range 12 {
		k := t.key()
		name := []string{"first", "last", "seek-ge", "seek-lt", "next", "next", "prev", "prev"}[t.rng.IntN(8)]
		steps := 1
		if name == "next" || name == "prev" {
			steps = 1 + t.rng.IntN(1<<t.rng.IntN(8))
		}
		trace = append(trace, fmt.Sprintf("%s %s ×%d", name, k, steps))
		for range steps {
			at = modelMove(keys, at, name, k)
			ok := move(it, name, k)
			t.check(it, ok, keys, at, content, trace)
		}
	}
}

// modelMove is a move in a sorted slice: -1 is before it, its length behind it.
func modelMove(keys []string, at int, name string, k []byte) int {
	switch name {
	case "first":
		return 0
	case "last":
		return len(keys) - 1
	case "seek-ge":
		at, _ = slices.BinarySearch(keys, string(k))
	case "seek-lt":
		at, _ = slices.BinarySearch(keys, string(k))
		at--
	case "next":
		return min(at+1, len(keys))
	case "prev":
		return max(at-1, -1)
	}
	return at
}

func (t *iterTester) check(it *Iterator, ok bool, keys []string, at int, content map[string]string, trace []string) {
	t.moves++
	if it.c.end > 0 || it.c.first < math.MaxInt {
		t.inRuns++
	}
	want := at >= 0 && at < len(keys)
	if ok != want || it.Valid() != want || it.Err() != nil {
		t.t.Fatalf("LSM_SEED=%d: %v: valid = %v, %v, want %v\n%s", t.seed, trace, ok, it.Err(), want, t.db.Levels())
	}
	if !ok {
		return
	}
	if v, err := it.AppendValue(nil); err != nil || string(it.Key()) != keys[at] || string(it.Value()) != content[keys[at]] || !bytes.Equal(v, it.Value()) {
		t.t.Fatalf("LSM_SEED=%d: %v: at %s=%.20q, %v, want %s=%.20q\n%s", t.seed, trace, it.Key(), it.Value(), err, keys[at], content[keys[at]], t.db.Levels())
	}
}

// Opening, moving and closing allocate nothing once buffers have grown.
func TestIteratorAllocations(t *testing.T) {
	db := mustOpenDB(t, vfs.NewMem(), quietOptions())
	defer db.Close()
	for part := range 4 { // deepest level, two tables of level 0, memtable
		b := db.NewBatch()
		for i := range 2000 {
			if i%4 == part || part == 0 {
				b.Set(fmt.Appendf(nil, "%08d", i), fmt.Appendf(nil, "value %d", part))
			}
		}
		if err := db.Apply(b); err != nil {
			t.Fatal(err)
		}
		switch part {
		case 0:
			_ = db.Compact(nil, nil)
		case 1, 2:
			_ = db.Flush()
		}
	}
	target := []byte("00001000")
	o := IterOptions{Upper: []byte("00001900")}
	if n := testing.AllocsPerRun(100, func() {
		it, err := db.NewIter(o)
		if err != nil {
			t.Fatal(err)
		}
		it.SeekGE(target)
		for range 100 {
			it.Next()
		}
		for range 50 {
			it.Prev()
		}
		it.SeekLT(target)
		if !it.Valid() || it.Close() != nil {
			t.Fatal("lost its way")
		}
	}); n != 0 {
		t.Errorf("%v allocations per run", n)
	}
}

// A closed iterator finds nothing and disturbs no other, though they share memory.
func TestClosedIterator(t *testing.T) {
	db := mustOpenDB(t, vfs.NewMem(), quietOptions())
	defer db.Close()
	if err := errors.Join(set(db, "a", "1"), set(db, "b", "2"), db.Flush()); err != nil {
		t.Fatal(err)
	}
	closed, _ := db.NewIter(IterOptions{})
	closed.First()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	other, _ := db.NewIter(IterOptions{})
	defer other.Close()
	other.First()
	if err := closed.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
	for name, ok := range map[string]bool{
		"First": closed.First(), "Last": closed.Last(), "Next": closed.Next(), "Prev": closed.Prev(),
		"SeekGE": closed.SeekGE(nil), "SeekLT": closed.SeekLT([]byte("z")), "Valid": closed.Valid(),
	} {
		if ok || !errors.Is(closed.Err(), ErrClosed) || closed.Key() != nil || closed.Value() != nil {
			t.Errorf("%s after Close = %v, %v, at %s", name, ok, closed.Err(), closed.Key())
		}
	}
	if string(other.Key()) != "a" || !other.Next() || string(other.Value()) != "2" {
		t.Errorf("another iterator is at %s=%s", other.Key(), other.Value())
	}
	if m := db.Metrics(); m.Iterators != 1 {
		t.Errorf("%d iterators open, want 1", m.Iterators)
	}
}
