package lsm

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/cache"
	"github.com/statordb/stator/lsm/compaction"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/memtable"
	"github.com/statordb/stator/lsm/sstable"
	"github.com/statordb/stator/lsm/vlog"
	"github.com/statordb/stator/lsm/wal"
)

var (
	// ErrNotFound means that no live version of the key is visible.
	ErrNotFound = errors.New("lsm: not found")

	// ErrClosed means that the database was closed.
	ErrClosed = errors.New("lsm: closed")

	// ErrFailed means that a log could not be written or synced. What is on disk
	// is unknown, so there are no more writes until the database is opened
	// again; reads go on.
	ErrFailed = errors.New("lsm: failed")
)

// A DB is an open database. It is safe for concurrent use.
//
// Lock order: altering, committing, writing, picking, installing, then the leaves, of which inserting
// comes before mu.
type DB struct {
	e  *env.Env
	fs vfs.FS
	o  Options

	// altering is held by Ingest. Close waits for it.
	altering *env.Latch
	held     *env.Future[struct{}] // set when writers may go on (hold.go); nil: they may

	// writing is held by whoever uses log: over the log and the insertion of
	// what was logged, and over switching memtables.
	writing *env.Latch
	log     *wal.Log // nil with Options.DisableWAL

	// inserting makes one task at a time the writer of the active memtable.
	inserting env.Leaf
	lastSeq   key.SeqNum // of the last operation inserted
	visible   atomic.Uint64

	commits commitQueue

	// installing is held while the manifest is written and the new version
	// takes the place of the old.
	installing *env.Latch
	manifest   *manifest.Manifest

	// picking is held while a compaction is chosen.
	picking *env.Latch

	cache *cache.Cache   // of decoded blocks
	slabs *memtable.Pool // memory for memtables
	pool  *sstable.Pool

	valueDecoder vlog.Decoder

	current atomic.Pointer[state] // what readers see; replaced under mu
	isDown  atomic.Bool           // closed, or failure is set: a quick look for every write

	// mu guards the fields below it.
	mu         env.Leaf
	nextFile   manifest.FileNum
	snapshots  []key.SeqNum          // of open snapshots, ascending, with duplicates
	expiring   int                   // merges under way that drop what has expired
	running    []*compaction.Pick    // being carried out
	ended      *env.Future[struct{}] // set when the next of them ends
	obsolete   []*table              // to be closed and removed by the cleaner
	values     values                // open value files
	flushedOut []*memory             // memtables to be freed by the cleaner
	flushed    *env.Future[struct{}] // set after the next attempt to flush
	flushErr   error                 // of the last attempt, nil if it succeeded
	mergeErr   error                 // the same for compaction
	failure    error                 // why writes are refused for good; matches ErrFailed
	closed     bool

	flushersLeft int      // flushers that have not ended
	flushedAt    env.Mono // when the last memtable had been flushed

	cursors cursorPool
	pins    pins

	pacer   pacer
	limiter limiter
	metrics counters
	stuckL0 atomic.Bool // level 0 is too full, but damage prevents merging it

	// tasks are the flushers, the compactors, the cleaner and the syncer. Each has
	// a queue of one place that wakes it; closing the queues ends the tasks.
	tasks     *env.Group
	flushes   *env.Queue[struct{}]
	merges    *env.Queue[struct{}]
	cleanings *env.Queue[struct{}]
	syncs     *env.Queue[struct{}]
}

// wake makes the task behind q look for work. One place is enough: a task looks
// for everything that is to be done, so a second call would tell it nothing.
func wake(q *env.Queue[struct{}]) { q.TrySend(struct{}{}) }

