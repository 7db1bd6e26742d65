package table

import (
	"time"

	"github.com/statordb/stator/txn"
)

// abandon goes some steps with a transaction and returns it with what is to be done next: a coordinator that goes no further, as if it
// had died.
func abandon(s *Service, steps int, r *TransactWriteRequest) (x *transaction, next []txn.Message, err error) {
	bound, err := s.bindActions(r.Actions)
	if err != nil {
		return nil, nil, err
	}
	x = s.newTransaction(r, bound)
	next = x.machine.Start()
	for range steps {
		next = x.exchange(next)
	}
	return x, next, nil
}

// abandon leaves a transaction after some steps, by which it is committed.
func (w *world) abandon(steps int, actions ...TransactAction) {
	w.t.Helper()
	x, _, err := abandon(w.Service, steps, &TransactWriteRequest{Actions: actions})
	if err != nil {
		w.t.Fatal(err)
	}
	if x.machine.Outcome() != txn.Committed {
		w.t.Fatalf("the transaction is %v after %d steps", x.machine.Outcome(), steps)
	}
}

// untilItemsAreFree waits until no transaction has items.
func (b *bed) untilItemsAreFree() {
	b.t.Helper()
	b.until("the items are free", func() bool {
		for _, n := range b.nodes {
			for _, p := range n.directory.hosted() {
				if len(p.OngoingIn(0, ^uint64(0))) > 0 {
					return false
				}
			}
		}
		return true
	})
}

// outage has all nodes lose power at once, and waits until one is in charge again.
func (b *bed) outage() {
	b.t.Helper()
	for _, n := range b.nodes {
		n.crash()
	}
	for _, n := range b.nodes {
		n.restart()
	}
	b.run(3 * time.Second)
	b.ready()
}
