package wal

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/internal/vfs"
)

// A segment is one file of the log.
//
// Its life: made under a spare name with its header on disk, renamed, filled,
// sealed by an end record, removed or turned into a spare. A file with a segment's
// name thus always has a whole header, and all segments but the last have an end.
type segment struct {
	id        SegmentID
	name      string // with directory
	sealed    bool
	end       int64 // offset after the last record; known for the tail
	synced    int64 // everything before is durable; known for the tail
	allocated int64 // size of the file
	written   int64 // everything before has been written, not just reserved; known for the tail

	shared vfs.SharedMapping // through which a lazy log's tail is written; else nil

	// Guarded by Log.mu.
	file vfs.File // nil until needed
	refs int      // ReadAt calls under way
	gone bool     // removed: the last reader closes file
}

func (s *segment) empty() bool { return s.end == headerBytes }

// writer is the quickest way to write to the segment.
func (s *segment) writer() io.WriterAt {
	if s.shared != nil {
		return s.shared
	}
	return s.file
}

func (s *segment) unmap() {
	if s.shared != nil {
		s.shared.Release()
		s.shared = nil
	}
}

// A spare is a file that is not part of the log.
type spare struct {
	id      SegmentID
	bytes   int64
	written int64 // as segment.written
}

// Reserve makes sure that n more bytes, Overhead included for each record, fit
// into space that the disk has already given. When it succeeds, Append of so much
// cannot fail for lack of space.
//
// If the disk is too full, the error matches vfs.ErrNoSpace, nothing has changed,
// and the call may be repeated later.
func (l *Log) Reserve(n int) error { return l.reserve(int64(n)) }

func (l *Log) reserve(n int64) error {
	if l.failed != nil {
		return l.failed
	}
	n += Overhead // the end record must always fit
	if headerBytes+n > maxSegment {
		return fmt.Errorf("%w: %d bytes in one append", ErrTooLarge, n)
	}
	if t := l.tail; t != nil {
		if t.end+n <= t.allocated {
			return nil
		}
		if t.end+n <= l.o.SegmentBytes || t.empty() {
			return l.grow(t, t.end+n)
		}
	}
	return l.begin(headerBytes + n)
}

// RotateReserve completes the current segment, as Rotate does, and reserves n
// bytes in the next one; or, if the disk is too full for those, does neither. What
// Reserve has promised in the current segment then still holds.
func (l *Log) RotateReserve(n int) error {
	if l.failed != nil || l.tail != nil && l.tail.empty() {
		return l.Reserve(n)
	}
	need := headerBytes + int64(n) + Overhead
	if need > maxSegment {
		return fmt.Errorf("%w: %d bytes in one append", ErrTooLarge, n)
	}
	return l.begin(need)
}

// grow gives a segment at least need bytes.
func (l *Log) grow(s *segment, need int64) error {
	if !l.o.Preallocate {
		s.allocated = need
		return nil
	}
	size, err := l.preallocate(s.file, need)
	if err != nil {
		return fmt.Errorf("wal: reserve %d bytes for %s: %w", need, s.name, err)
	}
	s.allocated = size
	return l.remap(s)
}

// remap maps all of a lazy log's segment, if it was mapped before.
func (l *Log) remap(s *segment) error {
	if s.shared == nil {
		return nil
	}
	s.unmap()
	return l.mapTail(s)
}

// mapTail maps a segment that is to take a lazy log's appends. Without reserved space
// there is nothing to map.
func (l *Log) mapTail(s *segment) (err error) {
	if !l.o.Lazy || !l.o.Preallocate {
		return nil
	}
	if s.shared, err = s.file.MapShared(s.allocated); err != nil {
		s.shared = nil
		return fmt.Errorf("wal: map %s: %w", s.name, err)
	}
	return nil
}

// reserveSteps are the reservations tried when a whole segment does not fit.
var reserveSteps = [...]int64{4 << 20, 1 << 20, 256 << 10, 0}

// firstReserve is what is reserved of a new segment at first. Each time it is used up,
// twice as much is: a log into which little is written takes little space. A log
// that is written to all the time soon has files of full size to use again.
const firstReserve = 1 << 20

