package sim

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
)

// The page of a run stands alone: it loads nothing, and shows nodes, messages and when
// requests took effect.
func TestHTML(t *testing.T) {
	p := NewPlan(2, Options{Nodes: 3, Calm: true, Duration: 500 * time.Millisecond})
	p.Clients = []ClientPlan{{Node: 1, Patience: Duration(time.Second), Ops: []Op{{At: 1, Do: "put", Key: hotKey(0), Value: "v"}}}}
	r := RunPlan(p, Options{Picture: true})
	var page bytes.Buffer
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	for _, want := range []string{`"n1 · zone a"`, `"leads group 1"`, `"took":`, "viewport"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	for _, outside := range []string{"src=\"http", "href=\"http", "@import", "fetch("} {
		if strings.Contains(text, outside) {
			t.Errorf("the page needs something else: %s", outside)
		}
	}
	if len(r.Letters) == 0 || strings.Count(text, "ZgotmplZ") > 0 {
		t.Errorf("%d messages", len(r.Letters))
	}
}

// What transactors ask for is shown like what clients do: from when to when, and what it came to.
func TestHTMLShowsTransactions(t *testing.T) {
	p := NewPlan(2, Options{Nodes: 3, Calm: true, Duration: 500 * time.Millisecond})
	p.Transactors = []TransactorPlan{{Node: 1, Patience: Duration(time.Second), Ops: []Transaction{
		{At: 1, Do: "transfer", Keys: []string{accountKey(0), accountKey(1)}, Count: 7},
		{At: 2, Do: "audit", Keys: ledgerKeys("a")},
		{At: 3, Do: "set", Keys: []string{registerKey(0, 1)}, Value: "v", How: []string{"put present"}},
	}}}
	r := RunPlan(p, Options{})
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	var got []string
	for _, row := range r.ledgerRows() {
		for _, b := range row.Bars {
			if b.From <= 0 || b.To <= b.From {
				t.Errorf("%s lasts from %v to %v ms", b.Text, b.From, b.To)
			}
			got = append(got, row.Name+": "+b.Kind+": "+b.Text)
		}
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{"ledger: accounts: done: ", "transfer a0 a1: 7 -> done, a transaction", "audit", `{"N":"93"}`, "ledger: registers g0: refused: ", "put r1 = v.g0.1 if present (false)"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
}

// A node's reigns lie upon the bar that says that it is up, beside each other.
func TestHTMLShowsReigns(t *testing.T) {
	second := env.Mono(time.Second)
	r := Result{Virtual: 9 * time.Second, Moments: []Moment{
		{At: 0, Node: "n1", Kind: "up"}, {At: second, Node: "n1", Kind: "leads", Text: "2"}, {At: 2 * second, Node: "n1", Kind: "leads", Text: "3"},
		{At: 3 * second, Node: "n1", Kind: "yields", Text: "2"}, {At: 4 * second, Node: "n1", Kind: "leads", Text: "4"},
		{At: 5 * second, Node: "n1", Kind: "down"}, {At: 6 * second, Node: "n1", Kind: "up"},
	}}
	var got []string
	for _, b := range r.nodeRow("n1", "zone a").Bars {
		got = append(got, fmt.Sprintf("%s %v-%v in lane %d", b.Text, b.From/1000, b.To/1000, b.Lane))
	}
	want := []string{"up 0-5 in lane 0", "up 6-9 in lane 0", "leads group 2 1-3 in lane 1", "leads group 3 2-5 in lane 2", "leads group 4 4-5 in lane 1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// With a violation, Porcupine's page is in it.
func TestHTMLOfViolation(t *testing.T) {
	h := &History{}
	put := &Operation{Key: "p0/s0", Kind: Put, Value: "a"}
	h.Begin(put)
	h.End(put, Done, &State{})
	get := &Operation{Key: "p0/s0", Kind: Get}
	h.Begin(get)
	h.End(get, Done, &State{})
	err := h.Check()
	var v *Violation
	if !errors.As(err, &v) {
		t.Fatalf("got %v", err)
	}
	r := Result{Plan: NewPlan(1, Options{Calm: true, Duration: time.Millisecond}), History: h, Err: err}
	var page bytes.Buffer
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if text := page.String(); !strings.Contains(text, `id="porcupine"`) || !strings.Contains(text, `"kind":"wrong"`) {
		t.Error("the page does not show what is wrong")
	}
}
