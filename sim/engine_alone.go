package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
)

// The store of a node has no log of its own, is written to by few tasks, and does a part of what the engine can
// do. A loner is a store that does all of it, on a machine of its own: with its log, in each mode of it, with writers at
// the same time, checkpoints, files to ingest, ranges to excise, and all policies of compaction.
//
// It works in bursts, one a step. In each some hands write, while something else is done to the store; then the power
// fails or the process dies at some operation of the disk, or a sync fails, or the disk is full for a while, or nothing.
// Afterwards each hand must find of its own what it was told, and all or nothing of each thing that it did.
type loner struct {
	run    *run
	e      *env.Env
	disk   *vfs.Disk
	rng    *rand.Rand // of the step
	o      lsm.Options
	db     *lsm.DB // nil: it is not open
	hands  []*hand
	mode   vfs.CrashMode
	wrong  error // what the burst has found
	full   bool  // the disk is
	syncs  int   // until one fails; 0: none does
	spoilt bool  // one has: the page cache is not what is on the disk
	files  int
	view   *lsm.Snapshot // that is kept from burst to burst
	shown  content       // what it has shown
}

// lonerName is that of the machine and of the directory.
const lonerName = "engine"

// lonerLimit is how long a burst may take.
const lonerLimit = 30 * time.Second

// startLoner begins the bursts, if the plan has any.
func (r *run) startLoner() *loner {
	if len(r.plan.Engine) == 0 {
		return nil
	}
	dice := rand.New(rand.NewPCG(r.plan.Seed, 0x10e4))
	l := &loner{run: r, rng: dice, disk: vfs.NewDisk(r.plan.Seed ^ 0x10e4), e: r.world.NewNode(lonerName)}
	r.world.OnCrash(lonerName, func() { l.disk.Crash(l.mode) })
	latency := r.world.Stream("disk/" + lonerName)
	l.disk.OnOp(func(op vfs.Op) error { return l.onDisk(op, latency) })
	for i := range 3 {
		l.hands = append(l.hands, &hand{l: l, prefix: fmt.Sprint("h", i, "/"), base: content{}})
	}
	l.o = l.options()
	r.tasks.Go("engine", func() error {
		for _, s := range r.plan.Engine {
			r.sleepUntil(s.At)
			if r.ending || r.err != nil {
				break
			}
			l.rng = s.rng()
			l.burst()
		}
		l.end()
		return nil
	})
	return l
}

// options are tiny, so that everything happens often.
func (l *loner) options() lsm.Options {
	rng := l.rng
	facets := firstByte
	if rng.IntN(3) == 0 {
		facets = nil
	}
	return lsm.Options{
		Facets: facets,
		Dir:    lonerName, MemoryBytes: 64 << 10,
		MemtableBytes: 1 << (10 + rng.IntN(3)), BlockBytes: 64 << rng.IntN(4), TableBytes: 1 << (10 + rng.IntN(3)),
		L0Tables: 1 + rng.IntN(3), BaseBytes: 4 << 10, LevelRatio: 2, LogSegmentBytes: 1 << (11 + rng.IntN(3)),
		Compaction:            []lsm.Compaction{lsm.Leveled{}, lsm.Leveled{}, lsm.Tiered{}, lsm.LazyLeveled{}}[rng.IntN(4)],
		CompactionConcurrency: 1 + rng.IntN(3), TombstoneAge: time.Duration(rng.IntN(2)) * 10 * time.Millisecond,
		ValueThreshold: []int{-1, 1, 50, 1000}[rng.IntN(4)], ValueFileBytes: 1 << (8 + rng.IntN(4)),
		NoPreallocate: rng.IntN(3) == 0, NoMmap: rng.IntN(3) == 0, PrefixLen: rng.IntN(5),
		Sync: []lsm.SyncMode{lsm.SyncAlways, lsm.SyncAlways, lsm.SyncInterval, lsm.SyncNever}[rng.IntN(4)], SyncEvery: 5 * time.Millisecond,
		Compression: []lsm.Compression{lsm.NoCompression, lsm.NoCompression, lsm.S2}[rng.IntN(3)],
	}
}

// onDisk is asked before every operation of the disk. Some take long enough for others to get their turn.
func (l *loner) onDisk(op vfs.Op, latency *rand.Rand) error {
	if op.Writes() && latency.IntN(4) == 0 && l.e.Up() {
		l.e.Sleep(time.Duration(latency.IntN(300)) * time.Microsecond)
	}
	if op.Kind != vfs.OpSync && op.Kind != vfs.OpSyncDir || l.syncs == 0 {
		return nil
	}
	if l.syncs--; l.syncs > 0 {
		return nil
	}
	l.spoilt = true
	return vfs.SimulatedIO
}

