package lsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

// The model keeps what has expired. What the database shows may lack it, from some moment
// on: then it must not come back, nor an older value in its place. A snapshot shows
// always the same, so what it showed first is what all else is compared with.

// testExpiry has values of every third length expire at the time in their last eight bytes.
func testExpiry(user, value []byte) int64 {
	if n := len(value); n < 20 || n%3 != 0 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(value[len(value)-8:]))
}

// makeExpire gives a value the time at which it expires, soon, if it is one that expires.
func (t *tester) makeExpire(value []byte) {
	if t.gone != nil && len(value) >= 20 && len(value)%3 == 0 {
		now, _ := t.e.Wall()
		at := int64(now) + t.rng.Int64N(int64(1+t.rng.IntN(40))*int64(time.Millisecond))
		binary.LittleEndian.PutUint64(value[len(value)-8:], uint64(at))
	}
}

// apply adds operations to the model.
func (t *tester) apply(ops []operation) {
	t.model.apply(ops)
	for _, op := range ops {
		forget(t.gone, op)
	}
}

// forget takes out of gone what an operation writes.
func forget(gone map[string]bool, op operation) {
	if op.kind == ingested {
		for r := (batchReader{rest: op.value}); len(r.rest) > 0; {
			part, _ := r.next()
			forget(gone, part)
		}
		return
	}
	delete(gone, string(op.user))
}

func (t *tester) hasExpired(value string) bool {
	at := testExpiry(nil, []byte(value))
	now, _ := t.e.Wall()
	return at != 0 && at <= int64(now)
}

// isRelaxed reports whether a view may lack what has expired.
func (t *tester) isRelaxed(v view) bool {
	_, isDB := v.(*DB)
	return isDB && t.gone != nil
}

// expired notes that a key is not there any more.
func (t *tester) expired(k, v string) {
	t.check(t.hasExpired(v), "%s=%q is gone before it expires", k, v)
	t.gone[k] = true
}

// observe returns what an iterator finds, which may lack what has expired.
func (t *tester) observe(it *Iterator, content map[string]string) map[string]string {
	seen := map[string]string{}
	for ok := it.First(); ok; ok = it.Next() {
		k := string(it.Key())
		seen[k] = string(it.Value())
		t.check(!t.gone[k], "%s=%q came back", k, seen[k])
	}
	t.must(it.Err())
	for k, v := range content {
		if _, found := seen[k]; !found {
			t.expired(k, v)
		}
	}
	for k, v := range seen {
		t.check(content[k] == v, "%s=%q, want %q", k, v, content[k])
	}
	return seen
}

// seen returns what a new snapshot shows, and will show.
func (t *tester) seen(s *Snapshot, content map[string]string) map[string]string {
	if t.gone == nil {
		return content
	}
	it, err := s.NewIter(IterOptions{})
	t.must(err)
	defer it.Close()
	return t.observe(it, content)
}

// fixed returns a view that does not change while it is looked at, and what it shows.
func (t *tester) fixed(v view, content map[string]string) (_ view, _ map[string]string, done func()) {
	db, isDB := v.(*DB)
	if !isDB || t.gone == nil {
		return v, content, func() {}
	}
	s := db.NewSnapshot()
	return s, t.seen(s, maps.Clone(content)), s.Close
}

