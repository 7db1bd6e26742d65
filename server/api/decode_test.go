package api

import (
	"errors"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/jsonscan"
)

// decode reads body as the request of an operation.
func decode(t *testing.T, operation, body string) (Input, error) {
	t.Helper()
	if err := jsonscan.Valid([]byte(body), 1000); err != nil {
		t.Fatalf("test body %s: %v", body, err)
	}
	in := inputs[operation]()
	return in, in.Decode(&Decoder{s: jsonscan.New([]byte(body))})
}

// check validates a decoded request.
func check(in Input) error {
	var c Violations
	in.Validate(&c)
	return c.err()
}

// A value of the wrong kind is a SerializationException in the words of
// wire-protocol section 9.
func TestConversionErrors(t *testing.T) {
	const (
		java  = "com.amazonaws.dynamodb.v20120810."
		start = "Start of structure or map found where not expected"
	)
	tests := []struct{ operation, body, want string }{
		{"PutItem", `{"TableName":true}`, "TRUE_VALUE cannot be converted to String"},
		{"PutItem", `{"TableName":false}`, "FALSE_VALUE cannot be converted to String"},
		{"PutItem", `{"TableName":1}`, "NUMBER_VALUE cannot be converted to String"},
		{"PutItem", `{"TableName":1.5}`, "DECIMAL_VALUE cannot be converted to String"},
		{"PutItem", `{"TableName":[]}`, "Unrecognized collection type class java.lang.String"},
		{"PutItem", `{"TableName":{}}`, start},
		{"PutItem", `{"ReturnValues":1}`, "NUMBER_VALUE cannot be converted to String"},
		{"PutItem", `{"Item":"a"}`, "Unexpected field type"},
		{"PutItem", `{"Item":[]}`, "Unrecognized collection type java.util.Map<java.lang.String, " + java + "AttributeValue>"},
		{"PutItem", `{"Item":{"a":1}}`, "Unexpected value type in payload"},
		{"PutItem", `{"Item":{"a":{"S":1}}}`, "NUMBER_VALUE cannot be converted to String"},
		{"PutItem", `{"Item":{"a":{"N":1}}}`, "NUMBER_VALUE cannot be converted to String"},
		{"PutItem", `{"Expected":1}`, "Unexpected field type"},
		{"PutItem", `{"Expected":[]}`, "Unrecognized collection type java.util.Map<java.lang.String, " + java + "ExpectedAttributeValue>"},
		{"PutItem", `{"Expected":{"a":1}}`, "Unexpected value type in payload"},
		{"PutItem", `{"Expected":{"a":[]}}`, "Unrecognized collection type class " + java + "ExpectedAttributeValue"},
		{"PutItem", `{"Expected":{"a":{"Exists":1}}}`, "NUMBER_VALUE cannot be converted to Boolean"},
		{"PutItem", `{"Expected":{"a":{"Exists":1.5}}}`, "DECIMAL_VALUE cannot be converted to Boolean"},
		{"PutItem", `{"Expected":{"a":{"Exists":"maybe"}}}`, "Unexpected token received from parser"},
		{"PutItem", `{"Expected":{"a":{"Exists":[]}}}`, "Unrecognized collection type class java.lang.Boolean"},
		{"PutItem", `{"Expected":{"a":{"Value":1}}}`, "Unexpected field type"},
		{"PutItem", `{"Expected":{"a":{"AttributeValueList":[1]}}}`, "Unexpected value type in payload"},
		{"PutItem", `{"ExpressionAttributeNames":[]}`, "Unrecognized collection type java.util.Map<java.lang.String, java.lang.String>"},
		{"PutItem", `{"ExpressionAttributeNames":{"#a":1}}`, "NUMBER_VALUE cannot be converted to String"},
		{"Query", `{"Limit":"1"}`, "STRING_VALUE cannot be converted to Integer"},
		{"Query", `{"Limit":true}`, "TRUE_VALUE cannot be converted to Integer"},
		{"Query", `{"Limit":[]}`, "Unrecognized collection type class java.lang.Integer"},
		{"Query", `{"AttributesToGet":"a"}`, "Unexpected field type"},
		{"Query", `{"AttributesToGet":{}}`, start},
		{"CreateTable", `{"ProvisionedThroughput":1}`, "Unexpected field type"},
		{"CreateTable", `{"ProvisionedThroughput":[]}`, "Unrecognized collection type class " + java + "ProvisionedThroughput"},
		{"CreateTable", `{"ProvisionedThroughput":{"ReadCapacityUnits":"1"}}`, "STRING_VALUE cannot be converted to Long"},
		{"CreateTable", `{"KeySchema":[1]}`, "Unexpected value type in payload"},
		{"BatchGetItem", `{"RequestItems":{"t":{"Keys":[1]}}}`, "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class java.lang.Class (sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are in module java.base of loader 'bootstrap')"},
		{"BatchWriteItem", `{"RequestItems":[]}`, "Unrecognized collection type java.util.Map<java.lang.String, java.util.List<" + java + "WriteRequest>>"},
		{"BatchWriteItem", `{"RequestItems":{"t":1}}`, "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class java.lang.Class (sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are in module java.base of loader 'bootstrap')"},
		{"BatchWriteItem", `{"RequestItems":{"t":[1]}}`, "Unexpected value type in payload"},
		{"BatchWriteItem", `{"RequestItems":{"t":[{"PutRequest":1}]}}`, "Unexpected field type"},
	}
	for _, test := range tests {
		_, err := decode(t, test.operation, test.body)
		var got *jsonscan.ConversionError
		if !errors.As(err, &got) || got.Message != test.want {
			t.Errorf("%s %s:\n got %v\nwant %s", test.operation, test.body, err, test.want)
		}
	}
}

