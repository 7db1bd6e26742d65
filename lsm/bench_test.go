package lsm

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/statordb/stator/internal/vfs"
)

// Keys have 16 bytes and values 100, half of each random.
const (
	benchKeyBytes   = 16
	benchValueBytes = 100
	benchEntries    = 1_000_000
)

func benchKey(dst []byte, i uint64) []byte {
	return fmt.Appendf(dst[:0], "%016d", i)
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
	for _, order := range []string{"sequential", "random"} {
		for _, batch := range []int{1, 100} {
			b.Run(fmt.Sprintf("%s/batch=%d", order, batch), func(b *testing.B) {
				db := openBench(b, Options{Sync: SyncNever})
				value, k := benchValue(), make([]byte, 0, benchKeyBytes)
				w := db.NewBatch()
				b.SetBytes(benchKeyBytes + benchValueBytes)
				b.ReportAllocs()
				i := uint64(0)
				for b.Loop() {
					n := i
					if i++; order == "random" {
						n = rand.Uint64N(10 * benchEntries)
					}
					k = benchKey(k, n)
					w.Set(k, value)
					if w.Len() < batch {
						continue
					}
					if err := db.Apply(w); err != nil {
						b.Fatal(err)
					}
					w.Reset()
				}
				m := db.Metrics()
				b.ReportMetric(m.WriteAmplification(), "write-amp")
			})
		}
	}
}

// loaded returns a database of benchEntries in random order, merged into one level or
// as they come.
func loaded(b *testing.B, merged bool) *DB {
	db := openBench(b, Options{Sync: SyncNever, MemtableBytes: 16 << 20})
	value, k := benchValue(), make([]byte, 0, benchKeyBytes)
	w := db.NewBatch()
	for _, i := range rand.Perm(benchEntries) {
		k = benchKey(k, uint64(i))
		if w.Set(k, value); w.Len() < 1000 {
			continue
		}
		if err := db.Apply(w); err != nil {
			b.Fatal(err)
		}
		w.Reset()
	}
	if merged {
		if err := db.Compact(nil, nil); err != nil {
			b.Fatal(err)
		}
	}
	return db
}

func BenchmarkGet(b *testing.B) {
	for _, merged := range []bool{true, false} {
		db := loaded(b, merged)
		for _, what := range []string{"present", "absent"} {
			b.Run(fmt.Sprintf("%s/merged=%v", what, merged), func(b *testing.B) {
				var k, v []byte
				b.ReportAllocs()
				for b.Loop() {
					if k = benchKey(k, rand.Uint64N(benchEntries)); what == "absent" {
						k = append(k, 'x')
					}
					var err error
					if v, err = db.Get(k, v[:0]); (err == nil) != (what == "present") {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkScan steps through everything, forward and backward, and looks at each key.
func BenchmarkScan(b *testing.B) {
	for _, merged := range []bool{true, false} {
		db := loaded(b, merged)
		for _, way := range []string{"forward", "reverse"} {
			b.Run(fmt.Sprintf("%s/merged=%v", way, merged), func(b *testing.B) {
				it, err := db.NewIter(IterOptions{})
				if err != nil {
					b.Fatal(err)
				}
				defer it.Close()
				bytes := 0
				b.ReportAllocs()
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
