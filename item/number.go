package item

import "slices"

// A Number is a decimal number with up to 38 significant digits and a
// magnitude of 1E-130 to 9.99…E125, or zero.
//
// It is held in an order-preserving form (see the package comment): bytes
// compare as the numbers do, equal numbers have equal bytes, and the form
// says itself where it ends. At most 21 bytes long; a counter takes 2 to 6.
type Number []byte

const (
	maxDigits   = 38
	maxExponent = 125  // of the first digit
	minExponent = -130 // of the first digit

	// A number's head is 0x80 + pairBias + e for positive numbers with a
	// first pair at 100^e, and the complement for negative ones. The 128
	// exponents of either sign fill the byte.
	pairBias = 65
	maxPair  = 62
	negative = 0x80 // a head below this is a negative number's
)

// zero shares its head with the smallest numbers; its only pair is 0.
var zero = Number{negative, 0}

// ParseNumber returns the number that text spells: an optional sign, digits
// with an optional point, an optional exponent. Errors are *ValueError.
func ParseNumber(text []byte) (Number, error) {
	n, verr := appendNumber(nil, text)
	if verr != nil {
		return nil, verr
	}
	return n, nil
}

// appendNumber is ParseNumber appending to dst, which grows only on success.
func appendNumber(dst, text []byte) ([]byte, *ValueError) {
	d, ok := scanDecimal(text)
	if !ok {
		return dst, notNumeric(text)
	}
	if verr := d.checkRange(); verr != nil {
		return dst, verr
	}
	if d.digits == 0 {
		return append(dst, zero...), nil
	}
	return d.append(dst), nil
}

func notNumeric(text []byte) *ValueError {
	const message = "The parameter cannot be converted to a numeric value"
	if len(text) == 0 {
		return numberError(message)
	}
	return numberError(message + ": " + string(text))
}

// decimal is a number's text taken apart, without moving a digit.
type decimal struct {
	negative bool
	mantissa []byte // digits, maybe with a point
	point    int    // digits before the point; all of them without one
	first    int    // ordinal of the first digit that is not 0
	digits   int    // from the first to the last digit that is not 0; none: 0
	exponent int    // power of ten of the first digit; for 0, of the last one
}

// scanDecimal takes text apart; ok is false if it does not spell a number.
func scanDecimal(text []byte) (d decimal, ok bool) {
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		d.negative = text[0] == '-'
		text = text[1:]
	}
	total, last, size := d.scanMantissa(text)
	if total == 0 {
		return d, false
	}
	d.mantissa = text[:size]
	power, ok := scanExponent(text[size:])
	if !ok {
		return d, false
	}
	if last < 0 {
		d.exponent = power + d.point - total
		return d, true
	}
	d.digits = last - d.first + 1
	d.exponent = power + d.point - 1 - d.first
	return d, true
}

// scanMantissa counts the digits at the start of text and notes which matter.
// last is the ordinal of the last digit that is not 0, or -1.
func (d *decimal) scanMantissa(text []byte) (total, last, size int) {
	d.point, d.first, last = -1, -1, -1
	for _, c := range text {
		if digit := c - '0'; digit <= 9 {
			if digit != 0 {
				last = total
				if d.first < 0 {
					d.first = total
				}
			}
			total++
		} else if c == '.' && d.point < 0 {
			d.point = total
		} else {
			break
		}
		size++
	}
	if d.point < 0 {
		d.point = total
	}
	return total, last, size
}

// scanExponent reads nothing, or e, an optional sign and digits. Absurdly
// large exponents are cut off: still far out of range, but safe to add to.
func scanExponent(text []byte) (power int, ok bool) {
	if len(text) == 0 {
		return 0, true
	}
	if text[0] != 'e' && text[0] != 'E' {
		return 0, false
	}
	text = text[1:]
	minus := len(text) > 0 && text[0] == '-'
	if minus || len(text) > 0 && text[0] == '+' {
		text = text[1:]
	}
	if len(text) == 0 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		power = min(power*10+int(c-'0'), 1<<40)
	}
	if minus {
		power = -power
	}
	return power, true
}

// checkRange refuses what DynamoDB cannot store. For zero it does as the
// service does, which judges 0e126 by the power of its last digit and refuses
// it, although 0.0e126 passes.
func (d *decimal) checkRange() *ValueError {
	switch {
	case d.exponent > maxExponent:
		return numberError(MsgOverflow)
	case d.digits > 0 && d.exponent < minExponent:
		return numberError("Number underflow. Attempting to store a number with magnitude smaller than supported range")
	case d.digits > maxDigits:
		return numberError("Attempting to store more than 38 significant digits in a Number")
	}
	return nil
}

