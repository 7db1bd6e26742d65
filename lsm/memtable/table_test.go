package memtable

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/statordb/stator/internal/offheap"
	"github.com/statordb/stator/lsm/filter"
	"github.com/statordb/stator/lsm/iterator"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/tombstone"
)

var _ iterator.Source = (*Iter)(nil)

func TestEmpty(t *testing.T) {
	m := New(nil, 0)
	it := m.NewIter()
	if it.First() || it.Next() || it.Prev() || it.Last() || it.SeekGE(nil, 9) || it.SeekLT([]byte("z")) {
		t.Error("an iterator stands on an entry of an empty table")
	}
	if _, _, found := get(m, "a", 9); found {
		t.Error("an empty table has an entry")
	}
}

func TestGetSeesSnapshot(t *testing.T) {
	m := New(nil, 0)
	m.Add([]byte("k"), key.MakeTrailer(3, key.Set), []byte("old"))
	m.Add([]byte("k"), key.MakeTrailer(5, key.Delete), nil)
	m.Add([]byte("k"), key.MakeTrailer(8, key.Set), []byte("new"))
	for snapshot, want := range map[key.SeqNum]string{2: "-", 3: "old 3,SET", 4: "old 3,SET", 5: " 5,DEL", 7: " 5,DEL", 8: "new 8,SET", key.MaxSeqNum: "new 8,SET"} {
		got := "-"
		if v, tr, found := get(m, "k", snapshot); found {
			got = fmt.Sprintf("%s %s", v, tr)
		}
		if got != want {
			t.Errorf("Get at %d = %s, want %s", snapshot, got, want)
		}
	}
}

type version struct {
	key.Internal
	value []byte
}

// Every way to look at the table against a sorted slice.
func TestModel(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for round := range 30 {
		m := New(nil, 0)
		var model []version
		size := 0
		for seq := range 1 + rng.IntN(600) {
			v := version{value: make([]byte, rng.IntN(1<<rng.IntN(12)))}
			for i := range v.value {
				v.value[i] = byte(seq)
			}
			// Short keys collide, long ones share their prefix.
			v.User = []byte("common prefix"[rng.IntN(2)*rng.IntN(13):])
			v.User = fmt.Appendf(v.User[:len(v.User):len(v.User)], "%d", rng.IntN(1+rng.IntN(200)))
			v.Trailer = key.MakeTrailer(key.SeqNum(seq+1), key.Kind(rng.IntN(2)))
			m.Add(v.User, v.Trailer, v.value)
			model = append(model, v)
			size += len(v.User) + len(v.value)
		}
		slices.SortFunc(model, func(a, b version) int { return a.Compare(b.Internal) })
		if m.Len() != len(model) || m.Bytes() < size {
			t.Fatalf("seed %d: Len %d, Bytes %d; want %d, at least %d", seed, m.Len(), m.Bytes(), len(model), size)
		}
		it := m.NewIter()
		at := -1
		for range 400 {
			probe := model[rng.IntN(len(model))].User
			if rng.IntN(3) == 0 {
				probe = append(bytes.Clone(probe), 0)
			}
			seq := key.SeqNum(rng.IntN(len(model) + 2))
			var ok bool
			switch rng.IntN(10) {
			case 9:
				if at < 0 || at == len(model) {
					continue
				}
				ok = it.SkipBack(seq)
				for user := userAt(model, at); ; {
					if at--; !bytes.Equal(userAt(model, at), user) {
						break
					}
					newer := userAt(model, at-1)
					if model[at].Trailer.SeqNum() <= seq && (!bytes.Equal(newer, user) || model[at-1].Trailer.SeqNum() > seq) {
						break
					}
				}
			case 8:
				ok = it.Skip()
				for user := userAt(model, at); at < len(model); {
					if at++; user == nil || !bytes.Equal(userAt(model, at), user) {
						break
					}
				}
			case 0:
				ok, at = it.First(), 0
			case 1:
				ok, at = it.Last(), len(model)-1
			case 2:
				ok = it.SeekGE(probe, seq)
				at = lowerBound(model, key.Internal{User: probe, Trailer: key.SeekTrailer(seq)})
			case 3:
				ok = it.SeekLT(probe)
				at = lowerBound(model, key.Internal{User: probe, Trailer: key.MaxTrailer}) - 1
			case 4, 5:
				ok, at = it.Next(), min(at+1, len(model))
			default:
				ok, at = it.Prev(), max(at-1, -1)
			}
			if want := at >= 0 && at < len(model); ok != want {
				t.Fatalf("seed %d round %d: stands on an entry: %v, want %v", seed, round, ok, want)
			}
			if ok {
				u, tr := it.Key()
				if model[at].Compare(key.Internal{User: u, Trailer: tr}) != 0 || !bytes.Equal(it.Value(), model[at].value) {
					t.Fatalf("seed %d round %d: at %s#%s, want %s", seed, round, u, tr, model[at])
				}
			}
		}
	}
}

