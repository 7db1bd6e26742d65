package table

import (
	"fmt"
	"testing"
	"time"

	"github.com/statordb/stator/internal/transport"
)

// TestLinkAway: while the link between two nodes is away, and a third one reaches both, clients of either write and
// read what the other one leads. Until its end is noticed that takes them a call in vain, then next to nothing.
func TestLinkAway(t *testing.T) {
	for seed := range uint64(3) {
		b := newBed(t, 80+seed, "a", "b", "c")
		b.create(simple("tab", 6))
		b.quiet()
		b.nodes[0].put("tab", `{"p":{"S":"before"}}`)
		left, right := b.nodes[seed], b.nodes[(seed+1)%3]
		cut := b.net.Cut(transport.Between([]transport.NodeID{transport.NodeID(left.id)}, []transport.NodeID{transport.NodeID(right.id)}))
		use := func(round int, most time.Duration) {
			t.Helper()
			for i := range 24 {
				n := []*bedNode{left, right}[i%2]
				began, text := b.w.Now(), fmt.Sprintf(`{"p":{"S":"k%d"},"v":{"N":"%d"}}`, i, round)
				n.put("tab", text)
				if got := n.get("tab", fmt.Sprintf(`{"p":{"S":"k%d"}}`, i), true); got != text {
					t.Errorf("seed %d: node %d reads %s, want %s", seed, n.id, got, text)
				}
				if took := b.w.Now().Sub(began); took > most {
					t.Errorf("seed %d, round %d: node %d took %s", seed, round, n.id, took)
				}
			}
		}
		use(1, 4*callPatience)
		b.run(5 * time.Second)
		use(2, callPatience/10)
		cut.Heal()
		b.run(2 * time.Second)
		use(3, callPatience/10)
		b.w.Close()
	}
}

// TestRelayOnlyPassesOn: what is no request to a partition is not passed on, nor is one to the node itself.
func TestRelayOnlyPassesOn(t *testing.T) {
	b := newBed(t, 1, "a", "b", "c")
	defer b.w.Close()
	b.create(simple("tab", 1))
	n := b.nodes[0]
	for _, request := range [][]byte{nil, make([]byte, relayHeader-1), {1, 0, 0, 0, 0, 0, 0, 0, byte(callPropose)}, {2, 0, 0, 0, 0, 0, 0, 0, byte(callRelay)}, {2, 0, 0, 0, 0, 0, 0, 0, 32}} {
		n.do("relay", func() error {
			if a, err := n.serveRelay(2, request); err == nil {
				t.Errorf("%v is passed on: %v", request, a)
			}
			return nil
		})
	}
}
