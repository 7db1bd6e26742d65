package wal

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/statordb/stator/internal/vfs"
)

// Each I/O call of a short life fails once. Whatever the call was, reopening
// shows all that was acknowledged and nothing that was never appended.
func TestEveryCallFailsOnce(t *testing.T) {
	for _, cause := range []error{vfs.ErrIO, vfs.ErrNoSpace} {
		for n := 1; ; n++ {
			calls, failed := 0, ""
			mem := vfs.NewMem()
			must(t, mem.MkdirAll("log"))
			fs := vfs.NewInject(mem, func(op vfs.Op) error {
				if calls++; calls == n {
					failed = fmt.Sprintf("call %d, %s %s: %v", n, op.Kind, op.Name, cause)
					return cause
				}
				return nil
			})
			var l life
			l.run(t, fs)
			if calls < n {
				break // all calls have had their turn
			}
			got, err := replayed(mustOpen(t, clone(t, mem, "log"), small), 0)
			if err != nil || !l.allows(got) {
				t.Fatalf("%s: replay = %q, %v after %+v", failed, got, err, l)
			}
		}
	}
}

// A life is what a test did with a log until its first error.
type life struct {
	appended []string
	acked    int // this many are durable
	removed  int // this many may have been removed
}

func (l *life) run(t *testing.T, fs vfs.FS) {
	log, err := Open(fs, small)
	if err != nil {
		return
	}
	defer func() {
		works := log.Err() == nil
		if log.Close() == nil && works {
			l.acked = len(l.appended) // a clean close makes all durable
		}
	}()
	for i := range 12 {
		p := fmt.Sprintf("record %d", i)
		err := log.append1(p)
		if err == nil || log.Err() != nil {
			l.appended = append(l.appended, p) // or perhaps
		}
		if err != nil {
			return
		}
		if err := log.Sync(); err != nil {
			if !errors.Is(log.append1(p), ErrFailed) {
				t.Errorf("append after a failed sync was taken")
			}
			return
		}
		l.acked = len(l.appended)
		if i%4 != 3 {
			continue
		}
		id, err := log.Rotate()
		if err != nil {
			return
		}
		if i == 7 {
			l.removed = len(l.appended)
			if log.RemoveBefore(id) != nil {
				return
			}
		}
	}
}

// allows reports whether a recovered log may hold these records.
func (l *life) allows(got []string) bool {
	for first := 0; first <= l.removed; first++ {
		for end := max(first, l.acked); end <= len(l.appended); end++ {
			if slices.Equal(got, l.appended[first:end]) {
				return true
			}
		}
	}
	return false
}

// append1 appends one payload and returns the error only.
func (l *Log) append1(p string) error {
	_, err := l.Append([]byte(p))
	return err
}

// fullDisk refuses to make any file larger than limit.
type fullDisk struct {
	vfs.FS
	limit int64
}

type fullFile struct {
	vfs.File
	disk *fullDisk
}

func (d *fullDisk) Create(name string) (vfs.File, error) { return d.wrap(d.FS.Create(name)) }
func (d *fullDisk) Open(name string) (vfs.File, error)   { return d.wrap(d.FS.Open(name)) }
func (d *fullDisk) wrap(f vfs.File, err error) (vfs.File, error) {
	return &fullFile{f, d}, err
}

func (f *fullFile) Preallocate(n int64) error {
	if n > f.disk.limit {
		return vfs.ErrNoSpace
	}
	return f.File.Preallocate(n)
}

func TestReserveOnFullDisk(t *testing.T) {
	o := small
	o.SegmentBytes = 32 << 20
	disk := &fullDisk{FS: vfs.NewMem(), limit: 300 << 10}
	l := mustOpen(t, disk, o)
	must(t, l.Reserve(100))
	if got := l.tail.allocated; got < 256<<10 || got > disk.limit {
		t.Errorf("reserved %d bytes on a disk with %d", got, disk.limit)
	}
	record := make([]byte, 10<<10)
	n := 0
	for {
		err := l.Reserve(len(record) + Overhead)
		if err == nil {
			_, err = l.Append(record)
			must(t, err)
			must(t, l.Sync())
			n++
			continue
		}
		if !errors.Is(err, vfs.ErrNoSpace) {
			t.Fatal(err)
		}
		break
	}
	if want := 29; n != want {
		t.Errorf("%d records fitted, want %d", n, want)
	}
	// Refused appends change nothing; when space returns the log goes on.
	if _, err := l.Append(record); !errors.Is(err, vfs.ErrNoSpace) || l.Err() != nil {
		t.Fatalf("Append on a full disk = %v, failed = %v", err, l.Err())
	}
	disk.limit = 1 << 30
	_, err := l.Append(record)
	must(t, err)
	if got := l.tail.allocated; got != firstReserve {
		t.Errorf("allocated %d bytes once there is space, want %d", got, firstReserve)
	}
	must(t, l.Close())
	l = mustOpen(t, disk, o)
	if got, err := replayed(l, 0); err != nil || len(got) != n+1 {
		t.Errorf("replay = %d records, %v, want %d", len(got), err, n+1)
	}
}

// The disk is full at the moment when a new segment is due.
func TestNewSegmentOnFullDisk(t *testing.T) {
	disk := &fullDisk{FS: vfs.NewMem(), limit: 1 << 20}
	l := mustOpen(t, disk, small)
	must(t, l.append1("a"))
	_, err := l.Rotate()
	must(t, err)
	disk.limit = 0
	if err := l.append1("b"); !errors.Is(err, vfs.ErrNoSpace) || l.Err() != nil {
		t.Fatalf("Append = %v, failed = %v", err, l.Err())
	}
	must(t, l.Close()) // even now
	l = mustOpen(t, disk, small)
	if got, err := replayed(l, 0); err != nil || !slices.Equal(got, []string{"a"}) {
		t.Fatalf("replay = %q, %v", got, err)
	}
	disk.limit = 1 << 20
	must(t, l.append1("c"))
	must(t, l.Close())
	l = mustOpen(t, disk, small)
	if got, err := replayed(l, 0); err != nil || !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("replay = %q, %v", got, err)
	}
}

func TestFailStop(t *testing.T) {
	var fail vfs.OpKind
	fs := vfs.NewInject(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == fail {
			return vfs.ErrIO
		}
		return nil
	})
	l := mustOpen(t, fs, small)
	must(t, l.append1("a"))
	fail = vfs.OpSync
	if err := l.Sync(); !errors.Is(err, ErrFailed) || !errors.Is(err, vfs.ErrIO) {
		t.Fatalf("Sync = %v", err)
	}
	fail = ""
	_, rotated := l.Rotate()
	for what, err := range map[string]error{
		"Append": l.append1("b"), "Sync": l.Sync(), "Reserve": l.Reserve(1),
		"Rotate": rotated, "RemoveBefore": l.RemoveBefore(5), "Err": l.Err(),
	} {
		if !errors.Is(err, ErrFailed) || !errors.Is(err, vfs.ErrIO) {
			t.Errorf("%s after a failed sync = %v", what, err)
		}
	}
	must(t, l.Close())
}
