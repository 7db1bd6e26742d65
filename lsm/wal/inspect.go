package wal

import (
	"fmt"
	"path"
	"slices"

	"github.com/statordb/stator/internal/vfs"
)

// A Summary describes one segment file.
type Summary struct {
	Segment      SegmentID
	Sealed       bool // it has an end record
	Records      int
	PayloadBytes int64
	End          int64 // offset after the last record
	Synced       int64 // offset before which damage can be told from a torn tail
	FileBytes    int64
}

func (s Summary) String() string {
	state := "open"
	if s.Sealed {
		state = "sealed"
	}
	return fmt.Sprintf("segment %s: %s, %d records, %d payload bytes, %d of %d bytes used",
		s.Segment, state, s.Records, s.PayloadBytes, s.End, s.FileBytes)
}

// Inspect reads one segment file of a closed log without changing anything and
// calls f, unless it is nil, for every record. It stops at a torn tail.
func Inspect(fs vfs.FS, name string, f func(pos Position, payload []byte) error) (Summary, error) {
	file, err := fs.Open(name)
	if err != nil {
		return Summary{}, fmt.Errorf("wal: %w", err)
	}
	defer file.Close()
	sc, err := newScanner(file, name, scanWindow)
	if err != nil {
		return Summary{}, err
	}
	defer sc.free()
	if err := sc.header(0); err != nil {
		return Summary{}, err
	}
	sum := Summary{Segment: sc.id, FileBytes: sc.size}
	for {
		at := Position{sc.id, sc.off}
		sum.End, sum.Synced = sc.off, sc.synced
		payload, found, err := sc.next()
		switch {
		case err != nil:
			return sum, err
		case found == foundEnd:
			sum.Sealed, sum.Synced = true, sc.synced
			return sum, nil
		case found == foundBad:
			return sum, sc.tail()
		}
		sum.Records++
		sum.PayloadBytes += int64(len(payload))
		if f != nil {
			if err := f(at, payload); err != nil {
				return sum, err
			}
		}
	}
}

// Names returns the names of a log's segment files in dir, oldest first.
func Names(fs vfs.FS, dir, prefix string) ([]string, error) {
	files, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("wal: %w", err)
	}
	var ids []SegmentID
	for _, name := range files {
		if id, isSpare, ok := parseName(prefix, name); ok && !isSpare {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = path.Join(dir, segmentName(prefix, id))
	}
	return names, nil
}

// ParseSegmentName returns the number in the name, with or without a directory, of a
// segment file.
func ParseSegmentName(prefix, name string) (id SegmentID, ok bool) {
	id, isSpare, ok := parseName(prefix, path.Base(name))
	return id, ok && !isSpare
}
