package table

import (
	"errors"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/txn"
)

// TestTransactionMeetsDamage: the coordinator of a transaction has died, and one of its participants, the one
// with the anchor or the other one, is damaged on a node that is alone. What is left to be done waits for the
// damaged one; who needs the item meanwhile is told so, all others go on. When the damaged table is deleted,
// the item is free.
func TestTransactionMeetsDamage(t *testing.T) {
	for _, steps := range []int{1, 2} { // all have accepted; that is recorded
		for _, names := range [][]string{{"bad", "good"}, {"good", "bad"}} {
			w := newWorld(t)
			w.options.TransactionPatience = time.Nanosecond
			for _, name := range names {
				w.create(simple(name, 1))
			}
			w.put("good", `{"p":{"S":"other"}}`)
			w.abandon(steps, transactPut("good", `{"p":{"S":"a"}}`), transactPut("bad", `{"p":{"S":"a"}}`))

			lower, _ := partition.GroupSpan((*w.live.Load())["bad"].slots[0].group)
			b := w.db.NewBatch()
			b.Set(lower, []byte("junk"))
			if err := w.db.Apply(b); err != nil {
				t.Fatal(err)
			}
			w.restart()
			seen := make(map[txn.ID]env.Mono)
			for range 3 { // found, old enough, and once more
				w.sweepTransactions(seen)
			}
			if _, err := w.Put(&PutRequest{Table: "good", Item: js(`{"p":{"S":"other"},"v":{"N":"1"}}`)}); err != nil {
				t.Errorf("%v, %d steps: Put of an item that is free: %v", names, steps, err)
			}
			_, err := w.Put(&PutRequest{Table: "good", Item: js(`{"p":{"S":"a"},"v":{"N":"1"}}`)})
			switch conflict := (*ConflictError)(nil); {
			case steps == 1 && !errors.Is(err, partition.ErrFormat) && !errors.As(err, &conflict):
				t.Errorf("%v, %d steps: Put of an item that the transaction has: %v", names, steps, err)
			case steps == 2 && names[0] == "good" && err != nil:
				t.Errorf("%v: Put of an item of a transaction whose commit is recorded: %v", names, err)
			}
			if _, err := w.Delete("bad"); err != nil {
				t.Fatalf("Delete of the damaged table: %v", err)
			}
			for w.sweepTransactions(seen) && len((*w.live.Load())["good"].partitions[0].OngoingIn(0, ^uint64(0))) > 0 {
				w.env.Sleep(time.Millisecond)
			}
			if _, err := w.Put(&PutRequest{Table: "good", Item: js(`{"p":{"S":"a"},"v":{"N":"2"}}`)}); err != nil {
				t.Errorf("%v, %d steps: Put after the damaged table was deleted: %v", names, steps, err)
			}
		}
	}
}
