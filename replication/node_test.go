package replication

import (
	"testing"
)

func TestProposeAndRestart(t *testing.T) {
	r := newRig(t, Options{})
	g := r.start(7)
	for i := uint64(1); i <= 10; i++ {
		if got := r.propose(g, i, i); got != i*(i+1)/2 {
			t.Fatalf("Propose(%d) = %d, want %d", i, got, i*(i+1)/2)
		}
	}
	r.close()
	r.open()
	g = r.start(7)
	if err := r.store.counter(7).check(10); err != nil {
		t.Fatalf("after restart: %v", err)
	}
	if got := r.propose(g, 11, 100); got != 155 {
		t.Fatalf("Propose after restart = %d, want 155", got)
	}
}
