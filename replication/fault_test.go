package replication

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/replication/raftlog"
)

// Every I/O call of a life fails once. What was answered is there after
// a restart, what was refused is not, and once the log has failed, applied
// state can still be read.
func TestEveryCallFailsOnce(t *testing.T) {
	for n := int64(1); ; n++ {
		fs := vfs.NewMem()
		var calls atomic.Int64
		var failed atomic.Value
		faulty := vfs.NewInject(fs, func(op vfs.Op) error {
			if calls.Add(1) == n {
				failed.Store(op)
				return vfs.ErrIO
			}
			return nil
		})
		store := newMemStore()
		l := faultyLife{store: store, sent: map[uint64]error{}}
		err := l.run(faulty)
		if calls.Load() < n {
			if err != nil {
				t.Fatalf("no fault, but: %v", err)
			}
			t.Logf("%d calls", calls.Load())
			return
		}
		if err == nil {
			err = l.check(fs, store.crash())
		}
		if err != nil {
			t.Fatalf("call %d (%+v) failed: %v", n, failed.Load(), err)
		}
	}
}

type faultyLife struct {
	store *memStore
	sent  map[uint64]error // outcome by command
}

const faultyCommands = 30

// run returns an error only if something is wrong with how errors are told.
func (l *faultyLife) run(fs vfs.FS) error {
	n, err := Open(env.New(), fs, l.store, Options{NodeID: 1, SegmentBytes: 10 << 10, MaxSegments: 2})
	if err != nil {
		return nil
	}
	defer n.Close()
	g, err := n.Start(1, &counter{l.store, 1}, alone)
	if err != nil {
		return nil
	}
	for i := uint64(1); i <= faultyCommands; i++ {
		_, err := g.Propose(append(add(i, 1), make([]byte, 1000)...)).Await()
		l.sent[i] = err
		switch {
		case err == nil:
		case !errors.Is(err, vfs.ErrIO):
			return fmt.Errorf("Propose: %v, want the cause in the chain", err)
		case errors.Is(err, ErrFailed) != (n.Err() != nil), errors.Is(err, ErrUnknownOutcome) && n.Err() == nil:
			return fmt.Errorf("Propose: %v, while Err() = %v", err, n.Err())
		}
		if n.Err() != nil {
			if err := g.ReadBarrier(); err != nil {
				return fmt.Errorf("ReadBarrier after the failure: %w", err)
			}
			if _, err := n.Start(2, &counter{l.store, 2}, alone); !errors.Is(err, ErrFailed) {
				return fmt.Errorf("Start after the failure: %v, want ErrFailed", err)
			}
		}
	}
	return nil
}

func (l *faultyLife) check(fs vfs.FS, store *memStore) error {
	n, err := Open(env.New(), fs, store, Options{NodeID: 1, SegmentBytes: 10 << 10})
	if err != nil {
		return err
	}
	defer n.Close()
	g, err := n.Start(1, &counter{store, 1}, alone)
	if err != nil {
		return err
	}
	seen := store.counter(1).seen
	for i, err := range l.sent {
		switch {
		case err == nil && seen[i] != 1:
			return fmt.Errorf("answered command %d was applied %d times", i, seen[i])
		case err != nil && !errors.Is(err, ErrUnknownOutcome) && seen[i] != 0:
			return fmt.Errorf("refused command %d (%v) was applied", i, err)
		}
	}
	_, err = g.Propose(add(1000, 1)).Await()
	return err
}

// A full disk refuses writes and nothing else, and takes them again when there
// is room, without a restart.
func TestFullDisk(t *testing.T) {
	disk := vfs.NewDisk(1)
	disk.SetCapacity(300 << 10)
	r := &rig{t: t, fs: disk, store: newMemStore(), o: Options{NodeID: 1, SegmentBytes: 64 << 10, MaxSegments: 100}}
	r.open()
	g := r.start(1)
	next, refused := uint64(1), 0
	propose := func() error {
		_, err := g.Propose(append(add(next, 1), make([]byte, 5000)...)).Await()
		if err == nil {
			next++
		}
		return err
	}
	fill := func() {
		t.Helper()
		for {
			if err := propose(); err != nil {
				if !errors.Is(err, ErrNoSpace) || errors.Is(err, ErrFailed) || errors.Is(err, ErrUnknownOutcome) {
					t.Fatalf("Propose on a full disk: %v, want ErrNoSpace", err)
				}
				return
			}
		}
	}
	fill()
	if next < 20 {
		t.Errorf("only %d commands of 5 kB fit into 300 KiB", next-1)
	}
	for range 5 {
		if err := propose(); !errors.Is(err, ErrNoSpace) {
			t.Fatalf("Propose: %v, want ErrNoSpace", err)
		}
		refused++
	}
	if err := g.ReadBarrier(); err != nil {
		t.Errorf("ReadBarrier on a full disk: %v", err)
	}
	if err := r.node.Err(); err != nil {
		t.Errorf("Err() on a full disk: %v", err)
	}
	if err := r.store.counter(1).check(int(next) - 1); err != nil {
		t.Errorf("refused commands left a trace: %v", err)
	}

	disk.SetCapacity(500 << 10) // somebody deletes a file
	if err := propose(); err != nil {
		t.Fatalf("Propose when there is room again: %v", err)
	}
	fill()
	// The log gives its own space back when the store has flushed; the next
	// refusal notices.
	if err := r.store.Flush(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "writes after the flush", func() bool { return propose() == nil })
	r.close()
	r.open()
	r.start(1)
	if err := r.store.counter(1).check(int(next) - 1); err != nil {
		t.Error(err)
	}
}

