package expr

import (
	"fmt"
	"strings"
	"testing"
)

func TestLexer(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "0:"},
		{" \t\r\n", "0:"},
		{"a", "2:a 0:"},
		{"a.b[0]", "2:a 11:. 2:b 8:[ 5:0 9:] 0:"},
		{"a . b", "2:a 11:. 2:b 0:"},
		{"aB_9", "2:aB_9 0:"},
		{"_a 1a 12", "1:_a 1:1a 5:12 0:"},
		{"#1_a :b#c", "3:#1_a 4::b 3:#c 0:"},
		{"# : #- :", "1:# 1:: 1:# 13:- 1:: 0:"},
		{"=<><=<>>=", "14:= 15:<> 17:<= 15:<> 19:>= 0:"},
		{"< > <", "16:< 18:> 16:< 0:"},
		{"(),+-", "6:( 7:) 10:, 12:+ 13:- 0:"},
		{"!é\x80\xffa", "1:! 1:é\x80 1:\xff 2:a 0:"},
		{"@[`{/:", "1:@ 8:[ 1:` 1:{ 1:/ 1:: 0:"},
	} {
		if got := tokens(tt.text); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

// tokens lists kinds and texts, the end included.
func tokens(text string) string {
	l := lexer{text: text}
	var list []string
	for {
		tok := l.next()
		list = append(list, fmt.Sprintf("%d:%s", tok.kind, tok.text))
		if tok.kind == endToken {
			return strings.Join(list, " ")
		}
	}
}

func TestReservedWords(t *testing.T) {
	if len(reservedWords) != 573 {
		t.Errorf("%d reserved words, want 573", len(reservedWords))
	}
	longest := 0
	for w := range reservedWords {
		longest = max(longest, len(w))
		if w != strings.ToUpper(w) || !isReserved(w) || !isReserved(strings.ToLower(w)) || !isReserved(w[:1]+strings.ToLower(w[1:])) {
			t.Errorf("%s is not reserved in every case", w)
		}
	}
	if longest != maxReserved {
		t.Errorf("the longest word has %d letters, want %d", longest, maxReserved)
	}
	for _, w := range []string{"", "a", "remove", "contains", "ABORTS", "ABOR", "accessible_things", "ABORTÉ", "si\x00e"} {
		if isReserved(w) {
			t.Errorf("%q is reserved", w)
		}
	}
}
