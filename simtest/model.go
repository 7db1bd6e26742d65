package simtest

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/sim"
	"github.com/statordb/stator/table"
)

// A kind is what an operation does to its item.
type kind byte

const (
	get kind = iota
	put
	remove
	update
)

// An outcome is what is known of an operation.
type outcome byte

const (
	unknown outcome = iota // it happens after its begin, or never
	done
	refused // the condition was false
	failed  // nothing has happened
)

// An operation is what a call did to one item.
type operation struct {
	kind       kind
	key        item.Item
	put        item.Item
	update     *expr.Update
	condition  *expr.Condition
	projection *expr.Projection   // of a get; nil: all
	shows      table.ReturnValues // of a write

	of           *itemHistory
	name         string // table, as the request has it
	what         string // operation of the service
	begun, ended int64  // places in the history; ended 0: not yet
	outcome      outcome
	saw          item.Item // if seen: what the answer showed, nil: nothing
	seen         bool
	wanted       string // see wants; of a write
}

// step is the sequential specification of an item; nil is a missing one. It reports
// whether the operation could have had its outcome, and the item afterwards.
func (o *operation) step(before item.Item) (ok bool, after item.Item) {
	holds := o.condition.Eval(before)
	switch o.outcome {
	case failed:
		return true, before
	case refused:
		return !holds && (!o.seen || o.saw.Equal(before)), before
	}
	after, ok = o.apply(before)
	if o.outcome == unknown {
		if !holds || !ok {
			return true, before
		}
		return true, after
	}
	return holds && ok && o.explains(before, after), after
}

func (o *operation) apply(before item.Item) (after item.Item, ok bool) {
	switch o.kind {
	case put:
		return o.put, true
	case remove:
		return nil, true
	case update:
		changed, err := o.update.Apply(before)
		if err != nil {
			return nil, false
		}
		if before != nil {
			return changed, true
		}
		var b item.Builder
		for name, v := range changed.All() {
			b.Set(name, v)
		}
		for name, v := range o.key.All() {
			b.Set(name, v)
		}
		return b.Item(), true
	}
	return before, true
}

// explains reports whether the answer showed what it ought to.
func (o *operation) explains(before, after item.Item) bool {
	if !o.seen {
		return true
	}
	var want item.Item
	switch {
	case o.kind == get && o.projection == nil:
		return same(o.saw, before)
	case o.kind == get:
		// An item of which nothing is asked for and a missing one may look alike.
		want = o.projection.Apply(before)
		return o.saw.Len() == 0 && want.Len() == 0 || same(o.saw, want)
	case o.shows == table.AllOld:
		want = before
	case o.shows == table.AllNew:
		want = after
	case o.shows == table.UpdatedOld && before != nil:
		want = o.update.Project(before)
	case o.shows == table.UpdatedNew:
		want = o.update.Project(after)
	}
	return o.saw.Len() == 0 && want.Len() == 0 || same(o.saw, want)
}

// same compares items of which one may be missing.
func same(a, b item.Item) bool { return (a == nil) == (b == nil) && a.Equal(b) }

func (o *operation) String() string {
	text := fmt.Sprintf("[%d,%d] %s", o.begun, o.ended, o.what)
	if o.put != nil {
		text += " " + o.put.String()
	}
	if o.condition != nil {
		text += " with a condition"
	}
	text += [...]string{" -> unknown", " -> done", " -> condition false", " -> failed"}[o.outcome]
	switch {
	case !o.seen:
	case o.saw == nil:
		text += ", saw nothing"
	default:
		text += ", saw " + o.saw.String()
	}
	return text
}

// A violation is a history of an item that no order explains.
type violation struct {
	name   itemName
	shown  []*operation // up to the first answer that cannot be explained
	answer *operation   // that one
}

// shownOperations is how much of an item's history an error shows.
const shownOperations = 20

func (v *violation) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "table %s, item %s: no order of the calls explains the answer\n  %s\nits last calls:", v.name.life.name, v.name.key, v.answer)
	for _, o := range v.shown[max(0, len(v.shown)-shownOperations):] {
		fmt.Fprintf(&b, "\n  %s", o)
	}
	return b.String()
}

// An undecidedError means that the search was given up.
type undecidedError struct{ name itemName }

func (e *undecidedError) Error() string {
	return fmt.Sprintf("table %s, item %s: no verdict after %d steps; too many calls without an answer", e.name.life.name, e.name.key, stepBudget)
}

// stepBudget bounds the search for one item, in steps, so that the verdict does not
// depend on the machine.
const stepBudget = 2_000_000

// check reports the first item whose history cannot be explained, or an
// undecidedError.
func (h *history) check() error {
	var gaveUp error
	h.proved, h.searched = 0, 0
	for _, name := range h.order {
		it := h.items[name]
		operations := slices.Clone(it.operations)
		operations = slices.DeleteFunc(operations, func(o *operation) bool {
			return o.outcome == failed || o.kind == get && (o.outcome != done || !o.seen && o.condition == nil)
		})
		if name.life.unchecked != "" || len(operations) == 0 {
			continue
		}
		// Rows of a page are noted when it is there.
		slices.SortStableFunc(operations, func(a, b *operation) int { return cmp.Compare(a.begun, b.begun) })
		if itemModel.Proves(it.inOrder(), operations) {
			h.proved++
			continue
		}
		h.searched++
		verdict, end := itemModel.Search(func(moment int64) []porcupine.Operation { return eventsAt(operations, moment) }, stepBudget)
		switch verdict {
		case porcupine.Illegal:
			return newViolation(name, operations, end)
		case porcupine.Unknown:
			gaveUp = &undecidedError{name}
		}
	}
	return gaveUp
}

func newViolation(name itemName, operations []*operation, end int64) error {
	v := &violation{name: name}
	for _, o := range operations {
		if o.begun <= end {
			v.shown = append(v.shown, o)
		}
		if o.ended == end {
			v.answer = o
		}
	}
	return v
}

// eventsAt returns a history as it was known at a moment: what had not been answered by
// then is open.
func eventsAt(operations []*operation, moment int64) (events []porcupine.Operation) {
	for i, o := range operations {
		known := *o
		if o.begun > moment {
			continue
		}
		if o.ended == 0 || o.ended > moment {
			if o.kind == get {
				continue
			}
			known.outcome, known.ended, known.seen = unknown, math.MaxInt64, false
		}
		events = append(events, porcupine.Operation{ClientId: i, Input: &known, Call: known.begun, Return: known.ended})
	}
	return events
}

// itemModel is the model of one item. What was refused counts as a read of a witness: it changes
// nothing.
var itemModel = &sim.Model[item.Item, operation]{
	Step:    func(before item.Item, o *operation) (bool, item.Item) { return o.step(before) },
	Compare: compare,
	Unknown: func(o *operation) bool { return o.outcome == unknown },
	Reads:   func(o *operation) bool { return o.kind == get || o.outcome == refused },
	Span: func(o *operation) (int64, int64) {
		if o.outcome == unknown {
			return o.begun, math.MaxInt64
		}
		return o.begun, o.ended
	},
}

// compare orders items; a missing one comes first.
func compare(a, b item.Item) int {
	switch {
	case (a == nil) == (b == nil):
		return bytes.Compare(a, b)
	case a == nil:
		return -1
	}
	return 1
}
