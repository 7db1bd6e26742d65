package expr

import "github.com/statordb/stator/item"

// ParseUpdate parses an update expression. The error is an *Error.
//
// The grammar ("Update expressions"):
//
//	update     := section+                   each section at most once
//	section    := "SET" assignment ("," assignment)*
//	            | "REMOVE" path ("," path)*
//	            | ("ADD" | "DELETE") path ":value" ("," path ":value")*
//	assignment := path "=" value
//	value      := operand | operand ("+" | "-") operand | "(" value ")"
//	operand    := path | ":value" | function | "(" operand ")"
//	function   := word "(" operand ("," operand)* ")"
func ParseUpdate(text string, params *Params) (*Update, error) {
	if t, ok := params.cached(UpdateExpression, text); ok {
		return t.update, nil
	}
	if err := checkText(UpdateExpression, text); err != nil {
		return nil, err
	}
	p := newParser(UpdateExpression, text, params)
	u := &Update{actions: p.sections()}
	u.tree = p.merge(u.targets())
	if err := p.finish(); err != nil {
		return nil, err
	}
	p.remember(template{update: u})
	return u, nil
}

func (p *parser) sections() []action {
	actions := make([]action, 0, 4)
	var seen [verbs]bool
	for p.current.kind != endToken {
		v, ok := p.verb()
		if !ok {
			p.fail()
			break
		}
		if seen[v] {
			p.report(sectionTwice, "The \"%s\" section can only be used once in an update expression;", v)
		}
		seen[v] = true
		actions = p.section(actions, v)
	}
	return actions
}

func (p *parser) verb() (verb, bool) {
	for v := range verbs {
		if p.acceptKeyword(v.String()) {
			return v, true
		}
	}
	return 0, false
}

// section appends the actions of one section.
func (p *parser) section(actions []action, v verb) []action {
	actions = append(actions, p.action(v))
	for p.accept(comma) {
		actions = append(actions, p.action(v))
	}
	return actions
}

func (p *parser) action(v verb) action {
	a := action{verb: v, path: p.path()}
	switch v {
	case setVerb:
		p.expect(equal)
		a.source = p.value()
	case addVerb, deleteVerb:
		a.source = p.actionOperand(v)
	}
	return a
}

// actionOperand parses the constant of ADD or DELETE.
func (p *parser) actionOperand(v verb) source {
	if p.current.kind != valueToken {
		p.fail()
		return source{}
	}
	value, s := p.constant()
	p.checkActionOperand(v, value)
	return source{op: fromValue, value: value, slot: s}
}

// checkActionOperand reports a constant that ADD or DELETE does not take.
func (p *parser) checkActionOperand(v verb, value item.Value) {
	if value != nil && !v.takes(value.Type(), false) {
		p.report(wrongActionOperand, "Incorrect operand type for operator or function; "+
			"operator: %s, operand type: %s", v, longNames[value.Type()])
	}
}

// longNames are the names of types in messages about ADD and DELETE.
var longNames = map[item.Type]string{
	item.S: "STRING", item.N: "NUMBER", item.B: "BINARY",
	item.BOOL: "BOOLEAN", item.NULL: "NULL", item.L: "LIST", item.M: "MAP",
}

// arithmetic are the operators between two operands, by token.
var arithmetic = [tokenKinds]sourceOp{plus: sum, minus: difference}

// value parses the right-hand side of an assignment. It has one "+" or "-" at
// the most.
func (p *parser) value() source {
	left := p.sourceOperand(true)
	op := arithmetic[p.current.kind]
	if op == nothing {
		return left
	}
	if left.op == sum || left.op == difference {
		p.fail() // (a + b) - c
		return source{}
	}
	p.advance()
	p.operator()
	s := source{op: op, args: []source{left, p.sourceOperand(false)}}
	p.checkArguments(op, item.N, s.args)
	return s
}

// sourceOperand parses an operand; if whole, one that may be all of the
// right-hand side, so that parentheses may enclose a sum.
func (p *parser) sourceOperand(whole bool) source {
	if p.current.kind != leftParen {
		return p.sourceAtom()
	}
	open := p.open()
	parse := p.value
	if !whole {
		parse = func() source { return p.sourceOperand(false) }
	}
	s := parse()
	p.close(open)
	return s
}

// sourceAtom := path | ":value" | function
func (p *parser) sourceAtom() source {
	switch {
	case p.current.kind == valueToken:
		v, s := p.constant()
		return source{op: fromValue, value: v, slot: s}
	case p.current.kind != wordToken || p.atKeyword():
		return source{op: fromPath, path: p.path()}
	}
	word := p.advance()
	if p.current.kind == leftParen {
		return p.sourceCall(word.text)
	}
	return source{op: fromPath, path: p.pathFrom(p.attribute(word))}
}

// sourceCall parses the operands of a function whose name has been read.
func (p *parser) sourceCall(name string) source {
	p.operator()
	args := p.sourceArguments()
	switch {
	case operandCount[name] != 0:
		p.report(unknownFunction, "The function is not allowed in an update expression; function: %s", name)
	case name != ifNotExists.String() && name != listAppend.String():
		p.report(unknownFunction, "Invalid function name; function: %s", name)
	case len(args) != 2:
		p.wrongCount(name, len(args))
	case name == listAppend.String():
		p.checkArguments(listAppend, item.L, args)
		return source{op: listAppend, args: args}
	default:
		return p.ifNotExists(args[0], args[1])
	}
	return source{}
}

func (p *parser) sourceArguments() []source {
	p.expect(leftParen)
	args := []source{p.sourceOperand(false)}
	for p.accept(comma) {
		args = append(args, p.sourceOperand(false))
	}
	p.expect(rightParen)
	return args
}

func (p *parser) ifNotExists(first, otherwise source) source {
	switch {
	case first.op != fromPath:
		p.needsPath(ifNotExists.String())
	case otherwise.op == fromPath:
		name := ifNotExists.String()
		p.distinct(name, operand{path: first.path}, operand{path: otherwise.path})
	case otherwise.op == listAppend:
		p.misplaced(listAppend.String())
	}
	return source{op: ifNotExists, path: first.path, args: []source{otherwise}}
}

// checkArguments reports constants of another type than the operator works on,
// and list_append where only if_not_exists may be nested.
func (p *parser) checkArguments(op sourceOp, want item.Type, args []source) {
	for i := range args {
		switch a := &args[i]; {
		case a.op == listAppend:
			p.misplaced(listAppend.String())
		case a.op == fromValue && a.value != nil && a.value.Type() != want:
			p.wrongType(op.String(), a.value.Type())
		}
	}
}
