package sim

import (
	"fmt"
	"time"
)

// Story says in words what is wrong with the answer that cannot be explained: mostly
// that it shows an item as it was before a write that had been acknowledged.
func (v *Violation) Story() string {
	a := v.Answer
	if a == nil {
		return "no order explains its operations"
	}
	what := a.subject() + " " + [...]string{Done: "answered", Refused: "was refused", Unknown: "has no answer", Failed: "failed"}[a.Outcome]
	if a.Served != "" {
		what += " (served by " + a.Served + ")"
	}
	if a.Saw == nil {
		return what + ", which no order explains"
	}
	what += " with " + a.Saw.String()
	made := v.maker(a)
	if a.Saw.Exists && made == nil {
		return what + ", which nobody has written"
	}
	if newer := v.acknowledged(a, made); newer != nil {
		return fmt.Sprintf("%s, but %s was acknowledged %s before it began", what, newer.effect(), between(newer, a))
	}
	if made != nil && made.Outcome == Refused {
		return fmt.Sprintf("%s, but the write of it was refused", what)
	}
	return what + ", which no order of the operations explains"
}

// maker returns the operation that wrote the value an answer shows.
func (v *Violation) maker(a *Operation) *Operation {
	for _, o := range v.History {
		if o != a && (o.Kind == Put || o.Kind == Add) && o.Value == a.Saw.Value {
			return o
		}
	}
	if (a.Kind == Add || a.Kind == Put) && a.Value == a.Saw.Value {
		return a
	}
	return nil
}

// acknowledged returns the last write that was acknowledged before an answer's
// operation began, and that took effect after what the answer shows was written.
func (v *Violation) acknowledged(a, made *Operation) (newer *Operation) {
	for _, o := range v.History {
		switch {
		case o == a || o == made || o.Kind == Get || o.Outcome != Done || o.Return > a.Call:
		case made != nil && (made.Return == 0 || o.Call < made.Return):
		case made == nil && o.Kind == Delete: // what it shows is that there is nothing
		case newer == nil || o.Return > newer.Return:
			newer = o
		}
	}
	return newer
}

func (o *Operation) subject() string {
	return fmt.Sprintf("%s of %s by client %d", [...]string{"get", "put", "add", "delete"}[o.Kind], o.Key, o.Client)
}

// effect names a write by what it left.
func (o *Operation) effect() string {
	switch o.Kind {
	case Put:
		return State{true, o.Value, o.Count}.String()
	case Add:
		if o.Saw != nil {
			return o.Saw.String()
		}
		return fmt.Sprintf("an add of %d", o.Count)
	}
	return "a delete"
}

// between tells how long before the second operation began the first was answered.
func between(first, second *Operation) string {
	if first.Ended == 0 || second.Began == 0 {
		return fmt.Sprintf("%d places of the history", second.Call-first.Return)
	}
	return second.Began.Sub(first.Ended).Round(time.Microsecond).String()
}
