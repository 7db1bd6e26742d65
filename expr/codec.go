package expr

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/statordb/stator/item"
)

// Conditions and updates travel inside the commands of the replicated log, in
// this binary form. All replicas must read the same meaning from it, and logs
// outlive programs: whoever changes the form, or what one of its trees means,
// gives it a new version and keeps reading the old ones.
//
//	condition | version 1B = 1 | predicate |
//	update    | version 1B = 1 | flags 1B: 1 = AttributeUpdates | count | actions |
//
//	predicate | tag 1B | fields |
//	  1 OR, 2 AND              | count >= 2 | predicates |
//	  3 NOT                    | predicate |
//	  4 comparison             | op 1B: 1 =, 2 <>, 3 <, 4 <=, 5 >, 6 >= | operand | operand |
//	  5 BETWEEN                | operand | lower operand | upper operand |
//	  6 IN                     | operand | count >= 1 | operands |
//	  7 attribute_exists, 8 attribute_not_exists | path |
//	  9 attribute_type         | operand | type 1B |
//	 10 begins_with, 11 contains | operand | operand |
//
//	operand   | tag 1B: 1 constant, 2 path, 3 size of a constant, 4 size of a path | value or path |
//
//	action    | verb 1B | path | fields |
//	  0 SET                    | source |
//	  1 REMOVE                 |
//	  2 ADD, 3 DELETE          | value |
//
//	source    | op 1B | fields |
//	  1 constant               | value |
//	  2 path                   | path |
//	  3 if_not_exists          | path | source |
//	  4 list_append, 5 +, 6 -  | source | source |
//
//	path      | count 1..32 | elements |
//	element   | size >= 1 | name |  or  | 0 | position |
//	value     | size | canonical form of package item |
//
// Counts, sizes and positions are unsigned LEB128 varints in their shortest
// form, so that a tree has exactly one encoding. Whatever holds of a parsed
// tree also holds of a decoded one, except that constants of any type may
// stand where the parser would refuse them: they compare as false.
const treeVersion = 1

// ErrMalformed means that bytes are not the binary form of a tree.
var ErrMalformed = errors.New("expr: malformed tree")

// ErrVersion means that a tree was written by a later version of the program.
// A replica that meets it must not go on without understanding it.
var ErrVersion = errors.New("expr: tree of unknown version")

const (
	orTag         = 1
	andTag        = 2
	notTag        = 3
	comparisonTag = 4
	betweenTag    = 5
	inTag         = 6
	existsTag     = 7
	notExistsTag  = 8
	hasTypeTag    = 9
	beginsWithTag = 10
	containsTag   = 11
)

const (
	constantTag     = 1
	pathTag         = 2
	constantSizeTag = 3
	pathSizeTag     = 4
)

const legacyFlag = 1

// AppendBinary appends the binary form of the condition, which must not be
// nil.
func (c *Condition) AppendBinary(dst []byte) []byte {
	return c.root.appendBinary(append(dst, treeVersion))
}

// AppendBinary appends the binary form of the update, which must not be nil.
func (u *Update) AppendBinary(dst []byte) []byte {
	dst = append(dst, treeVersion, 0)
	if u.legacy {
		dst[len(dst)-1] |= legacyFlag
	}
	dst = appendCount(dst, len(u.actions))
	for i := range u.actions {
		dst = u.actions[i].appendBinary(dst)
	}
	return dst
}

func appendCount(dst []byte, n int) []byte { return binary.AppendUvarint(dst, uint64(n)) }

func (p or) appendBinary(dst []byte) []byte  { return appendPredicates(append(dst, orTag), p) }
func (p and) appendBinary(dst []byte) []byte { return appendPredicates(append(dst, andTag), p) }

func appendPredicates(dst []byte, list []predicate) []byte {
	dst = appendCount(dst, len(list))
	for _, p := range list {
		dst = p.appendBinary(dst)
	}
	return dst
}

func (p not) appendBinary(dst []byte) []byte {
	return p.predicate.appendBinary(append(dst, notTag))
}

func (p *comparison) appendBinary(dst []byte) []byte {
	dst = append(dst, comparisonTag, byte(p.op))
	return p.right.appendBinary(p.left.appendBinary(dst))
}

func (p *between) appendBinary(dst []byte) []byte {
	dst = p.subject.appendBinary(append(dst, betweenTag))
	return p.upper.appendBinary(p.lower.appendBinary(dst))
}

func (p *in) appendBinary(dst []byte) []byte {
	dst = p.subject.appendBinary(append(dst, inTag))
	dst = appendCount(dst, len(p.list))
	for i := range p.list {
		dst = p.list[i].appendBinary(dst)
	}
	return dst
}

