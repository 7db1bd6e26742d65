package cache

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/statordb/stator/internal/offheap"
)

// blockOf is the content of block j of a file: its number and the file's, over and over.
func blockOf(file, j, size int) []byte {
	b := make([]byte, 0, size+16)
	for len(b) < size {
		b = binary.LittleEndian.AppendUint64(b, uint64(file)<<32|uint64(j))
	}
	return b[:size]
}

// read returns a copy of the block if it is there.
func read(c *Cache, s *Slots, j int) ([]byte, bool) {
	b, p, ok := c.Find(s, j)
	if !ok {
		return nil, false
	}
	b = bytes.Clone(b)
	return b, c.Holds(p)
}

func mustHold(t *testing.T, c *Cache, s *Slots, j, size int) {
	t.Helper()
	if b, ok := read(c, s, j); !ok || !bytes.Equal(b, blockOf(0, j, size)) {
		t.Fatalf("block %d: there %v, as it was %v", j, ok, bytes.Equal(b, blockOf(0, j, size)))
	}
}

func TestWhileThereIsRoom(t *testing.T) {
	c := New(1 << 20)
	s := c.Own(100)
	for j := range 100 {
		if _, ok := read(c, s, j); ok {
			t.Fatalf("block %d was there before", j)
		}
		c.Add(s, j, blockOf(0, j, 1000+j))
	}
	for j := range 100 {
		mustHold(t, c, s, j, 1000+j)
	}
	if st := c.Stats(); st.Added != 100 || st.Misses != 100 || st.Bytes < 100*1000 || st.Bytes > st.LimitBytes {
		t.Errorf("%+v", st)
	}
}

// A scan over much more than there is room for leaves what is read often.
func TestScanDoesNotPushOut(t *testing.T) {
	const size = 1000
	c := New(1 << 20)
	hot, scan := c.Own(500), c.Own(20_000)
	for range 3 {
		for j := range 500 {
			if _, ok := read(c, hot, j); !ok {
				c.Add(hot, j, blockOf(0, j, size))
			}
		}
	}
	for j := range 20_000 {
		c.Add(scan, j, blockOf(1, j, size))
		if _, ok := read(c, hot, j%500); !ok {
			c.Add(hot, j%500, blockOf(0, j%500, size))
		}
	}
	left := 0
	for j := range 500 {
		if _, ok := read(c, hot, j); ok {
			left++
		}
	}
	if left < 490 {
		t.Errorf("%d of 500 hot blocks are left", left)
	}
	if st := c.Stats(); st.Added > 2000 {
		t.Errorf("the scan came in: %+v", st)
	}
}

// What is read often stays when the rest changes, and what is not read any more goes.
func TestFollowsTheReaders(t *testing.T) {
	const size = 1000
	c := New(1 << 20)
	s := c.Own(5000)
	rng := rand.New(rand.NewPCG(1, 2))
	rate := func(from, n int) float64 {
		hits := 0
		for range 20_000 {
			j := from + rng.IntN(n)
			b, ok := read(c, s, j)
			if !ok {
				c.Add(s, j, blockOf(0, j, size))
			} else if hits++; !bytes.Equal(b, blockOf(0, j, size)) {
				t.Fatalf("block %d is wrong", j)
			}
		}
		return float64(hits) / 20_000
	}
	for _, phase := range []struct {
		from, n int
		least   float64
	}{{0, 500, 0.95}, {1000, 500, 0.9}, {2000, 800, 0.85}, {0, 5000, 0.1}, {3000, 500, 0.85}} {
		if got := rate(phase.from, phase.n); got < phase.least {
			t.Errorf("blocks %d to %d: %.2f of the reads hit, want %.2f: %+v", phase.from, phase.from+phase.n, got, phase.least, c.Stats())
		}
	}
}

