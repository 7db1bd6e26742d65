package server

import (
	"errors"
	"fmt"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/table"
)

// What a table answers, in the shapes that the request asks for.
func TestAnswers(t *testing.T) {
	key := testItem("a", "x")
	full := testItem("a", "x", "b", "y")
	used := table.Capacity{Read: 0.5, Write: 2}
	written := &table.WriteResult{Attributes: full, Capacity: used, CollectionKey: key}
	f := idle()
	f.get = func(*table.GetRequest) (*table.GetResult, error) {
		return &table.GetResult{Item: full, Capacity: used}, nil
	}
	f.put = func(*table.PutRequest) (*table.WriteResult, error) { return written, nil }
	f.delete = func(*table.DeleteRequest) (*table.WriteResult, error) { return written, nil }
	f.update = func(*table.UpdateRequest) (*table.WriteResult, error) { return &table.WriteResult{}, nil }
	f.query = func(*table.QueryRequest) (*table.Page, error) {
		return &table.Page{Items: []item.Item{full}, Count: 1, ScannedCount: 3, LastKey: key, Capacity: used}, nil
	}
	f.scan = func(r *table.ScanRequest) (*table.Page, error) {
		return &table.Page{Count: 7, ScannedCount: 7}, nil
	}
	f.batchGet = func(*table.BatchGetRequest) (*table.BatchGetResult, error) {
		return &table.BatchGetResult{Tables: []table.BatchGetTableResult{
			{Items: []item.Item{full}, Capacity: used},
			{Unprocessed: []item.Item{key}, Capacity: used},
		}}, nil
	}
	f.batchWrite = func(r *table.BatchWriteRequest) (*table.BatchWriteResult, error) {
		return &table.BatchWriteResult{Tables: []table.BatchWriteTableResult{
			{Unprocessed: r.Tables[0].Writes, Capacity: used, CollectionKeys: []item.Item{key}, CollectionBytes: []int64{3<<30 + 1}},
		}}, nil
	}
	const (
		write = `{"TableName":"abc","ReturnConsumedCapacity":"TOTAL","ReturnItemCollectionMetrics":"SIZE",`
		cap2  = `"ConsumedCapacity":{"CapacityUnits":2.0,"TableName":"abc"}`
		size  = `"ItemCollectionMetrics":{"ItemCollectionKey":{"a":{"S":"x"}},"SizeEstimateRangeGB":[0.0,1.0]}`
		fullJ = `{"a":{"S":"x"},"b":{"S":"y"}}`
	)
	tests := []struct{ operation, body, want string }{
		{"GetItem", `{"TableName":"abc","Key":{}}`, `{"Item":` + fullJ + `}`},
		{"GetItem", `{"TableName":"abc","Key":{},"ReturnConsumedCapacity":"INDEXES"}`,
			`{"ConsumedCapacity":{"CapacityUnits":0.5,"Table":{"CapacityUnits":0.5},"TableName":"abc"},"Item":` + fullJ + `}`},
		{"PutItem", write + `"Item":{}}`, `{"Attributes":` + fullJ + `,` + cap2 + `,` + size + `}`},
		{"DeleteItem", write + `"Key":{}}`, `{"Attributes":` + fullJ + `,` + cap2 + `,` + size + `}`},
		{"DeleteItem", `{"TableName":"abc","ReturnConsumedCapacity":"NONE","ReturnItemCollectionMetrics":"NONE","Key":{}}`, `{"Attributes":` + fullJ + `}`},
		{"UpdateItem", `{"TableName":"abc","ReturnItemCollectionMetrics":"SIZE","Key":{}}`, `{}`},
		{"Query", `{"TableName":"abc","KeyConditionExpression":"a = :a","ExpressionAttributeValues":{":a":{"S":"x"}}}`,
			`{"Count":1,"Items":[` + fullJ + `],"LastEvaluatedKey":{"a":{"S":"x"}},"ScannedCount":3}`},
		{"Scan", `{"TableName":"abc","Select":"COUNT"}`, `{"Count":7,"ScannedCount":7}`},
		{"BatchGetItem", `{"RequestItems":{"abd":{"Keys":[{}],"ConsistentRead":true,"ProjectionExpression":"#b","ExpressionAttributeNames":{"#b":"b"}},"abc":{"Keys":[{}]}},"ReturnConsumedCapacity":"TOTAL"}`,
			`{"ConsumedCapacity":[{"CapacityUnits":0.5,"TableName":"abc"},{"CapacityUnits":0.5,"TableName":"abd"}],` +
				`"Responses":{"abc":[` + fullJ + `],"abd":[]},` +
				`"UnprocessedKeys":{"abd":{"ConsistentRead":true,"ExpressionAttributeNames":{"#b":"b"},"Keys":[{"a":{"S":"x"}}],"ProjectionExpression":"#b"}}}`},
		{"BatchWriteItem", `{"RequestItems":{"abc":[{"PutRequest":{"Item":{"a":{"S":"x"}}}},{"DeleteRequest":{"Key":{"a":{"S":"y"}}}}]},"ReturnConsumedCapacity":"TOTAL","ReturnItemCollectionMetrics":"SIZE"}`,
			`{"ConsumedCapacity":[{"CapacityUnits":2.0,"TableName":"abc"}],"ItemCollectionMetrics":{"abc":[{"ItemCollectionKey":{"a":{"S":"x"}},"SizeEstimateRangeGB":[3.0,4.0]}]},` +
				`"UnprocessedItems":{"abc":[{"PutRequest":{"Item":{"a":{"S":"x"}}}},{"DeleteRequest":{"Key":{"a":{"S":"y"}}}}]}}`},
		{"ListTables", `{}`, `{"TableNames":[]}`},
	}
	h := fakeEdge(f)
	for _, test := range tests {
		if status, got := call(t, h, test.operation, test.body); status != 200 || got != test.want {
			t.Errorf("%s %s:\n got %d %s\nwant 200 %s", test.operation, test.body, status, got, test.want)
		}
	}
}

