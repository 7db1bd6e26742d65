package lsm

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/key"
)

var everyCall = flag.Bool("lsm.everycall", false, "TestEveryCallFailsOnce leaves no call out")

// inWorld runs f as a task of a simulated node.
func inWorld(t *testing.T, seed uint64, f func(e *env.Env)) {
	t.Helper()
	w := env.NewWorld(seed, env.Options{LeafYields: 16})
	defer w.Close()
	e := w.NewNode("n")
	if err := w.Do(e, "test", func() { f(e) }); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
}

// faultOptions make files small and work frequent.
func faultOptions(noWAL bool) Options {
	return Options{
		MemtableBytes: 2 << 10, BlockBytes: 64, TableBytes: 2 << 10, L0Tables: 2, BaseBytes: 4 << 10,
		LevelRatio: 2, LogSegmentBytes: 8 << 10, DisableWAL: noWAL, ValueThreshold: 80, ValueFileBytes: 1 << 10,
		SpaceAmplification: 1.2, Facets: testFacets,
	}
}

// Every I/O call of opening, writing, flushing, compacting and closing fails once; without
// -lsm.everycall ever fewer of the later ones.
// Whatever it was, reads are right or fail, and after reopening all that was
// acknowledged is there and nothing that was refused.
func TestEveryCallFailsOnce(t *testing.T) {
	seed, stride := rand.Uint64()>>16, 20
	if testing.Short() {
		stride = 4
	}
	if *everyCall {
		stride = math.MaxInt
	}
	for _, noWAL := range []bool{false, true} {
		for _, cause := range []error{vfs.ErrIO, vfs.ErrNoSpace} {
			n, reached := 1, true
			for ; reached; n += 1 + n/stride { // the first calls one by one, then ever fewer of them
				inWorld(t, seed, func(e *env.Env) { reached = failNth(e, seed, noWAL, cause, n) })
			}
			if n < 300 {
				t.Errorf("only %d calls were made", n)
			}
		}
	}
}

// failNth runs a life in which the n-th call fails. It reports whether there were so
// many.
func failNth(e *env.Env, seed uint64, noWAL bool, cause error, n int) bool {
	disk := vfs.NewDisk(seed)
	calls, failed := 0, ""
	fs := vfs.NewInject(disk, func(op vfs.Op) error {
		if calls++; calls == n {
			failed = fmt.Sprintf("call %d, %s %s at %d: %v", n, op.Kind, op.Name, op.Off, cause)
			return cause
		}
		return nil
	})
	l := faultyLife{
		tester: tester{e: e, rng: rand.New(rand.NewPCG(seed, 2)), o: faultOptions(noWAL), model: newModel()},
		cause:  cause,
	}
	defer func() {
		if r := recover(); r != nil {
			panic(fmt.Sprintf("%s: %v", failed, r))
		}
	}()
	l.run(fs)
	if n%2 == 0 {
		disk.Crash(vfs.LoseAll)
	}
	l.reopen(disk)
	return calls >= n
}

// A faultyLife tolerates errors that stem from one injected cause, and nothing else.
type faultyLife struct {
	tester
	cause error
	begun uint64
}

func (l *faultyLife) run(fs vfs.FS) {
	db, err := Open(l.e, fs, l.o)
	if err != nil {
		l.check(errors.Is(err, l.cause), "Open: %v", err)
		return
	}
	l.db = db
	for i := range 80 {
		l.apply()
		l.read()
		if i == 40 {
			if err := db.Compact(nil, nil); err != nil {
				l.check(errors.Is(err, l.cause), "Compact: %v", err)
			}
		}
		if i%30 == 20 {
			l.ingest(fs)
			l.excise()
			l.replace()
		}
		l.acked = max(l.acked, db.FlushedSeq())
	}
	if err := db.Close(); err == nil && db.failed() == nil {
		l.acked = l.model.lastSeq()
	}
}

func (l *faultyLife) apply() {
	ops := l.randomOps()
	b := l.db.NewBatch()
	for _, op := range ops {
		b.append(op.kind, op.user, op.value)
	}
	err := l.db.Apply(b)
	switch {
	case err == nil:
		l.model.apply(ops)
		l.begun = l.model.lastSeq()
		if !l.o.DisableWAL {
			l.acked = l.begun
		}
	case errors.Is(err, ErrFailed) && l.begun == l.model.lastSeq():
		l.begun += uint64(len(ops)) // it may come back
		l.model.apply(ops)
		l.model.latestSeq, l.model.latest = 0, map[string]string{}
	default:
		l.check(errors.Is(err, l.cause), "Apply: %v", err)
	}
}

