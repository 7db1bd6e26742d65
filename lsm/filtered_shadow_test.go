package lsm

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/statordb/stator/internal/vfs"
)

// shadowsOf counts the shadows that are known, and the rows in them.
func shadowsOf(t *testing.T, db *DB) (known int, rows uint64) {
	t.Helper()
	st, err := db.acquireState()
	if err != nil {
		t.Fatal(err)
	}
	defer db.releaseState(st)
	for _, tables := range st.version.levels {
		for _, newer := range tables {
			for _, s := range newer.shadows.of {
				if r := s.rows.Load(); r != nil {
					known++
					rows += r.GetCardinality()
				}
			}
		}
	}
	return known, rows
}

// TestFilteredShadows: once a newer table was asked about often enough its shadow is found,
// and a filtered scan comes to the same keys with it: for readers of now, for those who see
// a part of the newer tables and for those who see none of them, with several versions of a
// key on both sides, and after merges have replaced the tables.
func TestFilteredShadows(t *testing.T) {
	for _, compression := range []Compression{NoCompression, S2} {
		seed := rand.Uint64()
		rng := rand.New(rand.NewPCG(seed, 7))
		o := quietOptions()
		o.Facets, o.BlockBytes, o.Compression, o.TableBytes = sharesFacets, 512, compression, 64<<10
		db := mustOpenDB(t, vfs.NewMem(), o)
		const keys = 3000
		var snapshots []*Snapshot
		write := func(n int, key func() int) {
			b := db.NewBatch()
			for range n {
				if k := fmt.Appendf(nil, "%06d", key()); rng.IntN(6) == 0 {
					b.Delete(k)
				} else {
					b.Set(k, append([]byte{byte(rng.IntN(100))}, fmt.Sprint(rng.Uint32())...))
				}
			}
			if rng.IntN(2) == 0 {
				at := rng.IntN(keys)
				b.DeleteRange(fmt.Appendf(nil, "%06d", at), fmt.Appendf(nil, "%06d", at+20))
			}
			if err := db.Apply(b); err != nil {
				t.Fatal(err)
			}
		}
		i := 0
		write(keys, func() int { i++; return i - 1 })
		snapshots = append(snapshots, db.NewSnapshot())
		write(keys/2, func() int { return rng.IntN(keys) })
		if err := db.Compact(nil, nil); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			snapshots = append(snapshots, db.NewSnapshot())
			for range 2 {
				write(100, func() int { return rng.IntN(keys) })
			}
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		write(50, func() int { return rng.IntN(keys) })
		compare := func() {
			t.Helper()
			for _, name := range []string{"10%", "90%", "99%"} {
				f := shareFilters()[name]
				for n, v := range append([]view{db}, views(snapshots)...) {
					want := pairsOf(t, v, f)
					it, err := v.NewFilteredIter(IterOptions{}, f)
					if err != nil {
						t.Fatal(err)
					}
					if reason := overAndBack(it, want); reason != "" {
						t.Errorf("seed %d, %s, view %d: %s", seed, name, n, reason)
					}
					it.Close()
				}
			}
		}
		compare()
		known, rows := shadowsOf(t, db)
		if known == 0 || rows == 0 {
			t.Errorf("seed %d: %d shadows with %d rows", seed, known, rows)
		}
		compare()
		for _, s := range snapshots[:2] {
			s.Close()
		}
		snapshots = snapshots[2:]
		if err := db.Compact(nil, nil); err != nil {
			t.Fatal(err)
		}
		compare()
		for _, s := range snapshots {
			s.Close()
		}
		db.Close()
	}
}

// overAndBack goes over all of want in both directions.
func overAndBack(it *FilteredIter, want []pair) (reason string) {
	i := 0
	for ok := it.First(); ok; ok = it.Next() {
		if i == len(want) || string(it.Key()) != want[i].key || string(it.Value()) != want[i].value {
			return fmt.Sprintf("forward, %d of %d: %s=%q", i, len(want), it.Key(), it.Value())
		}
		i++
	}
	if it.Err() != nil || i != len(want) {
		return fmt.Sprintf("forward, %d of %d: %v", i, len(want), it.Err())
	}
	for ok := it.Last(); ok; ok = it.Prev() {
		if i--; i < 0 || string(it.Key()) != want[i].key || string(it.Value()) != want[i].value {
			return fmt.Sprintf("backward, %d of %d: %s=%q", i, len(want), it.Key(), it.Value())
		}
	}
	if it.Err() != nil || i != 0 {
		return fmt.Sprintf("backward, %d of %d: %v", i, len(want), it.Err())
	}
	return ""
}

func views(snapshots []*Snapshot) (all []view) {
	for _, s := range snapshots {
		all = append(all, s)
	}
	return all
}

// TestShadowOfDamage: a shadow that cannot be found is no error of the scan by itself, and
// what is asked instead tells of the damage only where it matters.
func TestShadowOfDamage(t *testing.T) {
	o := quietOptions()
	o.Facets, o.BlockBytes = sharesFacets, 512
	fs := vfs.NewMem()
	db := mustOpenDB(t, fs, o)
	writeShares(t, db, rand.New(rand.NewPCG(3, 4))).Close()
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	f := HasTag([]byte{30})
	want := pairsOf(t, db, f)
	st, err := db.acquireState()
	if err != nil {
		t.Fatal(err)
	}
	newest := st.version.levels[0][0].name
	db.releaseState(st)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	img := imageOf(t, fs)
	img[newest][600] ^= 1
	db = mustOpenDB(t, img.fs(t), o)
	defer db.Close()
	for range 20 { // more than enough to look for shadows
		it, err := db.NewFilteredIter(IterOptions{}, f)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ok := it.First(); ok; ok = it.Next() {
			if n == len(want) || string(it.Key()) != want[n].key || string(it.Value()) != want[n].value {
				t.Fatalf("%s=%q is key %d", it.Key(), it.Value(), n)
			}
			n++
		}
		if it.Err() == nil {
			t.Errorf("%d of %d keys and no error", n, len(want))
		}
		it.Close()
	}
}
