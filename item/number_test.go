package item

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"
)

func mustNumber(tb testing.TB, text string) Number {
	tb.Helper()
	n, err := ParseNumber([]byte(text))
	if err != nil {
		tb.Fatalf("ParseNumber(%q): %v", text, err)
	}
	return n
}

func TestNumberText(t *testing.T) {
	digits38 := "12345678901234567890123456789012345678"
	tests := []struct{ text, want string }{
		{"0", "0"}, {"-0", "0"}, {"+0", "0"}, {"0.0", "0"}, {"-0.000", "0"}, {"0e5", "0"}, {"0e125", "0"}, {"0.0e126", "0"}, {"0e-500", "0"}, {".0", "0"}, {"0.", "0"},
		{"1", "1"}, {"-1", "-1"}, {"+1", "1"}, {"9", "9"}, {"10", "10"}, {"99", "99"}, {"100", "100"}, {"101", "101"}, {"1000", "1000"},
		{"1e3", "1000"}, {"123e-2", "1.23"}, {"00042", "42"}, {".5", "0.5"}, {"5.", "5"}, {"100.000", "100"}, {"1E+2", "100"}, {"-1.50", "-1.5"},
		{"0.1", "0.1"}, {"0.01", "0.01"}, {"0.001", "0.001"}, {"0.10", "0.1"}, {"12.3456", "12.3456"}, {"123.456", "123.456"}, {"-0.00123", "-0.00123"}, {"1299.95", "1299.95"},
		{"0.1e126", "1" + strings.Repeat("0", 125)}, {"1e125", "1" + strings.Repeat("0", 125)}, {"-1e125", "-1" + strings.Repeat("0", 125)},
		{"9.9999999999999999999999999999999999999E+125", strings.Repeat("9", 38) + strings.Repeat("0", 88)},
		{"1e-130", "0." + strings.Repeat("0", 129) + "1"}, {"-1e-130", "-0." + strings.Repeat("0", 129) + "1"}, {"10e-131", "0." + strings.Repeat("0", 129) + "1"},
		{"1.5e-130", "0." + strings.Repeat("0", 129) + "15"}, {"1e-129", "0." + strings.Repeat("0", 128) + "1"},
		{digits38, digits38}, {digits38 + "000", digits38 + "000"}, {"0.0" + digits38, "0.0" + digits38}, {"1234567890123456789." + digits38[19:], "1234567890123456789." + digits38[19:]},
		{strings.Repeat("0", 1000) + "7" + strings.Repeat("0", 10) + "." + strings.Repeat("0", 1000), "70000000000"},
	}
	for _, tt := range tests {
		n := mustNumber(t, tt.text)
		if got := n.String(); got != tt.want {
			t.Errorf("ParseNumber(%q) = %s, want %s", tt.text, got, tt.want)
		}
		if size, ok := numberLen(n); !ok || size != len(n) {
			t.Errorf("numberLen(% x) = %d, %v, want %d", []byte(n), size, ok, len(n))
		}
	}
}

