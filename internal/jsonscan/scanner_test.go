package jsonscan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func ExampleScanner() {
	body := []byte(`{"TableName":"t","Limit":3,"Keys":["a","b"],"Extra":{"x":[]}}`)
	if err := Valid(body, 100); err != nil {
		fmt.Println(err)
		return
	}
	s := New(body)
	s.EnterObject()
	for name, ok := s.NextMember(); ok; name, ok = s.NextMember() {
		switch string(name) {
		case "TableName":
			fmt.Printf("table %s\n", s.Str())
		case "Keys":
			s.EnterArray()
			for s.NextElement() {
				fmt.Printf("key %s\n", s.Str())
			}
		default:
			fmt.Printf("skip %v %s\n", s.Peek(), s.Raw())
		}
	}
	// Output:
	// table t
	// skip Integer 3
	// key a
	// key b
	// skip Object {"x":[]}
}

func TestSpan(t *testing.T) {
	s := New([]byte(` [1, {"a":2} ]`))
	s.EnterArray()
	s.NextElement()
	s.Skip()
	s.NextElement()
	s.Peek()
	from := s.Pos()
	s.Skip()
	if got := string(s.Span(from)); got != `{"a":2}` {
		t.Errorf("Span = %s", got)
	}
}

func TestPeek(t *testing.T) {
	tests := []struct {
		text string
		want Kind
	}{
		{`null`, Null}, {`true`, True}, {`false`, False}, {`"x"`, String}, {`{}`, Object}, {`[]`, Array},
		{`0`, Integer}, {`-12`, Integer}, {`1.0`, Decimal}, {`1e5`, Decimal}, {`1E5`, Decimal}, {`-0.1`, Decimal}, {` 7 `, Integer}, {` `, EOF},
	}
	for _, tt := range tests {
		s := New([]byte(tt.text))
		if got := s.Peek(); got != tt.want {
			t.Errorf("Peek(%q) = %v, want %v", tt.text, got, tt.want)
		}
		if s.Skip(); s.Peek() != EOF {
			t.Errorf("after Skip(%q) at %d: %v, want EOF", tt.text, s.Pos(), s.Peek())
		}
	}
}

func TestKindString(t *testing.T) {
	if got := fmt.Sprint(EOF, Array, Kind(99)); got != "EOF Array Kind?" {
		t.Errorf("kinds print as %s", got)
	}
}

