package sim

import (
	"context"
	"math"
	"slices"
	"sort"

	"github.com/anishathalye/porcupine"
)

// A budgeted is a model that refuses all steps beyond a budget, so that a verdict does not depend on the machine; it counts them.
type budgeted func(steps *int, budget int) porcupine.Model

// modelOf is the model of something that is in one of several states; step returns those that it may be in after a request.
func modelOf[S comparable, O any](step func(states []S, o *O) []S) budgeted {
	return func(steps *int, budget int) porcupine.Model {
		return porcupine.Model{
			Init: func() any { return make([]S, 1) },
			StepContext: func(_ context.Context, state, input, _ any) (bool, any) {
				if *steps++; *steps > budget {
					return false, state
				}
				after := step(state.([]S), input.(*O))
				return len(after) > 0, after
			},
			Equal: func(a, b any) bool { return slices.Equal(a.([]S), b.([]S)) },
		}
	}
}

// explained searches for an order of the events. Unknown means that the budget does not suffice.
func (model budgeted) explained(events []porcupine.Operation, budget int) porcupine.CheckResult {
	steps := 0
	switch {
	case porcupine.CheckOperations(model(&steps, budget), events):
		return porcupine.Ok
	case steps > budget:
		return porcupine.Unknown
	}
	return porcupine.Illegal
}

// judge searches for an order of a whole history, of which eventsAt returns what was known at a moment. If there is none, end is the
// first moment at which there was none: that of the first answer that cannot be explained.
func (model budgeted) judge(eventsAt func(moment int64) []porcupine.Operation, budget int) (verdict porcupine.CheckResult, end int64) {
	if verdict = model.explained(eventsAt(math.MaxInt64), budget); verdict != porcupine.Illegal {
		return verdict, 0
	}
	// A history that can be explained can be at every earlier moment.
	return verdict, int64(sort.Search(math.MaxInt32, func(t int) bool {
		return model.explained(eventsAt(int64(t)), budget) == porcupine.Illegal
	}))
}
