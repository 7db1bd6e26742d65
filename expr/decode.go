package expr

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/statordb/stator/item"
)

// ErrMalformed means that bytes are not the binary form of a tree.
var ErrMalformed = errors.New("expr: malformed tree")

// ErrVersion means that a tree was written by a later version of the program.
// A replica that meets it must not go on without understanding it.
var ErrVersion = errors.New("expr: tree of unknown version")

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
	n := d.count(0)
	u.actions = make([]action, 0, min(n, 16))
	for range n {
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

// DecodeProjection reads the binary form of a projection, which must be all of
// b. The error is ErrMalformed or ErrVersion.
func DecodeProjection(b []byte) (*Projection, error) {
	d, err := newDecoder(b)
	if err != nil {
		return nil, err
	}
	n := d.count(1)
	p := &Projection{paths: make([]Path, 0, min(n, 16))}
	for range n {
		p.paths = append(p.paths, d.path())
	}
	if err := d.finish(); err != nil {
		return nil, err
	}
	var apart bool
	if p.tree, apart = newTree(p.paths); !apart {
		return nil, fmt.Errorf("paths overlap: %w", ErrMalformed)
	}
	return p, nil
}

// maxTreeDepth is how deep trees are nested: each level takes an operator, and
// the innermost one is a condition or operand without.
const maxTreeDepth = maxOperators + 1

// A decoder reads trees from untrusted bytes. After the first failure it
// reads nothing but zeros.
//
// All that evaluation relies on holds of a decoded tree as it does of a parsed
// one. Only constants of any type may stand where the parser would refuse
// them; they compare as false.
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
	n := d.count(2)
	list := make([]predicate, 0, min(n, 16))
	for range n {
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
	n := d.count(1)
	list := make([]operand, 0, min(n, 16))
	for range n {
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
		return PathElem{Index: d.number(MaxIndex)}
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
