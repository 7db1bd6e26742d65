package jsonscan

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	eachByte = 0x0101010101010101
	highBits = 0x8080808080808080
)

// plainRun returns how many leading bytes of b need no attention inside a
// string: neither quote, backslash nor control character. high reports whether
// a byte above 0x7F is among them (or shortly behind them).
//
// Eight bytes are looked at at a time. For a byte x, (x-k)&^x has its top bit
// set if x < k (or through a borrow from a lower byte that was): the lowest
// marked byte is exact, and only that one is used.
func plainRun(b []byte) (n int, high bool) {
	var seen uint64
	for len(b)-n >= 8 {
		w := binary.LittleEndian.Uint64(b[n:])
		if special := specials(w); special != 0 {
			return n + bits.TrailingZeros64(special)/8, (seen|w)&highBits != 0
		}
		seen |= w
		n += 8
	}
	for n < len(b) {
		c := b[n]
		if c < ' ' || c == '"' || c == '\\' {
			break
		}
		seen |= uint64(c)
		n++
	}
	return n, seen&highBits != 0
}

// specials marks, in the top bit of a byte, the lowest byte of w that is a
// control character, a quote or a backslash.
func specials(w uint64) uint64 {
	quote := w ^ eachByte*'"'
	slash := w ^ eachByte*'\\'
	control := (w - eachByte*' ') &^ w
	return (control | (quote-eachByte)&^quote | (slash-eachByte)&^slash) & highBits
}

// stringEnd returns the offset of the closing quote of the string whose inside
// begins at data[at:], and whether there are escapes before it. The text is
// known to be valid, so it looks for nothing else.
//
// Short strings are walked eight bytes at a time; the rest of a long one is
// left to bytes.IndexByte, which uses the widest instructions there are.
func stringEnd(data []byte, at int) (end int, escaped bool) {
	for range 4 {
		if at+8 > len(data) {
			break
		}
		w := binary.LittleEndian.Uint64(data[at:])
		quote, slash := w^eachByte*'"', w^eachByte*'\\'
		found := ((quote-eachByte)&^quote | (slash-eachByte)&^slash) & highBits
		if found == 0 {
			at += 8
			continue
		}
		at += bits.TrailingZeros64(found) / 8
		if data[at] == '"' {
			return at, false
		}
		return escapedEnd(data, at), true
	}
	end = at + bytes.IndexByte(data[at:], '"')
	if slash := bytes.IndexByte(data[at:end], '\\'); slash >= 0 {
		return escapedEnd(data, at+slash), true
	}
	return end, false
}

// escapedEnd is stringEnd from a backslash on. It never goes back, so that a
// string full of escapes takes linear time.
func escapedEnd(data []byte, at int) int {
	for data[at] != '"' {
		at += 2 // the backslash and the byte it protects
		n, _ := plainRun(data[at:])
		at += n
	}
	return at
}

// hexDigit maps a byte to its value as a hexadecimal digit, or to -1.
var hexDigit = func() (t [256]int8) {
	for i := range t {
		t[i] = -1
	}
	for i := range 10 {
		t['0'+i] = int8(i)
	}
	for i := range 6 {
		t['a'+i], t['A'+i] = int8(10+i), int8(10+i)
	}
	return t
}()

// AppendUnescaped appends the meaning of the inside of a valid JSON string.
// The result is never longer than inside.
//
// A \u escape that is half of a surrogate pair means nothing; it becomes
// U+FFFD, as it does when Java or JavaScript strings are written as UTF-8 by
// most encoders, so that what is stored is always valid UTF-8.
func AppendUnescaped(dst, inside []byte) []byte {
	for i := 0; i < len(inside); {
		n, _ := plainRun(inside[i:])
		dst = append(dst, inside[i:i+n]...)
		if i += n; i == len(inside) {
			break
		}
		c := inside[i+1]
		if c != 'u' {
			dst = append(dst, unescaped(c))
			i += 2
			continue
		}
		r := hex4(inside[i+2:])
		i += 6
		if utf16.IsSurrogate(r) {
			r, i = surrogate(r, inside, i)
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// surrogate completes the half r with a \u escape at inside[i:], if there is a
// fitting one, and returns the rune with the position after it.
func surrogate(r rune, inside []byte, i int) (rune, int) {
	if len(inside)-i >= 6 && inside[i] == '\\' && inside[i+1] == 'u' {
		if pair := utf16.DecodeRune(r, hex4(inside[i+2:])); pair != utf8.RuneError {
			return pair, i + 6
		}
	}
	return utf8.RuneError, i
}

func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c // quote, backslash, slash
}

func hex4(b []byte) rune {
	return rune(hexDigit[b[0]])<<12 | rune(hexDigit[b[1]])<<8 | rune(hexDigit[b[2]])<<4 | rune(hexDigit[b[3]])
}

// AppendString appends s as a JSON string, quoted and escaped: quotes,
// backslashes and control characters only; valid UTF-8 stays as it is. Bytes
// that are not UTF-8 become U+FFFD, since the output must be JSON.
func AppendString(dst, s []byte) []byte {
	start := len(dst)
	dst = append(dst, '"')
	foreign := false
	for i := 0; ; {
		n, high := plainRun(s[i:])
		foreign = foreign || high
		dst = append(dst, s[i:i+n]...)
		if i += n; i == len(s) {
			break
		}
		dst = appendEscape(dst, s[i])
		i++
	}
	dst = append(dst, '"')
	if foreign && !utf8.Valid(dst[start:]) {
		return appendReplaced(dst[:start], s)
	}
	return dst
}

// appendReplaced is AppendString for text that is known not to be UTF-8.
func appendReplaced(dst, s []byte) []byte {
	dst = append(dst, '"')
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		if r < ' ' || r == '"' || r == '\\' {
			dst = appendEscape(dst, s[0])
		} else {
			dst = utf8.AppendRune(dst, r) // RuneError is U+FFFD
		}
		s = s[n:]
	}
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	}
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
}
