package item

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// String returns an S value. Bytes that are not UTF-8 become U+FFFD.
func String(s string) Value {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return append(header(S, len(s)), s...)
}

// Bytes returns a B value.
func Bytes(b []byte) Value { return append(header(B, len(b)), b...) }

// Num returns the N value that text spells; see ParseNumber.
func Num(text string) (Value, error) {
	n, err := ParseNumber([]byte(text))
	if err != nil {
		return nil, err
	}
	return FromNumber(n), nil
}

// Int returns the N value of an integer.
func Int(n int64) Value {
	var text [20]byte                                                                                 // fits every int64
	v, _ := appendNumber(append(make([]byte, 0, 13), byte(N), 0), strconv.AppendInt(text[:0], n, 10)) // 19 digits at most: no error
	return closeValue(v, 0)
}

// FromNumber returns an N value.
func FromNumber(n Number) Value { return append(header(N, len(n)), n...) }

// Bool returns a BOOL value.
func Bool(b bool) Value {
	if b {
		return Value{byte(BOOL), 1, 1}
	}
	return Value{byte(BOOL), 1, 0}
}

// Null returns the NULL value.
func Null() Value { return Value{byte(NULL), 0} }

// header begins a value and leaves room for its payload.
func header(t Type, size int) Value {
	return appendHeader(make([]byte, 0, 1+uvarintWidth(size)+size), t, size)
}

// List returns an L value.
func List(elements ...Value) Value {
	size := uvarintWidth(len(elements))
	for _, e := range elements {
		size += len(e)
	}
	v := appendUvarint(header(L, size), len(elements))
	for _, e := range elements {
		v = append(v, e...)
	}
	return v
}

// Map returns an M value. Names must be neither empty nor longer than 65,535
// bytes; see Builder.Set.
func Map(m map[string]Value) Value { return MapOf(NewItem(m)) }

// MapOf returns an M value with the attributes of it.
func MapOf(it Item) Value {
	if len(it) == 0 {
		return Value{byte(M), 1, 0}
	}
	return append(header(M, len(it)), it...)
}

// NewItem returns an item with the given attributes; see Builder.Set.
func NewItem(m map[string]Value) Item {
	var b Builder
	for _, name := range slices.Sorted(maps.Keys(m)) {
		b.Set(name, m[name])
	}
	return b.Item()
}

// A Builder puts an item together attribute by attribute. The zero Builder is
// ready to use and can be used again after Reset. It is not safe for
// concurrent use.
type Builder struct {
	entries []byte
	refs    []ref
}

// Set adds an attribute; a later Set of the same name wins. It copies name and
// value. The name must be 1 to 65,535 bytes of UTF-8: parsers refuse others
// with an error, so a caller with names of its own making checks them.
func (b *Builder) Set(name string, v Value) {
	start := len(b.entries)
	b.entries = appendUvarint(b.entries, len(name))
	key := len(b.entries)
	b.entries = append(b.entries, name...)
	keyEnd := len(b.entries)
	b.entries = append(b.entries, v...)
	b.refs = append(b.refs, newRef(b.entries, start, key, keyEnd))
}

// Grow makes room for so many more attributes, whose names and values have
// bytes in all, so that setting them does not allocate.
func (b *Builder) Grow(attributes, bytes int) {
	b.refs = slices.Grow(b.refs, attributes)
	b.entries = slices.Grow(b.entries, bytes+attributes*maxNameLength)
}

// maxNameLength is what the length of a name takes at most.
const maxNameLength = 3

// Item returns the attributes set so far as an item of its own, and empties
// the Builder.
func (b *Builder) Item() Item { return Item(b.AppendItem(nil)) }

// AppendItem appends the bytes of the item to dst and empties the Builder.
func (b *Builder) AppendItem(dst []byte) []byte {
	entries := layOutItem(b.entries, 0, b.refs)
	dst = append(dst, entries...)
	b.entries = entries
	b.Reset()
	return dst
}

// Reset empties the Builder and keeps its memory.
func (b *Builder) Reset() {
	b.entries, b.refs = b.entries[:0], b.refs[:0]
}

// StringSet returns an SS value. It fails as DynamoDB does if there are no
// members or two are equal.
func StringSet(members ...string) (Value, error) {
	b := newSetBuilder(SS)
	for _, s := range members {
		b.add(String(s))
	}
	return b.value()
}

// NumberSet returns an NS value; see StringSet.
func NumberSet(members ...Number) (Value, error) {
	b := newSetBuilder(NS)
	for _, n := range members {
		b.add(FromNumber(n))
	}
	return b.value()
}

// BinarySet returns a BS value; see StringSet.
func BinarySet(members ...[]byte) (Value, error) {
	b := newSetBuilder(BS)
	for _, m := range members {
		b.add(Bytes(m))
	}
	return b.value()
}

// setBuilder puts a set together member by member.
type setBuilder struct {
	set  []byte // tag, room for the size, members
	refs []ref
}

func newSetBuilder(t Type) setBuilder { return setBuilder{set: []byte{byte(t), 0}} }

func (b *setBuilder) add(member Value) {
	start := len(b.set)
	b.set = append(b.set, member...)
	b.refs = append(b.refs, newRef(b.set, start, len(b.set)-len(member.payload()), len(b.set)))
}

func (b *setBuilder) value() (Value, error) {
	v, verr := closeSet(b.set, 0, b.refs)
	if verr != nil {
		return nil, verr
	}
	return v, nil
}

// closeSet completes the set that begins at dst[start:] with its tag, a byte
// kept free and the members that refs point at.
func closeSet(dst []byte, start int, refs []ref) ([]byte, *ValueError) {
	t := Type(dst[start])
	if len(refs) == 0 {
		return dst, emptySet(t)
	}
	dst, equal := layOutSet(dst, start+2, refs)
	if equal {
		return dst, duplicates(t, dst[start+2:])
	}
	return closeValue(dst, start), nil
}

func emptySet(t Type) *ValueError {
	switch t {
	case SS:
		return setError(invalidParameter + "An string set  may not be empty")
	case NS:
		return setError(invalidParameter + "An number set  may not be empty")
	}
	return setError(invalidParameter + "Binary sets should not be empty")
}

// duplicates returns the error for a set that was given as members.
func duplicates(t Type, members []byte) *ValueError {
	if t == NS {
		return setError("Input collection contains duplicates")
	}
	message := invalidParameter + "Input collection " + string(appendCollection(nil, members, false))
	if t == SS {
		return setError(message + " contains duplicates.")
	}
	return setError(message + "of type BS contains duplicates.") // no blank: so the service
}

// CheckName returns the *ValueError for a name that no attribute can have.
func CheckName(name []byte) error {
	if verr := checkName(name); verr != nil {
		return verr
	}
	return nil
}

func checkName(name []byte) *ValueError {
	switch {
	case len(name) == 0:
		return nameError("Empty attribute name")
	case len(name) > maxName:
		return nameError("Attribute name is too large, must be between 1 and 65535 bytes")
	}
	return nil
}

const maxName = 65535 // bytes
