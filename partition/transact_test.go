package partition

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
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
		{Kind: Transact, Request: RequestID{3, 6}, Transaction: &Transaction{ID: txn.ID{Node: 6, Born: 2 << 20}, Stage: true, Others: places, Token: Token{3}, Parameters: Token{2},
			Actions: []TransactAction{{Position: 4, Command: Command{Kind: Put, Item: parseItem(t, `{"p":{"S":"d"},"s":{"N":"1"}}`)}}}}},
		{Kind: Settle, Transaction: &Transaction{ID: id, Hashes: []uint64{7}}},
		{Kind: Decide, Transaction: &Transaction{ID: txn.ID{Node: 6, Born: 2 << 20}, At: 3 << 20, Outcome: txn.Committed, Hashes: []uint64{7, 9}, Sizes: []int{1, 0, 300}}},
		{Kind: Forget, Transaction: &Transaction{ID: id, Hashes: []uint64{7}}},
		{Kind: Transact, Transaction: &Transaction{ID: id, Actions: actions, Marks: true, Token: Token{1}, Parameters: Token{2}}},
		{Kind: Mark, Mark: 11},
		{Kind: Close, Hash: 1 << 40},
	}
}

// A stage is a partition with six items, of which a transaction has taken two; it is the
// anchor of another one, which was committed with a token, and of a third one, which has taken two items and may be committed.
type stage struct {
	t     *testing.T
	p     *Partition
	id    txn.ID
	keys  []item.Item
	taken []uint64 // hashes
	held  []uint64 // hashes of the third transaction; that of the anchor is the first
}

func newStage(t *testing.T, db *member) *stage {
	s := &stage{t: t, p: db.Partition, id: txn.ID{Node: 1, Born: 50 << 16}}
	for i := range 6 {
		s.keys = append(s.keys, parseItem(t, fmt.Sprintf(`{"p":{"S":"k%d"},"s":{"N":"1"}}`, i)))
		s.must(&Command{Kind: Put, Timestamp: 10, Item: s.value(i, 0)})
	}
	s.must(&Command{Kind: Prepare, Transaction: &Transaction{ID: s.id, Anchor: Place{9, 9}, Token: Token{4}, Actions: []TransactAction{
		{Command: Command{Kind: Put, Item: s.value(0, 1)}}, {Command: Command{Kind: Delete, Item: s.keys[1]}},
	}}})
	schema := s.p.Config().Schema
	s.taken = sortedHashes([]uint64{schema.HashOf(s.keys[0]), schema.HashOf(s.keys[1])})
	s.must(&Command{Kind: Transact, Transaction: s.other()})
	s.held = []uint64{schema.HashOf(s.keys[4]), schema.HashOf(s.keys[5])}
	s.must(&Command{Kind: Transact, Transaction: s.third()})
	return s
}

// third is the transaction that is prepared at its anchor.
func (s *stage) third() *Transaction {
	return &Transaction{ID: txn.ID{Node: 3, Born: 65 << 16}, Stage: true, Marks: true, Token: Token{6}, Parameters: Token{7}, Others: []Place{{Table: 1, Hash: s.held[1]}, {4, 4}},
		Actions: []TransactAction{{Position: 1, Command: Command{Kind: Put, Item: s.value(4, 1)}}, {Position: 2, Command: Command{Kind: Delete, Item: s.keys[5]}}}}
}

