package lsm

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/compaction"
)

// putAll writes keys from..to-1 and flushes them.
func putAll(db *DB, from, to int, value string) {
	for i := from; i < to; i++ {
		must(set(db, fmt.Sprintf("key%04d", i), value))
	}
	must(db.Flush())
}

// FIFO drops what is older than its TTL although nobody writes, and nothing else.
func TestFIFOExpires(t *testing.T) {
	inWorld(t, 1, func(e *env.Env) {
		db, err := Open(e, vfs.NewMem(), Options{Compaction: FIFO{TTL: time.Minute}})
		must(err)
		putAll(db, 0, 10, "old")
		e.Sleep(40 * time.Second)
		putAll(db, 10, 20, "new")
		e.Sleep(15 * time.Second)
		got, err := db.Get([]byte("key0005"), nil)
		check(err == nil, "after 55 s: %q, %v", got, err)
		e.Sleep(15 * time.Second)
		_, err = db.Get([]byte("key0005"), nil)
		check(errors.Is(err, ErrNotFound), "after 70 s: %v", err)
		_, err = db.Get([]byte("key0015"), nil)
		check(err == nil, "30 s old: %v", err)
		check(db.Metrics().Drops == 1, "%d drops", db.Metrics().Drops)
		must(db.Close())

		// The time is in the manifest.
		db, err = Open(e, db.fs, Options{Compaction: FIFO{TTL: time.Minute}})
		must(err)
		e.Sleep(40 * time.Second)
		check(db.Levels() == "", "after 70 s more:\n%s", db.Levels())
		must(db.Close())
	})
}

// FIFO keeps so many bytes at most.
func TestFIFOIsBounded(t *testing.T) {
	inWorld(t, 1, func(e *env.Env) {
		const most = 20 << 10
		db, err := Open(e, vfs.NewMem(), Options{Compaction: FIFO{MaxBytes: most}, DisableWAL: true})
		must(err)
		for i := range 30 {
			putAll(db, 10*i, 10*i+10, strings.Repeat("x", 100))
			e.Sleep(time.Millisecond)
		}
		size := uint64(0)
		for _, l := range db.Metrics().Levels {
			size += l.Bytes
		}
		check(size <= most && size > most/2, "%d bytes\n%s", size, db.Levels())
		_, err = db.Get([]byte("key0299"), nil)
		check(err == nil, "newest: %v", err)
		_, err = db.Get([]byte("key0000"), nil)
		check(errors.Is(err, ErrNotFound), "oldest: %v", err)
		must(db.Close())
	})
}

// A tombstone goes when it is old, although nothing is too large.
func TestOldTombstonesGo(t *testing.T) {
	for _, policy := range []Compaction{Leveled{}, Tiered{}, LazyLeveled{}} {
		inWorld(t, 1, func(e *env.Env) {
			db, err := Open(e, vfs.NewMem(), Options{Compaction: policy, TombstoneAge: time.Minute})
			must(err)
			putAll(db, 0, 100, "value")
			must(db.Compact(nil, nil))
			b := db.NewBatch()
			b.DeleteRange([]byte("key0010"), []byte("key0020"))
			must(db.Apply(b))
			putAll(db, 5, 6, "again")
			s := db.NewSnapshot()
			defer s.Close()
			tombstones := func() (n uint64) {
				for _, meta := range db.current.Load().version.meta.All() {
					n += meta.Deletes + meta.RangeDeletes
				}
				return n
			}
			check(tombstones() == 1, "%T: %d tombstones", policy, tombstones())
			e.Sleep(2 * time.Minute)
			check(tombstones() == 0, "%T: %d old tombstones\n%s", policy, tombstones(), db.Levels())
			_, err = s.Get([]byte("key0015"), nil)
			check(errors.Is(err, ErrNotFound), "%T: the snapshot sees %v", policy, err)
			must(db.Close())
		})
	}
}

