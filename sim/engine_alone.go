package sim

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
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

// startLoner begins the bursts.
func (r *run) startLoner() {
	if len(r.plan.Engine) == 0 {
		return
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
}

// options are tiny, so that everything happens often.
func (l *loner) options() lsm.Options {
	rng := l.rng
	return lsm.Options{
		Dir: lonerName, MemoryBytes: 64 << 10,
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
	var tasks []func()
	for _, h := range l.hands[:1+l.rng.IntN(len(l.hands))] {
		h.rng, h.left = rand.New(rand.NewPCG(l.rng.Uint64(), 0x4a4d)), 1+l.rng.IntN(1+l.rng.IntN(16))
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

// A hand writes keys of its own to the loner's store, one thing after the other.
type hand struct {
	l      *loner
	prefix string
	rng    *rand.Rand
	left   int // things to be done in this burst
	number int // of values

	base  content // what there is without deeds
	deeds []deed  // that may be lost, or not be done yet
	told  int     // of them so many have succeeded
	safe  int     // so many must be left by a power cut
}

// A deed is done as a whole, or not at all.
type deed []change

// A change sets a key, or deletes it if there is no value, or deletes a range up to end.
type change struct{ key, end, value string }

// content is what is at keys.
type content map[string]string

func (c content) apply(d deed) {
	for _, x := range d {
		switch {
		case x.end != "":
			maps.DeleteFunc(c, func(k, _ string) bool { return k >= x.key && k < x.end })
		case x.value == "":
			delete(c, x.key)
		default:
			c[x.key] = x.value
		}
	}
}

func (c content) of(prefix string) content {
	some := maps.Clone(c)
	maps.DeleteFunc(some, func(k, _ string) bool { return !strings.HasPrefix(k, prefix) })
	return some
}

// find returns how many deeds, least or more, lead to what is there.
func (h *hand) find(there content, least int) (n int, ok bool) {
	c := maps.Clone(h.base)
	for i, d := range h.deeds {
		if i >= least && maps.Equal(c, there) {
			return i, true
		}
		c.apply(d)
	}
	return len(h.deeds), maps.Equal(c, there)
}

// settle notes that the first n deeds are done, and no others. Those that a power cut may undo are kept.
func (h *hand) settle(n int) {
	for _, d := range h.deeds[:h.safe] {
		h.base.apply(d)
	}
	h.deeds, h.told, h.safe = slices.Clone(h.deeds[h.safe:n]), n-h.safe, 0
}

func (h *hand) String() string { return fmt.Sprintf("%v, then %v", h.base, h.deeds) }

func (h *hand) key(rng *rand.Rand) string {
	return fmt.Sprintf("%s%0*d", h.prefix, 2+rng.IntN(2), rng.IntN(24))
}

// work does what is left, as far as the disk lets it.
func (h *hand) work() {
	for ; h.left > 0; h.left-- {
		if err := h.do(); err != nil {
			h.l.mind("write", err)
			return
		}
	}
}

// do does one thing.
func (h *hand) do() error {
	switch db := h.l.db; h.rng.IntN(12) {
	case 0:
		lower, upper := h.span()
		return h.done(deed{{key: lower, end: upper}}, true, func() error { return db.Excise([]byte(lower), []byte(upper)) })
	case 1:
		return h.ingest()
	case 2:
		return h.replace()
	case 3:
		if err := db.Flush(); err != nil {
			return err
		}
		h.safe = h.told
		return nil
	}
	b, d := h.l.db.NewBatch(), deed{}
	for range 1 + h.rng.IntN(1+h.rng.IntN(8)) {
		x := change{key: h.key(h.rng)}
		switch n := h.rng.IntN(12); {
		case n < 2:
			b.Delete([]byte(x.key))
		case n == 2:
			x.key, x.end = h.span()
			b.DeleteRange([]byte(x.key), []byte(x.end))
		default:
			x.value = h.value()
			b.Set([]byte(x.key), []byte(x.value))
		}
		d = append(d, x)
	}
	return h.done(d, h.l.o.Sync == lsm.SyncAlways, func() error { return h.l.db.Apply(b) })
}

// done carries a deed out.
func (h *hand) done(d deed, isDurable bool, do func() error) error {
	h.deeds = append(h.deeds, d)
	if err := do(); err != nil {
		return err
	}
	h.told = len(h.deeds)
	if isDurable {
		h.safe = h.told
	}
	return nil
}

func (h *hand) span() (lower, upper string) {
	lower, upper = h.key(h.rng), h.key(h.rng)
	if lower >= upper {
		lower, upper = upper, lower+"0"
	}
	return lower, upper
}

func (h *hand) value() string {
	h.number++
	return fmt.Sprintf("%d%*s", h.number, h.rng.IntN(1+h.rng.IntN(150)), "")
}

// sorted returns some keys in order.
func (h *hand) sorted() (keys []string) {
	for range 1 + h.rng.IntN(12) {
		keys = append(keys, h.key(h.rng))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// ingest writes a file and has the store take it.
func (h *hand) ingest() error {
	h.l.files++
	name := fmt.Sprintf("load%d", h.l.files)
	fs := h.l.disk.Mount()
	f, err := lsm.NewTableFile(h.l.e, fs, name, h.l.o)
	if err != nil {
		return err
	}
	defer func() { _ = fs.Remove(name) }()
	d := deed{}
	if h.rng.IntN(3) == 0 {
		lower, upper := h.span()
		d = append(d, change{key: lower, end: upper})
		err = f.DeleteRange([]byte(lower), []byte(upper))
	}
	for _, k := range h.sorted() {
		x := change{key: k}
		if h.rng.IntN(6) == 0 {
			err = errors.Join(err, f.Delete([]byte(k)))
		} else {
			x.value = h.value()
			err = errors.Join(err, f.Set([]byte(k), []byte(x.value)))
		}
		d = append(d, x)
	}
	if err = errors.Join(err, f.Finish()); err != nil {
		return err
	}
	return h.done(d, true, func() error { return h.l.db.Ingest(name) })
}

// replace gives a span new contents.
func (h *hand) replace() error {
	lower, upper := h.span()
	r, err := h.l.db.Replace(lsm.KeySpan{Lower: []byte(lower), Upper: []byte(upper)})
	if err != nil {
		return err
	}
	d := deed{{key: lower, end: upper}}
	for _, k := range h.sorted() {
		if k < lower || k >= upper {
			continue
		}
		x := change{key: k, value: h.value()}
		if err := r.Set([]byte(k), []byte(x.value)); err != nil {
			r.Abort()
			return err
		}
		d = append(d, x)
	}
	return h.done(d, true, func() error { return r.Commit(nil) })
}

// A lonerView is what can be read of the store, or of a moment of it.
type lonerView interface {
	Get(user, dst []byte) ([]byte, error)
	NewIter(lsm.IterOptions) (*lsm.Iterator, error)
}

// read reads all that a view shows.
func read(v lonerView) (content, error) {
	it, err := v.NewIter(lsm.IterOptions{})
	if err != nil {
		return nil, err
	}
	c := content{}
	for ok := it.First(); ok; ok = it.Next() {
		c[string(it.Key())] = string(it.Value())
	}
	return c, errors.Join(it.Err(), it.Close())
}

// compare demands that a view shows what it has shown: key by key, and to an iterator that has bounds, which goes forward
// or backward and turns around.
func compare(v lonerView, c content, rng *rand.Rand) error {
	keys := slices.Sorted(maps.Keys(c)) //sim:ok sorted
	for _, k := range keys {
		if got, err := v.Get([]byte(k), nil); err != nil || string(got) != c[k] {
			return fmt.Errorf("a get of %s shows %q, %v, and an iterator %q", k, got, err, c[k])
		}
	}
	for range 4 {
		k := fmt.Sprintf("h%d/%0*d", rng.IntN(3), 2+rng.IntN(2), rng.IntN(24))
		if _, is := c[k]; is {
			continue
		}
		if got, err := v.Get([]byte(k), nil); !errors.Is(err, lsm.ErrNotFound) {
			return fmt.Errorf("a get of %s shows %q, %v, and an iterator nothing", k, got, err)
		}
	}
	var o lsm.IterOptions
	if rng.IntN(2) == 0 {
		o.Prefix = fmt.Appendf(nil, "h%d/%d", rng.IntN(3), rng.IntN(3))[:3+rng.IntN(2)]
		keys = slices.DeleteFunc(keys, func(k string) bool { return !strings.HasPrefix(k, string(o.Prefix)) })
	} else if len(keys) > 0 {
		o.Lower = []byte(keys[rng.IntN(len(keys))])
		o.Upper = bytes.Clone(append(slices.Clone(o.Lower[:2]), '0'))
		keys = slices.DeleteFunc(keys, func(k string) bool { return k < string(o.Lower) || k >= string(o.Upper) })
	}
	it, err := v.NewIter(o)
	if err != nil {
		return err
	}
	err = walk(it, c, keys, rng)
	return errors.Join(err, it.Close())
}

// walk moves an iterator about over keys.
func walk(it *lsm.Iterator, c content, keys []string, rng *rand.Rand) error {
	at := -1
	for range 2 * len(keys) {
		var ok bool
		move := rng.IntN(16)
		switch {
		case move == 0:
			k := fmt.Sprintf("h%d/%02d", rng.IntN(3), rng.IntN(24))
			at, _ = slices.BinarySearch(keys, k)
			ok = it.SeekGE([]byte(k))
		case move == 1:
			k := fmt.Sprintf("h%d/%02d", rng.IntN(3), rng.IntN(24))
			at, _ = slices.BinarySearch(keys, k)
			at--
			ok = it.SeekLT([]byte(k))
		case move < 4:
			at = max(at-1, -1)
			ok = it.Prev()
		default:
			at = min(at+1, len(keys))
			ok = it.Next()
		}
		if want := at >= 0 && at < len(keys); ok != want {
			return fmt.Errorf("an iterator stands (%v) or not (%v) at place %d of %v: %v", ok, want, at, keys, it.Err())
		}
		if ok && (string(it.Key()) != keys[at] || string(it.Value()) != c[keys[at]]) {
			return fmt.Errorf("an iterator stands at %s=%q, where %s=%q is", it.Key(), it.Value(), keys[at], c[keys[at]])
		}
	}
	return it.Err()
}