// What reaches the table of a request.
func TestRequestsReachTheTable(t *testing.T) {
	f := idle()
	var scanned *table.ScanRequest
	f.scan = func(r *table.ScanRequest) (*table.Page, error) { scanned = r; return &table.Page{}, nil }
	var queried *table.QueryRequest
	f.query = func(r *table.QueryRequest) (*table.Page, error) { queried = r; return &table.Page{}, nil }
	var put *table.PutRequest
	f.put = func(r *table.PutRequest) (*table.WriteResult, error) { put = r; return &table.WriteResult{}, nil }
	h := fakeEdge(f)

	call(t, h, "Scan", `{"TableName":"abc","Segment":0,"TotalSegments":2,"Limit":5,"ConsistentRead":true,"IndexName":"index","ExclusiveStartKey":{"a":{"S":"x"}},"Select":"COUNT"}`)
	if got, want := fmt.Sprintf("%+v", scanned), fmt.Sprintf("%+v", &table.ScanRequest{
		Table: "abc", Index: "index", Select: "COUNT", Consistent: true, Limit: 5, StartKey: testItem("a", "x"), TotalSegments: 2,
	}); got != want {
		t.Errorf("Scan:\n got %s\nwant %s", got, want)
	}
	call(t, h, "Query", `{"TableName":"abc","ScanIndexForward":false,"KeyConditions":{"a":{"ComparisonOperator":"EQ","AttributeValueList":[{"S":"x"}]}},
		"QueryFilter":{"b":{"ComparisonOperator":"NULL"}},"AttributesToGet":["c"]}`)
	if !queried.Reverse || !queried.LegacyFilter || !queried.ProjectionNames || queried.Filter == nil || len(queried.Keys.Terms) != 1 {
		t.Errorf("Query: got %+v", queried)
	}
	call(t, h, "PutItem", `{"TableName":"abc","Item":{"a":{"S":"x"}},"ReturnValues":"ALL_OLD","ReturnValuesOnConditionCheckFailure":"ALL_OLD","Expected":{"a":{"Exists":false}}}`)
	if put.Return != table.AllOld || !put.ReturnOnFailure || put.Condition == nil || !put.Condition.Eval(nil) || put.Condition.Eval(put.Item) {
		t.Errorf("PutItem: got %+v", put)
	}
}

