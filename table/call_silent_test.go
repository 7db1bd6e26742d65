package table

import (
	"fmt"
	"testing"
	"time"

	"github.com/statordb/stator/internal/transport"
)

// TestRequestLeavesSilentLeader: requests that are under way to a leader when that falls silent, which nobody is
// told, wait for it once, not again and again while the others have elected another one.
func TestRequestLeavesSilentLeader(t *testing.T) {
	for seed := range uint64(6) {
		b := newBed(t, 60+seed, "a", "b", "c")
		b.tick = 100 * time.Millisecond // as on real nodes: an election takes as long as a request waits
		for _, n := range b.nodes {
			n.crash()
			n.restart()
		}
		b.create(simple("tab", 6))
		b.quiet()
		b.nodes[0].put("tab", `{"p":{"S":"before"}}`)
		away := b.nodes[seed%3]
		b.net.Cut(b.net.Around(transport.NodeID(away.id)))
		began, left := b.w.Now(), 0
		var most time.Duration
		for i := range 48 {
			n := b.nodes[(int(seed)+1+i%2)%3]
			left++
			n.e.Go("put", func() {
				n.e.Sleep(time.Duration(i/2) * 10 * time.Millisecond) // the leader is believed in for a while
				from := n.e.Now()
				_, err := n.Put(&PutRequest{Table: "tab", Item: js(fmt.Sprintf(`{"p":{"S":"k%d"}}`, i))})
				if err != nil {
					t.Errorf("seed %d: put %d: %v", seed, i, err)
				}
				most = max(most, n.e.Now().Sub(from))
				left--
			})
		}
		b.until("all are answered", func() bool { return left == 0 })
		if most > callPatience+callPatience/2 {
			t.Errorf("seed %d: a put took %s, %s after the cut", seed, most, b.w.Now().Sub(began))
		}
		b.w.Close()
	}
}
