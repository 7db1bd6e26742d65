package expr

import "github.com/statordb/stator/item"

// A Builder makes trees for another grammar than that of expressions, such as
// PartiQL's. It makes the checks that the parsers of expressions make while
// they build, in the same words but without "Invalid ...Expression: " in
// front; Err returns the one to report.
//
// A tree that was built is worth nothing if Err is not nil. A Builder is not
// safe for concurrent use; the trees are.
type Builder struct {
	checks  *parser // without a text: it only counts operators and keeps faults
	actions []action
}

// NewBuilder returns a Builder for one condition, one update, or one of both.
func NewBuilder() *Builder {
	return &Builder{checks: &parser{kind: UpdateExpression}} // the kind that ranks all faults
}

// Err returns the error of what was built, an *Error, or nil.
func (b *Builder) Err() error {
	if b.checks.fault == noFault {
		return nil
	}
	return &Error{b.checks.detail}
}

// Path returns the document path of these elements. The first must be a name,
// and no position may be larger than MaxIndex.
func (b *Builder) Path(elems ...PathElem) Path {
	b.checks.checkDepth(elems)
	return elems
}

// Operands.

// An Operand is one side of a comparison, or the argument of a function.
type Operand struct{ operand operand }

// PathOperand stands for what is at the path.
func PathOperand(p Path) Operand { return Operand{operand{path: p}} }

// ValueOperand stands for a constant.
func ValueOperand(v item.Value) Operand { return Operand{operand{value: v}} }

// IsPath reports whether the operand is a path and nothing else.
func (o Operand) IsPath() bool { return o.operand.isPath() }

// Size returns size(of).
func (b *Builder) Size(of Operand) Operand {
	b.checks.operator()
	return Operand{b.checks.size(of.operand)}
}

// Conditions.

// Compare returns left op right, for an op from EQ to GE.
func (b *Builder) Compare(op Op, left, right Operand) *Condition {
	b.checks.operator()
	c := &comparison{op, left.operand, right.operand}
	b.checks.distinct(op.symbol(), c.left, c.right)
	if op.ordered() {
		b.checks.comparable(op.symbol(), c.left, c.right)
	}
	return &Condition{c}
}

// Between returns subject BETWEEN lower AND upper.
func (b *Builder) Between(subject, lower, upper Operand) *Condition {
	b.checks.operator()
	c := &between{subject.operand, lower.operand, upper.operand}
	b.checks.distinct("BETWEEN", c.subject, c.lower, c.upper)
	b.checks.comparable("BETWEEN", c.subject, c.lower, c.upper)
	b.checks.checkBounds(c.lower, c.upper)
	return &Condition{c}
}

// In returns subject IN (list...); the list must not be empty. How long it may
// be is for the caller to check.
func (b *Builder) In(subject Operand, list ...Operand) *Condition {
	b.checks.operator()
	c := &in{subject: subject.operand, list: unwrap(list)}
	b.checks.distinct("IN", c.subject, c.list...)
	return &Condition{c}
}

func unwrap(list []Operand) []operand {
	all := make([]operand, len(list))
	for i := range list {
		all[i] = list[i].operand
	}
	return all
}

// Call returns the condition that is a call of a function, such as
// begins_with; nil if no function of this name is a condition.
func (b *Builder) Call(function string, args ...Operand) *Condition {
	want := operandCount[function]
	switch {
	case want == 0 || function == "size":
		return nil
	case len(args) != want:
		b.checks.wrongCount(function, len(args))
		return &Condition{or(nil)}
	}
	b.checks.operator()
	all := unwrap(args)
	b.checks.distinct(function, all[0], all[1:]...)
	p, _ := b.checks.function(function, all)
	return &Condition{p}
}

// IsType returns the condition that the operand has this type.
func (b *Builder) IsType(subject Operand, t item.Type) *Condition {
	b.checks.operator()
	return &Condition{&hasType{subject.operand, t}}
}

