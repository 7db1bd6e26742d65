package server

import (
	"net/http/httptest"
	"testing"
)

// What a statement costs beside the operation that it stands for. Compare
// within one run.
func BenchmarkStatement(b *testing.B) {
	h := openMemory(b).Handler()
	for _, r := range []struct{ operation, body string }{
		{"CreateTable", `{"TableName":"abc","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"p","KeyType":"HASH"},` +
			`{"AttributeName":"s","KeyType":"RANGE"}],"AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"},{"AttributeName":"s","AttributeType":"N"}]}`},
		{"PutItem", `{"TableName":"abc","Item":{"p":{"S":"x"},"s":{"N":"1"},"a":{"S":"some text"},"n":{"N":"1"}}}`},
	} {
		h.ServeHTTP(httptest.NewRecorder(), newRequest(r.operation, r.body))
	}
	for _, bb := range []struct{ name, operation, body string }{
		{"Query", "Query", `{"TableName":"abc","KeyConditionExpression":"p = :p AND s = :s","ExpressionAttributeValues":{":p":{"S":"x"},":s":{"N":"1"}}}`},
		{"SELECT", "ExecuteStatement", `{"Statement":"SELECT * FROM abc WHERE p = ? AND s = ?","Parameters":[{"S":"x"},{"N":"1"}]}`},
		{"UpdateItem", "UpdateItem", `{"TableName":"abc","Key":{"p":{"S":"x"},"s":{"N":"1"}},"UpdateExpression":"SET n = :n",` +
			`"ConditionExpression":"attribute_exists(p)","ExpressionAttributeValues":{":n":{"N":"2"}}}`},
		{"UPDATE", "ExecuteStatement", `{"Statement":"UPDATE abc SET n = ? WHERE p = ? AND s = ?","Parameters":[{"N":"2"},{"S":"x"},{"N":"1"}]}`},
	} {
		b.Run(bb.name, func(b *testing.B) { benchmarkHandler(b, h, bb.operation, bb.body) })
	}
}
