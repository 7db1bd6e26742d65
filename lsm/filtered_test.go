package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/facet"
)

// testFacets gives values the tags of what randomOps writes: a number, then zeros. Some
// values have a tag that is too long to be kept, some have none.
func testFacets(user, value []byte, tags *Tags) {
	if len(value) == 0 {
		return
	}
	tags.AddPair("first=", value[:1])
	tags.AddPair("size=", []byte{'0' + byte(len(value)/32)})
	if len(value)%2 == 0 {
		tags.Add([]byte("even"))
		tags.Add([]byte("even")) // a set has it once
	}
	if user[len(user)-1] == '7' {
		tags.Add([]byte("seven"))
	}
	if len(value)%5 == 0 {
		tags.Add(longTag)
	}
}

// otherFacets gives the same tags to other values.
func otherFacets(user, value []byte, tags *Tags) {
	testFacets(user, append([]byte{'5'}, value...), tags)
}

// oddKeys is a part of the keys.
func oddKeys(user []byte) bool { return user[len(user)-1]%2 == 1 }

var longTag = bytes.Repeat([]byte("long"), facet.MaxTagBytes/4+1)

func randomFilter(rng *rand.Rand, depth int) Filter {
	n := rng.IntN(9)
	if depth == 0 {
		n = min(n, 4)
	}
	args := make([]Filter, rng.IntN(4))
	if n > 5 {
		for i := range args {
			args[i] = randomFilter(rng, depth-1)
		}
	}
	switch n {
	case 0:
		return HasTag([]byte("even"))
	case 1:
		return HasTag([]byte("seven"))
	case 2:
		return HasTag([]byte{'s', 'i', 'z', 'e', '=', '0' + byte(rng.IntN(8))})
	case 3:
		return HasTag(longTag)
	case 4:
		return HasTag(fmt.Appendf(nil, "first=%d", rng.IntN(10)))
	case 5, 6:
		return Not(randomFilter(rng, depth-1))
	case 7:
		return And(args...)
	}
	return Or(args...)
}

// filtered walks with a random filter, if there are facets.
func (t *tester) filtered(v view, content map[string]string) {
	f := randomFilter(t.rng, 3)
	if t.o.Facets == nil {
		_, err := v.NewFilteredIter(IterOptions{}, f)
		t.check(errors.Is(err, ErrNoFacets), "NewFilteredIter without facets: %v", err)
		return
	}
	v, content, done := t.fixed(v, content)
	defer done()
	wanted := maps.Clone(content)
	maps.DeleteFunc(wanted, func(k, v string) bool { return !t.holds(f, k, v) })
	defer func() {
		if r := recover(); r != nil {
			panic(fmt.Sprintf("filter %v: %v", f, r))
		}
	}()
	t.walkOver(wanted, func() {
		if t.rng.IntN(8) == 0 {
			t.write()
		}
	}, func(o IterOptions) (walker, error) { return v.NewFilteredIter(o, f) })
}

func (t *tester) holds(f Filter, k, v string) bool {
	var tags Tags
	if t.o.FacetKeys == nil || t.o.FacetKeys([]byte(k)) {
		t.o.Facets([]byte(k), []byte(v), &tags)
	}
	return f.Match(&tags)
}

// TestFilteredModel compares filtered iterators with a model under random writes, range
// deletes, snapshots, flushes and compactions, reopened now and then with another facet
// function, or none.
func TestFilteredModel(t *testing.T) {
	seeds, first := uint64(30), rand.Uint64()>>16
	if s := os.Getenv("LSM_SEED"); s != "" {
		first, _ = strconv.ParseUint(s, 10, 64)
		seeds = 1
	}
	if testing.Short() {
		seeds = min(seeds, 8)
	}
	for seed := first; seed < first+seeds; seed++ {
		if err := filteredRun(seed); err != nil {
			t.Fatalf("%v\nreplay with LSM_SEED=%d go test -run %s ./lsm", err, seed, t.Name())
		}
	}
}

func filteredRun(seed uint64) error {
	w := env.NewWorld(seed, env.Options{LeafYields: 32})
	defer w.Close()
	rng := rand.New(rand.NewPCG(seed, 4))
	tr := &tester{disk: vfs.NewDisk(seed), rng: rng, o: randomOptions(rng), model: newModel()}
	tr.e = w.NewNode("n")
	return w.Do(tr.e, "test", func() {
		tr.open()
		for range 400 {
			tr.step()
			tr.filtered(tr.db, tr.model.now())
			if len(tr.snapshots) > 0 && rng.IntN(3) == 0 {
				s := tr.snapshots[rng.IntN(len(tr.snapshots))]
				tr.filtered(s, s.content)
			}
			if rng.IntN(100) == 0 {
				tr.reopen()
			}
		}
		tr.must(tr.db.Verify())
		tr.must(tr.db.Close())
	})
}

