package table

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/txn"
)

// A bank is a table of accounts, one client per teller. A teller moves money between two accounts and
// counts that in an item of its own, in one transaction; it repeats a transaction, under its
// token, until it knows what became of it.
type bank struct {
	*bed
	accounts int
	stop     bool

	acked    []int // transfers by teller that were answered
	reads    int   // sums that were read
	refused  int
	repeated int
}

const bankStart = 100 // of each account

func newBank(b *bed, accounts, tellers, partitions int) *bank {
	k := &bank{bed: b, accounts: accounts, acked: make([]int, tellers)}
	b.create(Definition{Name: "bank", Attributes: attributes("p", "S", "x", "S"), Keys: keys("p"), Partitions: partitions,
		GlobalIndexes: []IndexDefinition{{Name: "g", Keys: keys("x"), Projection: all()}}})
	for i := range accounts {
		b.nodes[0].put("bank", fmt.Sprintf(`{"p":{"S":"a%d"},"v":{"N":"%d"},"x":{"S":"x%d"}}`, i, bankStart, i%3))
	}
	for i := range tellers {
		b.nodes[0].put("bank", fmt.Sprintf(`{"p":{"S":"t%d"},"v":{"N":"0"},"x":{"S":"t"}}`, i))
	}
	for i := range tellers {
		k.client(fmt.Sprint("teller ", i), func(n *bedNode) func() { return k.transfer(i, n) })
	}
	k.client("auditor", k.audit)
	return k
}

// client runs steps of a client, each as a task of a random node, which may die.
func (k *bank) client(name string, step func(n *bedNode) func()) {
	e, rng := k.w.NewNode(name), k.w.Stream(name)
	e.Go("client", func() {
		for !k.stop {
			n := k.nodes[rng.IntN(len(k.nodes))]
			s := n.Service
			if s == nil {
				e.Sleep(10 * time.Millisecond)
				continue
			}
			done := false
			f := step(n)
			n.e.Go(name, func() { f(); done = true })
			for waited := 0; !done && n.Service == s; waited++ {
				if waited == 6000 {
					k.t.Errorf("seed %d: a request of %s at node %d takes more than 30 s", k.w.Seed(), name, n.id)
					return
				}
				e.Sleep(5 * time.Millisecond)
			}
			e.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond)
		}
	})
}

func accountValue(text string) (v int) {
	if parts := strings.SplitN(text, `"v":{"N":"`, 2); len(parts) == 2 {
		_, _ = fmt.Sscanf(parts[1], "%d", &v)
	}
	return v
}

// transfer moves money once. The next one has another token.
func (k *bank) transfer(teller int, n *bedNode) func() {
	number := k.acked[teller]
	rng := k.w.Stream(fmt.Sprint("transfer ", teller, " ", number))
	from := rng.IntN(k.accounts)
	to := (from + 1 + rng.IntN(k.accounts-1)) % k.accounts
	amount := 1 + rng.IntN(40)
	add := func(key string, v int, text string) TransactAction {
		a := TransactAction{Kind: TransactUpdate, Table: "bank", Item: js(fmt.Sprintf(`{"p":{"S":%q}}`, key)),
			Update: update("SET x = :x ADD v :v", fmt.Sprintf(`{":v":{"N":"%d"},":x":{"S":"x%d"}}`, v, number%3))}
		if text != "" {
			a.Condition = conditionOn(text, amount)
		}
		return a
	}
	s := n.Service
	return func() {
		tally := fmt.Sprint("t", teller)
		r, err := s.TransactWrite(&TransactWriteRequest{Token: fmt.Sprint(teller, "-", number), Actions: []TransactAction{
			add(fmt.Sprint("a", from), -amount, "v >= :v"), add(fmt.Sprint("a", to), amount, ""), add(tally, 1, ""),
		}})
		var cancelled *CancelledError
		switch {
		case err == nil:
			k.acked[teller]++
			if r.Repeated {
				k.repeated++
			}
			got, err := s.Get(&GetRequest{Table: "bank", Key: js(fmt.Sprintf(`{"p":{"S":%q}}`, tally)), Consistent: true})
			if err == nil && accountValue(show(got.Item)) != k.acked[teller] {
				k.t.Errorf("seed %d: teller %d has counted %s, want %d", k.w.Seed(), teller, show(got.Item), k.acked[teller])
			}
		case errors.As(err, &cancelled):
			k.refused++
			if cancelled.Reasons[0].Code == ReasonConditionFailed { // there is not enough money: another transfer
				_, err := s.TransactWrite(&TransactWriteRequest{Token: fmt.Sprint(teller, "-", number), Actions: []TransactAction{
					add(fmt.Sprint("a", from), 0, ""), add(fmt.Sprint("a", to), 0, ""), add(tally, 1, ""),
				}})
				if err == nil {
					k.acked[teller]++
				}
			}
		}
	}
}