// What DynamoDB converts although it is not quite of the right kind.
func TestLenientConversions(t *testing.T) {
	in, err := decode(t, "Query", `{"Limit":2.9,"ConsistentRead":"YES","TableName":null,"Unknown":{"a":[1]}}`)
	if err != nil {
		t.Fatal(err)
	}
	q := in.(*QueryInput)
	if q.Limit != Some(int32(2)) || q.ConsistentRead != Some(true) || q.TableName.Given {
		t.Errorf("got Limit %v, ConsistentRead %v, TableName %v", q.Limit, q.ConsistentRead, q.TableName)
	}
}

// Absent and empty differ, and so do absent and zero.
func TestPresence(t *testing.T) {
	in, err := decode(t, "Scan", `{"AttributesToGet":[],"ExpressionAttributeNames":{},"Segment":0,"FilterExpression":"","ExclusiveStartKey":{}}`)
	if err != nil {
		t.Fatal(err)
	}
	s := in.(*ScanInput)
	if s.AttributesToGet == nil || s.ExpressionAttributeNames == nil || !s.Segment.Given || !s.FilterExpression.Given || !s.ExclusiveStartKey.Given {
		t.Errorf("given members look absent: %+v", s)
	}
	if s.Limit.Given || s.TotalSegments.Given || s.ScanFilter != nil || s.ExpressionAttributeValues.Given {
		t.Errorf("absent members look given: %+v", s)
	}
}

// A bad attribute value does not hide a conversion error behind it, and is
// kept with the name of its attribute otherwise.
func TestValueErrorsWait(t *testing.T) {
	_, err := decode(t, "PutItem", `{"Item":{"a":{"N":"x"}},"TableName":1}`)
	if err == nil || err.Error() != "NUMBER_VALUE cannot be converted to String" {
		t.Errorf("got %v, want the conversion error", err)
	}
	in, err := decode(t, "PutItem", `{"Item":{"a":{"S":"x"},"b":{"M":{"c":{"N":"x"}}}},"TableName":"t"}`)
	if err != nil {
		t.Fatal(err)
	}
	bad := in.(*PutItemInput).Item
	if bad.Err == nil || bad.Err.Attr != "b" || bad.Err.Message != "The parameter cannot be converted to a numeric value: x" {
		t.Errorf("got %+v", bad.Err)
	}
	if !in.(*PutItemInput).TableName.Given {
		t.Error("decoding stopped at the bad value")
	}
}

