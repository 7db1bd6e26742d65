package jsonscan

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math"
	"strings"
	"testing"
)

func TestMismatch(t *testing.T) {
	const model = "com.amazonaws.dynamodb.v20120810."
	const generic = "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class java.lang.Class (sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are in module java.base of loader 'bootstrap')"
	str, boolean := Target{Shape: ShapeString}, Target{Shape: ShapeBoolean}
	integer, long, double := Target{Shape: ShapeInteger}, Target{Shape: ShapeLong}, Target{Shape: ShapeDouble}
	blob, list := Target{Shape: ShapeBlob}, Target{Shape: ShapeList}
	attributes := Target{Shape: ShapeMap, Type: "AttributeValue"}
	names := Target{Shape: ShapeMap, Type: "java.lang.String"}
	writes := Target{Shape: ShapeMap, Type: "java.util.List<com.amazonaws.dynamodb.v20120810.WriteRequest>"}
	member := Target{Shape: ShapeStructure, Type: "AttributeValue"}
	nested := Target{Shape: ShapeStructure, Type: "WriteRequest", Nested: true}
	tests := []struct {
		at   Target
		got  Kind
		want string
	}{
		{str, True, "TRUE_VALUE cannot be converted to String"},
		{str, False, "FALSE_VALUE cannot be converted to String"},
		{str, Integer, "NUMBER_VALUE cannot be converted to String"},
		{str, Decimal, "DECIMAL_VALUE cannot be converted to String"},
		{str, Array, "Unrecognized collection type class java.lang.String"},
		{str, Object, "Start of structure or map found where not expected"},
		{boolean, Integer, "NUMBER_VALUE cannot be converted to Boolean"},
		{boolean, Decimal, "DECIMAL_VALUE cannot be converted to Boolean"},
		{boolean, String, "Unexpected token received from parser"},
		{boolean, Array, "Unrecognized collection type class java.lang.Boolean"},
		{boolean, Object, "Start of structure or map found where not expected"},
		{integer, String, "STRING_VALUE cannot be converted to Integer"},
		{integer, True, "TRUE_VALUE cannot be converted to Integer"},
		{integer, Array, "Unrecognized collection type class java.lang.Integer"},
		{long, String, "STRING_VALUE cannot be converted to Long"},
		{long, False, "FALSE_VALUE cannot be converted to Long"},
		{long, Array, "Unrecognized collection type class java.lang.Long"},
		{long, Object, "Start of structure or map found where not expected"},
		{double, String, "STRING_VALUE cannot be converted to Double"},
		{double, Array, "Unrecognized collection type class java.lang.Double"},
		{Target{Shape: ShapeTimestamp}, String, "STRING_VALUE cannot be converted to Date"},
		{Target{Shape: ShapeTimestamp}, Array, "Unrecognized collection type class java.util.Date"},
		{blob, True, "only base-64-encoded strings are convertible to bytes"},
		{blob, Integer, "only base-64-encoded strings are convertible to bytes"},
		{blob, Decimal, "only base-64-encoded strings are convertible to bytes"},
		{blob, Array, "Unrecognized collection type class java.nio.ByteBuffer"},
		{blob, Object, "Start of structure or map found where not expected"},
		{list, String, "Unexpected field type"},
		{list, True, "Unexpected field type"},
		{list, Decimal, "Unexpected field type"},
		{list, Object, "Start of structure or map found where not expected"},
		{Target{Shape: ShapeList, Nested: true}, String, generic},
		{Target{Shape: ShapeList, Nested: true}, Object, "Start of structure or map found where not expected"},
		{attributes, String, "Unexpected field type"},
		{attributes, Integer, "Unexpected field type"},
		{attributes, Array, "Unrecognized collection type java.util.Map<java.lang.String, " + model + "AttributeValue>"},
		{names, Array, "Unrecognized collection type java.util.Map<java.lang.String, java.lang.String>"},
		{writes, Array, "Unrecognized collection type java.util.Map<java.lang.String, java.util.List<" + model + "WriteRequest>>"},
		{Target{Shape: ShapeMap, Type: "AttributeValue", Nested: true}, String, generic},
		{Target{Shape: ShapeMap, Type: "AttributeValue", Nested: true}, Array, "Unrecognized collection type java.util.Map<java.lang.String, " + model + "AttributeValue>"},
		{member, String, "Unexpected field type"},
		{member, True, "Unexpected field type"},
		{member, Array, "Unrecognized collection type class " + model + "AttributeValue"},
		{nested, String, "Unexpected value type in payload"},
		{nested, Integer, "Unexpected value type in payload"},
		{nested, Array, "Unrecognized collection type class " + model + "WriteRequest"},
	}
	for _, tt := range tests {
		err := tt.at.Mismatch(tt.got)
		if got := err.Message; got != tt.want || err.Error() != tt.want {
			t.Errorf("%+v.Mismatch(%v) = %q, want %q", tt.at, tt.got, got, tt.want)
		}
	}
}

