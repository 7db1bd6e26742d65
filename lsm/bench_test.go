package lsm

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statordb/stator/internal/vfs"
)

// Keys have 16 bytes and values 100, half of each random.
const (
	benchKeyBytes   = 16
	benchValueBytes = 100
	benchEntries    = 1_000_000
)

// benchKey is i in 16 digits.
func benchKey(dst []byte, i uint64) []byte {
	dst = append(dst[:0], "0000000000000000"...)
	for at := benchKeyBytes - 1; i > 0; at-- {
		dst[at] = byte('0' + i%10)
		i /= 10
	}
	return dst
}

func benchValue() []byte {
	v := make([]byte, benchValueBytes)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < benchValueBytes/2; i += 8 {
		binary.LittleEndian.PutUint64(v[i:], rng.Uint64())
	}
	return v
}

func openBench(b *testing.B, o Options) *DB {
	b.Helper()
	fs, err := vfs.NewOS(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	db := mustOpenDB(b, fs, o)
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	return db
}

// BenchmarkFill writes with a log that is not synced: what is acknowledged survives the
// process, not the machine.
func BenchmarkFill(b *testing.B) {
	for _, c := range []struct {
		order          string
		batch, writers int
	}{
		{"sequential", 1, 1}, {"sequential", 100, 1},
		{"random", 1, 1}, {"random", 1, 2}, {"random", 100, 1}, {"random", 100, 2},
	} {
		b.Run(fmt.Sprintf("%s/batch=%d/writers=%d", c.order, c.batch, c.writers), func(b *testing.B) {
			db := openBench(b, Options{Sync: SyncNever})
			b.SetBytes(benchKeyBytes + benchValueBytes)
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for id := range c.writers {
				wg.Go(func() {
					if err := fillPart(db, c.order == "random", c.batch, id, c.writers, b.N); err != nil {
						b.Error(err)
					}
				})
			}
			wg.Wait()
			m := db.Metrics()
			b.ReportMetric(m.WriteAmplification(), "write-amp")
		})
	}
}

// fillPart writes every writers-th of n entries, from number id on.
func fillPart(db *DB, random bool, batch, id, writers, n int) error {
	value, k := benchValue(), make([]byte, 0, benchKeyBytes)
	w := db.NewBatch()
	for i := id; i < n; i += writers {
		at := uint64(i)
		if random {
			at = rand.Uint64N(10 * benchEntries)
		}
		k = benchKey(k, at)
		if w.Set(k, value); w.Len() < batch && i+writers < n {
			continue
		}
		if err := db.Apply(w); err != nil {
			return err
		}
		w.Reset()
	}
	return nil
}

// loaded returns a database of benchEntries, merged into one level, and then, without
// merged, with half of them overwritten in random order and nothing settled.
func loaded(b *testing.B, merged bool) *DB { return loadedAs(b, merged, NoCompression) }

func loadedAs(b *testing.B, merged bool, c Compression) *DB {
	db := openBench(b, Options{Sync: SyncNever, MemtableBytes: 16 << 20, Compression: c})
	write := func(entries []int) {
		value, k := benchValue(), make([]byte, 0, benchKeyBytes)
		w := db.NewBatch()
		for n, i := range entries {
			k = benchKey(k, uint64(i))
			if w.Set(k, value); w.Len() < 1000 && n+1 < len(entries) {
				continue
			}
			if err := db.Apply(w); err != nil {
				b.Fatal(err)
			}
			w.Reset()
		}
	}
	write(rand.Perm(benchEntries))
	if err := db.Compact(nil, nil); err != nil {
		b.Fatal(err)
	}
	if !merged {
		write(rand.Perm(benchEntries)[:benchEntries/2])
	}
	return db
}

func BenchmarkGet(b *testing.B) {
	for _, merged := range []bool{true, false} {
		db := loaded(b, merged)
		for _, what := range []string{"present", "zipfian", "absent"} {
			for _, readers := range []int{1, 2} {
				b.Run(fmt.Sprintf("%s/readers=%d/merged=%v", what, readers, merged), func(b *testing.B) {
					b.ReportAllocs()
					b.ResetTimer()
					var wg sync.WaitGroup
					for id := range readers {
						wg.Go(func() {
							if err := getPart(db, what, id, readers, b.N); err != nil {
								b.Error(err)
							}
						})
					}
					wg.Wait()
				})
			}
		}
	}
}

// getPart reads every readers-th time of n.
func getPart(db *DB, what string, id, readers, n int) error {
	rng := rand.New(rand.NewPCG(uint64(id), 3))
	zipf := rand.NewZipf(rng, 1.01, 1, benchEntries-1)
	var k, v []byte
	for i := id; i < n; i += readers {
		entry := rng.Uint64N(benchEntries)
		if what == "zipfian" {
			entry = zipf.Uint64() * 7919 % benchEntries // popular ones all over the key space
		}
		if k = benchKey(k, entry); what == "absent" {
			k = append(k, 'x')
		}
		var err error
		if v, err = db.Get(k, v[:0]); (err == nil) != (what != "absent") {
			return fmt.Errorf("get %s: %w", k, err)
		}
	}
	return nil
}

// BenchmarkGetWhileWriting reads while another task overwrites as fast as it can. The
// last of a hundred reads is reported, too.
func BenchmarkGetWhileWriting(b *testing.B) {
	db := loaded(b, true)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := fillPart(db, true, 1, 0, 1, 1000); err != nil {
					b.Error(err)
					return
				}
			}
		}
	})
	var k, v []byte
	var took []time.Duration
	for b.Loop() {
		k = benchKey(k, rand.Uint64N(benchEntries))
		start := time.Now()
		var err error
		if v, err = db.Get(k, v[:0]); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	close(stop)
	wg.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns")
}