func TestNumberErrors(t *testing.T) {
	const (
		over    = "Number overflow. Attempting to store a number with magnitude larger than supported range"
		under   = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
		digits  = "Attempting to store more than 38 significant digits in a Number"
		numeric = "The parameter cannot be converted to a numeric value"
	)
	digits39 := "123456789012345678901234567890123456789"
	tests := []struct{ text, want string }{
		{"", numeric}, {" ", numeric + ":  "}, {"abc", numeric + ": abc"}, {"1 ", numeric + ": 1 "}, {" 1", numeric + ":  1"}, {"+", numeric + ": +"}, {"-", numeric + ": -"},
		{".", numeric + ": ."}, {"-.", numeric + ": -."}, {"1.2.3", numeric + ": 1.2.3"}, {"1e", numeric + ": 1e"}, {"1e+", numeric + ": 1e+"}, {"e5", numeric + ": e5"},
		{"1e5.0", numeric + ": 1e5.0"}, {"1e5e5", numeric + ": 1e5e5"}, {"--1", numeric + ": --1"}, {"+-1", numeric + ": +-1"}, {"0x10", numeric + ": 0x10"}, {"1_000", numeric + ": 1_000"}, {"1,0", numeric + ": 1,0"},
		{"NaN", numeric + ": NaN"}, {"Infinity", numeric + ": Infinity"}, {"-Infinity", numeric + ": -Infinity"}, {"١", numeric + ": ١"}, {"1e٣", numeric + ": 1e٣"},
		{"1e126", over}, {"-1e126", over}, {"10e125", over}, {"0.01e128", over}, {"1e1000", over}, {"1e99999999999999999999999999", over}, {digits39 + "e100", over},
		{"0e126", over}, // the service's oddity: 0.0e126 passes
		{"0e99999999999999999999999999", over},
		{"1e-131", under}, {"-1e-131", under}, {"0.1e-130", under}, {"1e-99999999999999999999999999", under}, {"0." + strings.Repeat("0", 130) + "1", under},
		{digits39, digits}, {"-" + digits39, digits}, {"0.0" + digits39, digits}, {"1" + strings.Repeat("0", 37) + "1", digits}, {digits39 + "e-168", digits},
	}
	for _, tt := range tests {
		_, err := ParseNumber([]byte(tt.text))
		var verr *ValueError
		if !errors.As(err, &verr) || verr.Message != tt.want || verr.Kind != ErrorNumber {
			t.Errorf("ParseNumber(%q) error %v, want %q", tt.text, err, tt.want)
		}
	}
}

// The form is stored and replicated: it must never change.
func TestNumberForm(t *testing.T) {
	tests := []struct {
		text string
		form string // hexadecimal
	}{
		{"0", "80 00"}, {"1", "c1 02"}, {"10", "c1 14"}, {"99", "c1 c6"}, {"100", "c2 02"}, {"101", "c2 03 02"}, {"1299.95", "c2 19 c7 be"},
		{"0.1", "c0 14"}, {"0.01", "c0 02"}, {"-1", "3e fd"}, {"-10", "3e eb"}, {"-1299.95", "3d e6 38 41"},
		{"1e-130", "80 02"}, {"-1e-130", "7f fd"}, {"1e125", "ff 14"}, {"9.9e125", "ff c6"}, {"-9.9e125", "00 39"},
	}
	for _, tt := range tests {
		if got := fmt.Sprintf("% x", []byte(mustNumber(t, tt.text))); got != tt.form {
			t.Errorf("ParseNumber(%s) = %s, want %s", tt.text, got, tt.form)
		}
	}
}

func TestNumberSize(t *testing.T) {
	tests := []struct {
		text string
		want int
	}{
		{"0", 1}, {"1", 2}, {"9", 2}, {"10", 2}, {"99", 2}, {"100", 2}, {"101", 3}, {"123", 3}, {"1000", 2}, {"1234", 3}, {"12345", 4}, {"1.5", 3}, {"0.15", 2}, {"0.015", 3},
		{"-1", 3}, {"-123", 4}, {"1700000000", 2}, {"1234567890", 6}, {"12345678901234567890123456789012345678", 20}, {"1234567890123456789012345678901234567.8", 21},
		{"-12345678901234567890123456789012345678", 21}, {"-1234567890123456789012345678901234567.8", 21}, {"1e125", 2}, {"1e-130", 2},
	}
	for _, tt := range tests {
		if got := mustNumber(t, tt.text).Size(); got != tt.want {
			t.Errorf("Size(%s) = %d, want %d", tt.text, got, tt.want)
		}
		if want := sizeOracle(mustNumber(t, tt.text).String()); want != tt.want {
			t.Errorf("oracle: Size(%s) = %d, want %d", tt.text, want, tt.want)
		}
	}
}

