package table

import (
	"errors"
	"fmt"
	"testing"

	"github.com/statordb/stator/internal/transport"
)

// A node that is being closed ends the calls that wait for others. What they were about has no answer by that: the
// client is told that the service is closed, which it tries again elsewhere, and no internal error.
func TestReadWhileClosing(t *testing.T) {
	b := newBed(t, 1, "a", "b", "c")
	defer b.w.Close()
	b.create(simple("tab", 1))
	n := b.nodes[0]
	n.do("close", func() error {
		err := fmt.Errorf("partition: %w", transport.ErrClosed)
		if isAnswer(err) {
			t.Error("the end of a call is taken for an answer")
		}
		n.closing.Set(struct{}{}, nil)
		if got := n.newTrip(1, true).again(nil, err); !errors.Is(got, ErrClosed) {
			t.Errorf("while the service closes, a read ends with %v", got)
		}
		return nil
	})
}
