package table

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/txn"
)

// TestClockDayAhead: the clocks of a node are a day ahead. Clients move money between accounts, through that node and the
// others; it leads some of the accounts, writes items of its own, and begins transactions that others have to end. The others go on
// meanwhile, when it is gone for good and they lead what it has written, and when they have forgotten its transactions. No
// money is made or lost.
func TestClockDayAhead(t *testing.T) {
	b := newBed(t, 13, "a", "b", "c")
	for _, n := range b.nodes {
		n.tune = func(o *Options) { o.Patience = time.Second }
	}
	b.create(simple("tab", 3))
	b.create(simple("own", 1))
	b.nodes[0].put("own", `{"p":{"S":"x"}}`)
	const accounts = 6
	key := func(i int) string { return fmt.Sprintf(`{"p":{"S":"k%d"}}`, i) }
	for i := range accounts {
		b.nodes[0].put("tab", fmt.Sprintf(`{"p":{"S":"k%d"},"v":{"N":"100"}}`, i))
	}
	b.quiet()
	wrong := b.nodes[(*b.nodes[0].live.Load())["own"].partitions[0].slot.replicas.nodes[0]-1]
	done := make(map[uint64]int)
	stop := false
	for i := range 6 {
		n, rng := b.nodes[i%3], b.w.Stream(fmt.Sprint("client ", i))
		n.e.Go("client", func() {
			for !stop && n.Service != nil {
				n.e.Sleep(50 * time.Millisecond)
				from, to := rng.IntN(accounts), rng.IntN(accounts)
				if from == to {
					continue
				}
				_, err := n.TransactWrite(&TransactWriteRequest{Actions: []TransactAction{
					{Kind: TransactUpdate, Table: "tab", Item: js(key(from)), Update: update("ADD v :v", num(-1))},
					{Kind: TransactUpdate, Table: "tab", Item: js(key(to)), Update: update("ADD v :v", num(1))},
				}})
				var cancelled *CancelledError
				switch {
				case err == nil:
					done[n.id]++
				case !errors.As(err, &cancelled) && !happenedMaybe(err):
					t.Errorf("node %d: %v", n.id, err)
					return
				}
			}
		})
	}
	goOn := func(when string, length time.Duration) {
		t.Helper()
		clear(done)
		b.run(length)
		for _, n := range b.nodes {
			if n != wrong && done[n.id] == 0 {
				t.Errorf("%s: nobody has moved money through node %d: %v", when, n.id, done)
			}
		}
		t.Logf("%s: %v", when, done)
	}
	fences := func() (n int) {
		for _, at := range b.nodes {
			if at == wrong {
				continue
			}
			for _, p := range at.directory.hosted() {
				for _, d := range p.Decided() {
					if d.Outcome == txn.Cancelled && at.isFuture(d.ID) {
						n++
					}
				}
			}
		}
		return n
	}
	goOn("at first", time.Second)
	b.w.SetClock(wrong.name(), 0, 24*time.Hour)
	wrong.put("own", `{"p":{"S":"x"},"v":{"N":"1"}}`)
	goOn("with a node that is ahead", 8*time.Second)
	wrong.crash()
	b.run(3 * time.Second)
	goOn("without it", 6*time.Second)
	for _, n := range b.nodes {
		if n != wrong {
			n.put("own", fmt.Sprintf(`{"p":{"S":"x"},"v":{"N":"%d"}}`, n.id))
			if got := n.get("own", `{"p":{"S":"x"}}`, true); got != fmt.Sprintf(`{"p":{"S":"x"},"v":{"N":"%d"}}`, n.id) {
				t.Errorf("what was written after the one that was ahead is read as %s", got)
			}
		}
	}
	if fences() == 0 {
		t.Error("nobody had to end a transaction of the node that was ahead: the test shows nothing of that")
	}
	stop = true
	b.run(2 * time.Second)
	b.run(defaultCancelledFor + time.Minute)
	if fences() == 0 {
		t.Error("transactions of the future are forgotten")
	}
	n := b.nodes[wrong.id%3]
	for i := range accounts {
		n.do("transaction", func() error {
			_, err := n.TransactWrite(&TransactWriteRequest{Actions: []TransactAction{
				{Kind: TransactUpdate, Table: "tab", Item: js(key(i)), Update: update("ADD v :v", num(-1))},
				{Kind: TransactUpdate, Table: "tab", Item: js(key((i + 1) % accounts)), Update: update("ADD v :v", num(1))},
			}})
			return err
		})
	}
	sum := 0
	for i := range accounts {
		sum += accountValue(n.get("tab", key(i), true))
	}
	if sum != 100*accounts {
		t.Errorf("the accounts have %d", sum)
	}
}

// happenedMaybe reports whether an error says that a partition could not be reached, or that it is not known what has happened.
func happenedMaybe(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, replication.ErrUnknownOutcome) || errors.Is(err, ErrClosed)
}
