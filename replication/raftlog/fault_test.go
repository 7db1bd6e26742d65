package raftlog

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
)

// A script is a fixed sequence of writes by two groups over several segments.
// It counts what was acknowledged.
type script struct {
	removed bool
	acked   uint64 // entries of group 1
	asked   uint64
}

const scriptEntries = 40

func (sc *script) run(fs vfs.FS) error {
	l, err := openLogErr(fs, Options{SegmentBytes: 12 << 10})
	if err != nil {
		return err
	}
	defer l.Close()
	s, err := l.Create(1, members(1))
	if err != nil {
		return err
	}
	if _, err := l.Create(2, members(1)); err != nil {
		return err
	}
	for i := uint64(1); i <= scriptEntries; i++ {
		sc.asked = i
		err := write(l, func(b *Batch) {
			b.HardState(s, HardState{i, 1, 0})
			b.Entry(s, newEntry(i, i, strings.Repeat("x", 500)))
		})
		if err != nil {
			return err
		}
		sc.acked = i
		if i == scriptEntries/2 {
			if err := l.Remove(2); err != nil {
				return err
			}
			sc.removed = true
		}
		l.Applied(s, i, i)
		if err := l.Collect(i / 2); err != nil {
			return err
		}
	}
	return l.Close()
}

// check opens the log again on a good disk.
func (sc *script) check(fs vfs.FS) error {
	l, err := openLogErr(fs, Options{SegmentBytes: 12 << 10})
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer l.Close()
	s := l.Storage(1)
	if s == nil {
		if sc.acked > 0 {
			return errors.New("acknowledged group is gone")
		}
		return nil
	}
	if last := s.Last().Index; last < sc.acked || last > sc.asked {
		return fmt.Errorf("log ends with entry %d; %d were acknowledged of %d", last, sc.acked, sc.asked)
	}
	if sc.removed && l.Storage(2) != nil {
		return errors.New("removed group is back")
	}
	first, _ := s.FirstIndex()
	for i := first; i <= s.Last().Index; i++ {
		e, err := s.Entries(i, i+1, 1)
		if err != nil || len(e[0].GetData()) != 500 || e[0].GetTerm() != i {
			return fmt.Errorf("entry %d: %v, %v", i, e, err)
		}
	}
	if err := l.Recover(s, max(sc.acked/2, first-1)); err != nil {
		return err
	}
	return write(l, func(b *Batch) { b.Entry(s, newEntry(s.Last().Index+1, 1000, "alive")) })
}

func TestScript(t *testing.T) {
	fs := vfs.NewMem()
	var sc script
	if err := sc.run(fs); err != nil {
		t.Fatal(err)
	}
	if err := sc.check(fs); err != nil {
		t.Fatal(err)
	}
}

// Every I/O call fails once. Whatever was acknowledged is there afterwards,
// and the log can be used again.
func TestEveryCallFailsOnce(t *testing.T) {
	for n := 1; ; n++ {
		fs := vfs.NewMem()
		calls, failed := 0, vfs.Op{}
		var sc script
		err := sc.run(vfs.NewInject(fs, func(op vfs.Op) error {
			if calls++; calls == n {
				failed = op
				return vfs.ErrIO
			}
			return nil
		}))
		if calls < n {
			t.Logf("%d calls", calls)
			return
		}
		if err == nil && sc.acked != scriptEntries {
			t.Fatalf("call %d (%+v) failed: no error, but %d entries acknowledged", n, failed, sc.acked)
		}
		if err := sc.check(fs); err != nil {
			t.Fatalf("call %d (%+v) failed: %v", n, failed, err)
		}
	}
}

// A power cut at every operation that changes the disk, in every mode.
func TestPowerCuts(t *testing.T) {
	for _, mode := range []vfs.CrashMode{vfs.LoseAll, vfs.KeepPrefix, vfs.TearSectors, vfs.TearGarbage, vfs.TearGarbage | vfs.AnyDirs} {
		for n := 1; ; n++ {
			disk := vfs.NewDisk(uint64(n))
			crashed := false
			disk.CrashAt(n, func() { crashed = true; disk.Crash(mode) })
			var sc script
			_ = sc.run(disk.Mount())
			if !crashed {
				break
			}
			if err := sc.check(disk.Mount()); err != nil {
				t.Fatalf("crash mode %d before operation %d: %v", mode, n, err)
			}
		}
	}
}

