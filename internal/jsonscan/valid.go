package jsonscan

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// ErrDepth means that arrays and objects are nested deeper than the limit.
var ErrDepth = errors.New("jsonscan: nested too deep")

// A SyntaxError says why and where a text is not JSON.
type SyntaxError struct {
	Offset int // of the byte that cannot stand where it stands; len(text) when the text ends too early
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("jsonscan: %s at offset %d", e.Reason, e.Offset)
}

// Valid checks that data is exactly one JSON value (RFC 8259) in valid UTF-8,
// with blanks around it allowed, whose arrays and objects are nested at most
// maxDepth deep. It returns a *SyntaxError or ErrDepth.
//
// It needs one bit of memory per level and no stack, so hostile nesting costs
// nothing but the bytes that were sent.
func Valid(data []byte, maxDepth int) error {
	v := validator{data: data}
	v.space()
	if err := v.values(maxDepth); err != nil {
		return err
	}
	v.space()
	if v.pos != len(data) {
		return v.fail("text after the value")
	}
	return nil
}

// validator walks a text once. Its methods advance pos past what they accept
// and report a failure with pos at the offending byte.
type validator struct {
	data []byte
	pos  int
	open nesting
}

func (v *validator) fail(reason string) error {
	return &SyntaxError{Offset: v.pos, Reason: reason}
}

// values accepts one value with everything inside it. The loop is the state
// "a value must follow"; after a value, closers and commas are eaten until
// either another value must follow or nothing is open any more.
func (v *validator) values(maxDepth int) error {
	for {
		opened, err := v.value(maxDepth)
		if err != nil {
			return err
		}
		if opened {
			continue
		}
		if done, err := v.next(); done || err != nil {
			return err
		}
	}
}

// value accepts a scalar, an empty container, or the opening of a container
// up to its first value; opened tells the last case.
func (v *validator) value(maxDepth int) (opened bool, err error) {
	if v.pos == len(v.data) {
		return false, v.fail("value expected, text ends")
	}
	switch c := v.data[v.pos]; {
	case c == '"':
		return false, v.string()
	case c == '{' || c == '[':
		return v.container(c, maxDepth)
	case c == '-' || isDigit(c):
		return false, v.number()
	case c == 't':
		return false, v.word("true")
	case c == 'f':
		return false, v.word("false")
	case c == 'n':
		return false, v.word("null")
	}
	return false, v.fail("value expected")
}

func (v *validator) container(opener byte, maxDepth int) (opened bool, err error) {
	if v.open.depth >= maxDepth {
		return false, ErrDepth
	}
	v.pos++
	v.space()
	if v.pos < len(v.data) && v.data[v.pos] == opener+2 { // '{'+2 == '}', '['+2 == ']'
		v.pos++
		return false, nil
	}
	v.open.push(opener == '{')
	if opener == '{' {
		return true, v.name()
	}
	return true, nil
}

// next accepts what may stand after a value: closers, or a comma and the name
// that precedes the next value. It is done when nothing is open.
func (v *validator) next() (done bool, err error) {
	for v.open.depth > 0 {
		v.space()
		if v.pos == len(v.data) {
			return false, v.fail("text ends inside an array or object")
		}
		object := v.open.top()
		c := v.data[v.pos]
		switch {
		case c == ',':
			v.pos++
			v.space()
			if object {
				return false, v.name()
			}
			return false, nil
		case object && c == '}', !object && c == ']':
			v.pos++
			v.open.pop()
		default:
			return false, v.fail("comma or closing bracket expected")
		}
	}
	return true, nil
}

// name accepts a member name and its colon.
func (v *validator) name() error {
	if v.pos == len(v.data) || v.data[v.pos] != '"' {
		return v.fail("member name expected")
	}
	if err := v.string(); err != nil {
		return err
	}
	v.space()
	if v.pos == len(v.data) || v.data[v.pos] != ':' {
		return v.fail("colon expected")
	}
	v.pos++
	v.space()
	return nil
}

func (v *validator) word(w string) error {
	end := v.pos + len(w)
	if end > len(v.data) || string(v.data[v.pos:end]) != w {
		return v.fail("value expected")
	}
	v.pos = end
	return nil
}

func (v *validator) number() error {
	if v.data[v.pos] == '-' {
		v.pos++
	}
	switch c := v.peek(); {
	case c == '0':
		v.pos++
	case isDigit(c):
		v.digits()
	default:
		return v.fail("digit expected")
	}
	if v.peek() == '.' {
		v.pos++
		if !v.digits() {
			return v.fail("digit expected")
		}
	}
	if c := v.peek(); c == 'e' || c == 'E' {
		v.pos++
		if c := v.peek(); c == '+' || c == '-' {
			v.pos++
		}
		if !v.digits() {
			return v.fail("digit expected")
		}
	}
	return nil
}

func (v *validator) digits() (some bool) {
	start := v.pos
	for v.pos < len(v.data) && isDigit(v.data[v.pos]) {
		v.pos++
	}
	return v.pos > start
}

// peek returns the next byte, 0 at the end of the text.
func (v *validator) peek() byte {
	if v.pos < len(v.data) {
		return v.data[v.pos]
	}
	return 0
}

func (v *validator) space() {
	v.pos = skipSpace(v.data, v.pos)
}

// string accepts a string. Bytes above 0x7F are only noted on the way and
// checked once per string: utf8.Valid is fast, and most strings have none.
func (v *validator) string() error {
	start := v.pos + 1
	v.pos = start
	foreign := false
	for {
		n, high := plainRun(v.data[v.pos:])
		foreign = foreign || high
		v.pos += n
		if v.pos == len(v.data) {
			return v.fail("text ends inside a string")
		}
		switch v.data[v.pos] {
		case '"':
			if foreign && !utf8.Valid(v.data[start:v.pos]) {
				return v.fail("string is not UTF-8")
			}
			v.pos++
			return nil
		case '\\':
			if err := v.escape(); err != nil {
				return err
			}
		default:
			return v.fail("control character in a string")
		}
	}
}

// escape accepts a backslash and what it introduces. Whether two \u escapes
// form a surrogate pair is not syntax; see Scanner.Str.
func (v *validator) escape() error {
	v.pos++
	switch v.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		v.pos++
		return nil
	case 'u':
		v.pos++
		for range 4 {
			if hexDigit[v.peek()] < 0 {
				return v.fail("hexadecimal digit expected")
			}
			v.pos++
		}
		return nil
	}
	return v.fail("unknown escape")
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func skipSpace(data []byte, pos int) int {
	for pos < len(data) && data[pos] <= ' ' && isSpace(data[pos]) {
		pos++
	}
	return pos
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// nesting is a stack of bits: for each open container, whether it is an
// object. The first 64 levels need no allocation.
type nesting struct {
	depth int
	low   uint64   // levels 0..63
	high  []uint64 // 64 levels each, above low
}

func (n *nesting) word(level int) *uint64 {
	if level < 64 {
		return &n.low
	}
	i := level/64 - 1
	if i == len(n.high) {
		n.high = append(n.high, 0)
	}
	return &n.high[i]
}

func (n *nesting) push(object bool) {
	w, bit := n.word(n.depth), uint64(1)<<(n.depth%64)
	if object {
		*w |= bit
	} else {
		*w &^= bit
	}
	n.depth++
}

func (n *nesting) pop() { n.depth-- }

func (n *nesting) top() (object bool) {
	level := n.depth - 1
	return *n.word(level)>>(level%64)&1 == 1
}
