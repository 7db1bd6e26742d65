package sim

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestExport(t *testing.T) {
	h := &History{}
	put := &Operation{Client: 1, Key: "p1/s0", Kind: Put, Value: `c1."1"`, Count: 2, If: IfAbsent}
	get := &Operation{Client: 1, Key: "p1/s0", Kind: Get} // of the same request
	h.Begin(put)
	h.Begin(get)
	h.End(get, Done, nothing)
	h.End(put, Refused, saw("c0", 1))
	h.Begin(&Operation{Client: 1, Key: "p1/s0", Kind: Delete, If: IfValue, Expected: "c0"})
	h.Settle()
	h.Begin(&Operation{Client: 1, Key: "p1/s0", Kind: Add, Value: "c1.2", Count: 1})
	var asJSON, asEDN bytes.Buffer
	if err := errors.Join(h.WriteJSON(&asJSON), h.WriteEDN(&asEDN)); err != nil {
		t.Fatal(err)
	}
	if got, want := asJSON.String(), `{"index":0,"type":"invoke","process":0,"time":0,"f":"put","key":"p1/s0","if":"absent","value":"c1.\"1\"","count":2}
{"index":1,"type":"invoke","process":1,"time":0,"f":"get","key":"p1/s0"}
{"index":2,"type":"ok","process":1,"time":0,"f":"get","key":"p1/s0","saw":null}
{"index":3,"type":"ok","process":0,"time":0,"f":"put","key":"p1/s0","refused":true,"saw":{"value":"c0","count":1}}
{"index":4,"type":"invoke","process":0,"time":0,"f":"delete","key":"p1/s0","if":"value","expected":"c0"}
{"index":5,"type":"info","process":0,"time":0,"f":"delete","key":"p1/s0"}
{"index":6,"type":"invoke","process":1,"time":0,"f":"add","key":"p1/s0","value":"c1.2","count":1}
`; got != want {
		t.Errorf("JSON lines:\n%swant\n%s", got, want)
	}
	if got, want := asEDN.String(), `{:index 0, :type :invoke, :process 0, :time 0, :f :put, :key "p1/s0", :if :absent, :value "c1.\"1\"", :count 2}
{:index 1, :type :invoke, :process 1, :time 0, :f :get, :key "p1/s0"}
{:index 2, :type :ok, :process 1, :time 0, :f :get, :key "p1/s0", :saw nil}
{:index 3, :type :ok, :process 0, :time 0, :f :put, :key "p1/s0", :refused true, :saw {:value "c0", :count 1}}
{:index 4, :type :invoke, :process 0, :time 0, :f :delete, :key "p1/s0", :if :value, :expected "c0"}
{:index 5, :type :info, :process 0, :time 0, :f :delete, :key "p1/s0"}
{:index 6, :type :invoke, :process 1, :time 0, :f :add, :key "p1/s0", :value "c1.2", :count 1}
`; got != want {
		t.Errorf("EDN:\n%swant\n%s", got, want)
	}
}

// What is read back has the same verdict, right or wrong.
func TestReadJSON(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 3))
		h := perfect(rng, 4, 80)
		if seed%2 == 0 {
			falsify(rng, h)
			falsify(rng, h)
		}
		h.commits = nil
		var b bytes.Buffer
		if err := h.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		again, err := ReadJSON(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, &b)
		}
		if got, want := again.Check(), h.Check(); (got == nil) != (want == nil) {
			t.Errorf("seed %d: read again: %v\nfirst: %v", seed, got, want)
		}
	}
}

// An eventually consistent get that shows what was is no violation, for those who read the history either.
func TestExportWeak(t *testing.T) {
	for _, weak := range []bool{true, false} {
		h := &History{}
		for _, o := range []*Operation{{Key: "k", Kind: Put, Value: "a"}, {Key: "k", Kind: Put, Value: "b"}} {
			h.Begin(o)
			h.End(o, Done, nil)
		}
		get := &Operation{Key: "k", Kind: Get, Stale: weak}
		h.Begin(get)
		h.End(get, Done, &State{true, "a", 0})
		var b, edn bytes.Buffer
		if err := errors.Join(h.WriteJSON(&b), h.WriteEDN(&edn)); err != nil || strings.Contains(edn.String(), ":weak true") != weak {
			t.Errorf("%v, %s", err, &edn)
		}
		again, err := ReadJSON(&b)
		if err != nil {
			t.Fatal(err)
		}
		if have, want := again.Check(), h.Check(); (have == nil) != weak || (want == nil) != weak {
			t.Errorf("weak %v: %v, and read again %v", weak, want, have)
		}
	}
}

// TestReadJSONOfOthers: a history that others have written may have blanks where WriteJSON has none.
func TestReadJSONOfOthers(t *testing.T) {
	for _, null := range []string{`"saw":null`, `"saw": null`, "\"saw\" :\tnull"} {
		h, err := ReadJSON(strings.NewReader(`{"index": 0, "type": "invoke", "process": 0, "time": 1, "f": "get", "key": "k"}
{"index": 1, "type": "ok", "process": 0, "time": 2, "f": "get", "key": "k", ` + null + "}\n"))
		if err != nil || h.Len() != 1 {
			t.Errorf("with %s: %v", null, err)
		}
	}
	if _, err := ReadJSON(strings.NewReader(`{"type":"invoke","process":0,"f":"get","key":"\"saw\":null"}
{"type":"ok","process":0,"f":"get","key":"\"saw\":null"}`)); err == nil {
		t.Error("a get that shows nothing is taken, for what its key says")
	}
}

func FuzzReadJSON(f *testing.F) {
	var b bytes.Buffer
	_ = perfect(rand.New(rand.NewPCG(1, 3)), 3, 20).WriteJSON(&b)
	f.Add(b.String())
	f.Add(`{"type":"ok","saw":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ReadJSON(strings.NewReader(text))
		if err != nil {
			if !errors.Is(err, ErrEvents) {
				t.Fatalf("error %v", err)
			}
			return
		}
		var first, second strings.Builder
		if err := h.WriteJSON(&first); err != nil {
			t.Fatal(err)
		}
		if again, err := ReadJSON(strings.NewReader(first.String())); err != nil {
			t.Fatalf("what was written does not read: %v\n%s", err, &first)
		} else if err := again.WriteJSON(&second); err != nil || first.String() != second.String() {
			t.Fatalf("%v\n%s\nread and written again:\n%s", err, &first, &second)
		}
	})
}
