package suite

import (
	"fmt"
	"io"
	"time"

	"github.com/statordb/stator/bench/drive"
	"github.com/statordb/stator/bench/result"
)

// A Progress tells how a measurement goes on: on a terminal one line that changes, and a
// line for each sample. A nil one is silent.
type Progress struct {
	W        io.Writer
	Terminal bool
}

const clearLine = "\r\x1b[K"

func (p *Progress) clear() {
	if p != nil && p.Terminal {
		fmt.Fprint(p.W, clearLine)
	}
}

func (p *Progress) phase(w *drive.Workload, target, phase string) {
	if p != nil && p.Terminal {
		fmt.Fprintf(p.W, "%s%s on %s: %s", clearLine, w.Name, target, phase)
	}
}

func (p *Progress) of(w *drive.Workload, target string) func(string, time.Duration, time.Duration, float64, time.Duration) {
	if p == nil || !p.Terminal {
		return nil
	}
	return func(phase string, at, of time.Duration, rate float64, p99 time.Duration) {
		fmt.Fprintf(p.W, "%s%s on %s: %s, %v of %v, %s/s, p99 %s", clearLine, w.Name, target, phase,
			at.Round(time.Second), of.Round(100*time.Millisecond), result.Count(rate), result.Span(float64(p99)))
	}
}

func (p *Progress) sample(w *drive.Workload, target string, round int, s *result.Sample) {
	if p == nil {
		return
	}
	p.clear()
	fmt.Fprintf(p.W, "%-20s %-16s round %d: %s/s, p50 %s, p99 %s\n", w.Name, target, round+1,
		result.Count(s.Rate), result.Span(float64(s.Latency.P50)), result.Span(float64(s.Latency.P99)))
}
