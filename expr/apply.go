package expr

import (
	"slices"

	"github.com/statordb/stator/item"
)

// Errors that depend on the item.
var (
	errInvalidPath   = &Error{"The document path provided in the update expression is invalid for update"}
	errNoAttribute   = &Error{"The provided expression refers to an attribute that does not exist in the item"}
	errOperandType   = &Error{"An operand in the update expression has an incorrect data type"}
	errAttributeType = &Error{"Type mismatch for attribute to update"} // AttributeUpdates
	errDepth         = &Error{item.MsgDepth}
)

// Apply returns the item as the update leaves it, by the rules of "Update
// expressions"; the error is an *Error. A nil item is one that does not exist: the result then has the attributes
// that the update creates, to which the caller adds the key.
//
// It works in two steps. First every action computes what will be at its path
// from the old item alone, so that SET a = b, b = a swaps. Then the new item
// is written in one pass over the old one, guided by the tree of all paths.
// Positions in lists are therefore positions in the old list, whatever else
// is removed or appended.
func (u *Update) Apply(old item.Item) (item.Item, error) {
	if u == nil {
		return old, nil
	}
	r := rewrite{update: u, after: make([]item.Value, len(u.actions)), created: old == nil}
	for i := range u.actions {
		v, err := u.result(&u.actions[i], old)
		if err != nil {
			return nil, err
		}
		r.after[i] = v
	}
	return r.members(old, u.tree)
}

// Project returns the parts of the item that the update's paths lead to, for
// ReturnValues UPDATED_OLD (of the item before) and UPDATED_NEW (after); nil
// if there are none.
//
// Paths mean the same in both items. So an element that was set beyond the
// end of a list is not returned, since it went to another position; and
// behind a removed element, the one that took its place is.
func (u *Update) Project(it item.Item) item.Item {
	if u == nil {
		return nil
	}
	if projected := u.tree.project(it); projected.Len() > 0 {
		return projected
	}
	return nil
}

// Step 1: what will be at the path of an action; nil for nothing.

func (u *Update) result(a *action, old item.Item) (item.Value, error) {
	switch a.verb {
	case setVerb:
		return a.source.eval(old)
	case addVerb:
		return u.add(a, old)
	case deleteVerb:
		return u.delete(a, old)
	}
	return nil, nil
}

// add: a missing number counts as 0, a missing set as empty.
func (u *Update) add(a *action, old item.Item) (item.Value, error) {
	operand := a.source.value
	v, ok := a.path.find(old)
	switch {
	case !ok:
		return operand, nil
	case v.Type() != operand.Type():
		return nil, u.mismatch()
	case v.Type() == item.N:
		return addNumbers(v, operand)
	case v.Type().IsSet():
		return item.Union(v, operand), nil
	case v.Type() == item.L && u.legacy:
		return concat(v, operand), nil
	}
	return nil, u.mismatch()
}

// delete: a set without elements disappears.
func (u *Update) delete(a *action, old item.Item) (item.Value, error) {
	operand := a.source.value
	v, ok := a.path.find(old)
	switch {
	case !ok:
		return nil, nil
	case v.Type() != operand.Type() || !v.Type().IsSet():
		return nil, u.mismatch()
	}
	rest, _ := item.Difference(v, operand)
	return rest, nil
}

func (u *Update) mismatch() error {
	if u.legacy {
		return errAttributeType
	}
	return errOperandType
}

func (s *source) eval(old item.Item) (item.Value, error) {
	switch s.op {
	case fromValue:
		return s.value, nil
	case fromPath:
		if v, ok := s.path.find(old); ok {
			return v, nil
		}
		return nil, errNoAttribute
	case ifNotExists:
		if v, ok := s.path.find(old); ok {
			return v, nil
		}
		return s.args[0].eval(old)
	}
	return s.combine(old)
}

// combine evaluates an operator of two operands.
func (s *source) combine(old item.Item) (item.Value, error) {
	left, err := s.args[0].eval(old)
	if err != nil {
		return nil, err
	}
	right, err := s.args[1].eval(old)
	if err != nil {
		return nil, err
	}
	want := item.N
	if s.op == listAppend {
		want = item.L
	}
	switch {
	case left.Type() != want || right.Type() != want:
		return nil, errOperandType
	case s.op == listAppend:
		return concat(left, right), nil
	case s.op == sum:
		return addNumbers(left, right)
	}
	return number(left.Number().Sub(right.Number()))
}

