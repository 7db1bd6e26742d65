package sstable

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/iterator"
	"github.com/statordb/stator/lsm/key"
)

// The benchmarks run on a table of 1 M entries, 16 B keys and 100 B values, in a
// file mapped from a warm page cache: about 110 MB, well beyond the CPU's
// caches, so what is measured is mostly memory.
const benchEntries = 1_000_000

// benchKeys are spread like hashes, as the rows of a table are, or dense like
// the counters of db_bench.
var benchKeys = []struct {
	name string
	user func(dst []byte, i uint64) []byte
}{
	{"hash", func(dst []byte, i uint64) []byte {
		dst = binary.BigEndian.AppendUint64(dst, i*0x9E3779B97F4A7C15)
		return fmt.Appendf(dst, "%08d", i)
	}},
	{"dense", func(dst []byte, i uint64) []byte { return fmt.Appendf(dst, "%016d", i) }},
}

// benchTable writes the table into a file and opens it; users holds its keys in
// random order, and behind them as many that it does not hold.
func benchTable(b *testing.B, name string, user func([]byte, uint64) []byte, o Options) (r *Reader, users [][]byte) {
	b.Helper()
	fs, err := vfs.NewOS(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	f, err := fs.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	c := benchContent(user)
	users = shuffledKeys(user, "")
	users = append(users, shuffledKeys(user, "x")...)
	if _, err := fill(f, c, o); err != nil {
		b.Fatal(err)
	}
	m, err := f.Map()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(m.Release)
	r, err = Open(m, name, Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Verify(); err != nil {
		b.Fatal(err)
	}
	for _, u := range users { // touch every block
		if _, _, _, err := r.Get(u, key.MaxSeqNum); err != nil {
			b.Fatal(err)
		}
	}
	return r, users
}

// shuffledKeys are the keys of the table, with an ending, in random order. They
// lie in memory in that order, lest reading them cost the misses that should be
// measured.
func shuffledKeys(user func([]byte, uint64) []byte, ending string) [][]byte {
	var flat []byte
	users := make([][]byte, benchEntries)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, i := range rng.Perm(benchEntries) {
		flat = append(user(flat, uint64(i)), ending...)
	}
	for i := range users {
		n := len(flat) / benchEntries
		users[i] = flat[i*n : (i+1)*n]
	}
	return users
}

func benchContent(user func([]byte, uint64) []byte) content {
	var c content
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range uint64(benchEntries) {
		value := make([]byte, 100)
		for j := range value[:50] { // the other half compresses
			value[j] = byte(rng.Uint32())
		}
		c.entries = append(c.entries, entry{
			Internal: key.Internal{User: user(nil, i), Trailer: key.MakeTrailer(key.SeqNum(rng.IntN(benchEntries)), key.Set)},
			value:    value,
		})
	}
	sortEntries(c.entries)
	return c
}

func eachBenchTable(b *testing.B, o Options, run func(b *testing.B, r *Reader, users [][]byte)) {
	for _, k := range benchKeys {
		r, users := benchTable(b, k.name, k.user, o)
		b.Run(k.name, func(b *testing.B) { run(b, r, users) })
	}
}

var benchSink byte

// BenchmarkGetHit reads random keys of the table, one byte of each value.
func BenchmarkGetHit(b *testing.B) {
	eachBenchTable(b, Options{}, benchGetHit)
}

// BenchmarkGetHitS2 reads from compressed blocks, which nothing caches.
func BenchmarkGetHitS2(b *testing.B) {
	eachBenchTable(b, Options{Compression: S2}, benchGetHit)
}

func benchGetHit(b *testing.B, r *Reader, users [][]byte) {
	i := 0
	for b.Loop() {
		value, _, found, err := r.Get(users[i], key.MaxSeqNum)
		if !found || err != nil {
			b.Fatal(err)
		}
		benchSink += value[0]
		if i++; i == benchEntries {
			i = 0
		}
	}
}

// BenchmarkGetMiss asks for absent keys.
func BenchmarkGetMiss(b *testing.B) {
	eachBenchTable(b, Options{}, func(b *testing.B, r *Reader, users [][]byte) {
		i := benchEntries
		for b.Loop() {
			if _, _, found, err := r.Get(users[i], key.MaxSeqNum); found || err != nil {
				b.Fatal(found, err)
			}
			if i++; i == 2*benchEntries {
				i = benchEntries
			}
		}
	})
}

// BenchmarkSeekNext10 opens an iterator, seeks a random key and reads ten
// entries.
func BenchmarkSeekNext10(b *testing.B) {
	eachBenchTable(b, Options{}, func(b *testing.B, r *Reader, users [][]byte) {
		var it Iter
		i := 0
		for b.Loop() {
			it.Init(r, nil, nil)
			ok := it.SeekGE(users[i], key.MaxSeqNum)
			for range 10 {
				if !ok {
					break
				}
				benchSink += it.Value()[0]
				ok = it.Next()
			}
			if i++; i == benchEntries {
				i = 0
			}
		}
	})
}

// BenchmarkScan reads entry by entry, through the whole table and again.
func BenchmarkScan(b *testing.B) {
	eachBenchTable(b, Options{}, func(b *testing.B, r *Reader, _ [][]byte) {
		it := r.NewIter(nil, nil)
		for b.Loop() {
			if !it.Next() {
				it.First()
			}
			benchSink += it.Value()[0]
		}
	})
}

// BenchmarkScanReverse is BenchmarkScan backward.
func BenchmarkScanReverse(b *testing.B) {
	eachBenchTable(b, Options{}, func(b *testing.B, r *Reader, _ [][]byte) {
		it := r.NewIter(nil, nil)
		for b.Loop() {
			if !it.Prev() {
				it.Last()
			}
			benchSink += it.Value()[0]
		}
	})
}

// BenchmarkDecode decodes the entries of a table that lies in the processor's cache, so
// that nothing is measured but the instructions: as a scan does, and as who
// wants one row of two. One operation is one entry.
func BenchmarkDecode(b *testing.B) {
	var c content
	for i := range 1000 {
		c.entries = append(c.entries, entry{
			Internal: key.Internal{User: benchKeys[1].user(nil, uint64(i)), Trailer: key.MakeTrailer(key.SeqNum(i), key.Set)},
			value:    make([]byte, 100),
		})
	}
	r := build(b, c, Options{})
	b.Run("stretch", func(b *testing.B) {
		it := r.NewIter(nil, nil)
		for b.Loop() {
			if !it.Next() {
				it.First()
			}
			benchSink += it.Value()[0]
		}
	})
	b.Run("rows", func(b *testing.B) {
		var rows []uint32
		for i := range uint32(MaxRead) {
			rows = append(rows, 2*i)
		}
		var it RowIter
		it.Init(r)
		var items []iterator.Item
		var buffer []byte
		var err error
		for i := 0; b.Loop(); i++ {
			if i%MaxRead > 0 {
				continue
			}
			if items, buffer, err = it.Read(rows, items[:0], buffer[:0]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A sink is a file that forgets what is written.
type sink struct{ vfs.File }

func (sink) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (sink) Sync() error                            { return nil }

// BenchmarkWrite builds tables and throws them away; one operation is one entry.
func BenchmarkWrite(b *testing.B) {
	for _, o := range []Options{{}, {Compression: S2}, {Compression: Zstd}, {Compression: ZstdDict}} {
		b.Run(o.Compression.String(), func(b *testing.B) {
			c := compact(benchContent(benchKeys[0].user))
			var w *Writer
			i := benchEntries
			for b.Loop() {
				if i == benchEntries {
					w, i = NewWriter(sink{}, o), 0
				}
				e := &c.entries[i]
				if err := w.Add(e.User, e.Trailer, e.value); err != nil {
					b.Fatal(err)
				}
				if i++; i < benchEntries {
					continue
				}
				meta, err := w.Finish()
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(meta.Size)/float64(benchEntries), "B/entry")
			}
		})
	}
}

// compact lays the content out in memory in the order of keys.
func compact(c content) content {
	var flat []byte
	for i := range c.entries {
		e := &c.entries[i]
		flat = append(append(flat, e.User...), e.value...)
	}
	for i := range c.entries {
		e := &c.entries[i]
		e.User, flat = flat[:len(e.User)], flat[len(e.User):]
		e.value, flat = flat[:len(e.value)], flat[len(e.value):]
	}
	return c
}
