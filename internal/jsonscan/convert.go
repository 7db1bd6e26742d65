package jsonscan

import (
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// Text consumes a value that must be a string; see Str for the result.
func (s *Scanner) Text() ([]byte, error) {
	if k := s.Peek(); k != String {
		return nil, Target{Shape: ShapeString}.Mismatch(k)
	}
	return s.Str(), nil
}

// Bool consumes a value that must be a boolean. As in DynamoDB, the strings
// true, yes, 1, false, no and 0 are booleans, too, in any case.
func (s *Scanner) Bool() (bool, error) {
	k := s.Peek()
	switch k {
	case True, False:
		s.Skip()
		return k == True, nil
	case String:
		if b, ok := boolWord(s.Str()); ok {
			return b, nil
		}
	}
	return false, Target{Shape: ShapeBoolean}.Mismatch(k)
}

func boolWord(text []byte) (value, ok bool) {
	if len(text) > len("false") {
		return false, false
	}
	var lower [len("false")]byte
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(text)]) {
	case "true", "yes", "1":
		return true, true
	case "false", "no", "0":
		return false, true
	}
	return false, false
}

// Int consumes a value that must be a number, for a target of shape
// ShapeInteger or ShapeLong. As in DynamoDB a fraction is rounded down. A
// number beyond the int64 range becomes the nearest end of it: whatever limit
// applies to the member refuses it then.
func (s *Scanner) Int(shape Shape) (int64, error) {
	switch k := s.Peek(); k {
	case Integer:
		text := string(s.Number())
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
		if text[0] == '-' {
			return math.MinInt64, nil
		}
		return math.MaxInt64, nil
	case Decimal:
		f, _ := strconv.ParseFloat(string(s.Number()), 64) // out of range gives ±Inf
		switch f = math.Floor(f); {
		case f >= math.MaxInt64:
			return math.MaxInt64, nil
		case f <= math.MinInt64:
			return math.MinInt64, nil
		}
		return int64(f), nil
	default:
		return 0, Target{Shape: shape}.Mismatch(k)
	}
}

// Float consumes a value that must be a number, for a target of shape
// ShapeDouble or ShapeTimestamp.
func (s *Scanner) Float(shape Shape) (float64, error) {
	switch k := s.Peek(); k {
	case Integer, Decimal:
		f, _ := strconv.ParseFloat(string(s.Number()), 64) // out of range gives ±Inf
		return f, nil
	default:
		return 0, Target{Shape: shape}.Mismatch(k)
	}
}

// AppendBlob consumes a value that must be a base64 string (RFC 4648 section
// 4: padded, canonical, without line breaks) and appends the bytes it means.
func (s *Scanner) AppendBlob(dst []byte) ([]byte, error) {
	if k := s.Peek(); k != String {
		return dst, Target{Shape: ShapeBlob}.Mismatch(k)
	}
	return appendBase64(dst, s.Str())
}

func appendBase64(dst, text []byte) ([]byte, error) {
	if len(text)%4 != 0 {
		return dst, &ConversionError{fmt.Sprintf("Base64 encoded length is expected a multiple of 4 bytes but found: %d", utf8.RuneCount(text))}
	}
	full := len(text) // the groups of four without padding
	if full > 0 && text[full-1] == '=' {
		full -= 4
	}
	for i := 0; i < full; i += 4 {
		g, ok := sextets(text[i], text[i+1], text[i+2], text[i+3])
		if !ok {
			return dst, errBase64
		}
		dst = append(dst, byte(g>>16), byte(g>>8), byte(g))
	}
	if full == len(text) {
		return dst, nil
	}
	return appendPadded(dst, text[full:])
}

// appendPadded appends what the last group, which ends in '=', stands for:
// one byte or two. The bits that the padding leaves over must be zero, so that
// bytes have one spelling only.
func appendPadded(dst, group []byte) ([]byte, error) {
	two := group[2] != '='
	third := group[2]
	if !two {
		third = 'A'
	}
	g, ok := sextets(group[0], group[1], third, 'A')
	switch {
	case !ok, two && g&0xFF != 0, !two && g&0xFFFF != 0:
		return dst, errBase64
	case two:
		return append(dst, byte(g>>16), byte(g>>8)), nil
	}
	return append(dst, byte(g>>16)), nil
}

// The misspelling is the service's.
var errBase64 = &ConversionError{"Invalid last non-pad Base64 character dectected"}

// sextets joins four base64 characters to 24 bits.
func sextets(a, b, c, d byte) (g uint32, ok bool) {
	w, x, y, z := base64Value[a], base64Value[b], base64Value[c], base64Value[d]
	return uint32(w)<<18 | uint32(x)<<12 | uint32(y)<<6 | uint32(z), w|x|y|z < 64
}

// base64Value maps a character of the standard alphabet to its value, and any
// other byte to 64.
var base64Value = func() (t [256]byte) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range t {
		t[i] = 64
	}
	for i := range len(alphabet) {
		t[alphabet[i]] = byte(i)
	}
	return t
}()