func (l *faultyLife) ingest(fs vfs.FS) {
	names, ops, err := randomFiles(l.e, fs, &l.tester)
	if err != nil {
		l.check(errors.Is(err, l.cause), "table file: %v", err)
		return
	}
	l.alter(ops, l.db.Ingest(names...))
}

func (l *faultyLife) replace() {
	r, operations, err := randomReplacement(l.db, &l.tester)
	if err == nil && !r.closed {
		err = r.begin()
	}
	if err != nil {
		l.check(errors.Is(err, l.cause), "staging: %v", err)
		return
	}
	if !r.closed {
		ops := operations()
		l.alter(ops, r.Commit(nil))
	}
}

func (l *faultyLife) excise() {
	op := operation{kind: key.RangeDelete, user: []byte("00020"), value: []byte("0004")}
	l.alter([]operation{op}, l.db.Excise(op.user, op.value))
}

// alter notes the outcome of Ingest or Excise: the operations are there or not, or that is
// unknown.
func (l *faultyLife) alter(ops []operation, err error) {
	isThere := l.db.LastSeq() > l.model.lastSeq()
	if err != nil {
		l.check(errors.Is(err, l.cause), "Ingest or Excise: %v", err)
	}
	switch {
	case err == nil || isThere:
		l.model.apply(ops)
		l.begun = l.model.lastSeq()
		l.check(l.db.LastSeq() == l.begun, "last seq is %d, want %d", l.db.LastSeq(), l.begun)
		if err == nil || !l.o.DisableWAL {
			l.acked = l.begun
		}
	case errors.Is(err, ErrFailed) && l.begun == l.model.lastSeq():
		l.begun += uint64(len(ops))
		l.model.apply(ops)
		l.model.latestSeq, l.model.latest = 0, map[string]string{}
	}
}

// read compares one key with the model, as far as the database has answered for it.
func (l *faultyLife) read() {
	content := map[string]string{}
	for _, op := range l.model.ops[:min(l.db.LastSeq(), l.model.lastSeq())] {
		applyTo(content, op)
	}
	k := l.randomKey()
	got, err := l.db.Get(k, nil)
	want, found := content[string(k)]
	switch {
	case errors.Is(err, l.cause):
	case found:
		l.check(err == nil && string(got) == want, "Get(%s) = %q, %v, want %q", k, got, err, want)
	default:
		l.check(errors.Is(err, ErrNotFound), "Get(%s) = %q, %v, want not found", k, got, err)
	}
	l.readFiltered(content)
}

// readFiltered goes through all that a filter holds for, as far as there is no error.
func (l *faultyLife) readFiltered(content map[string]string) {
	f := randomFilter(l.rng, 2)
	it, err := l.db.NewFilteredIter(IterOptions{}, f)
	l.must(err)
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		k, v := string(it.Key()), string(it.Value())
		if it.Err() != nil {
			break // the value lies in a file of its own
		}
		want, found := content[k]
		l.check(found && v == want && l.holds(f, k, v), "filter %v: %s = %q, want %q", f, k, v, want)
		delete(content, k)
	}
	if it.Err() != nil {
		l.check(errors.Is(it.Err(), l.cause), "filter %v: %v", f, it.Err())
		return
	}
	for k, v := range content {
		l.check(!l.holds(f, k, v), "filter %v: %s = %q is missing", f, k, v)
	}
}

func (l *faultyLife) reopen(disk *vfs.Disk) {
	db, err := Open(l.e, disk.Mount(), l.o)
	l.must(err)
	seq := db.LastSeq()
	l.check(seq >= l.acked && seq <= l.model.lastSeq() && l.model.ends[seq],
		"recovered up to %d; %d was acknowledged, %d begun", seq, l.acked, l.model.lastSeq())
	l.model.truncate(seq)
	l.scan(db, l.model.now())
	l.must(db.Close())
}

