package replication

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
)

func TestProposeAndRestart(t *testing.T) {
	r := newRig(t, Options{})
	g := r.start(7)
	for i := uint64(1); i <= 10; i++ {
		if got := r.propose(g, i, i); got != i*(i+1)/2 {
			t.Fatalf("Propose(%d) = %d, want %d", i, got, i*(i+1)/2)
		}
		if i == 6 {
			_ = r.store.Flush() // the rest is replayed
		}
	}
	r.close()
	r.open()
	if got := r.node.Groups(); !slices.Equal(got, []GroupID{7}) {
		t.Errorf("Groups() = %v, want [7]", got)
	}
	g = r.start(7)
	if err := r.store.counter(7).check(10); err != nil {
		t.Fatalf("after restart: %v", err)
	}
	if got := r.propose(g, 11, 100); got != 155 {
		t.Fatalf("Propose after restart = %d, want 155", got)
	}
}

// Many proposers, groups and workers; also what -race is for.
func TestConcurrentProposers(t *testing.T) {
	r := newRig(t, Options{Workers: 3, SegmentBytes: 64 << 10, MaxSegments: 2})
	const groups, proposers, each = 7, 4, 60
	var wg sync.WaitGroup
	for id := GroupID(1); id <= groups; id++ {
		wg.Go(func() {
			g, err := r.node.Start(id, &counter{r.store, id}, alone)
			if err != nil {
				t.Error(err)
				return
			}
			for p := range uint64(proposers) {
				wg.Go(func() {
					for i := range uint64(each) {
						if _, err := g.Propose(add(p*each+i, 1)).Await(); err != nil {
							t.Error(err)
							return
						}
						if err := g.ReadBarrier(); err != nil {
							t.Error(err)
						}
					}
				})
			}
		})
	}
	wg.Wait()
	r.close()
	r.open()
	for id := GroupID(1); id <= groups; id++ {
		r.start(id)
		if err := r.store.counter(id).check(proposers * each); err != nil {
			t.Errorf("group %d: %v", id, err)
		}
	}
}

// A round costs one write and one sync, however many groups and commands.
func TestOneWriteAndOneSyncPerRound(t *testing.T) {
	var mu sync.Mutex
	writes, syncs := 0, 0
	var gate chan struct{}
	r := &rig{t: t, store: newMemStore(), o: Options{NodeID: 1}}
	r.fs = vfs.NewInject(vfs.NewMem(), func(op vfs.Op) error {
		mu.Lock()
		hold := gate
		switch op.Kind {
		case vfs.OpWrite:
			writes++
		case vfs.OpSync:
			syncs++
		}
		mu.Unlock()
		if op.Kind == vfs.OpSync && hold != nil {
			<-hold
		}
		return nil
	})
	r.open()
	const groups = 10
	var gs []*Group
	for id := GroupID(1); id <= groups; id++ {
		gs = append(gs, r.start(id))
	}
	count := func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return writes, syncs
	}
	w0, s0 := count()
	r.propose(gs[0], 1, 1)
	if w, s := count(); w != w0+1 || s != s0+1 {
		t.Errorf("one proposal: %d writes, %d syncs; want 1, 1", w-w0, s-s0)
	}
	// Hold one sync; what arrives meanwhile goes into one round.
	mu.Lock()
	gate = make(chan struct{})
	mu.Unlock()
	var futures []*env.Future[any]
	futures = append(futures, gs[0].Propose(add(2, 1)))
	for held := false; !held; {
		_, s := count()
		if held = s == s0+2; !held {
			runtime.Gosched()
		}
	}
	for i, g := range gs {
		for n := range uint64(20) {
			futures = append(futures, g.Propose(add(uint64(i)*20+100+n, 1)))
		}
	}
	mu.Lock()
	close(gate)
	gate = nil
	mu.Unlock()
	for _, f := range futures {
		if _, err := f.Await(); err != nil {
			t.Fatal(err)
		}
	}
	if w, s := count(); w != w0+3 || s != s0+3 {
		t.Errorf("three rounds: %d writes, %d syncs; want 3, 3", w-w0, s-s0)
	}
}

