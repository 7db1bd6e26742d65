package raftlog

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"go.etcd.io/raft/v3"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
)

func openLog(t *testing.T, fs vfs.FS, o Options) *Log {
	t.Helper()
	l, err := openLogErr(fs, o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func openLogErr(fs vfs.FS, o Options) (*Log, error) {
	o.NodeID, o.Dir = 1, "raft"
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 1 << 20
	}
	return Open(env.New(), fs, o)
}

func create(t *testing.T, l *Log, id GroupID, voters ...uint64) *Storage {
	t.Helper()
	s, err := l.Create(id, members(voters...))
	if err != nil {
		t.Fatalf("Create(%d): %v", id, err)
	}
	return s
}

// write reserves and writes a batch as a worker does.
func write(l *Log, fill func(b *Batch)) error {
	var b Batch
	fill(&b)
	if err := l.Reserve(&b, b.diskBytes()); err != nil {
		return err
	}
	return l.Write(&b, true)
}

func mustWrite(t *testing.T, l *Log, fill func(b *Batch)) {
	t.Helper()
	if err := write(l, fill); err != nil {
		t.Fatalf("Write: %v", err)
	}
}

// describe prints what the log knows, one line per group, as in
//
//	3 relaxed term=2 vote=1 commit=0 (1,t1] 2/t1 3/t2
func (l *Log) describe() string {
	var b strings.Builder
	for _, s := range l.storages() {
		fmt.Fprintf(&b, "%d ", s.id)
		if s.relaxed {
			b.WriteString("relaxed ")
		}
		if s.retired {
			b.WriteString("retired ")
		}
		fmt.Fprintf(&b, "term=%d vote=%d commit=%d voters=%v (%d,t%d]", s.hard.Term, s.hard.Vote, s.hard.Commit, s.members.GetVoters(), s.base.Index, s.base.Term)
		for i := s.base.Index + 1; i <= s.last.Index; i++ {
			term, err := s.Term(i)
			fmt.Fprintf(&b, " %d/t%d", i, term)
			if err != nil {
				fmt.Fprintf(&b, "(%v)", err)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func wantState(t *testing.T, l *Log, want string) {
	t.Helper()
	if got := l.describe(); got != want {
		t.Errorf("log holds\n%swant\n%s", got, want)
	}
}

func TestReplay(t *testing.T) {
	fs := vfs.NewMem()
	l := openLog(t, fs, Options{})
	a, b := create(t, l, 2, 1), create(t, l, 9, 1, 2, 3)
	mustWrite(t, l, func(w *Batch) {
		w.HardState(a, HardState{1, 1, 0})
		w.Entry(a, newEntry(1, 1, "a1"))
		w.Entry(a, newEntry(2, 1, "a2"))
		w.HardState(b, HardState{3, 2, 0})
		w.Entry(b, newEntry(1, 3, "b1"))
		w.Entry(b, newEntry(2, 3, "b2"))
		w.Entry(b, newEntry(3, 3, "b3"))
	})
	// A new leader of b overwrites what was not committed.
	mustWrite(t, l, func(w *Batch) {
		w.HardState(b, HardState{4, 0, 1})
		w.Entry(b, newEntry(2, 4, "b2'"))
	})
	c := create(t, l, 5, 1)
	mustWrite(t, l, func(w *Batch) { w.Entry(c, newEntry(1, 1, "c1")) })
	if err := l.Remove(5); err != nil {
		t.Fatal(err)
	}
	want := "2 term=1 vote=1 commit=0 voters=[1] (0,t0] 1/t1 2/t1\n" +
		"9 term=4 vote=0 commit=1 voters=[1 2 3] (0,t0] 1/t3 2/t4\n"
	wantState(t, l, want)
	for range 2 { // the second time from a checkpoint
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = openLog(t, fs, Options{})
		wantState(t, l, want)
		if err := l.Remove(5); !errors.Is(err, ErrNoGroup) {
			t.Errorf("Remove of a removed group: %v, want ErrNoGroup", err)
		}
		create(t, l, 5, 1)
		if err := l.Remove(5); err != nil {
			t.Fatal(err)
		}
	}
	got, err := l.Storage(9).Entries(1, 3, math.MaxUint64)
	if err != nil || len(got) != 2 || string(got[0].GetData()) != "b1" || string(got[1].GetData()) != "b2'" {
		t.Errorf("entries of group 9 = %v, %v; want b1 and b2'", got, err)
	}
}

func TestEntriesComeFromMemoryAndDisk(t *testing.T) {
	fs := vfs.NewMem()
	l := openLog(t, fs, Options{})
	s := create(t, l, 1, 1)
	for i := uint64(1); i <= 10; i++ {
		mustWrite(t, l, func(w *Batch) { w.Entry(s, newEntry(i, 1, strings.Repeat("x", int(i)))) })
	}
	l.Applied(s, 4, 1)
	if n := len(s.window); n != 6 {
		t.Errorf("%d entries in memory, want the 6 that are not applied", n)
	}
	check := func(lo, hi, maxSize uint64, want int) {
		t.Helper()
		got, err := s.Entries(lo, hi, maxSize)
		if err != nil || len(got) != want {
			t.Fatalf("Entries(%d, %d, %d) = %d entries, %v; want %d", lo, hi, maxSize, len(got), err, want)
		}
		for i, e := range got {
			if e.GetIndex() != lo+uint64(i) || len(e.GetData()) != int(e.GetIndex()) {
				t.Errorf("Entries(%d, %d)[%d] = index %d, %d bytes", lo, hi, i, e.GetIndex(), len(e.GetData()))
			}
		}
	}
	check(5, 11, math.MaxUint64, 6) // memory
	check(5, 11, 0, 1)              // at least one
	check(5, 11, 100, 2)            // 45 + 46 bytes
	check(1, 5, math.MaxUint64, 4)  // disk
	check(1, 5, 0, 1)
	check(1, 11, math.MaxUint64, 4) // stops where memory begins
	if _, err := s.Entries(5, 12, math.MaxUint64); err != raft.ErrUnavailable {
		t.Errorf("Entries behind the end: %v, want ErrUnavailable", err)
	}
	if _, err := s.Term(11); err != raft.ErrUnavailable {
		t.Errorf("Term behind the end: %v, want ErrUnavailable", err)
	}
}

// A new leader's entries replace those in memory, too.
func TestOverwriteInMemory(t *testing.T) {
	l := openLog(t, vfs.NewMem(), Options{})
	s := create(t, l, 1, 1, 2, 3)
	mustWrite(t, l, func(w *Batch) {
		for i := uint64(1); i <= 5; i++ {
			w.Entry(s, newEntry(i, 1, "old"))
		}
	})
	l.Applied(s, 2, 1)
	mustWrite(t, l, func(w *Batch) { w.Entry(s, newEntry(4, 2, "new")) })
	got, err := s.Entries(3, 5, math.MaxUint64)
	if err != nil || len(got) != 2 || string(got[0].GetData()) != "old" || string(got[1].GetData()) != "new" {
		t.Errorf("Entries(3, 5) = %v, %v; want an old and a new one", got, err)
	}
	if s.Last() != (EntryID{4, 2}) || len(s.window) != 2 {
		t.Errorf("log ends with %v and has %d entries in memory, want {4 2} and 2", s.Last(), len(s.window))
	}
	var b Batch
	b.Entry(s, newEntry(2, 3, "too late"))
	if err := l.Write(&b, true); !errors.Is(err, ErrFailed) {
		t.Errorf("overwriting an applied entry: %v, want ErrFailed", err)
	}
}

// A hard state that comes with entries may say that they are committed. A crash
// between the two must not look like a lost log.
func TestHardStateNeverExceedsTheLog(t *testing.T) {
	fs := vfs.NewMem()
	l := openLog(t, fs, Options{})
	s := create(t, l, 1, 1, 2, 3)
	mustWrite(t, l, func(w *Batch) { w.HardState(s, HardState{3, 2, 7}) }) // and entries 1 to 7, torn off
	l = openLog(t, fs, Options{})
	if err := l.Recover(l.Storage(1), 0); err != nil {
		t.Errorf("Recover: %v", err)
	}
	if got := l.Storage(1).Hard(); got != (HardState{3, 2, 0}) {
		t.Errorf("hard state is %+v, want term 3, vote 2, commit 0", got)
	}
}

// fillSegments writes entries of 1 KB until there are n segments.
func fillSegments(t *testing.T, l *Log, s *Storage, n int) (last uint64) {
	t.Helper()
	for last = s.Last().Index; l.Live() < n; {
		last++
		mustWrite(t, l, func(w *Batch) { w.Entry(s, newEntry(last, 1, strings.Repeat("x", 1000))) })
	}
	return last
}

func TestSegmentsGoOnceFlushed(t *testing.T) {
	fs := vfs.NewMem()
	o := Options{SegmentBytes: 16 << 10}
	l := openLog(t, fs, o)
	idle, busy := create(t, l, 1, 1), create(t, l, 2, 1)
	mustWrite(t, l, func(w *Batch) { w.Entry(idle, newEntry(1, 1, "one")) })
	last := fillSegments(t, l, busy, 5)
	collect := func(flushed uint64, want int) {
		t.Helper()
		if err := l.Collect(flushed); err != nil {
			t.Fatalf("Collect: %v", err)
		}
		if got := l.Live(); got != want {
			t.Fatalf("%d segments live, want %d", got, want)
		}
	}
	l.Applied(busy, last, 100)
	collect(1000, 5) // idle's entry is not applied
	l.Applied(idle, 1, 101)
	collect(0, 5)
	collect(100, 5) // idle's entry is applied but not flushed
	collect(101, 1)
	if first, _ := busy.FirstIndex(); first < last-15 {
		t.Errorf("first entry is %d after %d were removed", first, last)
	}
	if _, err := busy.Entries(1, 2, 1); err != raft.ErrCompacted {
		t.Errorf("removed entry: %v, want ErrCompacted", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openLog(t, fs, o)
	s := l.Storage(2)
	if err := l.Recover(s, last); err != nil {
		t.Fatalf("Recover: %v", err)
	}
	if s.Last() != (EntryID{last, 1}) {
		t.Errorf("busy group ends with %v, want %d", s.Last(), last)
	}
	mustWrite(t, l, func(w *Batch) { w.Entry(s, newEntry(last+1, 1, "more")) })
}

// A group whose entries were all removed must come back with its last index,
// its vote and its term, from the checkpoint alone.
func TestCheckpointCarriesIdleGroups(t *testing.T) {
	fs := vfs.NewMem()
	o := Options{SegmentBytes: 16 << 10}
	l := openLog(t, fs, o)
	idle, busy := create(t, l, 1, 1), create(t, l, 2, 1)
	mustWrite(t, l, func(w *Batch) {
		w.HardState(idle, HardState{7, 3, 0})
		w.Entry(idle, newEntry(1, 6, "one"))
		w.Entry(idle, newEntry(2, 7, "two"))
	})
	l.Applied(idle, 2, 1)
	last := fillSegments(t, l, busy, 3)
	l.Applied(busy, last, 2)
	if err := l.Collect(2); err != nil || l.Live() != 1 {
		t.Fatalf("Collect: %v, %d segments live; want 1", err, l.Live())
	}
	for range 3 {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = openLog(t, fs, o)
		want := "1 term=7 vote=3 commit=2 voters=[1] (2,t7]\n"
		if got, _, _ := strings.Cut(l.describe(), "2 term"); got != want {
			t.Fatalf("idle group is %q, want %q", got, want)
		}
		fillSegments(t, l, l.Storage(2), l.Live()+1)
	}
}

func TestRemovedGroupPinsNothing(t *testing.T) {
	fs := vfs.NewMem()
	l := openLog(t, fs, Options{SegmentBytes: 16 << 10})
	gone, busy := create(t, l, 1, 1), create(t, l, 2, 1)
	mustWrite(t, l, func(w *Batch) { w.Entry(gone, newEntry(1, 1, "never applied")) })
	l.Applied(busy, fillSegments(t, l, busy, 3), 1)
	if err := l.Collect(1); err != nil || l.Live() != 3 {
		t.Fatalf("Collect: %v, %d segments live; want 3", err, l.Live())
	}
	if err := l.Remove(1); err != nil {
		t.Fatal(err)
	}
	if err := l.Collect(1); err != nil || l.Live() != 1 {
		t.Fatalf("Collect after Remove: %v, %d segments live; want 1", err, l.Live())
	}
}

// Trap: the state machine is flushed with entries whose commit index never
// became durable. Raft panics if Applied exceeds Commit.
func TestCommitIsRaisedToApplied(t *testing.T) {
	fs := vfs.NewMem()
	l := openLog(t, fs, Options{})
	s := create(t, l, 1, 1)
	mustWrite(t, l, func(w *Batch) {
		w.HardState(s, HardState{1, 1, 0})
		w.Entry(s, newEntry(1, 1, "a"))
		w.Entry(s, newEntry(2, 1, "b"))
	})
	l = openLog(t, fs, Options{})
	s = l.Storage(1)
	if err := l.Recover(s, 2); err != nil {
		t.Fatalf("Recover: %v", err)
	}
	hs, _, _ := s.InitialState()
	if hs.GetCommit() != 2 {
		t.Errorf("Commit = %d, want 2", hs.GetCommit())
	}
	if _, err := raft.NewRawNode(&raft.Config{ID: 1, ElectionTick: 10, HeartbeatTick: 1, Storage: s, Applied: 2, MaxInflightMsgs: 1}); err != nil {
		t.Error(err)
	}
}

// wantLost checks that err is the typed refusal, and that it names a file.
func wantLost(t *testing.T, err error) {
	t.Helper()
	var where *corrupt.Error
	if !errors.Is(err, ErrLost) || !errors.As(err, &where) {
		t.Fatalf("error %v, want ErrLost with a corrupt.Error", err)
	}
	if !strings.HasPrefix(where.File, "raft/raft-") || where.Offset == 0 {
		t.Errorf("the error names %s offset %d", where.File, where.Offset)
	}
}

// Trap: a log that ends below what is known to be committed has lost data. To
// lower Commit instead would make the replica forget acknowledged entries.
func TestLostLogIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	l := openLog(t, fs, Options{SegmentBytes: 16 << 10})
	short, gone, busy := create(t, l, 1, 1), create(t, l, 2, 1), create(t, l, 3, 1)
	mustWrite(t, l, func(w *Batch) {
		w.Entry(short, newEntry(1, 1, "a"))
		w.Entry(gone, newEntry(1, 1, "a"))
		// What HardState would never write:
		w.buf = appendHardState(w.buf, 3, HardState{1, 1, 9})
		w.add(item{s: busy, hard: HardState{1, 1, 9}})
	})
	l = openLog(t, fs, Options{SegmentBytes: 16 << 10})
	wantLost(t, l.Recover(l.Storage(1), 2)) // applied > last
	wantLost(t, l.Recover(l.Storage(3), 0)) // commit > last

	fs = vfs.NewMem()
	l = openLog(t, fs, Options{SegmentBytes: 16 << 10})
	s := create(t, l, 1, 1)
	l.Applied(s, fillSegments(t, l, s, 3), 1)
	if err := l.Collect(1); err != nil {
		t.Fatal(err)
	}
	l = openLog(t, fs, Options{SegmentBytes: 16 << 10})
	wantLost(t, l.Recover(l.Storage(1), 1)) // the state machine was thrown back too far
}

// In the modes that apply before they sync, a power cut may leave the state
// machine ahead of the log.
func TestRelaxedLogMayLagBehind(t *testing.T) {
	fs := vfs.NewMem()
	l := openLog(t, fs, Options{Relaxed: true})
	sole, shared := create(t, l, 1, 1), create(t, l, 2, 1, 2, 3)
	mustWrite(t, l, func(w *Batch) {
		w.HardState(sole, HardState{4, 1, 0})
		w.Entry(sole, newEntry(1, 4, "a"))
		w.Entry(shared, newEntry(1, 4, "a"))
	})
	l = openLog(t, fs, Options{}) // now strict, but it was written relaxed
	if err := l.Recover(l.Storage(1), 5); err != nil {
		t.Fatalf("Recover: %v", err)
	}
	wantLost(t, l.Recover(l.Storage(2), 5))
	l = openLog(t, fs, Options{})
	wantState(t, l, "1 relaxed term=4 vote=1 commit=5 voters=[1] (5,t4]\n"+
		"2 relaxed term=0 vote=0 commit=0 voters=[1 2 3] (0,t0] 1/t4\n")
	s := l.Storage(1)
	if err := l.Recover(s, 5); err != nil {
		t.Fatalf("second Recover: %v", err)
	}
	mustWrite(t, l, func(w *Batch) { w.Entry(s, newEntry(6, 5, "b")) })
	if s.relaxed {
		t.Error("a group that was recovered in strict mode is still relaxed")
	}
}

// Groups that existed when the mode became relaxed are marked so before any of
// them gets an entry, whether it was recovered by then or not; and the mark is
// durable before the entry can be applied.
func TestModeChangeIsRecorded(t *testing.T) {
	disk := vfs.NewDisk(1)
	l := openLog(t, disk, Options{})
	create(t, l, 1, 1)
	create(t, l, 2, 1)
	l = openLog(t, disk, Options{Relaxed: true})
	for _, id := range []GroupID{2, 1} {
		s := l.Storage(id)
		if err := l.Recover(s, 0); err != nil {
			t.Fatal(err)
		}
		var b Batch
		b.Entry(s, newEntry(1, 1, "a"))
		if err := l.Write(&b, false); err != nil {
			t.Fatal(err)
		}
	}
	disk.Crash(vfs.LoseAll)
	l = openLog(t, disk, Options{})
	for _, id := range []GroupID{2, 1} {
		if err := l.Recover(l.Storage(id), 3); err != nil {
			t.Errorf("Recover: %v", err)
		}
	}
}

func TestLogOfAnotherNode(t *testing.T) {
	fs := vfs.NewMem()
	l := openLog(t, fs, Options{})
	create(t, l, 1, 1)
	if _, err := Open(env.New(), fs, Options{NodeID: 2, Dir: "raft"}); !errors.Is(err, ErrWrongNode) {
		t.Errorf("Open by node 2: %v, want ErrWrongNode", err)
	}
}
