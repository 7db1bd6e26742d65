package expr

import (
	"testing"

	"github.com/statordb/stator/internal/jsonscan"
	"github.com/statordb/stator/item"
)

// attrs reads an item in DynamoDB JSON; the empty text is no item.
func attrs(t testing.TB, json string) item.Item {
	t.Helper()
	if json == "" {
		return nil
	}
	s := jsonscan.New([]byte(json))
	it, err := item.ParseItem(&s, nil)
	if err != nil {
		t.Fatalf("item %s: %v", json, err)
	}
	return it
}

// value reads a value in DynamoDB JSON.
func value(t testing.TB, json string) item.Value {
	t.Helper()
	v, ok := attrs(t, `{"v":`+json+`}`).Get("v")
	if !ok {
		t.Fatalf("no value in %s", json)
	}
	return v
}

func parseCondition(t testing.TB, text string, params *Params) *Condition {
	t.Helper()
	c, err := ParseCondition(ConditionExpression, text, params)
	if err != nil {
		t.Fatalf("ParseCondition(%q): %v", text, err)
	}
	return c
}

func parseUpdate(t testing.TB, text string, params *Params) *Update {
	t.Helper()
	u, err := ParseUpdate(text, params)
	if err != nil {
		t.Fatalf("ParseUpdate(%q): %v", text, err)
	}
	return u
}

// message returns the text of an error, which must be an *Error.
func message(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := err.(*Error)
	if !ok {
		t.Errorf("%v is a %T, want *Error", err, err)
		return err.Error()
	}
	return e.Message
}
