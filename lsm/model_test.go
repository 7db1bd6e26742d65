package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/sstable"
)

// A model is the obvious database: all operations ever applied, in order. Operation i
// has sequence number i+1.
type model struct {
	ops  []operation
	ends map[uint64]bool // sequence numbers at which a batch ended

	latest    map[string]string // content after latestSeq operations
	latestSeq uint64
}

func newModel() *model {
	return &model{ends: map[uint64]bool{0: true}, latest: map[string]string{}}
}

func (m *model) lastSeq() uint64 { return uint64(len(m.ops)) }

func (m *model) apply(ops []operation) {
	m.ops = append(m.ops, ops...)
	m.ends[m.lastSeq()] = true
}

// truncate forgets what a crash has lost.
func (m *model) truncate(seq uint64) {
	for s := range m.ends {
		if s > seq {
			delete(m.ends, s)
		}
	}
	m.ops = m.ops[:seq]
	if m.latestSeq > seq {
		m.latest, m.latestSeq = map[string]string{}, 0
	}
}

// now returns the content; the caller must not change it.
func (m *model) now() map[string]string {
	for ; m.latestSeq < m.lastSeq(); m.latestSeq++ {
		applyTo(m.latest, m.ops[m.latestSeq])
	}
	return m.latest
}

func applyTo(content map[string]string, op operation) {
	switch op.kind {
	case key.Set:
		content[string(op.user)] = string(op.value)
	case key.Delete:
		delete(content, string(op.user))
	case key.RangeDelete:
		for k := range content {
			if k >= string(op.user) && k < string(op.value) {
				delete(content, k)
			}
		}
	case ingested:
		for r := (batchReader{rest: op.value}); len(r.rest) > 0; {
			part, _ := r.next()
			applyTo(content, part)
		}
	}
}

// ingested is the kind of an operation that stands for a whole file. Its value is the
// operations in it, as in a batch, range deletes first.
const ingested = key.Kind(99)

// A tester drives a database and compares it with the model. It stops at the first
// difference with a panic, which the simulated world turns into an error with the
// seed and the stack.
type tester struct {
	e     *env.Env
	disk  *vfs.Disk
	rng   *rand.Rand
	o     Options
	db    *DB
	model *model
	acked uint64 // what must survive a power cut
	said  uint64 // what must survive the death of the process

	snapshots []modelSnapshot

	gone map[string]bool // keys that have expired and been dropped; nil: nothing expires
}

type modelSnapshot struct {
	*Snapshot
	content map[string]string
}

func (t *tester) check(ok bool, format string, args ...any) {
	if !ok {
		panic(fmt.Sprintf(format, args...))
	}
}

func (t *tester) must(err error) {
	if err != nil {
		panic(err)
	}
}

// randomOptions are tiny, so that everything happens often.
func randomOptions(rng *rand.Rand) Options {
	o := Options{
		MemtableBytes: 2 << 10, BlockBytes: 64, TableBytes: 1 << (10 + rng.IntN(3)),
		L0Tables: 2, BaseBytes: 4 << 10, LevelRatio: 2, LogSegmentBytes: 8 << 10,
		Compaction:            []Compaction{Leveled{}, Leveled{}, Tiered{}, LazyLeveled{}, FIFO{}}[rng.IntN(5)],
		CompactionConcurrency: 1 + rng.IntN(3), TombstoneAge: time.Duration(rng.IntN(2)) * 10 * time.Millisecond,
		ValueThreshold: []int{-1, 1, 50, 1000}[rng.IntN(4)], ValueFileBytes: 1 << (8 + rng.IntN(6)),
		SpaceAmplification: []float64{-1, 1, 1.1, 1.5}[rng.IntN(4)], ValueCompression: ValueCompression(rng.IntN(4)),
		DisableWAL: rng.IntN(3) == 0, NoPreallocate: rng.IntN(3) == 0,
		Sync: SyncMode(rng.IntN(3)), SyncEvery: 5 * time.Millisecond,
		MemoryBytes: []int64{0, 16 << 10}[rng.IntN(2)], NoMmap: rng.IntN(3) == 0,
		Compression:           sstable.Compression(rng.IntN(4)),
		CompressionPerLevel:   [][]Compression{nil, {NoCompression, S2, ZstdDict}}[rng.IntN(2)],
		Dir:                   []string{"", "db/x"}[rng.IntN(2)],
		BackgroundBytesPerSec: []int64{0, 0, 10 << 20}[rng.IntN(3)], PaceFlushes: rng.IntN(2) == 0,
	}
	switch rng.IntN(4) {
	case 0:
		o.PrefixLen = 1 + rng.IntN(4)
	case 1:
		o.Split = splitAtEven
	}
	switch rng.IntN(4) {
	case 0:
	case 1:
		o.Facets, o.FacetsName = otherFacets, "other"
		if rng.IntN(2) == 0 {
			o.FacetKeys, o.FacetsName = oddKeys, "other, odd"
		}
	default:
		o.Facets = testFacets
	}
	return o
}

