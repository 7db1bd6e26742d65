package raftlog

import (
	"errors"
	"testing"

	"go.etcd.io/raft/v3"

	"github.com/statordb/stator/internal/vfs"
)

// A replica that is removed and comes back must not vote twice in a term, nor
// take entries of a leader that it has left behind.
func TestRemovedReplicaKeepsItsPromises(t *testing.T) {
	fs := vfs.NewMem()
	l := openLog(t, fs, Options{})
	s := create(t, l, 1, 1, 2, 3)
	mustWrite(t, l, func(b *Batch) {
		b.HardState(s, HardState{7, 3, 0})
		b.Entry(s, newEntry(1, 6, "gone"))
	})
	if err := l.Remove(1); err != nil {
		t.Fatal(err)
	}
	reopen := func(want string) {
		t.Helper()
		for range 2 { // the second time from a checkpoint
			wantState(t, l, want)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = openLog(t, fs, Options{})
		}
	}
	reopen("1 retired term=7 vote=3 commit=0 voters=[] (0,t0]\n")
	if l.Storage(1) != nil || len(l.Groups()) != 0 || !l.Retired(1) || l.Retired(2) {
		t.Error("a removed group is still there, or not known to be retired")
	}
	if err := l.Remove(1); !errors.Is(err, ErrNoGroup) {
		t.Errorf("Remove of a removed group: %v, want ErrNoGroup", err)
	}
	s = create(t, l, 1)
	reopen("1 term=7 vote=3 commit=0 voters=[] (0,t0]\n")
	if err := l.Forget(1); err != nil || l.Storage(1) == nil || l.Retired(1) {
		t.Errorf("Forget of a running group: %v", err)
	}
	if err := l.Remove(1); err != nil {
		t.Fatal(err)
	}
	if err := l.Forget(1); err != nil {
		t.Fatal(err)
	}
	reopen("")
	// Whoever never promised anything leaves nothing behind.
	create(t, l, 2)
	if err := l.Remove(2); err != nil {
		t.Fatal(err)
	}
	reopen("")
}

// A snapshot switches entries, hard state and members in one step.
func TestRestored(t *testing.T) {
	fs := vfs.NewMem()
	l := openLog(t, fs, Options{})
	s := create(t, l, 1, 1, 2, 3)
	mustWrite(t, l, func(b *Batch) {
		b.HardState(s, HardState{2, 2, 0})
		b.Entry(s, newEntry(1, 1, "a"))
		b.Entry(s, newEntry(2, 2, "never committed"))
	})
	if s.Has(EntryID{5, 4}) || s.Has(EntryID{1, 2}) || !s.Has(EntryID{2, 2}) {
		t.Error("Has is wrong before the snapshot")
	}
	mustWrite(t, l, func(b *Batch) {
		b.Restored(s, EntryID{5, 4}, HardState{4, 0, 9}, members(1, 3, 4))
		b.Entry(s, newEntry(6, 4, "b"))
	})
	want := "1 term=4 vote=0 commit=5 voters=[1 3 4] (5,t4] 6/t4\n"
	for range 3 {
		wantState(t, l, want)
		l = openLog(t, fs, Options{})
		s = l.Storage(1)
		if !s.Has(EntryID{5, 4}) || !s.Has(EntryID{3, 3}) || s.Has(EntryID{5, 3}) || s.Has(EntryID{7, 4}) {
			t.Error("Has is wrong after the snapshot")
		}
	}
	wantLost(t, l.Recover(s, 4)) // the state machine must have the snapshot
	if err := l.Recover(s, 5); err != nil {
		t.Fatal(err)
	}
}