// userAt is the user key of entry i, nil if there is none.
func userAt(model []version, i int) []byte {
	if i < 0 || i >= len(model) {
		return nil
	}
	return model[i].User
}

func lowerBound(model []version, k key.Internal) int {
	i, _ := slices.BinarySearchFunc(model, k, func(v version, k key.Internal) int { return v.Compare(k) })
	return i
}

func TestTombstones(t *testing.T) {
	m := New(nil, 0)
	if !m.Tombstones().Empty() {
		t.Error("an empty table has range deletes")
	}
	m.DeleteRanges(tombstone.Range{Start: []byte("a"), End: []byte("m"), Seq: 3})
	before := m.Tombstones()
	m.DeleteRanges(tombstone.Range{Start: []byte("c"), End: []byte("z"), Seq: 5})
	if got := m.Tombstones().Cover([]byte("d"), 9); got != 5 {
		t.Errorf("Cover = %d, want 5", got)
	}
	if got := before.Cover([]byte("d"), 9); got != 3 {
		t.Errorf("a list taken earlier changed: Cover = %d, want 3", got)
	}
	if m.Len() != 2 {
		t.Errorf("Len = %d, want 2", m.Len())
	}
}

// Readers beside the writer find every version they know of, in order, in both
// directions.
func TestReadersBesideWriter(t *testing.T) {
	const n = 20000
	m := New(nil, 0)
	var visible atomic.Uint64
	var wg sync.WaitGroup
	for r := range 2 {
		wg.Go(func() {
			for visible.Load() < n {
				seq := key.SeqNum(visible.Load())
				if seq > 0 {
					if _, tr, found := get(m, string(scrambled(uint64(seq))), seq); !found || tr.SeqNum() != seq {
						t.Errorf("seq %d is not found", seq)
						return
					}
				}
				if got := countVisible(m, seq, r == 0); got != int(seq) {
					t.Errorf("%d versions seen at %d", got, seq)
					return
				}
			}
		})
	}
	// A key that is written all the time: a reader gets the version of its snapshot,
	// neither an older one nor one that is just being inserted before it.
	wg.Go(func() {
		for visible.Load() < n {
			seq := key.SeqNum(visible.Load())
			if _, tr, found := get(m, "hot", seq); seq > 0 && (!found || tr.SeqNum() != seq) {
				t.Errorf("hot key at %d: found %s", seq, tr)
				return
			}
		}
	})
	for seq := uint64(1); seq <= n; seq++ {
		m.Add(scrambled(seq), key.MakeTrailer(key.SeqNum(seq), key.Set), []byte("v"))
		m.Add([]byte("hot"), key.MakeTrailer(key.SeqNum(seq), key.Set), []byte("v"))
		visible.Store(seq)
	}
	wg.Wait()
}

func scrambled(i uint64) []byte { return fmt.Appendf(nil, "%016x", i*0x9e3779b97f4a7c15) }

func countVisible(m *Table, seq key.SeqNum, forward bool) (n int) {
	it := m.NewIter()
	move, ok := it.Next, it.First()
	if !forward {
		move, ok = it.Prev, it.Last()
	}
	for ; ok; ok = move() {
		if user, tr := it.Key(); tr.SeqNum() <= seq && string(user) != "hot" {
			n++
		}
	}
	return n
}

const benchEntries = 500_000

func BenchmarkAdd(b *testing.B) {
	value := make([]byte, 100)
	b.ReportAllocs()
	m := New(nil, 0)
	i := uint64(0)
	for b.Loop() {
		if i++; i%benchEntries == 0 {
			m = New(nil, benchEntries)
		}
		var k [16]byte
		putKey(k[:], i)
		m.Add(k[:], key.MakeTrailer(key.SeqNum(i), key.Set), value)
	}
}

