package api

import (
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/jsonscan"
	"github.com/statordb/stator/item"
)

func TestAppendJSON(t *testing.T) {
	it := item.NewItem(map[string]item.Value{"a": item.String("x")})
	tests := []struct {
		out  Output
		want string
	}{
		{&GetItemOutput{}, `{}`},
		{&GetItemOutput{Item: it}, `{"Item":{"a":{"S":"x"}}}`},
		{&ConsumedCapacity{CapacityUnits: Some(0.5), TableName: Some(`a"b`), Table: &Capacity{CapacityUnits: Some(1.0)}},
			`{"CapacityUnits":0.5,"Table":{"CapacityUnits":1.0},"TableName":"a\"b"}`},
		{&QueryOutput{Items: []item.Item{}, Count: Some(int32(0)), LastEvaluatedKey: Attrs(it)},
			`{"Count":0,"Items":[],"LastEvaluatedKey":{"a":{"S":"x"}}}`},
		{&BatchWriteItemOutput{UnprocessedItems: map[string][]WriteRequest{}}, `{"UnprocessedItems":{}}`},
		{&BatchWriteItemOutput{UnprocessedItems: map[string][]WriteRequest{"b": {}, "a": {{PutRequest: &PutRequest{Item: Attrs(it)}}}}},
			`{"UnprocessedItems":{"a":[{"PutRequest":{"Item":{"a":{"S":"x"}}}}],"b":[]}}`},
		{&BatchGetItemOutput{Responses: map[string][]item.Item{"t": {it, it}}},
			`{"Responses":{"t":[{"a":{"S":"x"}},{"a":{"S":"x"}}]}}`},
		{&TableDescription{CreationDateTime: Some(env.Time(1421866952062e6)), DeletionProtectionEnabled: Some(false), ItemCount: Some(int64(0))},
			`{"CreationDateTime":1421866952.062,"DeletionProtectionEnabled":false,"ItemCount":0}`},
		{&ItemCollectionMetrics{SizeEstimateRangeGB: []float64{0, 1}}, `{"SizeEstimateRangeGB":[0.0,1.0]}`},
	}
	for _, test := range tests {
		got := test.out.AppendJSON([]byte("before "))
		if string(got) != "before "+test.want {
			t.Errorf("\n got %s\nwant before %s", got, test.want)
		}
		if err := jsonscan.Valid(got[len("before "):], 100); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
}

func TestAppendException(t *testing.T) {
	it := item.NewItem(map[string]item.Value{"a": item.Null()})
	tests := []struct {
		e    Exception
		want string
	}{
		{&ResourceInUseException{Message: Some("m")}, `{"__type":"ns#ResourceInUseException","message":"m"}`},
		{&ConditionalCheckFailedException{Message: Some("m"), Item: it}, `{"__type":"ns#ConditionalCheckFailedException","Item":{"a":{"NULL":true}},"message":"m"}`},
		{&TransactionInProgressException{Message: Some("m")}, `{"__type":"ns#TransactionInProgressException","Message":"m"}`},
	}
	for _, test := range tests {
		if got := AppendException(nil, "ns", test.e); string(got) != test.want {
			t.Errorf("\n got %s\nwant %s", got, test.want)
		}
	}
}

// Every operation of the public documentation is known.
func TestOperations(t *testing.T) {
	if len(Operations) != 62 {
		t.Errorf("got %d operations, want 62", len(Operations))
	}
}
