package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
)

// Replay calls f for every record of segment from and all later ones, in order.
// A payload is valid during the call only. An error of f ends the replay.
//
// With from = 0 it begins at the oldest segment. Otherwise segment from must
// exist, or be the next one to be written.
// A damaged record, or a missing segment, gives a *corrupt.Error. If a lazy log lost
// records to a power cut, it ends before the first of them: later segments
// are removed.
func (l *Log) Replay(from SegmentID, f func(pos Position, payload []byte) error) error {
	want := from
	for _, s := range l.segments {
		if s.id < from {
			continue
		}
		if want != 0 && s.id != want {
			return l.missing(want)
		}
		torn, err := l.replaySegment(s, f)
		if err != nil {
			return err
		}
		want = s.id + 1
		if torn {
			if err := l.cutBehind(s); err != nil {
				return fmt.Errorf("wal: cut behind %s: %w", s.name, err)
			}
			break
		}
	}
	if want > l.next {
		return l.missing(want)
	}
	return l.leaveTail(from)
}

// leaveTail lets no record go to a segment before from: nobody would ever look for
// it there. Of a lazy log a power cut can leave nothing but the header of a segment that had
// been sealed, and Open takes that for an empty tail.
func (l *Log) leaveTail(from SegmentID) error {
	t := l.tail
	if t == nil || t.id >= from {
		return nil
	}
	l.tail = nil
	if err := l.writeEnd(t); err != nil {
		return l.fail("seal", err)
	}
	return nil
}

func (l *Log) missing(id SegmentID) error {
	return corrupt.New(l.path(segmentName(l.o.Prefix, id)), 0, "log segment is missing")
}

// replaySegment replays one segment. torn reports that it ends early because of a
// power cut, which is possible only in front of loose segments.
func (l *Log) replaySegment(s *segment, f func(Position, []byte) error) (torn bool, err error) {
	if s == l.tail && s.empty() {
		return false, nil
	}
	if s, err = l.acquire(s.id); err != nil {
		return false, err
	}
	defer l.release(s)
	sc, err := newScanner(s.file, s.name, scanWindow)
	if err != nil {
		return false, err
	}
	defer sc.free()
	if err := sc.header(s.id); err != nil {
		return false, err
	}
	for s.sealed || sc.off < s.end {
		at := Position{s.id, sc.off}
		payload, found, err := sc.next()
		switch {
		case err != nil:
			return false, err
		case found == foundBad:
			// The end is not noted before it is known to be one: Close cuts files there.
			if err := l.checkTorn(s, sc); err != nil {
				return false, err
			}
			s.end, s.allocated = at.Offset, sc.size
			return true, nil
		case found == foundEnd:
			s.end, s.allocated = at.Offset, sc.size
			return false, nil
		}
		if err := f(at, payload); err != nil {
			return false, err
		}
	}
	return false, nil
}

// checkTorn returns an error unless the bad record at which sc stands, in a sealed
// segment, can be the work of a power cut: no later segment was begun after
// everything before it was durable, and no later record of the segment says that this
// one was.
func (l *Log) checkTorn(s *segment, sc *scanner) error {
	isLast := true
	for _, later := range l.segments {
		if later.id <= s.id {
			continue
		}
		isLast = false
		isLoose, err := l.readLoose(later)
		if err != nil {
			return err
		}
		if !isLoose {
			return sc.corrupt("%s", sc.reason)
		}
	}
	if isLast {
		return sc.corrupt("%s", sc.reason)
	}
	return sc.tail()
}

// readLoose reads from a segment's header whether it is loose.
func (l *Log) readLoose(s *segment) (bool, error) {
	s, err := l.acquire(s.id)
	if err != nil {
		return false, err
	}
	defer l.release(s)
	sc, err := newScanner(s.file, s.name, headerBytes)
	if err != nil {
		return false, err
	}
	err = sc.header(s.id)
	return sc.isLoose, err
}