// A group's creation, vote and first entry need one sync among them.
func TestStartSyncsOnce(t *testing.T) {
	syncs := 0
	r := &rig{t: t, store: newMemStore(), o: Options{NodeID: 1}}
	r.fs = vfs.NewInject(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == vfs.OpSync {
			syncs++
		}
		return nil
	})
	r.open()
	r.start(1)
	before := syncs
	r.start(2)
	if got := syncs - before; got != 1 {
		t.Errorf("Start made %d syncs, want 1", got)
	}
}

func TestRoundsAreBounded(t *testing.T) {
	r := newRig(t, Options{RoundBytes: 1 << 20, QueueBytes: 2 << 20, SegmentBytes: 8 << 20})
	m := &sizes{counter: counter{r.store, 1}}
	g, err := r.node.Start(1, m, alone)
	if err != nil {
		t.Fatal(err)
	}
	const proposers = 40
	var wg sync.WaitGroup
	for p := range uint64(proposers) {
		wg.Go(func() {
			cmd := append(add(p, 1), make([]byte, 400<<10)...)
			if _, err := g.Propose(cmd).Await(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if m.most > 1<<20 {
		t.Errorf("an entry carried %d bytes of commands, want at most %d", m.most, 1<<20)
	}
	if err := r.store.counter(1).check(proposers); err != nil {
		t.Error(err)
	}
	// One command may be larger than either limit.
	if _, err := g.Propose(append(add(99, 1), make([]byte, 3<<20)...)).Await(); err != nil {
		t.Errorf("3 MB command: %v", err)
	}
}

// sizes notes the largest entry.
type sizes struct {
	counter
	most int
}

func (s *sizes) Apply(index uint64, commands [][]byte) []any {
	bytes := 0
	for _, c := range commands {
		bytes += len(c)
	}
	s.most = max(s.most, bytes)
	return s.counter.Apply(index, commands)
}

func TestProposeParksWhileTheQueueIsFull(t *testing.T) {
	w := env.NewWorld(1, env.Options{})
	defer w.Close()
	e := w.NewNode("n")
	disk := vfs.NewDisk(1)
	disk.OnOp(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync {
			e.Sleep(time.Millisecond)
		}
		return nil
	})
	store, most := newMemStore(), 0
	err := w.Do(e, "test", func() {
		n := check(Open(e, disk, store, Options{NodeID: 1, QueueBytes: 1000}))
		g := check(n.Start(1, &counter{store, 1}, alone))
		tasks := env.NewGroup(e)
		for p := range uint64(50) {
			tasks.Go("proposer", func() error {
				_, err := g.Propose(append(add(p, 1), make([]byte, 100)...)).Await()
				g.worker.mu.Lock()
				most = max(most, g.worker.queued)
				g.worker.mu.Unlock()
				return err
			})
		}
		if err := tasks.Wait(); err != nil {
			panic(err)
		}
		if err := n.Close(); err != nil {
			panic(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.counter(1).check(50); err != nil {
		t.Error(err)
	}
	if most == 0 || most > 1000 {
		t.Errorf("up to %d bytes were queued, want at most 1000", most)
	}
	if w.Marks()["replication: queue full"] == 0 {
		t.Error("the queue was never full")
	}
}

// check is for simulated tasks, which must not call t.Fatal.
func check[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestRemove(t *testing.T) {
	r := newRig(t, Options{})
	g := r.start(1)
	r.start(2)
	r.propose(g, 1, 5)
	if err := r.node.Remove(1); err != nil {
		t.Fatalf("Remove: %v", err)
	}
	if _, err := g.Propose(add(2, 1)).Await(); !errors.Is(err, ErrStopped) || errors.Is(err, ErrUnknownOutcome) {
		t.Errorf("Propose to a removed group: %v, want ErrStopped", err)
	}
	if err := g.ReadBarrier(); !errors.Is(err, ErrStopped) {
		t.Errorf("ReadBarrier of a removed group: %v, want ErrStopped", err)
	}
	// With the state machine's data still there, the id must not be used again.
	if _, err := r.node.Start(1, &counter{r.store, 1}, alone); !errors.Is(err, ErrLogLost) {
		t.Errorf("Start with old data: %v, want ErrLogLost", err)
	}
	delete(r.store.state, 1)
	g = r.start(1)
	if got := r.propose(g, 3, 7); got != 7 {
		t.Errorf("Propose to the new group = %d, want 7", got)
	}
	r.close()
	r.open()
	if got := r.node.Groups(); !slices.Equal(got, []GroupID{1, 2}) {
		t.Errorf("Groups() = %v, want [1 2]", got)
	}
	if err := r.node.Remove(2); err != nil { // one that was not started
		t.Errorf("Remove(2): %v", err)
	}
	r.start(1)
	if err := r.store.counter(1).check(1); err != nil {
		t.Error(err)
	}
	if err := r.node.Remove(9); err == nil {
		t.Error("Remove of an unknown group succeeds")
	}
}

func TestStartErrors(t *testing.T) {
	r := newRig(t, Options{})
	r.start(1)
	if _, err := r.node.Start(1, &counter{r.store, 1}, alone); !errors.Is(err, ErrGroupRunning) {
		t.Errorf("second Start: %v, want ErrGroupRunning", err)
	}
	if _, err := r.node.Start(0, &counter{r.store, 0}, alone); err == nil {
		t.Error("Start of group 0 succeeds")
	}
	for _, voters := range [][]uint64{{2, 3}, {1, 2}, nil} { // not here; without a transport
		if _, err := r.node.Start(2, &counter{r.store, 2}, voters); err == nil {
			t.Errorf("Start with voters %v succeeds", voters)
		}
	}
	for _, o := range []Options{{}, {NodeID: 1, Transport: &link{from: 1}}} {
		if _, err := Open(env.New(), vfs.NewMem(), r.store, o); err == nil {
			t.Errorf("Open with %+v succeeds", o)
		}
	}
}

func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	r := newRig(t, Options{Sync: SyncInterval, Workers: 2})
	g := r.start(1)
	var wg sync.WaitGroup
	for p := range uint64(8) {
		wg.Go(func() {
			for i := uint64(0); ; i++ {
				if _, err := g.Propose(add(p<<32|i, 1)).Await(); err != nil {
					if !errors.Is(err, ErrStopped) || errors.Is(err, ErrUnknownOutcome) {
						t.Errorf("Propose: %v, want ErrStopped", err)
					}
					return
				}
			}
		})
	}
	for len(r.store.counter(1).seen) < 100 {
		runtime.Gosched()
	}
	for range 2 {
		if err := r.node.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	wg.Wait()
	if _, err := r.node.Start(2, &counter{r.store, 2}, alone); !errors.Is(err, ErrStopped) {
		t.Errorf("Start after Close: %v, want ErrStopped", err)
	}
	if err := r.node.Remove(1); !errors.Is(err, ErrStopped) {
		t.Errorf("Remove after Close: %v, want ErrStopped", err)
	}
	if err := g.ReadBarrier(); !errors.Is(err, ErrStopped) {
		t.Errorf("ReadBarrier after Close: %v, want ErrStopped", err)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines left", after-before)
	}
}

func TestStoreRefuses(t *testing.T) {
	r := newRig(t, Options{})
	g := r.start(1)
	r.store.admitErr = fmt.Errorf("memtables full: %w", vfs.ErrNoSpace)
	if _, err := g.Propose(add(1, 1)).Await(); !errors.Is(err, ErrNoSpace) {
		t.Errorf("Propose: %v, want ErrNoSpace", err)
	}
	r.store.admitErr = nil
	if got := r.propose(g, 2, 3); got != 3 {
		t.Errorf("Propose = %d, want 3: the refused command left no trace", got)
	}
}

// liveBytes is what the log takes on disk.
func (r *rig) segmentFiles() int {
	r.t.Helper()
	names, err := r.fs.List("raft")
	if err != nil {
		r.t.Fatal(err)
	}
	return len(slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".log") }))
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// The oldest segments go only when the store has flushed what is in them, and
// the store is asked to when there are too many.
func TestSegmentsGoAfterFlush(t *testing.T) {
	r := newRig(t, Options{SegmentBytes: 64 << 10, MaxSegments: 3})
	r.store.parked = make(chan struct{})
	idle, busy := r.start(1), r.start(2)
	r.propose(idle, 1, 1)
	n := 0
	for r.node.log.Live() < 8 {
		n++
		if _, err := busy.Propose(append(add(uint64(n), 1), make([]byte, 10_000)...)).Await(); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.segmentFiles(); got != 8 {
		t.Fatalf("%d segments before the flush, want 8", got)
	}
	close(r.store.parked)
	eventually(t, "segments removed after the flush", func() bool { return r.segmentFiles() <= 3 })
	if r.store.flushes == 0 {
		t.Error("the store was not asked to flush")
	}
	r.close()
	r.open()
	r.start(1)
	r.start(2)
	if err := r.store.counter(1).check(1); err != nil {
		t.Errorf("idle group: %v", err)
	}
	if err := r.store.counter(2).check(n); err != nil {
		t.Errorf("busy group: %v", err)
	}
}

// A store that cannot flush is asked again after a while.
func TestFlushIsRetried(t *testing.T) {
	w := env.NewWorld(1, env.Options{})
	defer w.Close()
	e := w.NewNode("n")
	store := newMemStore()
	store.flushErr = vfs.ErrNoSpace
	err := w.Do(e, "test", func() {
		n := check(Open(e, vfs.NewDisk(1), store, Options{NodeID: 1, SegmentBytes: 16 << 10, MaxSegments: 2}))
		g := check(n.Start(1, &counter{store, 1}, alone))
		for i := uint64(0); n.log.Live() < 5; i++ {
			check(g.Propose(append(add(i, 1), make([]byte, 1000)...)).Await())
		}
		e.Sleep(10 * flushRetry)
		if n.log.Live() < 5 {
			panic("segments went although nothing was flushed")
		}
		store.flushErr = nil
		e.Sleep(2 * flushRetry)
		if n.log.Live() > 2 {
			panic("segments stay although the store can flush again")
		}
		if err := n.Close(); err != nil {
			panic(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// In SyncInterval a write is durable when the interval has passed.
func TestSyncInterval(t *testing.T) {
	w := env.NewWorld(1, env.Options{})
	defer w.Close()
	e := w.NewNode("n")
	disk, store := vfs.NewDisk(1), newMemStore()
	w.OnCrash("n", func() { disk.Crash(vfs.LoseAll) })
	o := Options{NodeID: 1, Sync: SyncInterval, Interval: 50 * time.Millisecond}
	e.Go("first life", func() {
		n := check(Open(e, disk.Mount(), store, o))
		g := check(n.Start(1, &counter{store, 1}, alone))
		check(g.Propose(add(1, 1)).Await())
		e.Sleep(60 * time.Millisecond)
		check(g.Propose(add(2, 1)).Await())
		w.Crash("n")
	})
	if err := w.RunUntilIdle(); err != nil {
		t.Fatal(err)
	}
	e, store = w.Restart("n"), store.crash()
	err := w.Do(e, "second life", func() {
		n := check(Open(e, disk.Mount(), store, o))
		check(n.Start(1, &counter{store, 1}, alone))
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := store.counter(1).seen
	if seen[1] != 1 || seen[2] != 0 {
		t.Errorf("after the power cut the commands are %v; want the first, which had its interval, and not the second", seen)
	}
}

// Trap: damage to what was synced is refused, with the place; the torn end of
// an unsynced write is not.
func TestDamagedLogIsRefused(t *testing.T) {
	disk := vfs.NewDisk(1)
	r := &rig{t: t, fs: disk, store: newMemStore(), o: Options{NodeID: 1}}
	r.open()
	g := r.start(1)
	for i := uint64(1); i <= 5; i++ {
		r.propose(g, i, 1)
	}
	if err := disk.FlipBit("raft/raft-000001.log", 8*4300); err != nil {
		t.Fatal(err)
	}
	_, err := Open(env.New(), disk, r.store.crash(), r.o)
	var where *corrupt.Error
	if !errors.As(err, &where) || where.File != "raft/raft-000001.log" || where.Offset < 4096 || where.Offset > 4300 {
		t.Errorf("Open of a damaged log: %v, want a corrupt.Error with file and offset", err)
	}
}

func TestEnterGroup(t *testing.T) {
	var mu sync.Mutex
	entered := map[GroupID]int{}
	r := newRig(t, Options{EnterGroup: func(id GroupID) {
		mu.Lock()
		entered[id]++
		mu.Unlock()
	}})
	r.propose(r.start(3), 1, 1)
	mu.Lock()
	defer mu.Unlock()
	if entered[3] < 5 || len(entered) != 1 {
		t.Errorf("EnterGroup calls: %v, want some for group 3 only", entered)
	}
}

// A volatile log takes no space, neither on the file system nor for entries
// that are applied.
func TestVolatile(t *testing.T) {
	r := newRig(t, Options{Volatile: true, Workers: 2})
	for id := GroupID(1); id <= 3; id++ {
		g := r.start(id)
		for i := uint64(1); i <= 200; i++ {
			if got := r.propose(g, i, 1); got != i {
				t.Fatalf("Propose = %d, want %d", got, i)
			}
		}
		if first, _ := g.log.FirstIndex(); first < 200 {
			t.Errorf("the log keeps entries from %d on", first)
		}
	}
	if err := r.node.Remove(2); err != nil {
		t.Errorf("Remove: %v", err)
	}
	if names, err := r.fs.List(""); err != nil || len(names) > 0 {
		t.Errorf("files %v, %v; want none", names, err)
	}
	r.close()
}

// After Close there is next to nothing to replay.
func TestCloseShortensTheLog(t *testing.T) {
	fs := vfs.NewMem()
	r := &rig{t: t, fs: fs, store: newMemStore(), o: Options{NodeID: 1}}
	r.open()
	g := r.start(1)
	for i := range uint64(100) {
		if _, err := g.Propose(append(add(i, 1), make([]byte, 10_000)...)).Await(); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.node.Close(); err != nil {
		t.Fatal(err)
	}
	if free, total, err := fs.Usage(); err != nil || total-free > 10_000 {
		t.Errorf("the log takes %d bytes after Close (%v), want two headers and a checkpoint", total-free, err)
	}
	r.store = r.store.crash()
	r.open()
	r.start(1)
	if err := r.store.counter(1).check(100); err != nil {
		t.Error(err)
	}
}

// A command may be larger than a segment, which is then made to fit.
func TestCommandLargerThanASegment(t *testing.T) {
	r := newRig(t, Options{SegmentBytes: 32 << 10})
	g := r.start(1)
	for i := range uint64(6) {
		size := []int{10, 300 << 10}[i%2]
		if _, err := g.Propose(append(add(i, 1), make([]byte, size)...)).Await(); err != nil {
			t.Fatalf("command of %d bytes: %v", size, err)
		}
	}
	r.close()
	r.open()
	r.start(1)
	if err := r.store.counter(1).check(6); err != nil {
		t.Error(err)
	}
}
