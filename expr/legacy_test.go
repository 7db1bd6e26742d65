package expr

import (
	"cmp"
	"slices"
	"testing"

	"github.com/statordb/stator/item"
)

const wrongParameter = "One or more parameter values were invalid: "

// list reads the values of a DynamoDB JSON array.
func list(t testing.TB, json string) []item.Value {
	t.Helper()
	if json == "" {
		return nil
	}
	return slices.AppendSeq([]item.Value{}, value(t, `{"L":`+json+`}`).Elements())
}

func TestLegacyConditionMessages(t *testing.T) {
	argument := func(op string) string {
		return wrongParameter + "Invalid number of argument(s) for the " + op + " ComparisonOperator"
	}
	notValid := func(op, typ string) string {
		return wrongParameter + "ComparisonOperator " + op + " is not valid for " + typ + " AttributeValue type"
	}
	const mixed = wrongParameter + "AttributeValues inside AttributeValueList must be of same type"
	for _, tt := range []struct{ op, values, want string }{
		{"NULL", `[]`, ""},
		{"NULL", ``, ""},
		{"NULL", `[{"S":"a"}]`, argument("NULL")},
		{"NOT_NULL", `[{"S":"a"}]`, argument("NOT_NULL")},
		{"EQ", ``, argument("EQ")},
		{"EQ", `[]`, argument("EQ")},
		{"EQ", `[{"S":"a"},{"S":"b"}]`, argument("EQ")},
		{"NE", `[]`, argument("NE")},
		{"LE", `[]`, argument("LE")},
		{"LT", `[{"S":"a"},{"N":"1"}]`, argument("LT")},
		{"GE", `[]`, argument("GE")},
		{"GT", `[]`, argument("GT")},
		{"CONTAINS", `[]`, argument("CONTAINS")},
		{"NOT_CONTAINS", `[]`, argument("NOT_CONTAINS")},
		{"BEGINS_WITH", `[]`, argument("BEGINS_WITH")},
		{"BETWEEN", `[{"S":"a"}]`, argument("BETWEEN")},
		{"BETWEEN", `[{"S":"a"},{"S":"b"},{"S":"c"}]`, argument("BETWEEN")},
		{"IN", `[]`, argument("IN")},
		{"IN", `[{"S":"a"},{"S":"b"},{"S":"c"}]`, ""},
		{"IN", `[{"S":"a"},{"N":"1"}]`, mixed},
		{"BETWEEN", `[{"S":"a"},{"N":"1"}]`, mixed},
		{"EQ", `[{"M":{}}]`, ""},
		{"NE", `[{"SS":["a"]}]`, ""},
		{"LT", `[{"BOOL":true}]`, notValid("LT", "BOOL")},
		{"LE", `[{"NULL":true}]`, notValid("LE", "NULL")},
		{"GT", `[{"L":[]}]`, notValid("GT", "L")},
		{"GE", `[{"M":{}}]`, notValid("GE", "M")},
		{"BETWEEN", `[{"SS":["a"]},{"SS":["b"]}]`, notValid("BETWEEN", "SS")},
		{"IN", `[{"NS":["1"]}]`, notValid("IN", "NS")},
		{"CONTAINS", `[{"L":[]}]`, notValid("CONTAINS", "L")},
		{"NOT_CONTAINS", `[{"M":{}}]`, notValid("NOT_CONTAINS", "M")},
		{"CONTAINS", `[{"N":"1"}]`, ""},
		{"BEGINS_WITH", `[{"N":"1"}]`, notValid("BEGINS_WITH", "N")},
		{"BEGINS_WITH", `[{"B":"AQ=="}]`, ""},
		{"BETWEEN", `[{"N":"2"},{"N":"10"}]`, ""},
		{"BETWEEN", `[{"N":"2"},{"N":"1"}]`, "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"},
	} {
		_, err := FromFilter([]LegacyCondition{{Attr: "a", Op: tt.op, Values: list(t, tt.values)}}, "")
		if got := message(t, err); got != tt.want {
			t.Errorf("%s %s\n got %q\nwant %q", tt.op, tt.values, got, tt.want)
		}
	}
}