// splitAtEven takes all up to the first even digit other than 0 as the prefix.
func splitAtEven(user []byte) int { return 1 + bytes.IndexAny(user, "2468") }

func (t *tester) open() {
	if t.gone != nil {
		clear(t.gone) // the last write may be lost, too
		if t.o.Expiry = testExpiry; t.rng.IntN(4) == 0 {
			t.o.Expiry = nil
		}
	}
	db, err := Open(t.e, t.disk.Mount(), t.o)
	t.must(err)
	t.db = db
	seq := db.LastSeq()
	t.check(seq >= t.said && seq <= t.model.lastSeq(), "recovered up to %d; %d must be there, %d was begun", seq, t.said, t.model.lastSeq())
	t.check(t.model.ends[seq], "recovered up to %d: half a batch", seq)
	if t.o.DisableWAL {
		t.check(seq == db.FlushedSeq(), "recovered up to %d, flushed %d", seq, db.FlushedSeq())
	}
	t.model.truncate(seq)
	t.acked, t.said = seq, seq
	t.snapshots = nil
	t.scan(t.db, t.model.now())
}

func (t *tester) randomKey() []byte {
	return fmt.Appendf(nil, "%0*d", 2+3*t.rng.IntN(2), t.rng.IntN(60))
}

func (t *tester) randomOps() []operation {
	ops := make([]operation, 1+t.rng.IntN(1+t.rng.IntN(8)))
	for i := range ops {
		op := operation{kind: key.Set, user: t.randomKey()}
		switch n := t.rng.IntN(40); {
		case n < 8:
			op.kind = key.Delete
		case n == 8:
			op.kind = key.RangeDelete
			op.value = t.randomKey()
			if bytes.Compare(op.user, op.value) > 0 {
				op.user, op.value = op.value, op.user
			}
			if bytes.Equal(op.user, op.value) {
				op.value = append(op.value, 0)
			}
		default:
			op.value = make([]byte, t.rng.IntN(1+t.rng.IntN(200)))
			if t.rng.IntN(100) == 0 {
				op.value = make([]byte, 5000)
			}
			copy(op.value, strconv.Itoa(len(t.model.ops)+i))
			t.makeExpire(op.value)
		}
		ops[i] = op
	}
	return ops
}

func (t *tester) write() {
	ops := t.randomOps()
	b := t.db.NewBatch()
	for _, op := range ops {
		switch op.kind {
		case key.Set:
			b.Set(op.user, op.value)
		case key.Delete:
			b.Delete(op.user)
		case key.RangeDelete:
			b.DeleteRange(op.user, op.value)
		}
	}
	if t.o.DisableWAL {
		t.must(t.db.Admit())
	}
	t.apply(ops)
	t.must(t.db.Apply(b))
	t.said = t.model.lastSeq()
	t.check(t.db.LastSeq() == t.said, "last seq %d, want %d", t.db.LastSeq(), t.said)
	if t.o.Sync == SyncAlways && !t.o.DisableWAL {
		t.acked = t.said
	}
	t.acked = max(t.acked, t.db.FlushedSeq())
}