// preallocate reserves a part of a segment, or all of it, with room for need bytes. On a
// nearly full disk it is less, but never less than need. It returns the new size of the file.
func (l *Log) preallocate(f vfs.File, need int64) (size int64, err error) {
	for size = firstReserve; size < need; size *= 2 {
	}
	size = max(min(size, l.o.SegmentBytes), need)
	err = f.Preallocate(size)
	for _, step := range reserveSteps {
		if !errors.Is(err, vfs.ErrNoSpace) {
			break
		}
		if smaller := need + step; smaller < size {
			size = smaller
			err = f.Preallocate(size)
		}
	}
	return size, err
}

// zeroAhead is how many zeros are written at a time into space that is only reserved.
const zeroAhead = 256 << 10

var zeros [zeroAhead]byte

// writeAhead writes zeros into reserved space that is about to be used, for a log that is
// synced record by record. The first write to reserved space changes the file's
// metadata, which a sync must write, too: that takes it nearly twice as long. So it is done
// for many records at a time; the next sync writes the zeros along with a record.
func (l *Log) writeAhead(t *segment, need int64) error {
	if l.o.Lazy || !l.o.Preallocate || need <= t.written {
		return nil
	}
	for t.written < need {
		n := min(zeroAhead, t.allocated-t.written)
		if _, err := t.file.WriteAt(zeros[:n], t.written); err != nil {
			return err
		}
		t.written += n
	}
	return nil
}

// begin starts the next segment with room for need bytes, header included, and
// seals the current one. Space is the first thing it asks for: while there is none,
// nothing of the log changes.
func (l *Log) begin(need int64) error {
	s := &segment{id: l.next, end: headerBytes, synced: headerBytes, written: headerBytes}
	s.name = l.path(segmentName(l.o.Prefix, s.id))
	from, err := l.prepare(s, need)
	if err != nil {
		return fmt.Errorf("wal: new segment %s: %w", s.name, err)
	}
	last := l.tail
	if err := l.seal(); err != nil {
		s.abandon()
		return err
	}
	if err := l.fs.Rename(from, s.name); err != nil {
		s.abandon()
		if errors.Is(err, vfs.ErrNoSpace) { // for the directory's entry
			_ = l.fs.Remove(from)
			l.unseal(last)
			return fmt.Errorf("wal: new segment %s: %w", s.name, err)
		}
		return l.fail("new segment "+s.name, err)
	}
	if !plant.On(plant.SegmentNameUnsynced) {
		err = l.fs.SyncDir(l.o.Dir)
	}
	if err != nil {
		s.abandon()
		return l.fail("new segment "+s.name, err)
	}
	l.next++
	l.mu.Lock()
	l.segments = append(l.segments, s)
	l.mu.Unlock()
	l.tail = s
	return nil
}

// beginBare is begin of a segment with room for an end record alone. The first append makes
// it larger.
func (l *Log) beginBare() error {
	full := l.o.SegmentBytes
	l.o.SegmentBytes = headerBytes + Overhead
	err := l.begin(headerBytes + Overhead)
	l.o.SegmentBytes = full
	return err
}

// prepare finds or makes a file for s, with space and a durable header, under a
// spare name, which it returns.
func (l *Log) prepare(s *segment, need int64) (name string, err error) {
	name, err = l.openSpare(s)
	if err != nil {
		return "", err
	}
	if s.allocated < need {
		err = l.grow(s, need)
	}
	if err == nil {
		// Not Sync: a file that is used again may be full of records that nobody needs.
		_, err = s.file.WriteThrough(encodeHeader(s.id, !l.allDurable()), 0)
	}
	if err == nil {
		err = l.mapTail(s)
	}
	if err != nil {
		s.abandon()
		_ = l.fs.Remove(name) // if this fails too, Open removes it
		return "", err
	}
	return name, nil
}

// allDurable reports whether everything in front of the next segment will be durable
// before it takes its first record.
func (l *Log) allDurable() bool {
	return len(l.loose) == 0 && (!l.o.Lazy || l.tail == nil)
}

// abandon closes a segment that does not become part of the log.
func (s *segment) abandon() {
	s.unmap()
	_ = s.file.Close()
}