// Exists returns the condition that something is at the path.
func (b *Builder) Exists(p Path) *Condition {
	b.checks.operator()
	return &Condition{&exists{operand{path: p}, true}}
}

// Not returns the condition that c is not met.
func (b *Builder) Not(c *Condition) *Condition {
	b.checks.operator()
	return &Condition{not{c.root}}
}

// And returns the condition that all of the list are met. Nil conditions,
// which every item meets, may be in the list.
func (b *Builder) And(list ...*Condition) *Condition {
	var all and
	for _, c := range list {
		if c == nil {
			continue
		}
		if all != nil {
			b.checks.operator()
		}
		all = append(all, conjuncts(c.root)...)
	}
	return all.condition()
}

// Or returns the condition that one of the list, which must not be empty, is
// met.
func (b *Builder) Or(list ...*Condition) *Condition {
	if len(list) == 1 {
		return list[0]
	}
	all := make(or, len(list))
	for i, c := range list {
		b.checks.operator()
		all[i] = c.root
	}
	return &Condition{all}
}

// Updates.

// A Source is what SET assigns.
type Source struct{ source source }

// PathSource stands for what is at the path.
func PathSource(p Path) Source { return Source{source{op: fromPath, path: p}} }

// ValueSource stands for a constant.
func ValueSource(v item.Value) Source { return Source{source{op: fromValue, value: v}} }

// Constant returns the constant that the source is, if it is one.
func (s Source) Constant() (item.Value, bool) { return s.source.value, s.source.op == fromValue }

// Path returns the path that the source is, if it is one.
func (s Source) Path() (Path, bool) { return s.source.path, s.source.op == fromPath }

// Sum returns left + right.
func (b *Builder) Sum(left, right Source) Source { return b.combine(sum, item.N, left, right) }

// Difference returns left - right.
func (b *Builder) Difference(left, right Source) Source {
	return b.combine(difference, item.N, left, right)
}

// ListAppend returns list_append(left, right).
func (b *Builder) ListAppend(left, right Source) Source {
	return b.combine(listAppend, item.L, left, right)
}

func (b *Builder) combine(op sourceOp, want item.Type, left, right Source) Source {
	b.checks.operator()
	args := []source{left.source, right.source}
	b.checks.checkArguments(op, want, args)
	return Source{source{op: op, args: args}}
}

// IfNotExists returns if_not_exists(first, otherwise); first must be a path.
func (b *Builder) IfNotExists(first, otherwise Source) Source {
	b.checks.operator()
	return Source{b.checks.ifNotExists(first.source, otherwise.source)}
}

// Set adds SET path = s to the update.
func (b *Builder) Set(path Path, s Source) {
	b.actions = append(b.actions, action{setVerb, path, s.source})
}

// Remove adds REMOVE path to the update.
func (b *Builder) Remove(path Path) {
	b.actions = append(b.actions, action{removeVerb, path, source{}})
}

// Add adds ADD path v to the update.
func (b *Builder) Add(path Path, v item.Value) { b.act(addVerb, path, v) }

// Delete adds DELETE path v to the update.
func (b *Builder) Delete(path Path, v item.Value) { b.act(deleteVerb, path, v) }

func (b *Builder) act(v verb, path Path, operand item.Value) {
	b.checks.checkActionOperand(v, operand)
	b.actions = append(b.actions, action{v, path, source{op: fromValue, value: operand}})
}

// Update returns the update of the actions added so far.
func (b *Builder) Update() *Update {
	u := &Update{actions: b.actions}
	u.tree = b.checks.merge(u.targets())
	return u
}

// NewProjection returns the projection to top-level attributes. None of the
// names may be empty; repeated ones count once.
func NewProjection(names ...string) *Projection {
	seen := make(map[string]bool, len(names))
	var paths []Path
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			paths = append(paths, attrPath(name))
		}
	}
	t, _ := newTree(paths)
	return &Projection{paths, t}
}
