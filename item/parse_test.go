package item

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/jsonscan"
)

const invalid = "One or more parameter values were invalid: "

func TestValueErrors(t *testing.T) {
	const (
		empty   = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
		several = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
		numeric = "The parameter cannot be converted to a numeric value"
		over    = "Number overflow. Attempting to store a number with magnitude larger than supported range"
		noNull  = invalid + "Null attribute value types must have the value of true"
	)
	tests := []struct {
		value, want string
		kind        ValueErrorKind
	}{
		{`{}`, empty, ErrorForm}, {`null`, empty, ErrorForm}, {`{"S":null}`, empty, ErrorForm}, {`{"X":"a"}`, empty, ErrorForm}, {`{"s":"a"}`, empty, ErrorForm},
		{`{"S":"a","N":"1"}`, several, ErrorForm}, {`{"S":"a","M":{}}`, several, ErrorForm}, {`{"L":[],"M":{}}`, several, ErrorForm},
		{`{"NULL":false}`, noNull, ErrorForm}, {`{"NULL":"no"}`, noNull, ErrorForm},
		{`{"SS":[]}`, invalid + "An string set  may not be empty", ErrorSet},
		{`{"NS":[]}`, invalid + "An number set  may not be empty", ErrorSet},
		{`{"BS":[]}`, invalid + "Binary sets should not be empty", ErrorSet},
		{`{"SS":["a","a"]}`, invalid + "Input collection [a, a] contains duplicates.", ErrorSet},
		{`{"SS":["b","a","c","a"]}`, invalid + "Input collection [b, a, c, a] contains duplicates.", ErrorSet},
		{`{"SS":["\u0061","a"]}`, invalid + "Input collection [a, a] contains duplicates.", ErrorSet},
		{`{"NS":["1","1"]}`, "Input collection contains duplicates", ErrorSet},
		{`{"NS":["1","2","1.0"]}`, "Input collection contains duplicates", ErrorSet},
		{`{"NS":["0","-0"]}`, "Input collection contains duplicates", ErrorSet},
		{`{"BS":["AQ==","Ag==","AQ=="]}`, invalid + "Input collection [AQ==, Ag==, AQ==]of type BS contains duplicates.", ErrorSet},
		{`{"SS":["a",null]}`, invalid + "An string set may not have a null string as a member", ErrorSet},
		{`{"NS":["1",null]}`, numeric, ErrorNumber},
		{`{"BS":["AQ==",null]}`, invalid + "Binary sets may not contain null values", ErrorSet},
		{`{"N":""}`, numeric, ErrorNumber}, {`{"N":"x"}`, numeric + ": x", ErrorNumber}, {`{"N":"1e126"}`, over, ErrorNumber},
		{`{"NS":["1","b"]}`, numeric + ": b", ErrorNumber}, {`{"NS":["a","a"]}`, numeric + ": a", ErrorNumber},
		{`{"M":{"":{"S":"x"}}}`, invalid + "Empty attribute name", ErrorName},
		{`{"M":{"k":{}}}`, empty, ErrorForm}, {`{"L":[{"S":"x"},null]}`, empty, ErrorForm}, {`{"L":[{"S":"x","N":"1"}]}`, several, ErrorForm},
		// A value's own tags come before their number, and both before the values inside.
		{`{"N":"x","S":"a"}`, numeric + ": x", ErrorNumber}, {`{"S":"a","SS":[]}`, invalid + "An string set  may not be empty", ErrorSet},
		{`{"L":[{"N":"x"}],"S":"a"}`, several, ErrorForm}, {`{"M":{"a":{}},"NULL":false}`, noNull, ErrorForm},
		// Depth first: the first bad value in reading order.
		{`{"L":[{"M":{"a":{"N":"x"}}},{}]}`, numeric + ": x", ErrorNumber}, {`{"M":{"a":{"SS":[]},"":{"S":"x"}}}`, invalid + "An string set  may not be empty", ErrorSet},
	}
	for _, tt := range tests {
		for _, text := range []string{`{"v":` + tt.value + `}`, `{"a":{"S":"fine"},"v":` + tt.value + `,"z":{"N":"nan"}}`} {
			_, err := parseItem(text)
			var verr *ValueError
			if !errors.As(err, &verr) || *verr != (ValueError{Message: tt.want, Kind: tt.kind, Attr: "v"}) {
				t.Errorf("ParseItem(%s)\nerror %#v\nwant  %q, kind %d, attribute v", text, err, tt.want, tt.kind)
			}
		}
		s := jsonscan.New([]byte(tt.value))
		_, err := ParseValue(&s, nil)
		var verr *ValueError
		if !errors.As(err, &verr) || verr.Message != tt.want || verr.Attr != "" {
			t.Errorf("ParseValue(%s) error %v, want %q", tt.value, err, tt.want)
		}
		if s.Peek() != jsonscan.EOF {
			t.Errorf("ParseValue(%s) stopped at %d, want all consumed", tt.value, s.Pos())
		}
	}
}

