package server

import (
	"testing"

	"github.com/statordb/stator/table"
)

func TestParse(t *testing.T) {
	const key = `"Key":{"p":{"S":"a"}}`
	r, ok := Parse("UpdateItem", []byte(`{"TableName":"t",`+key+`,"UpdateExpression":"ADD n :n","ExpressionAttributeValues":{":n":{"N":"1"}}}`)).(*table.UpdateRequest)
	if !ok || r.Table != "t" || r.Update == nil || r.Key.Len() != 1 {
		t.Errorf("got %+v", r)
	}
	if r, ok := Parse("GetItem", []byte(`{"TableName":"t","ConsistentRead":true,`+key+`}`)).(*table.GetRequest); !ok || !r.Consistent {
		t.Errorf("got %+v", r)
	}
	if r, ok := Parse("BatchWriteItem", []byte(`{"RequestItems":{"items":[{"DeleteRequest":{`+key+`}}]}}`)).(*table.BatchWriteRequest); !ok || len(r.Tables) != 1 {
		t.Errorf("got %+v", r)
	}
	for _, refused := range []struct{ operation, body string }{
		{"GetItem", `{"TableName":"t"}`},
		{"GetItem", `{`},
		{"UpdateItem", `{"TableName":"t",` + key + `,"UpdateExpression":"ADD"}`},
		{"ListTables", `{}`},
		{"NoSuch", `{}`},
	} {
		if r := Parse(refused.operation, []byte(refused.body)); r != nil {
			t.Errorf("%s %s: got %+v", refused.operation, refused.body, r)
		}
	}
}