// audit reads all accounts as they are at one moment.
func (k *bank) audit(n *bedNode) func() {
	r := &TransactGetRequest{}
	for i := range k.accounts {
		r.Items = append(r.Items, TransactGetItem{Table: "bank", Key: js(fmt.Sprintf(`{"p":{"S":"a%d"}}`, i))})
	}
	s := n.Service
	return func() {
		got, err := s.TransactGet(r)
		if err != nil {
			return
		}
		k.reads++
		sum := 0
		for _, it := range got.Items {
			sum += accountValue(show(it))
		}
		if sum != k.accounts*bankStart {
			k.t.Errorf("seed %d: the accounts have %d, want %d", k.w.Seed(), sum, k.accounts*bankStart)
		}
	}
}

// finish ends the transfers and waits until nothing is left of any transaction, and all is
// as it should be.
func (k *bank) finish() {
	k.t.Helper()
	k.stop = true
	k.until("no transaction is unfinished", func() bool {
		for _, n := range k.nodes {
			if n.Service == nil {
				return false
			}
			for _, p := range n.directory.hosted() {
				if len(p.OngoingIn(0, ^uint64(0))) > 0 {
					return false
				}
				for _, d := range p.Decided() {
					if d.Outcome != txn.Cancelled { // that stays for a while
						return false
					}
				}
			}
		}
		return true
	})
	n := k.ready()
	k.stop = false
	n.do("audit", func() error { k.audit(n)(); return nil })
	k.stop = true
	for teller, acked := range k.acked {
		got := accountValue(n.get("bank", fmt.Sprintf(`{"p":{"S":"t%d"}}`, teller), true))
		if got < acked || got > acked+1 { // the last one may have no answer
			k.t.Errorf("seed %d: teller %d has counted %d transfers, want %d", k.w.Seed(), teller, got, acked)
		}
	}
	k.checkIndex("bank", "g")
	k.checkReplicas()
}

// TestBank: money is neither made nor lost, and every transfer is counted once, while nodes
// crash and are cut off.
func TestBank(t *testing.T) {
	for seed := range uint64(*chaosSeeds) {
		b := newBed(t, seed, "a", "b", "c")
		k := newBank(b, 6, 4, 4)
		for range 6 {
			b.run(time.Duration(500+b.rng.IntN(1000)) * time.Millisecond)
			b.fault()
		}
		b.run(2 * time.Second)
		k.finish()
		total := 0
		for _, n := range k.acked {
			total += n
		}
		if total < 50 || k.reads < 10 {
			t.Errorf("seed %d: only %d transfers and %d sums; %d refused", seed, total, k.reads, k.refused)
		}
		t.Logf("seed %d: %d transfers, %d repeated, %d refused, %d sums", seed, total, k.repeated, k.refused, k.reads)
		b.w.Close()
	}
}

func conditionOn(text string, v int) *expr.Condition { return condition(text, num(v)) }

