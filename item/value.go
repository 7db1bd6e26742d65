package item

import (
	"bytes"
	"iter"
)

// A Value is one attribute value in canonical binary form: see the package
// comment. It is immutable, and safe for concurrent use as long as nobody
// writes to the bytes below it. Slices and values taken out of it alias it.
//
// The nil Value is no value; its Type is 0.
type Value []byte

// Type returns the value's type, 0 for no value.
func (v Value) Type() Type {
	if len(v) == 0 {
		return 0
	}
	return Type(v[0])
}

// payload returns what follows the tag and the size.
func (v Value) payload() []byte {
	i := 1
	for v[i] >= 0x80 {
		i++
	}
	return v[i+1:]
}

// Bytes returns the content of an S or B value. It aliases v.
func (v Value) Bytes() []byte { return v.payload() }

// Bool returns the content of a BOOL value.
func (v Value) Bool() bool { return v[2] == 1 }

// Number returns the content of an N value. It aliases v.
func (v Value) Number() Number { return Number(v.payload()) }

// Item returns the content of an M value. It aliases v.
func (v Value) Item() Item { return Item(v.payload()) }

// Len returns how many elements an L, M, SS, NS or BS value has, and 0 for
// other types.
func (v Value) Len() int {
	switch t := v.Type(); {
	case t == M:
		return v.Item().Len()
	case t == L || t.IsSet():
		n, _ := uvarint(v.payload())
		return n
	}
	return 0
}

// elements returns the values of a list or set, one after the other.
func (v Value) elements() []byte {
	p := v.payload()
	_, w := uvarint(p)
	return p[w:]
}

// first splits the first value off a sequence of values.
func first(b []byte) (v Value, rest []byte) {
	size, w := uvarint(b[1:])
	end := 1 + w + size
	return Value(b[:end:end]), b[end:]
}

// Elements returns the elements of a list in order, or the members of a set in
// ascending order as S, N or B values.
func (v Value) Elements() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if t := v.Type(); t != L && !t.IsSet() {
			return
		}
		for b := v.elements(); len(b) > 0; {
			var e Value
			if e, b = first(b); !yield(e) {
				return
			}
		}
	}
}

// Index returns element i of a list; ok is false beyond its end and for other
// types. It skips the elements before, so walking a list is for Elements.
func (v Value) Index(i int) (e Value, ok bool) {
	if v.Type() != L || i < 0 || i >= v.Len() {
		return nil, false
	}
	b := v.elements()
	for ; i > 0; i-- {
		_, b = first(b)
	}
	e, _ = first(b)
	return e, true
}

// Contains reports whether elem is a member of the set v. It is false if v is
// not a set or its members are not of elem's type.
func (v Value) Contains(elem Value) bool {
	if t := v.Type(); !t.IsSet() || t.Element() != elem.Type() {
		return false
	}
	want := elem.payload()
	for b := v.elements(); len(b) > 0; {
		var e Value
		e, b = first(b)
		switch c := bytes.Compare(e.payload(), want); {
		case c == 0:
			return true
		case c > 0:
			return false // ascending: it cannot come later
		}
	}
	return false
}

// Equal reports whether v and w are the same value: same type, same content,
// sets and maps without regard to order.
func (v Value) Equal(w Value) bool { return bytes.Equal(v, w) }

// Compare orders two values of the same type S, N or B: strings and binaries
// by unsigned bytes, numbers numerically. ok is false for all other pairs,
// which have no order.
func (v Value) Compare(w Value) (c int, ok bool) {
	if t := v.Type(); !t.IsKey() || t != w.Type() {
		return 0, false
	}
	return bytes.Compare(v.payload(), w.payload()), true
}

// Size returns the value's size in bytes as DynamoDB bills and limits it. It
// is not the length of the binary form.
func (v Value) Size() int {
	switch v.Type() {
	case S, B:
		return len(v.payload())
	case N:
		return v.Number().Size()
	case BOOL, NULL:
		return 1
	case L:
		return v.listSize()
	case M:
		it := v.Item()
		return 3 + it.Len() + it.Size()
	case SS, NS, BS:
		return v.setSize()
	}
	return 0
}

// listSize counts 3 bytes for the list and 1 for each element.
func (v Value) listSize() int {
	size := 3
	for b := v.elements(); len(b) > 0; {
		var e Value
		e, b = first(b)
		size += 1 + e.Size()
	}
	return size
}

func (v Value) setSize() int {
	size := 0
	for b := v.elements(); len(b) > 0; {
		var e Value
		e, b = first(b)
		size += e.Size()
	}
	return size
}

// Depth returns how many levels of values are nested in v: 1 for a scalar, a
// set or an empty list or map. DynamoDB allows MaxDepth.
func (v Value) Depth() int {
	deepest := 0
	switch v.Type() {
	case L:
		for b := v.elements(); len(b) > 0; {
			var e Value
			e, b = first(b)
			deepest = max(deepest, e.Depth())
		}
	case M:
		deepest = v.Item().Depth()
	}
	return 1 + deepest
}
