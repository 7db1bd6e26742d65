//go:build unix

package replication

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/internal/transport/tcp"
	"github.com/statordb/stator/internal/vfs"
)

// A loop connects the nodes of one process: messages arrive at once, or after
// a fixed delay.
type loop struct {
	e     *env.Env
	delay time.Duration
	ends  []*loopEnd
	sent  atomic.Int64
	bytes atomic.Int64
}

type loopEnd struct {
	w        *loop
	id       transport.NodeID
	handlers [transport.Lanes]atomic.Pointer[func(transport.NodeID, []byte)]
}

func newWire(nodes int, delay time.Duration) *loop {
	w := &loop{e: env.New(), delay: delay}
	for i := range nodes {
		w.ends = append(w.ends, &loopEnd{w: w, id: transport.NodeID(i + 1)})
	}
	return w
}

func (x *loopEnd) Self() transport.NodeID               { return x.id }
func (x *loopEnd) Unreachable(to transport.NodeID) bool { return false }

func (x *loopEnd) Handle(lane transport.Lane, f func(transport.NodeID, []byte)) {
	x.handlers[lane].Store(&f)
}

func (x *loopEnd) Send(to transport.NodeID, lane transport.Lane, message []byte) {
	x.w.sent.Add(1)
	x.w.bytes.Add(int64(len(message)))
	deliver := func() {
		if f := x.w.ends[to-1].handlers[lane].Load(); f != nil {
			(*f)(x.id, message)
		}
	}
	if x.w.delay == 0 {
		deliver()
		return
	}
	x.w.e.After(x.w.delay, deliver)
}

// A benchCluster is one or three nodes in this process.
type benchCluster struct {
	wire     *loop
	nodes    []*Node
	groups   []*Group // of group 1
	machines []*nullMachine
}

func newBenchCluster(b testing.TB, nodes int, delay time.Duration, o Options, disk func() vfs.FS) *benchCluster {
	w := newWire(nodes, delay)
	ends := make([]transport.Transport, nodes)
	for i := range ends {
		ends[i] = w.ends[i]
	}
	return newBenchClusterOn(b, w, ends, o, disk)
}

// newLoopback is newBenchCluster with sockets between the nodes.
func newLoopback(b testing.TB, o Options, disk func() vfs.FS) *benchCluster {
	var sockets []*tcp.Transport
	var ends []transport.Transport
	for i := range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		t := tcp.New(l, tcp.Options{Self: transport.NodeID(i + 1)})
		b.Cleanup(func() { _ = t.Close() })
		sockets, ends = append(sockets, t), append(ends, t)
	}
	for _, t := range sockets {
		for _, peer := range sockets {
			if peer != t {
				t.SetPeer(peer.Self(), peer.Addr().String())
			}
		}
	}
	return newBenchClusterOn(b, newWire(0, 0), ends, o, disk)
}

func newBenchClusterOn(b testing.TB, w *loop, ends []transport.Transport, o Options, disk func() vfs.FS) *benchCluster {
	nodes := len(ends)
	c := &benchCluster{wire: w}
	var voters []uint64
	for i := range nodes {
		voters = append(voters, uint64(i+1))
	}
	for i := range nodes {
		o.NodeID = uint64(i + 1)
		if nodes > 1 {
			o.Transport = ends[i]
		}
		n, err := Open(env.New(), disk(), nullStore{}, o)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = n.Close() })
		c.nodes = append(c.nodes, n)
	}
	for _, n := range c.nodes {
		m := &nullMachine{}
		g, err := n.Start(1, m, voters)
		if err != nil {
			b.Fatal(err)
		}
		c.groups, c.machines = append(c.groups, g), append(c.machines, m)
	}
	return c
}

// leader waits for one.
func (c *benchCluster) leader() *Group {
	for {
		for _, g := range c.groups {
			if g.Leading() && g.lease.until.Load() > 0 {
				return g
			}
		}
		time.Sleep(time.Millisecond)
	}
}

func (c *benchCluster) propose(b *testing.B, proposers int) {
	g := c.leader()
	entries := &c.machines[g.node.o.NodeID-1].entries
	before := *entries
	cmd := make([]byte, 128)
	var left atomic.Int64
	left.Store(int64(b.N))
	var mu sync.Mutex
	var took []time.Duration
	sent, used := c.wire.sent.Load(), processorTime()
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for range proposers {
		wg.Go(func() {
			var mine []time.Duration
			for left.Add(-1) >= 0 {
				began := time.Now()
				if _, err := g.Propose(cmd).Await(); err != nil {
					b.Error(err)
					return
				}
				mine = append(mine, time.Since(began))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64((processorTime()-used).Nanoseconds())/float64(b.N), "cpu-ns/op")
	slices.Sort(took)
	if len(took) > 0 {
		b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-p50")
	}
	b.ReportMetric(float64(b.N)/float64(*entries-before), "commands/entry")
	b.ReportMetric(float64(c.wire.sent.Load()-sent)/float64(b.N), "messages/op")
}

// BenchmarkReplicas compares one replica with three in one process, which share its
// processors and its disk.
func BenchmarkReplicas(b *testing.B) {
	for _, kind := range []string{"mem", "disk"} {
		for _, proposers := range []int{1, 64, 256} {
			for _, nodes := range []int{1, 3} {
				b.Run(fmt.Sprintf("%s/%d/replicas=%d", kind, proposers, nodes), func(b *testing.B) {
					disk := func() vfs.FS { return vfs.NewMem() }
					if kind == "disk" {
						disk = func() vfs.FS { return benchDisk(b) }
					}
					newBenchCluster(b, nodes, 0, Options{}, disk).propose(b, proposers)
				})
			}
			if kind == "disk" {
				b.Run(fmt.Sprintf("%s/%d/replicas=3,tcp", kind, proposers), func(b *testing.B) {
					newLoopback(b, Options{}, func() vfs.FS { return benchDisk(b) }).propose(b, proposers)
				})
			}
		}
	}
}

// BenchmarkZones is the latency of a write with a millisecond between any two of
// three zones, beside that of the same write with one replica.
func BenchmarkZones(b *testing.B) {
	for _, nodes := range []int{1, 3} {
		b.Run(fmt.Sprintf("replicas=%d", nodes), func(b *testing.B) {
			newBenchCluster(b, nodes, time.Millisecond, Options{}, func() vfs.FS { return benchDisk(b) }).propose(b, 1)
		})
	}
}

// BenchmarkReadBarrier is a consistent read under a lease.
func BenchmarkReadBarrier(b *testing.B) {
	for _, nodes := range []int{1, 3} {
		b.Run(fmt.Sprintf("replicas=%d", nodes), func(b *testing.B) {
			g := newBenchCluster(b, nodes, 0, Options{}, func() vfs.FS { return vfs.NewMem() }).leader()
			b.ReportAllocs()
			for b.Loop() {
				if err := g.ReadBarrier(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
