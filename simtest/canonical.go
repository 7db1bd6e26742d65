package simtest

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// canonical returns a body with the members of its objects in the order of their names.
// SDKs write maps in Go's order, which differs from run to run; the world would differ with
// it. What is not JSON stays as it is, and so do bodies whose names
// might not survive to be written again.
func canonical(body []byte) []byte {
	if !json.Valid(body) || !utf8.Valid(body) || bytes.Contains(body, []byte(`\ud`)) {
		return body
	}
	out, ok := appendCanonical(nil, body)
	if !ok {
		return body
	}
	return out
}

type member struct {
	name  string
	quote json.RawMessage // the name as JSON
	value json.RawMessage
}

// appendCanonical appends one value. Members of the same name keep their order: the
// service refuses them.
func appendCanonical(dst []byte, value json.RawMessage) (out []byte, ok bool) {
	value = bytes.TrimSpace(value)
	if len(value) == 0 || value[0] != '{' && value[0] != '[' {
		return append(dst, value...), true
	}
	d := json.NewDecoder(bytes.NewReader(value))
	if _, err := d.Token(); err != nil {
		return nil, false
	}
	var members []member
	object := value[0] == '{'
	for d.More() {
		var m member
		if object {
			token, err := d.Token()
			if err != nil {
				return nil, false
			}
			m.name, _ = token.(string)
			if m.quote, err = json.Marshal(m.name); err != nil {
				return nil, false
			}
		}
		if d.Decode(&m.value) != nil {
			return nil, false
		}
		members = append(members, m)
	}
	if object {
		slices.SortStableFunc(members, func(a, b member) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	}
	dst = append(dst, value[0])
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		if object {
			dst = append(append(dst, m.quote...), ':')
		}
		if dst, ok = appendCanonical(dst, m.value); !ok {
			return nil, false
		}
	}
	return append(dst, value[len(value)-1]), true
}