func (t *tester) get(v view, content map[string]string) {
	k := t.randomKey()
	got, err := v.Get(k, []byte("prefix"))
	want, found := content[string(k)]
	if found && errors.Is(err, ErrNotFound) && t.isRelaxed(v) {
		t.expired(string(k), want)
		return
	}
	if !found {
		t.check(errors.Is(err, ErrNotFound), "Get(%s) = %q, %v, want not found", k, got, err)
		return
	}
	t.check(err == nil && string(got) == "prefix"+want, "Get(%s) = %q, %v, want %q", k, got, err, want)
}

// scan reads everything forward and backward.
func (t *tester) scan(v view, content map[string]string) {
	it, err := v.NewIter(IterOptions{})
	t.must(err)
	if t.isRelaxed(v) {
		content = t.observe(it, content)
	}
	keys := slices.Sorted(maps.Keys(content))
	i := 0
	for ok := it.First(); ok; ok = it.Next() {
		t.check(i < len(keys) && string(it.Key()) == keys[i] && string(it.Value()) == content[keys[i]],
			"scan: entry %d is %s=%q, want %v of %v", i, it.Key(), it.Value(), i, keys)
		i++
	}
	t.check(i == len(keys) && it.Err() == nil, "scan ended after %d of %d, %v", i, len(keys), it.Err())
	for ok := it.Last(); ok; ok = it.Prev() {
		i--
		t.check(i >= 0 && string(it.Key()) == keys[i] && string(it.Value()) == content[keys[i]],
			"reverse scan: entry %d is %s=%q", i, it.Key(), it.Value())
	}
	t.check(i == 0 && it.Err() == nil, "reverse scan ended before %d, %v", i, it.Err())
	t.must(it.Close())
}

// walk makes random moves within random bounds. Other things may happen in between.
func (t *tester) walk(v view, content map[string]string, between func()) {
	v, content, done := t.fixed(v, content)
	defer done()
	t.walkOver(content, between, func(o IterOptions) (walker, error) { return v.NewIter(o) })
}

// walkOver makes random moves of an iterator that should see the content.
func (t *tester) walkOver(content map[string]string, between func(), open func(IterOptions) (walker, error)) {
	var o IterOptions
	if t.rng.IntN(2) == 0 {
		o.Lower = t.randomKey()
	}
	if t.rng.IntN(2) == 0 {
		o.Upper = t.randomKey()
	}
	if t.rng.IntN(3) == 0 {
		k := t.randomKey()
		o.Prefix = k[:t.rng.IntN(1+len(k))]
	}
	var keys []string
	for _, k := range slices.Sorted(maps.Keys(content)) {
		if (o.Lower == nil || k >= string(o.Lower)) && (o.Upper == nil || k < string(o.Upper)) && strings.HasPrefix(k, string(o.Prefix)) {
			keys = append(keys, k)
		}
	}
	content = maps.Clone(content)
	it, err := open(o)
	t.must(err)
	defer it.Close()
	at := -1
	var trace []string
	for range 1 + t.rng.IntN(25) {
		k := t.randomKey()
		name := []string{"first", "last", "seek-ge", "seek-lt", "next", "next", "next", "prev", "prev", "prev"}[t.rng.IntN(10)]
		trace = append(trace, fmt.Sprintf("%s %s", name, k))
		switch name {
		case "first":
			at = 0
		case "last":
			at = len(keys) - 1
		case "seek-ge":
			at, _ = slices.BinarySearch(keys, string(k))
		case "seek-lt":
			at, _ = slices.BinarySearch(keys, string(k))
			at--
		case "next":
			at = min(at+1, len(keys))
		case "prev":
			at = max(at-1, -1)
		}
		ok := move(it, name, k)
		want := at >= 0 && at < len(keys)
		t.check(ok == want && it.Err() == nil, "%v in [%s, %s): valid = %v, %v, want %v", trace, o.Lower, o.Upper, ok, it.Err(), want)
		if ok {
			t.check(string(it.Key()) == keys[at] && string(it.Value()) == content[keys[at]],
				"%v in [%s, %s): at %s=%q, want %s", trace, o.Lower, o.Upper, it.Key(), it.Value(), keys[at])
		}
		between()
	}
}