func TestDuplicateMembersLastWins(t *testing.T) {
	in, err := decode(t, "GetItem", `{"AttributesToGet":["a","b"],"TableName":"x","AttributesToGet":["c"],"TableName":"y"}`)
	if err != nil {
		t.Fatal(err)
	}
	g := in.(*GetItemInput)
	if len(g.AttributesToGet) != 1 || g.AttributesToGet[0] != "c" || g.TableName.Value != "y" {
		t.Errorf("got %q, %q", g.AttributesToGet, g.TableName.Value)
	}
}

// Several values of one request share the arena without overwriting each other.
func TestValuesKeepTheirBytes(t *testing.T) {
	in, err := decode(t, "UpdateItem", `{"Key":{"k":{"S":"key"}},"ExpressionAttributeValues":{":a":{"S":"one"},":b":{"N":"2"}},
		"AttributeUpdates":{"x":{"Value":{"S":"three"}},"y":{"Value":{"B":"Zm91cg=="}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	u := in.(*UpdateItemInput)
	got := string(u.Key.AppendJSON(nil)) + string(u.ExpressionAttributeValues.AppendJSON(nil))
	x, y := u.AttributeUpdates["x"].Value, u.AttributeUpdates["y"].Value
	got += string(x.AppendJSON(nil)) + string(y.AppendJSON(nil))
	want := `{"k":{"S":"key"}}{":a":{"S":"one"},":b":{"N":"2"}}{"S":"three"}{"B":"Zm91cg=="}`
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestCollectionsAreBounded(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat(`{},`, maxElements/4), ",")
	for _, tt := range []struct {
		operation, body string
		want            error
	}{
		{"GetItem", `{"AttributesToGet":[` + strings.Repeat(`"a",`, maxElements-1) + `"a"]}`, nil},
		{"GetItem", `{"AttributesToGet":[` + strings.Repeat(`"a",`, maxElements) + `"a"]}`, errTooManyElements},
		{"GetItem", `{"AttributesToGet":[` + strings.Repeat(`"a",`, maxElements-1) + `"a"],"ExpressionAttributeNames":{"#a":"a"}}`, errTooManyElements},
		{"BatchWriteItem", `{"RequestItems":{"a":[` + many + `],"b":[` + many + `],"c":[` + many + `]}}`, nil},
		{"BatchWriteItem", `{"RequestItems":{"a":[` + many + `],"b":[` + many + `],"c":[` + many + `],"d":[` + many + `]}}`, errTooManyElements},
	} {
		if _, err := decode(t, tt.operation, tt.body); !errors.Is(err, tt.want) {
			t.Errorf("%s %.60s: got %v, want %v", tt.operation, tt.body, err, tt.want)
		}
	}
}

// FuzzDecode reads arbitrary JSON as every request: no panic, and what was
// decoded can be checked.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"TableName":"t","Item":{"a":{"S":"x"},"b":{"L":[{"N":"1"},{"NULL":true}]}},"ReturnValues":"ALL_OLD"}`))
	f.Add([]byte(`{"RequestItems":{"t":[{"PutRequest":{"Item":{"a":{"S":"x"}}}},{"DeleteRequest":{"Key":{}}}]}}`))
	f.Add([]byte(`{"RequestItems":{"t":{"Keys":[{"a":{"S":"x"}}],"AttributesToGet":["a"]}}}`))
	f.Add([]byte(`{"TableName":"t","KeySchema":[{"AttributeName":"a","KeyType":"HASH"}],"GlobalSecondaryIndexes":[{"IndexName":"i","Projection":{"NonKeyAttributes":[""]}}]}`))
	f.Add([]byte(`{"TransactItems":[{"Put":{"Item":{},"TableName":""}}],"ExportTime":1e30,"Limit":-1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if jsonscan.Valid(body, 1000) != nil {
			return
		}
		for name, input := range inputs {
			in := input()
			err := in.Decode(&Decoder{s: jsonscan.New(body)})
			var conversion *jsonscan.ConversionError
			if err != nil && !errors.As(err, &conversion) {
				t.Fatalf("%s: %T %v is not a conversion error", name, err, err)
			}
			if err == nil {
				_ = check(in)
			}
		}
	})
}
