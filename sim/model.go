package sim

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/anishathalye/porcupine"
)

// step is the sequential specification of one item: it reports whether the
// operation could have had its outcome in state, and the state afterwards. An
// operation with unknown outcome happened.
func step(s State, o *Operation) (bool, State) {
	holds := o.holds(s)
	switch o.Outcome {
	case Failed:
		return true, s
	case Refused:
		return !holds && (o.Saw == nil || *o.Saw == s), s
	case Unknown:
		if !holds {
			return true, s
		}
		return true, o.apply(s)
	}
	after := o.apply(s)
	seen := s
	if o.Kind == Add {
		seen = after
	}
	return holds && (o.Saw == nil || *o.Saw == seen), after
}

// compare orders states; a missing item comes first.
func (s State) compare(o State) int {
	switch {
	case s.Exists == o.Exists:
		return cmp.Or(cmp.Compare(s.Value, o.Value), cmp.Compare(s.Count, o.Count))
	case o.Exists:
		return -1
	}
	return 1
}

func (o *Operation) holds(s State) bool {
	if o.Kind == Get && o.Least > 0 && (!s.Exists || s.Count < o.Least) {
		return false
	}
	switch o.If {
	case IfAbsent:
		return !s.Exists
	case IfPresent:
		return s.Exists
	case IfValue:
		return s.Exists && s.Value == o.Expected
	}
	return true
}

func (o *Operation) apply(s State) State {
	switch o.Kind {
	case Put:
		return State{true, o.Value, o.Count}
	case Add:
		if !s.Exists {
			return State{true, o.Value, o.Count}
		}
		return State{true, s.Value, s.Count + o.Count}
	case Delete:
		return State{}
	}
	return s
}

// A Violation is a history that no order of its operations explains.
type Violation struct {
	Key     string
	History []*Operation // of that key, by call, up to the first answer that cannot be explained
	Answer  *Operation   // that answer
	info    porcupine.LinearizationInfo
}

// shownOperations is how much of the history an error shows.
const shownOperations = 30

func (v *Violation) Error() string {
	shown := v.History[max(0, len(v.History)-shownOperations):]
	lines := make([]string, len(shown))
	for i, o := range shown {
		lines[i] = "  " + o.String()
	}
	return fmt.Sprintf("sim: item %s: %s\nno order explains the answer %s\nits last operations:\n%s", v.Key, v.Story(), v.Answer, strings.Join(lines, "\n"))
}

// View writes Porcupine's page, which shows the operations and how far they can be
// explained.
func (v *Violation) View(w io.Writer) error {
	return porcupine.Visualize(itemPage(), v.info, w)
}

// Visualize writes that page to a file.
func (v *Violation) Visualize(path string) error {
	return porcupine.VisualizePath(itemPage(), v.info, path)
}

// UndecidedError means that the search for an explanation was given up after a
// fixed number of steps, so that the verdict does not depend on the machine.
type UndecidedError struct {
	Key   string
	Steps int
}

func (e *UndecidedError) Error() string {
	return fmt.Sprintf("sim: item %s: no verdict after %d steps", e.Key, e.Steps)
}

// stepBudget is far above what a history of a few hundred operations by eight
// clients needs.
const stepBudget = 5_000_000

// Check reports whether every item's operations can be explained by some order
// in which each takes effect between its call and its return. The error is a
// *Violation or, rarely, an *UndecidedError.
func (h *History) Check() error { return h.check(stepBudget) }

// check is Check with so many steps for each search.
func (h *History) check(budget int) error {
	byKey, weak := map[string][]*Operation{}, map[string][]*Operation{}
	var keys []string
	for _, o := range h.Operations {
		if o.Kind == Get && o.Outcome != Done && (o.Outcome != Refused || h.isWeak(o)) {
			continue
		}
		if byKey[o.Key] == nil && weak[o.Key] == nil {
			keys = append(keys, o.Key)
		}
		if h.isWeak(o) {
			weak[o.Key] = append(weak[o.Key], o)
			continue
		}
		byKey[o.Key] = append(byKey[o.Key], o)
	}
	h.proved, h.searched = 0, 0
	for _, key := range keys {
		if err := h.checkWeak(key, byKey[key], weak[key]); err != nil {
			return err
		}
		if h.commits != nil && h.proves(key, byKey[key]) {
			h.proved++
			continue
		}
		h.searched++
		if err := checkItem(key, byKey[key], budget); err != nil {
			return err
		}
	}
	return nil
}

func checkItem(key string, operations []*Operation, budget int) error {
	verdict, end := itemModel.Search(func(moment int64) []porcupine.Operation { return events(operations, moment) }, budget)
	switch verdict {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return &UndecidedError{key, budget}
	}
	v := &Violation{Key: key}
	for _, o := range operations {
		if o.Call <= end {
			v.History = append(v.History, o)
		}
		if o.Return == end {
			v.Answer = o
		}
	}
	_, v.info = porcupine.CheckOperationsVerbose(itemPage(), events(operations, end), 0)
	return v
}

// events are the operations up to a moment; what had not returned is open.
func events(operations []*Operation, moment int64) []porcupine.Operation {
	var events []porcupine.Operation
	for _, o := range operations {
		known := *o
		if o.Call > moment {
			continue
		}
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

// itemModel is the model of one item.
var itemModel = &Model[State, Operation]{
	Step: step, Compare: State.compare,
	Unknown: func(o *Operation) bool { return o.Outcome == Unknown },
	Reads:   func(o *Operation) bool { return o.Kind == Get },
	Span:    func(o *Operation) (int64, int64) { return o.Call, returned(o) },
}

// itemPage is itemModel for a page.
func itemPage() porcupine.Model {
	m := itemModel.porcupine(new(int), stepBudget)
	m.DescribeOperation = func(input, _ any) string { return input.(*Operation).String() }
	m.DescribeState = func(state any) string { return fmt.Sprint(state) }
	return m
}
