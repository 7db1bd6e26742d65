package sim

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestExportLists(t *testing.T) {
	h := ListHistory{
		finding(both(1, 1, 4, "x", "a", "y", "b"), "y", 0),
		reads(2, 2, 3, "x=", "y=c"),
		{Client: 1, Call: 5, Return: 6, Outcome: Done, Key: `z"`, Element: "d", Saw: map[string][]string{`z"`: {"d"}}, After: true},
		{Client: 1, Call: 7, Return: 8, Outcome: Refused, Key: "x", Element: "e"},
		{Client: 1, Call: 9, Return: 10, Outcome: Unknown, Reads: []string{"x"}},
		{Client: 1, Call: 11, Key: "x", Element: "f"},
	}
	var asJSON, asEDN bytes.Buffer
	if err := errors.Join(h.WriteJSON(&asJSON), h.WriteEDN(&asEDN)); err != nil {
		t.Fatal(err)
	}
	if got, want := asJSON.String(), `{"index":0,"type":"invoke","process":0,"time":0,"f":"txn","value":[["append","x",1],["append","y",2]],"found":{"y":0}}
{"index":1,"type":"invoke","process":1,"time":0,"f":"txn","value":[["r","x",null],["r","y",null]]}
{"index":2,"type":"ok","process":1,"time":0,"f":"txn","value":[["r","x",[]],["r","y",[6]]]}
{"index":3,"type":"ok","process":0,"time":0,"f":"txn","value":[["append","x",1],["append","y",2]],"found":{"y":0}}
{"index":4,"type":"invoke","process":0,"time":0,"f":"txn","value":[["append","z\"",3],["r","z\"",null]]}
{"index":5,"type":"ok","process":0,"time":0,"f":"txn","value":[["append","z\"",3],["r","z\"",[3]]]}
{"index":6,"type":"invoke","process":0,"time":0,"f":"txn","value":[["append","x",4]]}
{"index":7,"type":"fail","process":0,"time":0,"f":"txn","value":[["append","x",4]]}
{"index":8,"type":"invoke","process":0,"time":0,"f":"txn","value":[["r","x",null]]}
{"index":9,"type":"info","process":0,"time":0,"f":"txn","value":[["r","x",null]]}
{"index":10,"type":"invoke","process":2,"time":0,"f":"txn","value":[["append","x",5]]}
`; got != want {
		t.Errorf("JSON lines:\n%swant\n%s", got, want)
	}
	edn := strings.Split(asEDN.String(), "\n")
	for i, want := range map[int]string{
		2: `{:index 2, :type :ok, :process 1, :time 0, :f :txn, :value [[:r "x" []] [:r "y" [6]]]}`,
		3: `{:index 3, :type :ok, :process 0, :time 0, :f :txn, :value [[:append "x" 1] [:append "y" 2]], :found {"y" 0}}`,
		4: `{:index 4, :type :invoke, :process 0, :time 0, :f :txn, :value [[:append "z\"" 3] [:r "z\"" nil]]}`,
	} {
		if edn[i] != want {
			t.Errorf("line %d of the EDN:\n%s\nwant\n%s", i, edn[i], want)
		}
	}
}