// Entries that have expired go, by merges that nothing else would cause, with all that is
// older of their keys; those that have not stay, and so does what a snapshot sees.
func TestExpiry(t *testing.T) {
	for name, policy := range map[string]Compaction{"leveled": Leveled{}, "tiered": Tiered{}, "lazy-leveled": LazyLeveled{}} {
		for _, threshold := range []int{-1, 1} {
			w := env.NewWorld(1, env.Options{})
			e := w.NewNode("n")
			if err := w.Do(e, "test", func() {
				expiryRun(t, e, Options{Compaction: policy, ValueThreshold: threshold, Expiry: testExpiry, TableBytes: 4 << 10, MemoryBytes: 8 << 20})
			}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			w.Close()
		}
	}
}

func expiryRun(t *testing.T, e *env.Env, o Options) {
	db, err := Open(e, vfs.NewDisk(1), o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now, _ := e.Wall()
	value := func(after time.Duration) []byte {
		v := make([]byte, 30)
		binary.LittleEndian.PutUint64(v[22:], uint64(now)+uint64(after))
		return v
	}
	write := func(make func(i int) []byte) {
		b := db.NewBatch()
		for i := range 100 {
			b.Set(fmt.Appendf(nil, "k%03d", i), make(i))
		}
		if err := errors.Join(db.Apply(b), db.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	write(func(int) []byte { return []byte("old and there for ever") })
	if err := db.Compact(nil, nil); err != nil {
		t.Fatal(err)
	}
	write(func(i int) []byte { return value(5*time.Minute + time.Duration(i/80)*20*time.Minute) }) // 80 after 5 minutes, 20 later
	if err := db.Compact(nil, nil); err != nil {
		t.Fatal(err)
	}
	count := func(v view) (n int) {
		it, err := v.NewIter(IterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer it.Close()
		for ok := it.First(); ok; ok = it.Next() {
			if len(it.Value()) != 30 {
				t.Fatalf("%s=%q is an older value", it.Key(), it.Value())
			}
			n++
		}
		return n
	}
	s := db.NewSnapshot()
	e.Sleep(6 * time.Minute)
	if n := count(db); n != 100 {
		t.Errorf("%d of 100 entries are left, though a snapshot sees them", n)
	}
	s.Close()
	e.Sleep(time.Minute)
	if n := count(db); n != 20 {
		t.Errorf("%d entries are left after five minutes, want 20", n)
	}
	e.Sleep(30 * time.Minute)
	if m := db.Metrics(); count(db) != 0 || m.Levels[6].Tables > 0 || m.Values.Files > 0 {
		t.Errorf("%d entries are left in the end, in %s", count(db), db.Levels())
	}
	if m := db.Metrics(); m.Expired < 80 {
		t.Errorf("%d versions expired", m.Expired)
	}
}

// A snapshot that is opened while a merge drops what has expired sees what it saw, before
// and after the merge is installed; one that is opened afterwards does not.
func TestSnapshotDuringExpiringMerge(t *testing.T) {
	w := env.NewWorld(1, env.Options{})
	defer w.Close()
	e := w.NewNode("n")
	if err := w.Do(e, "test", func() {
		var s *Snapshot
		var db *DB
		o := Options{Expiry: func(user, value []byte) int64 {
			if db != nil && len(db.running) > 0 && s == nil && string(user) == "k" { // a merge is under way
				s = db.NewSnapshot()
				if _, err := s.Get(user, nil); err != nil {
					t.Errorf("before the merge is installed: %v", err)
				}
			}
			return int64(user[0] - 'j') // k expires, j does not
		}}
		var err error
		if db, err = Open(e, vfs.NewDisk(1), o); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(set(db, "j", "v"), set(db, "k", "v"), db.Flush()); err != nil {
			t.Fatal(err)
		}
		for s == nil || len(db.running) > 0 || db.Metrics().Expired == 0 {
			e.Sleep(time.Second)
		}
		if _, err := db.Get([]byte("k"), nil); !errors.Is(err, ErrNotFound) {
			t.Errorf("the entry is still there: %v", err)
		}
		if v, err := s.Get([]byte("k"), nil); string(v) != "v" {
			t.Errorf("the snapshot lost what it saw: %q, %v", v, err)
		}
		it, err := s.NewIter(IterOptions{})
		if err != nil || !it.Last() || string(it.Key()) != "k" {
			t.Errorf("an iterator of the snapshot lost what it saw: %v", err)
		}
		it.Close()
		later := db.NewSnapshot()
		if _, err := later.Get([]byte("k"), nil); !errors.Is(err, ErrNotFound) {
			t.Errorf("a later snapshot sees what is gone: %v", err)
		}
		later.Close()
		s.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
}
