package expr

import (
	"iter"
	"slices"

	"github.com/statordb/stator/item"
)

// An Update is a parsed update expression, or AttributeUpdates.
//
// A nil *Update stands for none and changes nothing. An Update is immutable
// and safe for concurrent use.
type Update struct {
	actions []action // in source order
	tree    tree     // of their paths

	// legacy: the actions come from AttributeUpdates, whose ADD also takes
	// lists, and which has an error text of its own.
	legacy bool
}

// An action changes what is at one path.
type action struct {
	verb   verb
	path   Path
	source source // nothing for REMOVE, a constant for ADD and DELETE
}

// A verb is a section of an update expression.
type verb byte

const (
	setVerb verb = iota
	removeVerb
	addVerb
	deleteVerb
	verbs
)

var verbNames = [verbs]string{"SET", "REMOVE", "ADD", "DELETE"}

func (v verb) String() string { return verbNames[v] }

// takes reports whether ADD or DELETE takes constants of type t. ADD takes
// numbers and sets, and lists if they come from AttributeUpdates.
func (v verb) takes(t item.Type, legacy bool) bool {
	return t.IsSet() || v == addVerb && (t == item.N || legacy && t == item.L)
}

// A source is what an action assigns, adds or deletes.
type source struct {
	op    sourceOp
	path  Path       // of fromPath and ifNotExists
	value item.Value // of fromValue
	slot  slot       // of value
	args  []source   // one of ifNotExists; two of the later ones
}

// A sourceOp says how a source computes its value.
type sourceOp byte

const (
	nothing     sourceOp = iota
	fromValue            // :value
	fromPath             // path
	ifNotExists          // if_not_exists(path, args[0])
	listAppend           // list_append(args[0], args[1])
	sum                  // args[0] + args[1]
	difference           // args[0] - args[1]
	sourceOps
)

var sourceNames = [sourceOps]string{
	ifNotExists: "if_not_exists", listAppend: "list_append", sum: "+", difference: "-",
}

func (op sourceOp) String() string { return sourceNames[op] }

// Paths returns the document paths that the update changes, in the order of
// the text. They neither overlap nor conflict.
func (u *Update) Paths() iter.Seq[Path] {
	return func(yield func(Path) bool) {
		for _, path := range u.targets() {
			if !yield(path) {
				return
			}
		}
	}
}

// Reads returns the document paths that SET only looks at, in the order of
// the text.
func (u *Update) Reads() iter.Seq[Path] {
	return func(yield func(Path) bool) {
		if u == nil {
			return
		}
		for i := range u.actions {
			if !u.actions[i].source.visit(yield) {
				return
			}
		}
	}
}

// Creates reports whether an item that does not exist comes into being by the
// update, even if only with its key. AttributeUpdates that only delete have
// nothing to do then ("Legacy conditional parameters", AttributeUpdates); an
// update expression always creates, and so does no update at all.
func (u *Update) Creates() bool {
	return u == nil || !u.legacy || slices.ContainsFunc(u.actions, func(a action) bool {
		return a.verb == setVerb || a.verb == addVerb
	})
}

// Constant returns the value that the update sets a top-level attribute to,
// if that does not depend on the item.
func (u *Update) Constant(attr string) (item.Value, bool) {
	for i := range u.actions {
		a := &u.actions[i]
		if a.verb == setVerb && a.source.op == fromValue && len(a.path) == 1 && a.path.Top() == attr {
			return a.source.value, true
		}
	}
	return nil, false
}

func (s *source) visit(yield func(Path) bool) bool {
	if s.path != nil && !yield(s.path) {
		return false
	}
	for i := range s.args {
		if !s.args[i].visit(yield) {
			return false
		}
	}
	return true
}

func (u *Update) targets() []Path {
	if u == nil {
		return nil
	}
	paths := make([]Path, len(u.actions))
	for i := range u.actions {
		paths[i] = u.actions[i].path
	}
	return paths
}