// TestDeadCoordinator: a coordinator dies after each of its steps. Who reads sees at once what
// is decided; soon the items are free, and as they are all or none; also when all nodes
// lose power in between.
func TestDeadCoordinator(t *testing.T) {
	for _, outage := range []bool{false, true} {
		b := newBed(t, 5, "a", "b", "c")
		b.create(simple("tab", 8))
		for steps := range 4 {
			key := func(i int) string { return fmt.Sprintf(`{"p":{"S":"%d-%d"}}`, steps, i) }
			row := func(i, v int) string { return fmt.Sprintf(`{"p":{"S":"%d-%d"},"v":{"N":"%d"}}`, steps, i, v) }
			r := &TransactWriteRequest{}
			for i := range 5 {
				b.nodes[0].put("tab", row(i, 0))
				r.Actions = append(r.Actions, transactPut("tab", row(i, 1)))
			}
			n := b.nodes[steps%3]
			want := 0
			n.do("begin", func() error {
				x, _, err := abandon(n.Service, steps, r)
				if err != nil {
					return err
				}
				if len(x.parts) < 3 {
					t.Fatalf("%d participants", len(x.parts))
				}
				if x.machine.Outcome() == txn.Committed {
					want = 1
				}
				return nil
			})
			if outage {
				b.outage()
			}
			for i := range 5 {
				if got := b.nodes[i%3].get("tab", key(i), true); got != row(i, want) {
					t.Errorf("after %d steps, outage %v: %s is read, want %s", steps, outage, got, row(i, want))
				}
			}
			b.untilItemsAreFree()
			for i := range 5 {
				if got := b.nodes[i%3].get("tab", key(i), true); got != row(i, want) {
					t.Errorf("after %d steps, outage %v: %s in the end, want %s", steps, outage, got, row(i, want))
				}
			}
		}
		b.w.Close()
	}
}

// TestLatePrepare: a coordinator has had all participants but one prepared, and is held up. Nobody sees
// anything of its transaction; then others cancel it, and the last participant does not accept any more. It does not
// matter which one is the last, nor that the one with the anchor may be it.
func TestLatePrepare(t *testing.T) {
	b := newBed(t, 6, "a", "b", "c")
	b.create(simple("tab", 8))
	for late := range 3 {
		row := func(i, v int) string { return fmt.Sprintf(`{"p":{"S":"%d-%d"},"v":{"N":"%d"}}`, late, i, v) }
		read := func(when string) {
			t.Helper()
			for i := range 3 {
				if got := b.nodes[i].get("tab", fmt.Sprintf(`{"p":{"S":"%d-%d"}}`, late, i), true); got != row(i, 0) {
					t.Errorf("%s, participant %d late: %s is read", when, late, got)
				}
			}
		}
		r := &TransactWriteRequest{}
		for i := range 3 {
			b.nodes[0].put("tab", row(i, 0))
			r.Actions = append(r.Actions, transactPut("tab", row(i, 1)))
		}
		n := b.nodes[late%3]
		var x *transaction
		var last txn.Message
		n.do("begin", func() error {
			bound, err := n.bindActions(r.Actions)
			if err != nil {
				return err
			}
			if x = n.newTransaction(r, bound); len(x.parts) != 3 {
				t.Fatalf("%d participants", len(x.parts))
			}
			messages := x.machine.Start()
			last = messages[late]
			if next := x.exchange(append(messages[:late:late], messages[late+1:]...)); len(next) > 0 {
				t.Errorf("before all have answered: %v", next)
			}
			return nil
		})
		read("at once")
		if x.machine.Outcome() != txn.Undecided {
			t.Errorf("outcome %v before all have answered", x.machine.Outcome())
		}
		b.untilItemsAreFree()
		n.do("go on", func() error {
			for messages := []txn.Message{last}; len(messages) > 0; {
				messages = x.exchange(messages)
			}
			return nil
		})
		if x.machine.Outcome() != txn.Cancelled {
			t.Errorf("participant %d late: outcome %v", late, x.machine.Outcome())
		}
		read("in the end")
		for i := range 3 {
			b.nodes[i].put("tab", row(i, 2))
		}
	}
	b.w.Close()
}

