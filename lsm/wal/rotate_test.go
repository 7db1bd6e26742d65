package wal

import (
	"errors"
	"testing"

	"github.com/statordb/stator/internal/vfs"
)

// What was promised in one segment is kept although the next one cannot be had.
func TestPromiseSurvivesFailedRotation(t *testing.T) {
	for name, ask := range map[string]func(l *Log) error{
		"Reserve":       func(l *Log) error { return l.Reserve(2 << 20) },
		"RotateReserve": func(l *Log) error { return l.RotateReserve(100) },
	} {
		t.Run(name, func(t *testing.T) {
			o := small
			o.SegmentBytes = 1 << 20
			disk := &fullDisk{FS: vfs.NewMem(), limit: 1 << 20}
			l := mustOpen(t, disk, o)
			must(t, l.append1("a"))
			must(t, l.Reserve(100))
			disk.limit = 0
			before := l.tail
			if err := ask(l); !errors.Is(err, vfs.ErrNoSpace) || l.Err() != nil {
				t.Fatalf("%s on a full disk = %v, failed = %v", name, err, l.Err())
			}
			must(t, l.append1("b"))
			if l.tail != before {
				t.Error("the refused rotation began a segment")
			}
			disk.limit = 4 << 20
			must(t, ask(l))
			if l.tail == before || l.tail.allocated < 100 {
				t.Error("the rotation did not begin a segment with room")
			}
			must(t, l.append1("c"))
			if got, err := replayed(l, 0); err != nil || len(got) != 3 {
				t.Errorf("replay = %q, %v", got, err)
			}
		})
	}
}