// A crash between the installation of a snapshot and the log's switch: Restore
// does what is left.
func TestRestoreAtStart(t *testing.T) {
	fs := vfs.NewMem()
	l := openLog(t, fs, Options{})
	s := create(t, l, 1, 1, 2, 3)
	mustWrite(t, l, func(b *Batch) {
		b.HardState(s, HardState{3, 2, 0})
		b.Entry(s, newEntry(1, 1, "a"))
		b.Entry(s, newEntry(2, 1, "b"))
	})
	if err := l.Restore(s, EntryID{5, 2}, members(4, 5)); err != nil {
		t.Fatal(err)
	}
	l = openLog(t, fs, Options{})
	wantState(t, l, "1 term=3 vote=2 commit=5 voters=[4 5] (5,t2]\n") // a vote of a later term stays
	if err := l.Restore(l.Storage(1), EntryID{8, 6}, members(4, 5)); err != nil {
		t.Fatal(err)
	}
	wantState(t, l, "1 term=6 vote=0 commit=8 voters=[4 5] (8,t6]\n")
}

// Entries that others may want stay while the log is short.
func TestSegmentsStayForOthers(t *testing.T) {
	l := openLog(t, vfs.NewMem(), Options{SegmentBytes: 16 << 10, KeepSegments: 4})
	alone, shared := create(t, l, 1, 1), create(t, l, 2, 1, 2, 3)
	collect := func(want int) {
		t.Helper()
		if err := l.Collect(1); err != nil || l.Live() != want {
			t.Fatalf("Collect: %v, %d segments live; want %d", err, l.Live(), want)
		}
	}
	l.Applied(alone, fillSegments(t, l, alone, 3), 1)
	collect(1)
	last := fillSegments(t, l, shared, 7)
	collect(7) // nothing of it is applied
	l.Applied(shared, last, 1)
	l.Keep(6)
	collect(6)
	l.Keep(4)
	collect(4)
	if first, _ := shared.FirstIndex(); first < last/4 || first > last*3/4 {
		t.Errorf("the log begins with %d of %d entries, want the last four segments of seven", first, last)
	}
	// When the group is gone, so is its claim at the latest with the others'.
	if err := l.Remove(2); err != nil {
		t.Fatal(err)
	}
	l.Applied(alone, fillSegments(t, l, alone, 8), 1)
	collect(1)
}

func TestCompact(t *testing.T) {
	l := openLog(t, vfs.NewMem(), Options{})
	s := create(t, l, 1, 1, 2, 3)
	mustWrite(t, l, func(b *Batch) {
		for i := uint64(1); i <= 6; i++ {
			b.Entry(s, newEntry(i, i, "x"))
		}
	})
	s.Compact(3)
	wantState(t, l, "1 term=0 vote=0 commit=0 voters=[1 2 3] (0,t0] 1/t1 2/t2 3/t3 4/t4 5/t5 6/t6\n") // not applied
	l.Applied(s, 4, 1)
	s.Compact(3)
	s.Compact(2)
	wantState(t, l, "1 term=0 vote=0 commit=0 voters=[1 2 3] (3,t3] 4/t4 5/t5 6/t6\n")
	if _, err := s.Entries(3, 5, 1000); err != raft.ErrCompacted {
		t.Errorf("Entries before the first: %v, want ErrCompacted", err)
	}
	l.Applied(s, 6, 1)
	s.Compact(100)
	wantState(t, l, "1 term=0 vote=0 commit=0 voters=[1 2 3] (6,t6]\n")
	mustWrite(t, l, func(b *Batch) { b.Entry(s, newEntry(7, 6, "x")) })
	wantState(t, l, "1 term=0 vote=0 commit=0 voters=[1 2 3] (6,t6] 7/t6\n")
}

