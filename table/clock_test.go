package table

import (
	"errors"
	"testing"
	"time"

	"github.com/statordb/stator/replication"
)

// A node whose clock is far ahead is not believed. Others cannot use what it says, but
// tell their clients so in a way that says what may have happened, and go on once it is
// right again.
func TestClusterClockAhead(t *testing.T) {
	b := newBed(t, 9, "a", "b", "c")
	b.create(simple("tab", 1))
	b.nodes[0].put("tab", `{"p":{"S":"k"},"v":{"N":"1"}}`)
	b.quiet()
	leader := b.nodes[(*b.nodes[0].live.Load())["tab"].partitions[0].slot.replicas.nodes[0]-1]
	other := b.nodes[leader.id%3]
	b.w.SetClock(leader.name(), 0, time.Hour)
	leader.put("tab", `{"p":{"S":"ahead"}}`) // its clock is in what it says from now on
	isTold := func(what string, err error) {
		if err != nil && !errors.Is(err, ErrUnavailable) && !errors.Is(err, replication.ErrUnknownOutcome) {
			t.Errorf("%s through node %d: %v, want one that says what may have happened", what, other.id, err)
		}
	}
	other.do("read", func() error {
		_, err := other.Get(&GetRequest{Table: "tab", Key: js(`{"p":{"S":"k"}}`), Consistent: true})
		isTold("read", err)
		return nil
	})
	other.do("write", func() error {
		_, err := other.Put(&PutRequest{Table: "tab", Item: js(`{"p":{"S":"k"},"v":{"N":"2"}}`)})
		isTold("write", err)
		return nil
	})
}
