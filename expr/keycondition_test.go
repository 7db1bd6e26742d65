package expr

import (
	"fmt"
	"strings"
	"testing"
)

func TestKeyConditionTerms(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"a = :n", "a EQ {N:1}"},
		{"a = :s AND b < :n", "a EQ {S:x}, b LT {N:1}"},
		{":n < b AND :s = #a", "b GT {N:1}, a EQ {S:x}"},
		{":n <= b AND a = :s", "b GE {N:1}, a EQ {S:x}"},
		{":n > b AND a = :s", "b LT {N:1}, a EQ {S:x}"},
		{":n >= b AND a = :s", "b LE {N:1}, a EQ {S:x}"},
		{"a = :s AND (#dotted BETWEEN :n AND :m)", "a EQ {S:x}, x.y BETWEEN {N:1} {N:2}"},
		{"(a = :s AND begins_with(b, :b))", "a EQ {S:x}, b BEGINS_WITH {B:AAE=}"},
	} {
		k, err := ParseKeyCondition(tt.text, paramsFor(t))
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if got := terms(k); got != tt.want {
			t.Errorf("%q gives %s, want %s", tt.text, got, tt.want)
		}
	}
}

func TestNoParams(t *testing.T) {
	if _, err := ParseKeyCondition("a = :v", nil); message(t, err) != "Invalid KeyConditionExpression: "+noValue+":v" {
		t.Error(err)
	}
	if _, err := ParseProjection("a.#b", nil); message(t, err) != "Invalid ProjectionExpression: "+noName+"#b" {
		t.Error(err)
	}
}

func terms(k *KeyCondition) string {
	var list []string
	for _, term := range k.Terms {
		s := fmt.Sprintf("%s %s", term.Attr, term.Op)
		for _, v := range term.Values {
			s += " " + v.String()
		}
		list = append(list, s)
	}
	return strings.Join(list, ", ")
}