func TestTooLarge(t *testing.T) {
	c := New(1 << 20)
	s := c.Own(2)
	c.Add(s, 0, make([]byte, c.MaxBlockBytes()+1))
	c.Add(s, 1, blockOf(0, 1, c.MaxBlockBytes()))
	if _, ok := read(c, s, 0); ok {
		t.Error("a block larger than the largest was kept")
	}
	mustHold(t, c, s, 1, c.MaxBlockBytes())
	none := New(100)
	s = none.Own(1)
	none.Add(s, 0, []byte("x"))
	if _, ok := read(none, s, 0); ok {
		t.Error("a cache without memory kept a block")
	}
}

// TestLimit: memory goes back when less may be used, and comes again.
func TestLimit(t *testing.T) {
	c := New(1 << 20)
	s := c.Own(2000)
	use := func() {
		for range 4 {
			for j := range 2000 {
				if b, ok := read(c, s, j); !ok {
					c.Add(s, j, blockOf(0, j, 1000))
				} else if !bytes.Equal(b, blockOf(0, j, 1000)) {
					t.Fatalf("block %d is wrong", j)
				}
			}
		}
	}
	use()
	full := c.Stats().Bytes
	for _, limit := range []int64{full / 2, 0, full / 4, 2 * full} {
		c.SetLimit(limit)
		use()
		if got, most := c.Stats().Bytes, max(limit, minSegments<<c.shift); got > most {
			t.Errorf("%d bytes in use, limit %d", got, limit)
		}
	}
	if got := c.Stats().Bytes; got != full {
		t.Errorf("%d bytes in use in the end, want %d", got, full)
	}
}

// TestClose: the memory goes back when the last file goes.
func TestClose(t *testing.T) {
	before := offheap.InUse()
	c := New(1 << 20)
	s, other := c.Own(1), c.Own(1)
	c.Add(s, 0, blockOf(0, 0, 1000))
	c.Disown(other)
	c.Close()
	mustHold(t, c, s, 0, 1000)
	c.Add(s, 0, blockOf(0, 0, 1000))
	if offheap.InUse() == before {
		t.Fatal("the memory of a block that may be read is gone")
	}
	c.Disown(s)
	if got := offheap.InUse(); got != before {
		t.Errorf("%d bytes in use, %d before", got, before)
	}
}

// TestReadersNeverBelieveWrongBytes: readers race with all that overwrites blocks.
func TestReadersNeverBelieveWrongBytes(t *testing.T) {
	c := New(256 << 10)
	const files, blocks = 3, 400
	var slots [files]atomic.Pointer[Slots]
	for f := range files {
		slots[f].Store(c.Own(blocks))
	}
	var wg sync.WaitGroup
	var hits atomic.Int64
	for w := range uint64(4) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(w, 3))
			for i := range 20_000 {
				f, j := rng.IntN(files), rng.IntN(blocks)>>rng.IntN(4)
				s := slots[f].Load()
				b, ok := read(c, s, j)
				switch {
				case !ok:
					c.Add(s, j, blockOf(f, j, 200+j))
				case !bytes.Equal(b, blockOf(f, j, 200+j)):
					t.Errorf("block %d of file %d is wrong", j, f)
					return
				default:
					hits.Add(1)
				}
				if w == 0 && i%1000 == 0 {
					c.SetLimit(int64(rng.IntN(256 << 10)))
				}
				if w == 1 && i%3000 == 0 { // as when a table is merged away
					c.Disown(slots[f].Swap(c.Own(blocks)))
				}
			}
		})
	}
	wg.Wait()
	if st := c.Stats(); hits.Load() == 0 || st.Evicted == 0 || st.Moved == 0 {
		t.Errorf("%d hits; %+v", hits.Load(), st)
	}
}

