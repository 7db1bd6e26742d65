package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
)

// sequential builds a history in which every operation ends before the next
// begins. Unknown ones stay open.
func sequential(operations ...Operation) *History {
	h := &History{}
	for i := range operations {
		o := &operations[i]
		outcome, saw := o.Outcome, o.Saw
		h.Begin(o)
		if outcome != Unknown {
			h.End(o, outcome, saw)
		}
	}
	return h
}

func saw(value string, count int64) *State { return &State{true, value, count} }

var nothing = &State{}

func TestCheckAccepts(t *testing.T) {
	for name, h := range map[string]*History{
		"read your write": sequential(
			Operation{Key: "a", Kind: Put, Value: "v1", Outcome: Done, Saw: nothing},
			Operation{Key: "a", Kind: Get, Outcome: Done, Saw: saw("v1", 0)},
			Operation{Key: "b", Kind: Get, Outcome: Done, Saw: nothing}),
		"unknown write happened later": sequential(
			Operation{Key: "a", Kind: Put, Value: "v1"},
			Operation{Key: "a", Kind: Get, Outcome: Done, Saw: nothing},
			Operation{Key: "a", Kind: Get, Outcome: Done, Saw: saw("v1", 0)}),
		"unknown write never happened": sequential(
			Operation{Key: "a", Kind: Put, Value: "v1"},
			Operation{Key: "a", Kind: Get, Outcome: Done, Saw: nothing}),
		"conditions": sequential(
			Operation{Key: "a", Kind: Put, Value: "v1", If: IfAbsent, Outcome: Done},
			Operation{Key: "a", Kind: Put, Value: "v2", If: IfAbsent, Outcome: Refused, Saw: saw("v1", 0)},
			Operation{Key: "a", Kind: Delete, If: IfValue, Expected: "v1", Outcome: Done, Saw: saw("v1", 0)},
			Operation{Key: "a", Kind: Add, Value: "v3", Count: 2, If: IfPresent, Outcome: Refused}),
		"counter": sequential(
			Operation{Key: "a", Kind: Add, Value: "v1", Count: 2, Outcome: Done, Saw: saw("v1", 2)},
			Operation{Key: "a", Kind: Add, Value: "v2", Count: 3, Outcome: Done, Saw: saw("v1", 5)}),
	} {
		if err := h.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	for name, h := range map[string]*History{
		"stale read": sequential(
			Operation{Key: "a", Kind: Put, Value: "v1", Outcome: Done},
			Operation{Key: "a", Kind: Put, Value: "v2", Outcome: Done},
			Operation{Key: "a", Kind: Get, Outcome: Done, Saw: saw("v1", 0)}),
		"lost write": sequential(
			Operation{Key: "a", Kind: Put, Value: "v1", Outcome: Done},
			Operation{Key: "a", Kind: Get, Outcome: Done, Saw: nothing}),
		"value out of nowhere": sequential(
			Operation{Key: "a", Kind: Get, Outcome: Done, Saw: saw("v9", 0)}),
		"unknown write taken back": sequential(
			Operation{Key: "a", Kind: Put, Value: "v1"},
			Operation{Key: "a", Kind: Get, Outcome: Done, Saw: saw("v1", 0)},
			Operation{Key: "a", Kind: Get, Outcome: Done, Saw: nothing}),
		"add applied twice": sequential(
			Operation{Key: "a", Kind: Add, Value: "v1", Count: 1},
			Operation{Key: "a", Kind: Get, Outcome: Done, Saw: saw("v1", 2)}),
		"condition ignored": sequential(
			Operation{Key: "a", Kind: Put, Value: "v1", Outcome: Done},
			Operation{Key: "a", Kind: Put, Value: "v2", If: IfAbsent, Outcome: Done}),
		"refused without reason": sequential(
			Operation{Key: "a", Kind: Put, Value: "v1", If: IfAbsent, Outcome: Refused}),
		"refused write happened": sequential(
			Operation{Key: "a", Kind: Put, Value: "v1", Outcome: Done},
			Operation{Key: "a", Kind: Put, Value: "v2", If: IfAbsent, Outcome: Refused},
			Operation{Key: "a", Kind: Get, Outcome: Done, Saw: saw("v2", 0)}),
		"delete answers with another item": sequential(
			Operation{Key: "a", Kind: Put, Value: "v1", Outcome: Done},
			Operation{Key: "a", Kind: Delete, Outcome: Done, Saw: nothing}),
	} {
		err := h.Check()
		var v *Violation
		if !errors.As(err, &v) || v.Key != "a" {
			t.Errorf("%s: Check = %v, want a violation of a", name, err)
			continue
		}
		if !strings.Contains(err.Error(), h.Operations[len(h.Operations)-1].String()) {
			t.Errorf("%s: the report lacks the last operation:\n%v", name, err)
		}
		if err := v.Visualize(filepath.Join(t.TempDir(), "page.html")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// perfect makes a history of clients against a real register, with operations
// that overlap, and some answers lost.
func perfect(rng *rand.Rand, clients, n int) *History {
	h := &History{commits: map[string][]commit{}}
	var state State
	open := make([]*Operation, clients)
	for i := range n {
		c := rng.IntN(clients)
		if o := open[c]; o != nil { // takes effect now, just before it returns
			ok, after := true, state
			if ok = o.holds(state); ok {
				after = o.apply(state)
			}
			seen := state
			if o.Kind == Add {
				seen = after
			}
			outcome := Done
			if !ok {
				outcome, seen = Refused, state
			}
			state, open[c] = after, nil
			if o.Kind != Get {
				h.now++
				at := commit{when: h.now, op: o}
				if o.Kind == Delete {
					at.op = nil
				}
				h.commits["a"] = append(h.commits["a"], at)
			}
			if rng.IntN(20) > 0 {
				h.End(o, outcome, &seen)
			}
			continue
		}
		o := &Operation{Client: c, Key: "a", Kind: Kind(rng.IntN(4)), Value: fmt.Sprint("v", i), Count: int64(rng.IntN(5))}
		if o.Kind != Get {
			o.If, o.Expected = Condition(rng.IntN(4)), state.Value
		}
		h.Begin(o)
		open[c] = o
	}
	return h
}

// Random histories of a correct register pass; with one answer falsified they
// do not.
func TestCheckRandomHistories(t *testing.T) {
	caught, falsified, proved := 0, 0, 0
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		h := perfect(rng, 5, 200)
		if err := h.Check(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		proved += h.proved
		h.commits = nil
		if err := h.Check(); err != nil || h.proved != 0 {
			t.Fatalf("seed %d: without knowing the order of writes: %v", seed, err)
		}
		var gets []*Operation
		for _, o := range h.Operations {
			if o.Kind == Get && o.Outcome == Done && o.Call > 20 {
				gets = append(gets, o)
			}
		}
		if len(gets) == 0 {
			continue
		}
		falsified++
		gets[rng.IntN(len(gets))].Saw = &State{true, "v0", 99}
		if h.Check() != nil {
			caught++
		}
	}
	if proved < 190 {
		t.Errorf("the order of writes proved %d of 200 histories", proved)
	}
	if falsified < 150 || caught != falsified {
		t.Errorf("caught %d of %d falsified histories", caught, falsified)
	}
}

func BenchmarkCheck(b *testing.B) {
	h := perfect(rand.New(rand.NewPCG(1, 1)), 8, 1000)
	for b.Loop() {
		if err := h.Check(); err != nil {
			b.Fatal(err)
		}
	}
}