// TestVotesOfParts: places that were in one partition may be in two by now, for whoever asks. Both must have accepted, in
// whichever order they are asked.
func TestVotesOfParts(t *testing.T) {
	b := newBed(t, 8, "a", "b", "c")
	b.create(simple("tab", 8))
	r := &TransactWriteRequest{}
	for i := range 3 {
		r.Actions = append(r.Actions, transactPut("tab", fmt.Sprintf(`{"p":{"S":"0-%d"},"v":{"N":"1"}}`, i)))
	}
	n := b.nodes[0]
	n.do("begin", func() error {
		bound, err := n.bindActions(r.Actions)
		if err != nil {
			return err
		}
		x := n.newTransaction(r, bound)
		if len(x.parts) != 3 {
			t.Fatalf("%d participants", len(x.parts))
		}
		x.exchange(x.machine.Start()[:2]) // all but the last accept
		accepted, other := x.parts[1].hashes[0], x.parts[2].hashes[0]
		table := x.parts[1].table.id
		for _, tt := range []struct {
			hashes []uint64
			want   txn.Outcome
		}{
			{[]uint64{accepted}, txn.Prepared}, {[]uint64{other}, txn.Undecided},
			{[]uint64{accepted, other}, txn.Undecided}, {[]uint64{other, accepted}, txn.Undecided},
		} {
			if v, err := n.look(x.id, table, tt.hashes); err != nil || v.Outcome != tt.want {
				t.Errorf("look at %x: %v, %v, want %v", tt.hashes, v.Outcome, err, tt.want)
			}
		}
		for _, hashes := range [][]uint64{{other, accepted}, {accepted, other}} {
			if v, err := n.settleAt(x.id, table, hashes); err != nil || v.Outcome != txn.Cancelled {
				t.Errorf("settle at %x: %v, %v, want %v", hashes, v.Outcome, err, txn.Cancelled)
			}
		}
		return nil
	})
	b.w.Close()
}

// TestDecidedAfterSplit: the anchor's partition is split between the items of a transaction that it has accepted. Who
// coordinates it does not know, and has both parts do what is decided, before it has the record forgotten.
func TestDecidedAfterSplit(t *testing.T) {
	b := newBed(t, 9, "a", "b", "c")
	b.create(simple("tab", 2))
	n := b.nodes[0]
	row := func(i, v int) string { return fmt.Sprintf(`{"p":{"S":"k%d"},"v":{"N":"%d"}}`, i, v) }
	var x *transaction
	var messages []txn.Message
	var items []int // two of the first partition, and one of the second
	var group, at uint64
	n.do("begin", func() error {
		var actions []TransactAction
		for i := range 20 {
			actions = append(actions, transactPut("tab", row(i, 1)))
		}
		bound, err := n.bindActions(actions)
		if err != nil {
			return err
		}
		var upper []int
		hash := func(i int) uint64 { return partition.RowHash(bound[i].row) }
		for i := range bound {
			if hash(i) >= 1<<63 {
				upper = append(upper, i)
			} else if len(items) < 2 {
				items = append(items, i)
			}
		}
		items = append(items, upper[0])
		at = max(hash(items[0]), hash(items[1]))
		r := &TransactWriteRequest{}
		for _, i := range items {
			r.Actions = append(r.Actions, actions[i])
		}
		if bound, err = n.bindActions(r.Actions); err != nil {
			return err
		}
		if x = n.newTransaction(r, bound); len(x.parts) != 2 || len(x.parts[0].hashes) != 2 {
			t.Fatalf("participants %+v", x.parts)
		}
		group = x.parts[0].to.id
		messages = x.exchange(x.machine.Start())
		return nil
	})
	if x.machine.Outcome() != txn.Committed || len(messages) != 1 || messages[0].Op != txn.OpDecide {
		t.Fatalf("outcome %v, next %v", x.machine.Outcome(), messages)
	}
	b.inCharge("split", func(s *Service) error { _, err := s.SplitGroup(group, at); return err })
	n.do("go on", func() error {
		for len(messages) > 0 {
			messages = x.exchange(messages)
		}
		return nil
	})
	b.until("nobody knows of the transaction", func() bool {
		for _, n := range b.nodes {
			for _, p := range n.directory.hosted() {
				if len(p.Decided()) > 0 {
					return false
				}
			}
		}
		return true
	})
	for _, i := range items {
		if got := b.nodes[1].get("tab", fmt.Sprintf(`{"p":{"S":"k%d"}}`, i), true); got != row(i, 1) {
			t.Errorf("item %d is read as %s", i, got)
		}
	}
	b.w.Close()
}