// step does one random thing.
func (t *tester) step() {
	switch n := t.rng.IntN(100); {
	case n < 55:
		t.write()
	case n < 70:
		t.get(t.db, t.model.now())
	case n < 78:
		t.walk(t.db, t.model.now(), func() {
			if t.rng.IntN(4) == 0 {
				t.write()
			}
		})
	case n < 81:
		s := t.db.NewSnapshot()
		t.snapshots = append(t.snapshots, modelSnapshot{s, t.seen(s, maps.Clone(t.model.now()))})
	case n < 88 && len(t.snapshots) > 0:
		s := t.snapshots[t.rng.IntN(len(t.snapshots))]
		t.get(s, s.content)
		t.walk(s, s.content, func() {})
	case n < 91 && len(t.snapshots) > 0:
		i := t.rng.IntN(len(t.snapshots))
		s := t.snapshots[i]
		t.scan(s, s.content)
		s.Close()
		t.snapshots = slices.Delete(t.snapshots, i, i+1)
	case n < 93:
		t.must(t.db.Flush())
		t.acked = t.model.lastSeq()
	case n < 94:
		lower, upper := t.randomKey(), t.randomKey()
		if t.rng.IntN(2) == 0 {
			lower, upper = nil, nil
		}
		t.must(t.db.Compact(lower, upper))
		t.acked = t.model.lastSeq()
	case n < 95:
		t.checkpoint()
	case n < 96 && t.rng.IntN(2) > 0:
		t.replace()
	case n < 97 && t.rng.IntN(3) > 0:
		t.ingest()
	case n < 98 && t.rng.IntN(3) > 0:
		t.excise()
	case n < 96:
		t.scan(t.db, t.model.now())
	case n < 98:
		t.filtered(t.db, t.model.now())
	case n < 99 && len(t.snapshots) > 0:
		s := t.snapshots[t.rng.IntN(len(t.snapshots))]
		t.filtered(s, s.content)
	}
}