// sizeOracle computes the billed size from the plain decimal text: digits are
// paired around the point, empty pairs at the ends dropped.
func sizeOracle(text string) int {
	minus := strings.HasPrefix(text, "-")
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	if len(whole)%2 == 1 {
		whole = "0" + whole
	}
	if len(fraction)%2 == 1 {
		fraction += "0"
	}
	digits := whole + fraction
	for strings.HasPrefix(digits, "00") {
		digits = digits[2:]
	}
	for strings.HasSuffix(digits, "00") {
		digits = digits[:len(digits)-2]
	}
	switch size := 1 + len(digits)/2; {
	case digits == "":
		return 1
	case minus:
		return min(size+1, 21)
	default:
		return size
	}
}

// numberText draws the text of a number that can be stored, in some spelling.
func numberText() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 19).Draw(t, "zero") == 0 {
			return "0"
		}
		digits := rapid.StringMatching(`[1-9][0-9]{0,37}`).Draw(t, "digits")
		if rapid.Bool().Draw(t, "short") {
			digits = digits[:1+(len(digits)-1)/8]
		}
		first := rapid.IntRange(minExponent, maxExponent).Draw(t, "exponent") // of the first digit
		if rapid.Bool().Draw(t, "near") {
			first = rapid.IntRange(-3, 12).Draw(t, "near exponent")
		}
		sign := rapid.SampledFrom([]string{"", "-", "+"}).Draw(t, "sign")
		point := rapid.IntRange(0, len(digits)).Draw(t, "point")
		zeros := strings.Repeat("0", rapid.IntRange(0, 3).Draw(t, "zeros"))
		return fmt.Sprintf("%s%s%s.%s%se%d", sign, zeros, digits[:point], digits[point:], zeros, first-point+1)
	})
}

func rat(text string) *big.Rat {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		panic("not a rational: " + text)
	}
	return r
}

// Numbers sorted by bytes are sorted, and numbers with equal bytes are equal.
func TestNumberOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(numberText(), 2, 60).Draw(t, "texts")
		form := func(text string) Number { return mustRapid(t, text) }
		slices.SortFunc(texts, func(x, y string) int { return bytes.Compare(form(x), form(y)) })
		for i, y := range texts[1:] {
			x := texts[i]
			n, m := form(x), form(y)
			if got, want := bytes.Compare(n, m), rat(x).Cmp(rat(y)); got != want {
				t.Fatalf("bytes of %s (%x) and %s (%x) compare %d, the numbers %d", x, []byte(n), y, []byte(m), got, want)
			}
			if got, want := n.Sign(), rat(x).Sign(); got != want {
				t.Fatalf("Sign(%s) = %d, want %d", x, got, want)
			}
			// A number says itself where it ends, whatever follows.
			if size, ok := numberLen(append(bytes.Clone(n), m...)); !ok || size != len(n) {
				t.Fatalf("numberLen of %s followed by %s = %d, %v, want %d", x, y, size, ok, len(n))
			}
		}
	})
}

func mustRapid(t *rapid.T, text string) Number {
	n, err := ParseNumber([]byte(text))
	if err != nil {
		t.Fatalf("ParseNumber(%s): %v", text, err)
	}
	return n
}

// Neighbours in a list of ordered numbers around all the places where the form
// changes its shape.
func TestNumberOrderAtEdges(t *testing.T) {
	var ascending []string
	for e := maxExponent; e >= minExponent; e-- {
		for _, digits := range []string{"9.9999999999999999999999999999999999999", "9.01", "9", "1.01", "1.0000000000000000000000000000000000001", "1"} {
			ascending = append(ascending, fmt.Sprintf("-%se%d", digits, e))
		}
	}
	ascending = append(ascending, "0")
	for i := len(ascending) - 2; i >= 0; i-- {
		ascending = append(ascending, ascending[i][1:])
	}
	for i := 1; i < len(ascending); i++ {
		if a, b := mustNumber(t, ascending[i-1]), mustNumber(t, ascending[i]); bytes.Compare(a, b) >= 0 {
			t.Fatalf("%s (% x) does not order before %s (% x)", ascending[i-1], []byte(a), ascending[i], []byte(b))
		}
	}
}

func TestNumberRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := numberText().Draw(t, "text")
		n := mustRapid(t, text)
		plain := n.String()
		if rat(plain).Cmp(rat(text)) != 0 {
			t.Fatalf("%s is returned as %s", text, plain)
		}
		if !plainDecimal.MatchString(plain) {
			t.Fatalf("%s is returned as %s, which is not normal", text, plain)
		}
		if again := mustRapid(t, plain); !bytes.Equal(n, again) {
			t.Fatalf("%s and %s have the forms % x and % x", text, plain, []byte(n), []byte(again))
		}
		if got, want := n.Size(), sizeOracle(plain); got != want {
			t.Fatalf("Size(%s) = %d, want %d", plain, got, want)
		}
	})
}

var plainDecimal = regexp.MustCompile(`^(0|-?([1-9][0-9]*|0)(\.[0-9]*[1-9])?)$`)

// exact is a context that never rounds sums of storable numbers.
var exact = apd.BaseContext.WithPrecision(600)

// sumOracle returns the sum if DynamoDB could store it.
func sumOracle(t *rapid.T, x, y string, minus bool) (*apd.Decimal, bool) {
	a, _, errA := apd.NewFromString(x)
	b, _, errB := apd.NewFromString(y)
	if errA != nil || errB != nil {
		t.Fatalf("apd: %v, %v", errA, errB)
	}
	if minus {
		b.Negative = !b.Negative
	}
	sum := new(apd.Decimal)
	if c, err := exact.Add(sum, a, b); err != nil || c.Inexact() {
		t.Fatalf("apd: %v %v", c, err)
	}
	sum.Reduce(sum)
	if sum.IsZero() {
		return sum, true
	}
	first := int64(sum.Exponent) + sum.NumDigits() - 1
	return sum, sum.NumDigits() <= maxDigits && first <= maxExponent && first >= minExponent
}

func TestNumberArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for range 10 {
			x := numberText().Draw(t, "x")
			y := numberText().Draw(t, "y")
			if rapid.IntRange(0, 3).Draw(t, "close") == 0 { // so that digits cancel
				y = x[:len(x)-1] + rapid.StringMatching(`[0-9]`).Draw(t, "last")
			}
			checkSum(t, x, y, false)
			checkSum(t, x, y, true)
		}
	})
}

// checkSum compares x+y, or x-y, with apd.
func checkSum(t *rapid.T, x, y string, minus bool) {
	n, errX := ParseNumber([]byte(x))
	m, errY := ParseNumber([]byte(y))
	if errX != nil || errY != nil {
		return // the changed last digit made the exponent too large
	}
	add, word := n.Add, "+"
	if minus {
		add, word = n.Sub, "-"
	}
	got, err := add(m)
	want, ok := sumOracle(t, x, y, minus)
	if !ok {
		var verr *ValueError
		if !errors.As(err, &verr) || verr.Message != MsgOverflow {
			t.Fatalf("%s %s %s = %v, %v, want overflow (%s)", x, word, y, got, err, want)
		}
		return
	}
	if err != nil {
		t.Fatalf("%s %s %s: %v, want %s", x, word, y, err, want)
	}
	if wantForm := mustRapid(t, want.Text('E')); !bytes.Equal(got, wantForm) {
		t.Fatalf("%s %s %s = %s (%x), want %s (%x)", x, word, y, got, []byte(got), want, []byte(wantForm))
	}
}

