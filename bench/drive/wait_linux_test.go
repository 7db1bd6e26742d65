package drive

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

type distant struct{ Target }

func (distant) Distant() bool { return true }

func threads(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "Threads:")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Workers that wait for distant targets keep neither threads nor, with these, the runtime's processors: an answer that comes meanwhile is seen at once. Nor do they wake early, and
// they allocate nothing.
func TestAlarmKeepsNoThread(t *testing.T) {
	const waiting, pause = 60, 100 * time.Millisecond
	before := threads(t)
	clock := newClock()
	var wg sync.WaitGroup
	for range waiting {
		wg.Go(func() {
			w := newWaiter(distant{})
			defer w.close()
			if at := w.until(&clock, int64(pause)); at < int64(pause) {
				t.Errorf("awake %v too early", pause-time.Duration(at))
			}
		})
	}
	time.Sleep(pause * 8 / 10)
	if more := threads(t) - before; more > 12 { // some for files that are opened
		t.Errorf("%d waiting workers have %d threads", waiting, more)
	}
	wg.Wait()
	if w := newWaiter(&synthetic{}); w.alarm != nil {
		t.Error("a worker gives its processor up to what it measures")
	}
	a := newAlarm()
	defer a.close()
	if n := testing.AllocsPerRun(20, func() { a.sleep(10 * time.Microsecond) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