// concat returns a list of the elements of both lists.
func concat(v, w item.Value) item.Value {
	elements := make([]item.Value, 0, v.Len()+w.Len())
	elements = slices.AppendSeq(elements, v.Elements())
	return item.List(slices.AppendSeq(elements, w.Elements())...)
}

func addNumbers(v, w item.Value) (item.Value, error) {
	return number(v.Number().Add(w.Number()))
}

// number turns the result of arithmetic into a value. It fails if the result
// is out of range or needs more than 38 digits; nothing is ever rounded.
func number(n item.Number, err error) (item.Value, error) {
	if err != nil {
		return nil, &Error{err.Error()}
	}
	return item.FromNumber(n), nil
}

// Step 2: the new item.

// A rewrite copies an item and makes the changes on the way.
type rewrite struct {
	update  *Update
	after   []item.Value // by action: what will be at its path; nil for nothing
	created bool         // there was no item
}

// members copies the members of an item or map. Both the members and the
// branches are sorted by name.
func (r *rewrite) members(it item.Item, t tree) (item.Item, error) {
	var b item.Builder
	b.Grow(it.Len()+len(t), len(it))
	for name, v := range it.All() {
		for len(t) > 0 && t[0].Name < name {
			if err := r.addMember(&b, &t[0]); err != nil {
				return nil, err
			}
			t = t[1:]
		}
		if len(t) > 0 && t[0].Name == name {
			var err error
			if v, err = r.change(v, &t[0]); err != nil {
				return nil, err
			}
			t = t[1:]
		}
		if v != nil {
			b.Set(name, v)
		}
	}
	for i := range t {
		if err := r.addMember(&b, &t[i]); err != nil {
			return nil, err
		}
	}
	return b.Item(), nil
}

// addMember handles a branch whose member is missing.
func (r *rewrite) addMember(b *item.Builder, br *branch) error {
	v, err := r.create(br)
	if err == nil && v != nil {
		b.Set(br.Name, v)
	}
	return err
}

// elements copies the elements of a list. What is set beyond its end is
// appended, lower positions first.
func (r *rewrite) elements(list item.Value, t tree) (item.Value, error) {
	var kept []item.Value
	i := 0
	for v := range list.Elements() {
		if len(t) > 0 && t[0].Index == i {
			var err error
			if v, err = r.change(v, &t[0]); err != nil {
				return nil, err
			}
			t = t[1:]
		}
		if v != nil {
			kept = append(kept, v)
		}
		i++
	}
	for i := range t {
		v, err := r.create(&t[i])
		if err != nil {
			return nil, err
		}
		if v != nil {
			kept = append(kept, v)
		}
	}
	return item.List(kept...), nil
}

// change returns what becomes of v, nil if it is removed.
func (r *rewrite) change(v item.Value, b *branch) (item.Value, error) {
	switch {
	case b.isLeaf():
		return r.leaf(b)
	case v.Type() == item.L && b.below.ofList():
		return r.elements(v, b.below)
	case v.Type() == item.M && !b.below.ofList():
		m, err := r.members(v.Item(), b.below)
		return item.MapOf(m), err
	}
	return nil, errInvalidPath
}

// create returns what appears where nothing was. A path cannot lead through
// that; but if the whole item is missing, there is nothing to remove, and
// removing nothing is no error.
func (r *rewrite) create(b *branch) (item.Value, error) {
	switch {
	case b.isLeaf():
		return r.leaf(b)
	case r.created && r.removesOnly(b.below):
		return nil, nil
	}
	return nil, errInvalidPath
}

func (r *rewrite) removesOnly(t tree) bool {
	for i := range t {
		if t[i].isLeaf() {
			v := r.update.actions[t[i].path].verb
			if v != removeVerb && v != deleteVerb {
				return false
			}
		} else if !r.removesOnly(t[i].below) {
			return false
		}
	}
	return true
}

// leaf returns what will be where a path ends.
func (r *rewrite) leaf(b *branch) (item.Value, error) {
	v := r.after[b.path]
	level := len(r.update.actions[b.path].path)
	if v != nil && level > 1 && level-1+v.Depth() > item.MaxDepth {
		return nil, errDepth
	}
	return v, nil
}
