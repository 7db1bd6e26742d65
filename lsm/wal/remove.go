package wal

import (
	"fmt"
	"slices"
)

// RemoveBefore gives up all segments before id, which need not exist. Some of the
// files are kept to be used again. The newest segment stays until there is a newer
// one: without it nobody would know which number comes next.
//
// After an error some of them may be left; the call may be repeated.
func (l *Log) RemoveBefore(id SegmentID) error {
	if l.failed != nil {
		return l.failed
	}
	l.needed = max(l.needed, id)
	for len(l.segments) > 1 && l.segments[0].id < l.needed {
		s := l.segments[0]
		sp, reuse, err := l.unlink(s)
		if err != nil {
			return fmt.Errorf("wal: remove %s: %w", s.name, err)
		}
		l.drop(s)
		// One at a time, so that no crash leaves an older segment without
		// a newer one. And a file may be written again only when its old name
		// cannot come back.
		if err := l.fs.SyncDir(l.o.Dir); err != nil {
			return fmt.Errorf("wal: remove %s: %w", s.name, err)
		}
		if reuse {
			l.spares = append(l.spares, sp)
		}
	}
	return nil
}

// unlink takes the file out of the log: as a spare if one is wanted, nobody
// reads it, and its size is the usual one.
func (l *Log) unlink(s *segment) (sp spare, reuse bool, err error) {
	l.mu.Lock()
	busy := s.refs > 0
	l.mu.Unlock()
	if busy || len(l.spares) >= l.o.Recycle || s.allocated != l.o.SegmentBytes {
		return spare{}, false, l.fs.Remove(s.name)
	}
	sp = spare{s.id, s.allocated, s.written}
	return sp, true, l.fs.Rename(s.name, l.path(spareName(l.o.Prefix, s.id)))
}

// drop forgets a segment; the last reader closes its file.
func (l *Log) drop(s *segment) {
	s.unmap()
	without := func(all []*segment) []*segment {
		return slices.DeleteFunc(slices.Clone(all), func(have *segment) bool { return have == s })
	}
	l.loose = without(l.loose)
	l.mu.Lock()
	l.segments = without(l.segments)
	s.gone = true
	f := s.file
	if s.refs > 0 {
		f = nil
	}
	l.mu.Unlock()
	if f != nil {
		_ = f.Close() // its content is not needed any more
	}
}

// acquire keeps a segment's file open until release.
func (l *Log) acquire(id SegmentID) (*segment, error) {
	l.mu.Lock()
	var s *segment
	for _, have := range l.segments {
		if have.id == id {
			s = have
			s.refs++
		}
	}
	isOpen := s != nil && s.file != nil
	l.mu.Unlock()
	if s == nil {
		return nil, fmt.Errorf("wal: no segment %s", id)
	}
	if isOpen {
		return s, nil
	}
	f, err := l.fs.Open(s.name)
	if err != nil {
		l.release(s)
		return nil, fmt.Errorf("wal: %w", err)
	}
	l.mu.Lock()
	if s.file == nil {
		s.file, f = f, nil
	}
	l.mu.Unlock()
	if f != nil { // another reader was quicker
		_ = f.Close()
	}
	return s, nil
}

func (l *Log) release(s *segment) {
	l.mu.Lock()
	s.refs--
	f := s.file
	last := s.gone && s.refs == 0
	l.mu.Unlock()
	if last && f != nil {
		_ = f.Close()
	}
}

// adoptSpares keeps up to Options.Recycle files that an earlier life left and
// removes the rest. Not worth keeping is a file of another size; nor one that was
// to become a segment, because its number will be given out again, and two spares
// would come to have one name.
func (l *Log) adoptSpares() error {
	useful := 0
	for i, sp := range l.spares {
		bytes, err := l.fileSize(l.path(spareName(l.o.Prefix, sp.id)))
		if err != nil {
			return err
		}
		sp.bytes = bytes
		l.spares[i] = sp
		wasSegment := len(l.segments) > 0 && sp.id < l.segments[0].id
		if wasSegment && bytes == l.o.SegmentBytes {
			l.spares[useful], l.spares[i] = sp, l.spares[useful]
			useful++
		}
	}
	return l.dropSpares(min(useful, l.o.Recycle)) // from the end
}

func (l *Log) fileSize(name string) (int64, error) {
	f, err := l.fs.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.Size()
}

// Trim gives back the space of all files that are kept for reuse, and, if no record
// is needed any more and the newest segment is complete, that of the segment: a bare header
// then keeps its number.
func (l *Log) Trim() error {
	if l.failed != nil {
		return l.failed
	}
	if err := l.trimAll(); err != nil {
		return fmt.Errorf("wal: trim: %w", err)
	}
	return nil
}

func (l *Log) trimAll() error {
	if err := l.dropSpares(0); err != nil {
		return err
	}
	n := len(l.segments)
	if l.tail != nil || n == 0 || l.segments[n-1].id >= l.needed {
		return nil
	}
	if err := l.beginBare(); err != nil {
		return err
	}
	if err := l.RemoveBefore(l.needed); err != nil {
		return err
	}
	return l.dropSpares(0)
}

// dropSpares removes spare files until n are left.
func (l *Log) dropSpares(n int) error {
	if len(l.spares) <= n {
		return nil
	}
	for len(l.spares) > n {
		last := len(l.spares) - 1
		if err := l.fs.Remove(l.path(spareName(l.o.Prefix, l.spares[last].id))); err != nil {
			return err
		}
		l.spares = l.spares[:last]
	}
	return l.fs.SyncDir(l.o.Dir)
}
