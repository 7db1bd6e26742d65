package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// One action of each kind, on two tables.
const fourActions = `{"TransactItems":[
	{"Put":{"TableName":"abc","Item":{"a":{"S":"x"}},"ConditionExpression":"attribute_not_exists(a)","ReturnValuesOnConditionCheckFailure":"ALL_OLD"}},
	{"Update":{"TableName":"abd","Key":{"a":{"S":"x"}},"UpdateExpression":"SET b = :b","ExpressionAttributeValues":{":b":{"S":"y"}}}},
	{"Delete":{"TableName":"abc","Key":{"a":{"S":"y"}}}},
	{"ConditionCheck":{"TableName":"abc","Key":{"a":{"S":"z"}},"ConditionExpression":"b = :b","ExpressionAttributeValues":{":b":{"S":"y"}}}}
	]`

const fourStatements = `{"TransactStatements":[{"Statement":"INSERT INTO abc VALUE {'a': 'x'}"},
	{"Statement":"UPDATE abd SET b = ? WHERE a = 'x'","Parameters":[{"S":"y"}]},{"Statement":"DELETE FROM abc WHERE a = 'y'"},
	{"Statement":"EXISTS(SELECT * FROM abc WHERE a = 'z' AND b = 'y')","ReturnValuesOnConditionCheckFailure":"ALL_OLD"}]`

func fakeTransactions() *fakeTables {
	f := idle()
	f.keyNames = func(string, string) (*table.KeyNames, error) { return &table.KeyNames{Hash: []string{"a"}}, nil }
	return f
}

// Every kind of action reaches the table, from actions and from statements.
func TestTransactionsReachTheTable(t *testing.T) {
	f := fakeTransactions()
	var got *table.TransactWriteRequest
	f.writeOnce = func(r *table.TransactWriteRequest) (*table.TransactWriteResult, error) {
		got = r
		return &table.TransactWriteResult{Actions: make([]table.TransactActionResult, len(r.Actions))}, nil
	}
	h := fakeEdge(f)
	for operation, body := range map[string]string{"TransactWriteItems": fourActions, "ExecuteTransaction": fourStatements} {
		got = nil
		if status, answer := call(t, h, operation, body+`,"ClientRequestToken":"t"}`); status != 200 || got == nil || got.Token != "t" || len(got.Actions) != 4 {
			t.Fatalf("%s: %d %s, request %+v", operation, status, answer, got)
		}
		put, update, del, check := &got.Actions[0], &got.Actions[1], &got.Actions[2], &got.Actions[3]
		full := testItem("a", "z", "b", "y")
		switch {
		case put.Kind != table.TransactPut || update.Kind != table.TransactUpdate || del.Kind != table.TransactDelete || check.Kind != table.TransactCheck:
			t.Errorf("%s: got %+v", operation, got)
		case put.Table != "abc" || put.Item.String() != testItem("a", "x").String() || !put.Condition.Eval(nil) || put.Condition.Eval(put.Item):
			t.Errorf("%s: put %+v", operation, put)
		case update.Table != "abd" || update.Item.String() != testItem("a", "x").String() || update.Update == nil:
			t.Errorf("%s: update %+v", operation, update)
		case del.Table != "abc" || del.Item.String() != testItem("a", "y").String() || del.Condition != nil:
			t.Errorf("%s: delete %+v", operation, del)
		case check.Item.String() != testItem("a", "z").String() || check.Condition.Eval(nil) || !check.Condition.Eval(full):
			t.Errorf("%s: check %+v", operation, check)
		}
		if insert := operation == "ExecuteTransaction"; put.ReturnOnFailure == insert || check.ReturnOnFailure != insert {
			t.Errorf("%s: returns on failure: put %v, check %v", operation, put.ReturnOnFailure, check.ReturnOnFailure)
		}
	}
}

