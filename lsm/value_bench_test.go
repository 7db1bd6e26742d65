package lsm

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// valuesBench is a database of 1 KiB values written in random order, then overwritten at
// random once more on average.
func valuesBench(b *testing.B, o Options) *DB {
	b.Helper()
	const entries = 200_000
	o.Sync, o.MemtableBytes = SyncNever, 8<<20
	db := openBench(b, o)
	rng := rand.New(rand.NewPCG(1, 1))
	value, k := make([]byte, 1024), make([]byte, 0, benchKeyBytes)
	w := db.NewBatch()
	write := func(i int) {
		for j := 0; j < len(value)/2; j += 8 {
			value[j] = byte(rng.Uint32())
		}
		k = benchKey(k, uint64(i))
		w.Set(k, value)
		if err := db.Apply(w); err != nil {
			b.Fatal(err)
		}
		w.Reset()
	}
	for _, i := range rng.Perm(entries) {
		write(i)
	}
	m := db.Metrics()
	b.Logf("fill: write amplification %.2f", m.WriteAmplification())
	for range entries {
		write(rng.IntN(entries))
	}
	if err := db.Flush(); err != nil {
		b.Fatal(err)
	}
	for v := db.current.Load().version; db.emptying(v, v.isSound) != nil; v = db.current.Load().version {
		if _, err := db.compactOnce(); err != nil {
			b.Fatal(err)
		}
	}
	m = db.Metrics()
	b.Logf("overwritten: %v", &m)
	return db
}

// BenchmarkLargeValues reads 1 KiB values that are separated and such that are not.
func BenchmarkLargeValues(b *testing.B) {
	for _, threshold := range []int{0, -1} {
		name := "separated"
		if threshold < 0 {
			name = "in-tables"
		}
		db := valuesBench(b, Options{ValueThreshold: threshold})
		b.Run("get/"+name, func(b *testing.B) {
			dst, k := make([]byte, 0, 2048), make([]byte, 0, benchKeyBytes)
			b.ReportAllocs()
			for b.Loop() {
				k = benchKey(k, rand.Uint64N(200_000))
				if _, err := db.Get(k, dst); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, n := range []int{50, 10000} {
			b.Run(fmt.Sprintf("scan-%d/%s", n, name), func(b *testing.B) {
				k := make([]byte, 0, benchKeyBytes)
				sum := 0
				b.ReportAllocs()
				for b.Loop() {
					it, err := db.NewIter(IterOptions{})
					if err != nil {
						b.Fatal(err)
					}
					k = benchKey(k, rand.Uint64N(200_000-uint64(n)))
					it.SeekGE(k)
					for range n {
						sum += int(it.Value()[500])
						it.Next()
					}
					if it.Err() != nil {
						b.Fatal(it.Err())
					}
					_ = it.Close()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/entry")
			})
		}
	}
}