// TestPinnedBlocksStay: what is pinned keeps its bytes, whatever comes and goes, and does not
// keep the cache from letting others in.
func TestPinnedBlocksStay(t *testing.T) {
	const size = 1000
	c := New(1 << 20)
	s := c.Own(20_000)
	var blocks [][]byte
	var places []Place
	for j := range 3 {
		c.Add(s, j, blockOf(0, j, size))
		b, p, ok := c.Pin(s, j)
		if !ok || p == 0 {
			t.Fatalf("block %d cannot be pinned", j)
		}
		blocks, places = append(blocks, b), append(places, p)
	}
	churn := func() {
		for j := 100; j < 20_000; j++ {
			for range 2 { // the second miss lets it in
				c.Add(s, j, blockOf(0, j, size))
			}
		}
	}
	churn()
	for j, b := range blocks {
		if !bytes.Equal(b, blockOf(0, j, size)) {
			t.Fatalf("block %d has changed while it was pinned", j)
		}
		c.Unpin(places[j])
	}
	if st := c.Stats(); st.Added < 15_000 || st.Bytes > st.LimitBytes {
		t.Errorf("%+v", st)
	}
	churn()
	if bytes.Equal(blocks[0], blockOf(0, 0, size)) {
		t.Error("the memory of a block that nobody pins was never used again")
	}
}

// TestPinsInTheWay: pins that would keep all memory from new blocks are refused, and given
// out again once they are gone.
func TestPinsInTheWay(t *testing.T) {
	const size, n = 1000, 5000
	c := New(256 << 10)
	s := c.Own(n)
	var pins []Place
	for j := range n {
		for range 2 {
			c.Add(s, j, blockOf(0, j, size))
		}
		if _, p, ok := c.Pin(s, j); ok {
			pins = append(pins, p)
		}
	}
	if len(pins) == 0 || len(pins) >= n/2 {
		t.Errorf("%d of %d blocks were pinned at the same time", len(pins), n)
	}
	if st := c.Stats(); st.Added < n/2 && len(pins)*size < 256<<10 {
		t.Errorf("%d pins kept new blocks out: %+v", len(pins), st)
	}
	for _, p := range pins {
		c.Unpin(p)
	}
	for j := range n {
		for range 2 {
			c.Add(s, j, blockOf(0, j, size))
		}
	}
	if _, p, ok := c.Pin(s, n-1); !ok {
		t.Error("no pins are given out after all have come back")
	} else {
		c.Unpin(p)
	}
}

// TestPinsUnderChange: readers pin blocks while others push them out. It is meant for many
// processors, and what it must not see is a byte that changes.
func TestPinsUnderChange(t *testing.T) {
	c := New(64 << 10)
	const blocks, size = 400, 300
	s := c.Own(blocks)
	var wg sync.WaitGroup
	var pinned atomic.Int64
	for w := range uint64(4) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(w, 5))
			for i := range 10_000 {
				j := rng.IntN(blocks) >> rng.IntN(4)
				b, p, ok := c.Pin(s, j)
				if !ok {
					c.Add(s, j, blockOf(0, j, size))
					continue
				}
				if pinned.Add(1); i%16 == 0 { // hold on to it while blocks come
					for k := range 50 {
						c.Add(s, (j+k)%blocks, blockOf(0, (j+k)%blocks, size))
					}
				}
				same := bytes.Equal(b, blockOf(0, j, size))
				c.Unpin(p)
				if !same {
					t.Errorf("block %d has changed while it was pinned", j)
					return
				}
				if w == 0 && i%1000 == 0 {
					c.SetLimit(int64(rng.IntN(64 << 10)))
				}
			}
		})
	}
	wg.Wait()
	if st := c.Stats(); pinned.Load() == 0 || st.Evicted == 0 {
		t.Errorf("%d pins; %+v", pinned.Load(), st)
	}
	if n := c.Pinned(); n != 0 {
		t.Errorf("%d pins are left", n)
	}
}

func BenchmarkFind(b *testing.B) {
	c := New(64 << 20)
	s := c.Own(10_000)
	for j := range 10_000 {
		c.Add(s, j, blockOf(0, j, 4096))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	order := rng.Perm(10_000)
	i, sum := 0, byte(0)
	for b.Loop() {
		if i++; i == len(order) {
			i = 0
		}
		block, p, ok := c.Find(s, order[i])
		if !ok {
			b.Fatal("not there")
		}
		sum += block[100]
		if !c.Holds(p) {
			b.Fatal("gone")
		}
	}
	_ = sum
}
