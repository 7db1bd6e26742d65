package raftlog

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/vfs"
)

// From any call that needs space on, the disk is full until a reservation has been
// refused. That leaves the log as it was: the reservation may be tried again, and the
// log can be opened.
func TestEveryCallFindsNoSpaceOnce(t *testing.T) {
	refused := 0
	for n := 1; ; n++ {
		fs := vfs.NewMem()
		calls, failed, before := 0, vfs.Op{}, refused
		acked, err := runRefused(vfs.NewInject(fs, func(op vfs.Op) error {
			if op.Kind != vfs.OpCreate && op.Kind != vfs.OpPreallocate && op.Kind != vfs.OpRename {
				return nil
			}
			if calls++; calls < n || refused > before {
				return nil
			}
			failed = op
			return vfs.ErrNoSpace
		}), &refused)
		if calls < n {
			if err != nil || refused == 0 {
				t.Errorf("%d calls, %d refusals, %v", calls, refused, err)
			}
			return
		}
		if err != nil && !errors.Is(err, vfs.ErrNoSpace) {
			t.Fatalf("call %d (%+v) found no space: %v", n, failed, err)
		}
		l, err := openLogErr(fs, Options{SegmentBytes: 12 << 10})
		if err != nil {
			t.Fatalf("call %d (%+v) found no space: open again: %v", n, failed, err)
		}
		if s := l.Storage(1); acked > 0 && (s == nil || s.Last().Index < acked) {
			t.Fatalf("call %d (%+v) found no space: %d entries were acknowledged\n%s", n, failed, acked, l.describe())
		}
		_ = l.Close()
	}
}

// runRefused writes entries, each until it is taken, until the log fails. It does not
// close the log.
func runRefused(fs vfs.FS, refused *int) (acked uint64, err error) {
	l, err := openLogErr(fs, Options{SegmentBytes: 12 << 10})
	if err != nil {
		return 0, err
	}
	s, err := l.Create(1, members(1))
	if err != nil {
		return 0, err
	}
	for i := uint64(1); i <= scriptEntries; i++ {
		var b Batch
		err := l.Reserve(&b, EntryBytes(500))
		for tries := 0; err != nil && !errors.Is(err, ErrFailed); tries++ {
			if *refused++; tries == 3 {
				return acked, fmt.Errorf("refused again and again: %v", err)
			}
			err = l.Reserve(&b, EntryBytes(500))
		}
		if err == nil {
			b.Entry(s, newEntry(i, 1, strings.Repeat("x", 500)))
			err = l.Write(&b, true)
		}
		if err != nil {
			return acked, err
		}
		acked = i
		l.Applied(s, i, i)
		if err := l.Collect(i / 2); errors.Is(err, ErrFailed) {
			return acked, err
		}
	}
	return acked, nil
}

// A segment that cannot get its name for lack of space changes nothing either: what
// was reserved before is written where it was promised.
func TestReservationSurvivesFailedRename(t *testing.T) {
	fs, full := vfs.NewMem(), false
	l := openLog(t, vfs.NewInject(fs, func(op vfs.Op) error {
		if full && op.Kind == vfs.OpRename {
			return vfs.ErrNoSpace
		}
		return nil
	}), Options{SegmentBytes: 64 << 10})
	s := create(t, l, 1, 1)
	var first, second Batch
	if err := l.Reserve(&first, EntryBytes(1000)); err != nil {
		t.Fatal(err)
	}
	full = true
	if err := l.Reserve(&second, EntryBytes(62_000)); !errors.Is(err, vfs.ErrNoSpace) || errors.Is(err, ErrFailed) {
		t.Fatalf("second reservation: %v, want ErrNoSpace", err)
	}
	first.Entry(s, newEntry(1, 1, string(make([]byte, 1000))))
	if err := l.Write(&first, true); err != nil {
		t.Fatalf("write of what was reserved: %v", err)
	}
	again, err := openLogErr(fs, Options{SegmentBytes: 64 << 10}) // the process was killed
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := again.Storage(1).Last().Index; got != 1 {
		t.Errorf("log ends with entry %d, want 1", got)
	}
}

// What is reserved for a batch is there for all that is written with it until the reservation is given up, whatever
// others reserve meanwhile.
func TestReservationIsForSeveralWrites(t *testing.T) {
	fs, full := vfs.NewMem(), false
	l := openLog(t, vfs.NewInject(fs, func(op vfs.Op) error {
		if full && (op.Kind == vfs.OpCreate || op.Kind == vfs.OpPreallocate || op.Kind == vfs.OpRename) {
			return vfs.ErrNoSpace
		}
		return nil
	}), Options{SegmentBytes: 64 << 10})
	s := create(t, l, 1, 1)
	var steps, greedy Batch
	if err := l.Reserve(&steps, 3*EntryBytes(1000)); err != nil {
		t.Fatal(err)
	}
	full = true
	for i := range uint64(3) {
		steps.Entry(s, newEntry(i+1, 1, string(make([]byte, 1000))))
		if err := l.Write(&steps, true); err != nil {
			t.Fatalf("write %d of what was reserved: %v", i+1, err)
		}
		steps.Reset()
		for size := 10_000; size > 0; size /= 2 {
			for l.Reserve(&greedy, EntryBytes(size)) == nil {
			}
		}
	}
	before := l.room
	if steps.reserved == 0 {
		t.Error("nothing is left of a reservation that is larger than what was written")
	}
	if l.Unreserve(&steps); l.room == before || steps.reserved != 0 {
		t.Errorf("room for %d bytes before the rest is given up, %d after it", before, l.room)
	}
}
