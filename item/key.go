package item

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// AppendKey appends the order-preserving bytes of an S, N or B value: bytes
// compare as the values do. The bytes of strings and binaries do not say where
// they end, so this form is for the last part of a key.
func AppendKey(dst []byte, v Value) []byte { return append(dst, v.payload()...) }

// KeyValue returns the value of type t that b, made by AppendKey, stands for.
// The error wraps ErrMalformed.
func KeyValue(t Type, b []byte) (Value, error) {
	switch {
	case !t.IsKey():
		return nil, fmt.Errorf("%w: key of type %s", ErrMalformed, t)
	case t == S && !utf8.Valid(b):
		return nil, fmt.Errorf("%w: key is not UTF-8", ErrMalformed)
	}
	if t == N {
		if size, ok := numberLen(b); !ok || size != len(b) {
			return nil, fmt.Errorf("%w: key is not a number", ErrMalformed)
		}
	}
	return append(header(t, len(b)), b...), nil
}

// AppendKeyPart appends the bytes of an S, N or B value in a form that orders as
// AppendKey does and says where it ends, so that other parts of a key can follow:
//
//	S, B   | each byte, and after each 0 a 0xFF | 0 | 0 |
//	N      | number |
//
// A value that continues a shorter one is above it: where the shorter one ends
// with 0 0, it has a byte above 0, or 0 0xFF.
func AppendKeyPart(dst []byte, v Value) []byte {
	dst = AppendKeyPrefix(dst, v)
	if v.Type() != N {
		dst = append(dst, 0, 0)
	}
	return dst
}

// AppendKeyPrefix appends what AppendKeyPart makes of all values that begin
// with v, an S or B, begins with.
func AppendKeyPrefix(dst []byte, v Value) []byte {
	p := v.payload()
	if v.Type() == N {
		return append(dst, p...)
	}
	for {
		zero := bytes.IndexByte(p, 0)
		if zero < 0 {
			return append(dst, p...)
		}
		dst = append(append(dst, p[:zero+1]...), 0xff)
		p = p[zero+1:]
	}
}

// AppendPartitionKey appends the bytes of an S, N or B value in a form that
// says where it ends:
//
//	S, B   | size uvarint | bytes |
//	N      | number |
//
// Equal values have equal bytes; the order means nothing.
func AppendPartitionKey(dst []byte, v Value) []byte {
	p := v.payload()
	if v.Type() != N {
		dst = appendUvarint(dst, len(p))
	}
	return append(dst, p...)
}

// PartitionKeyValue splits a value of type t, made by AppendPartitionKey, off
// b. The error wraps ErrMalformed.
func PartitionKeyValue(t Type, b []byte) (v Value, rest []byte, err error) {
	size, width := 0, 0
	if t == N {
		size, _ = numberLen(b)
	} else if size, width, err = checkUvarint(b, len(b)); err != nil || size > len(b)-width {
		return nil, nil, fmt.Errorf("%w: size of a key", ErrMalformed)
	}
	if v, err = KeyValue(t, b[width:width+size]); err != nil {
		return nil, nil, err
	}
	return v, b[width+size:], nil
}
