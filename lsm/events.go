package lsm

import (
	"time"

	"github.com/statordb/stator/lsm/compaction"
	"github.com/statordb/stator/lsm/manifest"
)

// A Listener is told what happens in the background. Any of its functions may be nil.
// They are called by the tasks that do the work, possibly several at a time, without
// any lock held; they should be quick, and must not call the database.
type Listener struct {
	Flushed   func(FlushEvent)
	Compacted func(CompactionEvent)
	Removed   func(manifest.FileNum) // a table or value file that is not needed any more
	Stalled   func(StallEvent)
	Damaged   func(DamageEvent)
	Pinned    func(PinEvent)
	Failed    func(error) // there are no more writes; see ErrFailed
}

// A FlushEvent tells of a memtable that is now a table of level 0; or of none, if
// nothing of it was needed.
type FlushEvent struct {
	Tables     []manifest.FileNum
	Bytes      uint64 // of the tables
	ValueBytes uint64 // of value files written with them
	Duration   time.Duration
}

// A CompactionEvent tells of tables that were merged or moved.
type CompactionEvent struct {
	Pick         *compaction.Pick
	Tables       []manifest.FileNum // written
	BytesRead    uint64
	BytesWritten uint64
	ValueBytes   uint64 // of value files written, not part of BytesWritten
	Duration     time.Duration
}

// A StallEvent tells that a writer has to wait until background work catches up, and,
// with Done, that it went on.
type StallEvent struct {
	Reason   StallReason
	Done     bool
	Duration time.Duration
}

// A DamageEvent tells of a table or value file that is damaged, when that is found out
// by Open or by a compaction. Reads report damage by themselves.
type DamageEvent struct {
	Table manifest.FileNum // or value file; Name tells
	Name  string
	Err   error
}

// A PinEvent tells of iterators and snapshots that are still open when the database is
// closed.
type PinEvent struct {
	Iterators, Snapshots int
	Pins                 []Pin // with Options.TrackPins
}

func (l *Listener) flushed(e FlushEvent) {
	if l.Flushed != nil {
		l.Flushed(e)
	}
}

func (l *Listener) compacted(e CompactionEvent) {
	if l.Compacted != nil {
		l.Compacted(e)
	}
}

func (l *Listener) removed(n manifest.FileNum) {
	if l.Removed != nil {
		l.Removed(n)
	}
}

func (l *Listener) stalled(e StallEvent) {
	if l.Stalled != nil {
		l.Stalled(e)
	}
}

func (l *Listener) damaged(e DamageEvent) {
	if l.Damaged != nil {
		l.Damaged(e)
	}
}

func (l *Listener) pinned(e PinEvent) {
	if l.Pinned != nil {
		l.Pinned(e)
	}
}

func (l *Listener) failed(err error) {
	if l.Failed != nil {
		l.Failed(err)
	}
}
