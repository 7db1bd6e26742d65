package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// itemOf turns one JSON object into DynamoDB JSON: {"Item":{...}} and objects
// whose members are all typed values are taken as they are, others converted.
func itemOf(raw json.RawMessage, o Options) (map[string]json.RawMessage, error) {
	members, err := object(raw)
	if err != nil {
		return nil, errors.New("not a JSON object")
	}
	if inner, ok := members["Item"]; ok && len(members) == 1 {
		if typed, err := object(inner); err == nil && allTyped(typed) {
			return typed, nil
		}
	}
	if o.Format != FormatPlain && allTyped(members) {
		return members, nil
	}
	if o.Format == FormatTyped {
		return nil, errors.New("not in DynamoDB JSON")
	}
	item := make(map[string]json.RawMessage, len(members))
	for name, v := range members {
		if item[name], err = plainAttribute(v, o.typeOf(name, "")); err != nil {
			return nil, fmt.Errorf("attribute %q: %w", name, err)
		}
	}
	return item, nil
}

func object(raw json.RawMessage) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	if m == nil {
		return nil, errors.New("null")
	}
	return m, nil
}

var typeTags = map[string]bool{"S": true, "N": true, "B": true, "BOOL": true, "NULL": true,
	"L": true, "M": true, "SS": true, "NS": true, "BS": true}

// allTyped reports whether every member looks like {"S":...}.
func allTyped(members map[string]json.RawMessage) bool {
	for _, v := range members {
		one, err := object(v)
		if err != nil || len(one) != 1 {
			return false
		}
		for tag := range one {
			if !typeTags[tag] {
				return false
			}
		}
	}
	return len(members) > 0
}

// plainAttribute converts a top-level value; a key attribute takes its key's
// type, so that "004" may be stored as a number and 4 as a string.
func plainAttribute(raw json.RawMessage, want string) (json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	switch x := v.(type) {
	case string:
		if want != "" {
			return cellValue(want, x)
		}
	case json.Number:
		if want == "S" {
			return typed("S", x.String())
		}
	}
	return json.Marshal(plainValue(v))
}

// plainValue maps JSON's own types: string S, number N, true/false BOOL, null
// NULL, array L, object M. A number keeps its digits.
func plainValue(v any) map[string]any {
	switch x := v.(type) {
	case string:
		return map[string]any{"S": x}
	case json.Number:
		return map[string]any{"N": x.String()}
	case bool:
		return map[string]any{"BOOL": x}
	case []any:
		l := make([]any, len(x))
		for i := range x {
			l[i] = plainValue(x[i])
		}
		return map[string]any{"L": l}
	case map[string]any:
		m := make(map[string]any, len(x))
		for k := range x {
			m[k] = plainValue(x[k])
		}
		return map[string]any{"M": m}
	}
	return map[string]any{"NULL": true}
}

// cellTypes are the types a cell may have.
var cellTypes = []string{"S", "N", "B", "BOOL", "JSON"}

// cellValue converts text to a value of one of cellTypes.
func cellValue(typ, text string) (json.RawMessage, error) {
	if !utf8.ValidString(text) {
		return nil, errNotUTF8
	}
	switch typ {
	case "S", "B": // B is given in base64, as on the wire
		return typed(typ, text)
	case "N":
		return typed("N", strings.TrimSpace(text))
	case "BOOL":
		b, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(text)))
		if err != nil {
			return nil, fmt.Errorf("%q is not a BOOL", text)
		}
		return typed("BOOL", b)
	case "JSON":
		if !json.Valid([]byte(text)) {
			return nil, fmt.Errorf("%q is not JSON", text)
		}
		return plainAttribute(json.RawMessage(text), "")
	}
	return nil, fmt.Errorf("type %q is none of %s", typ, strings.Join(cellTypes, ", "))
}

func typed(tag string, v any) (json.RawMessage, error) {
	return json.Marshal(map[string]any{tag: v})
}
