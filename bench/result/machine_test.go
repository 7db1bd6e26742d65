package result

import (
	"runtime"
	"testing"
	"time"

	"github.com/statordb/stator/bench"
)

// What this process uses while it is watched is not what others do, if it says so; else it is.
func TestWatch(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	const work = 150 * time.Millisecond // the kernel counts in steps of 10 ms
	w := &Watch{}
	w.Begin()
	before := bench.CPUTime()
	for bench.CPUTime()-before < work {
	}
	own := bench.CPUTime() - before
	counted, none := w.End(own), w.End(0)
	if counted == nil || none == nil {
		t.Fatal("the system does not say")
	}
	if counted.Spin <= 0 || counted.Memory <= 0 {
		t.Errorf("probes %+v", counted)
	}
	if counted.Others < 0 || counted.Others > 1 || none.Others <= counted.Others {
		t.Errorf("others took %v of the machine; if this process counts as another one %v", counted.Others, none.Others)
	}
}
