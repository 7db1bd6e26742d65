package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/partition"
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
	// Least, of a Get that is a row of a query or scan: a filter shows no item with a smaller count. Where
	// the row is not shown, by that or by If, it counts as refused.
	Least int64

	Call, Return int64    // places in the history; Return 0: none yet
	Began, Ended env.Mono // Ended 0: no answer
	Took         env.Mono // when it took effect, if that is known; see witness
	Served       string   // by whom, as far as is known: "n2 as leader of term 3"
	Outcome      Outcome
	Saw          *State // what it answered with: before a Put, Delete or refusal, after an Add

	Stale   bool     // an eventually consistent Get
	Fresh   env.Mono // of such a one: what it shows was there then or later; 0: nobody can tell
	applied bool     // some replica has applied it
	changed bool     // and the item is what it says now
	under   []uint64 // numbers of nodes that are at it
	left    env.Mono // when the last of them was
}

func (o *Operation) String() string {
	text := fmt.Sprintf("[%d,%d] client %d: ", o.Call, o.Return, o.Client)
	switch o.Kind {
	case Get:
		if text += "get " + o.Key; o.Least > 0 {
			text += fmt.Sprintf(" if of %d or more", o.Least)
		}
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
	keys       map[string]bool     // that were asked for
	commits    map[string][]commit // by key, in order; see witness

	// Of groups with several replicas.
	replicated bool
	// leasesBroken: consistent reads may be old.
	leasesBroken bool
	applied      map[partition.RequestID]bool
	groupOf      map[string]uint64 // by key, as was seen
	groups       []uint64          // in the order in which they were seen

	// Clock tells the time for reports; nil: there is none.
	Clock func() env.Mono

	inLedger func(group uint64) // told of a group that has a part of the ledger; nil: nobody
	report   func(error)        // told of a write that was carried out although its client was told that it was not; nil: nobody
	failed   map[string][]*Operation

	proved, searched int // keys, by Check
}

// Begin notes a call. The outcome is Unknown until End.
func (h *History) Begin(o *Operation) {
	if h.open == nil {
		h.open, h.keys = map[string][]*Operation{}, map[string]bool{}
	}
	h.keys[o.Key] = true
	h.open[o.Key] = append(h.open[o.Key], o)
	h.now++
	o.Call, o.Began = h.now, h.time()
	h.Operations = append(h.Operations, o)
}

// End notes an answer, unless there is one.
func (h *History) End(o *Operation, outcome Outcome, saw *State) {
	if o.Return != 0 && o.Outcome != Unknown {
		return
	}
	o.Outcome, o.Saw = outcome, saw
	h.close(o)
	if outcome == Failed && (o.Kind == Put || o.Kind == Add) {
		if h.failed == nil {
			h.failed = map[string][]*Operation{}
		}
		h.failed[o.Key] = append(h.failed[o.Key], o)
		h.belie(o)
	}
}

// belie reports an operation that was carried out although its client was told that nothing
// has happened, or whoever asks later: a client may ask again then, and would do it twice.
func (h *History) belie(o *Operation) {
	if o.changed && h.report != nil {
		h.report(found(Linearizability, fmt.Errorf("sim: item %s: client %d was told that nothing has happened of %s, and it was carried out", o.Key, o.Client, o)))
	}
}

// close notes that the operation has returned, or does not happen later than now.
func (h *History) close(o *Operation) {
	h.now++
	o.Return, o.Ended = h.now, h.time()
	h.open[o.Key] = slices.DeleteFunc(h.open[o.Key], func(x *Operation) bool { return x == o })
}

// drop takes an operation back that has no answer and is of no interest: it was a read, of which
// another operation tells.
func (h *History) drop(o *Operation) {
	h.open[o.Key] = slices.DeleteFunc(h.open[o.Key], func(x *Operation) bool { return x == o })
	for i := len(h.Operations) - 1; i >= h.settled; i-- {
		if h.Operations[i] == o {
			h.Operations = slices.Delete(h.Operations, i, i+1)
			return
		}
	}
}

// enter notes that a node begins to carry out an operation, leave that it has ended.
func (h *History) enter(o *Operation, node uint64) { o.under = append(o.under, node) }

func (h *History) leave(o *Operation, node uint64) {
	if i := slices.Index(o.under, node); i >= 0 {
		o.under = slices.Delete(o.under, i, i+1)
		o.left = h.time()
	}
}

// crashed notes that whatever a node was at has ended.
func (h *History) crashed(node uint64) {
	for _, o := range h.Operations[h.settled:] {
		if slices.Contains(o.under, node) {
			o.under = slices.DeleteFunc(o.under, func(n uint64) bool { return n == node })
			o.left = h.time()
		}
	}
}

// maxLate is more than a message can be under way.
const maxLate = time.Duration(maxClog) + time.Second

// reign notes that a group has a new leader, which has applied everything of earlier
// terms. What no node has been at for so long that no message about it is under way,
// and nobody has applied, does not happen: its entry is in no log that can win.
func (h *History) reign(group uint64) {
	for _, o := range h.Operations[h.settled:] {
		if o.Return == 0 && len(o.under) == 0 && h.groupOf[o.Key] == group && h.time().Sub(o.left) > maxLate {
			h.close(o)
		}
	}
	for h.settled < len(h.Operations) && h.Operations[h.settled].Return != 0 {
		h.settled++
	}
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
