package jsonscan

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAppendString(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", `""`}, {"abc", `"abc"`}, {`a"b\c/d`, `"a\"b\\c/d"`}, {"\n\r\t\b\f", `"\n\r\t\b\f"`}, {"\x00\x01\x1f\x7f", "\"\\u0000\\u0001\\u001f\x7f\""},
		{"é日😀\u2028<>&", "\"é日😀\u2028<>&\""},
		{"a\xffb", "\"a\uFFFDb\""}, {"\xff\"\n", "\"\uFFFD\\\"\\n\""}, {"\xed\xa0\x80", "\"\uFFFD\uFFFD\uFFFD\""},
		{strings.Repeat("x", 33) + "\n", `"` + strings.Repeat("x", 33) + `\n"`},
	}
	for _, tt := range tests {
		if got := AppendString([]byte("pre"), []byte(tt.text)); string(got) != "pre"+tt.want {
			t.Errorf("AppendString(%q) = %s, want pre%s", tt.text, got, tt.want)
		}
	}
}

func FuzzAppendString(f *testing.F) {
	for _, seed := range []string{"", "plain", "q\"s\\n\n\x00", "日本\xff", "0123456789abcdef0123456789\"abcdef"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		out := AppendString(nil, text)
		if err := Valid(out, 1); err != nil {
			t.Fatalf("AppendString(%q) = %q: %v", text, out, err)
		}
		want := string([]rune(string(text))) // each broken byte becomes U+FFFD
		s := New(out)
		if got := s.Str(); string(got) != want {
			t.Fatalf("reading back %q gives %q, want %q", text, got, want)
		}
		var oracle string
		if err := json.Unmarshal(out, &oracle); err != nil || oracle != want {
			t.Fatalf("encoding/json reads %q, %v, want %q", oracle, err, want)
		}
		if utf8.Valid(text) && strings.ContainsRune(string(out), utf8.RuneError) != strings.ContainsRune(string(text), utf8.RuneError) {
			t.Fatalf("AppendString(%q) = %q changes valid text", text, out)
		}
	})
}
