package table

import (
	"errors"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/txn"
)

// A node whose clock is far ahead is not believed: what it asks of others is refused, so that its timestamps
// stay with it, and its clients are told so in a way that says what may have happened. What it leads can be used by
// others, whose clocks stay as they are.
func TestClusterClockAhead(t *testing.T) {
	b := newBed(t, 9, "a", "b", "c")
	for _, n := range b.nodes {
		n.tune = func(o *Options) { o.Patience = time.Second }
	}
	b.create(simple("tab", 1))
	b.create(simple("far", 3))
	b.nodes[0].put("tab", `{"p":{"S":"k"},"v":{"N":"1"}}`)
	b.quiet()
	leader := b.nodes[(*b.nodes[0].live.Load())["tab"].partitions[0].slot.replicas.nodes[0]-1]
	other := b.nodes[leader.id%3]
	b.w.SetClock(leader.name(), 0, time.Hour)
	leader.put("tab", `{"p":{"S":"ahead"}}`) // its clock is in what it says from now on
	if got := other.get("tab", `{"p":{"S":"k"}}`, true); got != `{"p":{"S":"k"},"v":{"N":"1"}}` {
		t.Errorf("another node reads %s", got)
	}
	other.put("tab", `{"p":{"S":"k"},"v":{"N":"2"}}`)
	if got := other.get("tab", `{"p":{"S":"k"}}`, true); got != `{"p":{"S":"k"},"v":{"N":"2"}}` {
		t.Errorf("what was written through another node is read as %s", got)
	}
	if other.clock.Last()+txn.TimestampAt(env.Time(30*time.Minute)) > leader.clock.Last() {
		t.Errorf("the other clock, %v, was pulled along to %v", other.clock.Last(), leader.clock.Last())
	}
	refused := 0
	for _, p := range []string{"a", "b", "c", "d", "e", "f"} {
		leader.do("write", func() error {
			_, err := leader.Put(&PutRequest{Table: "far", Item: js(`{"p":{"S":"` + p + `"}}`)})
			if err != nil && !errors.Is(err, ErrUnavailable) && !errors.Is(err, replication.ErrUnknownOutcome) {
				t.Errorf("write through node %d: %v, want one that says what may have happened", leader.id, err)
			}
			if err != nil {
				refused++
			}
			return nil
		})
	}
	if refused == 0 {
		t.Error("a node that is an hour ahead is believed by those that lead")
	}
}
