package lsm

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchFacets gives three tags to each value: one of 100 and one of 10 at random, and
// one of 100 that changes along the keys.
func benchFacets(_, value []byte, tags *Tags) {
	end := value[len(value)-3:]
	tags.AddPair("percent=", end[:1])
	tags.AddPair("tenth=", end[1:2])
	tags.AddPair("area=", end[2:])
}

func facetValue(v []byte, i uint64) {
	h := i * 0x9E3779B97F4A7C15 >> 33
	v[len(v)-3] = byte(h % 100)
	v[len(v)-2] = byte(h / 100 % 10)
	v[len(v)-1] = byte(i * 100 / benchEntries)
}

// loadedFaceted returns a database of one settled level, or with a twentieth of the
// entries written again and not merged yet: a full memtable and some tables above.
func loadedFaceted(b *testing.B, settled bool) *DB {
	db := openBench(b, Options{Sync: SyncNever, MemtableBytes: 16 << 20, Facets: benchFacets})
	value, k := benchValue(), make([]byte, 0, benchKeyBytes)
	w := db.NewBatch()
	write := func(keys []int) {
		for _, i := range keys {
			k = benchKey(k, uint64(i))
			facetValue(value, uint64(i))
			w.Set(k, value)
			if w.Len() == 1000 {
				if err := db.Apply(w); err != nil {
					b.Fatal(err)
				}
				w.Reset()
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	write(rng.Perm(benchEntries))
	if err := db.Compact(nil, nil); err != nil {
		b.Fatal(err)
	}
	if !settled {
		for range 2 {
			write(rng.Perm(benchEntries)[:benchEntries/50])
			if err := db.Flush(); err != nil {
				b.Fatal(err)
			}
		}
		write(rng.Perm(benchEntries)[:benchEntries/100])
	}
	return db
}

// BenchmarkFilteredScan scans all keys for one in a hundred or ten, with a predicate and
// with bitmaps, in turn. Times are processor time.
func BenchmarkFilteredScan(b *testing.B) {
	for _, settled := range []bool{true, false} {
		db := loadedFaceted(b, settled)
		m := db.Metrics()
		for level, l := range m.Levels {
			if l.Tables > 0 {
				b.Logf("L%d: %d tables, %d bytes, %.2f bytes of bitmaps per entry", level, l.Tables, l.Bytes,
					float64(l.BitmapBytes)/float64(l.RawBytes/(benchKeyBytes+benchValueBytes)))
			}
		}
		for _, c := range []struct {
			name string
			f    Filter
		}{
			{"1%", HasTag([]byte("percent=\x07"))},
			{"10%", HasTag([]byte("tenth=\x07"))},
			{"1%-clustered", HasTag([]byte("area=\x07"))},
			{"0.1%-and", And(HasTag([]byte("percent=\x07")), HasTag([]byte("tenth=\x07")))},
			{"90%-not", Not(HasTag([]byte("tenth=\x07")))},
		} {
			b.Run(fmt.Sprintf("settled=%v/%s", settled, c.name), func(b *testing.B) {
				var predicate, forward, reverse int64
				n := 0
				for b.Loop() {
					at := [4]int64{0: cpuTime(b)}
					n = scanPredicate(b, db, c.f)
					at[1] = cpuTime(b)
					same := scanFiltered(b, db, c.f, false) == n
					at[2] = cpuTime(b)
					same = scanFiltered(b, db, c.f, true) == n && same
					at[3] = cpuTime(b)
					if !same {
						b.Fatalf("%d keys with the predicate, others with bitmaps", n)
					}
					predicate, forward, reverse = predicate+at[1]-at[0], forward+at[2]-at[1], reverse+at[3]-at[2]
				}
				b.ReportMetric(float64(predicate)/float64(b.N)/benchEntries, "predicate-ns/row")
				b.ReportMetric(float64(forward)/float64(b.N)/float64(n), "bitmaps-ns/match")
				b.ReportMetric(float64(predicate)/float64(forward), "times")
				b.ReportMetric(float64(predicate)/float64(reverse), "times-reverse")
			})
		}
	}
}

var benchSum int // of something in each value, so that it is read

func scanFiltered(b *testing.B, db *DB, f Filter, reverse bool) (n int) {
	it, err := db.NewFilteredIter(IterOptions{}, f)
	if err != nil {
		b.Fatal(err)
	}
	defer it.Close()
	place, step := it.First, it.Next
	if reverse {
		place, step = it.Last, it.Prev
	}
	sum := byte(0)
	for ok := place(); ok; ok = step() {
		sum ^= it.Value()[benchValueBytes-1]
		n++
	}
	benchSum += int(sum)
	if it.Err() != nil {
		b.Fatal(it.Err())
	}
	return n
}

func scanPredicate(b *testing.B, db *DB, f Filter) (n int) {
	it, err := db.NewIter(IterOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer it.Close()
	var tags Tags
	sum := byte(0)
	for ok := it.First(); ok; ok = it.Next() {
		tags.Reset()
		benchFacets(it.Key(), it.Value(), &tags)
		if f.Match(&tags) {
			sum ^= it.Value()[benchValueBytes-1]
			n++
		}
	}
	benchSum += int(sum)
	if it.Err() != nil {
		b.Fatal(it.Err())
	}
	return n
}