// Parts of one compaction share nothing and leave nothing out, range deletes across
// their bounds included.
func TestParts(t *testing.T) {
	o := quietOptions()
	o.TableBytes, o.CompactionConcurrency = 1<<10, 3
	db := mustOpenDB(t, vfs.NewMem(), o)
	defer db.Close()
	putAll(db, 0, 500, "first")
	b := db.NewBatch()
	b.DeleteRange([]byte("key0100"), []byte("key0400"))
	must(db.Apply(b))
	must(set(db, "key0250", "second"))
	s := db.NewSnapshot() // so that the range delete stays
	defer s.Close()
	must(db.Flush())
	c, err := db.claim(func(_ *version, v *compaction.View) *compaction.Pick {
		span, _ := spanWithin(v.Version, nil, nil)
		return v.Within(0, 1, span)
	})
	must(err)
	bounds, err := (&merging{db: db, c: c}).split()
	if err != nil || len(bounds) != 2 {
		t.Fatalf("cut at %q, %v, want two cuts", bounds, err)
	}
	must(db.compact(c))
	if m := db.Metrics(); m.Compactions != 1 || m.Levels[0].Tables != 0 || m.Levels[1].Tables < 3 {
		t.Fatalf("%s", db.Levels())
	}
	n := 0
	it, err := db.NewIter(IterOptions{})
	must(err)
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	if err := errors.Join(it.Err(), it.Close()); err != nil || n != 201 {
		t.Errorf("%d keys, %v, want 201", n, err)
	}
}

// What compaction owes slows writers down and does not stop them.
func TestDebtDelaysWriters(t *testing.T) {
	inWorld(t, 1, func(e *env.Env) {
		db, err := Open(e, vfs.NewMem(), Options{Compaction: idle{debt: 1 << 50}, NoPreallocate: true})
		must(err)
		began := e.Now()
		for i := range 100 {
			db.stuckL0.Store(false) // which the policy seems to be whenever it is asked
			must(set(db, fmt.Sprint(i), strings.Repeat("x", 100_000)))
		}
		stalls := db.Metrics().Stalls[StallDebt]
		check(stalls.Delays > 10 && stalls.Stops == 0 && stalls.Time > time.Second && e.Now().Sub(began) >= stalls.Time,
			"%+v in %v", stalls, e.Now().Sub(began))
		must(db.Close())
	})
}

// A merge pauses for a share of the time it has worked, if there are writers and it is not
// behind.
func TestPace(t *testing.T) {
	inWorld(t, 1, func(e *env.Env) {
		db, err := Open(e, vfs.NewMem(), Options{Compaction: idle{l0: 2}, NoPreallocate: true})
		must(err)
		step := func(p *pace) time.Duration {
			e.Sleep(10 * time.Millisecond) // the work
			db.metrics.userBytes.Add(1)
			began := e.Now()
			p.step(paceBytes)
			return e.Now().Sub(began).Round(100 * time.Microsecond)
		}
		check(step(&pace{}) == 0, "a pace without a database pauses")
		p := pace{db: db, resumed: e.Now()}
		check(step(&p) == 5*time.Millisecond, "no hurry: paused otherwise than for half")
		putAll(db, 0, 1, "a")
		putAll(db, 0, 1, "b")
		putAll(db, 0, 1, "c") // half way from 2 to slowL0 × 2
		check(step(&p) == 2500*time.Microsecond, "some hurry: paused otherwise than for a quarter")
		putAll(db, 0, 1, "d")
		check(step(&p) == 0, "a merge that is behind pauses")
		p = pace{db: db, resumed: e.Now(), userBytes: db.metrics.userBytes.Load()}
		e.Sleep(10 * time.Millisecond)
		began := e.Now()
		p.step(paceBytes)
		check(e.Now().Sub(began) < minPause, "a merge without writers pauses")
		must(db.Close())
	})
}

// A database that has just been opened knows its shape: Compact has an effect.
func TestCompactAfterOpen(t *testing.T) {
	fs := vfs.NewMem()
	db := mustOpenDB(t, fs, Options{})
	putAll(db, 0, 10, "old")
	putAll(db, 0, 10, "new")
	must(db.Close())
	db = mustOpenDB(t, fs, Options{})
	must(db.Compact(nil, nil))
	if m := db.Metrics(); m.Levels[0].Tables != 0 || m.Levels[6].Tables != 1 {
		t.Errorf("after Compact\n%s", db.Levels())
	}
	must(db.Close())
}
