package server

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// fakeTables answers what a test tells it to. A method that a test did not set
// panics, which the edge turns into an internal error.
type fakeTables struct {
	tables

	describe   func(name string) (*table.Description, error)
	get        func(r *table.GetRequest) (*table.GetResult, error)
	put        func(r *table.PutRequest) (*table.WriteResult, error)
	delete     func(r *table.DeleteRequest) (*table.WriteResult, error)
	update     func(r *table.UpdateRequest) (*table.WriteResult, error)
	query      func(r *table.QueryRequest) (*table.Page, error)
	scan       func(r *table.ScanRequest) (*table.Page, error)
	batchGet   func(r *table.BatchGetRequest) (*table.BatchGetResult, error)
	batchWrite func(r *table.BatchWriteRequest) (*table.BatchWriteResult, error)
	keyNames   func(table, index string) (*table.KeyNames, error)
	writeAll   func(list []table.Write) []table.WriteOutcome
	list       func(startAfter string, limit int) ([]string, string, error)
	tags       func(name string) ([]table.Tag, error)
	getAll     func(r *table.TransactGetRequest) (*table.TransactGetResult, error)
	writeOnce  func(r *table.TransactWriteRequest) (*table.TransactWriteResult, error)
}

// Settings are there if their table is; none is set.

func (f *fakeTables) missing(name string) error {
	_, err := f.describe(name)
	return err
}
func (f *fakeTables) Recovery(name string) (table.Recovery, error) {
	return table.Recovery{}, f.missing(name)
}
func (f *fakeTables) SetRecovery(name string, _ bool, _ int) (table.Recovery, error) {
	return f.Recovery(name)
}
func (f *fakeTables) TimeToLive(name string) (status, attribute string, err error) {
	return table.StatusDisabled, "", f.missing(name)
}
func (f *fakeTables) SetTimeToLive(name string, _ bool, _ string) error { return f.missing(name) }
func (f *fakeTables) Tag(name string, _ []table.Tag) error              { return f.missing(name) }
func (f *fakeTables) Untag(name string, _ []string) error               { return f.missing(name) }
func (f *fakeTables) Policy(name string) (table.Policy, error) {
	return table.Policy{}, f.missing(name)
}
func (f *fakeTables) PutPolicy(name, _, _ string) (string, error) { return "", f.missing(name) }
func (f *fakeTables) DeletePolicy(name, _ string) (string, error) { return "", f.missing(name) }
func (f *fakeTables) Tags(name string) ([]table.Tag, error)       { return f.tags(name) }

func (f *fakeTables) Describe(name string) (*table.Description, error)    { return f.describe(name) }
func (f *fakeTables) Get(r *table.GetRequest) (*table.GetResult, error)   { return f.get(r) }
func (f *fakeTables) Put(r *table.PutRequest) (*table.WriteResult, error) { return f.put(r) }
func (f *fakeTables) DeleteItem(r *table.DeleteRequest) (*table.WriteResult, error) {
	return f.delete(r)
}
func (f *fakeTables) UpdateItem(r *table.UpdateRequest) (*table.WriteResult, error) {
	return f.update(r)
}
func (f *fakeTables) Query(r *table.QueryRequest) (*table.Page, error) { return f.query(r) }
func (f *fakeTables) Scan(r *table.ScanRequest) (*table.Page, error)   { return f.scan(r) }
func (f *fakeTables) BatchGet(r *table.BatchGetRequest) (*table.BatchGetResult, error) {
	return f.batchGet(r)
}
func (f *fakeTables) BatchWrite(r *table.BatchWriteRequest) (*table.BatchWriteResult, error) {
	return f.batchWrite(r)
}
func (f *fakeTables) KeyNames(table, index string) (*table.KeyNames, error) {
	return f.keyNames(table, index)
}
func (f *fakeTables) TransactGet(r *table.TransactGetRequest) (*table.TransactGetResult, error) {
	return f.getAll(r)
}
func (f *fakeTables) TransactWrite(r *table.TransactWriteRequest) (*table.TransactWriteResult, error) {
	return f.writeOnce(r)
}
func (f *fakeTables) WriteAll(list []table.Write) []table.WriteOutcome { return f.writeAll(list) }
func (f *fakeTables) List(startAfter string, limit int) ([]string, string, error) {
	return f.list(startAfter, limit)
}

// fakeEdge serves the operations on a fake.
func fakeEdge(f *fakeTables) *edge {
	front := &frontend{tables: f, account: "000000000000", region: "us-east-1", trees: new(expr.Cache)}
	return newEdge("us-east-1", slog.New(slog.DiscardHandler), front.operations())
}

// idle is a fake that has no table.
func idle() *fakeTables {
	missing := &table.NotFoundError{Table: "abc"}
	return &fakeTables{
		get:      func(*table.GetRequest) (*table.GetResult, error) { return nil, missing },
		put:      func(*table.PutRequest) (*table.WriteResult, error) { return nil, missing },
		delete:   func(*table.DeleteRequest) (*table.WriteResult, error) { return nil, missing },
		update:   func(*table.UpdateRequest) (*table.WriteResult, error) { return nil, missing },
		query:    func(*table.QueryRequest) (*table.Page, error) { return nil, missing },
		scan:     func(*table.ScanRequest) (*table.Page, error) { return nil, missing },
		batchGet: func(*table.BatchGetRequest) (*table.BatchGetResult, error) { return nil, missing },
		batchWrite: func(*table.BatchWriteRequest) (*table.BatchWriteResult, error) {
			return nil, missing
		},
		keyNames: func(string, string) (*table.KeyNames, error) { return nil, missing },
		writeAll: func(list []table.Write) []table.WriteOutcome { return make([]table.WriteOutcome, len(list)) },
		list:     func(string, int) ([]string, string, error) { return nil, "", nil },
		tags: func(name string) ([]table.Tag, error) {
			return nil, &table.NotFoundError{Table: name, Control: true}
		},
		describe: func(name string) (*table.Description, error) {
			return nil, &table.NotFoundError{Table: name, Control: true}
		},
	}
}

const (
	testDate      = "20261122T100000Z"
	testSignature = "AWS4-HMAC-SHA256 Credential=key/20261122/us-east-1/dynamodb/aws4_request, SignedHeaders=host;x-amz-date, Signature=0"
)

// newRequest is a well-formed request for an operation.
func newRequest(operation, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", targetPrefix+operation)
	r.Header.Set("Content-Type", amzJSONType)
	r.Header.Set("X-Amz-Date", testDate)
	r.Header.Set("Authorization", testSignature)
	return r
}

// call sends a well-formed request and returns status and body.
func call(t testing.TB, h http.Handler, operation, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, newRequest(operation, body))
	return w.Code, w.Body.String()
}

// validation is the body of a ValidationException.
func validation(message string) string {
	return string(validationFault(message).appendJSON(nil))
}

func testItem(attributes ...string) item.Item {
	m := map[string]item.Value{}
	for i := 0; i < len(attributes); i += 2 {
		m[attributes[i]] = item.String(attributes[i+1])
	}
	return item.NewItem(m)
}
