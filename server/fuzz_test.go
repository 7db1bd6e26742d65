package server

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/jsonscan"
	"github.com/statordb/stator/server/api"
)

// FuzzHandler sends arbitrary bodies to every operation that is built, on a
// table that finds nothing. The answer is always one JSON object and never an
// internal error.
func FuzzHandler(f *testing.F) {
	f.Add(`{"TableName":"abc","Item":{"a":{"S":"x"}},"Expected":{"b":{"Exists":false}}}`)
	f.Add(`{"TableName":"abc","Key":{"a":{"N":"1"}},"UpdateExpression":"SET b = :b","ExpressionAttributeValues":{":b":{"L":[{"BOOL":true}]}}}`)
	f.Add(`{"TableName":"abc","KeyConditions":{"a":{"ComparisonOperator":"BETWEEN","AttributeValueList":[{"B":"eA=="},{"B":"eQ=="}]}},"Select":"COUNT"}`)
	f.Add(`{"RequestItems":{"abc":[{"PutRequest":{"Item":{"a":{"S":"x"}}}}]}}`)
	f.Add(`{"RequestItems":{"abc":{"Keys":[{"a":{"S":"x"}}],"ProjectionExpression":"a.b[0]"}}}`)
	f.Add(`{"ResourceArn":"arn:aws:dynamodb:us-east-1:0:table/abc"}`)
	f.Add(`{"Statement":"SELECT a.b FROM abc WHERE p = ? ORDER BY s","Parameters":[{"S":"x"}],"NextToken":"AQ=="}`)
	f.Add(`{"Statements":[{"Statement":"INSERT INTO abc VALUE {'p': <<1>>}"},{"Statement":"nope"}]}`)
	skip := map[string]bool{"CreateTable": true, "UpdateTable": true, "DeleteTable": true} // the fake has none
	h := fakeEdge(idle())
	f.Fuzz(func(t *testing.T, body string) {
		for _, operation := range api.Operations {
			if skip[operation] {
				continue
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, newRequest(operation, body))
			if w.Code != 200 && w.Code != 400 {
				t.Errorf("%s %s: got %d %s", operation, body, w.Code, w.Body)
			}
			if w.Body.Len() == 0 && (operation == "TagResource" || operation == "UntagResource") {
				continue
			}
			if !strings.HasPrefix(w.Body.String(), "{") || jsonscan.Valid(w.Body.Bytes(), 1000) != nil {
				t.Errorf("%s %s: answer is not JSON: %s", operation, body, w.Body)
			}
		}
	})
}

// FuzzOperations sends bodies to the whole stack, beginning with all requests
// of the golden files. What reaches the tables is answered from them, with 200
// or the client's error; nothing panics and nothing is an internal error.
func FuzzOperations(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		for _, e := range readGolden(f, name) {
			if m := shortForm.FindStringSubmatch(e.request); m != nil && !strings.HasSuffix(m[1], "Table") {
				f.Add(m[1], m[2])
			}
		}
	}
	h := openMemory(f).Handler()
	for _, table := range []string{
		`{"TableName":"abc","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"p","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}]}`,
		`{"TableName":"def","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"s","KeyType":"RANGE"}],
			"AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"},{"AttributeName":"s","AttributeType":"N"}],"Tags":[{"Key":"stator:partitions","Value":"3"}]}`,
	} {
		if status, got := call(f, h, "CreateTable", table); status != 200 {
			f.Fatalf("CreateTable: %d %s", status, got)
		}
	}
	f.Fuzz(func(t *testing.T, operation, body string) {
		if strings.HasSuffix(operation, "Table") { // tables come and go, and the others would find none
			return
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, newRequest(operation, body))
		if w.Code != 200 && w.Code != 400 {
			t.Errorf("%s %s: got %d %s", operation, body, w.Code, w.Body)
		}
		if w.Body.Len() > 0 && jsonscan.Valid(w.Body.Bytes(), 1000) != nil {
			t.Errorf("%s %s: answer is not JSON: %s", operation, body, w.Body)
		}
	})
}