// randomFiles writes files to be ingested, and returns the operations that they stand for.
func randomFiles(e *env.Env, fs vfs.FS, t *tester) (names []string, ops []operation, err error) {
	var keys []string
	for range 1 + t.rng.IntN(1+t.rng.IntN(30)) {
		keys = append(keys, string(t.randomKey()))
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	per := 1 + t.rng.IntN(len(keys))
	for part := range slices.Chunk(keys, per) {
		name := fmt.Sprintf("load-%d", len(names))
		names = append(names, name)
		f, err := NewTableFile(e, fs, name, t.o)
		if err != nil {
			return nil, nil, err
		}
		b := &Batch{}
		if t.rng.IntN(3) == 0 {
			b.DeleteRange([]byte(part[0]), []byte(part[len(part)-1]))
			err = f.DeleteRange([]byte(part[0]), []byte(part[len(part)-1]))
		}
		for i, k := range part {
			if i > 0 && i < len(part)-1 && t.rng.IntN(4) == 0 {
				continue // what a range delete hides and the file does not set
			}
			if t.rng.IntN(6) == 0 {
				b.Delete([]byte(k))
				err = errors.Join(err, f.Delete([]byte(k)))
				continue
			}
			v := fmt.Appendf(nil, "%d%*s", len(t.model.ops), t.rng.IntN(150), "")
			t.makeExpire(v)
			b.Set([]byte(k), v)
			err = errors.Join(err, f.Set([]byte(k), v))
		}
		ops = append(ops, operation{kind: ingested, value: b.data[batchHeaderBytes:]})
		if err = errors.Join(err, f.Finish()); err != nil {
			return nil, nil, err
		}
	}
	return names, ops, nil
}

func (t *tester) ingest() {
	fs := t.disk.Mount()
	names, ops, err := randomFiles(t.e, fs, t)
	t.must(err)
	before, err := t.db.NewIter(IterOptions{})
	t.must(err)
	content := maps.Clone(t.model.now())
	if t.gone != nil {
		content = t.observe(before, content)
	}
	t.apply(ops)
	t.must(t.db.Ingest(names...))
	t.altered()
	for _, name := range names {
		t.must(fs.Remove(name))
	}
	n := 0
	for ok := before.First(); ok; ok = before.Next() {
		t.check(content[string(before.Key())] == string(before.Value()), "an iterator from before sees %s=%q", before.Key(), before.Value())
		n++
	}
	t.check(n == len(content) && before.Err() == nil, "an iterator from before sees %d keys, want %d: %v", n, len(content), before.Err())
	t.must(before.Close())
	t.scan(t.db, t.model.now())
}

// randomReplacement begins to replace random spans, and returns what that means: all of it
// is in the first operation, and the others are empty. It is nil if it ended with an error.
func randomReplacement(db *DB, t *tester) (r *Replacement, operations func() []operation, err error) {
	var bounds []string
	for range 2 * (1 + t.rng.IntN(3)) {
		bounds = append(bounds, string(t.randomKey()))
	}
	slices.Sort(bounds)
	if bounds = slices.Compact(bounds); len(bounds)%2 == 1 {
		bounds = append(bounds, "z")
	}
	b := &Batch{}
	var spans []KeySpan
	for pair := range slices.Chunk(bounds, 2) {
		spans = append(spans, KeySpan{[]byte(pair[0]), []byte(pair[1])})
		b.DeleteRange([]byte(pair[0]), []byte(pair[1]))
	}
	if r, err = db.Replace(spans...); err != nil {
		return nil, nil, err
	}
	r.limit = uint64(1 + t.rng.IntN(2000))
	var keys []string
	for range t.rng.IntN(60) {
		keys = append(keys, string(t.randomKey()))
	}
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		if !r.isWithin([]byte(k)) {
			continue
		}
		v := fmt.Appendf(nil, "%d%*s", len(t.model.ops), t.rng.IntN(150), "")
		t.makeExpire(v)
		b.Set([]byte(k), v)
		if err := r.Set([]byte(k), v); err != nil {
			r.Abort()
			return nil, nil, err
		}
	}
	if t.rng.IntN(4) == 0 {
		r.Abort()
	}
	return r, func() []operation {
		ops := []operation{{kind: ingested, value: b.data[batchHeaderBytes:]}}
		for range len(r.names) - 1 {
			ops = append(ops, operation{kind: ingested})
		}
		return ops
	}, nil
}

func (t *tester) replace() {
	r, operations, err := randomReplacement(t.db, t)
	t.must(err)
	if r.closed {
		t.check(errors.Is(r.Commit(nil), errTableEnded), "Commit after Abort")
		return
	}
	if t.rng.IntN(4) == 0 {
		refused := errors.New("refused")
		t.check(errors.Is(r.Commit(func() error { return refused }), refused), "Commit although refused")
		return
	}
	if r.file == nil {
		t.must(r.begin()) // Commit would: it is an operation, too
	}
	ops := operations()
	t.apply(ops)
	t.must(r.Commit(nil))
	t.altered()
	t.scan(t.db, t.model.now())
}

// altered notes that all of the model is durable.
func (t *tester) altered() {
	t.acked, t.said = t.model.lastSeq(), t.model.lastSeq()
	t.check(t.db.LastSeq() == t.said && t.db.FlushedSeq() == t.said, "last seq %d, flushed %d, want %d", t.db.LastSeq(), t.db.FlushedSeq(), t.said)
}

