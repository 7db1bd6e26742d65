package sim

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/statordb/stator/item"
)

// Registers and accounts are written as Jepsen's workloads have them, what was refused with its false conditions.
func TestExportRegistersAndBank(t *testing.T) {
	held := func(n int64) item.Item {
		return item.NewItem(map[string]item.Value{"n": item.Int(n)})
	}
	saw := func(s string) *string { return &s }
	request := func(client int, call, ret int64, outcome Outcome, op *Transaction, parts ...GroupPart) *tx {
		return &tx{client: client, call: call, ret: ret, outcome: outcome, op: op, list: &ListOp{}, group: &GroupOp{Parts: parts}}
	}
	set, see := func(keys ...string) *Transaction { return &Transaction{Do: "set", Keys: keys} }, &Transaction{Do: "see", Keys: []string{"g0.1", "g0.2"}}
	stale := request(9, 20, 21, Done, see, GroupPart{Saw: saw("old")}, GroupPart{Saw: saw("")})
	stale.weak = true
	l := ledger{requests: []*tx{
		request(1, 1, 4, Done, set("g0.1", "g0.2"), GroupPart{Kind: Put, Value: `v"`, If: IfAbsent}, GroupPart{Kind: Delete}),
		request(2, 2, 3, Done, see, GroupPart{Saw: saw("")}, GroupPart{Saw: saw("w")}),
		request(1, 5, 6, Refused, set("g0.1", "g0.2"), GroupPart{Kind: Put, Value: "x"}, GroupPart{Kind: Get, If: IfValue, Expected: "y", Refused: true}),
		request(2, 7, 9, Done, &Transaction{Do: "audit", Keys: []string{"a0", "a1"}}),
		request(1, 8, 0, Unknown, &Transaction{Do: "transfer", Keys: []string{"a0", "a1"}, Count: 7}),
		stale,
	}}
	l.requests[3].saw = []item.Item{held(93), held(107)}
	r := Result{ledger: &l}
	for _, c := range []struct {
		name    string
		history LedgerHistory
		json    string
		edn     string // of some line
	}{
		{"registers", r.Registers(), `{"index":0,"type":"invoke","process":0,"time":0,"f":"txn","value":[["w","g0.1","v\""],["w","g0.2",null]],"if":{"g0.1":"absent"}}
{"index":1,"type":"invoke","process":1,"time":0,"f":"txn","value":[["r","g0.1",null],["r","g0.2",null]]}
{"index":2,"type":"ok","process":1,"time":0,"f":"txn","value":[["r","g0.1",null],["r","g0.2","w"]]}
{"index":3,"type":"ok","process":0,"time":0,"f":"txn","value":[["w","g0.1","v\""],["w","g0.2",null]],"if":{"g0.1":"absent"}}
{"index":4,"type":"invoke","process":0,"time":0,"f":"txn","value":[["w","g0.1","x"]],"if":{"g0.2":["holds","y"]}}
{"index":5,"type":"fail","process":0,"time":0,"f":"txn","value":[["w","g0.1","x"]],"if":{"g0.2":["holds","y"]},"false":["g0.2"]}
`, `{:index 5, :type :fail, :process 0, :time 0, :f :txn, :value [[:w "g0.1" "x"]], :if {"g0.2" [:holds "y"]}, :false ["g0.2"]}`},
		{"bank", r.Bank(), `{"index":0,"type":"invoke","process":0,"time":0,"f":"read","value":null}
{"index":1,"type":"invoke","process":1,"time":0,"f":"transfer","value":{"amount":7,"from":"a0","to":"a1"}}
{"index":2,"type":"ok","process":0,"time":0,"f":"read","value":{"a0":93,"a1":107}}
`, `{:index 1, :type :invoke, :process 1, :time 0, :f :transfer, :value {:amount 7, :from "a0", :to "a1"}}`},
	} {
		var asJSON, asEDN bytes.Buffer
		if err := errors.Join(c.history.WriteJSON(&asJSON), c.history.WriteEDN(&asEDN)); err != nil {
			t.Fatal(err)
		}
		if got := asJSON.String(); got != c.json {
			t.Errorf("%s as JSON lines:\n%swant\n%s", c.name, got, c.json)
		}
		if !strings.Contains(asEDN.String(), c.edn+"\n") {
			t.Errorf("%s as EDN:\n%swant a line\n%s", c.name, &asEDN, c.edn)
		}
	}
}
