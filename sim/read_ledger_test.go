package sim

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

// What a run has written down of registers and accounts is read and explained again; and what is changed in it, is
// found out.
func TestReadLedger(t *testing.T) {
	p := ledgerPlan(3, 1, 500*time.Millisecond)
	p.Nemesis, p.Transactors = nil, nil
	for i := range 3 {
		t := TransactorPlan{Node: 1, Patience: Duration(time.Second), Retries: 2}
		for k := range 12 {
			at, value := Duration(time.Duration(10*k)*time.Millisecond), string(rune('a'+i))+string(rune('a'+k))
			keys := []string{"g0.0", "g0.2"}
			t.Ops = append(t.Ops,
				Transaction{At: at, Do: "set", Keys: keys, Value: value, How: []string{"put", []string{"delete", "put present", "check present", "put absent"}[k%4]}},
				Transaction{At: at, Do: "see", Keys: keys},
				Transaction{At: at, Do: "transfer", Keys: []string{"a0", "a1"}, Count: 40},
				Transaction{At: at, Do: "audit", Keys: ledgerKeys("a")})
		}
		p.Transactors = append(p.Transactors, t)
	}
	result := RunPlan(p, Options{})
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	for name, tt := range map[string]struct {
		history  LedgerHistory
		old, new string // as JSON; a change that must be found out
	}{
		"registers": {result.Registers(), `["r","g0.1",null],["r","g0.2","`, `["r","g0.1","x"],["r","g0.2","`},
		"bank":      {result.Bank(), `"a3":100`, `"a3":101`},
	} {
		var asJSON, asEDN bytes.Buffer
		if err := errors.Join(tt.history.WriteJSON(&asJSON), tt.history.WriteEDN(&asEDN)); err != nil {
			t.Fatal(err)
		}
		for form, text := range map[string]string{"JSON": asJSON.String(), "EDN": asEDN.String()} {
			h, err := ReadHistory(strings.NewReader(text))
			if err != nil {
				t.Fatalf("%s as %s: %v", name, form, err)
			}
			if err := h.Check(); err != nil || h.Len() < 30 {
				t.Errorf("%s as %s: %d operations, %v", name, form, h.Len(), err)
			}
		}
		at := strings.LastIndex(asJSON.String(), tt.old)
		if at < 0 {
			t.Fatalf("%s: there is no %s in\n%s", name, tt.old, &asJSON)
		}
		h, err := ReadHistory(strings.NewReader(asJSON.String()[:at] + tt.new + asJSON.String()[at+len(tt.old):]))
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Check(); err == nil {
			t.Errorf("%s with %s in the place of %s passes", name, tt.new, tt.old)
		}
	}
}