// Trap: damage is not a torn tail. In a log that was closed every byte counts.
func TestEveryByteOfAClosedLogIsChecked(t *testing.T) {
	disk := vfs.NewDisk(1)
	l := openLog(t, disk, Options{SegmentBytes: 8 << 10})
	s := create(t, l, 1, 1)
	fillSegments(t, l, s, 3)
	mustWrite(t, l, func(b *Batch) { b.HardState(s, HardState{3, 1, 2}) })
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := disk.List("raft")
	if err != nil || len(names) < 3 {
		t.Fatalf("segments %v, %v", names, err)
	}
	for _, base := range names {
		name := "raft/" + base
		bits := size(t, disk, name) * 8
		for bit := int64(0); bit < bits; bit += 37 {
			flip(t, disk, name, bit)
			l, err := openLogErr(disk, Options{})
			if err == nil {
				t.Fatalf("%s: bit %d is not checked; log holds\n%s", name, bit, l.describe())
			}
			var where *corrupt.Error
			if !errors.As(err, &where) || where.File != name {
				t.Fatalf("%s bit %d: error %v, want a corrupt.Error with the file's name", name, bit, err)
			}
			flip(t, disk, name, bit)
		}
	}
}

func flip(t *testing.T, disk *vfs.Disk, name string, bit int64) {
	t.Helper()
	if err := disk.FlipBit(name, bit); err != nil {
		t.Fatal(err)
	}
}

func size(t *testing.T, fs vfs.FS, name string) int64 {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A record that passes the wal's checks but makes no sense is damage, too.
func TestNonsenseIsCorruption(t *testing.T) {
	for name, payload := range map[string][]byte{
		"undecodable":            {99},
		"gap":                    appendEntry(nil, 1, newEntry(7, 1, "")),
		"entry of no group":      appendEntry(nil, 8, newEntry(1, 1, "")),
		"term goes back":         append(appendEntry(nil, 1, newEntry(2, 4, "")), "x"...),
		"group created twice":    appendCreated(nil, 1, false, members(1)),
		"removed twice":          appendRemoved(nil, 8),
		"checkpoint in a middle": appendCheckpoint(nil, 1, nil),
	} {
		fs := vfs.NewMem()
		l := openLog(t, fs, Options{})
		s := create(t, l, 1, 1)
		mustWrite(t, l, func(b *Batch) { b.Entry(s, newEntry(1, 5, "a")) })
		if _, err := l.wal.Append(payload); err != nil {
			t.Fatal(err)
		}
		_, err := openLogErr(fs, Options{})
		var where *corrupt.Error
		if !errors.As(err, &where) || where.File != "raft/raft-000001.log" || where.Offset <= 4096 {
			t.Errorf("%s: Open: %v, want a corrupt.Error with file and offset", name, err)
		}
	}
}

// A full disk refuses the reservation, before raft knows of anything, and
// nothing else has happened.
func TestFullDisk(t *testing.T) {
	disk := vfs.NewDisk(1)
	disk.SetCapacity(256 << 10)
	l := openLog(t, disk, Options{SegmentBytes: 64 << 10})
	s := create(t, l, 1, 1)
	next := uint64(1)
	entry := func(b *Batch) { b.Entry(s, newEntry(next, 1, strings.Repeat("x", 10_000))) }
	var err error
	for err == nil {
		if err = write(l, entry); err == nil {
			next++
		}
	}
	if !errors.Is(err, vfs.ErrNoSpace) || errors.Is(err, ErrFailed) {
		t.Fatalf("after %d entries: %v, want ErrNoSpace", next, err)
	}
	if next < 15 {
		t.Errorf("only %d entries of 10 kB fit into 256 KiB", next-1)
	}
	if err := write(l, entry); !errors.Is(err, vfs.ErrNoSpace) {
		t.Errorf("second try: %v, want ErrNoSpace", err)
	}
	if got := s.Last().Index; got != next-1 {
		t.Errorf("log ends with %d, want %d", got, next-1)
	}
	disk.SetCapacity(1 << 20)
	mustWrite(t, l, entry)
	next++

	// Space that the log itself gives back will do, too.
	free, total, err := disk.Usage()
	if err != nil {
		t.Fatal(err)
	}
	disk.SetCapacity(total - free)
	for err = nil; err == nil; {
		if err = write(l, entry); err == nil {
			next++
		}
	}
	l.Applied(s, next-1, 1)
	if err := l.Collect(1); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, l, entry)
}