func newDB(e *env.Env, fs vfs.FS, o Options) *DB {
	db := &DB{
		e: e, fs: fs, o: o.withDefaults(),
		altering: env.NewLatch(e), writing: env.NewLatch(e), installing: env.NewLatch(e), picking: env.NewLatch(e),
		values:    values{open: map[manifest.FileNum]*valueFile{}},
		flushed:   env.NewFuture[struct{}](e),
		ended:     env.NewFuture[struct{}](e),
		tasks:     env.NewGroup(e),
		flushes:   env.NewQueue[struct{}](e, 1),
		merges:    env.NewQueue[struct{}](e, 1),
		cleanings: env.NewQueue[struct{}](e, 1),
		syncs:     env.NewQueue[struct{}](e, 1),
	}
	db.cache = cache.New(db.o.MemoryBytes)
	db.slabs = memtable.NewPool(flushers*db.o.MemtableBytes + db.o.MemtableBytes/4)
	db.pool = sstable.NewPool(db.cache)
	db.mu.Bind(e)
	db.inserting.Bind(e)
	db.commits.mu.Bind(e)
	db.pins.mu.Bind(e)
	if db.o.TrackPins {
		db.pins.open = map[uint64]pin{}
	}
	db.pacer.init(e)
	db.limiter.init(e, &db.isDown, db.o.BackgroundBytesPerSec)
	return db
}

// start begins the background work.
func (db *DB) start() {
	db.flushersLeft = flushers
	for range flushers {
		db.tasks.Go("lsm-flush", db.flushTask)
	}
	for range db.o.CompactionConcurrency {
		db.tasks.Go("lsm-compact", db.compactTask)
	}
	db.tasks.Go("lsm-clean", db.cleanTask)
	if db.log != nil && db.o.Sync == SyncInterval {
		db.tasks.Go("lsm-sync", db.syncTask)
	}
	wake(db.flushes)
	wake(db.merges)
}

// LastSeq returns the sequence number of the last operation that readers see.
func (db *DB) LastSeq() uint64 { return db.visible.Load() }

// FlushedSeq returns the sequence number up to which all operations are in durable
// tables. Without a write-ahead log a crash leaves exactly these.
func (db *DB) FlushedSeq() uint64 { return uint64(db.current.Load().version.flushedSeq) }

// fail stops all writes for good, the first time with this cause.
func (db *DB) fail(cause error) error {
	db.mu.Lock()
	isFirst := db.failure == nil
	if isFirst {
		db.isDown.Store(true)
		db.failure = fmt.Errorf("%w: %w", ErrFailed, cause)
	}
	err := db.failure
	db.mu.Unlock()
	if isFirst {
		db.o.Events.failed(err)
	}
	return err
}

// refused returns why there are no writes, or nil.
func (db *DB) refused() error {
	if !db.isDown.Load() {
		return nil
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return ErrClosed
	}
	return db.failure
}

// Close ends the database. With Options.DisableWAL it first flushes what is in
// memory, and returns an error if that fails; with a log, everything is
// in the log.
//
// Iterators should be closed before; those that are not may be used on, and the
// tables that they read stay open until they are closed. Listener.Pinned is told of
// them. Everything else that reads
// gets ErrClosed.
func (db *DB) Close() error {
	if !db.shut() {
		return ErrClosed
	}
	db.altering.Lock() // whoever comes later finds the database closed
	defer db.altering.Unlock()
	var err error
	if db.log == nil {
		err = db.flushAll()
	}
	for _, q := range []*env.Queue[struct{}]{db.flushes, db.merges, db.cleanings, db.syncs} {
		q.Close()
	}
	if e := db.tasks.Wait(); err == nil {
		err = e
	}
	db.awaitIdle() // Compact may still be merging
	if e := db.closeLogs(); err == nil {
		err = e
	}
	db.reportPins()
	db.releaseState(db.current.Load())
	db.clean()
	db.cache.Close()
	db.slabs.Close()
	if err != nil {
		return fmt.Errorf("lsm: close: %w", err)
	}
	return nil
}

// shut refuses further writes and waits for those under way. It reports false if
// the database was closed before.
func (db *DB) shut() bool {
	db.writing.Lock()
	defer db.writing.Unlock()
	db.inserting.Lock()
	defer db.inserting.Unlock()
	db.mu.Lock()
	defer db.mu.Unlock()
	first := !db.closed
	db.isDown.Store(true)
	db.closed = true
	return first
}

func (db *DB) closeLogs() error {
	var err error
	if db.log != nil {
		db.writing.Lock()
		err = db.log.Close()
		db.writing.Unlock()
	}
	db.installing.Lock()
	defer db.installing.Unlock()
	if e := db.manifest.Close(); err == nil {
		err = e
	}
	return err
}
