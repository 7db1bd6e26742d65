package sim

import (
	"fmt"
	"slices"

	"github.com/statordb/stator/internal/env"
)

// A State is what a client can see of one item: whether it exists, the unique
// value of the write that made or last replaced it, and a counter.
type State struct {
	Exists bool
	Value  string
	Count  int64
}

func (s State) String() string {
	if !s.Exists {
		return "nothing"
	}
	return fmt.Sprintf("%s+%d", s.Value, s.Count)
}

// A Kind is what an operation does.
type Kind byte

// The kinds.
const (
	Get    Kind = iota // also each row of a query or scan
	Put                // item = {Value, Count}
	Add                // Count += Count; if there is an item its value stays, else it becomes Value
	Delete             //
)

// A Condition is what an operation demands of the item before it.
type Condition byte

// The conditions.
const (
	Always Condition = iota
	IfAbsent
	IfPresent
	IfValue // the item's value is Operation.Expected
)

// An Outcome is what the client learnt.
type Outcome byte

// The outcomes.
const (
	Unknown Outcome = iota // it happened between Call and Return, or never
	Done
	Refused // the condition was false: nothing happened
	Failed  // an error that promises that nothing happened
)

// An Operation is one request to one key, as its client saw it.
type Operation struct {
	Client   int
	Key      string
	Kind     Kind
	If       Condition
	Expected string // of IfValue
	Value    string // of Put and Add: unique in the history
	Count    int64  // of Put and Add

	Call, Return int64    // places in the history; Return 0: none yet
	Began, Ended env.Mono // Ended 0: no answer
	Served       string   // by whom, as far as is known: "n2 as leader of term 3"
	Outcome      Outcome
	Saw          *State // what it answered with: before a Put, Delete or refusal, after an Add
}

func (o *Operation) String() string {
	text := fmt.Sprintf("[%d,%d] client %d: ", o.Call, o.Return, o.Client)
	switch o.Kind {
	case Get:
		text += "get " + o.Key
	case Put:
		text += fmt.Sprintf("put %s = %s+%d", o.Key, o.Value, o.Count)
	case Add:
		text += fmt.Sprintf("add %s += %d (new: %s)", o.Key, o.Count, o.Value)
	case Delete:
		text += "delete " + o.Key
	}
	text += [...]string{"", " if absent", " if present", " if " + o.Expected}[o.If]
	text += [...]string{" -> unknown", " -> done", " -> refused", " -> failed"}[o.Outcome]
	if o.Saw != nil {
		text += ", saw " + o.Saw.String()
	}
	return text
}

// A History is what all clients did, in the order of their calls.
type History struct {
	Operations []*Operation
	now        int64
	settled    int // operations before this one all have a Return
	open       map[string][]*Operation
	commits    map[string][]commit // by key, in order; see witness

	// Clock tells the time for reports; nil: there is none.
	Clock func() env.Mono

	proved, searched int // keys, by Check
}

// Begin notes a call. The outcome is Unknown until End.
func (h *History) Begin(o *Operation) {
	if h.open == nil {
		h.open = map[string][]*Operation{}
	}
	h.open[o.Key] = append(h.open[o.Key], o)
	h.now++
	o.Call, o.Began = h.now, h.time()
	h.Operations = append(h.Operations, o)
}

// End notes an answer.
func (h *History) End(o *Operation, outcome Outcome, saw *State) {
	h.now++
	o.Return, o.Outcome, o.Saw, o.Ended = h.now, outcome, saw, h.time()
	h.open[o.Key] = slices.DeleteFunc(h.open[o.Key], func(x *Operation) bool { return x == o })
}

func (h *History) time() env.Mono {
	if h.Clock == nil {
		return 0
	}
	return h.Clock()
}

// Open returns how many operations on the key have not returned. The cost of a
// verdict grows exponentially with it.
func (h *History) Open(key string) int { return len(h.open[key]) }

// Settle notes that operations without an answer do not happen any more, unless
// they have: the node that was to carry them out has crashed and recovered.
func (h *History) Settle() {
	h.now++
	for _, o := range h.Operations[h.settled:] {
		if o.Return == 0 {
			o.Return = h.now
		}
	}
	h.settled = len(h.Operations)
	clear(h.open)
}

// Count returns how many operations have the outcome.
func (h *History) Count(outcome Outcome) (n int) {
	for _, o := range h.Operations {
		if o.Outcome == outcome {
			n++
		}
	}
	return n
}
