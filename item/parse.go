package item

import (
	"github.com/statordb/stator/internal/jsonscan"
)

// ParseItem consumes an object of attribute values, {"a":{"S":"x"}, ...}, and
// appends its binary form to dst; the Item returned is the appended part. It
// lies in dst's array if there was room: as much as the JSON takes is enough
// in all but strange cases. dst may be nil.
//
// Errors are of two types, because DynamoDB reports the first kind before it
// looks at the second anywhere in the request:
//
//   - *jsonscan.ConversionError: a JSON value has the wrong kind. The
//     scanner's position is then of no use.
//   - *ValueError: the first value that DynamoDB refuses, depth first. The
//     object has been consumed, so scanning can go on.
//
// Members that are no tag are ignored, and null stands for an absent member.
func ParseItem(s *jsonscan.Scanner, dst []byte) (Item, error) {
	p := parser{s: *s, dst: room(s, dst)}
	base := len(p.dst)
	verr, err := p.attributes(1)
	*s = p.s
	if err != nil {
		return nil, err
	}
	if verr != nil {
		return nil, verr
	}
	return Item(p.dst[base:len(p.dst):len(p.dst)]), nil
}

// ParseValue is ParseItem for one value that is an element of a list or map.
func ParseValue(s *jsonscan.Scanner, dst []byte) (Value, error) {
	return parseValue(s, dst, true)
}

// ParseMember is ParseItem for one value that is a direct member of a
// structure. It differs from ParseValue in the texts of conversion errors.
func ParseMember(s *jsonscan.Scanner, dst []byte) (Value, error) {
	return parseValue(s, dst, false)
}

func parseValue(s *jsonscan.Scanner, dst []byte, nested bool) (Value, error) {
	p := parser{s: *s, dst: room(s, dst)}
	base := len(p.dst)
	verr, err := p.value(1, nested)
	*s = p.s
	if err != nil {
		return nil, err
	}
	if verr != nil {
		return nil, verr
	}
	return Value(p.dst[base:len(p.dst):len(p.dst)]), nil
}

// parser turns JSON into canonical bytes at the end of dst, depth first.
//
// Entries and members are written as they arrive, with a ref each; when their
// container ends they are put in order. After a ValueError the bytes written
// make no sense, but scanning goes on: conversion errors come first.
type parser struct {
	s    jsonscan.Scanner
	dst  []byte
	refs refStack // of the containers that are open, innermost last
}

// maxParts bounds the attributes and members of what is open at a time. Each
// takes at least a byte of an item's 400 KB, so what has more is refused as too
// large before it takes memory.
const maxParts = 1 << 19

// refStack is a stack of refs that stays on the goroutine's stack while it is
// small: a slice kept in a field would go to the heap with what it points at.
type refStack struct {
	n    int
	few  [24]ref
	many []ref // instead of few, once few is too small
}

func (st *refStack) push(r ref) {
	switch {
	case st.many != nil:
		st.many = append(st.many, r)
	case st.n < len(st.few):
		st.few[st.n] = r
	default:
		st.many = append(append(make([]ref, 0, 4*len(st.few)), st.few[:]...), r)
	}
	st.n++
}

// above returns the refs pushed since the stack had n. They are valid until
// the next push.
func (st *refStack) above(n int) []ref {
	if st.many != nil {
		return st.many[n:]
	}
	return st.few[n:st.n]
}

// drop takes the stack back to n refs.
func (st *refStack) drop(n int) {
	st.n = n
	if st.many != nil {
		st.many = st.many[:n]
	}
}

// room guesses that binary takes no more room than JSON. If dst has none, this
// is the only allocation in most cases.
func room(s *jsonscan.Scanner, dst []byte) []byte {
	const most = 64 << 10
	if cap(dst) == 0 {
		return make([]byte, 0, min(s.Rest()+16, most))
	}
	return dst
}

var attributesTarget = jsonscan.Target{Shape: jsonscan.ShapeMap, Type: "AttributeValue"}

// attributes parses a map of values at the given level into an item.
func (p *parser) attributes(level int) (verr *ValueError, err error) {
	if k := p.s.Peek(); k != jsonscan.Object {
		return nil, attributesTarget.Mismatch(k)
	}
	base, open := len(p.dst), p.refs.n
	p.s.EnterObject()
	for name, ok := p.s.NextMember(); ok; name, ok = p.s.NextMember() {
		bad, err := p.attribute(name, level)
		if err != nil {
			return nil, err
		}
		if verr == nil && bad != nil {
			verr = bad
			if level == 1 {
				verr.Attr = string(name)
			}
		}
	}
	if verr == nil {
		p.dst = layOutItem(p.dst, base, p.refs.above(open))
	}
	p.refs.drop(open)
	return verr, nil
}

// attribute parses one attribute into an entry.
func (p *parser) attribute(name []byte, level int) (*ValueError, error) {
	start := len(p.dst)
	p.dst = appendUvarint(p.dst, len(name))
	key := len(p.dst)
	p.dst = append(p.dst, name...)
	keyEnd := len(p.dst)
	verr, err := p.value(level, true)
	if err != nil {
		return nil, err
	}
	if p.refs.n == maxParts {
		p.dst = p.dst[:start]
		return tooManyParts(), nil
	}
	p.refs.push(newRef(p.dst, start, key, keyEnd))
	if bad := checkName(name); bad != nil {
		return bad, nil
	}
	return verr, nil
}

