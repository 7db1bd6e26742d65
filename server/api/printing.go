package api

import (
	"fmt"
	"maps"
	"slices"
)

// Violations quote the offending value. Structures look as Java prints them:
//
//	[KeySchemaElement(attributeName=a, keyType=HASH), ...]
//
// maxEcho bounds the text: a request of 16 MiB is not sent back.
const maxEcho = 64 << 10

func printOptional[T any](b []byte, o Optional[T]) []byte {
	if !o.Given {
		return append(b, "null"...)
	}
	return fmt.Append(b, o.Value)
}

func printString(v *string, b []byte) []byte { return append(b, *v...) }

func printPointer[T any](b []byte, v *T, print func(*T, []byte) []byte) []byte {
	if v == nil {
		return append(b, "null"...)
	}
	return print(v, b)
}

func printList[T any](b []byte, list []T, print func(*T, []byte) []byte) []byte {
	if list == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i := range list {
		if i > 0 {
			b = append(b, ", "...)
		}
		if len(b) > maxEcho {
			b = append(b, "..."...)
			break
		}
		b = print(&list[i], b)
	}
	return append(b, ']')
}

func printMap[T any](b []byte, m map[string]T, print func(*T, []byte) []byte) []byte {
	if m == nil {
		return append(b, "null"...)
	}
	b = append(b, '{')
	for i, key := range sortedKeys(m) {
		if i > 0 {
			b = append(b, ", "...)
		}
		if len(b) > maxEcho {
			b = append(b, "..."...)
			break
		}
		value := m[key]
		b = append(append(b, key...), '=')
		b = print(&value, b)
	}
	return append(b, '}')
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

func (v *Attributes) appendText(b []byte) []byte {
	if !v.Given {
		return append(b, "null"...)
	}
	b = append(b, '{')
	first := true
	for name, value := range v.Item.All() {
		if !first {
			b = append(b, ", "...)
		}
		first = false
		if len(b) > maxEcho {
			b = append(b, "..."...)
			break
		}
		b = append(append(b, name...), '=')
		b = append(b, value.String()...)
	}
	return append(b, '}')
}

func (v *Value) appendText(b []byte) []byte {
	if !v.Given || v.Err != nil {
		return append(b, "null"...)
	}
	return append(b, v.Value.String()...)
}
