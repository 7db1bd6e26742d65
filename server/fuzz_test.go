package server

import (
	"net/http/httptest"
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
