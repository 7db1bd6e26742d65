package lsm

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/statordb/stator/internal/vfs"
)

// An iterator with a prefix leaves out the tables that have no key with it, and reads no block
// of them; it finds what one without finds.
func TestIteratorPrefix(t *testing.T) {
	db := mustOpenDB(t, vfs.NewDisk(1), Options{PrefixLen: 4, Compaction: FIFO{}, L0Tables: 100, ValueThreshold: -1, Facets: testFacets})
	defer db.Close()
	const tables = 4
	for i := range tables { // all span the same keys; table i has every prefix p with p mod tables = i
		b := db.NewBatch()
		for p := i; p < 400; p += tables {
			b.Set(fmt.Appendf(nil, "p%03d/x", p), fmt.Appendf(nil, "of %d", i))
		}
		if err := db.Apply(b); err != nil {
			t.Fatal(err)
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	found := 0
	for p := range 500 {
		prefix := fmt.Appendf(nil, "p%03d", p)
		it, err := db.NewIter(IterOptions{Prefix: prefix})
		if err != nil {
			t.Fatal(err)
		}
		for ok := it.First(); ok; ok = it.Next() {
			if !bytes.HasPrefix(it.Key(), prefix) || string(it.Value()) != fmt.Sprintf("of %d", p%tables) {
				t.Errorf("prefix %s: found %s = %q", prefix, it.Key(), it.Value())
			}
			found++
		}
		if err := it.Close(); err != nil {
			t.Error(err)
		}
	}
	if found != 400 {
		t.Errorf("found %d keys, want 400", found)
	}
	// Of 400 prefixes 3 tables do not have each; those above 399 lie behind all spans.
	if m := db.Metrics(); m.PrefixSkipped < 3*400*95/100 || m.PrefixSkipped > 3*400 {
		t.Errorf("%d tables were skipped, want about %d", m.PrefixSkipped, 3*400)
	}
	// A prefix that is longer than what is filtered, and one that is shorter.
	for prefix, want := range map[string]int{"p123/": 1, "p123/y": 0, "p12": 10, "p": 400, "\xff": 0} {
		for _, open := range []func(IterOptions) (walker, error){
			func(o IterOptions) (walker, error) { return db.NewIter(o) },
			func(o IterOptions) (walker, error) { return db.NewFilteredIter(o, Filter{}) },
		} {
			it, err := open(IterOptions{Prefix: []byte(prefix)})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for ok := it.Last(); ok; ok = it.Prev() {
				n++
			}
			if n != want {
				t.Errorf("prefix %q: %d keys, want %d", prefix, n, want)
			}
			it.Close()
		}
	}
	prefix := []byte("p007")
	if n := testing.AllocsPerRun(100, func() {
		it, err := db.NewIter(IterOptions{Prefix: prefix})
		if err != nil || !it.First() {
			t.Fatal(err)
		}
		it.Close()
	}); n > 0 {
		t.Errorf("an iterator with a prefix allocates %v times", n)
	}
}

// Tables written under another function, or none, are read.
func TestIteratorPrefixChanges(t *testing.T) {
	fs := vfs.NewDisk(1)
	for round, o := range []Options{{}, {PrefixLen: 1}, {PrefixLen: 2}, {Split: fixedSplit(3)}, {Split: fixedSplit(1), SplitName: "new"}} {
		db := mustOpenDB(t, fs, o)
		if err := set(db, fmt.Sprintf("a%d", round), "x"); err != nil {
			t.Fatal(err)
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
		for _, prefix := range []string{"a", fmt.Sprintf("a%d", round)} {
			it, err := db.NewIter(IterOptions{Prefix: []byte(prefix)})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for ok := it.First(); ok; ok = it.Next() {
				n++
			}
			if want := map[bool]int{true: round + 1, false: 1}[prefix == "a"]; n != want {
				t.Errorf("round %d, prefix %s: %d keys, want %d", round, prefix, n, want)
			}
			it.Close()
		}
		if err := db.Verify(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAppendBehind(t *testing.T) {
	for prefix, want := range map[string]string{"": "", "a": "b", "az": "a{", "a\xff": "b", "\xff\xff": "", "a\xff\xfe\xff": "a\xff\xff"} {
		if got := appendBehind(nil, []byte(prefix)); string(got) != want {
			t.Errorf("behind %q: %q, want %q", prefix, got, want)
		}
	}
}

// BenchmarkSeekAbsentPrefix opens an iterator for a prefix that no table has, but that lies in
// the span of eight of them, and seeks.
func BenchmarkSeekAbsentPrefix(b *testing.B) {
	for _, n := range []int{0, 8} {
		b.Run(fmt.Sprintf("filtered=%v", n > 0), func(b *testing.B) {
			db := mustOpenDB(b, vfs.NewDisk(1), Options{PrefixLen: n, Compaction: FIFO{}, L0Tables: 100})
			defer db.Close()
			for i := range 8 {
				batch := db.NewBatch()
				for p := i; p < 80_000; p += 8 {
					batch.Set(fmt.Appendf(nil, "p%06d0/x", p), make([]byte, 50))
				}
				if err := db.Apply(batch); err != nil {
					b.Fatal(err)
				}
				if err := db.Flush(); err != nil {
					b.Fatal(err)
				}
			}
			prefix := make([]byte, 0, 16)
			i := 0
			for b.Loop() {
				i = (i + 7919) % 80_000
				prefix = fmt.Appendf(prefix[:0], "p%06d1/", i)
				it, err := db.NewIter(IterOptions{Prefix: prefix})
				if err != nil {
					b.Fatal(err)
				}
				if it.First() {
					b.Fatalf("found %s", it.Key())
				}
				it.Close()
			}
		})
	}
}
