package server

import (
	"strings"
	"testing"
)

const invalid = "One or more parameter values were invalid: "

// The checks that need no table, in the order and words of validation.md
// sections 3 to 5. An empty want means that the request gets to the table.
func TestValidation(t *testing.T) {
	const (
		mixed  = "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: "
		key    = `"TableName":"abc","Key":{"a":{"S":"x"}}`
		itemA  = `"TableName":"abc","Item":{"a":{"S":"x"}}`
		table  = `"TableName":"abc"`
		hashEQ = `"KeyConditionExpression":"a = :a","ExpressionAttributeValues":{":a":{"S":"x"}}`
	)
	tests := []struct{ operation, body, want string }{
		// GetItem
		{"GetItem", key, ""},
		{"GetItem", key + `,"AttributesToGet":["a"],"ProjectionExpression":"b"`, mixed + "{AttributesToGet} Expression parameters: {ProjectionExpression}"},
		{"GetItem", key + `,"ExpressionAttributeNames":{"#a":"a"}`, "ExpressionAttributeNames can only be specified when using expressions"},
		{"GetItem", `"TableName":"abc","Key":{"a":{}},"ExpressionAttributeNames":{}`, "ExpressionAttributeNames can only be specified when using expressions"},
		{"GetItem", `"TableName":"abc","Key":{"a":{}},"ProjectionExpression":""`, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"},
		{"GetItem", key + `,"AttributesToGet":["a","b","a"]`, invalid + "Duplicate value in attribute name: a"},
		{"GetItem", key + `,"ProjectionExpression":""`, "Invalid ProjectionExpression: The expression can not be empty;"},
		{"GetItem", key + `,"ProjectionExpression":"a","ExpressionAttributeNames":{}`, "ExpressionAttributeNames must not be empty"},
		{"GetItem", key + `,"ProjectionExpression":"a","ExpressionAttributeNames":{"a":"b"}`, `ExpressionAttributeNames contains invalid key: Syntax error; key: "a"`},
		{"GetItem", key + `,"ProjectionExpression":"a","ExpressionAttributeNames":{"#a":"b"}`, "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a}"},

		// PutItem
		{"PutItem", itemA, ""},
		{"PutItem", itemA + `,"Expected":{},"ConditionExpression":""`, mixed + "{Expected} Expression parameters: {ConditionExpression}"},
		{"PutItem", itemA + `,"ExpressionAttributeValues":{}`, "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null"},
		{"PutItem", itemA + `,"ExpressionAttributeNames":{},"ExpressionAttributeValues":{}`, "ExpressionAttributeNames can only be specified when using expressions"},
		{"PutItem", `"TableName":"abc","Item":{"a":{"NULL":false}},"ReturnValues":"ALL_NEW"`, invalid + "Null attribute value types must have the value of true"},
		{"PutItem", `"TableName":"abc","Item":{"a":{"SS":[]}}`, invalid + "An string set  may not be empty"},
		{"PutItem", `"TableName":"abc","Item":{"a":{"S":"x","N":"1"}}`, "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"},
		{"PutItem", itemA + `,"ReturnValues":"ALL_NEW","ConditionExpression":""`, "ReturnValues can only be ALL_OLD or NONE"},
		{"PutItem", `"TableName":"abc","Item":{"a":{"S":"` + strings.Repeat("x", 400<<10) + `"}},"Expected":{"a":{}}`, "Item size has exceeded the maximum allowed size"},
		{"PutItem", itemA + `,"Expected":{"a":{}}`, invalid + "Value must be provided when Exists is null for Attribute: a"},
		{"PutItem", itemA + `,"Expected":{"a":{"Exists":false,"Value":{"S":"x"}}}`, invalid + "Value cannot be used when Exists is false for Attribute: a"},
		{"PutItem", itemA + `,"Expected":{"a":{"Value":{"N":"x"}}}`, "The parameter cannot be converted to a numeric value: x"},
		{"PutItem", itemA + `,"Expected":{"a":{"ComparisonOperator":"IN","AttributeValueList":[{}]}}`, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"},
		{"PutItem", itemA + `,"ConditionalOperator":"OR"`, invalid + "ConditionalOperator cannot be used without Filter or Expected"},
		{"PutItem", itemA + `,"ConditionExpression":"a = :a","ExpressionAttributeValues":{":a":{"N":"x"}}`, "ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a numeric value: x for key :a"},
		{"PutItem", itemA + `,"ConditionExpression":"a = :a","ExpressionAttributeValues":{"a":{"N":"x"}}`, `ExpressionAttributeValues contains invalid key: Syntax error; key: "a"`},
		{"PutItem", itemA + `,"ConditionExpression":"a = :a"`, "Invalid ConditionExpression: An expression attribute value used in expression is not defined; attribute value: :a"},
		{"PutItem", itemA + `,"ConditionExpression":"a = :a","ExpressionAttributeValues":{":a":{"N":"1"},":b":{"N":"1"}}`, "Value provided in ExpressionAttributeValues unused in expressions: keys: {:b}"},

		// DeleteItem
		{"DeleteItem", key, ""},
		{"DeleteItem", key + `,"Expected":{},"ConditionExpression":""`, mixed + "{Expected} Expression parameters: {ConditionExpression}"},
		{"DeleteItem", `"TableName":"abc","Key":{"a":{"BS":[]}},"ReturnValues":"ALL_NEW"`, invalid + "Binary sets should not be empty"},
		{"DeleteItem", key + `,"ReturnValues":"UPDATED_OLD"`, "ReturnValues can only be ALL_OLD or NONE"},

		// UpdateItem
		{"UpdateItem", key, ""},
		{"UpdateItem", key + `,"AttributeUpdates":{},"Expected":{},"UpdateExpression":"","ConditionExpression":""`,
			mixed + "{AttributeUpdates, Expected} Expression parameters: {UpdateExpression, ConditionExpression}"},
		{"UpdateItem", key + `,"ExpressionAttributeValues":{}`, "ExpressionAttributeValues can only be specified when using expressions: UpdateExpression and ConditionExpression are null"},
		{"UpdateItem", key + `,"UpdateExpression":""`, "Invalid UpdateExpression: The expression can not be empty;"},
		{"UpdateItem", key + `,"AttributeUpdates":{"b":{}}`, invalid + "Only DELETE action is allowed when no attribute value is specified"},
		{"UpdateItem", key + `,"AttributeUpdates":{"b":{"Action":"ADD","Value":{"S":"x"}}}`, invalid + "ADD action is not supported for the type S"},
		{"UpdateItem", key + `,"AttributeUpdates":{"b":{"Value":{"NS":["1","1.0"]}}}`, "Input collection contains duplicates"},
		{"UpdateItem", key + `,"AttributeUpdates":{},"ReturnValues":"ALL_NEW"`, ""},
		{"UpdateItem", key + `,"UpdateExpression":"SET b = :b","ConditionExpression":"c = :b AND d = :d","ExpressionAttributeValues":{":b":{"S":"x"}}`,
			"Invalid ConditionExpression: An expression attribute value used in expression is not defined; attribute value: :d"},

		// Query
		{"Query", table + `,` + hashEQ, ""},
		{"Query", table, "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."},
		{"Query", table + `,"KeyConditions":{},"QueryFilter":{},"FilterExpression":"","KeyConditionExpression":""`,
			mixed + "{QueryFilter, KeyConditions} Expression parameters: {FilterExpression, KeyConditionExpression}"},
		{"Query", table + `,"KeyConditions":{},"FilterExpression":""`, "Invalid FilterExpression: The expression can not be empty;"},
		{"Query", table + `,"ExpressionAttributeValues":{}`, "ExpressionAttributeValues can only be specified when using expressions: FilterExpression and KeyConditionExpression are null"},
		{"Query", table + `,"QueryFilter":{"a":{"ComparisonOperator":"EQ"}},"AttributesToGet":["a","a"]`, invalid + "Invalid number of argument(s) for the EQ ComparisonOperator"},
		{"Query", table + `,"AttributesToGet":["a","a"],"ExclusiveStartKey":{"a":{}}`, invalid + "Duplicate value in attribute name: a"},
		{"Query", table + `,"ExclusiveStartKey":{"a":{}}`, "The provided starting key is invalid: Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"},
		{"Query", table + `,"ExclusiveStartKey":{"a":{"N":"x"}}`, "The parameter cannot be converted to a numeric value: x"},
		{"Query", table + `,"KeyConditions":{}`, "Conditions can be of length 1 or 2 only"},
		{"Query", table + `,"KeyConditionExpression":"a <> :a"`, "Invalid KeyConditionExpression: An expression attribute value used in expression is not defined; attribute value: :a"},
		{"Query", table + `,"KeyConditionExpression":"a <> b","FilterExpression":"foo(a)"`, "Invalid FilterExpression: Invalid function name; function: foo"},
		{"Query", table + `,"KeyConditionExpression":"a <> b","ProjectionExpression":""`, "Invalid ProjectionExpression: The expression can not be empty;"},
		{"Query", table + `,"KeyConditionExpression":"a <> b","ExpressionAttributeNames":{"#a":"b"}`, "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a}"},
		{"Query", table + `,"KeyConditionExpression":"a <> b","Select":"SPECIFIC_ATTRIBUTES"`, "Invalid operator used in KeyConditionExpression: <>"},
		{"Query", table + `,"KeyConditionExpression":"a = :a AND b = :a AND c = :a","ExpressionAttributeValues":{":a":{"S":"x"}},"Select":"SPECIFIC_ATTRIBUTES"`, "Conditions can be of length 1 or 2 only"},
		{"Query", table + `,"IndexName":"idx","KeyConditionExpression":"a = :a AND b = :a AND c = :a","ExpressionAttributeValues":{":a":{"S":"x"}}`, ""},
		{"Query", table + `,` + hashEQ + `,"Select":"ALL_PROJECTED_ATTRIBUTES"`, "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"},
		{"Query", table + `,` + hashEQ + `,"Select":"SPECIFIC_ATTRIBUTES"`, "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"},
		{"Query", table + `,` + hashEQ + `,"Select":"COUNT","ProjectionExpression":"b"`, "Cannot specify the ProjectionExpression when choosing to get COUNT"},
		{"Query", table + `,` + hashEQ + `,"Select":"SPECIFIC_ATTRIBUTES","ProjectionExpression":"b"`, ""},

		// Scan
		{"Scan", table, ""},
		{"Scan", table + `,"ScanFilter":{},"ConditionalOperator":"OR","ProjectionExpression":"","FilterExpression":""`,
			mixed + "{ScanFilter, ConditionalOperator} Expression parameters: {ProjectionExpression, FilterExpression}"},
		{"Scan", table + `,"ExpressionAttributeValues":{}`, "ExpressionAttributeValues can only be specified when using expressions: FilterExpression is null"},
		{"Scan", table + `,"AttributesToGet":["a","a"],"ScanFilter":{"a":{"ComparisonOperator":"EQ"}}`, invalid + "Duplicate value in attribute name: a"},
		{"Scan", table + `,"Segment":0`, "The TotalSegments parameter is required but was not present in the request when Segment parameter is present"},
		{"Scan", table + `,"TotalSegments":1`, "The Segment parameter is required but was not present in the request when parameter TotalSegments is present"},
		{"Scan", table + `,"Segment":2,"TotalSegments":2,"FilterExpression":""`, "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 2 is not less than TotalSegments: 2"},

		// BatchGetItem
		{"BatchGetItem", `"RequestItems":{}`, "The requestItems parameter is required for BatchGetItem"},
		{"BatchGetItem", `"RequestItems":{"abc":{"Keys":[{"a":{"S":"x"}},{"a":{"S":"y"}}]}}`, ""},
		{"BatchGetItem", `"RequestItems":{"abc":{"Keys":[{"a":{"S":"x"}},{"a":{"S":"x"}}]}}`, "Provided list of item keys contains duplicates"},
		{"BatchGetItem", `"RequestItems":{"abc":{"Keys":[{"a":{"N":"1"},"b":{"S":"x"}}, {"b":{"S":"x"}, "a" : {"N":"1"}}]}}`, "Provided list of item keys contains duplicates"},
		{"BatchGetItem", `"RequestItems":{"abc":{"Keys":[{"a":{"N":"1"}},{"a":{"N":"1.0"}},{"a":{"N":"+1","S":null}}]}}`, ""},
		{"BatchGetItem", `"RequestItems":{"abc":{"Keys":[{"a":{"N":"1"}},{"a":{"N":"1.0"}},{"a":{"S":null,"N":"\u0031"}}]}}`, "Provided list of item keys contains duplicates"},
		{"BatchGetItem", `"RequestItems":{"abc":{"Keys":[null,null]}}`, "Provided list of item keys contains duplicates"},
		{"BatchGetItem", `"RequestItems":{"abc":{"Keys":[{"a":{"N":""}}],"ProjectionExpression":"a, a"}}`,
			"Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a]"},
		{"BatchGetItem", `"RequestItems":{"abc":{"Keys":[{}],"ExpressionAttributeNames":{}}}`, "ExpressionAttributeNames can only be specified when using expressions"},
		{"BatchGetItem", `"RequestItems":{"abc":{"Keys":[` + manyKeys(60) + `]},"abd":{"Keys":[` + manyKeys(60) + `]}}`, "Too many items requested for the BatchGetItem call"},

		// BatchWriteItem
		{"BatchWriteItem", `"RequestItems":{}`, "The requestItems parameter is required for BatchWriteItem"},
		{"BatchWriteItem", `"RequestItems":{"abc":[{}]}`, "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"},
		{"BatchWriteItem", `"RequestItems":{"abc":[{"PutRequest":{"Item":{}},"DeleteRequest":{"Key":{}}}]}`, "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"},
		{"BatchWriteItem", `"RequestItems":{"abc":[{"PutRequest":{"Item":{"a":{"S":"` + strings.Repeat("x", 400<<10) + `"}}}}]}`, "Item size has exceeded the maximum allowed size"},
		{"BatchWriteItem", `"RequestItems":{"abc":[{"DeleteRequest":{"Key":{"a":{"N":"1e200"}}}}]}`, "Number overflow. Attempting to store a number with magnitude larger than supported range"},
		{"BatchWriteItem", `"RequestItems":{"abc":[` + manyDeletes(20) + `],"abd":[` + manyDeletes(20) + `]}`, "Too many items requested for the BatchWriteItem call"},
		{"BatchWriteItem", `"RequestItems":{"abc":[{"DeleteRequest":{"Key":{"a":{"N":"1"}}}}]}`, ""},

		// tables
		{"UpdateTable", table + `,"GlobalSecondaryIndexUpdates":[{}]`, invalid + "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete must not be null"},
		{"CreateTable", table + `,"KeySchema":[{"AttributeName":"a","KeyType":"HASH"}],"AttributeDefinitions":[],"Tags":[{"Key":"stator:partitions","Value":"x"}]`,
			"Tag stator:partitions must be a positive number, got 'x'"},
		{"ListTagsOfResource", `"ResourceArn":"abc"`, "Invalid TableArn: ARNs must start with 'arn:': abc"},
		{"ListTagsOfResource", `"ResourceArn":"arn:aws:dynamodb:us-east-1:000000000000:table/abc/index/i"`,
			"Invalid TableArn: Invalid ResourceArn provided as input arn:aws:dynamodb:us-east-1:000000000000:table/abc/index/i"},
	}
	h := fakeEdge(idle())
	notFound := `{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"Requested resource not found"}`
	for _, test := range tests {
		want := notFound
		if test.want != "" {
			want = validation(test.want)
		}
		status, got := call(t, h, test.operation, "{"+test.body+"}")
		if status != 400 || got != want {
			t.Errorf("%s %.200s:\n got %d %s\nwant 400 %s", test.operation, test.body, status, got, want)
		}
	}
}

func manyKeys(n int) string {
	return strings.TrimSuffix(numbered(n, `{"a":{"N":"%"}},`), ",")
}

func manyDeletes(n int) string {
	return strings.TrimSuffix(numbered(n, `{"DeleteRequest":{"Key":{"a":{"N":"%"}}}},`), ",")
}

// numbered repeats text n times with '%' replaced by 0, 1, ...
func numbered(n int, text string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(text, "%", string(rune('0'+i/10))+string(rune('0'+i%10))))
	}
	return b.String()
}
