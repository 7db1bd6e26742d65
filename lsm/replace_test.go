package lsm

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

func stagedFiles(t *testing.T, fs vfs.FS) (staged []string) {
	t.Helper()
	names, err := fs.List("")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, stagedSuffix) {
			staged = append(staged, name)
		}
	}
	return staged
}

// TestReplaceGivesBack: tables within the spans go in the step that brings the new ones,
// which come to the place of the old ones and not on top of them; a snapshot
// from before, also one that is opened at the last moment, sees what it saw.
func TestReplaceGivesBack(t *testing.T) {
	fs := vfs.NewMem()
	db := mustOpenDB(t, fs, Options{NoPreallocate: true, TableBytes: 1 << 10, Compaction: idle{}, Facets: testFacets})
	for i := range 300 {
		if err := set(db, fmt.Sprintf("%03d", i), strings.Repeat("o", 50)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(db.Flush(), db.Compact(nil, nil)); err != nil {
		t.Fatal(err)
	}
	for _, withSnapshot := range []bool{false, true} {
		old := map[string]bool{}
		for _, meta := range db.current.Load().version.meta.All() {
			old[meta.Num.String()] = true
		}
		r, err := db.Replace(KeySpan{[]byte("050"), []byte("100")}, KeySpan{[]byte("200"), []byte("250")})
		if err != nil {
			t.Fatal(err)
		}
		value := fmt.Sprint("new ", withSnapshot)
		for i := 50; i < 250; i += 2 {
			err := r.Set(fmt.Appendf(nil, "%03d", i), []byte(value))
			if isWithin := i < 100 || i >= 200; isWithin != (err == nil) {
				t.Fatalf("Set(%03d): %v", i, err)
			} else if !isWithin {
				r.err = nil
			}
		}
		var s *Snapshot
		if err := r.Commit(func() error {
			if withSnapshot {
				s = db.NewSnapshot()
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for i := range 300 {
			k := fmt.Sprintf("%03d", i)
			switch isReplaced := i >= 50 && i < 100 || i >= 200 && i < 250; {
			case isReplaced && i%2 == 1:
				if v, err := db.Get([]byte(k), nil); !errors.Is(err, ErrNotFound) {
					t.Fatalf("%s = %q, %v, want none", k, v, err)
				}
			case isReplaced:
				mustGet(t, db, k, value)
				if s != nil {
					if v, err := s.Get([]byte(k), nil); string(v) != "new false" {
						t.Fatalf("a snapshot from before sees %s = %q, %v", k, v, err)
					}
				}
			default:
				mustGet(t, db, k, strings.Repeat("o", 50))
			}
		}
		v := db.current.Load().version.meta
		kept := 0
		for _, meta := range v.All() {
			if k := string(meta.Smallest.User); old[meta.Num.String()] && k >= "050" && k < "100" && string(meta.Largest.User) < "100" {
				kept++
			}
		}
		if !withSnapshot && (kept > 0 || len(v.Levels[0]) > 4) {
			t.Errorf("%d old tables are kept, %d are in level 0", kept, len(v.Levels[0]))
		}
		if s != nil {
			s.Close()
		}
	}
	if staged := stagedFiles(t, fs); len(staged) > 0 {
		t.Errorf("%v are left", staged)
	}
	if err := errors.Join(db.Verify(), db.Close()); err != nil {
		t.Error(err)
	}
}

// TestReplaceRefuses: spans that are not in order, and none.
func TestReplaceRefuses(t *testing.T) {
	db := mustOpenDB(t, vfs.NewMem(), Options{})
	defer db.Close()
	a, b, c := []byte("a"), []byte("b"), []byte("c")
	for _, spans := range [][]KeySpan{nil, {{b, a}}, {{a, a}}, {{b, c}, {a, b}}, {{a, c}, {b, c}}} {
		if _, err := db.Replace(spans...); !errors.Is(err, ErrSpans) {
			t.Errorf("Replace(%q): %v", spans, err)
		}
	}
}

// TestReplaceLeavesNothing: what a crash leaves of files that were staged is removed by the
// next Open.
func TestReplaceLeavesNothing(t *testing.T) {
	inWorld(t, 1, func(e *env.Env) {
		disk := vfs.NewDisk(1)
		db, err := Open(e, disk.Mount(), Options{NoPreallocate: true})
		if err != nil {
			panic(err)
		}
		r, err := db.Replace(KeySpan{[]byte("a"), []byte("b")})
		if err == nil {
			r.limit = 1
			err = errors.Join(r.Set([]byte("a1"), []byte("1")), r.Set([]byte("a2"), []byte("2")), disk.Mount().SyncDir(""))
		}
		if err != nil {
			panic(err)
		}
		if len(stagedFiles(t, disk.Mount())) == 0 {
			panic("nothing was staged")
		}
		disk.Crash(vfs.KeepPrefix)
		if db, err = Open(e, disk.Mount(), Options{NoPreallocate: true}); err != nil {
			panic(err)
		}
		if staged := stagedFiles(t, disk.Mount()); len(staged) > 0 {
			panic(fmt.Sprint("left: ", staged))
		}
		if _, err := db.Get([]byte("a1"), nil); !errors.Is(err, ErrNotFound) {
			panic(fmt.Sprint("a1: ", err))
		}
		if err := db.Close(); err != nil {
			panic(err)
		}
	})
}