// What Jepsen's tests leave is read, too: transactions that append and read by turns, keywords,
// tags, the nemesis.
func TestReadLists(t *testing.T) {
	for name, tt := range map[string]struct{ history, want string }{
		"appends and reads": {`
; a comment
#jepsen.history.Op{:index 0, :time 10, :type :invoke, :process 0, :f :txn, :value [[:append 5 1] [:r 5 nil] [:append 5 2] [:r :k nil]]}
{:index 1, :time 20, :type :info, :process :nemesis, :f :kill, :value {"n1" :killed}}
#jepsen.history.Op{:index 2, :time 30, :type :ok, :process 0, :f :txn, :value [[:append 5 1] [:r 5 [1]] [:append 5 2] [:r :k nil]]}
{:type :invoke, :process 1, :f :txn, :value [[:r 5 nil] [:r 5 nil]]}
{:type :ok, :process 1, :f :txn, :value [[:r 5 [1 2]] [:r 5 [1 2]]]}`, ""},
		"does not see its own": {`
{:type :invoke, :process 0, :f :txn, :value [[:append 5 1] [:r 5 nil]]}
{:type :ok, :process 0, :f :txn, :value [[:append 5 1] [:r 5 []]]}`, "internal"},
		"sees its own before": {`
{:type :invoke, :process 0, :f :txn, :value [[:r 5 nil] [:append 5 1]]}
{:type :ok, :process 0, :f :txn, :value [[:r 5 [1]] [:append 5 1]]}`, "internal"},
		"sees two lists": {`
{:type :invoke, :process 1, :f :txn, :value [[:append 5 1]]}
{:type :ok, :process 1, :f :txn, :value [[:append 5 1]]}
{:type :invoke, :process 0, :f :txn, :value [[:r 5 nil] [:r 5 nil]]}
{:type :ok, :process 0, :f :txn, :value [[:r 5 []] [:r 5 [1]]]}`, "internal"},
		"lost update": {`
{"type":"invoke","process":0,"f":"txn","value":[["r","x",null],["append","x",1]]}
{"type":"invoke","process":1,"f":"txn","value":[["r","x",null],["append","x",2]]}
{"type":"ok","process":0,"f":"txn","value":[["r","x",[]],["append","x",1]]}
{"type":"ok","process":1,"f":"txn","value":[["r","x",[]],["append","x",2]]}
{"type":"invoke","process":0,"f":"txn","value":[["r","x",null]]}
{"type":"ok","process":0,"f":"txn","value":[["r","x",[1,2]]]}`, "G-single"},
		"write skew": {`
{"type":"invoke","process":0,"f":"txn","value":[["r","x",null],["append","y",1]]}
{"type":"invoke","process":1,"f":"txn","value":[["r","y",null],["append","x",1]]}
{"type":"ok","process":0,"f":"txn","value":[["r","x",[]],["append","y",1]]}
{"type":"ok","process":1,"f":"txn","value":[["r","y",[]],["append","x",1]]}`, "G2"},
	} {
		h, err := ReadLists(strings.NewReader(tt.history))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var told *ListAnomaly
		err = h.Check()
		if errors.As(err, &told); tt.want == "" && err != nil || tt.want != "" && (told == nil || string(told.Anomaly) != tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestReadListsRefuses(t *testing.T) {
	const call = `{:type :invoke, :process 0, :f :txn, :value [[:append 5 1]]}` + "\n"
	for _, bad := range []string{
		`{:type :ok, :process 0, :f :txn, :value []}`, call + call, `{:f :txn, :process 1, :type :invoke}`,
		`{:f :txn, :process 1, :type :invoke, :value [[:w 5 1]]}`, `{:f :txn, :process 1, :type :invoke, :value [[:append 5]]}`,
		call + `{:type :ok, :process 0, :f :txn, :value [[:append 5 2]]}`, call + `{:type :maybe, :process 0, :f :txn, :value [[:append 5 1]]}`,
		call + `{:type :invoke, :process 1, :f :txn, :value [[:append 5 1]]}`,
		`{:f}`, `{:f :txn`, `[1]`, `{} {}`, `{:f "txn}`, `{:f "\u"}`, `]`, `{"f":"txn"`, strings.Repeat("[", 1000), strings.Repeat("#_", 1000),
	} {
		if h, err := ReadLists(strings.NewReader(bad)); !errors.Is(err, ErrEvents) {
			t.Errorf("%.60s is read as %d operations, %v", bad, len(h), err)
		}
	}
}

// A run's transactions can be written, read and judged again.
func TestExportLedger(t *testing.T) {
	var r Result
	for seed := uint64(1); seed < 20 && r.Err == nil && len(r.Lists) == 0; seed++ {
		r = RunPlan(ledgerPlan(seed, 1, 2e9), Options{Brief: true})
	}
	if r.Err != nil || len(r.Lists) == 0 {
		t.Fatalf("%d operations on lists: %v", len(r.Lists), r.Err)
	}
	for _, edn := range []bool{false, true} {
		h := writtenAndRead(t, r.Lists, edn)
		if err := h.Check(); err != nil || len(h) != len(r.Lists) {
			t.Errorf("%d of %d operations: %v", len(h), len(r.Lists), err)
		}
	}
}

func FuzzReadLists(f *testing.F) {
	f.Add(`{:type :invoke, :process 0, :time 7, :f :txn, :value [[:append 5 1] [:r "k" nil]], :found {"k" 0}}` + "\n" +
		`{:type :ok, :process 0, :f :txn, :value [[:append 5 1] [:r "k" []]]}`)
	f.Add(`{"type":"invoke","process":1,"f":"txn","value":[["r","x",null]]}` + "\n" + `{"type":"info","process":1,"f":"txn","value":null}`)
	f.Add(`{"type":"invoke","process":0,"f":"txn","value":[]}`)
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ReadLists(strings.NewReader(text))
		if err != nil {
			if !errors.Is(err, ErrEvents) {
				t.Fatalf("error %v", err)
			}
			return
		}
		verdict := h.Check()
		var b strings.Builder
		if err := h.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		again, err := ReadLists(strings.NewReader(b.String()))
		if err != nil || len(again) != len(h) {
			t.Fatalf("%d of %d operations: %v\n%s", len(again), len(h), err, &b)
		}
		if err := again.Check(); verdict == nil && err != nil {
			t.Fatalf("written and read: %v\n%s", err, &b)
		}
	})
}
