package raftlog

import (
	"errors"
	"testing"

	"github.com/statordb/stator/internal/vfs"
)

// A batch that has reserved its room can be written although another one's
// reservation would have needed a new segment, for which there was no space.
func TestReservationSurvivesFailedRotation(t *testing.T) {
	disk := vfs.NewDisk(1)
	l := openLog(t, disk, Options{SegmentBytes: 64 << 10})
	s := create(t, l, 1, 1)
	var first, second Batch
	if err := l.Reserve(&first, EntryBytes(20_000)); err != nil {
		t.Fatal(err)
	}
	free, total, err := disk.Usage()
	if err != nil {
		t.Fatal(err)
	}
	disk.SetCapacity(total - free)
	if err := l.Reserve(&second, EntryBytes(50_000)); !errors.Is(err, vfs.ErrNoSpace) || errors.Is(err, ErrFailed) {
		t.Fatalf("second reservation on a full disk: %v, want ErrNoSpace", err)
	}
	first.Entry(s, newEntry(1, 1, string(make([]byte, 20_000))))
	if err := l.Write(&first, true); err != nil {
		t.Fatalf("write of what was reserved: %v", err)
	}
	disk.SetCapacity(total)
	second.Entry(s, newEntry(2, 1, string(make([]byte, 50_000))))
	if err := l.Reserve(&second, EntryBytes(50_000)); err != nil {
		t.Fatal(err)
	}
	if err := l.Write(&second, true); err != nil {
		t.Fatal(err)
	}
	if got := s.Last().Index; got != 2 || l.Live() != 2 {
		t.Errorf("log ends with %d in %d segments, want 2 in 2", got, l.Live())
	}
}
