package lsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/offheap"
	"github.com/statordb/stator/internal/vfs"
)

func mustOpenDB(t testing.TB, fs vfs.FS, o Options) *DB {
	t.Helper()
	db, err := Open(env.New(), fs, o)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// Writers, readers, iterators, snapshots and all background work at once. Each writer
// keeps a counter under two keys that it always writes together, so a reader that sees
// them differ, or go back, has seen half a batch or the past.
func TestConcurrency(t *testing.T) {
	for _, noWAL := range []bool{false, true} {
		t.Run(fmt.Sprintf("no-wal=%v", noWAL), func(t *testing.T) {
			o := faultOptions(noWAL)
			o.MemtableBytes, o.NoPreallocate = 8<<10, true
			fs := vfs.NewMem()
			db := mustOpenDB(t, fs, o)
			const writers = 4
			var stop atomic.Bool
			var write, read sync.WaitGroup
			for w := range writers {
				write.Go(func() { countUp(t, db, w, 400) })
			}
			for r := range 5 {
				read.Go(func() {
					for last := make([]uint64, writers); !stop.Load(); {
						observe(t, db, r, last)
					}
				})
			}
			read.Go(func() {
				for !stop.Load() {
					if err := errors.Join(db.Flush(), db.Compact(nil, nil)); err != nil {
						t.Error(err)
						return
					}
					_ = db.Metrics()
				}
			})
			write.Wait()
			stop.Store(true)
			read.Wait()
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = mustOpenDB(t, fs, o)
			defer db.Close()
			for w := range writers {
				if got, err := counter(db, w, 0); err != nil || got != 400 {
					t.Errorf("writer %d: counter %d after reopening, %v", w, got, err)
				}
			}
		})
	}
}

func counterKey(writer, half int) []byte { return fmt.Appendf(nil, "%d-counter-%d", half, writer) }

func countUp(t *testing.T, db *DB, writer, to int) {
	b := db.NewBatch()
	for i := 1; i <= to; i++ {
		b.Reset()
		value := binary.BigEndian.AppendUint64(nil, uint64(i))
		b.Set(counterKey(writer, 0), value)
		b.Set(fmt.Appendf(nil, "1-filler-%d-%d", writer, i%50), bytes.Repeat([]byte{byte(i)}, 100))
		if i%10 == 0 {
			b.DeleteRange(fmt.Appendf(nil, "1-filler-%d", writer), fmt.Appendf(nil, "1-filler-%d-2", writer))
		}
		b.Set(counterKey(writer, 1), value)
		if err := errors.Join(db.Admit(), db.Apply(b)); err != nil {
			t.Error(err)
			return
		}
	}
}

func counter(v view, writer, half int) (uint64, error) {
	got, err := v.Get(counterKey(writer, half), nil)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil || len(got) != 8 {
		return 0, fmt.Errorf("counter %x: %w", got, err)
	}
	return binary.BigEndian.Uint64(got), nil
}

// observe looks at all counters in one of several ways. last is what was seen before.
func observe(t *testing.T, db *DB, way int, last []uint64) {
	s := db.NewSnapshot()
	defer s.Close()
	for w := range last {
		var first, second uint64
		var err error
		switch way {
		case 0: // no snapshot: the second half is not older than the first
			first, err = counter(db, w, 0)
			if err == nil {
				second, err = counter(db, w, 1)
			}
			if second < first {
				t.Errorf("writer %d: %d, then %d", w, first, second)
			}
			second = first
		case 1:
			first, err = counter(s, w, 0)
			if err == nil {
				second, err = counter(s, w, 1)
			}
		default:
			first, second, err = iterated(s, w, way)
		}
		if err != nil || first != second || first < last[w] {
			t.Errorf("writer %d, way %d: saw %d and %d after %d, %v", w, way, first, second, last[w], err)
			return
		}
		last[w] = first
	}
}

// iterated reads both halves of a counter from one scan: forward (way 2), backward (3), or
// filtered.
func iterated(v view, writer, way int) (first, second uint64, err error) {
	var it walker
	if way < 4 {
		it, err = v.NewIter(IterOptions{})
	} else {
		it, err = v.NewFilteredIter(IterOptions{}, Not(HasTag([]byte("size=9"))))
	}
	if err != nil {
		return 0, 0, err
	}
	defer it.Close()
	place, step := it.First, it.Next
	if way == 3 {
		place, step = it.Last, it.Prev
	}
	for ok := place(); ok; ok = step() {
		switch {
		case bytes.Equal(it.Key(), counterKey(writer, 0)):
			first = binary.BigEndian.Uint64(it.Value())
		case bytes.Equal(it.Key(), counterKey(writer, 1)):
			second = binary.BigEndian.Uint64(it.Value())
		}
	}
	return first, second, it.Err()
}

// Many tasks commit together in a simulated world, and the power is cut: what each was
// told is there, in its order.
func TestGroupCommitSurvivesCrash(t *testing.T) {
	first := rand.Uint64() >> 16
	for seed := first; seed < first+30; seed++ {
		if err := groupCommitRun(seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func groupCommitRun(seed uint64) error {
	w := env.NewWorld(seed, env.Options{LeafYields: 64})
	defer w.Close()
	rng := rand.New(rand.NewPCG(seed, 4))
	disk := vfs.NewDisk(seed)
	e := w.NewNode("n")
	disk.OnOp(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync {
			e.Sleep(time.Duration(50+rng.IntN(200)) * time.Microsecond)
		}
		return nil
	})
	var acked, begun [16]int
	for range 4 {
		disk.CrashAt(30+rng.IntN(200), func() {
			disk.Crash(vfs.RandomCrash(rng))
			w.Crash("n")
		})
		err := w.Do(e, "test", func() {
			db, err := Open(e, disk.Mount(), faultOptions(false))
			must(err)
			for i := range acked {
				got, err := counter(db, i, 0)
				must(err)
				check(int(got) >= acked[i] && int(got) <= begun[i], "task %d: counter %d, acknowledged %d, begun %d", i, got, acked[i], begun[i])
				acked[i], begun[i] = int(got), int(got)
			}
			g := env.NewGroup(e)
			for i := range acked {
				g.Go("writer", func() error {
					for {
						begun[i]++
						must(set(db, string(counterKey(i, 0)), string(binary.BigEndian.AppendUint64(nil, uint64(begun[i])))))
						acked[i] = begun[i]
					}
				})
			}
			_ = g.Wait()
		})
		if w.Up("n") {
			return err // a failure; otherwise the node crashed, as it should
		}
		e = w.Restart("n")
	}
	return nil
}

// Writers share syncs: with many of them there are far fewer syncs than commits.
func TestGroupCommitSharesSyncs(t *testing.T) {
	inWorld(t, 7, func(e *env.Env) {
		syncs := 0
		disk := vfs.NewDisk(7)
		disk.OnOp(func(op vfs.Op) error {
			if op.Kind == vfs.OpSync {
				syncs++
				e.Sleep(100 * time.Microsecond)
			}
			return nil
		})
		db, err := Open(e, disk, Options{})
		must(err)
		syncs = 0
		g := env.NewGroup(e)
		for i := range 16 {
			g.Go("writer", func() error {
				for j := range 20 {
					must(set(db, fmt.Sprint(i, j), "v"))
				}
				return nil
			})
		}
		must(g.Wait())
		check(syncs < 80, "%d syncs for 320 commits by 16 writers", syncs)
		must(db.Close())
	})
}

func TestClosed(t *testing.T) {
	db := mustOpenDB(t, vfs.NewMem(), quietOptions())
	if err := set(db, "a", "1"); err != nil {
		t.Fatal(err)
	}
	it, _ := db.NewIter(IterOptions{})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{"Apply": set(db, "b", "1"), "Flush": db.Flush(), "Compact": db.Compact(nil, nil), "Admit": db.Admit(), "Close": db.Close()} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close = %v", what, err)
		}
	}
	// An iterator that was not closed before may be used on.
	if !it.First() || string(it.Value()) != "1" {
		t.Errorf("iterator after Close: %v", it.Err())
	}
	if err := errors.Join(it.Close(), it.Close()); err != nil {
		t.Error(err)
	}
}

// Files that no version names, and that nobody reads, are gone; those that an iterator
// reads stay until it is closed.
func TestObsoleteFiles(t *testing.T) {
	inWorld(t, 1, func(e *env.Env) {
		fs := vfs.NewMem()
		db, err := Open(e, fs, quietOptions())
		must(err)
		for i := range 3 {
			must(set(db, "k", fmt.Sprint(i)))
			must(db.Flush())
		}
		it, err := db.NewIter(IterOptions{})
		must(err)
		must(db.Compact(nil, nil))
		e.Sleep(time.Second)
		check(countTables(fs) == 4, "%d table files while an iterator reads three, want 4", countTables(fs))
		check(it.First() && string(it.Value()) == "2", "iterator: %v", it.Err())
		must(it.Close())
		e.Sleep(time.Second)
		check(countTables(fs) == 1, "%d table files, want 1", countTables(fs))
		// What a crash leaves behind goes at the next Open.
		_, err = fs.Create("000099.sst")
		must(err)
		must(db.Close())
		db, err = Open(e, fs, quietOptions())
		must(err)
		check(countTables(fs) == 1, "%d table files after reopening, want 1", countTables(fs))
		must(db.Close())
	})
}

func countTables(fs vfs.FS) (n int) {
	names, err := fs.List("")
	must(err)
	for _, name := range names {
		if isNumbered(name, tableSuffix) {
			n++
		}
	}
	return n
}

// Under pressure writers are slowed down, and stopped only at the limit; all comes to
// an end when background work catches up.
func TestStalls(t *testing.T) {
	inWorld(t, 1, func(e *env.Env) {
		disk := vfs.NewDisk(1)
		slow := true
		disk.OnOp(func(op vfs.Op) error {
			if slow && op.Kind == vfs.OpWrite && isNumbered(op.Name, tableSuffix) {
				e.Sleep(20 * time.Millisecond)
			}
			return nil
		})
		o := faultOptions(false)
		var stops, ends int
		o.Events = &Listener{Stalled: func(s StallEvent) {
			if s.Done {
				ends++
			} else {
				stops++
			}
		}}
		db, err := Open(e, disk, o)
		must(err)
		for i := range 300 {
			must(set(db, fmt.Sprint(i), string(make([]byte, 200))))
			check(db.Metrics().MemtableBytes <= (maxMemtables+1)*o.MemtableBytes, "memory grows beyond its budget")
		}
		m := db.Metrics()
		delays := m.Stalls[StallMemtables].Delays + m.Stalls[StallL0].Delays
		waited := m.Stalls[StallMemtables].Time + m.Stalls[StallL0].Time
		check(delays > 0 && waited > 0 && stops == ends, "%d delays, %s waited, %d stops, %d ends", delays, waited, stops, ends)
		slow = false
		must(db.Compact(nil, nil))
		load, _ := db.load()
		check(load == 0, "load %d when all is done", load)
		must(db.Close())
	})
}

func TestMetrics(t *testing.T) {
	o := quietOptions()
	var flushes, compactions int
	o.Events = &Listener{
		Flushed:   func(e FlushEvent) { flushes += len(e.Tables) },
		Compacted: func(e CompactionEvent) { compactions++ },
	}
	db := mustOpenDB(t, vfs.NewMem(), o)
	defer db.Close()
	for i := range 2 {
		for j := range 100 {
			if err := set(db, fmt.Sprint(j), string(make([]byte, 100+i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	m := db.Metrics()
	if m.Levels[0].Tables != 2 || m.Flushes != 2 || flushes != 2 || m.ReadAmplification() != 3 || m.LastSeq != 200 || m.FlushedSeq != 200 {
		t.Errorf("after two flushes: %+v", m)
	}
	if err := db.Compact(nil, nil); err != nil {
		t.Fatal(err)
	}
	m = db.Metrics()
	if m.Levels[1].Tables != 1 || m.Compactions != 1 || compactions != 1 || m.Levels[0].Read == 0 || m.Levels[1].Written == 0 {
		t.Errorf("after a compaction: %+v", m)
	}
	if w := m.WriteAmplification(); w < 2 || w > 5 {
		t.Errorf("write amplification %.2f after log, flush and half a merge", w)
	}
	if s := m.SpaceAmplification(); s != 1 {
		t.Errorf("space amplification %.2f with one level", s)
	}
}

// Reading allocates nothing.
func TestReadsDoNotAllocate(t *testing.T) {
	o := quietOptions()
	db := mustOpenDB(t, vfs.NewMem(), o)
	defer db.Close()
	for _, value := range []string{"old", "new"} {
		b := db.NewBatch()
		for i := range 1000 {
			b.Set(fmt.Appendf(nil, "%04d", i), []byte(value))
		}
		if err := errors.Join(db.Apply(b), db.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	var buf []byte
	k, absent := []byte("0500"), []byte("05001")
	if n := testing.AllocsPerRun(100, func() { buf, _ = db.Get(k, buf[:0]) }); n > 0 {
		t.Errorf("Get: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { buf, _ = db.Get(absent, buf[:0]) }); n > 0 {
		t.Errorf("Get of an absent key: %v allocations", n)
	}
	it, _ := db.NewIter(IterOptions{})
	defer it.Close()
	it.First()
	if n := testing.AllocsPerRun(900, func() { it.Next() }); n > 0 {
		t.Errorf("Next: %v allocations", n)
	}
	if n := testing.AllocsPerRun(800, func() { it.Prev() }); n > 0 {
		t.Errorf("Prev: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { it.SeekGE(k) }); n > 0 {
		t.Errorf("SeekGE: %v allocations", n)
	}
}

func TestTooLarge(t *testing.T) {
	db := mustOpenDB(t, vfs.NewMem(), quietOptions())
	defer db.Close()
	b := db.NewBatch()
	b.Set([]byte("a"), []byte("1"))
	b.Set(make([]byte, 1<<16), nil)
	if err := db.Apply(b); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Apply = %v", err)
	}
	if _, err := db.Get([]byte("a"), nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("part of a refused batch is there: %v", err)
	}
	b.Reset()
	b.Set(make([]byte, 1<<16-1), make([]byte, 3<<20)) // larger than memtable and block
	if err := errors.Join(db.Apply(b), db.Flush()); err != nil {
		t.Fatal(err)
	}
	if got, err := db.Get(make([]byte, 1<<16-1), nil); err != nil || len(got) != 3<<20 {
		t.Errorf("Get = %d bytes, %v", len(got), err)
	}
}

func TestCheckpoint(t *testing.T) {
	fs := vfs.NewMem()
	db := mustOpenDB(t, fs, quietOptions())
	defer db.Close()
	if err := set(db, "a", "1"); err != nil {
		t.Fatal(err)
	}
	if err := db.Checkpoint("copies/one"); err != nil {
		t.Fatal(err)
	}
	if err := db.Checkpoint("copies/one"); !errors.Is(err, vfs.ErrExist) {
		t.Errorf("second checkpoint into one directory = %v", err)
	}
	// What happens later does not reach the copy, in either direction.
	if err := errors.Join(set(db, "a", "2"), db.Compact(nil, nil)); err != nil {
		t.Fatal(err)
	}
	o := quietOptions()
	o.Dir = "copies/one"
	copied := mustOpenDB(t, fs, o)
	if got, err := copied.Get([]byte("a"), nil); err != nil || string(got) != "1" {
		t.Errorf("Get from the copy = %q, %v", got, err)
	}
	if err := errors.Join(set(copied, "b", "1"), copied.Compact(nil, nil), copied.Close()); err != nil {
		t.Fatal(err)
	}
	if got, err := db.Get([]byte("a"), nil); err != nil || string(got) != "2" {
		t.Errorf("Get = %q, %v", got, err)
	}
}

// All memory outside the Go heap is given back when a database is closed, whatever was
// open at that time.
func TestCloseFreesMemory(t *testing.T) {
	before := offheap.InUse()
	db := mustOpenDB(t, vfs.NewMem(), Options{MemtableBytes: 256 << 10, Compression: S2})
	b := db.NewBatch()
	for i := range 20_000 {
		b.Set(fmt.Appendf(nil, "%06d", i), make([]byte, 100))
		if b.Len() == 100 {
			if err := db.Apply(b); err != nil {
				t.Fatal(err)
			}
			b.Reset()
		}
	}
	it, err := db.NewIter(IterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !it.SeekGE([]byte("000500")) {
		t.Fatal(it.Err())
	}
	if offheap.InUse() == before {
		t.Error("nothing is outside the Go heap")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 10 { // the iterator goes on with what it holds
		if !it.Next() {
			t.Fatalf("iterator of a closed database: %v", it.Err())
		}
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	if got := offheap.InUse(); got != before {
		t.Errorf("%d bytes are not given back", got-before)
	}
}