// TestFilteredMetrics counts what a filtered iterator has done, and where bitmaps are.
func TestFilteredMetrics(t *testing.T) {
	o := quietOptions()
	o.Facets = testFacets
	db := mustOpenDB(t, vfs.NewMem(), o)
	defer db.Close()
	for _, value := range []string{"22", "33"} {
		b := db.NewBatch()
		for i := range 100 {
			b.Set(fmt.Appendf(nil, "%02d", i), []byte(value[:1+i%2]))
		}
		if err := errors.Join(db.Apply(b), db.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	it, err := db.NewFilteredIter(IterOptions{}, Or(HasTag([]byte("seven")), HasTag([]byte("first=2"))))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	if err := errors.Join(it.Err(), it.Close(), it.Close()); err != nil || n != 10 || it.First() || !errors.Is(it.Err(), ErrClosed) {
		t.Errorf("%d keys, %v", n, err)
	}
	m := db.Metrics()
	if want := (FilterMetrics{Considered: 110, Shadowed: 100, Emitted: 10}); m.Filtered != want {
		t.Errorf("metrics %+v, want %+v", m.Filtered, want)
	}
	if m.Levels[0].BitmapBytes == 0 || m.Iterators != 0 {
		t.Errorf("metrics %+v", m)
	}
}

// TestFacetKeys: nobody asks about keys that have no tags, so a compaction does not read
// their values in value files.
func TestFacetKeys(t *testing.T) {
	o := quietOptions()
	o.ValueThreshold, o.FacetKeys = 1, oddKeys
	o.Facets = func(user, value []byte, tags *Tags) {
		if !oddKeys(user) {
			t.Errorf("asked about key %s", user)
		}
		testFacets(user, value, tags)
	}
	fs := vfs.NewMem()
	db := mustOpenDB(t, fs, o)
	b := db.NewBatch()
	for i := range 100 {
		b.Set(fmt.Appendf(nil, "%02d", i), []byte("22"))
	}
	if err := errors.Join(db.Apply(b), db.Flush(), db.Compact(nil, nil), db.Verify()); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for tag, want := range map[string]int{"even": 50, "seven": 10, "first=3": 0} {
		it, err := db.NewFilteredIter(IterOptions{}, HasTag([]byte(tag)))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ok := it.First(); ok; ok = it.Next() {
			n++
		}
		if err := errors.Join(it.Err(), it.Close()); err != nil || n != want {
			t.Errorf("%s: %d keys, %v, want %d", tag, n, err, want)
		}
	}
}

// TestFilteredReadsWhatMatches: a filter that few rows match reads few blocks. What is not
// read shows in the blocks whose checksum was never looked at: they are damaged here.
func TestFilteredReadsWhatMatches(t *testing.T) {
	o := quietOptions()
	o.Facets, o.BlockBytes = testFacets, 256
	fs := vfs.NewMem()
	db := mustOpenDB(t, fs, o)
	b := db.NewBatch()
	for i := range 1000 {
		b.Set(fmt.Appendf(nil, "%04d", i), fmt.Appendf(nil, "%d", i/500))
	}
	if err := errors.Join(db.Apply(b), db.Flush(), db.Close()); err != nil {
		t.Fatal(err)
	}
	img := imageOf(t, fs)
	for name := range img {
		if strings.HasSuffix(name, tableSuffix) {
			img[name][100] ^= 1 // among the keys with value 0
		}
	}
	db = mustOpenDB(t, img.fs(t), o)
	defer db.Close()
	for value, isDamaged := range map[string]bool{"first=0": true, "first=1": false} {
		it, err := db.NewFilteredIter(IterOptions{}, HasTag([]byte(value)))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ok := it.First(); ok; ok = it.Next() {
			n++
		}
		if (it.Err() != nil) != isDamaged || n != 500 && !isDamaged {
			t.Errorf("%s: %d keys, %v", value, n, it.Err())
		}
		it.Close()
	}
}

// A step within a group allocates nothing.
func TestFilteredDoesNotAllocate(t *testing.T) {
	o := quietOptions()
	o.Facets = testFacets
	db := mustOpenDB(t, vfs.NewMem(), o)
	defer db.Close()
	for _, value := range []string{"old", "new"} {
		b := db.NewBatch()
		for i := range 20_000 {
			b.Set(fmt.Appendf(nil, "%05d", i), []byte(value))
		}
		if err := errors.Join(db.Apply(b), db.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	it, err := db.NewFilteredIter(IterOptions{}, HasTag([]byte("seven")))
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	it.First()
	for range 100 { // groups and windows have reached their size
		it.Next()
	}
	if n := testing.AllocsPerRun(100, func() { it.Next() }); n > 0.2 {
		t.Errorf("Next: %v allocations", n)
	}
}
