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
