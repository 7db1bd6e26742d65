package sim

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// Each way into a node says the same of the same requests: what is done, refused and repeated.
func TestLedgerWays(t *testing.T) {
	told := map[string]string{}
	for _, via := range []string{"", "json", "partiql"} {
		p := ledgerPlan(1, 3, 8*time.Second)
		p.Nemesis, p.Knobs.Partitions, p.Knobs.Books, p.Knobs.HeldIndex = nil, 4, 2, true
		c := TransactorPlan{Node: 1, Patience: Duration(time.Second)}
		for i, x := range []Transaction{
			{Do: "transfer", Keys: []string{"a0", "a1"}, Count: 7, Again: "same"},
			{Do: "transfer", Keys: []string{"a1", "a0"}, Count: 1 << 30},
			{Do: "transfer", Keys: []string{"a2", "a3"}, Count: 8, Again: "other"},
			{Do: "audit", Keys: ledgerKeys("a")}, {Do: "touch", Keys: []string{"a0"}},
			{Do: "leave", Keys: []string{"d0x", "d0y"}, Again: "other"}, {Do: "leave", Keys: []string{"d0y", "d0x"}}, {Do: "watch", Keys: []string{"d0x", "d0y"}}, {Do: "join", Keys: []string{"d0x"}},
			{Do: "append", Keys: []string{"l0"}, Value: "e1"}, {Do: "append", Keys: []string{"l0", "l1"}, Value: "e2", Again: "same"}, {Do: "lists", Keys: []string{"l0", "l1"}},
			{Do: "append", Keys: []string{"l1", "l0"}, Value: "e3", How: []string{"known"}}, {Do: "append", Keys: []string{"l0", "l1"}, Value: "e4", Again: "other"}, {Do: "lists", Keys: []string{"l1"}},
			{Do: "set", Keys: []string{"g0.0", "g0.1"}, Value: "v1", How: []string{"put absent", "put absent"}, Again: "same"},
			{Do: "set", Keys: []string{"g0.1", "g0.2"}, Value: "v2", How: []string{"put absent", "put absent"}},
			{Do: "set", Keys: []string{"g0.0", "g0.1"}, Value: "v3", How: []string{"put known", "check present"}, Again: "other"},
			{Do: "set", Keys: []string{"g0.1", "g0.0"}, Value: "v4", How: []string{"put present", "check known"}},
			{Do: "set", Keys: []string{"g0.0", "g0.2"}, Value: "v5", How: []string{"delete", "delete"}},
			{Do: "set", Keys: []string{"g0.1"}, Value: "v6", How: []string{"put known"}}, {Do: "see", Keys: ledgerKeys("g0")},
			{Do: "once", Keys: onceKeys("v7", 3), Value: "v7", Again: "same"},
			{Do: scatter, Keys: []string{"g0.0", "g0.1", "g1.1"}, How: []string{"put", "delete", "put"}, Value: "v8"},
			{Do: gather, Keys: []string{"l0", "g0.0", "l3", "g0.1"}}, {Do: sweep, Count: 2},
		} {
			x.At, x.Via = Duration(i)*Duration(100*time.Millisecond), via
			c.Ops = append(c.Ops, x)
		}
		p.Transactors = []TransactorPlan{c}
		r := newRun(p, Options{})
		var outcomes string
		err := r.world.Do(r.clients, "story", func() {
			r.story()
			parts := 3 + 4 + groups*groupSize + lists - 3 // of the last three requests
			for _, x := range r.ledger.requests[:len(c.Ops)+parts] {
				outcomes += fmt.Sprintln(x.op.Do, x.op.Keys, x.outcome, x.list.Saw)
				for i := range x.group.Parts {
					outcomes += fmt.Sprintln("    ", &x.group.Parts[i])
				}
			}
		})
		if result := r.result(err); result.Err != nil || r.err != nil || result.Faults["transaction sent again"] != 8 {
			t.Errorf("%q: %d were sent again: %v, %v", via, result.Faults["transaction sent again"], result.Err, r.err)
		}
		r.world.Close()
		told[via] = outcomes
	}
	if told["json"] != told[""] || told["partiql"] != told[""] {
		t.Errorf("the table's operations:\n%s\nJSON:\n%s\nstatements:\n%s", told[""], told["json"], told["partiql"])
	}
}

func TestStatements(t *testing.T) {
	for _, tt := range []struct {
		x    Transaction
		want string
	}{
		{Transaction{Do: "transfer", Keys: []string{"a0", "a1"}, Count: 7},
			`UPDATE ledger SET n = n - ? WHERE k = ? AND n >= ? [{"N":"7"},{"S":"a0"},{"N":"7"}]; UPDATE ledger SET n = n + ? WHERE k = ? [{"N":"7"},{"S":"a1"}]; `},
		{Transaction{Do: "leave", Keys: []string{"d0x", "d0y"}},
			`UPDATE ledger SET duty = ? WHERE k = ? [{"N":"0"},{"S":"d0x"}]; EXISTS(SELECT * FROM ledger WHERE k = ? AND duty = ?) [{"S":"d0y"},{"N":"1"}]; `},
		{Transaction{Do: "set", Keys: []string{"g0.0", "g0.1"}, Value: "v", How: []string{"delete", "check present"}},
			`DELETE FROM ledger WHERE k = ? [{"S":"g0.0"}]; EXISTS(SELECT * FROM ledger WHERE k = ?) [{"S":"g0.1"}]; `},
		{Transaction{Do: "set", Keys: []string{"g0.0", "g0.1"}, Value: "v", How: []string{"put", "check present"}}, ""},
		{Transaction{Do: "set", Keys: []string{"g0.0", "g0.1"}, Value: "v", How: []string{"delete present", "delete"}}, ""},
		{Transaction{Do: "append", Keys: []string{"l0", "l1"}, Value: "v"}, ""},
	} {
		p := ledgerPlan(1, 1, time.Second)
		p.Knobs.Books = 1
		r := newRun(p, Options{})
		tr := &transactor{client: r.newClient(&ClientPlan{Node: 1}, "t"), length: map[string]int{}, held: map[string]string{}}
		x := tr.begin(&tt.x)
		got := ""
		for i, a := range x.actions() {
			text, parameters, ok := a.statement(tt.x.Keys[i])
			if b, err := json.Marshal(parameters); err != nil {
				t.Fatal(err)
			} else if ok {
				got += text + " " + string(b) + "; "
			}
		}
		if sayable := x.sayable(); sayable != (tt.want != "") || sayable && got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.x.Do, got, tt.want)
		}
		r.world.Close()
	}
}
