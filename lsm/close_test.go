package lsm

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
)

// inTime fails the test if f does not return.
func inTime(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s does not return", what)
	}
}

// A request that comes after Close, or with it, is refused: it neither waits nor reads
// tables that are not mapped any more.
func TestUseAfterClose(t *testing.T) {
	for _, noWAL := range []bool{false, true} {
		db := mustOpenDB(t, vfs.NewMem(), Options{DisableWAL: noWAL})
		if err := errors.Join(set(db, "a", "1"), db.Flush()); err != nil {
			t.Fatal(err)
		}
		s := db.NewSnapshot()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		for what, use := range map[string]func() error{
			"Get":              func() error { _, err := db.Get([]byte("a"), nil); return err },
			"NewIter":          func() error { _, err := db.NewIter(IterOptions{}); return err },
			"Snapshot.Get":     func() error { _, err := s.Get([]byte("a"), nil); return err },
			"Snapshot.NewIter": func() error { _, err := s.NewIter(IterOptions{}); return err },
			"Apply":            func() error { return set(db, "a", "2") },
			"Admit":            db.Admit,
			"Flush":            db.Flush,
			"Compact":          func() error { return db.Compact(nil, nil) },
			"Verify":           db.Verify,
			"Checkpoint":       func() error { return db.Checkpoint("copy") },
			"Close":            db.Close,
		} {
			inTime(t, what, func() {
				if err := use(); !errors.Is(err, ErrClosed) {
					t.Errorf("no-wal=%v: %s after Close = %v, want %v", noWAL, what, err, ErrClosed)
				}
			})
		}
		s.Close()
		if m := db.Metrics(); m.LastSeq != 1 {
			t.Errorf("no-wal=%v: Metrics after Close = %+v", noWAL, m)
		}
	}
}

// Compact goes past a table that damage keeps in its place, in whatever level it is.
func TestCompactPassesDamage(t *testing.T) {
	img, _, o := sampleDatabase(t)
	for _, name := range slices.Sorted(maps.Keys(img)) {
		if !strings.HasSuffix(name, tableSuffix) {
			continue
		}
		broken := maps.Clone(img)
		broken[name] = []byte("not a table")
		db := mustOpenDB(t, broken.fs(t), o)
		inTime(t, "Compact with damage of "+name, func() {
			var damage *corrupt.Error
			if err := db.Compact(nil, nil); !errors.As(err, &damage) || damage.File != name {
				t.Errorf("Compact = %v, want damage of %s", err, name)
			}
		})
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Close waits for a compaction that a caller has asked for: it may not write or remove
// files when the next life has begun.
func TestCloseWaitsForCompact(t *testing.T) {
	inWorld(t, 1, func(e *env.Env) {
		slow, writing := false, false
		fs := vfs.NewInject(vfs.NewDisk(1), func(op vfs.Op) error {
			if slow && op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, tableSuffix) {
				writing = true
				e.Sleep(time.Second)
				writing = false
			}
			return nil
		})
		db := mustOpenIn(t, e, fs, Options{})
		for _, v := range []string{"1", "2"} { // tables that overlap are not just moved
			if err := errors.Join(set(db, "a", v), db.Flush()); err != nil {
				t.Fatal(err)
			}
		}
		slow = true
		e.Go("compact", func() { _ = db.Compact(nil, nil) })
		for !writing {
			e.Sleep(time.Millisecond)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if writing {
			t.Error("a compaction goes on behind Close")
		}
	})
}

func mustOpenIn(t *testing.T, e *env.Env, fs vfs.FS, o Options) *DB {
	t.Helper()
	db, err := Open(e, fs, o)
	if err != nil {
		t.Fatal(err)
	}
	return db
}
