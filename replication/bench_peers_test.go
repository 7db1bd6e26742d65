package replication

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/internal/vfs"
)

// A wire joins nodes of one process: what one sends the other receives at once.
type wire struct {
	ends []*wireEnd
}

type wireEnd struct {
	w       *wire
	id      transport.NodeID
	receive [transport.Lanes]atomic.Pointer[func(transport.NodeID, []byte)]
}

func (e *wireEnd) Self() transport.NodeID            { return e.id }
func (e *wireEnd) Unreachable(transport.NodeID) bool { return false }
func (e *wireEnd) Handle(lane transport.Lane, f func(transport.NodeID, []byte)) {
	e.receive[lane].Store(&f)
}

func (e *wireEnd) Send(to transport.NodeID, lane transport.Lane, message []byte) {
	if f := e.w.ends[to-1].receive[lane].Load(); f != nil {
		(*f)(e.id, message)
	}
}

func benchThree(b *testing.B, fs func() vfs.FS, proposers int) {
	w := &wire{}
	for i := range 3 {
		w.ends = append(w.ends, &wireEnd{w: w, id: transport.NodeID(i + 1)})
	}
	groups, machines := make([]*Group, 3), make([]*nullMachine, 3)
	for i, end := range w.ends {
		n, err := Open(env.New(), fs(), nullStore{}, Options{NodeID: uint64(i + 1), Transport: end, Tick: 20 * time.Millisecond})
		if err != nil {
			b.Fatal(err)
		}
		defer n.Close()
		machines[i] = &nullMachine{}
		if groups[i], err = n.Start(1, machines[i], []uint64{1, 2, 3}); err != nil {
			b.Fatal(err)
		}
	}
	leader := -1
	for leader < 0 {
		time.Sleep(10 * time.Millisecond)
		leader = slices.IndexFunc(groups, (*Group).Leading)
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
				if _, err := groups[leader].Propose(cmd).Await(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/float64(machines[leader].entries), "commands/entry")
}

// BenchmarkProposeThree is BenchmarkPropose with three voters in one process, and
// nothing between them.
func BenchmarkProposeThree(b *testing.B) {
	for _, p := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("mem/%d", p), func(b *testing.B) {
			benchThree(b, func() vfs.FS { return vfs.NewMem() }, p)
		})
	}
	for _, p := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("disk/%d", p), func(b *testing.B) {
			benchThree(b, func() vfs.FS { return benchDisk(b) }, p)
		})
	}
}