func TestNumberArithmeticEdges(t *testing.T) {
	tests := []struct{ x, y, sum, difference string }{ // "" is overflow
		{"1", "0", "1", "1"}, {"0", "0", "0", "0"}, {"1", "1", "2", "0"}, {"1", "-1", "0", "2"}, {"99", "1", "100", "98"}, {"100", "1", "101", "99"}, {"0.1", "0.2", "0.3", "-0.1"},
		{"-5", "3", "-2", "-8"}, {"1e50", "1", "", ""}, {"1e37", "1", "1" + strings.Repeat("0", 36) + "1", strings.Repeat("9", 37)},
		{"1e38", "1", "", strings.Repeat("9", 38)}, {"9e125", "1e125", "", "8" + strings.Repeat("0", 125)}, {"9.9e125", "9.9e125", "", "0"}, {"-9e125", "1e125", "-8" + strings.Repeat("0", 125), ""},
		{"1.1e-130", "1e-130", "0." + strings.Repeat("0", 129) + "21", ""}, // the difference is 1e-131: out of range below
		{"1e125", "1e-130", "", ""},
		{"99999999999999999999999999999999999999", "1", "1" + strings.Repeat("0", 38), strings.Repeat("9", 37) + "8"},
	}
	for _, tt := range tests {
		n, m := mustNumber(t, tt.x), mustNumber(t, tt.y)
		sum, err := n.Add(m)
		if got := textOr(sum, err); got != tt.sum {
			t.Errorf("%s + %s = %s, want %s", tt.x, tt.y, got, tt.sum)
		}
		difference, err := n.Sub(m)
		if got := textOr(difference, err); got != tt.difference {
			t.Errorf("%s - %s = %s, want %s", tt.x, tt.y, got, tt.difference)
		}
	}
}

// textOr returns n's text, or "" for an overflow.
func textOr(n Number, err error) string {
	switch {
	case err == nil:
		return n.String()
	case err.Error() == MsgOverflow:
		return ""
	}
	return err.Error()
}

var numberSyntax = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// FuzzParseNumber compares with apd and a regular expression.
func FuzzParseNumber(f *testing.F) {
	for _, seed := range []string{"", "0", "-0.0e5", "1e125", "1e-130", "0e126", "0.0e126", "123.456e-7", "+.5", "5.", "1e+", "12345678901234567890123456789012345678", "1e99999999999999999999"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		n, err := ParseNumber(text)
		if !numberSyntax.Match(text) {
			if err == nil || !strings.HasPrefix(err.Error(), "The parameter cannot be converted to a numeric value") {
				t.Fatalf("ParseNumber(%q) = %v, %v, want a syntax error", text, n, err)
			}
			return
		}
		want, _, oracleErr := apd.NewFromString(string(text))
		if oracleErr != nil {
			return // apd gives up on exponents beyond its own range
		}
		adjusted := int64(want.Exponent) + want.NumDigits() - 1 // for 0 the power of its last digit
		want.Reduce(want)
		storable := adjusted <= maxExponent && (want.IsZero() || adjusted >= minExponent && want.NumDigits() <= maxDigits)
		if storable != (err == nil) {
			t.Fatalf("ParseNumber(%q) error %v, storable: %v", text, err, storable)
		}
		if err != nil {
			return
		}
		if got, _, _ := apd.NewFromString(n.String()); got.Cmp(want) != 0 {
			t.Fatalf("ParseNumber(%q) = %v, want %v", text, n, want)
		}
		if size, ok := numberLen(n); !ok || size != len(n) || len(n) > 21 {
			t.Fatalf("ParseNumber(%q) = % x is not canonical", text, []byte(n))
		}
	})
}

// FuzzNumberForm: bytes that pass for a number are the form of its own text.
func FuzzNumberForm(f *testing.F) {
	for _, seed := range []string{"0", "1", "-1299.95", "1e125", "-1e-130"} {
		n, _ := ParseNumber([]byte(seed))
		f.Add([]byte(n))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		size, ok := numberLen(b)
		if !ok {
			return
		}
		n := Number(b[:size])
		again, err := ParseNumber(n.AppendText(nil))
		if err != nil || !bytes.Equal(n, again) {
			t.Fatalf("% x is %s, which has the form % x (%v)", []byte(n), n, []byte(again), err)
		}
	})
}
