package sim

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// step is the sequential specification of one item: it reports whether the
// operation could have had its outcome in state, and the state afterwards.
//
// An operation with unknown outcome can always go: one that never happened is
// as good as one that happens after everything else.
func step(s State, o *Operation) (bool, State) {
	holds := o.holds(s)
	switch o.Outcome {
	case Unknown:
		if holds {
			return true, o.apply(s)
		}
		return true, s
	case Refused:
		return !holds && (o.Saw == nil || *o.Saw == s), s
	}
	after := o.apply(s)
	seen := s
	if o.Kind == Add {
		seen = after
	}
	return holds && (o.Saw == nil || *o.Saw == seen), after
}

func (o *Operation) holds(s State) bool {
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
	History []*Operation // of that key, by call
	info    porcupine.LinearizationInfo
	model   porcupine.Model
}

func (v *Violation) Error() string {
	lines := make([]string, len(v.History))
	for i, o := range v.History {
		lines[i] = "  " + o.String()
	}
	return fmt.Sprintf("sim: item %s is not linearizable; its operations:\n%s", v.Key, strings.Join(lines, "\n"))
}

// Visualize writes a page that shows the operations and how far they can be
// explained.
func (v *Violation) Visualize(path string) error {
	return porcupine.VisualizePath(v.model, v.info, path)
}

// UndecidedError means that the search for an explanation was given up after a
// fixed number of steps, so that the verdict does not depend on the machine.
type UndecidedError struct{ Key string }

func (e *UndecidedError) Error() string {
	return fmt.Sprintf("sim: item %s: no verdict after %d steps", e.Key, stepBudget)
}

// stepBudget is far above what a history of a few hundred operations by eight
// clients needs.
const stepBudget = 5_000_000

// Check reports whether every item's operations can be explained by some order
// in which each takes effect between its call and its return. The error is a
// *Violation or, rarely, an *UndecidedError.
func (h *History) Check() error {
	byKey := map[string][]*Operation{}
	var keys []string
	for _, o := range h.Operations {
		if o.Kind == Get && o.Outcome != Done {
			continue
		}
		if byKey[o.Key] == nil {
			keys = append(keys, o.Key)
		}
		byKey[o.Key] = append(byKey[o.Key], o)
	}
	for _, key := range keys {
		if err := checkItem(key, byKey[key]); err != nil {
			return err
		}
	}
	return nil
}

func checkItem(key string, operations []*Operation) error {
	events := make([]porcupine.Operation, len(operations))
	for i, o := range operations {
		end := o.Return
		if o.Outcome == Unknown {
			end = math.MaxInt64
		}
		events[i] = porcupine.Operation{ClientId: o.Client, Input: o, Call: o.Call, Return: end}
	}
	steps := 0
	model := porcupine.Model{
		Init: func() any { return State{} },
		StepContext: func(_ context.Context, state, input, _ any) (bool, any) {
			if steps++; steps > stepBudget {
				return false, state
			}
			ok, after := step(state.(State), input.(*Operation))
			return ok, after
		},
		DescribeOperation: func(input, _ any) string { return input.(*Operation).String() },
		DescribeState:     func(state any) string { return state.(State).String() },
	}
	if porcupine.CheckOperations(model, events) {
		return nil
	}
	if steps > stepBudget {
		return &UndecidedError{key}
	}
	steps = 0
	_, info := porcupine.CheckOperationsVerbose(model, events, 0)
	slices.SortFunc(operations, func(a, b *Operation) int { return cmp.Compare(a.Call, b.Call) })
	return &Violation{Key: key, History: operations, info: info, model: model}
}
