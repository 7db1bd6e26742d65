package sim

import (
	"fmt"
	"time"

	"github.com/statordb/stator/table"
)

// verifyLedger reads everything at rest, and writes to every item once more: no
// transaction may stand in the way for good.
func (r *run) verifyLedger() {
	if len(r.plan.Transactors) == 0 || r.err != nil {
		return
	}
	r.history.now++
	r.ledger.settle(r.history.now)
	t := &transactor{
		client: r.newClient(&ClientPlan{Node: 1, Roams: true, Patience: Duration(probeLimit)}, "auditor"),
		plan:   &TransactorPlan{Patience: Duration(probeLimit), Roams: true}, length: map[string]int{}, held: map[string]string{},
	}
	var last []Transaction
	last = append(last, Transaction{Do: "audit", Keys: ledgerKeys("a")}, Transaction{Do: "lists", Keys: ledgerKeys("l")})
	for i := range pairs {
		last = append(last, Transaction{Do: "watch", Keys: ledgerKeys(fmt.Sprint("d", i))})
	}
	for i := range groups {
		keys := ledgerKeys(fmt.Sprint("g", i))
		how := make([]string, len(keys))
		for k := range how {
			how[k] = "put"
		}
		value := fmt.Sprint("last", r.newID())
		last = append(last, Transaction{Do: "see", Keys: keys}, Transaction{Do: "set", Keys: keys, Value: value, How: how}, Transaction{Do: "see", Keys: keys})
	}
	last = append(last, Transaction{Do: "transfer", Keys: []string{accountKey(0), accountKey(1)}}, Transaction{Do: "transfer", Keys: []string{accountKey(2), accountKey(3)}})
	for i := range last {
		start, done := r.clients.Now(), false
		for !done && r.err == nil && r.clients.Now().Sub(start) < 2*r.limit() {
			t.node = r.nodes[int(t.node.id)%len(r.nodes)]
			x := t.begin(&last[i])
			r.ledger.call(x)
			t.attempt(x)
			x.giveUp(true)
			if done = x.outcome == Done; !done {
				r.clients.Sleep(20 * time.Millisecond)
			}
		}
		if !done && r.err == nil {
			r.fail(found(Progress, fmt.Errorf("sim: after all faults were over: %s does not succeed", last[i].Do)))
		}
	}
	r.checkTouches()
	r.checkOnce()
	r.checkLeft()
	if r.plan.Knobs.HeldIndex && !r.rotten() && r.err == nil {
		r.demand(Mirror, r.someNode(), "check the index of the ledger", func(s *server) error {
			return s.awaitIndex(true, func() error { return s.checkIndex(ledgerName, heldIndex, true) })
		})
	}
}

// checkOnce looks for transactions of which a part was done. Nobody has come across their items,
// so that whatever their coordinators have left was found by those whose task it is.
func (r *run) checkOnce() {
	for _, x := range r.ledger.requests {
		if x.op.Do != "once" || r.err != nil {
			continue
		}
		got := &table.TransactGetRequest{}
		for _, key := range x.op.Keys {
			got.Items = append(got.Items, table.TransactGetItem{Table: r.book(key), Key: ledgerKey(key)})
		}
		there := 0
		r.must("read what was put once", func(s *server) error {
			result, err := s.tables.TransactGet(got)
			if there = 0; err == nil {
				for i, it := range result.Items {
					if it != nil && textIn(it, "v") != x.op.Value {
						return damaged("%s is shown as %s", x.op.Keys[i], it.AppendJSON(nil))
					}
					if it != nil {
						there++
					}
				}
			}
			return err
		})
		what := ""
		switch n := len(x.op.Keys); {
		case there > 0 && there < n:
			what = "a part of it is there"
		case x.outcome == Done && there == 0:
			what = "it has succeeded, and nothing is there"
		case x.outcome == Failed && there > 0:
			what = "its client was told that nothing has happened, and it is there"
		}
		if what != "" && r.err == nil {
			r.fail(found(Serializability, fmt.Errorf("sim: %s: %s (%d of %d items)", x, what, there, len(x.op.Keys))))
		}
	}
}

// checkTouches compares the touches of accounts with those that were acknowledged: a
// transaction must not write over what came between.
func (r *run) checkTouches() {
	for i := range accounts {
		done, most := int64(0), int64(0)
		for _, x := range r.ledger.requests {
			if x.op.Do != "touch" || x.op.Keys[0] != accountKey(i) || x.outcome == Failed {
				continue
			}
			most++
			if x.outcome == Done {
				done++
			}
		}
		var got int64
		r.must("read touches", func(s *server) error {
			g, err := s.tables.Get(&table.GetRequest{Table: r.book(accountKey(i)), Key: ledgerKey(accountKey(i)), Consistent: true})
			if err == nil {
				got = numberIn(g.Item, "t")
			}
			return err
		})
		if r.err == nil && (got < done || got > most) {
			r.fail(found(Loss, fmt.Errorf("sim: account %d was touched %d times, %d to %d were asked for", i, got, done, most)))
		}
	}
}
