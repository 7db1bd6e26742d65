package lsm

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var fillEntries = flag.Int("lsm.fill", 1_000_000, "entries that BenchmarkPolicy writes")

// What policies cost depends on how many memtables the data is, not on their size. So a
// small database shows what a large one does.
var fillMemtables = flag.Int("lsm.memtables", 26, "memtables that BenchmarkPolicy fills, about; 10 M entries of 116 B are 26 of 64 MiB")

// BenchmarkPolicy fills a database in random order, lets it settle, and reports what each
// policy costs: bytes written per byte that came in, places that a read looks at, bytes on
// disk per byte of live data before compression; and processor time per entry, writer included.
func BenchmarkPolicy(b *testing.B) {
	for _, policy := range []Compaction{Leveled{}, Tiered{}, LazyLeveled{}, FIFO{}} {
		b.Run(fmt.Sprintf("%T", policy), func(b *testing.B) {
			for range b.N {
				fillPolicy(b, Options{
					Compaction: policy, Sync: SyncNever,
					MemtableBytes: *fillEntries * 150 / *fillMemtables, TableBytes: *fillEntries * 75 / *fillMemtables,
					CompressionPerLevel: []Compression{S2},
				})
			}
		})
	}
}

func fillPolicy(b *testing.B, o Options) {
	db := openBench(b, o)
	rng := rand.New(rand.NewPCG(3, 4))
	began, cpu := time.Now(), cpuTime(b)
	fillRandom(b, db, rng, *fillEntries, uint64(*fillEntries))
	filled := time.Since(began)
	if err := db.Flush(); err != nil {
		b.Fatal(err)
	}
	for db.busy() {
		time.Sleep(10 * time.Millisecond)
	}
	m := db.Metrics()
	bytes := uint64(0)
	for _, l := range m.Levels {
		bytes += l.Bytes
	}
	b.ReportMetric(float64(cpuTime(b)-cpu)/float64(*fillEntries), "cpu-ns/entry")
	b.ReportMetric(filled.Seconds()*1e9/float64(*fillEntries), "fill-ns/entry")
	b.ReportMetric(m.WriteAmplification(), "write-amp")
	b.ReportMetric(float64(m.ReadAmplification()), "places")
	b.ReportMetric(float64(bytes)/float64(m.UserBytes), "settled/raw")
	var stalled time.Duration
	for _, s := range m.Stalls {
		stalled += s.Time
	}
	b.ReportMetric(stalled.Seconds()*1000, "stalled-ms")
	if testing.Verbose() {
		b.Logf("%v", &m)
	}
	if err := db.Compact(nil, nil); err != nil {
		b.Fatal(err)
	}
	m = db.Metrics()
	b.ReportMetric(float64(m.Levels[len(m.Levels)-1].Bytes)/float64(m.Levels[len(m.Levels)-1].RawBytes), "compacted/live")
}

// busy reports whether something is being merged or would be.
func (db *DB) busy() bool {
	view := db.view()
	v := db.current.Load().version
	view.Version, view.Usable = v.meta, v.isSound
	return len(view.Running) > 0 || db.o.Compaction.Next(view) != nil
}
