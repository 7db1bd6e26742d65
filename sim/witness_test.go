package sim

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
)

// What a witness proves, the search finds explained, too: also in histories and
// orders of writes in which something was falsified.
func TestWitnessProvesNothingWrong(t *testing.T) {
	proved, wrong := 0, 0
	for seed := range uint64(600) {
		rng := rand.New(rand.NewPCG(seed, 2))
		h := perfect(rng, 4, 60)
		for range 2 {
			falsify(rng, h)
		}
		var operations []*Operation
		for _, o := range h.Operations {
			if o.Kind != Get || o.Outcome == Done {
				operations = append(operations, o)
			}
		}
		isProved := h.proves("a", operations)
		err := checkItem("a", operations, stepBudget)
		if isProved {
			proved++
		}
		if err != nil {
			wrong++
		}
		if isProved && err != nil {
			t.Fatalf("seed %d: proved, but %v", seed, err)
		}
	}
	if proved < 100 || wrong < 100 {
		t.Errorf("%d histories proved, %d wrong: too few to say anything", proved, wrong)
	}
}

// falsify changes an answer, a time, or the order of writes.
func falsify(rng *rand.Rand, h *History) {
	o := h.Operations[rng.IntN(len(h.Operations))]
	commits := h.commits["a"]
	switch rng.IntN(6) {
	case 0:
		o.Outcome = Outcome(rng.IntN(4))
		if o.Outcome != Unknown && o.Return == 0 {
			o.Return = o.Call + 1
		}
		if o.Saw == nil {
			o.Saw = &State{}
		}
	case 1:
		if other := h.Operations[rng.IntN(len(h.Operations))]; other.Saw != nil && o.Saw != nil {
			o.Saw = other.Saw
		}
	case 2:
		if o.Return > 0 {
			o.Return = o.Call + 1 + rng.Int64N(o.Return-o.Call)
		}
	case 3:
		i := rng.IntN(len(commits) - 1)
		commits[i], commits[i+1] = commits[i+1], commits[i]
	case 4:
		i := rng.IntN(len(commits))
		h.commits["a"] = append(commits[:i:i], commits[i+1:]...)
	}
}

func TestStory(t *testing.T) {
	now := env.Mono(0)
	h := &History{Clock: func() env.Mono { now += env.Mono(1_000_000); return now }}
	do := func(o *Operation, outcome Outcome, saw *State) {
		h.Begin(o)
		h.End(o, outcome, saw)
	}
	do(&Operation{Client: 4, Key: "p1/s0", Kind: Put, Value: "c4.1"}, Done, nothing)
	do(&Operation{Client: 4, Key: "p1/s0", Kind: Put, Value: "c4.9"}, Done, saw("c4.1", 0))
	do(&Operation{Client: 7, Key: "p1/s0", Kind: Get, Served: "n2 as leader of term 3"}, Done, saw("c4.1", 0))
	var v *Violation
	if err := h.Check(); !errors.As(err, &v) {
		t.Fatalf("Check = %v", err)
	}
	want := "get of p1/s0 by client 7 answered (served by n2 as leader of term 3) with c4.1+0, but c4.9+0 was acknowledged 1ms before it began"
	if got := v.Story(); got != want || !strings.Contains(v.Error(), want) {
		t.Errorf("Story = %q\nwant    %q", got, want)
	}
	v.Answer.Saw = saw("c9.9", 0)
	if got, want := v.Story(), "with c9.9+0, which nobody has written"; !strings.HasSuffix(got, want) {
		t.Errorf("Story = %q, want ... %q", got, want)
	}
}