func TestErrorTexts(t *testing.T) {
	tests := map[string]error{
		"SerializationException":                          &ConversionError{},
		"jsonscan: member name expected at offset 1":      Valid([]byte(`{1}`), 1),
		"jsonscan: nested too deep":                       Valid([]byte(`[[]]`), 1),
		"jsonscan: colon expected at offset 4":            Valid([]byte(`{"a"}`), 1),
		"jsonscan: text after the value at offset 2":      Valid([]byte(`{}{}`), 1),
		"jsonscan: text ends inside a string at offset 3": Valid([]byte(`{"a`), 1),
	}
	for want, err := range tests {
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// message returns the Message of a ConversionError, "" for nil.
func message(t *testing.T, err error) string {
	t.Helper()
	var conversion *ConversionError
	if err != nil && !errors.As(err, &conversion) {
		t.Fatalf("error %T %v, want a *ConversionError", err, err)
	}
	if conversion == nil {
		return ""
	}
	return conversion.Message
}

func TestBool(t *testing.T) {
	tests := []struct {
		text    string
		want    bool
		message string
	}{
		{`true`, true, ""}, {`false`, false, ""}, {`"true"`, true, ""}, {`"TRUE"`, true, ""}, {`"Yes"`, true, ""}, {`"1"`, true, ""},
		{`"False"`, false, ""}, {`"no"`, false, ""}, {`"0"`, false, ""},
		{`"23"`, false, "Unexpected token received from parser"}, {`""`, false, "Unexpected token received from parser"},
		{`"falsehood"`, false, "Unexpected token received from parser"}, {`1`, false, "NUMBER_VALUE cannot be converted to Boolean"},
		{`[]`, false, "Unrecognized collection type class java.lang.Boolean"},
	}
	for _, tt := range tests {
		s := New([]byte(tt.text))
		got, err := s.Bool()
		if got != tt.want || message(t, err) != tt.message {
			t.Errorf("Bool(%s) = %v, %v, want %v, %q", tt.text, got, err, tt.want, tt.message)
		}
	}
}

func TestInt(t *testing.T) {
	tests := []struct {
		text    string
		want    int64
		message string
	}{
		{`0`, 0, ""}, {`-7`, -7, ""}, {`3.9`, 3, ""}, {`-3.1`, -4, ""}, {`1e3`, 1000, ""}, {`9223372036854775807`, math.MaxInt64, ""},
		{`9223372036854775808`, math.MaxInt64, ""}, {`-99999999999999999999`, math.MinInt64, ""}, {`1e400`, math.MaxInt64, ""}, {`-1e400`, math.MinInt64, ""},
		{`"1"`, 0, "STRING_VALUE cannot be converted to Long"}, {`true`, 0, "TRUE_VALUE cannot be converted to Long"}, {`{}`, 0, "Start of structure or map found where not expected"},
	}
	for _, tt := range tests {
		s := New([]byte(tt.text))
		got, err := s.Int(ShapeLong)
		if got != tt.want || message(t, err) != tt.message {
			t.Errorf("Int(%s) = %d, %v, want %d, %q", tt.text, got, err, tt.want, tt.message)
		}
	}
}

func TestFloat(t *testing.T) {
	s := New([]byte(`[1421866952.062,3,"x"]`))
	s.EnterArray()
	for _, want := range []float64{1421866952.062, 3} {
		s.NextElement()
		if got, err := s.Float(ShapeDouble); got != want || err != nil {
			t.Errorf("Float = %v, %v, want %v", got, err, want)
		}
	}
	s.NextElement()
	if _, err := s.Float(ShapeDouble); message(t, err) != "STRING_VALUE cannot be converted to Double" {
		t.Errorf("Float of a string: %v", err)
	}
}

func TestText(t *testing.T) {
	s := New([]byte(`["x",5]`))
	s.EnterArray()
	s.NextElement()
	if got, err := s.Text(); string(got) != "x" || err != nil {
		t.Errorf("Text = %q, %v, want x", got, err)
	}
	s.NextElement()
	if _, err := s.Text(); message(t, err) != "NUMBER_VALUE cannot be converted to String" {
		t.Errorf("Text of a number: %v", err)
	}
}

func TestAppendBlob(t *testing.T) {
	const last = "Invalid last non-pad Base64 character dectected"
	tests := []struct{ text, want, message string }{
		{`""`, "", ""}, {`"AQ=="`, "\x01", ""}, {`"AQI="`, "\x01\x02", ""}, {`"AQID"`, "\x01\x02\x03", ""}, {`"AQID\/+8="`, "\x01\x02\x03\xff\xef", ""},
		{`"23456"`, "", "Base64 encoded length is expected a multiple of 4 bytes but found: 5"},
		{`"日"`, "", "Base64 encoded length is expected a multiple of 4 bytes but found: 1"},
		{`"=+/="`, "", last}, {`"+/+="`, "", last}, {`"AR=="`, "", last}, {`"A==="`, "", last}, {`"===="`, "", last}, {`"AQ=A"`, "", last},
		{`"AQI=AQI="`, "", last}, {`"AQ\r\n"`, "", last}, {`"A-_A"`, "", last}, {`"é  "`, "", last},
		{`5`, "", "only base-64-encoded strings are convertible to bytes"}, {`[]`, "", "Unrecognized collection type class java.nio.ByteBuffer"},
	}
	for _, tt := range tests {
		s := New([]byte(tt.text))
		got, err := s.AppendBlob(nil)
		if message(t, err) != tt.message || err == nil && string(got) != tt.want {
			t.Errorf("AppendBlob(%s) = %q, %v, want %q, %q", tt.text, got, err, tt.want, tt.message)
		}
	}
}

// FuzzBase64 compares with encoding/base64 in its strict mode, which differs
// only in that it skips line breaks.
func FuzzBase64(f *testing.F) {
	for _, seed := range []string{"", "AQID", "AQI=", "AQ==", "AR==", "=+/=", "A=Q=", "////", "AQ\n\nID"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := appendBase64(nil, text)
		want, oracle := base64.StdEncoding.Strict().DecodeString(string(text))
		accepted := oracle == nil && !strings.ContainsAny(string(text), "\r\n")
		if (err == nil) != accepted || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("appendBase64(%q) = %q, %v; encoding/base64: %q, %v", text, got, err, want, oracle)
		}
	})
}