// excise removes a range. Of tables that lie within it, only those are left that an open
// snapshot needs.
func (t *tester) excise() {
	lower, upper := t.randomKey(), t.randomKey()
	if bytes.Compare(lower, upper) >= 0 {
		lower, upper = []byte("0"), []byte("6")
	}
	old := t.db.current.Load().version.byNum
	t.apply([]operation{{kind: key.RangeDelete, user: lower, value: upper}})
	hidden := key.SeqNum(t.model.lastSeq())
	t.must(t.db.Excise(lower, upper))
	t.altered()
	v, err := t.db.holdVersion()
	t.must(err)
	defer t.db.releaseVersion(v)
	for _, tab := range v.meta.All() {
		if len(t.snapshots) == 0 && tab.LargestSeq < hidden && old[tab.Num] != nil { // else a merge wrote it meanwhile
			t.check(string(tab.Smallest.User) < string(lower) || string(tab.Largest.User) >= string(upper),
				"%s is left in [%s, %s)", tab, lower, upper)
		}
	}
	t.scan(t.db, t.model.now())
}

// checkpoint makes a copy and opens it.
func (t *tester) checkpoint() {
	dir := fmt.Sprintf("copy-%d", t.model.lastSeq())
	err := t.db.Checkpoint(dir)
	if errors.Is(err, vfs.ErrExist) {
		return
	}
	t.must(err)
	o := t.o
	o.Dir = dir
	db, err := Open(t.e, t.disk.Mount(), o)
	t.must(err)
	t.scan(db, t.model.now())
	t.must(db.Close())
}

// reopen closes and opens, perhaps with other options.
func (t *tester) reopen() {
	for _, s := range t.snapshots {
		s.Close()
	}
	t.must(t.db.Close())
	t.acked = t.model.lastSeq()
	o := randomOptions(t.rng)
	o.Dir = t.o.Dir
	t.o = o
	t.open()
}

// TestModelWithCrashes runs random operations in a simulated world and cuts the power
// at random disk operations, also during recovery. After each cut the database must be
// the model at some batch boundary that is not before what was durable.
func TestModelWithCrashes(t *testing.T) {
	seeds := uint64(40)
	first := rand.Uint64() >> 16
	if s := os.Getenv("LSM_SEED"); s != "" {
		first, _ = strconv.ParseUint(s, 10, 64)
		seeds = 1
	}
	if testing.Short() {
		seeds = min(seeds, 8)
	}
	for seed := first; seed < first+seeds; seed++ {
		if err := crashRun(seed); err != nil {
			t.Fatalf("%v\nreplay with LSM_SEED=%d go test -run %s ./lsm", err, seed, t.Name())
		}
	}
}

func crashRun(seed uint64) error {
	w := env.NewWorld(seed, env.Options{LeafYields: 32})
	defer w.Close()
	rng := rand.New(rand.NewPCG(seed, 1))
	tr := &tester{disk: vfs.NewDisk(seed), rng: rng, o: randomOptions(rng), model: newModel()}
	if rng.IntN(2) == 0 {
		tr.gone = map[string]bool{}
	}
	tr.e = w.NewNode("n")
	tr.disk.OnOp(func(op vfs.Op) error {
		if rng.IntN(4) == 0 && op.Writes() { // long enough for other tasks to get their turn
			tr.e.Sleep(time.Duration(rng.IntN(300)) * time.Microsecond)
		}
		return nil
	})
	for life := range 6 {
		crashed := false
		tr.disk.CrashAt(1<<40, func() {}) // not any more
		if life < 5 {
			mode := vfs.RandomCrash(rng)
			if rng.IntN(4) == 0 {
				mode = vfs.KeepAll
			}
			tr.disk.CrashAt(1+rng.IntN(1<<rng.IntN(11)), func() {
				crashed = true
				if mode != vfs.KeepAll || tr.o.DisableWAL {
					tr.said = tr.acked // the page cache, or the memtable, is lost
				}
				tr.disk.Crash(mode)
				w.Crash("n")
			})
		}
		err := w.Do(tr.e, "test", func() {
			tr.open()
			for range 300 {
				tr.step()
				if tr.rng.IntN(150) == 0 {
					tr.reopen()
				}
			}
			tr.scan(tr.db, tr.model.now())
			tr.must(tr.db.Close())
			tr.acked = tr.model.lastSeq()
		})
		if crashed {
			tr.e = w.Restart("n")
			continue
		}
		if err != nil {
			return fmt.Errorf("life %d: %w", life, err)
		}
	}
	return nil
}