// openSpare opens a file to be reused, or a new one.
func (l *Log) openSpare(s *segment) (name string, err error) {
	if n := len(l.spares); n > 0 {
		sp := l.spares[n-1]
		l.spares = l.spares[:n-1]
		name = l.path(spareName(l.o.Prefix, sp.id))
		if s.file, err = l.fs.Open(name); err == nil {
			s.allocated, s.written = sp.bytes, max(sp.written, headerBytes)
			return name, nil
		}
	}
	name = l.path(spareName(l.o.Prefix, s.id))
	s.file, err = l.fs.Create(name)
	return name, err
}

// Rotate completes the current segment, makes it durable, and returns the number
// of the segment that the next append goes to.
func (l *Log) Rotate() (SegmentID, error) {
	if l.failed != nil {
		return 0, l.failed
	}
	if l.tail != nil && l.tail.empty() {
		return l.tail.id, nil
	}
	return l.next, l.seal()
}

// seal ends the tail. The records are synced before the end record is written,
// because the end record says so; but a lazy log leaves that to Sync.
func (l *Log) seal() error {
	t := l.tail
	if t == nil {
		return nil
	}
	if l.o.Lazy {
		if err := l.appendEnd(t); err != nil {
			return l.fail("seal", err)
		}
		t.unmap()
		l.loose = append(l.loose, t)
		l.tail = nil
		return nil
	}
	if !plant.On(plant.SealUnsynced) {
		if err := l.Sync(); err != nil {
			return err
		}
	}
	if err := l.writeEnd(t); err != nil {
		return l.fail("seal", err)
	}
	l.tail = nil
	return nil
}

// unseal makes the newest segment, if it was just sealed, the tail again. The next
// record overwrites the end record; a crash leaves one of them, or a torn tail.
func (l *Log) unseal(s *segment) {
	if s != nil {
		s.sealed = false
		l.tail = s
		l.loose = slices.DeleteFunc(l.loose, func(have *segment) bool { return have == s })
	}
}

// writeEnd writes the end record of a segment whose records are durable, and makes
// it durable, too.
func (l *Log) writeEnd(s *segment) error {
	s.synced = s.end
	if err := l.appendEnd(s); err != nil {
		return err
	}
	return s.file.Sync()
}

// appendEnd writes the end record of a segment.
func (l *Log) appendEnd(s *segment) error {
	end := l.sum.appendEnd(nil, Position{s.id, s.end}, s.synced)
	if _, err := s.writer().WriteAt(end, s.end); err != nil {
		return err
	}
	s.sealed = true
	s.allocated = max(s.allocated, s.end+Overhead)
	return nil
}

// complete leaves nothing but checked bytes behind: every segment is sealed and
// cut to its records, and behind them stands one that is a bare header. So
// a damaged record cannot be mistaken for a torn tail.
func (l *Log) complete() error {
	if l.tail != nil && !l.tail.empty() {
		if err := l.seal(); err != nil {
			return err
		}
	}
	if err := l.Sync(); err != nil {
		return err
	}
	if l.tail != nil {
		l.tail.unmap()
	}
	if l.tail == nil && len(l.segments) > 0 {
		// A full disk may prevent this. Then the end record is what stands last,
		// and damage to it alone could pass for a torn write of it.
		if err := l.beginBare(); err != nil && !errors.Is(err, vfs.ErrNoSpace) {
			return err
		}
	}
	if err := l.RemoveBefore(l.needed); err != nil {
		return err
	}
	for _, s := range l.segments {
		if err := l.trim(s); err != nil {
			return err
		}
	}
	return l.dropSpares(0)
}

// trim gives back the space of a segment that its records did not need. A segment
// of an earlier life that was not replayed is left as it is.
func (l *Log) trim(s *segment) error {
	if s.file == nil || s.end == 0 {
		return nil
	}
	size := s.end
	if s.sealed {
		size += Overhead
	}
	have, err := s.file.Size()
	if err != nil || have == size {
		return err
	}
	if err := s.file.Truncate(size); err != nil {
		return err
	}
	return s.file.Sync()
}
