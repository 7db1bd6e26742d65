//go:build unix

package sim

import (
	"flag"
	"slices"
	"syscall"
	"testing"
	"time"
)

var benchSeed = flag.Uint64("sim.benchseed", 5000, "the first seed of benchmarks")

func processorTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// benchmarkSeeds runs a seed for each operation. How quick a simulator is says little
// without how much happens in a second that it simulates, so that is told, too.
func benchmarkSeeds(b *testing.B, o Options, change func(p *Plan)) {
	var t Tally
	began := processorTime()
	crashes := 0
	for i := range b.N {
		p := NewPlan(*benchSeed+uint64(i), o)
		change(p)
		r := RunPlan(p, o)
		brief := r.Brief()
		t.Add(&brief)
		crashes += r.Crashes
		if r.Err != nil {
			b.Logf("%v\n%s", r.Err, r)
		}
	}
	used, virtual := (processorTime() - began).Seconds(), t.Virtual.Seconds()
	b.ReportMetric(virtual/used, "sim-s/cpu-s")
	b.ReportMetric(60*float64(t.Seeds)/used, "seeds/cpu-min")
	b.ReportMetric(float64(t.Steps)/used, "steps/cpu-s")
	b.ReportMetric(float64(t.Steps)/virtual, "steps/sim-s")
	b.ReportMetric(float64(t.Done)/virtual, "done/sim-s")
	b.ReportMetric(float64(crashes)/virtual, "crashes/sim-s")
	b.ReportMetric(virtual/float64(t.Seeds), "sim-s/seed")
}

// BenchmarkThreeNodes is what a campaign does: worlds of three nodes under faults.
func BenchmarkThreeNodes(b *testing.B) { benchmarkSeeds(b, Options{Nodes: 3}, func(*Plan) {}) }

// BenchmarkOneNode is a campaign on single nodes.
func BenchmarkOneNode(b *testing.B) { benchmarkSeeds(b, Options{Nodes: 1}, func(*Plan) {}) }

// BenchmarkNinetyReplicas has three nodes with 30 groups: the catalog, and 29 partitions of
// a table without global indexes, which do not split.
func BenchmarkNinetyReplicas(b *testing.B) {
	benchmarkSeeds(b, Options{Nodes: 3, Regions: 1}, func(p *Plan) {
		k := &p.Knobs
		k.Partitions, k.SplitBytes, k.SplitRate = 29, 0, 0
		p.Transactors, p.Churn, p.Expiry, p.Grammar = nil, nil, nil, nil
		for i := range p.Clients {
			c := &p.Clients[i]
			c.Ops = slices.DeleteFunc(c.Ops, func(o Op) bool { return o.Do == "index" && o.Index != "local" })
		}
		k.Lacks = []string{"byValue", "byCount"}
	})
}