// Errors of the table under DynamoDB's names, also when they are wrapped.
func TestTranslate(t *testing.T) {
	const prefix = `{"__type":"com.amazonaws.dynamodb.v20120810#`
	tests := []struct {
		err    error
		status int
		want   string
	}{
		{&table.ValidationError{Message: "m"}, 400, validation("m")},
		{&table.NotFoundError{Table: "abc"}, 400, prefix + `ResourceNotFoundException","message":"Requested resource not found"}`},
		{&table.NotFoundError{Table: "abc", Control: true}, 400, prefix + `ResourceNotFoundException","message":"Requested resource not found: Table: abc not found"}`},
		{&table.InUseError{Message: "m"}, 400, prefix + `ResourceInUseException","message":"m"}`},
		{&table.LimitError{Message: "m"}, 400, prefix + `LimitExceededException","message":"m"}`},
		{&table.ConditionFailedError{}, 400, prefix + `ConditionalCheckFailedException","message":"The conditional request failed"}`},
		{&table.ConditionFailedError{Item: testItem("a", "x")}, 400, prefix + `ConditionalCheckFailedException","Item":{"a":{"S":"x"}},"message":"The conditional request failed"}`},
		{&table.NotBuiltError{What: "Query of an index"}, 400, `{"__type":"com.amazon.coral.service#UnknownOperationException","message":"Query of an index is not built yet"}`},
		{vfs.ErrNoSpace, 500, prefix + `InternalServerError","message":"The disk is full; writes are refused until there is space again"}`},
		{corrupt.New("000004.sst", 12, "checksum"), 500, prefix + `InternalServerError","message":"Stored data is damaged: ` + corrupt.New("000004.sst", 12, "checksum").Error() + `"}`},
		{replication.ErrFailed, 500, prefix + `InternalServerError","message":"The log could not be written; the database takes no more writes until it is opened again"}`},
		{table.ErrClosed, 503, ""},
		{errors.New("m"), 500, prefix + `InternalServerError","message":"Internal failure; see the log for request <id>"}`},
	}
	for _, test := range tests {
		for _, err := range []error{test.err, fmt.Errorf("wrapped: %w", test.err)} {
			f := idle()
			f.get = func(*table.GetRequest) (*table.GetResult, error) { return nil, err }
			status, got := call(t, fakeEdge(f), "GetItem", getABC)
			if status != test.status || stable(got) != test.want {
				t.Errorf("%v:\n got %d %s\nwant %d %s", err, status, got, test.status, test.want)
			}
		}
	}
}

