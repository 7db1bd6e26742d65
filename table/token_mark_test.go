package table

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/statordb/stator/partition"
)

// adding is a transaction that adds 1 to two items, under a token.
func adding(token string, keys ...string) *TransactWriteRequest {
	r := &TransactWriteRequest{Token: token, Parameters: [32]byte{1}}
	for _, k := range keys {
		r.Actions = append(r.Actions, TransactAction{Kind: TransactUpdate, Table: "tab", Item: js(fmt.Sprintf(`{"p":{"S":"%s"}}`, k)), Update: update("ADD v :v", num(1))})
	}
	return r
}

// repeat has a request carried out at a node, which is tried again like clients do while nobody is in charge.
func (n *bedNode) repeat(r *TransactWriteRequest) (repeated bool) {
	n.bed.t.Helper()
	n.do("transaction", func() error {
		for {
			result, err := n.TransactWrite(r)
			var running *InProgressError
			switch {
			case err == nil:
				repeated = result.Repeated
				return nil
			case errors.As(err, &running), errors.Is(err, ErrUnavailable):
				n.e.Sleep(50 * time.Millisecond)
				continue
			}
			return err
		}
	})
	return repeated
}

// TestTokenLife: a token is known as long as it shall be, at whatever node and whatever happens to the clocks and to leaders; and
// then it is forgotten, of transactions in one partition and in two.
func TestTokenLife(t *testing.T) {
	const mark = time.Second
	b := newBed(t, 11, "a", "b", "c")
	for _, n := range b.nodes {
		n.tune = func(o *Options) { o.TokenMark = mark }
	}
	b.create(simple("tab", 3))
	requests := []*TransactWriteRequest{adding("one", "a"), adding("two", "a", "b", "c", "d", "e")}
	for _, r := range requests {
		if b.nodes[0].repeat(r) {
			t.Fatalf("%s is known before it was used", r.Token)
		}
	}
	began := b.w.Now()
	steps := []time.Duration{time.Hour, 40 * 24 * time.Hour, 0, -24 * time.Hour, 3 * time.Hour, -72 * time.Hour}
	for i := 0; b.w.Now().Sub(began) < partition.TokenMarks*mark-time.Second; i++ {
		if i%3 == 0 { // all clocks are set together, and each is a bit wrong
			for k, n := range b.nodes {
				b.w.SetClock(n.name(), 0, steps[i/3%len(steps)]+time.Duration(k*(i%7))*100*time.Millisecond)
			}
		}
		if i == 7 {
			leader := b.nodes[(*b.nodes[0].live.Load())["tab"].partitions[0].slot.replicas.nodes[0]-1]
			leader.crash()
			b.run(100 * time.Millisecond)
			leader.restart()
			b.until("it is back", func() bool { return leader.Service != nil && leader.Ready() })
		}
		for _, r := range requests {
			if n := b.nodes[i%3]; !n.repeat(r) {
				t.Fatalf("after %v, %s is carried out again", b.w.Now().Sub(began), r.Token)
			}
		}
		b.run(300 * time.Millisecond)
	}
	b.run((partition.TokenMarks + 8) * mark) // a mark late for each change of leaders
	for _, r := range requests {
		if b.nodes[1].repeat(r) {
			t.Errorf("%s is known after %v", r.Token, b.w.Now().Sub(began))
		}
	}
	if got := b.nodes[2].get("tab", `{"p":{"S":"a"}}`, true); got != `{"p":{"S":"a"},"v":{"N":"4"}}` {
		t.Errorf("two transactions were carried out twice each, and the item is %s", got)
	}
	// When all is forgotten, nobody sets marks any more.
	b.run((partition.TokenMarks + 8) * mark)
	marks := func() (sum uint64) {
		for _, p := range b.nodes[0].directory.hosted() {
			count, wanted := p.NextMark()
			if wanted {
				t.Errorf("group %d wants marks", p.id)
			}
			sum += count
		}
		return sum
	}
	before := marks()
	b.run(5 * mark)
	if after := marks(); after != before {
		t.Errorf("%d marks were set for nothing", after-before)
	}
}
