package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/statordb/stator/internal/vfs"
)

// sharesFacets gives a value that begins with a byte below 100 a tag for each share of
// all values that it is in.
func sharesFacets(_, value []byte, tags *Tags) {
	for _, percent := range []byte{1, 10, 30, 90} {
		if value[0] < percent {
			tags.Add([]byte{percent})
		}
	}
}

func shareFilters() map[string]Filter {
	all := map[string]Filter{"all": {}, "none": HasTag([]byte("none")), "99%": Not(HasTag([]byte{1}))}
	for _, percent := range []byte{1, 10, 30, 90} {
		all[fmt.Sprint(percent, "%")] = HasTag([]byte{percent})
	}
	return all
}

// writeShares fills a database with one level of 6,000 keys, two tables in level 0 and a
// memtable, each with a few newer values and tombstones of them. It returns a snapshot
// from before the last of those.
func writeShares(t *testing.T, db *DB, rng *rand.Rand) *Snapshot {
	t.Helper()
	const keys = 6000
	b := db.NewBatch()
	write := func(i int) {
		k := fmt.Appendf(nil, "%06d", i)
		if rng.IntN(8) == 0 {
			b.Delete(k)
			return
		}
		b.Set(k, append([]byte{byte(rng.IntN(100))}, fmt.Sprint(rng.Uint32())...))
	}
	apply := func() {
		if err := db.Apply(b); err != nil {
			t.Fatal(err)
		}
		b.Reset()
	}
	for i := range keys {
		write(i)
	}
	apply()
	if err := db.Compact(nil, nil); err != nil {
		t.Fatal(err)
	}
	var s *Snapshot
	for round := range 3 {
		for range keys / 50 {
			write(rng.IntN(keys))
		}
		apply()
		if round == 2 {
			s = db.NewSnapshot()
		}
		for range keys / 100 {
			write(rng.IntN(keys))
		}
		apply()
		if round < 2 {
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

// A pair is a key and its value.
type pair struct{ key, value string }

func pairsOf(t *testing.T, v view, f Filter) (all []pair) {
	t.Helper()
	it, err := v.NewIter(IterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var tags Tags
	for ok := it.First(); ok; ok = it.Next() {
		tags.Reset()
		sharesFacets(it.Key(), it.Value(), &tags)
		if f.Match(&tags) {
			all = append(all, pair{string(it.Key()), string(it.Value())})
		}
	}
	if err := errors.Join(it.Err(), it.Close()); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestFilteredShares: whatever share of the values a filter holds for, a filtered iterator
// comes to the same keys as a plain one does, in both directions and however often it
// turns around; also where a walk beside the newer sources takes the place of questions.
func TestFilteredShares(t *testing.T) {
	for _, compression := range []Compression{NoCompression, S2} {
		seed := rand.Uint64()
		rng := rand.New(rand.NewPCG(seed, 1))
		o := quietOptions()
		o.Facets, o.BlockBytes, o.Compression = sharesFacets, 512, compression
		db := mustOpenDB(t, vfs.NewMem(), o)
		s := writeShares(t, db, rng)
		for name, f := range shareFilters() {
			for _, v := range []view{db, s} {
				want := pairsOf(t, v, f)
				it, err := v.NewFilteredIter(IterOptions{}, f)
				if err != nil {
					t.Fatal(err)
				}
				if reason := wander(it, want, rng); reason != "" {
					t.Errorf("seed %d, %s: %s", seed, name, reason)
				}
				if newest := it.newer[0].walk.source; len(want) > 3000 && newest == nil {
					t.Errorf("%s: %d keys, and no walk", name, len(want))
				}
				it.Close()
			}
		}
		s.Close()
		db.Close()
	}
}

// wander goes over all of want in both directions, and then to and fro.
func wander(it *FilteredIter, want []pair, rng *rand.Rand) (reason string) {
	at := -1
	step := func(forward bool) bool {
		ok := false
		if forward {
			at, ok = min(at+1, len(want)), it.Next()
		} else {
			at, ok = max(at-1, -1), it.Prev()
		}
		switch isOn := at >= 0 && at < len(want); {
		case ok != isOn || it.Err() != nil:
			reason = fmt.Sprintf("at %d of %d: %v, %v", at, len(want), ok, it.Err())
		case ok && (string(it.Key()) != want[at].key || string(it.Value()) != want[at].value):
			reason = fmt.Sprintf("at %d of %d: %s=%q, want %v", at, len(want), it.Key(), it.Value(), want[at])
		}
		return reason == ""
	}
	runs := []int{len(want) + 1, -len(want) - 1}
	for range 20 {
		runs = append(runs, rng.IntN(1+rng.IntN(1200)), -rng.IntN(1+rng.IntN(1200)))
	}
	for _, n := range runs {
		for range max(n, -n) {
			if !step(n > 0) {
				return reason
			}
		}
	}
	return ""
}

// TestFilteredWalkMeetsDamage: a walk reads blocks that nobody asked for. What is damaged
// in them is an error only of keys that need them, and no wrong key comes out before.
func TestFilteredWalkMeetsDamage(t *testing.T) {
	o := quietOptions()
	o.Facets, o.BlockBytes = sharesFacets, 512
	fs := vfs.NewMem()
	db := mustOpenDB(t, fs, o)
	writeShares(t, db, rand.New(rand.NewPCG(1, 2))).Close()
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	f := HasTag([]byte{90})
	want := pairsOf(t, db, f)
	st, err := db.acquireState()
	if err != nil || len(st.version.levels[0]) != 3 {
		t.Fatalf("%d tables in level 0, %v", len(st.version.levels[0]), err)
	}
	newest, size := st.version.levels[0][0].name, st.version.levels[0][0].reader.Size()
	db.releaseState(st)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, at := range []uint64{100, size / 8, size / 4} {
		img := imageOf(t, fs)
		img[newest] = bytes.Clone(img[newest])
		img[newest][at] ^= 1
		db := mustOpenDB(t, img.fs(t), o)
		it, err := db.NewFilteredIter(IterOptions{}, f)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ok := it.First(); ok; ok = it.Next() {
			if string(it.Key()) != want[n].key || string(it.Value()) != want[n].value {
				t.Fatalf("damage at %d: %s=%q, want %v", at, it.Key(), it.Value(), want[n])
			}
			n++
		}
		if it.Err() == nil {
			t.Errorf("damage at %d: %d keys and no error", at, n)
		}
		it.Close()
		db.Close()
	}
}
