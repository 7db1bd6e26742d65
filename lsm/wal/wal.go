package wal

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/internal/vfs"
)

var (
	// ErrFailed means that a write or sync failed earlier. What is on disk is
	// unknown, so the log takes nothing more until it is opened again.
	ErrFailed = errors.New("wal: failed")

	// ErrTooLarge means that a record does not fit into any segment.
	ErrTooLarge = errors.New("wal: record too large")
)

// Options says where a log lives and how it uses space. Zero fields have
// defaults that are good for a database on a local disk.
type Options struct {
	Dir    string // directory of the segments; made if needed
	Prefix string // of their file names

	// SegmentBytes is the size at which a segment is complete; default 16 MiB.
	// A larger record gets a segment of its own. Of a new file 1 MiB is reserved at
	// first, and twice as much each time that is used up.
	SegmentBytes int64

	// Recycle is how many files of removed segments are kept for reuse;
	// default none.
	Recycle int

	// Preallocate reserves a segment's space before it is written. Without it
	// Reserve cannot tell that the disk is full; good for a file system in memory.
	Preallocate bool

	// Lazy is for a log whose records become durable now and then at best, by
	// Sync. Appends go through a mapping of the segment, without a system call,
	// and a segment is sealed without waiting for the device. A power cut may then cost
	// whatever was not synced; records in the order in which they were
	// appended, up to some point, are left. A killed process costs nothing.
	Lazy bool
}

const (
	defaultSegmentBytes = 16 << 20
	keepBufferBytes     = 1 << 20 // a larger append buffer is given back
)

// A Log is an open log. At most one Log may be open on a directory and prefix.
//
// A Log is not safe for concurrent use, except that ReadAt may be called at any
// time until Close.
type Log struct {
	fs vfs.FS
	o  Options

	tail   *segment   // takes appends; nil if the next append starts a segment
	loose  []*segment // sealed but perhaps not durable, oldest first; with Options.Lazy
	next   SegmentID
	needed SegmentID // segments before are to be removed
	spares []spare   // files to be reused, their old names durably gone
	failed error     // why the log stopped; nil while it works
	sum    headerSum
	buf    []byte

	// mu guards segments and every segment's file and refs. Only the owner
	// changes segments, so the owner may read it without mu.
	mu       env.Leaf
	segments []*segment // ascending, contiguous from the first still needed
}

// SegmentInfo describes one segment of the log.
type SegmentInfo struct {
	ID    SegmentID
	Bytes int64 // size of the file; 0 for a segment of an earlier life until Replay has read it
}

// Open opens the log in o.Dir, or makes an empty one. If the newest segment was
// left open by a crash, its torn tail is cut off for good.
//
// Open reads the newest segment only; Replay checks the others.
func Open(fs vfs.FS, o Options) (*Log, error) {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	o.SegmentBytes = min(max(o.SegmentBytes, headerBytes+2*Overhead), maxSegment)
	l := &Log{fs: fs, o: o, next: 1}
	if err := l.open(); err != nil {
		_ = l.closeFiles()
		return nil, fmt.Errorf("wal: open %s: %w", path.Join(o.Dir, o.Prefix), err)
	}
	return l, nil
}

func (l *Log) open() error {
	if err := l.fs.MkdirAll(l.o.Dir); err != nil {
		return err
	}
	names, err := l.fs.List(l.o.Dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		id, isSpare, ok := parseName(l.o.Prefix, name)
		switch {
		case ok && isSpare:
			l.spares = append(l.spares, spare{id: id})
		case ok:
			l.segments = append(l.segments, &segment{id: id, name: l.path(name), sealed: true})
		}
	}
	// Numbers of more than six digits are not listed in order.
	slices.SortFunc(l.segments, func(a, b *segment) int { return compareIDs(a.id, b.id) })
	// What a killed process renamed may not be durable yet. It must be before
	// any file is written, or a crash could bring an old name back.
	if err := l.fs.SyncDir(l.o.Dir); err != nil {
		return err
	}
	if err := l.adoptSpares(); err != nil {
		return err
	}
	if err := l.recoverNewest(); err != nil {
		return err
	}
	return l.settle()
}

