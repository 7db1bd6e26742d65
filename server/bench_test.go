package server

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// What the edge costs on top of net/http: a request through the whole handler
// to a table that answers at once, without connections. BenchmarkEmptyHandler
// returns the same bytes as GetItem and does nothing else.

// sink is a ResponseWriter that keeps its header map, as a connection does.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(int)             {}
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

// oneKilobyte has about 1 KB in ten attributes.
func oneKilobyte() item.Item {
	m := map[string]item.Value{"pk": item.String("key-0000001")}
	for i := range 9 {
		m["attribute"+string(rune('0'+i))] = item.String(strings.Repeat("v", 100))
	}
	return item.NewItem(m)
}

func benchmarkHandler(b *testing.B, h http.Handler, operation, body string) {
	b.Helper()
	r := newRequest(operation, body)
	r.ContentLength = int64(len(body))
	reader := strings.NewReader(body)
	r.Body = io.NopCloser(reader)
	w := &sink{http.Header{}}
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		reader.Reset(body)
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

func benchTables() *fakeTables {
	f := idle()
	it := oneKilobyte()
	get, put := &table.GetResult{Item: it}, &table.WriteResult{}
	f.get = func(*table.GetRequest) (*table.GetResult, error) { return get, nil }
	f.put = func(*table.PutRequest) (*table.WriteResult, error) { return put, nil }
	f.update = func(*table.UpdateRequest) (*table.WriteResult, error) { return put, nil }
	page := &table.Page{Count: 10, ScannedCount: 10}
	for range 10 {
		page.Items = append(page.Items, it)
	}
	f.query = func(*table.QueryRequest) (*table.Page, error) { return page, nil }
	return f
}

func BenchmarkGetItem(b *testing.B) {
	benchmarkHandler(b, fakeEdge(benchTables()), "GetItem", `{"TableName":"bench","Key":{"pk":{"S":"key-0000001"}}}`)
}

func BenchmarkPutItem(b *testing.B) {
	body := `{"TableName":"bench","Item":` + string(oneKilobyte().AppendJSON(nil)) + `}`
	benchmarkHandler(b, fakeEdge(benchTables()), "PutItem", body)
}

func BenchmarkQuery(b *testing.B) {
	benchmarkHandler(b, fakeEdge(benchTables()), "Query",
		`{"TableName":"bench","KeyConditionExpression":"pk = :p","ExpressionAttributeValues":{":p":{"S":"key-0000001"}}}`)
}

func BenchmarkUpdateItem(b *testing.B) {
	benchmarkHandler(b, fakeEdge(benchTables()), "UpdateItem", `{"TableName":"bench","Key":{"pk":{"S":"key-0000001"}},`+
		`"UpdateExpression":"SET #s = :s, changed = :now ADD visits :one","ConditionExpression":"attribute_exists(pk) AND #s <> :s","ReturnValues":"UPDATED_NEW",`+
		`"ExpressionAttributeNames":{"#s":"state"},"ExpressionAttributeValues":{":s":{"S":"done"},":now":{"N":"1764324000"},":one":{"N":"1"}}}`)
}

// A full page of a Scan, 1,000 items.
func BenchmarkScanPage(b *testing.B) {
	f := benchTables()
	page := &table.Page{Count: 1000, ScannedCount: 1000}
	for range 1000 {
		page.Items = append(page.Items, oneKilobyte())
	}
	f.scan = func(*table.ScanRequest) (*table.Page, error) { return page, nil }
	benchmarkHandler(b, fakeEdge(f), "Scan", `{"TableName":"bench"}`)
}

func BenchmarkEmptyHandler(b *testing.B) {
	answer := []byte(`{"Item":` + string(oneKilobyte().AppendJSON(nil)) + `}`)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", amzJSONType)
		_, _ = w.Write(answer)
	})
	benchmarkHandler(b, h, "GetItem", getABC)
}

// The whole way: handler, table, replication and engine, in memory.

func benchmarkMemory(b *testing.B, operation, body string) {
	b.Helper()
	s := openMemory(b)
	must(b, s, "CreateTable", strings.ReplaceAll(createABC, `"p"`, `"pk"`))
	must(b, s, "PutItem", putOneKilobyte())
	benchmarkHandler(b, s.Handler(), operation, body)
}

func putOneKilobyte() string {
	return `{"TableName":"abc","Item":` + string(oneKilobyte().AppendJSON(nil)) + `}`
}

func BenchmarkMemoryGetItem(b *testing.B) {
	benchmarkMemory(b, "GetItem", `{"TableName":"abc","Key":{"pk":{"S":"key-0000001"}}}`)
}

func BenchmarkMemoryPutItem(b *testing.B) {
	benchmarkMemory(b, "PutItem", putOneKilobyte())
}

func BenchmarkMemoryUpdateItem(b *testing.B) {
	benchmarkMemory(b, "UpdateItem", `{"TableName":"abc","Key":{"pk":{"S":"key-0000001"}},"UpdateExpression":"SET n = if_not_exists(n, :zero) + :one",`+
		`"ExpressionAttributeValues":{":one":{"N":"1"},":zero":{"N":"0"}}}`)
}

// The same over loopback connections, client included.

func benchmarkConnection(b *testing.B, h http.Handler, operation, body string) {
	b.Helper()
	addr := listen(b, h)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16, DisableCompression: true}}
	defer client.CloseIdleConnections()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := newRequest(operation, body)
			r.RequestURI, r.URL.Scheme, r.URL.Host = "", "http", addr
			answer, err := client.Do(r)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
	})
}

func BenchmarkGetItemConnection(b *testing.B) {
	benchmarkConnection(b, fakeEdge(benchTables()), "GetItem", `{"TableName":"bench","Key":{"pk":{"S":"key-0000001"}}}`)
}

func BenchmarkEmptyConnection(b *testing.B) {
	answer := []byte(`{"Item":` + string(oneKilobyte().AppendJSON(nil)) + `}`)
	benchmarkConnection(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", amzJSONType)
		_, _ = w.Write(answer)
	}), "GetItem", getABC)
}
