package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/table"
)

// ledgerPlan draws a plan of transactors alone, in one region.
func ledgerPlan(seed uint64, nodes int, length time.Duration) *Plan {
	for ; ; seed += 1000 {
		p := NewPlan(seed, Options{Nodes: nodes, Regions: 1, Duration: length})
		if p.transactions() > 0 {
			p.Clients, p.Churn, p.Expiry, p.Grammar, p.Rot = nil, nil, nil, nil, 0
			return p
		}
	}
}

// Transactions under faults, on one node and on three.
func TestLedger(t *testing.T) {
	again := 0
	for seed := range uint64(4) {
		p := ledgerPlan(seed, 1+2*int(seed%2), 2*time.Second)
		r := RunPlan(p, Options{})
		if r.Err != nil {
			t.Errorf("seed %d: %v\n%s", p.Seed, r.Err, p.Encode())
		}
		again += r.Faults["transaction sent again"]
	}
	if again == 0 {
		t.Error("no transaction was sent again")
	}
}

// Single writes meet transactions that are under way on their item.
func TestLedgerMeets(t *testing.T) {
	p := ledgerPlan(1, 3, time.Second)
	p.Nemesis, p.Knobs.Partitions, p.Transactors = nil, 4, nil
	p.Knobs.Patience, p.Knobs.Stale = 0, 0
	for i := range p.Nodes {
		p.Nodes[i].Drift = 0
	}
	for i := range 2 * accounts {
		c := TransactorPlan{Node: 1 + i%3, Patience: Duration(time.Second)}
		for at := Duration(0); at < p.For; at += Duration(20 * time.Millisecond) {
			x := Transaction{At: at, Do: "transfer", Keys: []string{accountKey(i % accounts), accountKey((i + 1) % accounts)}}
			if i >= accounts {
				x = Transaction{At: at + Duration(len(c.Ops)%16)*Duration(time.Millisecond/2), Do: "touch", Keys: []string{accountKey(i - accounts)}}
			}
			c.Ops = append(c.Ops, x)
		}
		p.Transactors = append(p.Transactors, c)
	}
	r := RunPlan(p, Options{})
	if r.Err != nil || r.Faults["transaction met another"] == 0 {
		t.Errorf("%d requests met a transaction: %v", r.Faults["transaction met another"], r.Err)
	}
}

// A plan with transactors says the same after it was written and read, and what makes no
// sense in it is refused.
func TestLedgerPlan(t *testing.T) {
	p := ledgerPlan(1, 3, time.Second)
	q, err := DecodePlan(p.Encode())
	if err != nil || !slices.Equal(p.Encode(), q.Encode()) {
		t.Fatalf("%v: %s", err, p.Encode())
	}
	for _, bad := range []Transaction{
		{Do: "dance"}, {Do: "transfer", Keys: []string{"a0"}}, {Do: "transfer", Keys: []string{"a0", "a0"}}, {Do: "audit", Keys: ledgerKeys("l")},
		{Do: "append", Keys: []string{"l0"}}, {Do: "append", Keys: []string{"l0"}, Value: "v", How: []string{"known"}},
		{Do: "set", Keys: []string{"g0.0", "g1.0"}, Value: "v", How: []string{"put", "put"}}, {Do: "set", Keys: []string{"g0.0"}, Value: "v", How: []string{"check"}},
		{Do: "set", Keys: []string{"g0.0"}, Value: "v"}, {Do: "see", Keys: []string{"g0.9"}}, {Do: "once", Keys: []string{"ov.a", "ow.a"}, Value: "v"}, {Do: "once", Keys: []string{"ov.a", "ov.b"}}, {Do: "watch", Keys: []string{"d0x", "d0y"}, Again: "often"},
	} {
		q := ledgerPlan(1, 3, time.Second)
		q.Transactors[0].Ops = append(q.Transactors[0].Ops, bad)
		if err := q.check(); err == nil || !strings.Contains(err.Error(), "transactor 0") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// What is put once by one transaction is all there or not at all.
func TestOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		outcome Outcome
		there   int
		want    string
	}{
		"done": {Done, 2, ""}, "done, in part": {Done, 1, "a part of it"}, "done, and lost": {Done, 0, "nothing is there"}, "not known, in part": {Unknown, 1, "a part of it"},
		"not known, and there": {Unknown, 2, ""}, "not known, and not there": {Unknown, 0, ""}, "failed, and there": {Failed, 2, "nothing has happened"}, "failed": {Failed, 0, ""},
	} {
		p := ledgerPlan(1, 1, time.Second)
		p.Nemesis, p.Transactors = nil, []TransactorPlan{{Node: 1, Patience: Duration(time.Second)}}
		r := newRun(p, Options{})
		err := r.world.Do(r.clients, "story", func() {
			r.story()
			x := &tx{run: r, op: &Transaction{Do: "once", Keys: onceKeys("v", 2), Value: "v"}, list: &ListOp{}, group: &GroupOp{}, outcome: tt.outcome}
			r.ledger.requests = append(r.ledger.requests, x)
			for i := range tt.there {
				r.must("put", func(s *server) error {
					_, err := s.tables.Put(&table.PutRequest{Table: r.book(x.op.Keys[i]), Item: x.action(i, x.op.Keys[i]).put.item()})
					return err
				})
			}
			r.checkOnce()
		})
		if r.world.Close(); err != nil && tt.want == "" || (r.err == nil) != (tt.want == "") || r.err != nil && !strings.Contains(r.err.Error(), tt.want) {
			t.Errorf("%s: %v, %v, want %q", name, err, r.err, tt.want)
		}
	}
}

// Each kind of thing that goes wrong with a request is told from the others.
func TestAttempts(t *testing.T) {
	for name, tt := range map[string]struct {
		ends []Outcome
		open int
		want Outcome
	}{
		"answered":                       {[]Outcome{Done}, 0, Done},
		"refused":                        {[]Outcome{Refused}, 0, Refused},
		"nothing happened":               {[]Outcome{Failed}, 0, Failed},
		"then it did":                    {[]Outcome{Failed, Done}, 0, Done},
		"refused, with an attempt open":  {[]Outcome{Refused}, 1, Unknown},
		"failed, with an attempt open":   {[]Outcome{Failed}, 1, Unknown},
		"refused, after one in doubt":    {[]Outcome{Unknown, Refused}, 0, Unknown},
		"answered, after one in doubt":   {[]Outcome{Unknown, Failed, Done}, 0, Done},
		"answered, with an attempt open": {[]Outcome{Done}, 1, Done},
	} {
		r := newRun(ledgerPlan(1, 1, time.Second), Options{})
		x := &tx{run: r, op: &Transaction{Do: "touch", Keys: []string{"a0"}}, list: &ListOp{}, group: &GroupOp{}, open: tt.open}
		for _, o := range tt.ends {
			x.end(o)
		}
		x.giveUp(true)
		if x.outcome != tt.want {
			t.Errorf("%s: outcome %d, want %d", name, x.outcome, tt.want)
		}
		r.world.Close()
	}
}