// On a full disk a group cannot be created, and later it can.
func TestStartOnFullDisk(t *testing.T) {
	disk := vfs.NewDisk(1)
	disk.SetCapacity(1 << 10)
	r := &rig{t: t, fs: disk, store: newMemStore(), o: Options{NodeID: 1, SegmentBytes: 16 << 10}}
	r.open()
	if _, err := r.node.Start(1, &counter{r.store, 1}, alone); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("Start: %v, want ErrNoSpace", err)
	}
	disk.SetCapacity(1 << 20)
	r.propose(r.start(1), 1, 1)
}

// A group that begins to lead writes to the log. If there is no room for that,
// the group does not start, and the others go on.
func TestStartOfAnotherGroupOnFullDisk(t *testing.T) {
	disk := vfs.NewDisk(1)
	disk.SetCapacity(100 << 10)
	r := &rig{t: t, fs: disk, store: newMemStore(), o: Options{NodeID: 1, SegmentBytes: 1 << 20, MaxSegments: 100}}
	r.open()
	g := r.start(1)
	next := uint64(1)
	for _, size := range []int{5000, 500, 0} { // leave less and less
		for {
			if _, err := g.Propose(append(add(next, 1), make([]byte, size)...)).Await(); err != nil {
				break
			}
			next++
		}
	}
	started, refused := 0, 0
	for id := GroupID(2); started == 0 || refused < 20; id++ {
		disk.SetCapacity(100<<10 + 30*int64(id)) // at first not enough for the smallest record
		_, err := r.node.Start(id, &counter{r.store, id}, alone)
		switch {
		case err == nil:
			started++
		case !errors.Is(err, ErrNoSpace) || errors.Is(err, ErrFailed):
			t.Fatalf("Start(%d): %v, want ErrNoSpace", id, err)
		default:
			refused++
		}
	}
	disk.SetCapacity(4 << 20)
	r.propose(g, next, 1)
	r.propose(r.start(1000), 1, 1)
}

// Once the log has failed nobody waits for a group to start, also one that has a log and needs no room in it at first, and whose
// worker is not the one that met the failure.
func TestStartAfterTheLogFailed(t *testing.T) {
	broken := false
	r := &rig{t: t, store: newMemStore(), o: Options{NodeID: 1, Workers: 2}}
	r.fs = vfs.NewInject(vfs.NewMem(), func(op vfs.Op) error {
		if broken && op.Kind == vfs.OpWrite {
			return vfs.ErrIO
		}
		return nil
	})
	r.open()
	r.propose(r.start(1), 1, 1)
	r.propose(r.start(2), 2, 1)
	r.close()
	r.store.flushErr = nil
	r.open()
	g := r.start(1)
	broken = true
	if _, err := g.Propose(add(3, 1)).Await(); !errors.Is(err, ErrUnknownOutcome) {
		t.Fatalf("Propose: %v, want ErrUnknownOutcome", err)
	}
	var err error
	done := make(chan struct{})
	go func() {
		_, err = r.node.Start(2, &counter{r.store, 2}, alone)
		close(done)
	}()
	eventually(t, "an answer of Start", func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
	if !errors.Is(err, ErrFailed) {
		t.Errorf("Start: %v, want ErrFailed", err)
	}
}

// An entry that this program cannot read stops its group and no other.
func TestUnreadableEntryStopsOneGroup(t *testing.T) {
	r := newRig(t, Options{})
	broken := r.start(1)
	r.start(2)
	r.propose(broken, 1, 1)
	if err := broken.node.appendRaw(1, []byte{99}); err != nil {
		t.Fatal(err)
	}
	r.close()
	r.open()
	if _, err := r.node.Start(1, &counter{r.store, 1}, alone); !errors.Is(err, ErrFailed) {
		t.Errorf("Start of the broken group: %v, want ErrFailed", err)
	}
	if err := r.node.Err(); err != nil {
		t.Errorf("Err() = %v, want nil: the log is sound", err)
	}
	r.propose(r.start(2), 2, 1)
	if err := r.node.Remove(1); err != nil {
		t.Errorf("Remove of the broken group: %v", err)
	}
}

// appendRaw adds an entry of any content to a group's log behind raft's back.
func (n *Node) appendRaw(id GroupID, data []byte) error {
	s := n.log.Storage(id)
	index, term := s.Last().Index+1, s.Last().Term
	var b raftlog.Batch
	b.Entry(s, &raftpb.Entry{Index: &index, Term: &term, Data: data})
	return n.log.Write(&b, true)
}