// cutBehind makes a torn segment the newest one. The later ones go from the last to
// the first: so a crash leaves a log that will be cut at the same place.
func (l *Log) cutBehind(s *segment) error {
	l.tail = nil
	for {
		last := l.segments[len(l.segments)-1]
		if last == s {
			break
		}
		l.drop(last)
		if err := l.fs.Remove(last.name); err != nil {
			return err
		}
		if err := l.fs.SyncDir(l.o.Dir); err != nil {
			return err
		}
	}
	l.next = s.id + 1
	s, err := l.acquire(s.id)
	if err != nil {
		return err
	}
	defer l.release(s)
	if err := s.file.Sync(); err != nil {
		return err
	}
	return l.writeEnd(s)
}

// settle makes the segments durable that a lazy log left loose and a killed process in
// the page cache, so that what is appended from now on stands on firm ground.
func (l *Log) settle() error {
	for i := len(l.segments) - 1; i > 0; i-- {
		isLoose, err := l.readLoose(l.segments[i])
		if err != nil || !isLoose {
			return err
		}
		s, err := l.acquire(l.segments[i-1].id)
		if err != nil {
			return err
		}
		err = s.file.Sync()
		l.release(s)
		if err != nil {
			return err
		}
	}
	return nil
}

// recoverNewest decides what the newest segment holds. Afterwards it is sealed,
// or it is the tail and certainly empty.
//
// A crash may have left records behind the torn tail. They are unacknowledged
// and must never be replayed, so appending to the file is not an option: a new
// record could end just where an old one begins.
func (l *Log) recoverNewest() error {
	if len(l.segments) == 0 {
		return nil
	}
	s := l.segments[len(l.segments)-1]
	l.next = s.id + 1
	f, err := l.fs.Open(s.name)
	if err != nil {
		return err
	}
	s.file = f
	sc, err := newScanner(f, s.name, scanWindow)
	if err != nil {
		return err
	}
	defer sc.free()
	if err := sc.header(s.id); err != nil {
		return err
	}
	s.allocated = sc.size
	if sc.size == headerBytes { // nothing was ever written behind the header
		s.sealed, s.end, s.synced, s.written = false, headerBytes, headerBytes, headerBytes
		l.tail = s
		return nil
	}
	isSealed, err := sc.toEnd()
	if err != nil {
		return err
	}
	s.end = sc.off
	// A killed process may have left records, or the end, in the page cache only.
	if err := f.Sync(); err != nil || isSealed {
		return err
	}
	return l.writeEnd(s)
}

const (
	scanWindow   = 256 << 10
	readAtWindow = 4 << 10
)

// A scanner reads one segment file from front to back.
type scanner struct {
	file vfs.File
	name string
	size int64 // of the file
	id   SegmentID
	off  int64 // of the next record

	synced int64 // what is before it was durable, say the records so far

	isLoose bool // the header says so

	reason string // why next found no record

	window      []byte            // the bytes of the file from windowOff
	lent        *[scanWindow]byte // what free gives back
	windowOff   int64
	windowBytes int64 // usual size
	sum         headerSum
}

func newScanner(f vfs.File, name string, windowBytes int64) (*scanner, error) {
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("wal: %s: %w", name, err)
	}
	return &scanner{file: f, name: name, size: size, windowBytes: windowBytes}, nil
}

// windows are used again: of most scans one is all the memory that they take.
var windows = sync.Pool{New: func() any { return new([scanWindow]byte) }} //sim:ok what is read does not depend on whose memory it is read into

// free gives the scanner's memory to another one. What it has returned is valid no more.
func (s *scanner) free() {
	if s.lent != nil {
		windows.Put(s.lent)
	}
	s.lent, s.window = nil, nil
}

func (s *scanner) corrupt(format string, args ...any) error {
	return corrupt.New(s.name, s.off, format, args...)
}

// header checks the header block and moves to the first record.
func (s *scanner) header(want SegmentID) error {
	b, err := s.bytes(0, headerBytes)
	if err != nil {
		return err
	}
	id, isLoose, reason := decodeHeader(b)
	if reason != "" {
		return s.corrupt("%s", reason)
	}
	if want != 0 && id != want {
		return s.corrupt("header says segment %s", id)
	}
	s.id, s.off, s.synced, s.isLoose = id, headerBytes, headerBytes, isLoose
	return nil
}

