package item

import (
	"encoding/base64"

	"github.com/statordb/stator/internal/jsonscan"
)

// AppendJSON appends the item as DynamoDB writes it: {"a":{"S":"x"},...},
// attributes ascending by name, without blanks.
func (it Item) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	start := len(dst)
	var name []byte
	var v Value
	for b, n := it.entries(); n > 0; n-- {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		name, v, b = firstEntry(b)
		dst = append(jsonscan.AppendString(dst, name), ':')
		dst = v.AppendJSON(dst)
	}
	return append(dst, '}')
}

// AppendJSON appends the value as DynamoDB writes it: {"S":"x"}.
func (v Value) AppendJSON(dst []byte) []byte {
	t := v.Type()
	dst = append(dst, '{', '"')
	dst = append(dst, t.String()...)
	dst = append(dst, '"', ':')
	dst = v.appendPlain(dst, t)
	return append(dst, '}')
}

// appendPlain appends the value without its tag.
func (v Value) appendPlain(dst []byte, t Type) []byte {
	switch t {
	case S:
		return jsonscan.AppendString(dst, v.payload())
	case N:
		dst = v.Number().AppendText(append(dst, '"'))
		return append(dst, '"')
	case B:
		dst = base64.StdEncoding.AppendEncode(append(dst, '"'), v.payload())
		return append(dst, '"')
	case BOOL:
		if v.Bool() {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case NULL:
		return append(dst, "true"...)
	case M:
		return v.Item().AppendJSON(dst)
	}
	return v.appendArray(dst, t)
}

func (v Value) appendArray(dst []byte, t Type) []byte {
	dst = append(dst, '[')
	start := len(dst)
	for b := v.elements(); len(b) > 0; {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		var e Value
		e, b = first(b)
		if t == L {
			dst = e.AppendJSON(dst)
		} else {
			dst = e.appendPlain(dst, e.Type())
		}
	}
	return append(dst, ']')
}

// String returns the value in the style of error texts, where "AttributeValue: "
// stands before it: {S:x}, {N:1}, {L:[{S:a}, {S:b}]}, {M:{a={S:x}}}.
func (v Value) String() string {
	if v.Type() == 0 {
		return "{}"
	}
	return string(v.appendDebug(nil))
}

func (v Value) appendDebug(dst []byte) []byte {
	dst = append(dst, '{')
	dst = append(dst, v.Type().String()...)
	dst = append(dst, ':')
	return append(v.appendContent(dst), '}')
}

// appendContent appends what stands behind the tag in String.
func (v Value) appendContent(dst []byte) []byte {
	switch t := v.Type(); t {
	case S:
		return append(dst, v.payload()...)
	case N:
		return v.Number().AppendText(dst)
	case B:
		return base64.StdEncoding.AppendEncode(dst, v.payload())
	case M:
		return v.Item().appendDebug(dst)
	case L, SS, NS, BS:
		return appendCollection(dst, v.elements(), t == L)
	}
	return v.appendPlain(dst, v.Type()) // BOOL, NULL: a word
}

// appendCollection appends a sequence of values as in [a, b], or with tags as
// in [{S:a}, {S:b}].
func appendCollection(dst, values []byte, tags bool) []byte {
	dst = append(dst, '[')
	for b := values; len(b) > 0; {
		if len(b) < len(values) {
			dst = append(dst, ", "...)
		}
		var e Value
		if e, b = first(b); tags {
			dst = e.appendDebug(dst)
		} else {
			dst = e.appendContent(dst)
		}
	}
	return append(dst, ']')
}

// String returns the attributes in the style of Value.String: {a={S:x}, b={N:1}}.
func (it Item) String() string { return string(it.appendDebug(nil)) }

func (it Item) appendDebug(dst []byte) []byte {
	dst = append(dst, '{')
	start := len(dst)
	for name, v := range it.All() {
		if len(dst) > start {
			dst = append(dst, ", "...)
		}
		dst = append(append(dst, name...), '=')
		dst = v.appendDebug(dst)
	}
	return append(dst, '}')
}
