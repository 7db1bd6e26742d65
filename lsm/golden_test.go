package lsm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/statordb/stator/internal/vfs"
)

// A database that the first version of the engine left behind, killed while its last
// writes were in the log alone, opens and has all that was written:
//
//	set 0…299 "first", compacted into level 1, S2
//	set 100…199 "second", delete 150, delete range [20, 30), flushed
//	set 290…309 "third", delete 1, delete range [40, 50), in the log
//
// It keeps it when the present version has rewritten everything.
func TestOpensDatabaseOfVersion1(t *testing.T) {
	fs, err := vfs.NewOS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	copyInto(t, fs, filepath.Join("testdata", "database-v1"))
	for _, round := range []string{"as it was left", "flushed", "rewritten", "opened again"} {
		db := mustOpenDB(t, fs, Options{Compression: S2})
		checkVersion1(t, db, round)
		if round == "flushed" {
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
			checkVersion1(t, db, round)
		}
		if round == "rewritten" {
			if err := db.Compact(nil, nil); err != nil {
				t.Fatal(err)
			}
			checkVersion1(t, db, round)
		}
		if err := db.Verify(); err != nil {
			t.Errorf("%s: %v", round, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func copyInto(t *testing.T, fs vfs.FS, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		f, err := fs.Create(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(content, 0); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// version1Value is the value of key i, "" if there is none.
func version1Value(i int) string {
	tag := "first"
	switch {
	case i >= 290:
		tag = "third"
	case i == 1 || i == 150 || i >= 20 && i < 30 || i >= 40 && i < 50:
		return ""
	case i >= 100 && i < 200:
		tag = "second"
	}
	return fmt.Sprintf("%s of %d: %0*d", tag, i, i%50, i)
}

func checkVersion1(t *testing.T, db *DB, round string) {
	t.Helper()
	it, err := db.NewIter(IterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	ok := it.First()
	for i := range 310 {
		k, want := fmt.Sprintf("key%04d", i), version1Value(i)
		got, err := db.Get([]byte(k), nil)
		if string(got) != want || (want == "") != errors.Is(err, ErrNotFound) {
			t.Fatalf("%s: Get(%s) = %q, %v; want %q", round, k, got, err, want)
		}
		if want == "" {
			continue
		}
		if !ok || string(it.Key()) != k || string(it.Value()) != want {
			t.Fatalf("%s: iterator stands on %q = %q, %v; want %s = %q", round, it.Key(), it.Value(), it.Err(), k, want)
		}
		ok = it.Next()
	}
	if ok || it.Err() != nil {
		t.Fatalf("%s: behind the last key: %v, %v", round, ok, it.Err())
	}
}