// BenchmarkScan steps through everything, forward and backward, and looks at each key.
func BenchmarkScan(b *testing.B) { benchmarkScan(b, NoCompression) }

// BenchmarkScanS2 is BenchmarkScan of encoded blocks, with room for all of them once they
// are decoded.
func BenchmarkScanS2(b *testing.B) { benchmarkScan(b, S2) }

func benchmarkScan(b *testing.B, c Compression) {
	for _, merged := range []bool{true, false} {
		db := loadedAs(b, merged, c)
		for _, way := range []string{"forward", "reverse"} {
			b.Run(fmt.Sprintf("%s/merged=%v", way, merged), func(b *testing.B) {
				it, err := db.NewIter(IterOptions{})
				if err != nil {
					b.Fatal(err)
				}
				defer it.Close()
				for ok := it.First(); ok; ok = it.Next() { // warms up
				}
				if way == "reverse" {
					it.Last()
				} else {
					it.First()
				}
				bytes := 0
				b.ReportAllocs()
				defer reportCPU(b, cpuTime(b), 1)
				if way == "forward" {
					for b.Loop() {
						if !it.Next() {
							it.First()
						}
						bytes += len(it.Key()) + len(it.Value())
					}
				} else {
					for b.Loop() {
						if !it.Prev() {
							it.Last()
						}
						bytes += len(it.Key()) + len(it.Value())
					}
				}
				if bytes != b.N*(benchKeyBytes+benchValueBytes) {
					b.Errorf("%d bytes in %d steps", bytes, b.N)
				}
			})
		}
		for _, n := range []int{10, 100} {
			b.Run(fmt.Sprintf("seek+%d/merged=%v", n, merged), func(b *testing.B) {
				var k []byte
				b.ReportAllocs()
				defer reportCPU(b, cpuTime(b), 1)
				for b.Loop() {
					it, err := db.NewIter(IterOptions{})
					if err != nil {
						b.Fatal(err)
					}
					k = benchKey(k, rand.Uint64N(benchEntries))
					ok := it.SeekGE(k)
					for i := 0; ok && i < n; i++ {
						ok = it.Next()
					}
					it.Close()
				}
			})
		}
	}
}

// BenchmarkCommit makes every write durable before the next of the same writer.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			db := openBench(b, Options{})
			value := benchValue()
			var next atomic.Int64
			var wg sync.WaitGroup
			n := int64(b.N)
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					w := db.NewBatch()
					var k []byte
					for i := next.Add(1); i <= n; i = next.Add(1) {
						w.Reset()
						k = benchKey(k, uint64(i))
						w.Set(k, value)
						if err := db.Apply(w); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}
