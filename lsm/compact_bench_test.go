package lsm

import (
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/statordb/stator/lsm/compaction"
)

// mergeBench returns a database with a level 1 of 800 k entries and four tables of
// 200 k in level 0 that lie all over it.
func mergeBench(b *testing.B, o Options) *DB {
	o.MemtableBytes, o.L0Tables, o.NoPreallocate, o.DisableWAL = 1<<30, 1000, true, true
	db := openBench(b, o)
	rng := rand.New(rand.NewPCG(1, 1))
	for round := range 8 {
		fillMemtable(b, db, rng, 200_000)
		if err := db.Flush(); err != nil {
			b.Fatal(err)
		}
		if round == 3 {
			if err := db.compactLevel(0, 1, nil, nil); err != nil {
				b.Fatal(err)
			}
		}
	}
	return db
}

func fillMemtable(b *testing.B, db *DB, rng *rand.Rand, n int) {
	fillRandom(b, db, rng, n, 10*benchEntries)
}

// fillRandom writes n entries with keys below limit.
func fillRandom(b *testing.B, db *DB, rng *rand.Rand, n int, limit uint64) {
	value, k := make([]byte, benchValueBytes), make([]byte, 0, benchKeyBytes)
	w := db.NewBatch()
	for range n {
		k = benchKey(k, rng.Uint64N(limit))
		for i := range benchValueBytes / 2 {
			value[i] = byte(rng.Uint32())
		}
		if w.Set(k, value); w.Len() < 1000 {
			continue
		}
		if err := db.Apply(w); err != nil {
			b.Fatal(err)
		}
		w.Reset()
	}
	if err := db.Apply(w); err != nil {
		b.Fatal(err)
	}
}

// cpuTime returns the processor time of the process, in nanoseconds: on a machine that
// others use, too, it says more than what a clock says.
func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// reportCPU says what an entry has cost since began.
func reportCPU(b *testing.B, began int64, entries int) {
	b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N*entries), "cpu-ns/entry")
}

// BenchmarkMerge merges four tables of level 0 with level 1.
func BenchmarkMerge(b *testing.B) {
	for name, codec := range map[string]Compression{"none": NoCompression, "s2": S2} {
		b.Run(name, func(b *testing.B) {
			db := mergeBench(b, Options{Compression: codec})
			c, err := db.claim(func(_ *version, v *compaction.View) *compaction.Pick {
				span, _ := spanWithin(v.Version, nil, nil)
				return v.Within(0, 1, span)
			})
			if err != nil {
				b.Fatal(err)
			}
			defer db.release(c)
			entries := 0
			for _, t := range c.Tables() {
				entries += int(t.Entries)
			}
			began := cpuTime(b)
			b.SetBytes(int64(c.Bytes()))
			for b.Loop() {
				written, err := db.merge(c)
				if err != nil {
					b.Fatal(err)
				}
				db.discard(written)
			}
			reportCPU(b, began, entries)
		})
	}
}

// BenchmarkFlush writes a memtable of 500 k entries to a table.
func BenchmarkFlush(b *testing.B) {
	db := mergeBench(b, Options{})
	fillMemtable(b, db, rand.New(rand.NewPCG(2, 2)), 500_000)
	m := db.current.Load().active
	began := cpuTime(b)
	for b.Loop() {
		w := &tableWriter{db: db}
		err := w.writeAll(&survivors{
			source:       m.NewIter(),
			hidesNothing: db.current.Load().version.hidesNothingBelow(0, nil),
		})
		if err != nil {
			b.Fatal(err)
		}
		w.abandon()
	}
	reportCPU(b, began, m.Len())
}