func (p *exists) appendBinary(dst []byte) []byte {
	tag := byte(notExistsTag)
	if p.want {
		tag = existsTag
	}
	return appendPath(append(dst, tag), p.subject.path)
}

func (p *hasType) appendBinary(dst []byte) []byte {
	return append(p.subject.appendBinary(append(dst, hasTypeTag)), byte(p.want))
}

func (p *beginsWith) appendBinary(dst []byte) []byte {
	return p.prefix.appendBinary(p.subject.appendBinary(append(dst, beginsWithTag)))
}

func (p *contains) appendBinary(dst []byte) []byte {
	return p.member.appendBinary(p.subject.appendBinary(append(dst, containsTag)))
}

func (o *operand) appendBinary(dst []byte) []byte {
	switch {
	case o.path == nil && o.sized:
		return appendValue(append(dst, constantSizeTag), o.value)
	case o.path == nil:
		return appendValue(append(dst, constantTag), o.value)
	case o.sized:
		return appendPath(append(dst, pathSizeTag), o.path)
	}
	return appendPath(append(dst, pathTag), o.path)
}

func appendPath(dst []byte, p Path) []byte {
	dst = appendCount(dst, len(p))
	for _, e := range p {
		dst = appendCount(dst, len(e.Name))
		if e.IsIndex() {
			dst = appendCount(dst, e.Index)
		}
		dst = append(dst, e.Name...)
	}
	return dst
}

func appendValue(dst []byte, v item.Value) []byte {
	return append(appendCount(dst, len(v)), v...)
}

func (a *action) appendBinary(dst []byte) []byte {
	dst = appendPath(append(dst, byte(a.verb)), a.path)
	switch a.verb {
	case setVerb:
		return a.source.appendBinary(dst)
	case addVerb, deleteVerb:
		return appendValue(dst, a.source.value)
	}
	return dst
}

func (s *source) appendBinary(dst []byte) []byte {
	dst = append(dst, byte(s.op))
	switch s.op {
	case fromValue:
		return appendValue(dst, s.value)
	case fromPath, ifNotExists:
		dst = appendPath(dst, s.path)
	}
	for i := range s.args {
		dst = s.args[i].appendBinary(dst)
	}
	return dst
}

// DecodeCondition reads the binary form of a condition, which must be all of
// b. The error is ErrMalformed or ErrVersion. The condition aliases b.
func DecodeCondition(b []byte) (*Condition, error) {
	d, err := newDecoder(b)
	if err != nil {
		return nil, err
	}
	c := &Condition{d.predicate()}
	if err := d.finish(); err != nil {
		return nil, err
	}
	return c, nil
}

// DecodeUpdate reads the binary form of an update, which must be all of b. The
// error is ErrMalformed or ErrVersion. The update aliases b.
func DecodeUpdate(b []byte) (*Update, error) {
	d, err := newDecoder(b)
	if err != nil {
		return nil, err
	}
	u := &Update{legacy: d.flags() == legacyFlag}
	for range d.count(0) {
		u.actions = append(u.actions, d.action(u.legacy))
	}
	if err := d.finish(); err != nil {
		return nil, err
	}
	tree, apart := newTree(u.targets())
	if !apart {
		return nil, fmt.Errorf("paths overlap: %w", ErrMalformed)
	}
	u.tree = tree
	return u, nil
}

// maxTreeDepth is how deep trees are nested: each level takes an operator, and
// the innermost one is a condition or operand without.
const maxTreeDepth = maxOperators + 1

// A decoder reads trees from untrusted bytes. After the first failure it
// reads nothing but zeros.
type decoder struct {
	rest  []byte
	size  int // of all bytes
	depth int // levels of predicates or sources entered
	err   error
}

func newDecoder(b []byte) (*decoder, error) {
	switch {
	case len(b) == 0:
		return nil, fmt.Errorf("no bytes: %w", ErrMalformed)
	case b[0] != treeVersion:
		return nil, fmt.Errorf("version %d: %w", b[0], ErrVersion)
	}
	return &decoder{rest: b[1:], size: len(b)}, nil
}

func (d *decoder) finish() error {
	if d.err == nil && len(d.rest) > 0 {
		d.fail("trailing bytes")
	}
	return d.err
}

func (d *decoder) fail(reason string) {
	if d.err == nil {
		d.err = fmt.Errorf("byte %d: %s: %w", d.size-len(d.rest), reason, ErrMalformed)
	}
	d.rest = nil
}

