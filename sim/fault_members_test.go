package sim

import (
	"strings"
	"testing"
	"time"
)

// A node whose syncs were lost does not come back from a power cut: it has forgotten what
// it has promised, to entries and to votes, and no algorithm survives that it speaks again
// in its own name. If its process alone ends, nothing is lost, and it does come back.
func TestForgetfulNodeStaysDown(t *testing.T) {
	for mode, back := range map[string]bool{"prefix": false, "keep": true} {
		p := NewPlan(1, Options{Nodes: 3, Calm: true, Duration: 3 * time.Second})
		p.Nemesis = []Fault{
			{At: Duration(time.Second), Kind: "lost syncs", Target: "n2", For: Duration(time.Second)},
			{At: Duration(1200 * time.Millisecond), Kind: "crash", Target: "n2", For: Duration(100 * time.Millisecond), Mode: mode},
		}
		var trace strings.Builder
		r := RunPlan(p, Options{Trace: &trace})
		if r.Err != nil {
			t.Errorf("%s: %v", mode, r.Err)
		}
		if r.Faults["lost syncs"] != 1 || r.Faults["crash"] != 1 {
			t.Errorf("%s: faults: %v", mode, r.Faults)
		}
		if strings.Contains(trace.String(), "\trestart n2\n") != back {
			t.Errorf("%s: restarted is %v, want %v", mode, !back, back)
		}
		if !strings.Contains(trace.String(), "start n4/boot") {
			t.Errorf("%s: no other node joins in its place", mode)
		}
	}
}