// TestReadOfCommitted: between the answer to a client and its record, readers, writers and whoever repeats the request
// find the transaction committed.
func TestReadOfCommitted(t *testing.T) {
	b := newBed(t, 7, "a", "b", "c")
	b.create(simple("tab", 8))
	for round := range 4 {
		row := func(i, v int) string { return fmt.Sprintf(`{"p":{"S":"%d-%d"},"v":{"N":"%d"}}`, round, i, v) }
		key := func(i int) string { return fmt.Sprintf(`{"p":{"S":"%d-%d"}}`, round, i) }
		r := &TransactWriteRequest{Token: fmt.Sprint("token ", round)}
		for i := range 3 {
			r.Actions = append(r.Actions, transactPut("tab", row(i, 1)))
		}
		n, other := b.nodes[0], b.nodes[1]
		n.do("begin", func() error {
			x, next, err := abandon(n.Service, 1, r)
			if err == nil && (x.machine.Outcome() != txn.Committed || len(next) != 1 || next[0].Op != txn.OpDecide) {
				t.Errorf("outcome %v, next %v", x.machine.Outcome(), next)
			}
			return err
		})
		switch round {
		case 0:
			for i := range 3 {
				if got := b.nodes[i].get("tab", key(i), true); got != row(i, 1) {
					t.Errorf("item %d is read as %s", i, got)
				}
			}
		case 1:
			other.do("write", func() error {
				_, err := other.Put(&PutRequest{Table: "tab", Item: js(row(1, 5)), Condition: condition("v = :v", num(1))})
				return err
			})
		case 2:
			other.do("scan", func() error {
				result, err := other.Scan(&ScanRequest{Table: "tab", Consistent: true, Limit: 100})
				if err == nil && len(result.Items) != 9 {
					t.Errorf("%d items are read", len(result.Items))
				}
				return err
			})
		case 3:
			other.do("repeat", func() error {
				result, err := other.TransactWrite(r)
				if err == nil && (!result.Repeated || result.Actions[2].Capacity.Read != 2) {
					t.Errorf("a repetition is answered with %+v", result)
				}
				return err
			})
		}
		want := []string{row(0, 1), row(1, 1), row(2, 1)}
		if round == 1 {
			want[1] = row(1, 5)
		}
		other.do("read", func() error {
			get := &TransactGetRequest{}
			for i := range 3 {
				get.Items = append(get.Items, TransactGetItem{Table: "tab", Key: js(key(i))})
			}
			result, err := other.TransactGet(get)
			if err != nil {
				return err
			}
			for i, it := range result.Items {
				if show(it) != want[i] {
					t.Errorf("round %d: item %d is read as %s, want %s", round, i, show(it), want[i])
				}
			}
			return nil
		})
	}
	b.w.Close()
}

// TestRepeatedInBetween: a request is repeated while its first attempt is committed, but the partition with the
// anchor does not know of the token yet, and by the time that the others judge the repetition, they have
// what the first attempt has written. It is not refused for that.
func TestRepeatedInBetween(t *testing.T) {
	b := newBed(t, 8, "a", "b", "c")
	b.create(simple("tab", 8))
	r := &TransactWriteRequest{Token: "token"}
	for i := range 3 {
		a := transactPut("tab", fmt.Sprintf(`{"p":{"S":"%d"}}`, i))
		a.Condition = condition("attribute_not_exists(p)", "{}")
		r.Actions = append(r.Actions, a)
	}
	n := b.nodes[0]
	n.do("both attempts", func() error {
		bound, err := n.bindActions(r.Actions)
		if err != nil {
			return err
		}
		first, second := n.newTransaction(r, bound), n.newTransaction(r, bound)
		left := first.exchange(first.machine.Start())
		messages := second.machine.Start()
		if next := second.exchange(messages[:1]); len(next) > 0 {
			t.Errorf("before all have answered: %v", next)
		}
		for len(left) > 0 {
			left = first.exchange(left)
		}
		for messages = messages[1:]; len(messages) > 0; {
			messages = second.exchange(messages)
		}
		if cleared := second.clearWay(); cleared == nil || cleared.Wait() != nil {
			t.Error("nothing was in the way")
		}
		err = second.cancelled()
		if text := err.Error(); !strings.Contains(text, "ConditionalCheckFailed") || !strings.Contains(text, "TransactionConflict") {
			t.Errorf("the repetition found %v", err)
		}
		if again, err := second.tryAgain(0, n.newDetour(), err); !again || err != nil {
			t.Errorf("tried again: %v, %v", again, err)
		}
		var running *InProgressError
		if again, err := second.tryAgain(maxContends, n.newDetour(), err); again || !errors.As(err, &running) {
			t.Errorf("after the last attempt: tried again %v, %v", again, err)
		}
		result, err := n.TransactWrite(r)
		if err == nil && !result.Repeated {
			t.Error("it was carried out again")
		}
		return err
	})
	b.w.Close()
}
