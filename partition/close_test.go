package partition

import (
	"errors"
	"testing"

	"github.com/statordb/stator/txn"
)

// TestClose: a partition that was closed accepts no transaction, writes nothing and lets nobody read, also after a restart, and ends the
// transactions that it has. It says so as long as there are some.
func TestClose(t *testing.T) {
	m := stageMember(t)
	s := &tokenStage{newStage(t, m)}
	closed := func(what string, want txn.Outcome) {
		t.Helper()
		if r := s.must(&Command{Kind: Close, Hash: s.held[0]}); r.Transaction.Outcome != want {
			t.Errorf("%s: closed as %v, want %v", what, r.Transaction.Outcome, want)
		}
	}
	// open looks at what there is behind the door.
	open := func(f func()) {
		t.Helper()
		p := &s.p.txns
		if !p.isClosed() || !p.closed.Load() {
			t.Error("the partition is not closed")
		}
		p.ledger.Floor = 0
		p.closed.Store(false)
		f()
		p.ledger.Floor, p.changed = closedFloor, true
		p.closed.Store(true)
	}
	of := func(uint64) *Partition { return s.p }
	closed("with transactions", txn.Prepared)
	for range 2 {
		late := txn.ID{Node: 8, Born: 200 << 16}
		free := []TransactAction{{Command: Command{Kind: Put, Item: s.value(3, 7)}}}
		for _, c := range []*Command{
			{Kind: Prepare, Transaction: &Transaction{ID: late, Anchor: Place{9, 9}, Actions: free}},
			{Kind: Transact, Transaction: &Transaction{ID: late, Stage: true, Others: []Place{{3, 3}}, Actions: free}},
		} {
			if r := s.do(s.p, c); !errors.Is(r.Err, ErrWrongPartition) {
				t.Errorf("%v: %+v", c.Kind, r)
			}
		}
		schema := s.p.Config().Schema
		row := schema.AppendRowKey(nil, s.keys[2])
		if r := s.do(s.p, &Command{Kind: Put, Timestamp: 300 << 16, Item: s.value(2, 8)}); !errors.Is(r.Err, ErrWrongPartition) {
			t.Errorf("a put: %v", r.Err)
		}
		if r := s.do(s.p, &Command{Kind: Transact, Transaction: &Transaction{ID: late, Actions: free}}); !errors.Is(r.Err, ErrWrongPartition) {
			t.Errorf("a transaction of this partition alone: %+v", r)
		}
		if it, err := s.p.Get(row); !errors.Is(err, ErrWrongPartition) {
			t.Errorf("a get: %v, %v", it, err)
		}
		if reads, err := s.p.ReadItems([][]byte{row}, false); !errors.Is(err, ErrWrongPartition) {
			t.Errorf("a read of items: %v, %v", reads, err)
		}
		lower, upper := schema.HashSpan(nil, 0, ^uint64(0))
		if page, err := s.p.Page(&PageRequest{Lower: lower, Upper: upper, AsIs: true}); !errors.Is(err, ErrWrongPartition) {
			t.Errorf("a page: %v, %v", page, err)
		}
		open(func() { s.check("closed", of) })
		s.must(&Command{Kind: Close, Hash: s.held[0]})
		s.reopen(m)
	}
	s.finish("closed", of)
	s.finishThird("closed", of)
	closed("with records of commits", txn.Prepared)
	schema := s.p.Config().Schema
	s.must(&Command{Kind: Forget, Transaction: &Transaction{ID: s.other().ID, Hashes: []uint64{schema.HashOf(s.keys[2])}}})
	closed("with one", txn.Prepared)
	s.must(&Command{Kind: Forget, Transaction: &Transaction{ID: s.third().ID, Hashes: s.held[:1]}})
	closed("at the end", txn.Cancelled)

	// The upper hashes are given away: a command for them is to be sent to the child, which is closed from its birth.
	at := s.held[0] + 1
	s.must(&Command{Kind: SplitOff, Split: &Split{At: at, Child: 99, Voters: []uint64{1}}})
	closed("after a split", txn.Cancelled)
	if r := s.do(s.p, &Command{Kind: Close, Hash: at}); !errors.Is(r.Err, ErrWrongPartition) {
		t.Errorf("close of a hash that was given away: %+v", r)
	}
	child, err := Open(m.db, 99)
	if err != nil {
		t.Fatal(err)
	}
	if floor := child.txns.ledger.Floor; floor != closedFloor {
		t.Errorf("the child accepts transactions that begin after %d", floor)
	}
}