// The disk is full for a while: writes are refused with a clear error, reads go on,
// and when there is space again everything works, without opening anew.
func TestFullDisk(t *testing.T) {
	for _, noWAL := range []bool{false, true} {
		for seed := range uint64(10) {
			inWorld(t, seed, func(e *env.Env) { fullDisk(e, seed, noWAL) })
		}
	}
}

func fullDisk(e *env.Env, seed uint64, noWAL bool) {
	disk := vfs.NewDisk(seed)
	tr := &tester{e: e, disk: disk, rng: rand.New(rand.NewPCG(seed, 3)), o: faultOptions(noWAL), model: newModel()}
	tr.open()
	for range 3 {
		for range 50 {
			tr.write()
		}
		disk.SetCapacity(0) // overwriting still works
		refused := 0
		for refused < 20 {
			b := tr.db.NewBatch()
			b.Set(tr.randomKey(), make([]byte, 100))
			err := tr.db.Admit()
			if err == nil {
				err = tr.db.Apply(b)
			}
			if err == nil {
				tr.model.apply([]operation{{key.Set, b.data[batchHeaderBytes+2:][:b.data[batchHeaderBytes+1]], make([]byte, 100)}})
				tr.check(tr.model.lastSeq() < 5000, "the full disk is not noticed")
				continue
			}
			tr.check(errors.Is(err, vfs.ErrNoSpace) && !errors.Is(err, ErrFailed), "write to a full disk: %v", err)
			refused++
			tr.get(tr.db, tr.model.now())
			e.Sleep(time.Millisecond)
		}
		tr.scan(tr.db, tr.model.now())
		disk.SetCapacity(1 << 40)
		for range 50 { // Admit may refuse until the next attempt to flush
			if tr.db.Admit() == nil {
				break
			}
			e.Sleep(100 * time.Millisecond)
		}
		tr.write()
		tr.must(tr.db.Flush())
		tr.scan(tr.db, tr.model.now())
	}
	tr.must(tr.db.Close())
	tr.acked = tr.model.lastSeq()
	tr.open()
	tr.must(tr.db.Close())
}

// A log that cannot be synced stops all writes until the database is opened again;
// reads go on.
func TestFailedSyncStopsWrites(t *testing.T) {
	for _, file := range []string{"wal-", "manifest-"} {
		inWorld(t, 1, func(e *env.Env) {
			mem := vfs.NewMem()
			broken := false
			fs := vfs.NewInject(mem, func(op vfs.Op) error {
				if broken && op.Kind == vfs.OpSync && op.Name[:len(file)] == file {
					return vfs.ErrIO
				}
				return nil
			})
			var events []error
			o := faultOptions(false)
			o.Events = &Listener{Failed: func(err error) { events = append(events, err) }}
			db, err := Open(e, fs, o)
			must(err)
			must(set(db, "a", "1"))
			broken = true
			for i := 0; err == nil; i++ {
				if err = set(db, fmt.Sprint(i), "2"); err == nil {
					_ = db.Flush()
				}
				check(i < 10, "the failed sync is not noticed")
			}
			check(errors.Is(err, ErrFailed) && errors.Is(err, vfs.ErrIO), "write after a failed sync: %v", err)
			broken = false
			for what, err := range map[string]error{"Apply": set(db, "b", "1"), "Flush": db.Flush(), "Admit": db.Admit(), "Compact": db.Compact(nil, nil)} {
				check(errors.Is(err, ErrFailed), "%s after a failed sync: %v", what, err)
			}
			check(len(events) == 1 && errors.Is(events[0], ErrFailed), "events: %v", events)
			got, err := db.Get([]byte("a"), nil)
			check(err == nil && string(got) == "1", "Get = %q, %v", got, err)
			_ = db.Close()
			db, err = Open(e, mem, faultOptions(false))
			must(err)
			must(set(db, "b", "1"))
			got, err = db.Get([]byte("a"), nil)
			check(err == nil && string(got) == "1", "Get after reopening = %q, %v", got, err)
			must(db.Close())
		})
	}
}

func set(db *DB, k, v string) error {
	b := db.NewBatch()
	b.Set([]byte(k), []byte(v))
	return db.Apply(b)
}

// check and must stop a simulated task.
func check(ok bool, format string, args ...any) {
	if !ok {
		panic(fmt.Sprintf(format, args...))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
