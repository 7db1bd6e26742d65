package sim

import (
	"testing"
	"time"
)

// A run that fails because of disks that lie does so with less, and for the same reason.
func TestShrink(t *testing.T) {
	for seed := uint64(1); seed < 8; seed++ {
		p := NewPlan(seed, Options{Nodes: 1, LyingDisk: true, Duration: 500 * time.Millisecond})
		before := len(p.Encode())
		s := Shrinker{Runs: 40}
		small, r, runs := s.Shrink(p)
		if r.Err == nil {
			continue
		}
		again := RunPlan(small, Options{})
		if CheckerOf(again.Err) != CheckerOf(r.Err) || again.Hash != r.Hash {
			t.Errorf("seed %d: the smaller plan comes to %v, not to %v", seed, again.Err, r.Err)
		}
		if len(small.Encode()) > before/2 || runs > 41 {
			t.Errorf("seed %d: %d bytes of %d are left after %d runs", seed, len(small.Encode()), before, runs)
		}
		return
	}
	t.Error("no seed fails")
}

func TestShrinkLeavesWhatPasses(t *testing.T) {
	p := NewPlan(1, Options{Nodes: 1, Calm: true, Duration: 100 * time.Millisecond})
	s := Shrinker{}
	if small, r, runs := s.Shrink(p); r.Err != nil || small != p || runs != 1 {
		t.Errorf("Shrink = %v after %d runs", r.Err, runs)
	}
}