// Workers that wait for the disk at the same time share one sync.
func TestWritersShareSyncs(t *testing.T) {
	w := env.NewWorld(1, env.Options{})
	defer w.Close()
	e := w.NewNode("n")
	disk := vfs.NewDisk(1)
	syncs := 0
	disk.OnOp(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync {
			syncs++
			e.Sleep(1e6)
		}
		return nil
	})
	const writers, writes = 8, 20
	err := w.Do(e, "test", func() {
		l, err := Open(e, disk, Options{NodeID: 1, Dir: "raft", SegmentBytes: 1 << 20})
		if err != nil {
			panic(err)
		}
		g := env.NewGroup(e)
		for i := range writers {
			g.Go("writer", func() error {
				s, err := l.Create(GroupID(i+1), members(1))
				for n := uint64(1); n <= writes && err == nil; n++ {
					err = write(l, func(b *Batch) { b.Entry(s, newEntry(n, 1, "x")) })
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			panic(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if syncs > writers*writes/3 {
		t.Errorf("%d syncs for %d writes of %d writers at once", syncs, writers*writes, writers)
	}
}

var update = flag.Bool("update", false, "write testdata anew")

// A log that an earlier version wrote can be read for ever.
func TestSamplesOfVersions(t *testing.T) {
	const current = "testdata/raft-v2.log"
	if *update {
		writeSample(t, current)
	}
	wantSample(t, "testdata/raft-v1.log", "3 relaxed term=5 vote=1 commit=4 voters=[1] (4,t4] 5/t5\n"+
		"300 term=9 vote=2 commit=0 voters=[1 2 3] (0,t0] 1/t9\n")
	wantSample(t, current, "3 relaxed term=5 vote=1 commit=4 voters=[1] (4,t4] 5/t5\n"+
		"300 term=9 vote=2 commit=70 voters=[2 3 4] (70,t9] 71/t9\n"+
		"301 retired term=3 vote=4 commit=0 voters=[] (0,t0]\n"+
		"302 term=8 vote=1 commit=0 voters=[] (0,t0]\n")
}

func wantSample(t *testing.T, sample, want string) {
	t.Helper()
	b, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	fs := vfs.NewMem()
	if err := fs.MkdirAll("raft"); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create("raft/raft-000002.log")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	wantState(t, openLog(t, fs, Options{}), want)
}

// writeSample makes a log whose second segment holds every kind of record.
func writeSample(t *testing.T, name string) {
	dir := t.TempDir()
	fs, err := vfs.NewOS(dir)
	if err != nil {
		t.Fatal(err)
	}
	l := openLog(t, fs, Options{Relaxed: true})
	s := create(t, l, 3, 1)
	mustWrite(t, l, func(b *Batch) { b.HardState(s, HardState{4, 1, 0}) })
	l = openLog(t, fs, Options{Relaxed: true}) // a new segment
	s = l.Storage(3)
	if err := l.skipTo(s, 4); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, l, func(b *Batch) {
		b.HardState(s, HardState{5, 1, 2})
		b.Entry(s, newEntry(5, 5, "the fifth entry"))
	})
	create(t, l, 4, 1)
	if err := l.Remove(4); err != nil {
		t.Fatal(err)
	}
	l.o.Relaxed = false
	s = create(t, l, 300, 1, 2, 3)
	mustWrite(t, l, func(b *Batch) {
		b.HardState(s, HardState{9, 2, 0})
		b.Entry(s, newEntry(1, 9, ""))
	})
	mustWrite(t, l, func(b *Batch) {
		b.Restored(s, EntryID{70, 9}, HardState{9, 2, 70}, members(2, 3, 4))
		b.Entry(s, newEntry(71, 9, "behind the snapshot"))
	})
	for id, hs := range []HardState{{3, 4, 0}, {8, 1, 0}} {
		id := GroupID(301 + id)
		s = create(t, l, id, 1, 2, 3)
		mustWrite(t, l, func(b *Batch) { b.HardState(s, hs) })
		if err := l.Remove(id); err != nil {
			t.Fatal(err)
		}
	}
	create(t, l, 302)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "raft/raft-000002.log"))
	if err == nil {
		err = os.MkdirAll("testdata", 0o755)
	}
	if err == nil {
		err = os.WriteFile(name, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