// Histories of others are read as far as they can be judged; of each one that is refused or wrong the reason is told.
func TestReadHistories(t *testing.T) {
	const call, ok = `{"type":"invoke","process":0,`, `{"type":"ok","process":0,`
	for name, tt := range map[string]struct{ history, want string }{
		"nothing": {"", ""},
		"a write and a read": {call + `"f":"txn","value":[["w",5,1]]}
` + ok + `"f":"txn","value":[["w",5,1]]}
` + call + `"f":"txn","value":[["r",5,null]]}
` + ok + `"f":"txn","value":[["r",5,1]]}`, ""},
		"a stale read": {call + `"f":"txn","value":[["w",5,1]]}
` + ok + `"f":"txn","value":[["w",5,1]]}
` + call + `"f":"txn","value":[["r",5,null]]}
` + ok + `"f":"txn","value":[["r",5,null]]}`, "no order explains"},
		"a condition that was false": {call + `"f":"txn","value":[["w",5,1]],"if":{"5":"absent"}}
{"type":"fail","process":0,"f":"txn","value":[["w",5,1]],"if":{"5":"absent"},"false":["5"]}`, "no order explains"},
		"two groups":              {call + `"f":"txn","value":[["w","a.1",1],["w","b.1",1]]}`, "registers of a and b"},
		"four registers":          {call + `"f":"txn","value":[["w","a.1",1],["w","a.2",1],["w","a.3",1],["w","a.4",1]]}`, "more than 3"},
		"its own write read":      {call + `"f":"txn","value":[["w","a",1],["r","a",null]]}`, "twice"},
		"another answer":          {call + `"f":"txn","value":[["w","a",1]]}` + "\n" + ok + `"f":"txn","value":[["w","a",2]]}`, "another transaction"},
		"an answer to nothing":    {ok + `"f":"txn","value":[["w","a",1]]}`, "an answer to nothing"},
		"two calls":               {call + `"f":"txn","value":[["w","a",1]]}` + "\n" + call + `"f":"txn","value":[["w","a",1]]}`, "two calls"},
		"false without a failure": {call + `"f":"txn","value":[["w","a",1]]}` + "\n" + ok + `"f":"txn","value":[["w","a",1]],"false":["a"]}`, "is no part of what has failed"},
		"no condition":            {call + `"f":"txn","value":[["w","a",1]],"if":{"a":"maybe"}}`, "no condition"},
		"a bank": {"{:type :invoke, :process 0, :f :transfer, :value {:from 0, :to 1, :amount 5}}\n{:type :invoke, :process 1, :f :read, :value nil}\n" +
			"{:type :ok, :process 1, :f :read, :value {0 5, 1 5}}\n{:type :info, :process :nemesis, :f :start}", ""},
		"a bank that pays out": {"{:type :invoke, :process 1, :f :read, :value nil}\n{:type :ok, :process 1, :f :read, :value {0 5, 1 5}}\n" +
			"{:type :invoke, :process 1, :f :read, :value nil}\n{:type :ok, :process 1, :f :read, :value {0 5, 1 6}}", "hold 10 together in event 1, and 11 in event 3"},
		"a bank with debts":    {"{:type :invoke, :process 1, :f :read, :value nil}\n{:type :ok, :process 1, :f :read, :value {0 -5, 1 5}}", "holds -5"},
		"an account that goes": {"{:type :invoke, :process 1, :f :read, :value nil}\n{:type :ok, :process 1, :f :read, :value {0 5, 1 5}}\n{:type :invoke, :process 1, :f :read, :value nil}\n{:type :ok, :process 1, :f :read, :value {0 10}}", "shows the accounts"},
		"a read of nothing":    {"{:type :invoke, :process 0, :f :transfer, :value nil}\n{:type :invoke, :process 1, :f :read}\n{:type :ok, :process 1, :f :read}", "shows no balances"},
		"lists":                {call + `"f":"txn","value":[["r",1,null]]}` + "\n" + ok + `"f":"txn","value":[["r",1,[7]]]}`, "7"},
		"items":                {`{"index":0,"type":"invoke","process":1,"time":0,"f":"get","key":"a"}` + "\n" + `{"index":1,"type":"ok","process":1,"time":1,"f":"get","key":"a","saw":{"value":"x","count":0}}`, "x"},
		"no events":            {"nonsense", "not a history"},
		"items as EDN":         {`{:index 0, :type :invoke, :process 0, :f :put, :key "p1/s0", :value "c1.1", :count 2}`, "JSON lines"},
	} {
		h, err := ReadHistory(strings.NewReader(tt.history))
		if err == nil {
			err = h.Check()
		} else if !errors.Is(err, ErrEvents) {
			t.Errorf("%s: %v is no ErrEvents", name, err)
		}
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func FuzzReadLedger(f *testing.F) {
	f.Add(`{:type :invoke, :process 0, :f :txn, :value [[:w "g0.1" "x"] [:r "g0.2" nil]], :if {"g0.0" [:holds "y"]}}` + "\n" +
		`{:type :fail, :process 0, :f :txn, :value [[:w "g0.1" "x"] [:r "g0.2" nil]], :if {"g0.0" [:holds "y"]}, :false ["g0.0"]}`)
	f.Add(`{"type":"invoke","process":1,"f":"read","value":null}` + "\n" + `{"type":"ok","process":1,"f":"read","value":{"a0":93,"a1":107}}`)
	f.Fuzz(func(t *testing.T, text string) {
		if h, err := ReadRegisters(strings.NewReader(text)); err == nil && h.Len() < 8 {
			_ = h.Check()
		} else if err != nil && !errors.Is(err, ErrEvents) {
			t.Errorf("registers: %v", err)
		}
		if h, err := ReadBank(strings.NewReader(text)); err == nil {
			_ = h.Check()
		} else if !errors.Is(err, ErrEvents) {
			t.Errorf("bank: %v", err)
		}
		_, _ = ReadHistory(strings.NewReader(text))
	})
}
