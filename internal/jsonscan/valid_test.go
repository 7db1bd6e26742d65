package jsonscan

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestValidAccepts(t *testing.T) {
	for _, text := range []string{
		`{}`, `[]`, ` { } `, "\t[\r\n]\n", `""`, `0`, `-0`, `-0.0e-0`, `1E+9`, `10.25`, `true`, `false`, `null`,
		`{"a":{"b":[1,2,{"c":null}]},"d":[]}`, `[[],[[]],{}]`,
		`"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00"`, `"\ud800"`, // half a pair is syntax; see Str
		"\"\u00e9\u65e5\U0001F600\u007f\u2028\"", `{"":1,"":2}`,
		`"0123456789abcde\n0123456789abcdef0123456789abcdef"`,
	} {
		if err := Valid([]byte(text), 10); err != nil {
			t.Errorf("Valid(%s) = %v, want nil", text, err)
		}
	}
}

func TestValidRefuses(t *testing.T) {
	tests := []struct {
		text   string
		offset int
	}{
		{``, 0}, {`  `, 2}, {`{`, 1}, {`[`, 1}, {`[1`, 2}, {`[1,`, 3}, {`[1,]`, 3}, {`[,1]`, 1}, {`[1 2]`, 3}, {`[1}`, 2}, {`]`, 0},
		{`{"a"`, 4}, {`{"a":`, 5}, {`{"a":1`, 6}, {`{"a":1,`, 7}, {`{"a":1,}`, 7}, {`{"a" 1}`, 5}, {`{a:1}`, 1}, {`{"a":1]`, 6}, {`{1:1}`, 1},
		{`1 1`, 2}, {`{}x`, 2}, {`nul`, 0}, {`nulll`, 4}, {`True`, 0}, {`'a'`, 0},
		{`-`, 1}, {`01`, 1}, {`1.`, 2}, {`.5`, 0}, {`+1`, 0}, {`1e`, 2}, {`1e+`, 3}, {`0x10`, 1}, {`NaN`, 0}, {`-a`, 1},
		{`"a`, 2}, {`"\`, 2}, {`"\x"`, 2}, {`"\u12`, 5}, {`"\u12g4"`, 5}, {"\"a\nb\"", 2}, {"\"\x00\"", 1}, {"\"\x1f\"", 1},
		{"\"abc\xff\"", 5}, {"\"\xc3\"", 2}, {"\"\xed\xa0\x80\"", 4}, {"\xef\xbb\xbf{}", 0}, {"\"0123456789abcdef\x01\"", 17},
	}
	for _, tt := range tests {
		err := Valid([]byte(tt.text), 10)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("Valid(%q) = %v, want a SyntaxError", tt.text, err)
		} else if syntax.Offset != tt.offset {
			t.Errorf("Valid(%q) = %v, want offset %d", tt.text, err, tt.offset)
		}
		if json.Valid([]byte(tt.text)) && utf8.ValidString(tt.text) {
			t.Errorf("encoding/json accepts %q", tt.text)
		}
	}
}

func TestValidDepth(t *testing.T) {
	for _, opener := range []string{`[`, `{"a":`} {
		closer := map[string]string{`[`: `]`, `{"a":`: `}`}[opener]
		nest := func(n int) []byte {
			return []byte(strings.Repeat(opener, n) + `1` + strings.Repeat(closer, n))
		}
		for _, limit := range []int{0, 1, 63, 64, 65, 129, 300} {
			if err := Valid(nest(limit), limit); err != nil {
				t.Errorf("Valid(%s × %d, %d) = %v, want nil", opener, limit, limit, err)
			}
			if err := Valid(nest(limit+1), limit); !errors.Is(err, ErrDepth) {
				t.Errorf("Valid(%s × %d, %d) = %v, want ErrDepth", opener, limit+1, limit, err)
			}
		}
	}
}

// Hostile nesting must cost neither stack nor more memory than a bit per level.
func TestValidHostileNesting(t *testing.T) {
	bomb := []byte(strings.Repeat(`[`, 2<<20))
	if err := Valid(bomb, 100); !errors.Is(err, ErrDepth) {
		t.Errorf("Valid = %v, want ErrDepth", err)
	}
	if err := Valid(bomb, len(bomb)); err == nil || errors.Is(err, ErrDepth) {
		t.Errorf("Valid without a limit = %v, want a SyntaxError", err)
	}
	mixed := []byte(strings.Repeat(`[{"a":`, 20_000) + `1` + strings.Repeat(`}]`, 20_000))
	if err := Valid(mixed, 40_000); err != nil {
		t.Errorf("Valid(deep but legal) = %v, want nil", err)
	}
	s := New(mixed)
	if s.Skip(); s.Peek() != EOF {
		t.Errorf("Skip stopped at %d, want the end", s.Pos())
	}
}

func TestValidAllocates(t *testing.T) {
	text := []byte(`{"a":[1,"x",{"b":"日本"}],"c":true}`)
	if n := testing.AllocsPerRun(100, func() {
		if err := Valid(text, 64); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("Valid allocates %v times, want 0", n)
	}
}
