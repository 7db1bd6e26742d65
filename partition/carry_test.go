package partition

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/replication"
)

// TestSnapshotCarries: the snapshot of a partition that was split takes the child along that has not begun. A replica that was empty, or behind the
// split, then has what it would have by applying the split; one that has the child refuses, and a child that has begun stays behind.
func TestSnapshotCarries(t *testing.T) {
	log := someLog(t, 5, 220)
	source := openMember(t, openStore(t, vfs.NewMem()))
	source.apply(t, log, 200)
	if r := source.Apply(201, [][]byte{splitCommand(Split{At: 1 << 63, Child: 8, Voters: []uint64{1, 2, 3}})})[0].(*Result); r.Err != nil {
		t.Fatal(r.Err)
	}
	if !source.Carries() {
		t.Error("the child is not carried")
	}
	snapshot := func() [][]byte {
		reader, err := source.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		return readAll(t, reader)
	}
	meta, chunks := replication.SnapshotMeta{Index: 201, Term: 1}, snapshot()
	for _, applied := range []int{0, 90} {
		m := openMember(t, openStore(t, vfs.NewMem()))
		m.apply(t, log, applied)
		var told []uint64
		m.OnSplit(func(s *Split) {
			if s != nil {
				told = append(told, s.Child)
			}
		})
		if err := restore(m.Partition, meta, chunks); err != nil {
			t.Fatalf("behind at %d: %v", applied, err)
		}
		if len(told) != 1 || told[0] != 8 {
			t.Errorf("behind at %d: it is told of %v", applied, told)
		}
		if got, want := rowsOf(t, m.db), rowsOf(t, source.db); len(want) < 20 || !slices.Equal(got, want) {
			t.Errorf("behind at %d: %d rows, want %d", applied, len(got), len(want))
		}
		var children [2]*Partition
		for i, db := range []*member{source, m} {
			c, err := Open(db.db, 8)
			if err != nil {
				t.Fatal(err)
			}
			children[i] = c
		}
		want, got := children[0], children[1]
		if b := got.Birth(); b == nil || b.Parent != 7 || b.Index != 201 || len(b.Voters) != 3 || !got.IsNewborn() || got.restored != want.restored || !reflect.DeepEqual(got.State(), want.State()) || got.Config() == nil || got.Config().First != 1<<63 {
			t.Errorf("behind at %d: the child is %+v, %+v, want %+v", applied, b, got.State(), want.State())
		}
		if len(m.Held()) != 1 || !m.Carries() {
			t.Errorf("behind at %d: it holds %v", applied, m.Held())
		}
		if err := restore(m.Partition, meta, chunks); !errors.Is(err, ErrOverlap) {
			t.Errorf("behind at %d: a second time: %v", applied, err)
		}
	}
	source.ApplyMembers(202, []byte("others"))
	if _, err := source.Snapshot(); source.Carries() || err == nil {
		t.Errorf("members that may be no voters of the child are sent it, %v", err)
	}
	child, err := Open(source.db, 8)
	if err != nil {
		t.Fatal(err)
	}
	child.Apply(replication.SeedIndex+1, nil) // it has begun
	m := openMember(t, openStore(t, vfs.NewMem()))
	if err := restore(m.Partition, replication.SnapshotMeta{Index: 202, Term: 1, Members: []byte("others")}, snapshot()); err != nil || !source.Carries() {
		t.Fatal(err)
	}
	if c, err := Open(m.db, 8); err != nil || c.Config() != nil {
		t.Errorf("a child that has begun came along: %v, %v", c.Config(), err)
	}
}
