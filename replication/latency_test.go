package replication

import (
	"slices"
	"testing"
	"time"

	"github.com/statordb/stator/internal/transport"
)

// With a millisecond between zones, a write takes one round trip, one sync and next
// to nothing more: the leader's sync is over before the first follower's answer is
// there. It is measured in simulated time, in which processors are fast.
func TestWriteTakesOneRoundTripAndOneSync(t *testing.T) {
	const oneWay, disk = time.Millisecond, 400 * time.Microsecond
	var network transport.NetworkOptions
	network.Qualities[transport.InterZone] = transport.Quality{Base: oneWay, MaxBase: oneWay}
	b := newTrioOn(t, 1, replaceJitter(t), 3, 1, network, nil)
	b.settle(t)
	for _, n := range b.nodes {
		n.delay = disk / 2 // of the write, and of its sync
	}
	n := b.leader(1)
	var took []time.Duration
	for identity := range uint64(50) {
		n.do(t, func() {
			began := b.w.Now()
			if _, err := n.groups[0].Propose(add(identity, 1)).Await(); err != nil {
				t.Errorf("propose: %v", err)
			}
			took = append(took, b.w.Now().Sub(began))
			n.e.Sleep(5 * time.Millisecond)
		})
	}
	slices.Sort(took)
	p50, bound := took[len(took)/2], 2*oneWay+disk
	t.Logf("p50 %s, worst %s; a round trip and a sync are %s", p50, took[len(took)-1], bound)
	if p50 > bound+500*time.Microsecond {
		t.Errorf("p50 %s, want at most 0.5 ms more than %s", p50, bound)
	}
}