// burst is a step.
func (l *loner) burst() {
	if !l.open() {
		return
	}
	l.awaitSync()
	things := 16
	if l.rng.IntN(24) == 0 {
		things = 200 // more than fits into the levels above the last without a merge
	}
	var tasks []func()
	for _, h := range l.hands[:1+l.rng.IntN(len(l.hands))] {
		h.rng, h.left = rand.New(rand.NewPCG(l.rng.Uint64(), 0x4a4d)), 1+l.rng.IntN(1+l.rng.IntN(things))
		tasks = append(tasks, h.work)
	}
	if other := l.other(); other != nil {
		tasks = append(tasks, other)
	}
	switch l.rng.IntN(8) {
	case 0, 1, 2:
		l.mode = vfs.RandomCrash(l.rng)
		l.disk.CrashAt(1+l.rng.IntN(1<<l.rng.IntN(8)), func() { l.run.world.Crash(lonerName) })
	case 3:
		l.mode = vfs.KeepAll
		l.disk.CrashAt(1+l.rng.IntN(1<<l.rng.IntN(8)), func() { l.run.world.Crash(lonerName) })
	case 4:
		l.syncs = 1 + l.rng.IntN(20)
	case 5:
		l.full = true
		l.disk.SetCapacity(0)
	}
	l.together(tasks)
	l.disk.CrashAt(1<<40, func() {})
	l.disk.SetCapacity(1 << 40)
	l.full, l.syncs = false, 0
	if l.spoilt {
		l.mode = vfs.RandomCrash(l.rng)
		l.run.world.Crash(lonerName)
	}
	switch {
	case !l.e.Up():
		l.restart()
	case l.rng.IntN(8) == 0:
		l.close()
	default:
		l.together([]func(){func() { l.judge(l.look(l.db, false)) }})
	}
}

// awaitSync waits, at times, until the log has been synced by itself.
func (l *loner) awaitSync() {
	if l.o.Sync != lsm.SyncInterval || l.rng.IntN(4) > 0 {
		return
	}
	l.run.clients.Sleep(4 * l.o.SyncEvery)
	for _, h := range l.hands {
		h.safe = h.told
	}
}

// together runs tasks on the machine, until all have ended or it is down.
func (l *loner) together(tasks []func()) {
	left := len(tasks)
	for _, f := range tasks {
		l.e.Go("engine", func() { f(); left-- })
	}
	for since := l.run.clients.Now(); left > 0 && l.e.Up(); l.run.clients.Sleep(time.Millisecond) {
		if l.run.clients.Now().Sub(since) > lonerLimit {
			l.fail(Progress, fmt.Errorf("what was asked of the store has not come to its end for %s", lonerLimit))
			return
		}
	}
	l.judge(l.wrong)
}

func (l *loner) judge(err error) {
	if err != nil {
		l.fail(Engine, err)
	}
}

func (l *loner) fail(by Checker, err error) {
	l.run.fail(found(by, fmt.Errorf("sim: the engine alone: %w", err)))
}

// open opens the store, if it is not, and looks at what is there. It reports false if a violation was found.
func (l *loner) open() bool {
	if l.db != nil {
		return l.run.err == nil
	}
	var db *lsm.DB
	l.together([]func(){func() {
		var err error
		if db, err = lsm.Open(l.e, l.disk.Mount(), l.o); err != nil {
			l.fail(Boot, err)
			return
		}
		l.judge(l.look(db, true))
	}})
	l.db = db
	return l.run.err == nil
}

// restart is what follows a crash. What no sync has made durable is lost, unless only the process died.
func (l *loner) restart() {
	for _, h := range l.hands {
		if l.mode != vfs.KeepAll || l.spoilt {
			h.told = h.safe
		}
	}
	l.e, l.db, l.view, l.spoilt = l.run.world.Restart(lonerName), nil, nil, false
	l.open()
}

// close closes the store in an orderly way. Then all of it is durable. At times it is opened with other options.
func (l *loner) close() {
	db := l.db
	l.together([]func(){func() {
		l.dropView()
		if err := db.Close(); err != nil {
			l.judge(fmt.Errorf("close: %w", err))
		}
	}})
	for _, h := range l.hands {
		h.safe = h.told
	}
	if l.db = nil; l.rng.IntN(2) == 0 {
		l.o = l.options()
	}
	l.open()
}

// end looks at the store for the last time.
func (l *loner) end() {
	if l.run.err != nil || !l.open() {
		return
	}
	db := l.db
	l.together([]func(){func() { l.judge(db.Verify()) }})
	if l.close(); l.run.err == nil && l.db != nil {
		l.together([]func(){func() { l.judge(l.db.Close()) }})
	}
}