func BenchmarkGet(b *testing.B) {
	m := New(nil, 0)
	value := make([]byte, 100)
	var k [16]byte
	for i := range uint64(benchEntries) {
		putKey(k[:], i)
		m.Add(k[:], key.MakeTrailer(key.SeqNum(i), key.Set), value)
	}
	b.ReportAllocs()
	i := uint64(0)
	for b.Loop() {
		i += 7919
		putKey(k[:], i%benchEntries)
		if _, _, found := m.Get(k[:], filter.Hash(k[:]), key.MaxSeqNum); !found {
			b.Fatal("not found")
		}
	}
}

func putKey(k []byte, i uint64) {
	i *= 0x9e3779b97f4a7c15
	for j := range k {
		k[j] = "0123456789abcdef"[i>>(60-4*j)&15]
	}
}

func get(m *Table, user string, snapshot key.SeqNum) ([]byte, key.Trailer, bool) {
	return m.Get([]byte(user), filter.Hash([]byte(user)), snapshot)
}

// Views that are taken all the while, as scans between writes do, show the same as
// one that is taken at the end.
func TestViewsBetweenAdds(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	m := New(nil, 0)
	defer m.Free()
	var model []version
	for seq := 1; seq <= 3000; seq++ {
		v := version{value: fmt.Appendf(nil, "%d", seq)}
		v.User = fmt.Appendf([]byte("shared/")[:7:7], "%08d", rng.IntN(1500))
		if seq > 2000 { // the common prefix shrinks, in the end to nothing
			v.User = v.User[rng.IntN(1+(seq-2000)/150):]
		}
		v.Trailer = key.MakeTrailer(key.SeqNum(seq), key.Set)
		m.Add(v.User, v.Trailer, v.value)
		at := lowerBound(model, v.Internal)
		model = slices.Insert(model, at, v)
		if rng.IntN(1+seq/50) > 2 {
			continue
		}
		if seq%500 == 0 {
			m.Seal() // whole views; that more is added afterwards does not matter to the order
		}
		it := m.NewIter()
		if len(it.v.runs) > 6 {
			t.Fatalf("seed %d: %d runs of %d entries", seed, len(it.v.runs), len(model))
		}
		i := 0
		for ok := it.First(); ok; ok = it.Next() {
			if u, tr := it.Key(); i == len(model) || model[i].Compare(key.Internal{User: u, Trailer: tr}) != 0 {
				t.Fatalf("seed %d: entry %d of %d is %s#%v", seed, i, len(model), u, tr)
			}
			i++
		}
		if i != len(model) {
			t.Fatalf("seed %d: %d entries, want %d", seed, i, len(model))
		}
	}
}

// Keys that come in order are not sorted, those that nearly do are: one earlier key, one
// key twice. The prefix that all share shrinks by less or more than a window has bytes.
func TestAscending(t *testing.T) {
	const shared = "a prefix that is long/"
	for name, users := range map[string][]string{
		"in order":           {shared, shared + "a", shared + "aa-----------1", shared + "aa-----------2", shared + "b"},
		"shrinks by a bit":   {shared + "12", shared + "13", shared[:18] + "z", shared[:16] + "z"},
		"shrinks by a lot":   {shared + "12", shared + "13", shared[:7] + "z", "b", "c"},
		"shrinks to nothing": {"", "\x00", "\x00\x00", "\x00\x00\x00\x00\x00\x00\x00\x00\x00", "a"},
		"one earlier":        {shared + "aa-----------2", shared + "aa-----------1", shared + "b"},
		"one twice":          {shared + "a", shared + "b", shared + "b", shared + "c"},
		"twice, shrinking":   {shared + "b", shared + "c", shared[:20] + "d", shared[:20] + "d", "z"},
	} {
		m := New(nil, 0)
		var want []key.Internal
		for i, user := range users {
			k := key.Internal{User: []byte(user), Trailer: key.MakeTrailer(key.SeqNum(i+1), key.Set)}
			m.Add(k.User, k.Trailer, nil)
			want = append(want, k)
		}
		slices.SortFunc(want, key.Internal.Compare)
		it := m.NewIter()
		var got []key.Internal
		for ok := it.First(); ok; ok = it.Next() {
			user, trailer := it.Key()
			got = append(got, key.Internal{User: user, Trailer: trailer})
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: entries are %v, want %v", name, got, want)
		}
		for _, k := range want {
			if !it.SeekGE(k.User, k.Trailer.SeqNum()) || string(it.user) != string(k.User) || it.trailer != k.Trailer {
				t.Errorf("%s: SeekGE(%v) finds %q#%v", name, k, it.user, it.trailer)
			}
		}
		m.Free()
	}
}

