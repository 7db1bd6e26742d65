//go:build unix

package replication

import (
	"flag"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/statordb/stator/internal/vfs"
)

var idleGroups = flag.Int("replication.idlegroups", 10_000, "how many groups BenchmarkIdleGroups has")

func processorTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func heapBytes() uint64 {
	runtime.GC()
	runtime.GC() // what has finalizers goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// BenchmarkIdleGroups measures what 10,000 groups without work cost on three nodes.
// An operation is a second of wall time.
func BenchmarkIdleGroups(b *testing.B) {
	groups := GroupID(*idleGroups)
	c := newBenchCluster(b, 3, 0, Options{Sync: SyncNever, SegmentBytes: 64 << 20}, func() vfs.FS { return vfs.NewMem() })
	began := processorTime()
	for id := GroupID(2); id <= groups; id++ {
		for _, n := range c.nodes {
			if _, err := n.Start(id, &nullMachine{}, []uint64{1, 2, 3}); err != nil {
				b.Fatal(err)
			}
		}
	}
	for awake(c) > int(groups)/100 { // the patrol always keeps some awake
		time.Sleep(100 * time.Millisecond)
	}
	start, heap := processorTime()-began, heapBytes()
	idle, sent := processorTime(), c.wire.sent.Load()
	b.ResetTimer()
	for range b.N {
		time.Sleep(time.Second)
	}
	b.StopTimer()
	b.ReportMetric(start.Seconds(), "cpu-s-to-start")
	b.ReportMetric(float64(heap)/3/1e6, "MB/node")
	used := (processorTime() - idle).Seconds() / float64(b.N)
	b.ReportMetric(100*used/3, "%cpu/node")
	b.ReportMetric(float64(c.wire.sent.Load()-sent)/float64(b.N), "messages/s")
}

// awake counts the replicas that tick.
func awake(c *benchCluster) (n int) {
	for _, node := range c.nodes {
		for _, w := range node.workers {
			done := make(chan struct{})
			w.post(func(error) { n += len(w.clocked); close(done) })
			<-done
		}
	}
	return n
}