// other is what is done to the store while hands write.
func (l *loner) other() func() {
	switch l.rng.IntN(8) {
	case 0:
		return l.thatMakesDurable("flush", func() error { return l.db.Flush() })
	case 1:
		lower, upper := l.bounds()
		return l.thatMakesDurable("compact", func() error { return l.db.Compact(lower, upper) })
	case 2:
		return l.checkpoint
	case 3:
		return l.keepView
	case 4:
		return l.readView
	case 5:
		return func() {
			if err := l.db.VerifyNew(); err != nil {
				l.mind("verify", err)
			}
		}
	}
	return nil
}

func (l *loner) bounds() (lower, upper []byte) {
	if l.rng.IntN(2) == 0 {
		return nil, nil
	}
	return []byte(l.hands[l.rng.IntN(len(l.hands))].key(l.rng)), nil
}

// thatMakesDurable carries out something after which all is durable that was told before.
func (l *loner) thatMakesDurable(what string, do func() error) func() {
	return func() {
		var told []int
		for _, h := range l.hands {
			told = append(told, h.told)
		}
		if err := do(); err != nil {
			l.mind(what, err)
			return
		}
		for i, h := range l.hands {
			h.safe = max(h.safe, told[i])
		}
	}
}

// mind keeps an error that nothing excuses. A log whose space is not reserved fails when the disk is full, and takes no
// more until it is opened again.
func (l *loner) mind(what string, err error) {
	if l.full && l.o.NoPreallocate && errors.Is(err, lsm.ErrFailed) && errors.Is(err, vfs.ErrNoSpace) {
		l.spoilt = true
	}
	if l.wrong == nil && !l.excused(err) {
		l.wrong = fmt.Errorf("%s: %w", what, err)
	}
}

// excused reports whether an error is what is to be expected of the disk.
func (l *loner) excused(err error) bool {
	return l.full && errors.Is(err, vfs.ErrNoSpace) || l.spoilt && (errors.Is(err, vfs.ErrIO) || errors.Is(err, lsm.ErrFailed)) || errors.Is(err, vfs.ErrDead)
}

// checkpoint makes a copy, and looks at it: it is of some moment while it was made.
func (l *loner) checkpoint() {
	var least []int
	for _, h := range l.hands {
		least = append(least, h.told)
	}
	l.files++
	o := l.o
	o.Dir = fmt.Sprintf("copy%d", l.files)
	if err := l.db.Checkpoint(o.Dir); err != nil {
		l.mind("checkpoint", err)
		return
	}
	db, err := lsm.Open(l.e, l.disk.Mount(), o)
	if err != nil {
		l.mind("open a checkpoint", err)
		return
	}
	there, err := read(db)
	if err == nil {
		for i, h := range l.hands {
			if _, ok := h.find(there.of(h.prefix), least[i]); !ok {
				err = fmt.Errorf("it shows %v of %s, which is what was there at no moment while it was made", there.of(h.prefix), h.prefix)
			}
		}
	}
	if err = errors.Join(err, db.Close()); err != nil {
		l.mind("checkpoint", err)
	}
}

// keepView takes a snapshot and notes what it shows.
func (l *loner) keepView() {
	l.dropView()
	view := l.db.NewSnapshot()
	shown, err := read(view)
	if err != nil {
		view.Close()
		l.mind("read a snapshot", err)
		return
	}
	l.view, l.shown = view, shown
}

// readView has the snapshot show the same again.
func (l *loner) readView() {
	if l.view == nil {
		return
	}
	if err := compare(l.view, l.shown, l.rng); err != nil {
		l.mind("a snapshot", err)
	}
}

func (l *loner) dropView() {
	if l.view != nil {
		l.view.Close()
		l.view = nil
	}
}

// look reads all of the store, and demands that it is what the hands were told. What is found in one that was just opened
// is durable.
func (l *loner) look(db *lsm.DB, isNew bool) error {
	there, err := read(db)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	for _, h := range l.hands {
		n, ok := h.find(there.of(h.prefix), h.told)
		if !ok {
			return fmt.Errorf("there is %v of %s; of %d operations %d must be there, and of each all or nothing: %v", there.of(h.prefix), h.prefix, len(h.deeds), h.told, h)
		}
		if isNew {
			h.safe = n
		}
		h.settle(n)
	}
	if err := compare(db, there, l.rng); err != nil {
		return err
	}
	if l.view != nil {
		return compare(l.view, l.shown, l.rng)
	}
	return nil
}
