package env

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"time"
)

// stuckAfter is how long one step may take in real time. A step that takes
// longer is in a real blocking call (a channel, a contended sync.Mutex, a
// socket) or in an endless loop, and with it the whole simulation.
var stuckAfter = 10 * time.Second

// reportStuck tells the user; replaced in tests.
var reportStuck = func(report string) { fmt.Fprint(os.Stderr, report) }

// watch looks at the running step from outside until the returned function is
// called. It can only tell, not interrupt.
func (w *World) watch() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(stuckAfter)
		defer tick.Stop()
		last := uint64(0)
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				last = w.look(last)
			}
		}
	}()
	return func() { close(quit); <-done }
}

// look reports the step that was running at the last look and still is.
func (w *World) look(last uint64) uint64 {
	step := w.pulse.Load()
	if step == last && step != 0 {
		reportStuck(fmt.Sprintf("sim stuck: seed=%d: step %d has not ended for %s\n\n%s",
			w.seed, step, stuckAfter, liveStacks()))
	}
	return step
}

// liveStacks returns the stacks of all goroutines but parked coroutines.
func liveStacks() []byte {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var live []byte
	for stack := range bytes.SplitSeq(buf, []byte("\n\n")) {
		header, _, _ := bytes.Cut(stack, []byte("\n"))
		if !bytes.Contains(header, []byte("[coroutine")) {
			live = append(append(live, stack...), "\n\n"...)
		}
	}
	return live
}
