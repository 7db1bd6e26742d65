package lsm

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/sstable"
)

// writeTableFile writes a file that sets some keys to a value.
func writeTableFile(t testing.TB, fs vfs.FS, name string, o Options, value string, keys ...string) {
	t.Helper()
	f, err := NewTableFile(env.New(), fs, name, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if err := f.Set([]byte(k), []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Finish(); err != nil {
		t.Fatal(err)
	}
}

// mustGet compares one value.
func mustGet(t testing.TB, v view, k, want string) {
	t.Helper()
	got, err := v.Get([]byte(k), nil)
	if err != nil || string(got) != want {
		t.Errorf("Get(%s) = %q, %v, want %q", k, got, err, want)
	}
}

// Every flipped byte of a file is found before anything happens, and the error says where.
func TestIngestRefusesDamage(t *testing.T) {
	for _, c := range []Compression{NoCompression, Zstd} {
		fs := vfs.NewMem()
		db := mustOpenDB(t, fs, Options{NoPreallocate: true, Dir: "db"})
		if err := set(db, "b", "old"); err != nil {
			t.Fatal(err)
		}
		var keys []string
		for i := range 40 {
			keys = append(keys, fmt.Sprintf("key-%03d", i))
		}
		writeTableFile(t, fs, "sound", Options{BlockBytes: 256, Compression: c}, strings.Repeat("value", 4), keys...)
		content := readWhole(t, fs, "sound")
		before, _ := fs.List("db")
		for i := range content {
			damaged := append([]byte(nil), content...)
			damaged[i] ^= 1 << (i % 8)
			f, err := fs.Create("damaged")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(damaged, 0); err != nil {
				t.Fatal(err)
			}
			err = db.Ingest("damaged")
			var damage *corrupt.Error
			if !errors.As(err, &damage) || damage.File != "damaged" || damage.Offset > int64(i) && damage.Offset < int64(len(content)-64) {
				t.Fatalf("byte %d of %d flipped: %v", i, len(content), err)
			}
		}
		after, _ := fs.List("db")
		if db.LastSeq() != 1 || db.FlushedSeq() != 0 || fmt.Sprint(before) != fmt.Sprint(after) {
			t.Errorf("refused files changed something: seq %d, %q to %q", db.LastSeq(), before, after)
		}
		if err := db.Ingest("sound"); err != nil {
			t.Fatal(err)
		}
		mustGet(t, db, keys[7], strings.Repeat("value", 4))
		if err := errors.Join(db.Verify(), db.Close()); err != nil {
			t.Error(err)
		}
	}
}

func readWhole(t testing.TB, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

// Tables that no TableFile writes are refused, however sound they are.
func TestIngestRefusesOtherTables(t *testing.T) {
	fs := vfs.NewMem()
	db := mustOpenDB(t, fs, Options{NoPreallocate: true, Dir: "db", Facets: testFacets})
	type entry struct {
		user string
		t    key.Trailer
	}
	set0 := key.MakeTrailer(0, key.Set)
	for name, tt := range map[string]struct {
		number  uint64
		entries []entry
	}{
		"a sequence number":    {7, []entry{{"a", set0}, {"b", key.MakeTrailer(1, key.Set)}}},
		"two versions":         {7, []entry{{"a", set0}, {"a", key.MakeTrailer(0, key.Delete)}}},
		"a pointer":            {7, []entry{{"a", key.MakeTrailer(0, key.ValuePointer)}}},
		"a range as an entry":  {7, []entry{{"a", key.MakeTrailer(0, key.RangeDelete)}}},
		"no number":            {0, []entry{{"a", set0}}},
		"nothing":              {7, nil},
		"an unknown kind":      {7, []entry{{"a", key.Trailer(77)}}},
		"the largest sequence": {7, []entry{{"a", key.MakeTrailer(key.MaxSeqNum, key.Set)}}},
	} {
		f, err := fs.Create("other")
		if err != nil {
			t.Fatal(err)
		}
		w := sstable.NewWriter(f, sstable.Options{Number: tt.number})
		for _, e := range tt.entries {
			if err := w.Add([]byte(e.user), e.t, []byte("value")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Finish(); err != nil {
			t.Fatal(err)
		}
		if err := db.Ingest("other"); !errors.Is(err, ErrNotIngestible) {
			t.Errorf("a table with %s: %v", name, err)
		}
	}
	if db.LastSeq() != 0 || db.Levels() != "" {
		t.Errorf("refused tables changed something: seq %d, %s", db.LastSeq(), db.Levels())
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if err := db.Ingest("other"); !errors.Is(err, ErrClosed) {
		t.Errorf("Ingest after Close: %v", err)
	}
	if err := db.Excise([]byte("a"), []byte("b")); !errors.Is(err, ErrClosed) {
		t.Errorf("Excise after Close: %v", err)
	}
}

// Where files cannot be linked, they are copied.
func TestIngestCopies(t *testing.T) {
	mem := vfs.NewMem()
	fs := vfs.NewInject(mem, func(op vfs.Op) error {
		if op.Kind == vfs.OpLink {
			return errors.ErrUnsupported
		}
		return nil
	})
	db := mustOpenDB(t, fs, Options{NoPreallocate: true, Dir: "db"})
	large := strings.Repeat("large", 300<<10) // more than is copied at a time
	writeTableFile(t, fs, "load", Options{}, large, "a", "c")
	if err := errors.Join(db.Ingest("load"), fs.Remove("load")); err != nil {
		t.Fatal(err)
	}
	mustGet(t, db, "c", large)
	if err := errors.Join(db.Compact(nil, nil), db.Verify()); err != nil {
		t.Error(err)
	}
	mustGet(t, db, "a", large)
	if m := db.Metrics(); m.Ingested != 1 {
		t.Errorf("%d tables ingested, want 1", m.Ingested)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// An ingested table stays what it is in a checkpoint, to those who look into a closed
// database, and with facets.
func TestIngestedTablesAreLikeOthers(t *testing.T) {
	fs := vfs.NewMem()
	o := Options{NoPreallocate: true, Dir: "db", Facets: testFacets, Compaction: idle{}}
	db := mustOpenDB(t, fs, o)
	if err := set(db, "b", "old"); err != nil {
		t.Fatal(err)
	}
	writeTableFile(t, fs, "load", o, "new", "a", "b")
	writeTableFile(t, fs, "plain", Options{}, "plain", "x") // without bitmaps
	if err := errors.Join(db.Ingest("load"), db.Ingest("plain"), db.Checkpoint("copy"), db.Verify(), db.Close()); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"db", "copy"} {
		c, err := OpenClosed(fs, dir)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := errors.Join(c.Find(&out, []byte("b")), c.Verify(&out)); err != nil || !strings.Contains(out.String(), "b#2,SET = new") {
			t.Errorf("%s: %v\n%s", dir, err, &out)
		}
		o.Dir = dir
		db := mustOpenDB(t, fs, o)
		mustGet(t, db, "b", "new")
		it, err := db.NewFilteredIter(IterOptions{}, Filter{})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ok := it.First(); ok; ok = it.Next() {
			n++
		}
		if n != 3 || it.Err() != nil {
			t.Errorf("%s: a filtered iterator finds %d keys, %v, want 3", dir, n, it.Err())
		}
		if err := errors.Join(it.Close(), db.Compact(nil, nil), db.Verify()); err != nil {
			t.Error(err)
		}
		mustGet(t, db, "b", "new")
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Writers, ingests, excises and readers at the same time. Each ingest sets two keys in two
// files to the same number, larger each time; whoever sees them differ has seen half of
// one. A writer's batches after it are never hidden by it.
func TestIngestIsAtomic(t *testing.T) {
	for _, noWAL := range []bool{false, true} {
		t.Run(fmt.Sprintf("no-wal=%v", noWAL), func(t *testing.T) {
			o := faultOptions(noWAL)
			o.MemtableBytes, o.NoPreallocate = 8<<10, true
			fs := vfs.NewMem()
			db := mustOpenDB(t, fs, o)
			writeTableFile(t, fs, "a", o, "00", "a", "counter-0a")
			writeTableFile(t, fs, "z", o, "00", "z", "zz")
			if err := db.Ingest("a", "z"); err != nil {
				t.Fatal(err)
			}
			var stop atomic.Bool
			var work, read sync.WaitGroup
			for w := range 2 {
				work.Go(func() { countUp(t, db, w, 300) })
			}
			work.Go(func() {
				for i := 1; i < 40; i++ {
					v := fmt.Sprintf("%02d", i)
					writeTableFile(t, fs, "a", o, v, "a", "b")
					writeTableFile(t, fs, "z", o, v, "z")
					if err := db.Ingest("a", "z"); err != nil {
						t.Error(err)
						return
					}
					mustGet(t, db, "a", v)
					if i%8 == 0 {
						if err := db.Excise([]byte("b"), []byte("c")); err != nil {
							t.Error(err)
						}
					}
				}
			})
			for range 2 {
				read.Go(func() {
					for last := ""; !stop.Load(); {
						s := db.NewSnapshot()
						a, err1 := s.Get([]byte("a"), nil)
						z, err2 := s.Get([]byte("z"), nil)
						s.Close()
						if err1 != nil || err2 != nil || string(a) != string(z) || string(a) < last {
							t.Errorf("a = %q, %v and z = %q, %v after %q", a, err1, z, err2, last)
							return
						}
						last = string(a)
					}
				})
			}
			work.Wait()
			stop.Store(true)
			read.Wait()
			if err := errors.Join(db.Verify(), db.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// Whoever took hold of what to read before an ingest, and of the sequence number after it,
// sees nothing of a write that came after the ingest: it would see it without that.
func TestIngestComesBeforeLaterWrites(t *testing.T) {
	for _, noWAL := range []bool{false, true} {
		fs := vfs.NewMem()
		db := mustOpenDB(t, fs, faultOptions(noWAL))
		writeTableFile(t, fs, "load", Options{}, "1", "a")
		s, err := db.acquireState()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Ingest("load"), set(db, "b", "1")); err != nil {
			t.Fatal(err)
		}
		for _, k := range []string{"a", "b"} {
			if got, err := s.get([]byte(k), key.SeqNum(db.LastSeq()), nil); !errors.Is(err, ErrNotFound) {
				t.Errorf("a reader from before finds %s = %q, %v", k, got, err)
			}
			mustGet(t, db, k, "1")
		}
		db.releaseState(s)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Excise gives back a damaged table, and value files.
func TestExciseGivesBack(t *testing.T) {
	fs := vfs.NewMem()
	o := Options{NoPreallocate: true, Dir: "db", TableBytes: 1 << 10, ValueThreshold: 500, Compaction: idle{}}
	db := mustOpenDB(t, fs, o)
	for i := range 100 {
		if err := set(db, fmt.Sprintf("%03d", i), strings.Repeat("v", 100+i%2*1000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(db.Flush(), set(db, "050", "newer"), db.Compact(nil, nil)); err != nil {
		t.Fatal(err)
	}
	tables := db.current.Load().version.levels[1]
	db.damaged(&tables[len(tables)/2].heldFile, errors.New("so it is said"))
	read := db.Metrics().Levels[1].Read
	if err := db.Excise([]byte(""), []byte("1")); err != nil {
		t.Fatal(err)
	}
	v := db.current.Load().version
	if n := len(v.meta.All()); n != 1 || len(v.meta.Values) != 0 {
		t.Errorf("left are %s, want one table with the range delete", db.Levels())
	}
	if got := db.Metrics().Levels[1].Read; got != read {
		t.Errorf("%d bytes were read", got-read)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	names, _ := fs.List("db")
	for _, name := range names {
		if isNumbered(name, valueSuffix) {
			t.Errorf("%s is left", name)
		}
	}
}

var ingestEntries = flag.Int("lsm.ingest", 100_000, "entries that BenchmarkIngest loads")

// BenchmarkIngest compares loading sorted entries by Ingest with writing them.
func BenchmarkIngest(b *testing.B) {
	value := []byte(strings.Repeat("0123456789", 10))
	o := Options{NoPreallocate: true, Dir: "db", Sync: SyncNever}
	each := func(b *testing.B, f func(k []byte) error) {
		k := make([]byte, 0, 16)
		for i := range *ingestEntries {
			k = fmt.Appendf(k[:0], "%016d", i)
			if err := f(k); err != nil {
				b.Fatal(err)
			}
		}
	}
	for name, load := range map[string]func(b *testing.B, db *DB, fs vfs.FS){
		"build-and-ingest": func(b *testing.B, db *DB, fs vfs.FS) {
			f, err := NewTableFile(env.New(), fs, "load", o)
			if err != nil {
				b.Fatal(err)
			}
			each(b, func(k []byte) error { return f.Set(k, value) })
			if err := f.Finish(); err != nil {
				b.Fatal(err)
			}
			began := time.Now()
			if err := db.Ingest("load"); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(time.Since(began).Milliseconds()), "ingest-ms")
		},
		"write": func(b *testing.B, db *DB, _ vfs.FS) {
			batch := db.NewBatch()
			each(b, func(k []byte) error {
				if batch.Set(k, value); batch.Len() < 100 {
					return nil
				}
				err := db.Apply(batch)
				batch.Reset()
				return err
			})
			if err := db.Compact(nil, nil); err != nil {
				b.Fatal(err)
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				fs, err := vfs.NewOS(b.TempDir())
				if err != nil {
					b.Fatal(err)
				}
				db := mustOpenDB(b, fs, o)
				load(b, db, fs)
				if err := db.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
