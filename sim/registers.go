package sim

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// A group is a few registers that transactions read and write together. It is small, so
// that porcupine can search for an order of all that was done to it: linearizability
// of transactions, with conditions, and of single reads and writes among them.

// groupSize is how many registers a group has.
const groupSize = 3

// A groupState is what the registers hold; "" is no item.
type groupState [groupSize]string

// A GroupOp is one request about registers of a group, at one moment.
type GroupOp struct {
	Client       int
	Call, Return int64 // Return 0: not known
	Outcome      Outcome
	Parts        []GroupPart
}

// A GroupPart is what a request does with one register.
type GroupPart struct {
	Register int       // its place in the group
	Kind     Kind      // Get, also with a condition alone, Put or Delete
	If       Condition // IfValue: it holds Expected
	Expected string
	Value    string // of a Put: unique in the history

	Saw     *string // what it held before; nil: not told
	Refused bool    // of a refused request: this condition was false
}

func (o *GroupOp) String() string {
	parts := make([]string, len(o.Parts))
	for i := range o.Parts {
		parts[i] = o.Parts[i].String()
	}
	return fmt.Sprintf("[%d,%d] client %d: %s%s", o.Call, o.Return, o.Client, strings.Join(parts, ", "),
		[...]string{" -> unknown", " -> done", " -> refused", " -> failed"}[o.Outcome])
}

func (p *GroupPart) String() string {
	text := [...]string{Get: "get", Put: "put", Delete: "delete"}[p.Kind] + fmt.Sprintf(" r%d", p.Register)
	if p.Kind == Put {
		text += " = " + p.Value
	}
	text += [...]string{"", " if absent", " if present", " if " + p.Expected}[p.If]
	if p.Refused {
		text += " (false)"
	}
	if p.Saw != nil {
		text += fmt.Sprintf(" (saw %q)", *p.Saw)
	}
	return text
}

func (p *GroupPart) holds(s *groupState) bool { return p.holdsOf(s[p.Register]) }

// holdsOf reports whether the condition is true of what a register holds.
func (p *GroupPart) holdsOf(held string) bool {
	switch p.If {
	case IfAbsent:
		return held == ""
	case IfPresent:
		return held != ""
	case IfValue:
		return held == p.Expected
	}
	return true
}

func (p *GroupPart) saw(s *groupState) bool { return p.Saw == nil || *p.Saw == s[p.Register] }

// step is the sequential specification: it reports whether the request could have had
// its outcome, and the state afterwards. One with unknown outcome happened.
//
// The conditions of a transaction are judged where their items are, not all at one
// time. So a refusal says of each false one by itself that it was false.
func (o *GroupOp) step(s groupState) (bool, groupState) {
	holds, saw, refused := true, true, false
	for i := range o.Parts {
		p := &o.Parts[i]
		holds, saw = holds && p.holds(&s), saw && p.saw(&s)
		refused = refused || p.Refused && !p.holds(&s) && p.saw(&s)
	}
	switch {
	case o.Outcome == Failed:
		return true, s
	case o.Outcome == Refused:
		return refused, s
	case !holds:
		return o.Outcome == Unknown, s
	}
	for i := range o.Parts {
		switch p := &o.Parts[i]; p.Kind {
		case Put:
			s[p.Register] = p.Value
		case Delete:
			s[p.Register] = ""
		}
	}
	return saw || o.Outcome == Unknown, s // what it saw may be of an attempt that was refused before
}

// groupModel is the model of a group.
var groupModel = &Model[groupState, GroupOp]{
	Step:    func(before groupState, o *GroupOp) (bool, groupState) { return o.step(before) },
	Compare: func(a, b groupState) int { return slices.Compare(a[:], b[:]) },
	Unknown: func(o *GroupOp) bool { return o.Outcome == Unknown },
}

// CheckGroup reports whether the requests about one group can have taken effect one after
// the other, each between its call and its return. The error tells of the first answer
// that cannot be explained, or is an *UndecidedError.
func CheckGroup(name string, operations []*GroupOp) error {
	return checkGroup(name, operations, stepBudget)
}

func checkGroup(name string, operations []*GroupOp, budget int) error {
	operations = slices.DeleteFunc(slices.Clone(operations), func(o *GroupOp) bool { return o.Outcome == Failed || o.reads() && o.Outcome == Unknown })
	return searchGroup(name, withoutEchoes(operations), budget)
}

// searchGroup is checkGroup of requests that are all to be placed.
func searchGroup(name string, operations []*GroupOp, budget int) error {
	verdict, end := groupModel.Search(func(moment int64) []porcupine.Operation { return groupEvents(operations, moment) }, budget)
	switch verdict {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return &UndecidedError{name, budget}
	}
	var lines []string
	answer := ""
	for _, o := range operations {
		if o.Call <= end {
			lines = append(lines, "  "+o.String())
		}
		if o.Return == end {
			answer = o.String()
		}
	}
	lines = lines[max(0, len(lines)-shownOperations):]
	return found(Linearizability, fmt.Errorf("sim: registers %s: no order explains the answer %s\ntheir last requests:\n%s", name, answer, strings.Join(lines, "\n")))
}

// reads reports whether the request changes nothing, whatever becomes of it.
func (o *GroupOp) reads() bool {
	return !slices.ContainsFunc(o.Parts, func(p GroupPart) bool { return p.Kind != Get })
}

// groupEvents are the requests up to a moment; what had not returned is open.
func groupEvents(operations []*GroupOp, moment int64) (events []porcupine.Operation) {
	for _, o := range operations {
		if o.Call > moment {
			continue
		}
		known := *o
		if o.Return > moment {
			known.Outcome, known.Return = Unknown, 0
		}
		if known.Return == 0 {
			known.Return = math.MaxInt64
		}
		events = append(events, porcupine.Operation{ClientId: o.Client, Input: &known, Call: o.Call, Return: known.Return})
	}
	return events
}
