package api

import (
	"strings"
	"testing"
	"unicode/utf8"
)

const one = "1 validation error detected: "

// Messages of constraint violations, as in validation.md section 2.
func TestConstraintMessages(t *testing.T) {
	long := strings.Repeat("a", 256)
	tests := []struct{ operation, body, want string }{
		{"PutItem", `{"TableName":"abc","Item":{}}`, ""},
		{"PutItem", `{"Item":{}}`, one + "Value null at 'tableName' failed to satisfy constraint: Member must not be null"},
		{"PutItem", `{}`, "2 validation errors detected: Value null at 'item' failed to satisfy constraint: Member must not be null; " +
			"Value null at 'tableName' failed to satisfy constraint: Member must not be null"},
		{"PutItem", `{"TableName":"a","Item":{}}`, ""},
		{"PutItem", `{"TableName":"","ReturnValues":"x"}`, one + "Value '' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"PutItem", `{"TableName":"` + long + `","Item":{}}`, one + "Value '" + long + "' at 'tableName' failed to satisfy constraint: Member must have length less than or equal to 255"},
		{"PutItem", `{"TableName":"a b","Item":{}}`, one + "Value 'a b' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"},
		{"PutItem", `{"TableName":"arn:aws:dynamodb:us-east-1:000000000000:table/` + long[:200] + `","Item":{}}`, ""},
		{"PutItem", `{"TableName":"abc","Item":{},"ReturnValues":"hi","ReturnConsumedCapacity":"x","ReturnItemCollectionMetrics":"y"}`,
			"3 validation errors detected: " +
				"Value 'x' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]; " +
				"Value 'y' at 'returnItemCollectionMetrics' failed to satisfy constraint: Member must satisfy enum value set: [SIZE, NONE]; " +
				"Value 'hi' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"},
		{"PutItem", `{"TableName":"abc","Item":{},"ConditionalOperator":"XOR"}`, one + "Value 'XOR' at 'conditionalOperator' failed to satisfy constraint: Member must satisfy enum value set: [OR, AND]"},
		{"PutItem", `{"TableName":"abc","Item":{},"Expected":{"a":{"ComparisonOperator":"is"}}}`,
			one + "Value 'is' at 'expected.a.member.comparisonOperator' failed to satisfy constraint: Member must satisfy enum value set: " +
				"[IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS]"},
		{"UpdateItem", `{"TableName":"abc","Key":{},"AttributeUpdates":{"a":{"Action":"x"}}}`,
			one + "Value 'x' at 'attributeUpdates.a.member.action' failed to satisfy constraint: Member must satisfy enum value set: [ADD, PUT, DELETE]"},
		{"Query", `{"TableName":"abc","Limit":0}`, one + "Value at 'Limit' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"Scan", `{"TableName":"abc","Limit":0}`, one + "Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"Scan", `{"TableName":"abc","Segment":-1,"TotalSegments":1000001}`, "2 validation errors detected: " +
			"Value '-1' at 'segment' failed to satisfy constraint: Member must have value greater than or equal to 0; " +
			"Value '1000001' at 'totalSegments' failed to satisfy constraint: Member must have value less than or equal to 1000000"},
		{"Scan", `{"TableName":"abc","Select":"all"}`, one + "Value 'all' at 'select' failed to satisfy constraint: Member must satisfy enum value set: " +
			"[SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]"},
		{"Scan", `{"TableName":"abc","IndexName":"a!"}`, "2 validation errors detected: " +
			"Value 'a!' at 'indexName' failed to satisfy constraint: Member must have length greater than or equal to 3; " +
			"Value 'a!' at 'indexName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"},
		{"Scan", `{"TableName":"abc","AttributesToGet":[]}`, one + "Value '[]' at 'attributesToGet' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"Query", `{"TableName":"abc","KeyConditions":{"a":{}}}`, one + "Value null at 'keyConditions.a.member.comparisonOperator' failed to satisfy constraint: Member must not be null"},
		{"BatchGetItem", `{"RequestItems":{}}`, ""},
		{"BatchGetItem", `{}`, one + "Value null at 'requestItems' failed to satisfy constraint: Member must not be null"},
		{"BatchGetItem", `{"RequestItems":{"abc":{"Keys":[]}}}`, one + "Value at 'RequestItems.abc.member.Keys' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"BatchGetItem", `{"RequestItems":{"abc":{}}}`, one + "Value null at 'requestItems.abc.member.keys' failed to satisfy constraint: Member must not be null"},
		{"BatchWriteItem", `{"RequestItems":{"abc":[]}}`, one + "Value '{abc=[]}' at 'requestItems' failed to satisfy constraint: " +
			"Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than or equal to 1]"},
		{"BatchWriteItem", `{"RequestItems":{"a!":[{"DeleteRequest":{}}]}}`, "2 validation errors detected: " +
			"Value '{a!=[WriteRequest(deleteRequest=DeleteRequest(key=null), putRequest=null)]}' at 'requestItems' failed to satisfy constraint: " +
			"Map keys must satisfy constraint: [Member must have length less than or equal to 255, Member must have length greater than or equal to 3, Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+]; " +
			"Value null at 'requestItems.a!.member.1.member.deleteRequest.key' failed to satisfy constraint: Member must not be null"},
		{"CreateTable", `{}`, "The parameter 'TableName' is required but was not present in the request"},
		{"CreateTable", `{"TableName":"ab"}`, one + "Value 'ab' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 3"},
		{"DescribeTable", `{}`, "The parameter 'TableName' is required but was not present in the request"},
		{"CreateTable", `{"TableName":"abc","AttributeDefinitions":[{"AttributeName":"a","AttributeType":"X"}],"BillingMode":"x",
			"KeySchema":[{"AttributeName":"","KeyType":"HASH"},{"KeyType":"y"}],"ProvisionedThroughput":{"ReadCapacityUnits":0}}`,
			"7 validation errors detected: " +
				"Value 'X' at 'attributeDefinitions.1.member.attributeType' failed to satisfy constraint: Member must satisfy enum value set: [B, N, S]; " +
				"Value 'x' at 'billingMode' failed to satisfy constraint: Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]; " +
				"Value '' at 'keySchema.1.member.attributeName' failed to satisfy constraint: Member must have length greater than or equal to 1; " +
				"Value null at 'keySchema.2.member.attributeName' failed to satisfy constraint: Member must not be null; " +
				"Value 'y' at 'keySchema.2.member.keyType' failed to satisfy constraint: Member must satisfy enum value set: [HASH, RANGE]; " +
				"Value '0' at 'provisionedThroughput.readCapacityUnits' failed to satisfy constraint: Member must have value greater than or equal to 1; " +
				"Value null at 'provisionedThroughput.writeCapacityUnits' failed to satisfy constraint: Member must not be null"},
		{"CreateTable", `{"TableName":"abc","AttributeDefinitions":[],"KeySchema":[
			{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"},{"AttributeName":"extra","KeyType":"RANGE"}]}`,
			one + "Value '[KeySchemaElement(attributeName=pk, keyType=HASH), KeySchemaElement(attributeName=sk, keyType=RANGE), KeySchemaElement(attributeName=extra, keyType=RANGE)]' " +
				"at 'keySchema' failed to satisfy constraint: Member must have length less than or equal to 2"},
		{"CreateTable", `{"TableName":"abc","AttributeDefinitions":[],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],
			"GlobalSecondaryIndexes":[{"IndexName":"g1","KeySchema":[{"AttributeName":"a","KeyType":"HASH"}],"Projection":{"NonKeyAttributes":["x",""]}}],
			"LocalSecondaryIndexes":[{"IndexName":"l1","KeySchema":[{"AttributeName":"a","KeyType":"HASH"}],"Projection":{"ProjectionType":"all"}}]}`,
			"4 validation errors detected: " +
				"Value 'g1' at 'globalSecondaryIndexes.1.member.indexName' failed to satisfy constraint: Member must have length greater than or equal to 3; " +
				"Value '' at 'globalSecondaryIndexes.1.member.projection.nonKeyAttributes.2.member' failed to satisfy constraint: Member must have length greater than or equal to 1; " +
				"Value 'l1' at 'localSecondaryIndexes.1.member.indexName' failed to satisfy constraint: Member must have length greater than or equal to 3; " +
				"Value 'all' at 'localSecondaryIndexes.1.member.projection.projectionType' failed to satisfy constraint: Member must satisfy enum value set: [ALL, INCLUDE, KEYS_ONLY]"},
		{"ListTables", `{"Limit":101,"ExclusiveStartTableName":"a"}`, "2 validation errors detected: " +
			"Value 'a' at 'exclusiveStartTableName' failed to satisfy constraint: Member must have length greater than or equal to 3; " +
			"Value '101' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 100"},
	}
	for _, test := range tests {
		in, err := decode(t, test.operation, test.body)
		if err != nil {
			t.Errorf("%s %s: %v", test.operation, test.body, err)
			continue
		}
		got := ""
		if err := check(in); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s %s:\n got %s\nwant %s", test.operation, test.body, got, test.want)
		}
	}
}

func TestAtMostTenViolations(t *testing.T) {
	body := `{"TableName":"abc","AttributeDefinitions":[` + strings.Repeat(`{},`, 20) + `{}],"KeySchema":[]}`
	in, err := decode(t, "CreateTable", body)
	if err != nil {
		t.Fatal(err)
	}
	got := check(in).Error()
	if !strings.HasPrefix(got, "10 validation errors detected: ") || strings.Count(got, "; ") != 9 {
		t.Errorf("got %s", got)
	}
}

// Lengths are those of Java strings.
func TestUnits(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "é": 1, "€€": 2, "😀": 2, "a😀é": 4} {
		if got := units(s); got != want {
			t.Errorf("units(%q) = %d, want %d", s, got, want)
		}
	}
}

// A violation does not send a large request back.
func TestEchoIsBounded(t *testing.T) {
	item := `{"PutRequest":{"Item":{"a":{"S":"` + strings.Repeat("x", 10000) + `"}}}},`
	long := strings.Repeat("é", 200_000)
	for _, test := range []struct{ operation, body string }{
		{"BatchWriteItem", `{"RequestItems":{"abc":[` + strings.Repeat(item, 100) + `{}]}}`},
		{"PutItem", `{"TableName":"abc","Item":{},"ReturnValues":"` + long + `"}`},
		{"PutItem", `{"TableName":"` + long + `","Item":{}}`},
		{"PutItem", `{"TableName":"abc","Item":{},"Expected":{"` + long + `":{"ComparisonOperator":"X"}}}`},
	} {
		in, err := decode(t, test.operation, test.body)
		if err != nil {
			t.Fatal(err)
		}
		if got := check(in).Error(); len(got) > 3*maxEcho || !utf8.ValidString(got) {
			t.Errorf("message of %d bytes for a request of %d: %.100s", len(got), len(test.body), got)
		}
	}
}