func TestExpectedMessages(t *testing.T) {
	yes, no := true, false
	v := item.String("v")
	for _, tt := range []struct {
		c    LegacyCondition
		want string
	}{
		{LegacyCondition{Value: v}, ""},
		{LegacyCondition{Value: v, Exists: &yes}, ""},
		{LegacyCondition{Exists: &no}, ""},
		{LegacyCondition{Op: "GT", Value: v}, ""},
		{LegacyCondition{Op: "NULL"}, ""},
		{LegacyCondition{Value: v, Values: []item.Value{v}},
			"Value and AttributeValueList cannot be used together for Attribute: a"},
		{LegacyCondition{Op: "EQ", Value: v, Exists: &yes},
			"Exists and ComparisonOperator cannot be used together for Attribute: a"},
		{LegacyCondition{Op: "GT"},
			"Value or AttributeValueList must be used with ComparisonOperator: GT for Attribute: a"},
		{LegacyCondition{Values: []item.Value{v}},
			"AttributeValueList can only be used with a ComparisonOperator for Attribute: a"},
		{LegacyCondition{}, "Value must be provided when Exists is null for Attribute: a"},
		{LegacyCondition{Exists: &yes}, "Value must be provided when Exists is true for Attribute: a"},
		{LegacyCondition{Value: v, Exists: &no}, "Value cannot be used when Exists is false for Attribute: a"},
		{LegacyCondition{Op: "NULL", Value: v}, "Invalid number of argument(s) for the NULL ComparisonOperator"},
	} {
		if tt.want != "" {
			tt.want = wrongParameter + tt.want
		}
		tt.c.Attr = "a"
		_, err := FromExpected([]LegacyCondition{tt.c}, "")
		if got := message(t, err); got != tt.want {
			t.Errorf("%+v\n got %q\nwant %q", tt.c, got, tt.want)
		}
	}
}

// A translated condition is the tree that an expression gives.
func TestLegacyTrees(t *testing.T) {
	no := false
	one, two := value(t, `{"N":"1"}`), value(t, `{"N":"2"}`)
	a := func(op string, values ...item.Value) LegacyCondition {
		return LegacyCondition{Attr: "a", Op: op, Values: values}
	}
	b := LegacyCondition{Attr: "b", Op: "EQ", Value: two}
	for _, tt := range []struct {
		list     []LegacyCondition
		operator string
		want     string
	}{
		{[]LegacyCondition{a("EQ", one)}, "", "a = {N:1}"},
		{[]LegacyCondition{a("NE", one)}, "AND", "a <> {N:1}"},
		{[]LegacyCondition{a("LT", one)}, "OR", "a < {N:1}"},
		{[]LegacyCondition{a("LE", one)}, "", "a <= {N:1}"},
		{[]LegacyCondition{a("GT", one)}, "", "a > {N:1}"},
		{[]LegacyCondition{a("GE", one)}, "", "a >= {N:1}"},
		{[]LegacyCondition{a("NULL")}, "", "attribute_not_exists(a)"},
		{[]LegacyCondition{a("NOT_NULL")}, "", "attribute_exists(a)"},
		{[]LegacyCondition{a("BETWEEN", one, two)}, "", "a BETWEEN {N:1} AND {N:2}"},
		{[]LegacyCondition{a("IN", one, two)}, "", "a IN ({N:1}, {N:2})"},
		{[]LegacyCondition{a("CONTAINS", one)}, "", "contains(a, {N:1})"},
		{[]LegacyCondition{a("NOT_CONTAINS", one)}, "", "attribute_exists(a) AND NOT contains(a, {N:1})"},
		{[]LegacyCondition{a("BEGINS_WITH", item.String("x"))}, "", "begins_with(a, {S:x})"},
		{[]LegacyCondition{a("EQ", one), b}, "", "a = {N:1} AND b = {N:2}"},
		{[]LegacyCondition{a("EQ", one), b}, "AND", "a = {N:1} AND b = {N:2}"},
		{[]LegacyCondition{a("EQ", one), b}, "OR", "a = {N:1} OR b = {N:2}"},
		{[]LegacyCondition{{Attr: "x.y", Exists: &no}, {Attr: "key", Value: one}}, "", `attribute_not_exists("x.y") AND "key" = {N:1}`},
		{nil, "", ""},
	} {
		c, err := FromExpected(tt.list, tt.operator)
		if err != nil {
			t.Errorf("%+v: %v", tt.list, err)
			continue
		}
		if got := c.String(); got != tt.want {
			t.Errorf("%+v\n got %s\nwant %s", tt.list, got, tt.want)
		}
	}
	if b.Values != nil {
		t.Error("FromExpected changed its argument")
	}
}