func TestTransactWriteAnswers(t *testing.T) {
	f := fakeTransactions()
	const local, global = true, false
	result := &table.TransactWriteResult{Actions: []table.TransactActionResult{
		{Capacity: table.Capacity{Read: 4, Write: 2}, Indexes: []table.IndexCapacity{{Name: "l", Local: local, Units: 2}}, CollectionKey: testItem("a", "x"), CollectionBytes: 1 << 30},
		{Capacity: table.Capacity{Read: 2, Write: 6}},
		{Capacity: table.Capacity{Read: 2, Write: 2}, Indexes: []table.IndexCapacity{{Name: "l", Local: local, Units: 4}, {Name: "g", Local: global, Units: 2}}, CollectionKey: testItem("a", "x"), CollectionBytes: 2 << 30},
		{Capacity: table.Capacity{Read: 2, Write: 2}},
	}}
	f.writeOnce = func(*table.TransactWriteRequest) (*table.TransactWriteResult, error) { return result, nil }
	h := fakeEdge(f)
	tests := []struct {
		repeated   bool
		mode, want string
	}{
		{false, ``, `{}`},
		{false, `,"ReturnConsumedCapacity":"TOTAL"`, `{"ConsumedCapacity":[` +
			`{"CapacityUnits":14.0,"TableName":"abc","WriteCapacityUnits":14.0},{"CapacityUnits":6.0,"TableName":"abd","WriteCapacityUnits":6.0}]}`},
		{false, `,"ReturnConsumedCapacity":"INDEXES"`, `{"ConsumedCapacity":[{"CapacityUnits":14.0,` +
			`"GlobalSecondaryIndexes":{"g":{"CapacityUnits":2.0,"WriteCapacityUnits":2.0}},"LocalSecondaryIndexes":{"l":{"CapacityUnits":6.0,"WriteCapacityUnits":6.0}},` +
			`"Table":{"CapacityUnits":6.0,"WriteCapacityUnits":6.0},"TableName":"abc","WriteCapacityUnits":14.0},` +
			`{"CapacityUnits":6.0,"Table":{"CapacityUnits":6.0,"WriteCapacityUnits":6.0},"TableName":"abd","WriteCapacityUnits":6.0}]}`},
		{false, `,"ReturnItemCollectionMetrics":"SIZE"`, `{"ItemCollectionMetrics":{"abc":[{"ItemCollectionKey":{"a":{"S":"x"}},"SizeEstimateRangeGB":[2.0,3.0]}]}}`},
		// The same token once more: what it costs to read the items.
		{true, `,"ReturnConsumedCapacity":"TOTAL"`, `{"ConsumedCapacity":[` +
			`{"CapacityUnits":8.0,"ReadCapacityUnits":8.0,"TableName":"abc"},{"CapacityUnits":2.0,"ReadCapacityUnits":2.0,"TableName":"abd"}]}`},
	}
	for _, test := range tests {
		result.Repeated = test.repeated
		if status, got := call(t, h, "TransactWriteItems", fourActions+test.mode+"}"); status != 200 || got != test.want {
			t.Errorf("repeated %v %s:\n got %d %s\nwant 200 %s", test.repeated, test.mode, status, got, test.want)
		}
	}
	result.Repeated = false
	want := `{"ConsumedCapacity":[{"CapacityUnits":14.0,"TableName":"abc","WriteCapacityUnits":14.0},{"CapacityUnits":6.0,"TableName":"abd","WriteCapacityUnits":6.0}],"Responses":[{},{},{},{}]}`
	if status, got := call(t, h, "ExecuteTransaction", fourStatements+`,"ReturnConsumedCapacity":"TOTAL"}`); status != 200 || got != want {
		t.Errorf("statements:\n got %d %s\nwant 200 %s", status, got, want)
	}
}