func TestStr(t *testing.T) {
	long := strings.Repeat("0123456789", 20)
	tests := []struct{ inside, want string }{
		{``, ""}, {`abc`, "abc"}, {`\"\\\/\b\f\n\r\t`, "\"\\/\b\f\n\r\t"}, {`\u0041\u00E9\u65e5`, "Aé日"},
		{`\ud83d\ude00`, "😀"}, {`x\uD83D\uDE00y`, "x😀y"}, {`日本`, "日本"},
		// Half pairs cannot be written as UTF-8.
		{`\ud800`, "\uFFFD"}, {`\ude00`, "\uFFFD"}, {`\ud800x`, "\uFFFDx"}, {`\ud800\u0041`, "\uFFFDA"}, {`\ud800\ud83d\ude00`, "\uFFFD😀"}, {`\ud800\n`, "\uFFFD\n"},
		{long, long}, {long + `\n` + long, long + "\n" + long}, {long + `\\`, long + `\`}, {`\\` + long, `\` + long}, {long + `\"` + long + `\"`, long + `"` + long + `"`},
	}
	for _, tt := range tests {
		text := []byte(` "` + tt.inside + `"`)
		if err := Valid(text, 1); err != nil {
			t.Fatalf("Valid(%s) = %v", text, err)
		}
		s := New(text)
		if got := s.Str(); string(got) != tt.want || s.Peek() != EOF {
			t.Errorf("Str(%s) = %q, then %v; want %q, EOF", text, got, s.Peek(), tt.want)
		}
		var oracle string
		if err := json.Unmarshal(text, &oracle); err != nil || oracle != tt.want {
			t.Errorf("encoding/json says %q, %v for %s", oracle, err, text)
		}
	}
}

// A closing quote must be found at every distance from the start and the end
// of the text, since it is looked for eight bytes at a time.
func TestStrAtEveryOffset(t *testing.T) {
	for length := range 100 {
		for _, tail := range []string{``, `,"next":"value"`} {
			text := []byte(`{"k":"` + strings.Repeat("x", length) + `"` + tail + `}`)
			s := New(text)
			s.EnterObject()
			s.NextMember()
			if got := s.Str(); len(got) != length {
				t.Fatalf("Str(%s) has %d bytes, want %d", text, len(got), length)
			}
		}
		for at := range length + 1 {
			inside := strings.Repeat("x", at) + `\n` + strings.Repeat("y", length-at)
			s := New([]byte(`"` + inside + `"`))
			if got, escaped := s.Quoted(); string(got) != inside || !escaped {
				t.Fatalf("Quoted(%q) = %q, %v", inside, got, escaped)
			}
		}
	}
}

func TestAliasing(t *testing.T) {
	text := []byte(`{"name":"plain","n":12}`)
	if n := testing.AllocsPerRun(100, func() {
		s := New(text)
		s.EnterObject()
		for _, ok := s.NextMember(); ok; _, ok = s.NextMember() {
			if s.Peek() == String {
				s.Str()
			} else {
				s.Number()
			}
		}
	}); n != 0 {
		t.Errorf("reading plain values allocates %v times, want 0", n)
	}
}

func TestRaw(t *testing.T) {
	s := New([]byte(` [ {"a" : "]}\"" , "b":[ ]} ,-1.5e3, "x" ] `))
	s.EnterArray()
	var got []string
	for s.NextElement() {
		got = append(got, string(s.Raw()))
	}
	want := []string{`{"a" : "]}\"" , "b":[ ]}`, `-1.5e3`, `"x"`}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Raw of the elements = %q, want %q", got, want)
	}
	if s.Peek() != EOF {
		t.Errorf("after the array: %v, want EOF", s.Peek())
	}
}

// build reads any value by pulling, into what encoding/json would make of it.
func build(s *Scanner) any {
	switch s.Peek() {
	case Null:
		s.Skip()
		return nil
	case True, False:
		return string(s.Raw()) == "true"
	case Integer, Decimal:
		return json.Number(s.Number())
	case String:
		return string(s.Str())
	case Array:
		list := []any{}
		for s.EnterArray(); s.NextElement(); {
			list = append(list, build(s))
		}
		return list
	}
	object := map[string]any{}
	s.EnterObject()
	for name, ok := s.NextMember(); ok; name, ok = s.NextMember() {
		object[string(name)] = build(s)
	}
	return object
}

// FuzzValid compares syntax and values with encoding/json, which accepts the
// same language but for broken UTF-8.
func FuzzValid(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `[1,-2.5e3,"x",null,true,false]`, `{"a":{"b":"\ud83d\ude00\n"},"a":1}`, "\"\xff\"", `"\ud800"`, `[[[[`, `{"a":[{}]}`, `01`, `"\u12`,
		`{"Item":{"k":{"S":"0123456789abcdef0123456789abcdef\"x"}}}`, ` {"a" : [ 1 , 2 ] } `,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		err := Valid(text, 10_000) // the depth that encoding/json allows
		want := json.Valid(text) && utf8.Valid(text)
		if (err == nil) != want {
			t.Fatalf("Valid(%q) = %v, encoding/json and UTF-8 say %v", text, err, want)
		}
		if err != nil {
			return
		}
		s := New(text)
		if s.Skip(); s.Peek() != EOF {
			t.Fatalf("Skip(%q) stops at %d", text, s.Pos())
		}
		s = New(text)
		got := build(&s)
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var oracle any
		if err := d.Decode(&oracle); err != nil {
			t.Fatalf("encoding/json: %v", err)
		}
		if !reflect.DeepEqual(got, oracle) {
			t.Fatalf("scanning %q gives %#v, encoding/json %#v", text, got, oracle)
		}
	})
}
