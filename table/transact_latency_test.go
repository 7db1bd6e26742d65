package table

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/statordb/stator/item"
)

// TestTransactLatency measures, in virtual time, what clients wait for in three zones when there is no
// contention, and asserts what the protocol promises: a transaction over two partitions takes one round, not two. With -v it prints
// the figures of docs/transactions.md.
func TestTransactLatency(t *testing.T) {
	requests := 200
	if testing.Short() {
		requests = 60
	}
	b := newCalmBed(t, 1, "a", "b", "c")
	b.create(simple("tab", 8))
	measure := func(what string, f func(n *bedNode, i int) error) (p50, p99 time.Duration) {
		var took []time.Duration
		for i := range requests {
			n := b.nodes[i%3]
			n.do(what, func() error {
				began := n.e.Now()
				err := f(n, i)
				took = append(took, n.e.Now().Sub(began))
				return err
			})
			b.run(20 * time.Millisecond) // what goes on in the background ends
		}
		slices.Sort(took)
		p50, p99 = took[len(took)/2], took[len(took)*99/100]
		t.Logf("%s: p50 %.1f ms, p99 %.1f ms", what, p50.Seconds()*1e3, p99.Seconds()*1e3)
		return p50, p99
	}
	row := func(i, k int) string { return fmt.Sprintf(`{"p":{"S":"%d-%d"},"v":{"N":"1"}}`, i, k) }
	writes := func(items int) func(n *bedNode, i int) error {
		return func(n *bedNode, i int) error {
			r := &TransactWriteRequest{}
			for k := range items {
				r.Actions = append(r.Actions, transactPut("tab", row(i, k)))
			}
			_, err := n.TransactWrite(r)
			return err
		}
	}
	put, _ := measure("PutItem", func(n *bedNode, i int) error {
		_, err := n.Put(&PutRequest{Table: "tab", Item: js(row(i, 9))})
		return err
	})
	measure("TransactWriteItems, one item", writes(1))
	two, _ := measure("TransactWriteItems, two items", writes(2))
	measure("TransactWriteItems, five items", writes(5))
	measure("TransactGetItems, two items", func(n *bedNode, i int) error {
		r := &TransactGetRequest{}
		for k := range 2 {
			r.Items = append(r.Items, TransactGetItem{Table: "tab", Key: js(fmt.Sprintf(`{"p":{"S":"%d-%d"}}`, i, k))})
		}
		_, err := n.TransactGet(r)
		return err
	})
	var got item.Item
	measure("TransactWriteItems, two items, read at once", func(n *bedNode, i int) error {
		if err := writes(2)(n, i); err != nil {
			return err
		}
		r, err := n.Get(&GetRequest{Table: "tab", Key: js(fmt.Sprintf(`{"p":{"S":"%d-1"}}`, i)), Consistent: true})
		if err == nil {
			got = r.Item
		}
		return err
	})
	if got == nil {
		t.Error("what was written is not read")
	}
	if two > put*3/2 {
		t.Errorf("two items take %v, where one takes %v", two, put)
	}
}