// What is missing is an empty element, so that each has its place.
// TestTransactNamesOneTable: a table that is named by name and by ARN is one table in what was used, called as it was first.
func TestTransactNamesOneTable(t *testing.T) {
	f := fakeTransactions()
	key := testItem("a", "x")
	f.writeOnce = func(*table.TransactWriteRequest) (*table.TransactWriteResult, error) {
		return &table.TransactWriteResult{Actions: []table.TransactActionResult{
			{Capacity: table.Capacity{Write: 2}, CollectionKey: key, CollectionBytes: 1}, {Capacity: table.Capacity{Write: 4}, CollectionKey: key, CollectionBytes: 2},
			{Capacity: table.Capacity{Write: 6}}, {Capacity: table.Capacity{Write: 8}, CollectionKey: testItem("a", "y"), CollectionBytes: 3},
		}}, nil
	}
	f.getAll = func(*table.TransactGetRequest) (*table.TransactGetResult, error) {
		return &table.TransactGetResult{Items: make([]item.Item, 2), Capacity: []table.Capacity{{Read: 2}, {Read: 4}}}, nil
	}
	h := fakeEdge(f)
	const arn = "arn:aws:dynamodb:us-east-1:000000000000:table/abc"
	put := func(name, key string) string {
		return `{"Put":{"TableName":"` + name + `","Item":{"a":{"S":"` + key + `"}}}}`
	}
	body := `{"TransactItems":[` + put(arn, "x") + "," + put("abc", "z") + "," + put("abd", "x") + "," + put("abc", "y") + `],"ReturnConsumedCapacity":"TOTAL","ReturnItemCollectionMetrics":"SIZE"}`
	want := `{"ConsumedCapacity":[{"CapacityUnits":14.0,"TableName":"` + arn + `","WriteCapacityUnits":14.0},{"CapacityUnits":6.0,"TableName":"abd","WriteCapacityUnits":6.0}],` +
		`"ItemCollectionMetrics":{"` + arn + `":[{"ItemCollectionKey":{"a":{"S":"x"}},"SizeEstimateRangeGB":[0.0,1.0]},{"ItemCollectionKey":{"a":{"S":"y"}},"SizeEstimateRangeGB":[0.0,1.0]}]}}`
	if status, got := call(t, h, "TransactWriteItems", body); status != 200 || got != want {
		t.Errorf("got %d %s\nwant 200 %s", status, got, want)
	}
	get := func(name, key string) string {
		return `{"Get":{"TableName":"` + name + `","Key":{"a":{"S":"` + key + `"}}}}`
	}
	want = `{"ConsumedCapacity":[{"CapacityUnits":6.0,"ReadCapacityUnits":6.0,"TableName":"abc"}],"Responses":[{},{}]}`
	if status, got := call(t, h, "TransactGetItems", `{"TransactItems":[`+get("abc", "x")+","+get(arn, "y")+`],"ReturnConsumedCapacity":"TOTAL"}`); status != 200 || got != want {
		t.Errorf("got %d %s\nwant 200 %s", status, got, want)
	}
}

func TestTransactGetAnswers(t *testing.T) {
	f := fakeTransactions()
	f.getAll = func(r *table.TransactGetRequest) (*table.TransactGetResult, error) {
		if len(r.Items) != 2 || r.Items[1].Key.String() != testItem("a", "y").String() {
			t.Errorf("got %+v", r)
		}
		return &table.TransactGetResult{Items: []item.Item{nil, testItem("a", "y", "b", "z")}, Capacity: []table.Capacity{{Read: 2}, {Read: 4}}}, nil
	}
	h := fakeEdge(f)
	const used = `{"ConsumedCapacity":[{"CapacityUnits":2.0,"ReadCapacityUnits":2.0,"TableName":"abc"},{"CapacityUnits":4.0,"ReadCapacityUnits":4.0,"TableName":"abd"}],`
	for _, test := range []struct{ operation, body, want string }{
		{"TransactGetItems", `{"TransactItems":[{"Get":{"TableName":"abc","Key":{"a":{"S":"x"}}}},{"Get":{"TableName":"abd","Key":{"a":{"S":"y"}}}}],"ReturnConsumedCapacity":"TOTAL"}`,
			used + `"Responses":[{},{"Item":{"a":{"S":"y"},"b":{"S":"z"}}}]}`},
		{"ExecuteTransaction", `{"TransactStatements":[{"Statement":"SELECT * FROM abc WHERE a = 'x'"},{"Statement":"SELECT b FROM abd WHERE a = 'y' AND b = 'z'"}],"ReturnConsumedCapacity":"TOTAL"}`,
			used + `"Responses":[{},{"Item":{"b":{"S":"z"}}}]}`},
		{"ExecuteTransaction", `{"TransactStatements":[{"Statement":"SELECT * FROM abc WHERE a = 'x'"},{"Statement":"SELECT b FROM abd WHERE a = 'y' AND b = 'other'"}]}`,
			`{"Responses":[{},{}]}`},
	} {
		if status, got := call(t, h, test.operation, test.body); status != 200 || got != test.want {
			t.Errorf("%s %s:\n got %d %s\nwant 200 %s", test.operation, test.body, status, got, test.want)
		}
	}
}

