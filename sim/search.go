package sim

import (
	"context"
	"math"
	"slices"
	"sort"

	"github.com/anishathalye/porcupine"
)

// A Model is the sequential specification of something, and what checkers must know of the requests
// about it: S is a state, of which the zero value is the first, and O a request.
type Model[S, O any] struct {
	// Step reports whether a request can have had its outcome in a state, and the state afterwards. One
	// with an unknown outcome has happened.
	Step    func(before S, o *O) (ok bool, after S)
	Compare func(a, b S) int
	Unknown func(o *O) bool // the outcome is unknown: it has happened, or it has not

	// For a witness only.
	Reads func(o *O) bool                   // it changes nothing, and is in nobody's log
	Span  func(o *O) (call, returned int64) // places in the history; math.MaxInt64: nobody was told that it happened
}

// stepAll is Step for all the states in which something may be: those from which the
// request is impossible drop out, and a request with unknown outcome may also not have
// happened.
func (m *Model[S, O]) stepAll(states []S, o *O) (after []S) {
	for _, before := range states {
		if m.Unknown(o) {
			after = append(after, before)
		}
		if ok, s := m.Step(before, o); ok {
			after = append(after, s)
		}
	}
	slices.SortFunc(after, m.Compare)
	return slices.CompactFunc(after, m.same)
}

func (m *Model[S, O]) same(a, b S) bool { return m.Compare(a, b) == 0 }

// porcupine is the model as porcupine wants it. It refuses all steps beyond a budget, so that a
// verdict does not depend on the machine; it counts them.
func (m *Model[S, O]) porcupine(steps *int, budget int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return make([]S, 1) },
		StepContext: func(_ context.Context, state, input, _ any) (bool, any) {
			if *steps++; *steps > budget {
				return false, state
			}
			after := m.stepAll(state.([]S), input.(*O))
			return len(after) > 0, after
		},
		Equal: func(a, b any) bool { return slices.EqualFunc(a.([]S), b.([]S), m.same) },
	}
}

// explained searches for an order of the events. Unknown means that the budget does not suffice.
func (m *Model[S, O]) explained(events []porcupine.Operation, budget int) porcupine.CheckResult {
	steps := 0
	switch {
	case porcupine.CheckOperations(m.porcupine(&steps, budget), events):
		return porcupine.Ok
	case steps > budget:
		return porcupine.Unknown
	}
	return porcupine.Illegal
}

// Search looks for an order of a whole history, of which eventsAt returns what was known at a moment; the inputs of
// its events are requests. If there is none, end is the first moment at which there was none: that of the first answer
// that cannot be explained. The verdict is porcupine.Unknown if so many steps do not suffice.
func (m *Model[S, O]) Search(eventsAt func(moment int64) []porcupine.Operation, budget int) (verdict porcupine.CheckResult, end int64) {
	if verdict = m.explained(eventsAt(math.MaxInt64), budget); verdict != porcupine.Illegal {
		return verdict, 0
	}
	// A history that can be explained can be at every earlier moment.
	return verdict, int64(sort.Search(math.MaxInt32, func(t int) bool {
		return m.explained(eventsAt(int64(t)), budget) == porcupine.Illegal
	}))
}