// other is the transaction that has its anchor here.
func (s *stage) other() *Transaction {
	return &Transaction{ID: txn.ID{Node: 2, Born: 60 << 16}, At: 70 << 16, Token: Token{5}, Others: []Place{{3, 3}},
		Actions: []TransactAction{{Command: Command{Kind: Put, Item: s.value(2, 1)}}, {Position: 1, Command: Command{Kind: Check, Item: s.keys[3]}}}}
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
		if i >= 4 && (!errors.As(r.Err, &taken) || taken.ID != s.third().ID || taken.Anchor != (Place{1, s.held[0]})) {
			s.t.Errorf("%s: a write of a held item: %v", what, r.Err)
		}
		if i < 2 && (!errors.As(r.Err, &taken) || taken.ID != s.id || taken.Anchor != (Place{9, 9}) || taken.Token != (Token{4})) {
			s.t.Errorf("%s: a write of a taken item: %v", what, r.Err)
		}
		if i >= 2 && i < 4 && !errors.Is(r.Err, ErrConditionFailed) {
			s.t.Errorf("%s: a write of item %d: %v", what, i, r.Err)
		}
		reads, err := p.ReadItems([][]byte{schema.AppendRowKey(nil, key)}, false)
		want, free := 0, i == 2 || i == 3
		if i == 2 {
			want = 1
		}
		if err != nil || !reads[0].Item.Equal(s.value(i, want)) || (reads[0].Ongoing == nil) != free || reads[0].Changes == free {
			s.t.Errorf("%s: item %d is read as %+v, %v", what, i, reads, err)
		}
	}
	p := of(schema.HashOf(s.keys[2]))
	again := s.other()
	again.ID.Born++
	if r := s.do(p, &Command{Kind: Transact, Transaction: again}); r.Err != nil || r.Transaction.Outcome != txn.Repeated || len(r.Transaction.Sizes) != 2 {
		s.t.Errorf("%s: the token answers %+v", what, r)
	}
	s.checkThird(what, of)
	list := slices.DeleteFunc(p.Decided(), func(d DecidedTransaction) bool { return d.Outcome == txn.Prepared })
	if len(list) != 1 || list[0].Outcome != txn.Committed || list[0].At != 70<<16 {
		s.t.Errorf("%s: decided %+v", what, list)
	} else if others, err := p.Others(list[0]); err != nil || !slices.Equal(others, []Place{{3, 3}}) {
		s.t.Errorf("%s: others %v, %v", what, others, err)
	}
	if r := s.do(p, &Command{Kind: Settle, Transaction: &Transaction{ID: s.other().ID, Hashes: []uint64{schema.HashOf(s.keys[2])}}}); r.Err != nil || r.Transaction.Outcome != txn.Committed {
		s.t.Errorf("%s: a committed transaction is settled as %+v", what, r)
	}
}

// checkThird has the partitions vote on the transaction that is prepared at its anchor.
func (s *stage) checkThird(what string, of func(hash uint64) *Partition) {
	s.t.Helper()
	id := s.third().ID
	for i, h := range s.held {
		hashes := []uint64{h}
		v, err := of(h).VoteAt(id, hashes)
		r := s.do(of(h), &Command{Kind: Settle, Transaction: &Transaction{ID: id, Hashes: hashes}})
		if err != nil || r.Err != nil || v.Outcome != txn.Prepared || v.At != 70<<16+1 || len(v.Sizes) != 3 || v.Sizes[0] != 0 || v.Sizes[1+i] == 0 {
			s.t.Errorf("%s: the vote at held item %d is %+v, %v", what, i, v, err)
			continue
		}
		if x := r.Transaction; x.Outcome != v.Outcome || x.At != v.At || !slices.Equal(x.Sizes, v.Sizes) || !slices.Equal(x.Others, v.Others) {
			s.t.Errorf("%s: settled as %+v, where the vote is %+v", what, x, v)
		}
		if i == 0 && !slices.Equal(v.Others, []Place{{1, s.held[1]}, {4, 4}}) {
			s.t.Errorf("%s: others %v", what, v.Others)
		}
	}
	if v, err := of(s.held[0]).VoteAt(txn.ID{Node: 9, Born: 9}, s.held[:1]); err != nil || v.Outcome != txn.Undecided {
		s.t.Errorf("%s: the vote on an unknown transaction is %+v, %v", what, v, err)
	}
}

