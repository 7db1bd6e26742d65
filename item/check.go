package item

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// Check reports whether it is exactly the canonical form of an item that
// DynamoDB allows, so that the methods can be trusted with it. It is for bytes
// from disk or wire. The nil Item passes. The error wraps ErrMalformed.
//
// It does not check sizes that depend on use: the 400 KB of an item, the
// lengths of keys.
func Check(it Item) error {
	if len(it) == 0 {
		return nil
	}
	return checkItem(it, 1)
}

// CheckValue is Check for a value.
func CheckValue(v Value) error {
	rest, err := checkValue(v, 1)
	if err == nil && len(rest) > 0 {
		err = malformed("%d bytes after a value", len(rest))
	}
	return err
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// checkUvarint decodes a size or count that may be up to limit.
func checkUvarint(b []byte, limit int) (n, width int, err error) {
	x, width := binary.Uvarint(b)
	if width <= 0 || x > uint64(limit) {
		return 0, 0, malformed("size or count")
	}
	if width != uvarintWidth(int(x)) {
		return 0, 0, malformed("long form of a size or count")
	}
	return int(x), width, nil
}

// checkValue checks the value at the start of b and returns what follows it.
func checkValue(b []byte, level int) (rest []byte, err error) {
	if level > MaxDepth {
		return nil, malformed("nested deeper than %d", MaxDepth)
	}
	if len(b) == 0 {
		return nil, malformed("value missing")
	}
	size, width, err := checkUvarint(b[1:], len(b))
	if err != nil {
		return nil, err
	}
	if size > len(b)-1-width {
		return nil, malformed("value ends too early")
	}
	end := 1 + width + size
	return b[end:], checkPayload(Type(b[0]), b[1+width:end], level)
}

func checkPayload(t Type, p []byte, level int) error {
	switch t {
	case S:
		if !utf8.Valid(p) {
			return malformed("string is not UTF-8")
		}
	case N:
		if size, ok := numberLen(p); !ok || size != len(p) {
			return malformed("number")
		}
	case B:
	case BOOL:
		if len(p) != 1 || p[0] > 1 {
			return malformed("boolean")
		}
	case NULL:
		if len(p) != 0 {
			return malformed("null with content")
		}
	case L:
		return checkList(p, level)
	case M:
		return checkItem(p, level+1)
	case SS, NS, BS:
		return checkSet(t, p)
	default:
		return malformed("unknown tag %d", t)
	}
	return nil
}

func checkList(p []byte, level int) error {
	count, width, err := checkUvarint(p, len(p))
	if err != nil {
		return err
	}
	p = p[width:]
	for range count {
		if p, err = checkValue(p, level+1); err != nil {
			return err
		}
	}
	if len(p) > 0 {
		return malformed("more elements than counted")
	}
	return nil
}

func checkSet(t Type, p []byte) error {
	count, width, err := checkUvarint(p, len(p))
	if err != nil {
		return err
	}
	if count == 0 {
		return malformed("empty set")
	}
	p = p[width:]
	var last []byte
	for i := range count {
		if len(p) == 0 || Type(p[0]) != t.Element() {
			return malformed("member of a set")
		}
		rest, err := checkValue(p, 1)
		if err != nil {
			return err
		}
		member := Value(p[:len(p)-len(rest)]).payload()
		if i > 0 && bytes.Compare(last, member) >= 0 {
			return malformed("set is not ascending")
		}
		last, p = member, rest
	}
	if len(p) > 0 {
		return malformed("more members than counted")
	}
	return nil
}

// checkItem checks an item whose values are at the given level. The directory
// is checked against the entries, which are walked on their own.
func checkItem(it []byte, level int) error {
	code, width, err := checkUvarint(it, len(it)<<2|3)
	if err != nil {
		return err
	}
	if code&3 > layoutWide {
		return malformed("unknown layout %d", code&3)
	}
	h := head{count: code >> 2, wide: code&3 == layoutWide}
	h.width = width + h.count + h.count*endWidth(h.wide)
	if h.width > len(it) {
		return malformed("directory ends too early")
	}
	if want := newHead(h.count, len(it)-h.width); want != h {
		return malformed("wrong layout for its size")
	}
	var last []byte
	rest := it[h.width:]
	for i := range h.count {
		var name []byte
		if name, rest, err = checkEntry(rest, level); err != nil {
			return err
		}
		switch {
		case i > 0 && bytes.Compare(last, name) >= 0:
			return malformed("names are not ascending")
		case it[width+i] != printOf(name):
			return malformed("print of %q", name)
		case h.end(it, width, i) != len(it)-h.width-len(rest):
			return malformed("end of %q", name)
		}
		last = name
	}
	if len(rest) > 0 {
		return malformed("more entries than counted")
	}
	return nil
}

func checkEntry(b []byte, level int) (name, rest []byte, err error) {
	n, w, err := checkUvarint(b, maxName)
	if err != nil {
		return nil, nil, err
	}
	if n == 0 || n > len(b)-w {
		return nil, nil, malformed("name of %d bytes", n)
	}
	name = b[w : w+n]
	if !utf8.Valid(name) {
		return nil, nil, malformed("name is not UTF-8")
	}
	rest, err = checkValue(b[w+n:], level)
	return name, rest, err
}
