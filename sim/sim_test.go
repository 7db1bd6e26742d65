package sim

import (
	"errors"
	"flag"
	"io"
	"os"
	"testing"
	"time"
)

var (
	seeds = flag.Int("sim.seeds", 5, "how many seeds TestSeeds runs")
	seed  = flag.Uint64("sim.seed", 1, "the first seed of TestSeeds")
	trace = flag.String("sim.trace", "", "file for the trace of the last seed")
	nodes = flag.Int("sim.nodes", 0, "how many nodes there are; default: the seed decides")
	calm  = flag.Bool("sim.calm", false, "without faults")
	page  = flag.String("sim.html", "", "file for a picture of a violation")
)

// TestSeeds runs worlds of one, three and five nodes under faults. A failure prints the command that
// repeats it.
func TestSeeds(t *testing.T) {
	failures, fired := 0, map[string]int{}
	for s := *seed; s < *seed+uint64(*seeds) && failures < 5; s++ {
		r := Run(s, Options{Trace: traceFile(t), Nodes: *nodes, Calm: *calm})
		t.Log(r)
		for name, n := range r.Faults {
			fired[name] += n
		}
		if r.Err != nil {
			failures++
			picture(t, r)
			t.Errorf("%v\n%s\nreplay: go test ./sim -run TestSeeds -sim.seed=%d -sim.seeds=1 -sim.nodes=%d -sim.trace=trace.txt -sim.html=page.html",
				r.Err, r, s, *nodes)
		}
	}
	t.Logf("faults: %v", fired)
}

// TestClusters runs nodes in three zones, with faults of the network, too.
func TestClusters(t *testing.T) {
	done := 0
	for s := *seed; s < *seed+2; s++ {
		r := Run(s, Options{Nodes: 3, Duration: 5 * time.Second})
		done += r.History.Count(Done)
		if r.Err != nil {
			t.Errorf("%v\n%s", r.Err, r)
		}
	}
	if done < 20 {
		t.Errorf("only %d requests were answered", done)
	}
}

func traceFile(t *testing.T) io.Writer {
	if *trace == "" {
		return nil
	}
	f, err := os.Create(*trace)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func picture(t *testing.T, r Result) {
	var v *Violation
	if *page == "" || !errors.As(r.Err, &v) {
		return
	}
	if err := v.Visualize(*page); err != nil {
		t.Error(err)
	}
}

// The same seed gives the same run.
func TestRunIsDeterministic(t *testing.T) {
	for i, o := range []Options{{Nodes: 1}, {Nodes: 3, Duration: 3 * time.Second}} {
		s := *seed + uint64(i)
		first, again := Run(s, o), Run(s, o)
		if first.Hash != again.Hash || first.Steps != again.Steps {
			t.Errorf("two runs of one seed:\n%s\n%s", first, again)
		}
	}
}

// A check that cannot fail says nothing: a disk that lies must be found out.
func TestLyingDiskIsFoundOut(t *testing.T) {
	found := 0
	for s := *seed; s < *seed+6; s++ {
		if r := Run(s, Options{Nodes: 1, LyingDisk: true}); r.Err != nil {
			found++
		}
	}
	if found < 4 {
		t.Errorf("found out in %d of 6 runs", found)
	}
}

func TestCalmRunLosesNothing(t *testing.T) {
	r := Run(*seed, Options{Nodes: 1, Calm: true})
	if r.Err != nil || r.Crashes != 1 || r.History.Count(Unknown)+r.History.Count(Failed) > 0 {
		t.Errorf("%v\n%s", r.Err, r)
	}
}