// value parses one value object. Of the errors it meets, the service reports
// those of the value's own tags first, then that there are none or several,
// then those of values inside.
func (p *parser) value(level int, nested bool) (*ValueError, error) {
	switch k := p.s.Peek(); {
	case k == jsonscan.Null:
		p.s.Skip()
		return noTag(), nil
	case k != jsonscan.Object:
		return nil, jsonscan.Target{Shape: jsonscan.ShapeStructure, Type: "AttributeValue", Nested: nested}.Mismatch(k)
	}
	if level > MaxDepth {
		p.s.Skip()
		return depthError(), nil
	}
	start := len(p.dst)
	var found Type
	var several bool
	var own, inner *ValueError
	p.s.EnterObject()
	for name, ok := p.s.NextMember(); ok; name, ok = p.s.NextMember() {
		t := TypeOf(string(name))
		if t == 0 || p.s.Peek() == jsonscan.Null {
			p.s.Skip()
			continue
		}
		several = several || found != 0 && found != t
		found = t
		p.dst = p.dst[:start]
		verr, err := p.tagged(t, level)
		switch {
		case err != nil:
			return nil, err
		case t == L || t == M:
			inner = verr
		case own == nil:
			own = verr
		}
	}
	switch {
	case own != nil:
		return own, nil
	case found == 0:
		return noTag(), nil
	case several:
		return formError("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"), nil
	}
	return inner, nil
}

func noTag() *ValueError {
	return formError("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
}

// tagged parses what belongs to a tag into a value of type t.
func (p *parser) tagged(t Type, level int) (*ValueError, error) {
	switch t {
	case S:
		return nil, p.text()
	case N:
		return p.number()
	case B:
		return nil, p.blob()
	case BOOL:
		b, err := p.s.Bool()
		p.dst = append(p.dst, Bool(b)...)
		return nil, err
	case NULL:
		return p.null()
	case L:
		return p.list(level)
	case M:
		start := len(p.dst)
		p.dst = append(p.dst, byte(M), 0)
		verr, err := p.attributes(level + 1)
		p.dst = closeValue(p.dst, start)
		return verr, err
	}
	return p.set(t)
}

func (p *parser) text() error {
	if k := p.s.Peek(); k != jsonscan.String {
		return jsonscan.Target{}.Mismatch(k)
	}
	inside, escaped := p.s.Quoted()
	if !escaped {
		p.dst = append(appendHeader(p.dst, S, len(inside)), inside...)
		return nil
	}
	start := len(p.dst)
	p.dst = jsonscan.AppendUnescaped(append(p.dst, byte(S), 0), inside)
	p.dst = closeValue(p.dst, start)
	return nil
}

func (p *parser) number() (*ValueError, error) {
	text, err := p.s.Text()
	if err != nil {
		return nil, err
	}
	start := len(p.dst)
	dst, verr := appendNumber(append(p.dst, byte(N), 0), text)
	p.dst = closeValue(dst, start)
	return verr, nil
}

func (p *parser) blob() error {
	start := len(p.dst)
	dst, err := p.s.AppendBlob(append(p.dst, byte(B), 0))
	p.dst = closeValue(dst, start)
	return err
}

func (p *parser) null() (*ValueError, error) {
	set, err := p.s.Bool()
	if err != nil {
		return nil, err
	}
	p.dst = append(p.dst, byte(NULL), 0)
	if !set {
		return formError(invalidParameter + "Null attribute value types must have the value of true"), nil
	}
	return nil, nil
}

// enterList begins an array or returns the error for what is there instead.
func (p *parser) enterList() error {
	if k := p.s.Peek(); k != jsonscan.Array {
		return jsonscan.Target{Shape: jsonscan.ShapeList}.Mismatch(k)
	}
	p.s.EnterArray()
	return nil
}

func (p *parser) list(level int) (verr *ValueError, err error) {
	if err := p.enterList(); err != nil {
		return nil, err
	}
	start, count := len(p.dst), 0
	p.dst = append(p.dst, byte(L), 0)
	for p.s.NextElement() {
		bad, err := p.value(level+1, true)
		if err != nil {
			return nil, err
		}
		if verr == nil {
			verr = bad
		}
		count++
	}
	p.dst = insertUvarint(p.dst, start+2, count)
	p.dst = closeValue(p.dst, start)
	return verr, nil
}

func (p *parser) set(t Type) (verr *ValueError, err error) {
	if err := p.enterList(); err != nil {
		return nil, err
	}
	start, open := len(p.dst), p.refs.n
	p.dst = append(p.dst, byte(t), 0)
	for p.s.NextElement() {
		bad, err := p.member(t)
		if err != nil {
			return nil, err
		}
		if verr == nil {
			verr = bad
		}
	}
	if verr == nil {
		p.dst, verr = closeSet(p.dst, start, p.refs.above(open))
	}
	p.refs.drop(open)
	return verr, nil
}

// member parses one member of a set of type t into a value.
func (p *parser) member(t Type) (verr *ValueError, err error) {
	if p.s.Peek() == jsonscan.Null {
		p.s.Skip()
		return nullMember(t), nil
	}
	start := len(p.dst)
	switch t {
	case SS:
		err = p.text()
	case NS:
		verr, err = p.number()
	default:
		err = p.blob()
	}
	if err == nil && p.refs.n == maxParts {
		p.dst = p.dst[:start]
		return tooManyParts(), nil
	}
	if err == nil {
		size := len(Value(p.dst[start:]).payload())
		p.refs.push(newRef(p.dst, start, len(p.dst)-size, len(p.dst)))
	}
	return verr, err
}

func tooManyParts() *ValueError { return formError(MsgItemSize) }

func nullMember(t Type) *ValueError {
	switch t {
	case SS:
		return setError(invalidParameter + "An string set may not have a null string as a member")
	case NS:
		return notNumeric(nil)
	}
	return setError(invalidParameter + "Binary sets may not contain null values")
}
