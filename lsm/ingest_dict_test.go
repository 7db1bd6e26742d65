package lsm

import (
	"errors"
	"fmt"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

// Tables with a dictionary are ingested as they are: one twice, as the number that its
// dictionary is found by may not tell it apart, next to the database's own.
func TestIngestDictionary(t *testing.T) {
	fs := vfs.NewMem()
	o := Options{Dir: "db", Compression: ZstdDict, ValueThreshold: -1}
	f, err := NewTableFile(env.New(), fs, "load", o)
	if err != nil {
		t.Fatal(err)
	}
	const keys = 8000
	value := func(i int) []byte { return fmt.Appendf(nil, "value %d of a table that is large enough: %d", i, i*i*i) }
	for i := range keys {
		if err := f.Set(fmt.Appendf(nil, "key%05d", i), value(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Finish(); err != nil {
		t.Fatal(err)
	}
	db := mustOpenDB(t, fs, o)
	for range 2 {
		if err := errors.Join(db.Ingest("load"), set(db, "key00007", "between"), db.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	for _, round := range []string{"ingested", "opened again", "merged"} {
		if round == "opened again" {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = mustOpenDB(t, fs, o)
		}
		if round == "merged" {
			if err := db.Compact(nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		for i := range keys {
			want := string(value(i))
			if i == 7 {
				want = "between"
			}
			mustGet(t, db, fmt.Sprintf("key%05d", i), want)
		}
		if err := db.Verify(); err != nil {
			t.Errorf("%s: %v", round, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
