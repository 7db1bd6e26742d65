package expr

import (
	"encoding/binary"

	"github.com/statordb/stator/item"
)

// Conditions and updates travel inside the commands of the replicated log, and
// filters and projections to the nodes that read, in this binary form. All
// replicas must read the same meaning from it, and logs
// outlive programs: whoever changes the form, or what one of its trees means,
// gives it a new version and keeps reading the old ones.
//
//	condition  | version 1B = 1 | predicate |
//	update     | version 1B = 1 | flags 1B: 1 = AttributeUpdates | count | actions |
//	projection | version 1B = 1 | count >= 1 | paths |
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
// form, so that a tree has exactly one encoding. The reader is decode.go;
// testdata/trees.v1 holds samples.
const treeVersion = 1

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

// AppendBinary appends the binary form of the projection, which must not be
// nil.
func (p *Projection) AppendBinary(dst []byte) []byte {
	dst = appendCount(append(dst, treeVersion), len(p.paths))
	for _, path := range p.paths {
		dst = appendPath(dst, path)
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