// finishThird has the third transaction be committed, and looks at its items and its token.
func (s *stage) finishThird(what string, of func(hash uint64) *Partition) {
	s.t.Helper()
	schema := s.p.Config().Schema
	anchor := of(s.held[0])
	decide := &Command{Kind: Decide, Transaction: &Transaction{ID: s.third().ID, At: 90 << 16, Outcome: txn.Committed, Hashes: s.held[:1], Sizes: []int{17}}}
	for range 2 { // and nothing happens the second time
		if r := s.do(anchor, decide); r.Err != nil || r.Transaction.Outcome != txn.Committed || r.Transaction.At != 90<<16 {
			s.t.Errorf("%s: decided as %+v", what, r)
		}
		decide.Transaction.Outcome, decide.Transaction.At = txn.Cancelled, 95<<16
	}
	if r := s.do(of(s.held[1]), &Command{Kind: Resolve, Transaction: &Transaction{ID: s.third().ID, Outcome: txn.Committed, At: 90 << 16, Hashes: s.held[1:]}}); r.Err != nil {
		s.t.Errorf("%s: resolve: %v", what, r.Err)
	}
	for i, want := range []item.Item{s.value(4, 1), nil} {
		reads, err := peek(of(s.held[i]), schema.AppendRowKey(nil, s.keys[4+i]))
		if err != nil || !bytes.Equal(reads[0].Item, want) || reads[0].Ongoing != nil || reads[0].Version < 90<<16 {
			s.t.Errorf("%s: held item %d is %+v, %v", what, i, reads, err)
		}
	}
	again := s.third()
	again.ID.Born++
	r := s.do(anchor, &Command{Kind: Transact, Transaction: again})
	if r.Err != nil || r.Transaction.Outcome != txn.Repeated || len(r.Transaction.Sizes) != 3 || r.Transaction.Sizes[0] != 17 || r.Transaction.Sizes[1] == 0 {
		s.t.Errorf("%s: the token answers %+v", what, r)
	}
	if again.Parameters = (Token{8}); !errors.Is(s.do(anchor, &Command{Kind: Transact, Transaction: again}).Err, ErrOtherParameters) {
		s.t.Errorf("%s: the token answers other parameters", what)
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
		reads, err := peek(of(schema.HashOf(s.keys[i])), schema.AppendRowKey(nil, s.keys[i]))
		if err != nil || !bytes.Equal(reads[0].Item, want) || reads[0].Ongoing != nil || reads[0].Version < 90<<16 {
			s.t.Errorf("%s: item %d is %+v, %v", what, i, reads, err)
		}
	}
}

// peek reads an item also of a partition that is closed.
func peek(p *Partition, row []byte) ([]ItemRead, error) {
	was := p.txns.closed.Swap(false)
	defer p.txns.closed.Store(was)
	return p.ReadItems([][]byte{row}, false)
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
	copied, told := openMember(t, openStore(t, vfs.NewMem())), false
	copied.OnUnfinished(func() { told = true })
	if err := restore(copied.Partition, replication.SnapshotMeta{Index: p.Applied(), Term: 1}, readAll(t, reader)); err != nil {
		t.Fatal(err)
	}
	if !told {
		t.Error("from a snapshot: nobody is told that something is unfinished")
	}
	s.check("from a snapshot", one(copied.Partition))
	s.finish("from a snapshot", one(copied.Partition))
	s.finishThird("from a snapshot", one(copied.Partition))

	at := max(slices.Max(s.taken), slices.Min(s.held)+1) // so that all are divided, if that is possible
	split := Split{At: at, Child: 99, Voters: []uint64{1}}
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
	s.finishThird("after a split", part)
}

// TestFence: a partition that was asked to say for good that it has not accepted a transaction never
// does, also when it has forgotten that it said so, and after a restart.
func TestFence(t *testing.T) {
	m := stageMember(t)
	s := newStage(t, m)
	schema := m.Config().Schema
	actions := []TransactAction{{Command: Command{Kind: Put, Item: s.value(3, 5)}}}
	late := &Transaction{ID: txn.ID{Node: 4, Born: 75 << 16}, Anchor: Place{4, 4}, Actions: actions}
	about := &Transaction{ID: late.ID, Hashes: []uint64{schema.HashOf(s.keys[3])}}
	refuse := func(what string) {
		t.Helper()
		if r := s.do(s.p, &Command{Kind: Prepare, Transaction: late}); !errors.Is(r.Err, ErrRefused) || r.Transaction.Outcome != txn.Cancelled {
			t.Errorf("%s: prepared: %+v", what, r)
		}
		staged := &Transaction{ID: late.ID, Stage: true, Others: []Place{{4, 4}}, Actions: actions}
		if r := s.do(s.p, &Command{Kind: Transact, Transaction: staged}); !errors.Is(r.Err, ErrRefused) || r.Transaction.Outcome != txn.Cancelled {
			t.Errorf("%s: prepared at its anchor: %+v", what, r)
		}
		for range 2 {
			if r := s.must(&Command{Kind: Settle, Transaction: about}); r.Transaction.Outcome != txn.Cancelled {
				t.Errorf("%s: settled as %v", what, r.Transaction.Outcome)
			}
		}
		decide := *about
		decide.Outcome, decide.At = txn.Committed, 80<<16
		if r := s.must(&Command{Kind: Decide, Transaction: &decide}); r.Transaction.Outcome != txn.Undecided {
			t.Errorf("%s: decided as %v", what, r.Transaction.Outcome)
		}
	}
	reopen := func() {
		p, err := Open(m.db, m.group)
		if err != nil {
			t.Fatal(err)
		}
		s.p = p
	}
	s.must(&Command{Kind: Settle, Transaction: about})
	refuse("settled")
	reopen()
	refuse("settled, and started again")
	s.must(&Command{Kind: Forget, Transaction: about})
	refuse("forgotten")
	reopen()
	refuse("forgotten, and started again")
	late.ID.Born = 76 << 16
	s.must(&Command{Kind: Prepare, Transaction: late})

	// What the coordinator cancels leaves no record.
	s.must(&Command{Kind: Resolve, Transaction: &Transaction{ID: s.third().ID, Outcome: txn.Cancelled, Hashes: s.held}})
	if v, err := s.p.VoteAt(s.third().ID, s.held); err != nil || v.Outcome != txn.Undecided {
		t.Errorf("after it was cancelled: %+v, %v", v, err)
	}
}

