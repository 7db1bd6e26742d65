package expr

import (
	"strings"
	"testing"

	"github.com/statordb/stator/item"
)

func TestParamsCheck(t *testing.T) {
	long := strings.Repeat("n", 254)
	for _, tt := range []struct {
		names  map[string]string
		values string // "" for none
		want   string
	}{
		{nil, "", ""},
		{map[string]string{"#a": "x", "#0_B": strings.Repeat("n", 65535)}, `{":v":{"S":""}, ":0_B":{"S":""}}`, ""},
		{map[string]string{}, "", "ExpressionAttributeNames must not be empty"},
		{map[string]string{"a": "x"}, "", `ExpressionAttributeNames contains invalid key: Syntax error; key: "a"`},
		{map[string]string{"": "x"}, "", `ExpressionAttributeNames contains invalid key: Syntax error; key: ""`},
		{map[string]string{"#": "x"}, "", `ExpressionAttributeNames contains invalid key: Syntax error; key: "#"`},
		{map[string]string{"#a-b": "x"}, "", `ExpressionAttributeNames contains invalid key: Syntax error; key: "#a-b"`},
		{map[string]string{":a": "x"}, "", `ExpressionAttributeNames contains invalid key: Syntax error; key: ":a"`},
		{map[string]string{`#"`: "x"}, "", `ExpressionAttributeNames contains invalid key: Syntax error; key: "#""`},
		{map[string]string{"#b!": "x", "#a!": "y"}, "", `ExpressionAttributeNames contains invalid key: Syntax error; key: "#a!"`},
		{map[string]string{"#" + long: "x"}, "", ""},
		{map[string]string{"#" + long + "n": "x"}, "",
			"ExpressionAttributeNames contains invalid key: The expression attribute map contains a key that is too long; size of key: 256"},
		{map[string]string{"#a": ""}, "",
			"ExpressionAttributeNames contains invalid value: Attribute names must have between 1 and 65535 bytes; key: #a"},
		{map[string]string{"#a": strings.Repeat("n", 65536)}, "",
			"ExpressionAttributeNames contains invalid value: Attribute names must have between 1 and 65535 bytes; key: #a"},
		{nil, `{}`, "ExpressionAttributeValues must not be empty"},
		{nil, `{"v":{"S":"x"}}`, `ExpressionAttributeValues contains invalid key: Syntax error; key: "v"`},
		{nil, `{"#v":{"S":"x"}}`, `ExpressionAttributeValues contains invalid key: Syntax error; key: "#v"`},
		{nil, `{":":{"S":"x"}}`, `ExpressionAttributeValues contains invalid key: Syntax error; key: ":"`},
		{nil, `{":v w":{"S":"x"}}`, `ExpressionAttributeValues contains invalid key: Syntax error; key: ":v w"`},
		{nil, `{":` + long + `n":{"S":"x"}}`,
			"ExpressionAttributeValues contains invalid key: The expression attribute map contains a key that is too long; size of key: 256"},
		{map[string]string{"a": "x"}, `{}`, `ExpressionAttributeNames contains invalid key: Syntax error; key: "a"`},
		{nil, `{":v":{"S":"` + strings.Repeat("x", 2<<20) + `"}}`,
			"ExpressionAttributeNames and ExpressionAttributeValues exceed the maximum allowed size of 2097152 bytes"},
	} {
		got := message(t, NewParams(tt.names, attrs(t, tt.values)).Check())
		if got != tt.want {
			t.Errorf("Check(%.60v, %.60s)\n got %q\nwant %q", tt.names, tt.values, got, tt.want)
		}
	}
}

func TestUnused(t *testing.T) {
	const (
		unusedNames  = "Value provided in ExpressionAttributeNames unused in expressions: keys: "
		unusedValues = "Value provided in ExpressionAttributeValues unused in expressions: keys: "
	)
	names := map[string]string{"#b": "b", "#a": "a", "#c": "c"}
	values := attrs(t, `{":w":{"N":"1"}, ":v":{"N":"2"}}`)
	for _, tt := range []struct {
		names  map[string]string
		values item.Item
		text   string
		want   string
	}{
		{nil, nil, "a = b", ""},
		{names, nil, "#a = #b AND #a = #c", ""},
		{names, nil, "#a = x", unusedNames + "{#b, #c}"},
		{names, values, "x = y", unusedNames + "{#a, #b, #c}"},
		{nil, values, "x = :v", unusedValues + "{:w}"},
		{nil, values, "x = y", unusedValues + "{:v, :w}"},
		{nil, values, "x = :v AND y = :w AND z = :v", ""},
	} {
		p := NewParams(tt.names, tt.values)
		parseCondition(t, tt.text, p)
		if got := message(t, p.Unused()); got != tt.want {
			t.Errorf("%q\n got %q\nwant %q", tt.text, got, tt.want)
		}
	}
}

// Expressions of one request share their parameters.
func TestUnusedAcrossExpressions(t *testing.T) {
	p := NewParams(map[string]string{"#a": "a", "#b": "b"}, attrs(t, `{":v":{"N":"1"}, ":w":{"N":"2"}}`))
	parseUpdate(t, "SET #a = :v", p)
	if p.Unused() == nil {
		t.Error("#b and :w count as used")
	}
	parseCondition(t, "#b = :w", p)
	if err := p.Unused(); err != nil {
		t.Error(err)
	}
}

func TestInvalidValue(t *testing.T) {
	want := "ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a numeric value: x for key :n"
	if got := message(t, InvalidValue(":n", "The parameter cannot be converted to a numeric value: x")); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
