package table

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

// TestCatalogSnapshot: a node that has missed the log has the catalog by a snapshot, in
// memory and on disk; what it keeps for itself alone stays.
func TestCatalogSnapshot(t *testing.T) {
	w := newWorld(t)
	w.create(indexed("a"))
	w.create(indexed("b"))
	source := w.catalog
	snapshot, err := source.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	meta := replication.SnapshotMeta{Index: source.Applied(), Term: 3, Members: []byte("members")}
	want, next := source.snapshot(), source.nextTable
	w.create(indexed("c")) // the snapshot is of before

	fs := vfs.NewMem()
	open := func() (*catalog, *lsm.DB) {
		db, err := lsm.Open(env.New(), fs, partition.StoreOptions(lsm.Options{DisableWAL: true}))
		if err != nil {
			t.Fatal(err)
		}
		c, err := openCatalog(db)
		if err != nil {
			t.Fatal(err)
		}
		return c, db
	}
	c, db := open()
	b := db.NewBatch()
	local := []byte{partition.SpaceCatalog, catalogLocal, 1}
	b.Set(local, []byte("mine"))
	b.Set(tableKey(77), []byte("of a table that was dropped since"))
	if err := db.Apply(b); err != nil {
		t.Fatal(err)
	}
	told := 0
	c.watcher = func() { told++ }
	to, err := c.Restore(meta)
	if err != nil {
		t.Fatal(err)
	}
	for {
		chunk, err := snapshot.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = to.Write(chunk)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := to.Commit(); err != nil {
		t.Fatal(err)
	}
	if told != 1 {
		t.Errorf("the watcher was told %d times", told)
	}
	for range 2 {
		index, term := c.Restored()
		if c.Applied() != meta.Index || index != meta.Index || term != 3 || string(c.Members()) != "members" || c.Err() != nil {
			t.Errorf("applied %d, restored %d %d, members %q, broken %v", c.Applied(), index, term, c.Members(), c.Err())
		}
		if got := c.snapshot(); !slices.Equal(got.keys, want.keys) || c.nextTable != next {
			t.Errorf("tables %q, next %d, want %q, %d", got.keys, c.nextTable, want.keys, next)
		}
		if v, err := db.Get(local, nil); err != nil || string(v) != "mine" {
			t.Errorf("what is the node's own: %q, %v", v, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		c, db = open()
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