func compareIDs(a, b SegmentID) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (l *Log) path(name string) string { return path.Join(l.o.Dir, name) }

// Append writes one record per payload with a single write and returns where
// the first one is; Position.Next leads to the others. The records are in one
// segment. They are not durable until Sync.
//
// If there is no room, the error matches vfs.ErrNoSpace. After an error the log
// is failed, or (Err is nil) it is as it was and the call may be repeated.
func (l *Log) Append(payloads ...[]byte) (Position, error) {
	var total int64
	for _, p := range payloads {
		if len(p) > MaxPayload {
			return Position{}, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(p))
		}
		total += recordBytes(len(p))
	}
	if err := l.reserve(total); err != nil {
		return Position{}, err
	}
	t := l.tail
	at := Position{t.id, t.end}
	buf := l.buf[:0]
	for _, p := range payloads {
		buf = l.sum.appendRecord(buf, Position{t.id, t.end + int64(len(buf))}, t.synced, p)
	}
	if l.buf = buf; cap(buf) > keepBufferBytes {
		l.buf = nil
	}
	if err := l.writeAhead(t, t.end+total); err != nil {
		return Position{}, l.fail("append", err)
	}
	if _, err := t.writer().WriteAt(buf, t.end); err != nil {
		return Position{}, l.fail("append", err)
	}
	t.end += total
	return at, nil
}

// Sync makes all appended records durable. After an error the log is failed: the
// operating system may have dropped the data and would report success next time.
func (l *Log) Sync() error {
	if l.failed != nil {
		return l.failed
	}
	for len(l.loose) > 0 {
		if err := l.loose[0].file.Sync(); err != nil {
			return l.fail("sync", err)
		}
		l.loose = l.loose[1:]
	}
	t := l.tail
	if t == nil || t.synced == t.end {
		return nil
	}
	if err := t.file.Sync(); err != nil && !plant.On(plant.SyncErrorIgnored) {
		return l.fail("sync", err)
	}
	t.synced = t.end
	return nil
}

// fail stops the log and returns the error that it answers with from now on.
func (l *Log) fail(op string, cause error) error {
	name := l.o.Prefix
	if l.tail != nil {
		name = l.tail.name
	}
	l.failed = fmt.Errorf("%w: %s %s: %w", ErrFailed, op, name, cause)
	return l.failed
}

// Err returns why the log is failed, or nil.
func (l *Log) Err() error { return l.failed }

// Segments lists the segments, oldest first.
func (l *Log) Segments() []SegmentInfo {
	infos := make([]SegmentInfo, len(l.segments))
	for i, s := range l.segments {
		infos[i] = SegmentInfo{s.id, s.allocated}
	}
	return infos
}

// FileName returns the name of a segment's file, for errors about what its records
// hold.
func (l *Log) FileName(id SegmentID) string { return l.path(segmentName(l.o.Prefix, id)) }

// ReadAt reads one record again. The caller must not have removed its segment.
// The payload is the caller's.
func (l *Log) ReadAt(pos Position) ([]byte, error) {
	s, err := l.acquire(pos.Segment)
	if err != nil {
		return nil, err
	}
	defer l.release(s)
	sc, err := newScanner(s.file, s.name, readAtWindow)
	if err != nil {
		return nil, err
	}
	sc.id, sc.off = pos.Segment, pos.Offset
	payload, found, err := sc.next()
	if err != nil {
		return nil, err
	}
	if found != foundRecord {
		return nil, sc.corrupt("no record here: %s", sc.reason)
	}
	return payload, nil
}

// Close completes the log, so that damage to any of its bytes will be noticed,
// and closes its files. A failed log is only closed.
func (l *Log) Close() error {
	var err error
	if l.failed == nil {
		err = l.complete()
	}
	if e := l.closeFiles(); err == nil {
		err = e
	}
	l.failed = fmt.Errorf("%w: closed", ErrFailed)
	if err != nil {
		return fmt.Errorf("wal: close: %w", err)
	}
	return nil
}

func (l *Log) closeFiles() (err error) {
	for _, s := range l.segments {
		if s.file == nil {
			continue
		}
		s.unmap()
		if e := s.file.Close(); err == nil {
			err = e
		}
		s.file = nil
	}
	return err
}