// TestTransactRecords: records as earlier versions wrote them are read, and none make the decoders panic.
func TestTransactRecords(t *testing.T) {
	id := txn.ID{Node: 5, Born: 1 << 20}
	key := parseItem(t, `{"p":{"S":"a"},"s":{"N":"1"}}`)
	now := &prepared{id: id, token: Token{1}, anchor: Place{2, 3}, effect: txn.Delete, at: 7, action: 3, size: 300, key: key}
	old := append(append(id.Append([]byte{1}), now.token[:]...), 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, byte(txn.Delete))
	old = appendSized(old, key)
	got, err := decodePrepared(now.append(nil))
	if err != nil || !reflect.DeepEqual(got, now) {
		t.Errorf("read as %+v, %v", got, err)
	}
	now.at, now.action, now.size = 0, 0, 0
	if got, err := decodePrepared(old); err != nil || !reflect.DeepEqual(got, now) {
		t.Errorf("format 1 is read as %+v, %v", got, err)
	}
	d := decision{outcome: txn.Prepared, at: 9, staged: &staged{Token{1}, Token{2}, []int{0, 300}, []Place{{1, 2}}}}
	if got, _, err := decodeDecision(d.staged.append(nil, d.at)); err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("read as %+v, %v", got, err)
	}
	if got, others, err := decodeDecision([]byte{1, 1, 9, 0, 0, 0, 0, 0, 0, 0, 0}); err != nil || got.outcome != txn.Committed || got.at != 9 || others != nil {
		t.Errorf("format 1 is read as %+v, %v, %v", got, others, err)
	}
}

// FuzzTransactRecords: no bytes make the decoders panic, and what they read is written as it was.
func FuzzTransactRecords(f *testing.F) {
	o := &prepared{id: txn.ID{Node: 5, Born: 1}, effect: txn.Check, at: 7, action: 3, size: 300, key: parseItem(f, `{"p":{"S":"a"}}`)}
	f.Add(o.append(nil))
	f.Add((&staged{Token{1}, Token{2}, []int{0, 300}, []Place{{1, 2}}}).append(nil, 3))
	f.Add([]byte{1, 1, 9, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add((&tokenRecord{at: 9, mark: 12, parameters: Token{3}, sizes: []int{0, 300}}).append(nil))
	f.Add((&tokenRecord{at: 9, sizes: []int{1}}).append(nil))
	f.Add((&transactions{checked: 5, ledger: txn.Ledger{Floor: 6}, marks: tokenMarks{generation: 4, count: 41, newest: 40}}).append(nil))
	f.Add((&transactions{checked: 5, marks: tokenMarks{generation: 4}}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := decodePrepared(b); err == nil && b[0] == preparedFormat && !bytes.Equal(o.append(nil), b) {
			t.Fatalf("%x is written as %x", b, o.append(nil))
		}
		if d, _, err := decodeDecision(b); err == nil && d.staged != nil && !bytes.Equal(d.staged.append(nil, d.at), b) {
			t.Fatalf("%x is written as %x", b, d.staged.append(nil, d.at))
		}
		if r, err := decodeToken(b); err == nil && !bytes.Equal(r.append(nil), b) {
			t.Fatalf("%x is written as %x", b, r.append(nil))
		}
		var x transactions
		if err := x.decode(b); err == nil && !bytes.Equal(x.append(nil), b) {
			t.Fatalf("%x is written as %x", b, x.append(nil))
		}
	})
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