// Descriptions of tables, from plain to full.
func TestDescribe(t *testing.T) {
	keys := []table.KeyElement{{Name: "p", Role: table.Hash}, {Name: "s", Role: table.Range}}
	plain := table.Description{
		Definition: table.Definition{
			Name: "abc", Keys: keys[:1], Throughput: &table.Throughput{Read: 5, Write: 6},
			Attributes: []table.AttributeDefinition{{Name: "p", Type: item.S}},
		},
		Status: table.StatusActive, ID: "id", ARN: "arn", Created: 1421866952062e6, ItemCount: 2, SizeBytes: 300,
	}
	rich := plain
	rich.Keys = keys
	rich.BillingMode = table.BillingOnDemand
	rich.BillingModeOnDemandSince = 1e9
	rich.Throughput = &table.Throughput{}
	rich.OnDemand = &table.OnDemandThroughput{MaxRead: -1}
	rich.TableClass, rich.TableClassUpdated = "STANDARD", 2e9
	rich.DeletionProtection = true
	rich.SSEStatus = table.StatusEnabled
	rich.SSE = &table.SSESpec{Enabled: true, Type: "KMS", KMSKeyID: "key"}
	rich.LocalIndexes = []table.IndexDefinition{{Name: "local", Keys: keys, Projection: &table.Projection{Type: "KEYS_ONLY"}}}
	rich.GlobalIndexes = []table.IndexDefinition{{Name: "global", Keys: keys[1:], Projection: &table.Projection{Type: "INCLUDE", NonKeyAttributes: []string{"x"}}}}
	rich.GlobalIndexStatus = []string{table.StatusActive}
	rich.GlobalIndexChanges = make([]table.ThroughputChanges, 1)
	gone := rich
	gone.Status = table.StatusDeleting

	const (
		schema = `"KeySchema":[{"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"s","KeyType":"RANGE"}]`
		about  = `"TableArn":"arn","TableClassSummary":{"LastUpdateDateTime":2,"TableClass":"STANDARD"},"TableId":"id","TableName":"abc","TableSizeBytes":300,`
		warm   = `"WarmThroughput":{"ReadUnitsPerSecond":12000,"Status":"ACTIVE","WriteUnitsPerSecond":4000}}`
		begin  = `{"AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}],`
		rates0 = `"ProvisionedThroughput":{"NumberOfDecreasesToday":0,"ReadCapacityUnits":0,"WriteCapacityUnits":0}`
		richA  = begin + `"BillingModeSummary":{"BillingMode":"PAY_PER_REQUEST","LastUpdateToPayPerRequestDateTime":1},"CreationDateTime":1421866952.062,"DeletionProtectionEnabled":true,`
		richB  = `"OnDemandThroughput":{"MaxReadRequestUnits":-1},` + rates0 + `,"SSEDescription":{"KMSMasterKeyArn":"key","SSEType":"KMS","Status":"ENABLED"},` + about
	)
	tests := []struct {
		name string
		d    table.Description
		want string
	}{
		{"plain", plain, begin + `"CreationDateTime":1421866952.062,"DeletionProtectionEnabled":false,"ItemCount":2,"KeySchema":[{"AttributeName":"p","KeyType":"HASH"}],` +
			`"ProvisionedThroughput":{"NumberOfDecreasesToday":0,"ReadCapacityUnits":5,"WriteCapacityUnits":6},` +
			`"TableArn":"arn","TableId":"id","TableName":"abc","TableSizeBytes":300,"TableStatus":"ACTIVE",` +
			`"WarmThroughput":{"ReadUnitsPerSecond":5,"Status":"ACTIVE","WriteUnitsPerSecond":6}}`},
		{"rich", rich, richA +
			`"GlobalSecondaryIndexes":[{"IndexArn":"arn/index/global","IndexName":"global","IndexSizeBytes":0,"IndexStatus":"ACTIVE","ItemCount":0,"KeySchema":[{"AttributeName":"s","KeyType":"RANGE"}],` +
			`"Projection":{"NonKeyAttributes":["x"],"ProjectionType":"INCLUDE"},` + rates0 + `,` + warm + `],"ItemCount":2,` + schema + `,` +
			`"LocalSecondaryIndexes":[{"IndexArn":"arn/index/local","IndexName":"local","IndexSizeBytes":0,"ItemCount":0,` + schema + `,"Projection":{"ProjectionType":"KEYS_ONLY"}}],` +
			richB + `"TableStatus":"ACTIVE",` + warm},
		{"gone", gone, richA + `"ItemCount":2,` + schema + `,` + richB + `"TableStatus":"DELETING",` + warm},
	}
	for _, test := range tests {
		if got := string(describe(&test.d).AppendJSON(nil)); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

func TestTagPages(t *testing.T) {
	f := idle()
	var all []table.Tag
	for i := range 25 {
		all = append(all, table.Tag{Key: fmt.Sprint("k", i), Value: "v"})
	}
	f.tags = func(string) ([]table.Tag, error) { return all, nil }
	h := fakeEdge(f)
	const arn = `"ResourceArn":"arn:aws:dynamodb:us-east-1:000000000000:table/abc"`
	for token, want := range map[string]string{
		``:                  `,{"Key":"k9","Value":"v"}]}`,
		`,"NextToken":"20"`: `,{"Key":"k24","Value":"v"}]}`,
		`,"NextToken":"25"`: `{"Tags":[]}`,
	} {
		_, got := call(t, h, "ListTagsOfResource", "{"+arn+token+"}")
		if len(got) < len(want) || got[len(got)-len(want):] != want {
			t.Errorf("token %q: got %s, want it to end in %s", token, got, want)
		}
	}
	if status, got := call(t, h, "ListTagsOfResource", "{"+arn+`,"NextToken":"x"}`); status != 400 {
		t.Errorf("got %d %s", status, got)
	}
}
