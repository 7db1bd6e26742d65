package api

import (
	"bytes"
	"strconv"
	"unsafe"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/jsonscan"
	"github.com/statordb/stator/item"
)

// appendName begins a member: name is quoted and followed by its colon.
func appendName(b []byte, start int, name string) []byte {
	if len(b) > start {
		b = append(b, ',')
	}
	return append(b, name...)
}

func appendString(b []byte, s string) []byte {
	return jsonscan.AppendString(b, unsafe.Slice(unsafe.StringData(s), len(s))) // read only
}

// appendDouble prints as the service does: 1.0, 0.5. Infinities cannot occur.
func appendDouble(b []byte, f float64) []byte {
	start := len(b)
	b = strconv.AppendFloat(b, f, 'f', -1, 64)
	if bytes.IndexByte(b[start:], '.') < 0 {
		b = append(b, ".0"...)
	}
	return b
}

// appendTime prints seconds since the Unix epoch with milliseconds:
// 1421866952.062. Trailing zeros are left out.
func appendTime(b []byte, t env.Time) []byte {
	return strconv.AppendFloat(b, float64(t.UnixMilli())/1000, 'f', -1, 64)
}

func appendStringElement(v *string, b []byte) []byte { return appendString(b, *v) }

func appendDoubleElement(v *float64, b []byte) []byte { return appendDouble(b, *v) }

func appendItemElement(v *item.Item, b []byte) []byte { return v.AppendJSON(b) }

func appendList[T any](b []byte, list []T, element func(*T, []byte) []byte) []byte {
	b = append(b, '[')
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = element(&list[i], b)
	}
	return append(b, ']')
}

// appendMap appends the members in the order of their names, so that equal
// answers have equal bytes.
func appendMap[T any](b []byte, m map[string]T, element func(*T, []byte) []byte) []byte {
	b = append(b, '{')
	for i, key := range sortedKeys(m) {
		if i > 0 {
			b = append(b, ',')
		}
		value := m[key]
		b = append(appendString(b, key), ':')
		b = element(&value, b)
	}
	return append(b, '}')
}
