package replication

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/wal"
)

// A nullMachine applies for nothing, so that what is measured is replication.
type nullMachine struct {
	results []any
	entries int
}

func (m *nullMachine) Applied() uint64                   { return 0 }
func (m *nullMachine) ApplyMembers(uint64, []byte)       {}
func (m *nullMachine) Members() []byte                   { return nil }
func (m *nullMachine) Snapshot() (SnapshotReader, error) { return nil, errors.ErrUnsupported }
func (m *nullMachine) Restore(SnapshotMeta) (SnapshotWriter, error) {
	return nil, errors.ErrUnsupported
}
func (m *nullMachine) Restored() (index, term uint64) { return 0, 0 }
func (m *nullMachine) Apply(index uint64, commands [][]byte) []any {
	m.entries++
	if len(m.results) < len(commands) {
		m.results = make([]any, len(commands))
	}
	return m.results[:len(commands)]
}

type nullStore struct{}

func (nullStore) LastSeq() uint64    { return 0 }
func (nullStore) FlushedSeq() uint64 { return 0 }
func (nullStore) Flush() error       { return nil }
func (nullStore) Admit() error       { return nil }

// An unflushedStore needs the whole log.
type unflushedStore struct{ nullStore }

func (unflushedStore) LastSeq() uint64 { return 1 }

func benchPropose(b *testing.B, fs vfs.FS, o Options, proposers int) {
	o.NodeID = 1
	n, err := Open(env.New(), fs, nullStore{}, o)
	if err != nil {
		b.Fatal(err)
	}
	defer n.Close()
	m := &nullMachine{}
	g, err := n.Start(1, m, alone)
	if err != nil {
		b.Fatal(err)
	}
	cmd := make([]byte, 128)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for range proposers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := g.Propose(cmd).Await(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/float64(m.entries), "commands/entry")
}

// BenchmarkPropose is a round trip of a 128 B command: proposed, logged, applied
// to nothing, answered.
func BenchmarkPropose(b *testing.B) {
	for _, p := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("mem/%d", p), func(b *testing.B) {
			benchPropose(b, vfs.NewMem(), Options{Sync: SyncNever, SegmentBytes: 1 << 20}, p)
		})
	}
	for _, p := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("volatile/%d", p), func(b *testing.B) {
			benchPropose(b, vfs.NewMem(), Options{Volatile: true}, p)
		})
	}
	for _, p := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("disk/%d", p), func(b *testing.B) {
			benchPropose(b, benchDisk(b), Options{}, p)
		})
	}
}

// benchDisk is a directory on a real disk: $STATOR_BENCH_DIR or the temporary one.
func benchDisk(b *testing.B) vfs.FS {
	dir, err := os.MkdirTemp(os.Getenv("STATOR_BENCH_DIR"), "raft")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	fs, err := vfs.NewOS(dir)
	if err != nil {
		b.Fatal(err)
	}
	return fs
}

// BenchmarkBareSync is the floor under BenchmarkPropose/disk: appending to the
// same kind of log and syncing, with nothing around it.
func BenchmarkBareSync(b *testing.B) {
	l, err := wal.Open(benchDisk(b), wal.Options{Dir: "raft", Preallocate: true})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	cmd := make([]byte, 160)
	for b.Loop() {
		if _, err := l.Append(cmd); err != nil {
			b.Fatal(err)
		}
		if err := l.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRestart opens a log of 64 MB in entries of one 128 B command each,
// none of which the store has flushed: the worst case.
func BenchmarkRestart(b *testing.B) {
	fs := benchDisk(b)
	o := Options{NodeID: 1, Sync: SyncNever, MaxSegments: 1000}
	n, err := Open(env.New(), fs, unflushedStore{}, o)
	if err != nil {
		b.Fatal(err)
	}
	g, err := n.Start(1, &nullMachine{}, alone)
	if err != nil {
		b.Fatal(err)
	}
	cmd := make([]byte, 128)
	const entries = 64 << 20 / 180
	var last *env.Future[any]
	for range entries {
		last = g.Propose(cmd)
		if _, err := last.Await(); err != nil {
			b.Fatal(err)
		}
	}
	if err := n.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		began := time.Now()
		n, err := Open(env.New(), fs, unflushedStore{}, o)
		if err != nil {
			b.Fatal(err)
		}
		opened := time.Now()
		m := &nullMachine{}
		if _, err := n.Start(1, m, alone); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(opened.Sub(began).Milliseconds()), "ms-open")
		b.ReportMetric(float64(time.Since(opened).Milliseconds()), "ms-replay")
		b.ReportMetric(float64(m.entries), "entries")
		if err := n.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