// The index grows while it is in use, and large records leave slabs out.
func TestGrowth(t *testing.T) {
	before := offheap.InUse()
	m := New(nil, 0)
	big := make([]byte, 300<<10)
	const n = 100_000
	for i := range uint64(n) {
		value := []byte("v")
		if i%20_000 == 1 {
			value = big
		}
		m.Add(scrambled(i), key.MakeTrailer(key.SeqNum(i+1), key.Set), value)
	}
	for i := range uint64(n) {
		if _, tr, found := get(m, string(scrambled(i)), key.MaxSeqNum); !found || tr.SeqNum() != key.SeqNum(i+1) {
			t.Fatalf("key %d: found %v, %v", i, found, tr)
		}
		if _, _, found := get(m, string(scrambled(i+n)), key.MaxSeqNum); found {
			t.Fatalf("key %d is found", i+n)
		}
	}
	if got := countVisible(m, key.MaxSeqNum, true); got != n {
		t.Errorf("%d entries in order, want %d", got, n)
	}
	if m.Keys() != n || m.Len() != n || m.Bytes() < n*30+5*len(big) || m.Bytes() > 16<<20 {
		t.Errorf("%d keys, %d entries, %d bytes", m.Keys(), m.Len(), m.Bytes())
	}
	if offheap.InUse() == before {
		t.Error("nothing is outside the Go heap")
	}
	m.Free()
	if got := offheap.InUse(); got != before {
		t.Errorf("%d bytes are not given back", got-before)
	}
}

func BenchmarkSort(b *testing.B) {
	m := New(nil, benchEntries)
	value := make([]byte, 100)
	var k [16]byte
	for i := range uint64(benchEntries) {
		putKey(k[:], i)
		m.Add(k[:], key.MakeTrailer(key.SeqNum(i), key.Set), value)
	}
	for b.Loop() {
		m.order.upTo, m.order.runs = 0, nil
		it := m.NewIter()
		n := 0
		for ok := it.First(); ok; ok = it.Next() {
			n += len(it.Value())
		}
		if n != benchEntries*100 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchEntries, "ns/entry")
}

// BenchmarkAddAndScan asks for the order after each addition.
func BenchmarkAddAndScan(b *testing.B) {
	m := New(nil, benchEntries)
	value := make([]byte, 100)
	var k [16]byte
	var it Iter
	i := uint64(0)
	for b.Loop() {
		if i++; i%benchEntries == 0 {
			m.Free()
			m = New(nil, benchEntries)
		}
		putKey(k[:], i)
		m.Add(k[:], key.MakeTrailer(key.SeqNum(i), key.Set), value)
		it.Init(m)
		it.SeekGE(k[:], key.MaxSeqNum)
	}
}

// BenchmarkIter walks over a million entries that were added in random order.
func BenchmarkIter(b *testing.B) {
	m := New(nil, 1<<20)
	defer m.Free()
	rng := rand.New(rand.NewPCG(1, 2))
	value := make([]byte, 100)
	for i := range 1 << 20 {
		m.Add(fmt.Appendf(nil, "%016x", rng.Uint64()), key.MakeTrailer(key.SeqNum(i+1), key.Set), value)
	}
	it := m.NewIter()
	for _, bench := range []struct {
		name        string
		start, move func() bool
	}{{"next", it.First, it.Next}, {"skip", it.First, it.Skip}, {"prev", it.Last, it.Prev}} {
		b.Run(bench.name, func(b *testing.B) {
			ok, sum := bench.start(), 0
			for b.Loop() {
				if ok = bench.move(); !ok {
					ok = bench.start()
				}
				sum += int(it.Value()[0])
			}
			if sum != 0 || !ok {
				b.Fatal("values are not zero")
			}
		})
	}
}