// A command carries the value that it was made with, and none that begins like it.
func TestCommandCarriesValue(t *testing.T) {
	o := &Operation{Value: "c3.50"}
	update, err := expr.ParseUpdate("SET v = if_not_exists(v, :v)", expr.NewParams(nil, item.NewItem(map[string]item.Value{":v": item.String(o.Value)})))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []partition.Command{
		{Kind: partition.Put, Item: row("p0/s0", o)},
		{Kind: partition.Update, Item: item.NewItem(keyItem("p0/s0")), Update: update},
	} {
		b := c.Encode()
		if !carries(b, "c3.50") || carries(b, "c3.5") || carries(b, "c3.500") {
			t.Errorf("%s: it carries c3.50: %v, c3.5: %v, c3.500: %v", c.Kind, carries(b, "c3.50"), carries(b, "c3.5"), carries(b, "c3.500"))
		}
	}
	// The filler of this one has 686 bytes: its size ends with the byte that is the size of the other.
	again := filler("c6.15r2")
	b := append([]byte{1, 7}, "c6.15r2"...)
	b = append(binary.AppendUvarint(append(b, 3), uint64(len(again))), again...)
	if len(again)>>7 != len("c6.15") || !carries(b, "c6.15r2") || carries(b, "c6.15") {
		t.Errorf("with a filler of %d bytes it carries c6.15r2: %v, c6.15: %v", len(again), carries(b, "c6.15r2"), carries(b, "c6.15"))
	}
}

// The key of an item that is put once is the value of the first attempt. That of the second one
// is not taken for the first.
func TestPutIsOfItsAttempt(t *testing.T) {
	h := &History{replicated: true}
	const key = "cold2/c6.22"
	first, second := &Operation{Client: 1, Key: key, Kind: Put, Value: "c6.22"}, &Operation{Client: 2, Key: key, Kind: Put, Value: "c6.22r1"}
	h.Begin(first)
	h.Begin(second)
	for number, o := range []*Operation{second, first} {
		c := &partition.Command{Kind: partition.Put, Request: partition.RequestID{Node: 1, Number: uint64(number + 1)}, Item: row(key, o)}
		h.Applied(2, c.Encode(), &partition.Result{})
		if n := len(h.commits[key]); n != number+1 || h.commits[key][number].op != o {
			t.Errorf("the put of %s is not taken for that", o.Value)
		}
	}
}

// A command that a partition refuses, other than by its condition, has not happened, although its entry was applied.
func TestRefusedIsNoCommit(t *testing.T) {
	const key = "p1/s0"
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 1},
		{partition.ErrConditionFailed, 1},
		{partition.ErrDamaged, 1},
		{partition.ErrFateUnknown, 0},
		{partition.ErrWrongPartition, 0},
		{&partition.ConflictError{}, 0},
	} {
		h := &History{replicated: true}
		o := &Operation{Client: 1, Key: key, Kind: Put, Value: "c6.22"}
		h.Begin(o)
		b := (&partition.Command{Kind: partition.Put, Request: partition.RequestID{Node: 1, Number: 1}, Item: row(key, o)}).Encode()
		if h.Applied(2, b, &partition.Result{Err: c.err}); len(h.commits[key]) != c.want || o.applied != (c.want > 0) {
			t.Errorf("%v: %d commits, applied %t, want %d", c.err, len(h.commits[key]), o.applied, c.want)
		}
	}
}

// A client that was told that nothing has happened may ask again: it must not have happened,
// nor happen later, whether or not anybody sees it. What is refused has not.
func TestToldOfNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		want    Checker
		outcome Outcome
		value   string // that is put
		result  partition.Result
		before  bool // it is applied before the answer
	}{
		"it was carried out":     {Linearizability, Failed, "c1.1", partition.Result{}, true},
		"it is carried out yet":  {Linearizability, Failed, "c1.1", partition.Result{}, false},
		"it is refused":          {"", Failed, "c1.1", partition.Result{Err: partition.ErrConditionFailed}, true},
		"nobody was told":        {"", Unknown, "c1.1", partition.Result{}, true},
		"it is done":             {"", Done, "c1.1", partition.Result{}, true},
		"another value, one key": {"", Failed, "c1.1r1", partition.Result{}, false},
	} {
		var reported error
		h := History{report: func(err error) { reported = err }, replicated: true}
		o := &Operation{Client: 1, Key: "cold1/c1.1", Kind: Put, Value: "c1.1"}
		h.Begin(o)
		apply := func() {
			it := row(o.Key, &Operation{Value: tt.value})
			command := partition.Command{Kind: partition.Put, Item: it, Request: partition.RequestID{Node: 1, Number: 1}}
			h.Applied(2, command.Encode(), &tt.result)
		}
		if tt.before {
			apply()
		}
		h.End(o, tt.outcome, nil)
		if !tt.before {
			apply()
		}
		if got := CheckerOf(reported); got != tt.want {
			t.Errorf("%s: %v, want %q", name, reported, tt.want)
		}
	}
}