// append appends the order-preserving form.
func (d *decimal) append(dst []byte) []byte {
	start := len(dst)
	pair := d.exponent >> 1 // rounds down
	dst = append(dst, byte(negative+pairBias+pair))
	i := d.first
	stop := i + d.digits
	if d.exponent&1 == 0 { // the first digit is the low one of its pair
		dst = append(dst, d.digit(i)<<1|1)
		i++
	}
	for ; i < stop; i += 2 {
		p := d.digit(i) * 10
		if i+1 < stop {
			p += d.digit(i + 1)
		}
		dst = append(dst, p<<1|1)
	}
	dst[len(dst)-1] &^= 1
	if d.negative {
		complement(dst[start:])
	}
	return dst
}

// digit returns the digit with ordinal i.
func (d *decimal) digit(i int) byte {
	if i >= d.point {
		i++ // there is a point in front of it
	}
	return d.mantissa[i] - '0'
}

func complement(b []byte) {
	for i := range b {
		b[i] ^= 0xFF
	}
}

// Sign returns -1, 0 or +1.
func (n Number) Sign() int {
	switch {
	case n[0] < negative:
		return -1
	case n[0] == negative && n[1] == 0:
		return 0
	}
	return 1
}

// Size returns the number's size in bytes as DynamoDB bills it: one for the
// exponent and one per pair of digits around the decimal point, one more for
// a minus sign, 21 at most; 1 for zero.
func (n Number) Size() int {
	switch n.Sign() {
	case 0:
		return 1
	case -1:
		return min(len(n)+1, 21)
	}
	return len(n)
}

// unpack returns the sign, the power of 100 of the first pair, and a mask
// that, XORed with a byte of the form, undoes the complement.
func (n Number) unpack() (minus bool, pair int, mask byte) {
	if minus = n[0] < negative; minus {
		mask = 0xFF
	}
	return minus, int(n[0]^mask) - negative - pairBias, mask
}

// String returns the number in plain decimal notation.
func (n Number) String() string { return string(n.AppendText(nil)) }

// AppendText appends the number as DynamoDB returns it: plain decimal, no
// exponent, no superfluous zeros.
func (n Number) AppendText(dst []byte) []byte {
	if n.Sign() == 0 {
		return append(dst, '0')
	}
	minus, pair, mask := n.unpack()
	if minus {
		dst = append(dst, '-')
	}
	if pair < 0 {
		dst = append(dst, '0', '.')
		for i := pair + 1; i < 0; i++ {
			dst = append(dst, '0', '0')
		}
		return trimZero(appendPairs(dst, n[1:], mask))
	}
	dst = appendFirst(dst, n[1]^mask)
	whole := min(pair, len(n)-2) // pairs left of the point that are written out
	dst = appendPairs(dst, n[2:2+whole], mask)
	for range pair - whole {
		dst = append(dst, '0', '0')
	}
	if fraction := n[2+whole:]; len(fraction) > 0 {
		dst = append(dst, '.')
		dst = trimZero(appendPairs(dst, fraction, mask))
	}
	return dst
}

// appendFirst appends a pair that begins a number: no leading zero.
func appendFirst(dst []byte, pair byte) []byte {
	if p := pair >> 1; p < 10 {
		return append(dst, '0'+p)
	}
	return appendPairs(dst, []byte{pair}, 0)
}

func appendPairs(dst, pairs []byte, mask byte) []byte {
	for _, b := range pairs {
		p := (b ^ mask) >> 1
		dst = append(dst, '0'+p/10, '0'+p%10)
	}
	return dst
}

// trimZero drops the zero that the last pair of a fraction may end in.
func trimZero(dst []byte) []byte {
	if dst[len(dst)-1] == '0' {
		return dst[:len(dst)-1]
	}
	return dst
}

// numberLen returns how many bytes at the start of b are a number in canonical
// form; ok is false if none are.
func numberLen(b []byte) (size int, ok bool) {
	if len(b) < 2 {
		return 0, false
	}
	if b[0] == negative && b[1] == 0 {
		return 2, true
	}
	mask := byte(0)
	if b[0] < negative {
		mask = 0xFF
	}
	size = 1 + slices.IndexFunc(b[1:], func(c byte) bool { return (c^mask)&1 == 0 }) + 1
	if size < 2 {
		return 0, false
	}
	return size, canonicalPairs(b[1:size], mask)
}

func canonicalPairs(pairs []byte, mask byte) bool {
	digits := 2 * len(pairs)
	for _, b := range pairs {
		if (b^mask)>>1 > 99 {
			return false
		}
	}
	first, last := (pairs[0]^mask)>>1, (pairs[len(pairs)-1]^mask)>>1
	if first < 10 {
		digits--
	}
	if last%10 == 0 {
		digits--
	}
	return first != 0 && last != 0 && digits <= maxDigits
}