// What next met.
type found int

const (
	foundRecord found = iota
	foundEnd          // the end record
	foundBad          // no whole record; see scanner.reason
)

// next returns the record at off and moves behind it. At anything else it stays.
// The payload is valid until the next call.
func (s *scanner) next() ([]byte, found, error) {
	b, err := s.bytes(s.off, Overhead)
	if err != nil {
		return nil, foundBad, err
	}
	h, ok := s.sum.decode(b, Position{s.id, s.off})
	if !ok {
		s.reason = "record header does not match its checksum"
		return nil, foundBad, nil
	}
	if h.isEnd() {
		s.synced = s.off
		s.reason = "end of segment"
		return nil, foundEnd, nil
	}
	n := h.payloadBytes()
	if s.off+Overhead+n > s.size {
		s.reason = "record is cut short"
		return nil, foundBad, nil
	}
	b, err = s.bytes(s.off, Overhead+n)
	if err != nil {
		return nil, foundBad, err
	}
	if int64(len(b)) < Overhead+n || crc32.Checksum(b[Overhead:], castagnoli) != h.payloadCRC && !plant.On(plant.TornRecordAccepted) {
		s.reason = "record does not match its checksum"
		return nil, foundBad, nil
	}
	s.off, s.synced = s.off+Overhead+n, max(s.synced, int64(h.synced))
	return b[Overhead:], foundRecord, nil
}

// toEnd moves to the end record, or to the torn tail of an unsealed segment.
func (s *scanner) toEnd() (sealed bool, err error) {
	for {
		_, found, err := s.next()
		switch {
		case err != nil:
			return false, err
		case found == foundEnd:
			return true, nil
		case found == foundBad:
			return false, s.tail()
		}
	}
}

// tail decides whether the bad record at off is a torn tail (nil) or damage.
//
// It is damage if it had been synced. Nothing before it can say so; but if
// anything was appended after that sync, then a later record's header says it. The
// length of the bad record cannot be trusted, so every offset is tried.
func (s *scanner) tail() error {
	for from := s.off + 1; from+Overhead <= s.size; {
		b, err := s.bytes(from, min(s.windowBytes, s.size-from))
		if err != nil {
			return err
		}
		if len(b) < Overhead {
			return nil
		}
		for i := 0; i+Overhead <= len(b); i++ {
			if i+20 <= len(b) && binary.LittleEndian.Uint64(b[i+12:]) == 0 {
				i += 4 // nor do the next four say anything; most of a reserved file is zeros
				continue
			}
			if int64(binary.LittleEndian.Uint32(b[i+12:])) <= s.off {
				continue
			}
			at := Position{s.id, from + int64(i)}
			if h, ok := s.sum.decode(b[i:], at); ok {
				return s.corrupt("%s, yet the record at %d says that all before %d was durable", s.reason, at.Offset, h.synced)
			}
		}
		from += int64(len(b)) - Overhead + 1
	}
	return nil
}

// bytes returns n bytes at off, fewer only at the end of the file.
func (s *scanner) bytes(off, n int64) ([]byte, error) {
	skip := off - s.windowOff
	if skip >= 0 && skip+n <= int64(len(s.window)) {
		return s.window[skip:][:n], nil
	}
	want := min(max(n, s.windowBytes), max(0, s.size-off))
	if int64(cap(s.window)) < want {
		if s.lent == nil && want <= scanWindow && s.windowBytes == scanWindow {
			s.lent = windows.Get().(*[scanWindow]byte)
			s.window = s.lent[:]
		} else {
			s.window = make([]byte, want)
		}
	}
	s.window, s.windowOff = s.window[:want], off
	got, err := s.file.ReadAt(s.window, off)
	s.window = s.window[:got]
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("wal: read %s at %d: %w", s.name, off, err)
	}
	return s.window[:min(int64(got), n)], nil
}
