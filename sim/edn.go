package sim

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// readEDN reads one value of the extensible data notation, and returns what follows it. It knows
// what histories have: a map becomes a map[string]any by the text of its keys, a vector, list or
// set a []any, a keyword or symbol its name as a string, a number an int64 or float64, nil a nil.
// Tags are skipped.
func readEDN(text string) (value any, rest string, err error) {
	r := ednReader{text: text}
	value = r.value(0)
	return value, r.text, r.err
}

// maxEDNDepth is how deep values may nest.
const maxEDNDepth = 100

// ednClosers are what ends a collection, by what begins it.
var ednClosers = map[byte]byte{'{': '}', '[': ']', '(': ')'}

type ednReader struct {
	text string
	err  error
}

func (r *ednReader) fail(format string, args ...any) any {
	if r.err == nil {
		r.err = fmt.Errorf("edn: "+format, args...)
	}
	r.text = ""
	return nil
}

// space skips what separates values: white space, commas and comments.
func (r *ednReader) space() {
	for {
		r.text = strings.TrimLeftFunc(r.text, func(c rune) bool { return c == ',' || unicode.IsSpace(c) })
		if !strings.HasPrefix(r.text, ";") {
			return
		}
		_, r.text, _ = strings.Cut(r.text, "\n")
	}
}

func (r *ednReader) value(depth int) any {
	r.space()
	if depth > maxEDNDepth {
		return r.fail("values nest deeper than %d", maxEDNDepth)
	}
	if r.text == "" {
		return r.fail("a value is missing")
	}
	switch c := r.text[0]; {
	case c == '"':
		return r.string()
	case c == '{':
		return r.mapping(r.list(depth))
	case c == '[' || c == '(':
		return r.list(depth)
	case strings.HasPrefix(r.text, "#{"):
		r.text = r.text[1:]
		return r.list(depth)
	case strings.HasPrefix(r.text, "#_"): // a comment on the next value
		r.text = r.text[2:]
		r.value(depth + 1)
		return r.value(depth + 1)
	case c == '#': // a tag
		r.word()
		return r.value(depth + 1)
	}
	return r.atom()
}

// list reads a collection.
func (r *ednReader) list(depth int) []any {
	end := ednClosers[r.text[0]]
	r.text = r.text[1:]
	list := []any{}
	for r.err == nil {
		r.space()
		if r.text != "" && r.text[0] == end {
			r.text = r.text[1:]
			break
		}
		list = append(list, r.value(depth+1))
	}
	return list
}

// mapping makes a map of keys and values by turns.
func (r *ednReader) mapping(list []any) any {
	if len(list)%2 != 0 {
		return r.fail("a map with a key that has no value")
	}
	m := map[string]any{}
	for i := 0; i < len(list); i += 2 {
		m[fmt.Sprint(list[i])] = list[i+1]
	}
	return m
}

// string reads a quoted text.
func (r *ednReader) string() any {
	var b strings.Builder
	for i := 1; i < len(r.text); i++ {
		switch c := r.text[i]; {
		case c == '"':
			r.text = r.text[i+1:]
			return b.String()
		case c != '\\':
			b.WriteByte(c)
		case i+1 < len(r.text):
			i++
			at := strings.IndexByte(`nrt"\`, r.text[i])
			if at < 0 {
				return r.fail(`\%c is not understood`, r.text[i])
			}
			b.WriteByte("\n\r\t\"\\"[at])
		}
	}
	return r.fail("a text without an end")
}

// word reads up to what can be no part of a name or a number.
func (r *ednReader) word() string {
	end := strings.IndexFunc(r.text, func(c rune) bool { return c == ',' || unicode.IsSpace(c) || strings.ContainsRune(`()[]{}";`, c) })
	if end < 0 {
		end = len(r.text)
	}
	word := r.text[:end]
	r.text = r.text[end:]
	return word
}

func (r *ednReader) atom() any {
	word := r.word()
	switch word {
	case "":
		c, _ := utf8.DecodeRuneInString(r.text)
		return r.fail("%q is not understood", c)
	case "nil":
		return nil
	case "true":
		return true
	case "false":
		return false
	}
	if n, err := strconv.ParseInt(strings.TrimSuffix(word, "N"), 10, 64); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(strings.TrimSuffix(word, "M"), 64); err == nil {
		return f
	}
	return strings.TrimPrefix(word, ":")
}

// ednEvent reads a line of a history as JSON would have been read.
func ednEvent(line string) (map[string]any, error) {
	value, rest, err := readEDN(line)
	if err != nil {
		return nil, err
	}
	m, isMap := value.(map[string]any)
	if !isMap || strings.TrimSpace(rest) != "" {
		return nil, errors.New("edn: not one map")
	}
	return m, nil
}