// A checkpoint may count entries that a new leader replaces after it. A replay
// that began with that checkpoint would not know what precedes the new ones.
func TestReplacedEntriesKeepTheirSegment(t *testing.T) {
	fs := vfs.NewMem()
	o := Options{SegmentBytes: 16 << 10}
	l := openLog(t, fs, o)
	s, busy := create(t, l, 1, 1, 2, 3), create(t, l, 2, 1)
	mustWrite(t, l, func(b *Batch) {
		for i := uint64(1); i <= 4; i++ {
			b.Entry(s, newEntry(i, 1, "x"))
		}
	})
	l.Applied(s, 2, 1)
	l.Applied(busy, fillSegments(t, l, busy, 2), 1)
	mustWrite(t, l, func(b *Batch) { b.Entry(s, newEntry(3, 2, "y")) })
	l.Applied(s, 3, 1)
	if err := l.Collect(1); err != nil || l.Live() != 2 {
		t.Fatalf("Collect: %v, %d segments live; want 2", err, l.Live())
	}
	l = openLog(t, fs, o)
	s, busy = l.Storage(1), l.Storage(2)
	if err := errors.Join(l.Recover(s, 3), l.Recover(busy, busy.Last().Index)); err != nil {
		t.Fatal(err)
	}
	l.Applied(busy, fillSegments(t, l, busy, 4), 1)
	if err := l.Collect(1); err != nil || l.Live() != 1 {
		t.Fatalf("Collect: %v, %d segments live; want 1", err, l.Live())
	}
	l = openLog(t, fs, o)
	if got := l.Storage(1).Last(); got != (EntryID{3, 2}) {
		t.Errorf("the log ends with %v, want entry 3 of term 2", got)
	}
}

// Segments are removed one after the other. A crash in between may leave one first whose
// checkpoint counts entries that were replaced after it.
func TestCrashLeavesAStaleSegmentFirst(t *testing.T) {
	stale := 0
	for crashAt := 1; crashAt < 20; crashAt++ {
		d := vfs.NewDisk(1)
		o := Options{SegmentBytes: 16 << 10}
		l := openLog(t, d.Mount(), o)
		s, busy := create(t, l, 1, 1, 2, 3), create(t, l, 2, 1)
		mustWrite(t, l, func(b *Batch) {
			for i := uint64(1); i <= 4; i++ {
				b.Entry(s, newEntry(i, 1, "x"))
			}
		})
		l.Applied(s, 2, 1)
		fillSegments(t, l, busy, 3)
		mustWrite(t, l, func(b *Batch) {
			b.HardState(s, HardState{Term: 2})
			b.Entry(s, newEntry(3, 2, "y"))
			b.Entry(s, newEntry(4, 2, "y"))
		})
		l.Applied(s, 4, 1)
		l.Applied(busy, fillSegments(t, l, busy, 5), 1)
		before := l.Live()
		d.CrashAt(crashAt, func() { d.Crash(vfs.LoseAll) })
		if l.Collect(1) == nil {
			break // it has got through
		}
		d.CrashAt(0, nil)
		l = openLog(t, d.Mount(), o)
		s, busy = l.Storage(1), l.Storage(2)
		if l.Live() < before && l.segments[0].id == 3 {
			stale++
		}
		if got := s.Last(); got != (EntryID{4, 2}) {
			t.Errorf("crash at operation %d: the log ends with %v, want entry 4 of term 2", crashAt, got)
		}
		if err := errors.Join(l.Recover(s, 4), l.Recover(busy, busy.Last().Index)); err != nil {
			t.Errorf("crash at operation %d: %v", crashAt, err)
		}
		mustWrite(t, l, func(b *Batch) { b.Entry(s, newEntry(5, 2, "z")) })
	}
	if stale == 0 {
		t.Error("no crash has left a stale segment first")
	}
}

// Without what a state machine must have applied, such a log is lost.
func TestStaleSegmentNeedsTheEntriesBefore(t *testing.T) {
	s := newStorage(openLog(t, vfs.NewMem(), Options{}), 1)
	s.base, s.last, s.hard = EntryID{48, 2}, EntryID{48, 2}, HardState{Term: 2, Commit: 37}
	for _, id := range []EntryID{{37, 3}, {48, 2}, {49, 3}} {
		if s.rebase(id) {
			t.Errorf("entry %v replaces one before %v, of which entry 37 is committed", id, s.base)
		}
	}
	if !s.rebase(EntryID{46, 3}) || s.last != (EntryID{46, 3}) {
		t.Errorf("the log ends with %v, want entry 46 of term 3", s.last)
	}
	if err := s.log.Recover(s, 45); !errors.Is(err, ErrLost) {
		t.Errorf("with 45 entries applied: %v, want ErrLost", err)
	}
	if err := s.log.Recover(s, 46); err != nil {
		t.Error(err)
	}
}