func TestLegacyMeaning(t *testing.T) {
	it := attrs(t, sample)
	for _, tt := range []struct {
		attr, op, values string
		want             bool
	}{
		{"q", "NE", `[{"N":"1"}]`, true},
		{"s", "NE", `[{"N":"1"}]`, true},
		{"s", "LT", `[{"N":"1"}]`, false},
		{"q", "NOT_CONTAINS", `[{"S":"x"}]`, false},
		{"s", "NOT_CONTAINS", `[{"S":"x"}]`, true},
		{"ss", "NOT_CONTAINS", `[{"S":"a"}]`, false},
		{"l", "CONTAINS", `[{"S":"two"}]`, true},
		{"null", "NULL", ``, false},
		{"null", "NOT_NULL", ``, true},
		{"q", "NULL", ``, true},
		{"n", "IN", `[{"N":"1"},{"N":"5.0"}]`, true},
		{"x.y", "EQ", `[{"S":"dotted"}]`, true},
	} {
		c, err := FromFilter([]LegacyCondition{{Attr: tt.attr, Op: tt.op, Values: list(t, tt.values)}}, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Eval(it); got != tt.want {
			t.Errorf("%s %s %s is %v, want %v", tt.attr, tt.op, tt.values, got, tt.want)
		}
	}
}

func TestConditionalOperatorAlone(t *testing.T) {
	want := wrongParameter + "ConditionalOperator cannot be used without Filter or Expected"
	for _, from := range []func([]LegacyCondition, string) (*Condition, error){FromExpected, FromFilter} {
		_, err := from(nil, "OR")
		if got := message(t, err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestKeyConditions(t *testing.T) {
	one := []item.Value{value(t, `{"N":"1"}`)}
	term := func(attr, op string) LegacyCondition { return LegacyCondition{Attr: attr, Op: op, Values: one} }
	for _, tt := range []struct {
		list []LegacyCondition
		want string
	}{
		{[]LegacyCondition{term("a", "EQ")}, ""},
		{[]LegacyCondition{term("a", "GE"), term("b", "EQ")}, ""},
		{nil, "Conditions can be of length 1 or 2 only"},
		{[]LegacyCondition{term("a", "EQ"), term("b", "EQ"), term("c", "EQ")}, "Conditions can be of length 1 or 2 only"},
		{[]LegacyCondition{term("a", "NE")}, "Attempted conditional constraint is not an indexable operation"},
		{[]LegacyCondition{term("a", "IN")}, "Attempted conditional constraint is not an indexable operation"},
		{[]LegacyCondition{term("a", "CONTAINS")}, "Attempted conditional constraint is not an indexable operation"},
		{[]LegacyCondition{term("a", "NOT_CONTAINS")}, "Attempted conditional constraint is not an indexable operation"},
		{[]LegacyCondition{{Attr: "a", Op: "NULL"}}, "Attempted conditional constraint is not an indexable operation"},
		{[]LegacyCondition{{Attr: "a", Op: "NOT_NULL"}}, "Attempted conditional constraint is not an indexable operation"},
		{[]LegacyCondition{term("a", "BETWEEN")}, wrongParameter + "Invalid number of argument(s) for the BETWEEN ComparisonOperator"},
	} {
		k, err := FromKeyConditions(tt.list)
		if got := message(t, err); got != tt.want {
			t.Errorf("%+v\n got %q\nwant %q", tt.list, got, tt.want)
		}
		for i := range tt.list {
			if err == nil && (k.Terms[i].Attr != tt.list[i].Attr || k.Terms[i].Op.String() != tt.list[i].Op || !k.Terms[i].Values[0].Equal(one[0])) {
				t.Errorf("%+v gives %+v", tt.list[i], k.Terms[i])
			}
		}
	}
}

func TestAttributesToGet(t *testing.T) {
	for _, tt := range []struct {
		names []string
		want  string
	}{
		{[]string{"a", "x.y", "b[0]"}, ""},
		{[]string{"a", "b", "a"}, wrongParameter + "Duplicate value in attribute name: a"},
		{[]string{""}, wrongParameter + "Empty attribute name"},
		{nil, "1 validation error detected: Value '[]' at 'attributesToGet' failed to satisfy constraint: Member must have length greater than or equal to 1"},
	} {
		_, err := FromAttributesToGet(tt.names)
		if got := message(t, err); got != tt.want {
			t.Errorf("%v\n got %q\nwant %q", tt.names, got, tt.want)
		}
	}
	p, err := FromAttributesToGet([]string{"x.y", "q", "s"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Apply(attrs(t, sample)), attrs(t, `{"s":{"S":"hello"},"x.y":{"S":"dotted"}}`); !got.Equal(want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAttributeUpdates(t *testing.T) {
	old := attrs(t, stored)
	for _, tt := range []struct {
		attr, action, value string
		changed, message    string
	}{
		{"a", "", `{"S":"x"}`, `{"a":{"S":"x"}}`, ""},
		{"n", "PUT", `{"L":[]}`, `{"n":{"L":[]}}`, ""},
		{"n", "DELETE", ``, `{"n":null}`, ""},
		{"q", "DELETE", ``, `{}`, ""},
		{"ss", "DELETE", `{"SS":["b","c"]}`, `{"ss":{"SS":["a"]}}`, ""},
		{"n", "ADD", `{"N":"2"}`, `{"n":{"N":"7"}}`, ""},
		{"q", "ADD", `{"N":"2"}`, `{"q":{"N":"2"}}`, ""},
		{"ns", "ADD", `{"NS":["2","3"]}`, `{"ns":{"NS":["1","2","3"]}}`, ""},
		{"l", "ADD", `{"L":[{"N":"4"}]}`, `{"l":{"L":[{"S":"0"},{"S":"1"},{"S":"2"},{"S":"3"},{"N":"4"}]}}`, ""},
		{"q", "ADD", `{"L":[{"N":"4"}]}`, `{"q":{"L":[{"N":"4"}]}}`, ""},
		{"s", "ADD", `{"N":"2"}`, "", "Type mismatch for attribute to update"},
		{"s", "ADD", `{"L":[]}`, "", "Type mismatch for attribute to update"},
		{"s", "DELETE", `{"SS":["a"]}`, "", "Type mismatch for attribute to update"},
		{"big", "ADD", `{"N":"1"}`, "", overflow},
		{"a", "", ``, "", wrongParameter + "Only DELETE action is allowed when no attribute value is specified"},
		{"a", "PUT", ``, "", wrongParameter + "Only DELETE action is allowed when no attribute value is specified"},
		{"a", "ADD", ``, "", wrongParameter + "Only DELETE action is allowed when no attribute value is specified"},
		{"a", "DELETE", `{"N":"1"}`, "", wrongParameter + "DELETE action with value is not supported for the type N"},
		{"a", "DELETE", `{"L":[]}`, "", wrongParameter + "DELETE action with value is not supported for the type L"},
		{"a", "ADD", `{"S":"x"}`, "", wrongParameter + "ADD action is not supported for the type S"},
		{"a", "ADD", `{"M":{}}`, "", wrongParameter + "ADD action is not supported for the type M"},
	} {
		l := LegacyUpdate{Attr: tt.attr, Action: tt.action}
		if tt.value != "" {
			l.Value = value(t, tt.value)
		}
		got, err := applyLegacy(old, l)
		if m := message(t, err); m != tt.message {
			t.Errorf("%s %s %s\n got %q\nwant %q", tt.action, tt.attr, tt.value, m, tt.message)
		}
		if want := changed(t, old, cmp.Or(tt.changed, "{}")); tt.message == "" && !got.Equal(want) {
			t.Errorf("%s %s %s\n got %s\nwant %s", tt.action, tt.attr, tt.value, got, want)
		}
	}
	if u, err := FromAttributeUpdates(nil); u != nil || err != nil {
		t.Errorf("no entries give %v, %v", u, err)
	}
}

func applyLegacy(old item.Item, l LegacyUpdate) (item.Item, error) {
	u, err := FromAttributeUpdates([]LegacyUpdate{l})
	if err != nil {
		return nil, err
	}
	return u.Apply(old)
}
