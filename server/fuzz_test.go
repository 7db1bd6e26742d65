package server

import (
	"bufio"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
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

// FuzzProtocol sends arbitrary HTTP requests, beginning with those of the
// protocol's golden file: whatever the method, the headers and the encoding of
// the body, there is one answer with a request id, a length and a checksum.
func FuzzProtocol(f *testing.F) {
	for _, e := range readGolden(f, filepath.Join("testdata", "protocol.txt")) {
		head, body, _ := strings.Cut(e.request, "\n\n")
		f.Add(head, []byte(strings.TrimSuffix(body, "\n")))
	}
	const gzipped = "POST / HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Encoding: gzip\nAccept-Encoding: gzip;q=0.5, deflate, *;q=0"
	f.Add(gzipped, compress(nil, "gzip", []byte(`{"TableName":"abc"}`)))
	f.Add(strings.Replace(gzipped, "gzip", "deflate", 1), compress(nil, "deflate", []byte(`{}`)))
	h := fakeEdge(idle())
	f.Fuzz(func(t *testing.T, head string, body []byte) {
		raw := strings.ReplaceAll(head, "\n", "\r\n") + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + string(body)
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		got := w.Result().Header
		if want := strconv.FormatUint(uint64(crc32.ChecksumIEEE(w.Body.Bytes())), 10); got.Get("X-Amz-Crc32") != want {
			t.Errorf("%s: checksum %s, want %s", head, got.Get("X-Amz-Crc32"), want)
		}
		if len(got.Get("X-Amzn-Requestid")) != 52 || got.Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
			t.Errorf("%s: headers %v", head, got)
		}
		if h.bodies.left.Load() != bodyBudget {
			t.Fatalf("%s: %d bytes of the budget were not given back", head, bodyBudget-h.bodies.left.Load())
		}
	})
}