// enter and leave bracket one level of nesting.
func (d *decoder) enter() {
	if d.depth++; d.depth > maxTreeDepth {
		d.fail("nested too deep")
	}
}

func (d *decoder) leave() { d.depth-- }

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail("unexpected end")
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) flags() byte {
	f := d.byte()
	if f > legacyFlag {
		d.fail("unknown flags")
	}
	return f
}

// number reads a varint of at most limit.
func (d *decoder) number(limit int) int {
	n, width := binary.Uvarint(d.rest)
	if width <= 0 || n > uint64(limit) || width > 1 && d.rest[width-1] == 0 {
		d.fail("bad number")
		return 0
	}
	d.rest = d.rest[width:]
	return int(n)
}

// count reads how many things of at least one byte follow.
func (d *decoder) count(least int) int {
	n := d.number(len(d.rest))
	if n < least {
		d.fail("too few")
	}
	return n
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.rest) {
		d.fail("unexpected end")
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) predicate() predicate {
	d.enter()
	defer d.leave()
	switch tag := d.byte(); tag {
	case orTag:
		return or(d.predicates())
	case andTag:
		return and(d.predicates())
	case notTag:
		return not{d.predicate()}
	case comparisonTag:
		return &comparison{d.comparator(), d.operand(), d.operand()}
	case betweenTag:
		return &between{d.operand(), d.operand(), d.operand()}
	case inTag:
		return &in{d.operand(), d.operands()}
	case existsTag, notExistsTag:
		return &exists{operand{path: d.path()}, tag == existsTag}
	case hasTypeTag:
		return &hasType{d.operand(), d.valueType()}
	case beginsWithTag:
		return &beginsWith{d.operand(), d.operand()}
	case containsTag:
		return &contains{d.operand(), d.operand()}
	}
	d.fail("unknown predicate")
	return nil
}

func (d *decoder) predicates() []predicate {
	var list []predicate
	for range d.count(2) {
		list = append(list, d.predicate())
	}
	return list
}

func (d *decoder) comparator() Op {
	op := Op(d.byte())
	if op < EQ || op > GE {
		d.fail("unknown comparator")
	}
	return op
}

func (d *decoder) valueType() item.Type {
	t := item.Type(d.byte())
	if t < item.S || t > item.BS {
		d.fail("unknown type")
	}
	return t
}

func (d *decoder) operands() []operand {
	var list []operand
	for range d.count(1) {
		list = append(list, d.operand())
	}
	return list
}

func (d *decoder) operand() operand {
	switch tag := d.byte(); tag {
	case constantTag, constantSizeTag:
		return operand{value: d.value(), sized: tag == constantSizeTag}
	case pathTag, pathSizeTag:
		return operand{path: d.path(), sized: tag == pathSizeTag}
	}
	d.fail("unknown operand")
	return operand{}
}

func (d *decoder) path() Path {
	n := d.number(maxDepth)
	if n == 0 {
		d.fail("empty path")
	}
	path := make(Path, n)
	for i := range path {
		path[i] = d.elem()
	}
	if n > 0 && path[0].IsIndex() {
		d.fail("path without a name")
	}
	return path
}

func (d *decoder) elem() PathElem {
	n := d.number(maxNameBytes)
	if n == 0 {
		return PathElem{Index: d.number(maxIndex)}
	}
	name := string(d.bytes(n))
	if !utf8.ValidString(name) {
		d.fail("name is not UTF-8")
	}
	return PathElem{Name: name}
}

func (d *decoder) value() item.Value {
	v := item.Value(d.bytes(d.number(len(d.rest))))
	if err := item.CheckValue(v); err != nil {
		d.fail(err.Error())
	}
	return v
}

func (d *decoder) action(legacy bool) action {
	a := action{verb: verb(d.byte()), path: d.path()}
	switch a.verb {
	case setVerb:
		a.source = d.source()
	case removeVerb:
	case addVerb, deleteVerb:
		a.source = source{op: fromValue, value: d.value()}
		if t := a.source.value.Type(); !a.verb.takes(t, legacy) {
			d.fail("operand of a wrong type")
		}
	default:
		d.fail("unknown verb")
	}
	return a
}

func (d *decoder) source() source {
	d.enter()
	defer d.leave()
	s := source{op: sourceOp(d.byte())}
	switch s.op {
	case fromValue:
		s.value = d.value()
	case fromPath:
		s.path = d.path()
	case ifNotExists:
		s.path = d.path()
		s.args = []source{d.source()}
	case listAppend, sum, difference:
		s.args = []source{d.source(), d.source()}
	default:
		d.fail("unknown source")
	}
	return s
}
