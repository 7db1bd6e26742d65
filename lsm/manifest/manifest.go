package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"path"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/wal"
)

// ErrNone means that there is no database in the directory.
var ErrNone = errors.New("manifest: none")

// A State is what the edits so far add up to. It is a value; Version is shared
// and immutable.
type State struct {
	Version    *Version
	NextFile   FileNum
	FlushedSeq key.SeqNum
	Log        wal.SegmentID
}

// apply returns the state after the edit.
func (s State) apply(e *Edit) (State, error) {
	version, err := s.Version.apply(e)
	if err != nil {
		return s, err
	}
	if e.Snapshot {
		s = State{}
	}
	s.Version = version
	if e.NextFile < s.NextFile && e.NextFile != 0 || e.FlushedSeq < s.FlushedSeq && e.FlushedSeq != 0 || e.Log < s.Log && e.Log != 0 {
		return s, fmt.Errorf("%w: a number goes back in %s", errBadEdit, e)
	}
	s.NextFile = max(s.NextFile, e.NextFile)
	s.FlushedSeq = max(s.FlushedSeq, e.FlushedSeq)
	s.Log = max(s.Log, e.Log)
	for _, f := range e.Values {
		if f.Num >= s.NextFile {
			return s, fmt.Errorf("%w: value file %s is not below the next file %s", errBadEdit, f.Num, s.NextFile)
		}
	}
	for _, a := range e.Added {
		if a.Table.Num >= s.NextFile {
			return s, fmt.Errorf("%w: table %s is not below the next file %s", errBadEdit, a.Table.Num, s.NextFile)
		}
		if a.Table.LargestSeq > s.FlushedSeq {
			return s, fmt.Errorf("%w: table %s is newer than what was flushed", errBadEdit, a.Table.Num)
		}
	}
	return s, nil
}

// snapshot returns the edit that leads from nothing to s.
func (s State) snapshot() *Edit {
	e := &Edit{Snapshot: true, NextFile: s.NextFile, FlushedSeq: s.FlushedSeq, Log: s.Log, Values: s.Version.Values}
	for level, tables := range s.Version.Levels {
		for _, t := range tables {
			e.Added = append(e.Added, Added{level, t})
		}
	}
	return e
}

// Options says where a manifest lives.
type Options struct {
	Dir string

	// RotateBytes is how many bytes of edits, beyond twice the size of
	// a snapshot, make it worth to begin a new segment. Default 64 KiB.
	RotateBytes int

	// Preallocate is as in wal.Options.
	Preallocate bool
}

const (
	prefix             = "manifest-"
	segmentBytes       = 1 << 20
	defaultRotateBytes = 64 << 10
)

func (o Options) wal() wal.Options {
	return wal.Options{Dir: o.Dir, Prefix: prefix, SegmentBytes: segmentBytes, Preallocate: o.Preallocate}
}

// A Manifest is the log of edits, open for appending. It is not safe for
// concurrent use.
type Manifest struct {
	fs    vfs.FS
	o     Options
	log   *wal.Log
	state State
	buf   []byte

	editBytes     int // written since the last snapshot
	snapshotBytes int // size of that snapshot
}

// Create makes the manifest of a database that consists of state. The directory
// must exist. When Create returns, the database does, too.
func Create(fs vfs.FS, o Options, state State) (*Manifest, error) {
	log, err := wal.Open(fs, o.wal())
	if err != nil {
		return nil, fmt.Errorf("manifest: create: %w", err)
	}
	m := &Manifest{fs: fs, o: o, log: log, state: state}
	if m.state.Version == nil {
		m.state.Version = &Version{}
	}
	m.state.NextFile = max(m.state.NextFile, 1)
	if err := m.rotate(); err != nil {
		_ = log.Close()
		return nil, fmt.Errorf("manifest: create: %w", err)
	}
	return m, nil
}

// Open reads the manifest. ErrNone means that there is none; damage is
// a *corrupt.Error.
func Open(fs vfs.FS, o Options) (*Manifest, error) {
	from, err := readCurrent(fs, o.Dir)
	if errors.Is(err, vfs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %q", ErrNone, o.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	log, err := wal.Open(fs, o.wal())
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	m := &Manifest{fs: fs, o: o, log: log, state: State{Version: &Version{}}}
	if err := m.replay(from); err != nil {
		_ = log.Close()
		return nil, fmt.Errorf("manifest: %w", err)
	}
	// What a switch of CURRENT left behind. If it cannot be removed, then later.
	_ = log.RemoveBefore(from)
	return m, nil
}

func (m *Manifest) replay(from wal.SegmentID) error {
	first := true
	err := m.log.Replay(from, func(at wal.Position, payload []byte) error {
		e, err := decodeEdit(payload)
		if err == nil && first && !e.Snapshot {
			err = fmt.Errorf("%w: the first edit is no snapshot", errBadEdit)
		}
		if err == nil {
			m.state, err = m.state.apply(e)
		}
		if err != nil {
			return corrupt.New(m.segmentName(at.Segment), at.Offset, "%v", err)
		}
		first = false
		m.count(e, len(payload))
		return nil
	})
	if err == nil && first {
		err = corrupt.New(m.segmentName(from), 0, "no snapshot in the manifest that CURRENT names")
	}
	return err
}

func (m *Manifest) segmentName(id wal.SegmentID) string {
	return path.Join(m.o.Dir, prefix+id.String()+".log")
}

func (m *Manifest) count(e *Edit, size int) {
	if e.Snapshot {
		m.snapshotBytes, m.editBytes = size, 0
		return
	}
	m.editBytes += size
}

// State returns what the edits so far add up to.
func (m *Manifest) State() State { return m.state }

// Append makes the edit durable and returns the state after it.
//
// If there is no room, the error matches vfs.ErrNoSpace. After an error the
// manifest is failed, or (Err is nil) it is as it was.
func (m *Manifest) Append(e *Edit) (State, error) {
	next, err := m.state.apply(e)
	if err != nil {
		return m.state, fmt.Errorf("manifest: %w", err)
	}
	if err := m.write(e); err != nil {
		return m.state, fmt.Errorf("manifest: %w", err)
	}
	m.state = next
	if m.editBytes > cmp.Or(m.o.RotateBytes, defaultRotateBytes)+2*m.snapshotBytes {
		// The edit is durable whatever happens now. Without a new segment the
		// old one goes on; if the log failed, the next Append says so.
		_ = m.rotate()
	}
	return next, nil
}

func (m *Manifest) write(e *Edit) error {
	m.buf = e.append(m.buf[:0])
	if _, err := m.log.Append(m.buf); err != nil {
		return err
	}
	if err := m.log.Sync(); err != nil {
		return err
	}
	m.count(e, len(m.buf))
	return nil
}

// rotate begins a new segment with a snapshot and switches CURRENT to it. Until
// the switch the older segments are what counts, so they are removed last; until
// then a replay goes through both and comes to the same state.
func (m *Manifest) rotate() error {
	id, err := m.log.Rotate()
	if err != nil {
		return err
	}
	if err := m.write(m.state.snapshot()); err != nil {
		return err
	}
	if err := writeCurrent(m.fs, m.o.Dir, id); err != nil {
		return err
	}
	return m.log.RemoveBefore(id)
}

// Err returns why the manifest takes no more edits, or nil.
func (m *Manifest) Err() error { return m.log.Err() }

// Close closes the log.
func (m *Manifest) Close() error { return m.log.Close() }
