package sstable

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/statordb/stator/internal/offheap"
	"github.com/statordb/stator/lsm/cache"
	"github.com/statordb/stator/lsm/filter"
	"github.com/statordb/stator/lsm/key"
)

// openings are the ways to open the table in b.
func openings(t *testing.T, b []byte, pool *Pool) map[string]*Reader {
	t.Helper()
	mapped, err := Open(memory(b), testName, Options{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	read, err := Open(unmapped(t, b), testName, Options{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*Reader{"mapped": mapped, "read": read}
}

// TestCachedTables: all ways to get at a block say the same, with a cache that holds all
// of the table, a part of it, or nothing.
func TestCachedTables(t *testing.T) {
	for _, compression := range []Compression{None, S2, Zstd} {
		for _, cacheBytes := range []int64{0, 100 << 10, 4 << 20} {
			rng := rand.New(rand.NewPCG(41, 42))
			s := shapes[0]
			c := randomContent(rng, s, 3000)
			b, _ := mustWrite(t, c, Options{BlockBytes: 1024, Compression: compression})
			for _, how := range []string{"mapped", "read"} {
				pool := NewPool(cache.New(cacheBytes))
				r := openings(t, b, pool)[how]
				for range 3 {
					checkGets(t, rng, r, c, s)
				}
				checkScan(t, r, c)
				if err := r.Verify(); err != nil {
					t.Errorf("%s: Verify: %v", how, err)
				}
				want := cacheBytes > 0 && (compression != None || how == "read")
				if st := pool.cache.Stats(); (st.Added > 0 && st.Hits > 0) != want {
					t.Errorf("%v, %s, %d bytes: %+v", compression, how, cacheBytes, st)
				}
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestGetAllocatesNothing, wherever the block comes from.
func TestGetAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(43, 44))
	c := randomContent(rng, shapes[0], 3000)
	codecs := []Compression{None, S2, Zstd, ZstdDict}
	if raceEnabled {
		codecs = codecs[:2]
	}
	for _, compression := range codecs {
		b, _ := mustWrite(t, c, Options{Compression: compression, trainBytes: 16 << 10})
		for _, cacheBytes := range []int64{0, 4 << 20} {
			for how, r := range openings(t, b, NewPool(cache.New(cacheBytes))) {
				buf := make([]byte, 0, 1<<16)
				i := 0
				get := func() {
					e := &c.entries[i%len(c.entries)]
					i += 7
					_, _, found, err := r.GetHashed(e.User, filter.Hash(e.User), key.MaxSeqNum, buf)
					if !found || err != nil {
						t.Fatal(found, err)
					}
				}
				for range 2 * len(c.entries) {
					get()
				}
				if n := testing.AllocsPerRun(1000, get); n != 0 {
					t.Errorf("%v, %s, cache of %d bytes: %v allocations", compression, how, cacheBytes, n)
				}
			}
		}
	}
}

// TestCacheUnderReaders: many readers share a cache that is too small, and never see a
// wrong byte.
func TestCacheUnderReaders(t *testing.T) {
	rng := rand.New(rand.NewPCG(45, 46))
	c := randomContent(rng, shapes[0], 4000)
	before := offheap.InUse()
	shared := cache.New(128 << 10)
	pool := NewPool(shared)
	var readers []*Reader
	for _, compression := range []Compression{S2, ZstdDict} {
		b, _ := mustWrite(t, c, Options{Number: uint64(compression), BlockBytes: 1024, Compression: compression, trainBytes: 16 << 10})
		for _, r := range openings(t, b, pool) {
			readers = append(readers, r)
		}
	}
	var wg sync.WaitGroup
	for w := range uint64(4) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(w, 47))
			buf := make([]byte, 0, 1<<16)
			for range 5000 {
				e := &c.entries[rng.IntN(len(c.entries))>>rng.IntN(4)]
				r := readers[rng.IntN(len(readers))]
				value, trailer, found, err := r.GetHashed(e.User, filter.Hash(e.User), e.Trailer.SeqNum(), buf)
				if err != nil || !found || trailer != e.Trailer || !bytes.Equal(value, e.value) {
					t.Errorf("Get(%v) = %v, %v, %v", e.Internal, trailer, found, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if st := shared.Stats(); st.Hits == 0 || st.Evicted == 0 {
		t.Errorf("%+v", st)
	}
	for _, r := range readers {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	shared.Close()
	if got := offheap.InUse(); got != before {
		t.Errorf("%d bytes off the heap in use, %d before", got, before)
	}
}

// TestIteratorsUnderChange: iterators read pinned blocks while Gets of others push them out,
// see every entry as it was written, and leave no pin behind.
func TestIteratorsUnderChange(t *testing.T) {
	c := randomContent(rand.New(rand.NewPCG(48, 49)), shapes[0], 2000)
	shared := cache.New(128 << 10)
	pool := NewPool(shared)
	b, _ := mustWrite(t, c, Options{BlockBytes: 1024, Compression: S2})
	r := openings(t, b, pool)["mapped"]
	var idle []*Iter // hold so many pins that others must copy
	for i := range 40 {
		it := r.NewIter(nil, nil)
		it.SeekGE(c.entries[i*len(c.entries)/40].User, key.MaxSeqNum)
		it.SeekGE(c.entries[i*len(c.entries)/40].User, key.MaxSeqNum)
		idle = append(idle, it)
	}
	var wg sync.WaitGroup
	for w := range uint64(4) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(w, 50))
			it := r.NewIter(nil, nil)
			defer it.Close()
			var rows RowIter
			rows.Init(r)
			defer rows.Release()
			for range 150 {
				i := rng.IntN(len(c.entries))
				e := &c.entries[i]
				for ok := it.SeekGE(e.User, e.Trailer.SeqNum()); ok && i < len(c.entries) && rng.IntN(60) > 0; i++ {
					e := &c.entries[i]
					for range 3 {
						o := &c.entries[rng.IntN(len(c.entries))]
						if _, _, found, err := r.Get(o.User, o.Trailer.SeqNum()); !found || err != nil {
							t.Errorf("Get(%v): %v, %v", o.Internal, found, err)
							return
						}
					}
					if user, tr := it.Key(); !bytes.Equal(user, e.User) || tr != e.Trailer || !bytes.Equal(it.Value(), e.value) {
						t.Errorf("entry %d is not %v", i, e.Internal)
						return
					}
					ok = it.Next()
				}
				items, _, err := rows.Read([]uint32{uint32(i / 3), uint32(i / 2), uint32(i/2) + 7}, nil, nil)
				if err != nil || !bytes.Equal(items[1].Value, c.entries[i/2].value) {
					t.Errorf("row %d: %v", i/2, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if st := shared.Stats(); st.Hits == 0 || st.Evicted == 0 {
		t.Errorf("%+v", st)
	}
	for _, it := range idle {
		it.Close()
	}
	if n := shared.Pinned(); n != 0 {
		t.Errorf("%d pins are left", n)
	}
}

// TestScansFillOnlyRoom: what a scan comes to stays while there is room, and not behind that;
// nothing stays of a table that is read for the last time.
func TestScansFillOnlyRoom(t *testing.T) {
	c := randomContent(rand.New(rand.NewPCG(51, 52)), shapes[0], 3000)
	b, _ := mustWrite(t, c, Options{BlockBytes: 1024, Compression: S2})
	for _, cacheBytes := range []int64{4 << 20, 64 << 10} {
		shared := cache.New(cacheBytes)
		r := openings(t, b, NewPool(shared))["mapped"]
		scan := func(passing bool) {
			it := r.NewIter(nil, nil)
			defer it.Close()
			if passing {
				it.Pass()
			}
			for ok := it.First(); ok; ok = it.Next() {
			}
		}
		scan(true)
		if st := shared.Stats(); st.Added != 0 {
			t.Errorf("%d blocks came in of a table read for the last time", st.Added)
		}
		scan(false)
		first := shared.Stats()
		if first.Added == 0 || cacheBytes >= 4<<20 && int(first.Added) < r.index.blocks*9/10 {
			t.Errorf("cache of %d bytes, %d blocks: %+v", cacheBytes, r.index.blocks, first)
		}
		for range 3 {
			scan(false)
		}
		if st := shared.Stats(); st.Added != first.Added || st.Evicted != 0 {
			t.Errorf("cache of %d bytes, further scans: %+v", cacheBytes, st)
		}
	}
}
