package raftlog

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/wal"
)

// Options say whose log it is and how it uses the disk.
type Options struct {
	NodeID       uint64 // of this node; a log of another node is refused
	Dir          string
	SegmentBytes int64
	// Relaxed says that entries are applied before they are durable.
	Relaxed bool
	// ReplayBytes is how much of the newest entries Open keeps in memory for
	// the groups that will want to apply them. Default 64 MB.
	ReplayBytes int
	// Volatile says that nothing is to survive the process, so that the log
	// need not keep what is applied. Not for groups with other voters.
	Volatile bool
	// KeepSegments is how many of the newest segments stay although only other
	// members of groups may still want the entries in them; Keep changes it.
	// Default none.
	KeepSegments int
}

const filePrefix = "raft-"

// maxSegmentBytes bounds the segments, so that an offset fits into 32 bits even
// if a segment is made longer for one large append.
const maxSegmentBytes = 1 << 30

var (
	// ErrWrongNode means that the log was written by another node.
	ErrWrongNode = errors.New("raftlog: log of another node")
	// ErrNoGroup means that the log knows no group of that id.
	ErrNoGroup = errors.New("raftlog: no such group")
)

// A Log is the open log of a node. It is safe for concurrent use.
type Log struct {
	e   *env.Env
	o   Options
	wal recordLog

	// io is held around every use of wal but ReadAt, and guards the fields
	// below it. Who holds it may lock mu or a Storage's mu, never two at once.
	io       *env.Latch
	failed   error
	fresh    bool  // the next append begins a segment
	marked   bool  // a checkpoint of this life is durable; see append
	end      int64 // offset behind the last record of the segment
	payloads [][]byte
	written  []*Batch // what waiting was
	scratch  []byte

	mu       env.Leaf
	groups   map[GroupID]*Storage
	segments []segment // ascending; those that hold records
	waiting  []*Batch  // for whoever takes io next
	keep     int       // Options.KeepSegments, or as Keep says
	reserved int64     // bytes promised to batches that are not written yet
	room     int64     // bytes that fit into the segment, too, and are not promised
}

// Open reads the log in o.Dir, or makes an empty one. Damage gives
// a *corrupt.Error; a torn tail is cut off.
func Open(e *env.Env, fs vfs.FS, o Options) (*Log, error) {
	o.SegmentBytes = min(max(o.SegmentBytes, 4096), maxSegmentBytes)
	if o.ReplayBytes == 0 {
		o.ReplayBytes = 64 << 20
	}
	w, err := openRecords(fs, o)
	if err != nil {
		return nil, fmt.Errorf("raftlog: %w", err)
	}
	l := &Log{e: e, o: o, wal: w, io: env.NewLatch(e), fresh: true, groups: map[GroupID]*Storage{}, keep: o.KeepSegments}
	l.mu.Bind(e)
	r := replay{Log: l}
	if err := l.wal.Replay(0, r.record); err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("raftlog: replay: %w", err)
	}
	return l, nil
}

func openRecords(fs vfs.FS, o Options) (recordLog, error) {
	if o.Volatile {
		return nowhere{}, nil
	}
	if err := makeDir(fs, o.Dir); err != nil {
		return nil, err
	}
	return wal.Open(fs, wal.Options{
		Dir: o.Dir, Prefix: filePrefix, SegmentBytes: o.SegmentBytes,
		Recycle:     2,
		Preallocate: true, // or Reserve could promise nothing
	})
}

// makeDir makes a directory whose name survives a crash: every directory on
// the way to it is synced.
func makeDir(fs vfs.FS, dir string) error {
	if err := fs.MkdirAll(dir); err != nil {
		return err
	}
	for dir != "." && dir != "" {
		dir = path.Dir(dir)
		if err := fs.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// fileName is the name that a corruption report gives.
func (l *Log) fileName(id wal.SegmentID) string {
	return path.Join(l.o.Dir, filePrefix+id.String()+".log")
}

func (l *Log) corrupt(pos wal.Position, err error) error {
	return corrupt.New(l.fileName(pos.Segment), pos.Offset, "%v", err)
}

func (l *Log) addGroup(g groupState) *Storage {
	s := newStorage(l, g.id)
	s.hard, s.members, s.relaxed, s.retired = g.hard, g.members, g.relaxed, g.retired
	s.base, s.last = g.last, g.last
	l.groups[g.id] = s
	return s
}

// Groups returns the ids of all groups, sorted.
func (l *Log) Groups() []GroupID {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := make([]GroupID, 0, len(l.groups))
	for id, s := range l.groups { //sim:ok sorted below
		if !s.retired {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// storages returns all groups, the retired ones, too, sorted by id.
func (l *Log) storages() []*Storage {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*Storage, 0, len(l.groups))
	for _, s := range l.groups {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Storage) int { return cmp.Compare(a.id, b.id) })
	return all
}

// Storage returns a group's part of the log, or nil.
func (l *Log) Storage(id GroupID) *Storage {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.groups[id]; s != nil && !s.retired {
		return s
	}
	return nil
}

// readEntry reads one entry again.
func (l *Log) readEntry(g GroupID, id EntryID, pos wal.Position) (*raftpb.Entry, error) {
	payload, err := l.wal.ReadAt(pos)
	if err != nil {
		return nil, &ReadError{fmt.Errorf("group %d entry %d: %w", g, id.Index, err)}
	}
	r, err := decodeRecord(payload)
	if err == nil && (r.kind != kindEntry || r.group != g || r.id != id) {
		err = fmt.Errorf("not entry %d of group %d", id.Index, g)
	}
	if err != nil {
		return nil, &ReadError{l.corrupt(pos, err)}
	}
	return r.entry(), nil
}

// Err returns why the log takes no more writes, or nil.
func (l *Log) Err() error {
	l.io.Lock()
	defer l.io.Unlock()
	return l.failed
}

// Close makes everything durable and closes the files.
func (l *Log) Close() error {
	l.io.Lock()
	defer l.io.Unlock()
	return l.wal.Close()
}