// The reasons of a cancellation, and the other errors that transactions bring.
func TestTransactionErrors(t *testing.T) {
	f := fakeTransactions()
	var failure error
	f.writeOnce = func(*table.TransactWriteRequest) (*table.TransactWriteResult, error) { return nil, failure }
	f.put = func(*table.PutRequest) (*table.WriteResult, error) { return nil, failure }
	h := fakeEdge(f)
	const prefix = `{"__type":"com.amazonaws.dynamodb.v20120810#`
	canceled := &table.CancelledError{Reasons: []table.Reason{
		{Code: table.ReasonConditionFailed, Message: "The conditional request failed", Item: testItem("a", "x")},
		{Code: table.ReasonNone}, {Code: table.ReasonConflict, Message: "Transaction is ongoing for the item"},
		{Code: table.ReasonConditionFailed, Message: "The conditional request failed"},
	}}
	const rest = `{"Code":"None"},{"Code":"TransactionConflict","Message":"Transaction is ongoing for the item"},{"Code":"ConditionalCheckFailed","Message":"The conditional request failed"}],` +
		`"Message":"Transaction cancelled, please refer cancellation reasons for specific reasons [`
	for _, test := range []struct {
		err                   error
		operation, body, want string
	}{
		{canceled, "TransactWriteItems", fourActions + "}", prefix + `TransactionCanceledException","CancellationReasons":[{"Code":"ConditionalCheckFailed","Item":{"a":{"S":"x"}},"Message":"The conditional request failed"},` +
			rest + `ConditionalCheckFailed, None, TransactionConflict, ConditionalCheckFailed]"}`},
		// An INSERT whose condition is false has found its item.
		{canceled, "ExecuteTransaction", fourStatements + "}", prefix + `TransactionCanceledException","CancellationReasons":[{"Code":"DuplicateItem","Item":{"a":{"S":"x"}},"Message":"Duplicate primary key exists in table"},` +
			rest + `DuplicateItem, None, TransactionConflict, ConditionalCheckFailed]"}`},
		{&table.ParameterMismatchError{}, "TransactWriteItems", fourActions + "}", prefix + `IdempotentParameterMismatchException","Message":"` + (&table.ParameterMismatchError{}).Error() + `"}`},
		{&table.InProgressError{}, "TransactWriteItems", fourActions + "}", prefix + `TransactionInProgressException","Message":"` + (&table.InProgressError{}).Error() + `"}`},
		{&table.ConflictError{}, "PutItem", `{"TableName":"abc","Item":{"a":{"S":"x"}}}`, prefix + `TransactionConflictException","message":"Transaction is ongoing for the item"}`},
	} {
		for _, failure = range []error{test.err, fmt.Errorf("wrapped: %w", test.err)} {
			if status, got := call(t, h, test.operation, test.body); status != 400 || got != test.want {
				t.Errorf("%s, %v:\n got %d %s\nwant 400 %s", test.operation, failure, status, got, test.want)
			}
		}
	}
}

