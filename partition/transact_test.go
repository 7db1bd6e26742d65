package partition

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/txn"
)

// sampleTransactions has one command of each kind of transactions, about the items of indexedSchema.
func sampleTransactions(t testing.TB) []Command {
	it := parseItem(t, `{"p":{"S":"a"},"s":{"N":"1"},"x":{"S":"b"}}`)
	key := parseItem(t, `{"p":{"S":"b"},"s":{"N":"1"}}`)
	condition, err := expr.ParseCondition(expr.ConditionExpression, "attribute_not_exists(x)", expr.NewParams(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	id := txn.ID{Node: 5, Born: 1 << 20}
	actions := []TransactAction{
		{Position: 1, Command: Command{Kind: Put, Item: it, Condition: condition, ReturnOnFailure: true}},
		{Position: 0, Command: Command{Kind: Check, Item: key, Condition: condition}},
		{Position: 2, Command: Command{Kind: Delete, Item: parseItem(t, `{"p":{"S":"c"},"s":{"N":"1"}}`)}},
	}
	places := []Place{{Table: 1, Hash: 7}, {Table: 2, Hash: 1 << 63}}
	return []Command{
		{Kind: Transact, Request: RequestID{3, 4}, Transaction: &Transaction{ID: id, At: 1 << 21, Actions: actions, Others: places, Token: Token{1}, Parameters: Token{2}, Sizes: []int{0, 3, 9}}},
		{Kind: Transact, Transaction: &Transaction{ID: id, Actions: actions, Judge: true}},
		{Kind: Prepare, Request: RequestID{3, 5}, Transaction: &Transaction{ID: txn.ID{Node: 5, Born: 2 << 20}, Actions: actions, Anchor: places[0], Token: Token{1}}},
		{Kind: Resolve, Transaction: &Transaction{ID: txn.ID{Node: 5, Born: 2 << 20}, At: 3 << 20, Outcome: txn.Committed, Hashes: []uint64{1, 2}}},
		{Kind: Settle, Transaction: &Transaction{ID: id, Hashes: []uint64{7}}},
		{Kind: Forget, Transaction: &Transaction{ID: id, Hashes: []uint64{7}}},
	}
}

// A stage is a partition with four items, of which a transaction has taken two; it is the
// anchor of another one, which was committed with a token.
type stage struct {
	t     *testing.T
	p     *Partition
	id    txn.ID
	keys  []item.Item
	taken []uint64 // hashes
}

func newStage(t *testing.T, db *member) *stage {
	s := &stage{t: t, p: db.Partition, id: txn.ID{Node: 1, Born: 50 << 16}}
	for i := range 4 {
		s.keys = append(s.keys, parseItem(t, fmt.Sprintf(`{"p":{"S":"k%d"},"s":{"N":"1"}}`, i)))
		s.must(&Command{Kind: Put, Timestamp: 10, Item: s.value(i, 0)})
	}
	s.must(&Command{Kind: Prepare, Transaction: &Transaction{ID: s.id, Anchor: Place{9, 9}, Token: Token{4}, Actions: []TransactAction{
		{Command: Command{Kind: Put, Item: s.value(0, 1)}}, {Command: Command{Kind: Delete, Item: s.keys[1]}},
	}}})
	schema := s.p.Config().Schema
	s.taken = sortedHashes([]uint64{schema.HashOf(s.keys[0]), schema.HashOf(s.keys[1])})
	s.must(&Command{Kind: Transact, Transaction: s.other()})
	return s
}

// other is the transaction that has its anchor here.
func (s *stage) other() *Transaction {
	return &Transaction{ID: txn.ID{Node: 2, Born: 60 << 16}, At: 70 << 16, Token: Token{5}, Others: []Place{{3, 3}},
		Actions: []TransactAction{{Command: Command{Kind: Put, Item: s.value(2, 1)}}, {Command: Command{Kind: Check, Item: s.keys[3]}}}}
}

func sortedHashes(hashes []uint64) []uint64 {
	slices.Sort(hashes)
	return slices.Compact(hashes)
}

func (s *stage) value(i, v int) item.Item {
	return parseItem(s.t, fmt.Sprintf(`{"p":{"S":"k%d"},"s":{"N":"1"},"v":{"N":"%d"}}`, i, v))
}

func (s *stage) do(p *Partition, c *Command) *Result {
	b := c.Encode()
	r := p.Apply(p.Applied()+1, [][]byte{b})[0].(*Result)
	clear(b) // only valid until Apply returns
	return r
}

func (s *stage) must(c *Command) *Result {
	s.t.Helper()
	r := s.do(s.p, c)
	if r.Err != nil {
		s.t.Fatalf("%v: %v", c.Kind, r.Err)
	}
	return r
}

// check looks at all that transactions have left, in the partitions that have the items by now.
func (s *stage) check(what string, of func(hash uint64) *Partition) {
	s.t.Helper()
	schema := s.p.Config().Schema
	for i, key := range s.keys {
		hash := schema.HashOf(key)
		p := of(hash)
		r := s.do(p, &Command{Kind: Put, Timestamp: 80 << 16, Item: s.value(i, 9), Condition: never(s.t)})
		var taken *ConflictError
		if i < 2 && (!errors.As(r.Err, &taken) || taken.ID != s.id || taken.Anchor != (Place{9, 9}) || taken.Token != (Token{4})) {
			s.t.Errorf("%s: a write of a taken item: %v", what, r.Err)
		}
		if i >= 2 && !errors.Is(r.Err, ErrConditionFailed) {
			s.t.Errorf("%s: a write of item %d: %v", what, i, r.Err)
		}
		reads, err := p.ReadItems([][]byte{schema.AppendRowKey(nil, key)}, false)
		if want := i / 2 % 2 * (3 - i); err != nil || !reads[0].Item.Equal(s.value(i, want)) || (reads[0].Ongoing != nil) != (i < 2) {
			s.t.Errorf("%s: item %d is read as %+v, %v", what, i, reads, err)
		}
	}
	p := of(schema.HashOf(s.keys[2]))
	again := s.other()
	again.ID.Born++
	if r := s.do(p, &Command{Kind: Transact, Transaction: again}); r.Err != nil || r.Transaction.Outcome != txn.Repeated || len(r.Transaction.Sizes) != 2 {
		s.t.Errorf("%s: the token answers %+v", what, r)
	}
	if list := p.Decided(); len(list) != 1 || list[0].Outcome != txn.Committed || list[0].At != 70<<16 {
		s.t.Errorf("%s: decided %+v", what, list)
	} else if others, err := p.Others(list[0]); err != nil || !slices.Equal(others, []Place{{3, 3}}) {
		s.t.Errorf("%s: others %v, %v", what, others, err)
	}
	if r := s.do(p, &Command{Kind: Settle, Transaction: &Transaction{ID: s.other().ID, Hashes: []uint64{schema.HashOf(s.keys[2])}}}); r.Err != nil || r.Transaction.Outcome != txn.Committed {
		s.t.Errorf("%s: a committed transaction is settled as %+v", what, r)
	}
}

// finish resolves the transaction and looks at its items.
func (s *stage) finish(what string, of func(hash uint64) *Partition) {
	s.t.Helper()
	schema := s.p.Config().Schema
	for _, h := range s.taken {
		c := &Command{Kind: Resolve, Transaction: &Transaction{ID: s.id, Outcome: txn.Committed, At: 90 << 16, Hashes: []uint64{h}}}
		for range 2 { // and nothing happens the second time
			if r := s.do(of(h), c); r.Err != nil {
				s.t.Errorf("%s: resolve: %v", what, r.Err)
			}
		}
	}
	for i, want := range []item.Item{s.value(0, 1), nil} {
		reads, err := of(schema.HashOf(s.keys[i])).ReadItems([][]byte{schema.AppendRowKey(nil, s.keys[i])}, false)
		if err != nil || !bytes.Equal(reads[0].Item, want) || reads[0].Ongoing != nil || reads[0].Version < 90<<16 {
			s.t.Errorf("%s: item %d is %+v, %v", what, i, reads, err)
		}
	}
}

func never(t testing.TB) *expr.Condition {
	c, err := expr.ParseCondition(expr.ConditionExpression, "attribute_exists(nothing)", expr.NewParams(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func stageMember(t *testing.T) *member {
	m := openMember(t, openStore(t, vfs.NewMem()))
	config := Config{Version: 1, Last: ^uint64(0), Schema: Schema{Table: 1, Hash: Key{"p", item.S}, Sort: Key{"s", item.N}}}
	if r := m.Apply(1, [][]byte{(&Command{Kind: Configure, Config: &config}).Encode()})[0].(*Result); r.Err != nil {
		t.Fatal(r.Err)
	}
	return m
}

// TestTransactState: what transactions have taken, decided and remembered is there after a restart, in a
// replica that a snapshot made, and in both parts after a split.
func TestTransactState(t *testing.T) {
	one := func(p *Partition) func(uint64) *Partition { return func(uint64) *Partition { return p } }

	m := stageMember(t)
	s := newStage(t, m)
	s.check("at first", one(s.p))
	p, err := Open(m.db, m.group)
	if err != nil {
		t.Fatal(err)
	}
	s.check("after a restart", one(p))
	reader, err := p.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	copied := openMember(t, openStore(t, vfs.NewMem()))
	if err := restore(copied.Partition, replication.SnapshotMeta{Index: p.Applied(), Term: 1}, readAll(t, reader)); err != nil {
		t.Fatal(err)
	}
	s.check("from a snapshot", one(copied.Partition))
	s.finish("from a snapshot", one(copied.Partition))

	split := Split{At: slices.Max(s.taken), Child: 99, Voters: []uint64{1}}
	if r := p.Apply(p.Applied()+1, [][]byte{splitCommand(split)})[0].(*Result); r.Err != nil {
		t.Fatal(r.Err)
	}
	child, err := Open(m.db, 99)
	if err != nil {
		t.Fatal(err)
	}
	part := func(hash uint64) *Partition {
		if hash >= split.At {
			return child
		}
		return p
	}
	s.check("after a split", part)
	if r := s.do(p, &Command{Kind: Resolve, Transaction: &Transaction{ID: s.id, Outcome: txn.Committed, At: 9, Hashes: s.taken}}); !errors.Is(r.Err, ErrWrongPartition) {
		t.Errorf("resolve over two parts: %v", r.Err)
	}
	s.finish("after a split", part)
}

// TestLedgerFloor: a transaction that was settled cannot be committed, also when that was forgotten.
func TestLedgerFloor(t *testing.T) {
	m := stageMember(t)
	s := newStage(t, m)
	schema := m.Config().Schema
	late := &Transaction{ID: txn.ID{Node: 3, Born: 75 << 16}, Others: []Place{{3, 3}}, Actions: []TransactAction{{Command: Command{Kind: Put, Item: s.value(3, 5)}}}}
	about := &Transaction{ID: late.ID, Hashes: []uint64{schema.HashOf(s.keys[3])}}
	commit := func(want txn.Outcome) {
		t.Helper()
		if r := s.must(&Command{Kind: Transact, Transaction: late}); r.Transaction.Outcome != want {
			t.Errorf("outcome %v, want %v", r.Transaction.Outcome, want)
		}
	}
	if r := s.must(&Command{Kind: Settle, Transaction: about}); r.Transaction.Outcome != txn.Cancelled {
		t.Errorf("settled as %v", r.Transaction.Outcome)
	}
	commit(txn.Cancelled)
	s.must(&Command{Kind: Forget, Transaction: about})
	commit(txn.Cancelled)
	p, err := Open(m.db, m.group)
	if err != nil {
		t.Fatal(err)
	}
	s.p = p
	commit(txn.Cancelled)
	late.ID.Born = 76 << 16
	commit(txn.Committed)
}