func TestNameErrors(t *testing.T) {
	long := strings.Repeat("n", 65536)
	for name, want := range map[string]string{"": invalid + "Empty attribute name", long: invalid + "Attribute name is too large, must be between 1 and 65535 bytes"} {
		_, err := parseItem(`{"ok":{"S":"x"},"` + name + `":{"S":"x"}}`)
		var verr *ValueError
		if !errors.As(err, &verr) || verr.Message != want || verr.Kind != ErrorName || verr.Attr != name {
			t.Errorf("name of %d bytes: error %v, want %s", len(name), err, want)
		}
	}
	it := mustItem(t, `{"`+long[1:]+`":{"S":"x"}}`)
	if _, ok := it.Get(long[1:]); !ok || Check(it) != nil {
		t.Errorf("name of 65535 bytes: found %v, Check %v", ok, Check(it))
	}
}

func TestConversionErrors(t *testing.T) {
	const (
		model  = "com.amazonaws.dynamodb.v20120810."
		object = "Start of structure or map found where not expected"
		class  = "Unrecognized collection type class "
	)
	tests := []struct{ value, want string }{
		{`"x"`, "Unexpected value type in payload"}, {`5`, "Unexpected value type in payload"}, {`true`, "Unexpected value type in payload"}, {`[]`, class + model + "AttributeValue"},
		{`{"S":true}`, "TRUE_VALUE cannot be converted to String"}, {`{"S":false}`, "FALSE_VALUE cannot be converted to String"}, {`{"S":5}`, "NUMBER_VALUE cannot be converted to String"},
		{`{"S":5.5}`, "DECIMAL_VALUE cannot be converted to String"}, {`{"S":[]}`, class + "java.lang.String"}, {`{"S":{}}`, object},
		{`{"N":5}`, "NUMBER_VALUE cannot be converted to String"}, {`{"N":{}}`, object},
		{`{"B":5}`, "only base-64-encoded strings are convertible to bytes"}, {`{"B":[]}`, class + "java.nio.ByteBuffer"}, {`{"B":{}}`, object},
		{`{"B":"abcde"}`, "Base64 encoded length is expected a multiple of 4 bytes but found: 5"}, {`{"B":"=+/="}`, "Invalid last non-pad Base64 character dectected"},
		{`{"BOOL":5}`, "NUMBER_VALUE cannot be converted to Boolean"}, {`{"BOOL":5.5}`, "DECIMAL_VALUE cannot be converted to Boolean"}, {`{"BOOL":"maybe"}`, "Unexpected token received from parser"},
		{`{"BOOL":[]}`, class + "java.lang.Boolean"}, {`{"NULL":{}}`, object}, {`{"NULL":1}`, "NUMBER_VALUE cannot be converted to Boolean"},
		{`{"SS":"x"}`, "Unexpected field type"}, {`{"NS":5}`, "Unexpected field type"}, {`{"BS":{}}`, object}, {`{"L":true}`, "Unexpected field type"}, {`{"L":{}}`, object},
		{`{"SS":[5]}`, "NUMBER_VALUE cannot be converted to String"}, {`{"NS":[1.5]}`, "DECIMAL_VALUE cannot be converted to String"}, {`{"NS":[[]]}`, class + "java.lang.String"},
		{`{"BS":["a"]}`, "Base64 encoded length is expected a multiple of 4 bytes but found: 1"}, {`{"BS":[true]}`, "only base-64-encoded strings are convertible to bytes"},
		{`{"L":["x"]}`, "Unexpected value type in payload"}, {`{"L":[[]]}`, class + model + "AttributeValue"}, {`{"L":[{"L":[5]}]}`, "Unexpected value type in payload"},
		{`{"M":"x"}`, "Unexpected field type"}, {`{"M":[]}`, "Unrecognized collection type java.util.Map<java.lang.String, " + model + "AttributeValue>"},
		{`{"M":{"a":5}}`, "Unexpected value type in payload"}, {`{"M":{"a":{"BS":[5]}}}`, "only base-64-encoded strings are convertible to bytes"},
	}
	for _, tt := range tests {
		// A conversion error wins over the errors of values before it.
		for _, text := range []string{`{"v":` + tt.value + `}`, `{"bad":{"N":"x"},"":{"SS":[]},"v":` + tt.value + `}`} {
			_, err := parseItem(text)
			var conversion *jsonscan.ConversionError
			if !errors.As(err, &conversion) || conversion.Message != tt.want {
				t.Errorf("ParseItem(%s) error %v, want %q", text, err, tt.want)
			}
		}
	}
	for text, want := range map[string]string{`"x"`: "Unexpected field type", `5`: "Unexpected field type", `[]`: "Unrecognized collection type java.util.Map<java.lang.String, " + model + "AttributeValue>"} {
		if _, err := parseItem(text); err == nil || err.Error() != want {
			t.Errorf("ParseItem(%s) error %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{`"x"`: "Unexpected field type", `[]`: class + model + "AttributeValue", `{"S":1}`: "NUMBER_VALUE cannot be converted to String"} {
		s := jsonscan.New([]byte(text))
		if _, err := ParseMember(&s, nil); err == nil || err.Error() != want {
			t.Errorf("ParseMember(%s) error %v, want %q", text, err, want)
		}
	}
}

func TestParseOddities(t *testing.T) {
	tests := []struct{ text, want string }{
		{`{"a":{"S":"x","X":5,"N":null}}`, `{"a":{"S":"x"}}`}, // unknown members and nulls are not there
		{`{"a":{"S":"old","S":"new"}}`, `{"a":{"S":"new"}}`},
		{`{"a":{"L":[{}],"L":[]}}`, `{"a":{"L":[]}}`},
		{`{"a":{"S":"1"},"b":{"S":"2"},"a":{"S":"3"}}`, `{"a":{"S":"3"},"b":{"S":"2"}}`},
		{`{"b":{"S":"1"},"a":{"S":"2"},"b":{"S":"3"},"a":{"N":"4"}}`, `{"a":{"N":"4"},"b":{"S":"3"}}`},
		{`{"a":{"BOOL":"True"},"b":{"BOOL":"NO"},"c":{"NULL":"yes"}}`, `{"a":{"BOOL":true},"b":{"BOOL":false},"c":{"NULL":true}}`},
		{`{"\u0061b":{"S":"\ud83d\ude00\ud800"}}`, `{"ab":{"S":"😀` + "\uFFFD" + `"}}`},
		{`{"a":{"B":"AQI\/"}}`, `{"a":{"B":"AQI/"}}`},
		{`{"a":{"S":"quote\" slash\\ \u0000\n"}}`, `{"a":{"S":"quote\" slash\\ \u0000\n"}}`},
		{`{"a":{"SS":["","b","a"]}}`, `{"a":{"SS":["","a","b"]}}`}, {`{"a":{"BS":["","AQ=="]}}`, `{"a":{"BS":["","AQ=="]}}`},
		{`{"a":{"S":""},"b":{"B":""}}`, `{"a":{"S":""},"b":{"B":""}}`},
		{" { \"a\" : { \"L\" : [ { \"N\" : \"1\" } , {\"M\" : { } } ] } } ", `{"a":{"L":[{"N":"1"},{"M":{}}]}}`},
		{`{"a":{"NS":["10","9","-1e2","0.5"]}}`, `{"a":{"NS":["-100","0.5","9","10"]}}`},
		{`{"bb":{"S":"2"},"b":{"S":"1"},"B":{"S":"0"},"é":{"S":"3"}}`, `{"B":{"S":"0"},"b":{"S":"1"},"bb":{"S":"2"},"é":{"S":"3"}}`},
		{`{"attribute2":{"S":"2"},"attribute1":{"S":"1"},"attribut":{"S":"0"}}`, `{"attribut":{"S":"0"},"attribute1":{"S":"1"},"attribute2":{"S":"2"}}`},
	}
	for _, tt := range tests {
		it := mustItem(t, tt.text)
		if got := string(it.AppendJSON(nil)); got != tt.want || Check(it) != nil {
			t.Errorf("%s\nbecomes %s, %v\nwant    %s", tt.text, got, Check(it), tt.want)
		}
	}
}

func TestNesting(t *testing.T) {
	wrap := func(n int, open, close string) string {
		return `{"a":` + strings.Repeat(open, n) + `{"S":"x"}` + strings.Repeat(close, n) + `}`
	}
	for _, brackets := range [][2]string{{`{"L":[`, `]}`}, {`{"M":{"k":`, `}}`}} {
		it, err := parseItem(wrap(MaxDepth-1, brackets[0], brackets[1]))
		if err != nil || it.Depth() != MaxDepth || Check(it) != nil {
			t.Errorf("%d levels: depth %d, %v, Check %v", MaxDepth, it.Depth(), err, Check(it))
		}
		for _, n := range []int{MaxDepth, 400} {
			_, err = parseItem(wrap(n, brackets[0], brackets[1]))
			var verr *ValueError
			const want = "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
			if !errors.As(err, &verr) || verr.Kind != ErrorDepth || verr.Message != want {
				t.Errorf("%d levels: %v, want %q", n+1, err, want)
			}
		}
	}
	deep := String("x")
	for range MaxDepth {
		deep = List(deep)
	}
	if err := CheckValue(deep); !errors.Is(err, ErrMalformed) {
		t.Errorf("CheckValue of %d levels = %v, want ErrMalformed", deep.Depth(), err)
	}
}

// Several items can be parsed into one buffer.
func TestParseAppends(t *testing.T) {
	text := []byte(`[{"b":{"S":"1"},"a":{"S":"2"}},{"c":{"N":"3"}},{"d":{"M":{"y":{"NULL":true},"x":{"NULL":true}}}}]`)
	s := jsonscan.New(text)
	buf := make([]byte, 0, 1024)
	var items []Item
	for s.EnterArray(); s.NextElement(); {
		it, err := ParseItem(&s, buf)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, it)
		buf = buf[:len(buf)+len(it)]
	}
	want := `[{a={S:2}, b={S:1}} {c={N:3}} {d={M:{x={NULL:true}, y={NULL:true}}}}]`
	if got := fmt.Sprint(items); got != want {
		t.Errorf("items = %s, want %s", got, want)
	}
	if all := bytes.Join([][]byte{items[0], items[1], items[2]}, nil); !bytes.Equal(all, buf) {
		t.Errorf("buffer holds % x, want % x", buf, all)
	}
}

// FuzzParseValue: whatever is parsed is canonical and comes back unchanged.
func FuzzParseValue(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"S":"x"}`, `{"N":"-1.5e3"}`, `{"B":"AQI="}`, `{"SS":["b","a"]}`, `{"NS":["1","1.0"]}`, `{"BS":["AQ=="]}`, `{"BOOL":"yes"}`, `{"NULL":true}`,
		`{"L":[{"M":{"b":{"S":"\ud83d\ude00"},"a":{"L":[]}}},{"N":"0"}]}`, `{"S":"x","N":"1"}`, `{"M":{"a":{"S":"1"},"a":{"S":"2"}}}`, string(kilobyte),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if jsonscan.Valid(text, 200) != nil {
			return
		}
		s := jsonscan.New(text)
		v, err := ParseValue(&s, nil)
		var verr *ValueError
		var conversion *jsonscan.ConversionError
		if errors.As(err, &conversion) {
			return
		}
		if s.Peek() != jsonscan.EOF {
			t.Fatalf("ParseValue(%s) stops at %d", text, s.Pos())
		}
		if err != nil {
			if !errors.As(err, &verr) || verr.Message == "" {
				t.Fatalf("ParseValue(%s): %T %v", text, err, err)
			}
			return
		}
		if err := CheckValue(v); err != nil {
			t.Fatalf("ParseValue(%s) = % x: %v", text, []byte(v), err)
		}
		roundTrip(t, v)
	})
}

// roundTrip checks that a canonical value survives all its other forms.
func roundTrip(t *testing.T, v Value) {
	t.Helper()
	out := v.AppendJSON(nil)
	if err := jsonscan.Valid(out, 200); err != nil {
		t.Fatalf("AppendJSON(% x) = %s: %v", []byte(v), out, err)
	}
	s := jsonscan.New(out)
	if again, err := ParseValue(&s, nil); err != nil || !again.Equal(v) {
		t.Fatalf("% x\nas JSON %s\nand back % x, %v", []byte(v), out, []byte(again), err)
	}
	if v.Depth() < 1 || v.Size() < 0 || v.Len() < 0 || v.String() == "" {
		t.Fatalf("% x: depth %d, size %d, length %d", []byte(v), v.Depth(), v.Size(), v.Len())
	}
}

// More attributes or members than any item can have are refused before they
// take memory. What is closed does not count: the map has its own half.
func TestTooManyParts(t *testing.T) {
	const half = maxParts / 2
	attributes := strings.Repeat(`"a":{"S":""},`, half)
	text := `{"m":{"M":{` + attributes + `"b":{"S":""}}},` + attributes + `"set":{"SS":[` + strings.Repeat(`"",`, half) + `""]}}`
	s := jsonscan.New([]byte(text))
	_, err := ParseItem(&s, nil)
	var bad *ValueError
	if !errors.As(err, &bad) || bad.Message != MsgItemSize || bad.Attr != "set" {
		t.Errorf("got %.200v, want %s", err, MsgItemSize)
	}
	if s.Rest() != 0 {
		t.Errorf("%d bytes were not scanned", s.Rest())
	}
}