// Four megabytes are what a transaction may carry: items, keys and the values of
// expressions. An item that is too large for a table is the reason of a cancellation.
func TestTransactionSize(t *testing.T) {
	f := fakeTransactions()
	carried := 0
	f.writeOnce = func(r *table.TransactWriteRequest) (*table.TransactWriteResult, error) {
		carried = len(r.Actions)
		if invalid := r.Actions[len(r.Actions)-1].Invalid; invalid != "" {
			return nil, &table.ValidationError{Message: invalid}
		}
		return &table.TransactWriteResult{}, nil
	}
	h := fakeEdge(f)
	puts := func(n, last int) string {
		var list []string
		for i := range n {
			size := 400<<10 - 4
			if i == n-1 {
				size = last
			}
			list = append(list, fmt.Sprintf(`{"Put":{"TableName":"abc","Item":{"a":{"S":"%02d"},"b":{"S":"%s"}}}}`, i, strings.Repeat("b", size)))
		}
		return `{"TransactItems":[` + strings.Join(list, ",") + `]}`
	}
	// Ten items of 400 KB and one of the remaining 96.
	if status, got := call(t, h, "TransactWriteItems", puts(11, 96<<10-4)); status != 200 || carried != 11 {
		t.Errorf("4 MB: got %d %s", status, got)
	}
	if status, got := call(t, h, "TransactWriteItems", puts(11, 96<<10-3)); status != 400 || got != validation("Transaction request size cannot exceed 4 MB") {
		t.Errorf("a byte more: got %d %s", status, got)
	}
	if status, got := call(t, h, "TransactWriteItems", puts(1, 400<<10)); status != 400 || got != validation(item.MsgItemSize) {
		t.Errorf("an item of more than 400 KB: got %d %s", status, got)
	}
}

// Requests are the same if they mean the same, not only if they read the same.
func TestTransactionParameters(t *testing.T) {
	f := fakeTransactions()
	var got [32]byte
	f.writeOnce = func(r *table.TransactWriteRequest) (*table.TransactWriteResult, error) {
		got = r.Parameters
		return &table.TransactWriteResult{}, nil
	}
	h := fakeEdge(f)
	digest := func(action string) [32]byte {
		t.Helper()
		if status, answer := call(t, h, "TransactWriteItems", `{"TransactItems":[`+action+`],"ReturnConsumedCapacity":"TOTAL"}`); status != 200 {
			t.Fatalf("%s: %d %s", action, status, answer)
		}
		return got
	}
	const update = `{"Update":{"TableName":"%s","Key":{"a":{"N":"%s"}},"UpdateExpression":"%s","ExpressionAttributeValues":{"%s":{"S":"y"}}}}`
	one := digest(fmt.Sprintf(update, "abc", "1", "SET b = :b", ":b"))
	if same := digest(fmt.Sprintf(update, "arn:aws:dynamodb:us-east-1:000000000000:table/abc", "1.0", "set  b=:c", ":c")); same != one {
		t.Error("another spelling is another request")
	}
	for _, action := range []string{
		fmt.Sprintf(update, "abd", "1", "SET b = :b", ":b"),
		fmt.Sprintf(update, "abc", "2", "SET b = :b", ":b"),
		fmt.Sprintf(update, "abc", "1", "SET c = :b", ":b"),
		`{"Put":{"TableName":"abc","Item":{"a":{"N":"1"}}}}`,
		`{"Delete":{"TableName":"abc","Key":{"a":{"N":"1"}}}}`,
		`{"Delete":{"TableName":"abc","Key":{"a":{"N":"1"}},"ConditionExpression":"attribute_exists(a)"}}`,
		`{"ConditionCheck":{"TableName":"abc","Key":{"a":{"N":"1"}},"ConditionExpression":"attribute_exists(a)"}}`,
		`{"ConditionCheck":{"TableName":"abc","Key":{"a":{"N":"1"}},"ConditionExpression":"attribute_exists(a)","ReturnValuesOnConditionCheckFailure":"ALL_OLD"}}`,
	} {
		if digest(action) == one {
			t.Errorf("%s is taken for another request", action)
		}
		one = got
	}
}
