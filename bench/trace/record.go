package trace

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/statordb/stator/bench"
	"github.com/statordb/stator/bench/drive"
)

// A Recorder is a handler in front of a server's that notes each operation on items which the
// server has carried out. It costs the decoding of each request once more, after the answer.
type Recorder struct {
	handler http.Handler
	salt    []byte // of hashes; nil: keys are kept
	start   time.Time

	// mu guards the fields below it.
	mu     sync.Mutex
	out    *writer
	err    error               // of writing: from then on nothing is recorded
	keys   map[string][]string // names of a table's key attributes, by account and table
	closed bool
}

// NewRecorder writes a trace of what goes to the handler. With hashed keys nobody can tell from the trace
// what the keys were: the salt of the hashes is thrown away.
func NewRecorder(handler http.Handler, w io.Writer, hashed bool) (*Recorder, error) {
	r := &Recorder{handler: handler, start: time.Now(), keys: map[string][]string{}}
	if hashed {
		r.salt = make([]byte, 32)
		if _, err := rand.Read(r.salt); err != nil {
			return nil, err
		}
	}
	var err error
	r.out, err = newWriter(w, r.start, hashed)
	return r, err
}

// Close writes what is left. It returns the first error of all writing.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed && r.err == nil {
		r.err = r.out.flush()
	}
	r.closed = true
	return r.err
}

// maxBody bounds what is kept of a request; the API's own limit is 16 MiB.
const maxBody = 17 << 20

// kept keeps what is read of a body.
type kept struct {
	io.ReadCloser
	copy bytes.Buffer
}

func (k *kept) Read(p []byte) (int, error) {
	n, err := k.ReadCloser.Read(p)
	if k.copy.Len()+n <= maxBody {
		k.copy.Write(p[:n])
	}
	return n, err
}

// status notes what was answered.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	if s.code == 0 {
		s.code = code
	}
	s.ResponseWriter.WriteHeader(code)
}

func (s *status) Write(p []byte) (int, error) {
	if s.code == 0 {
		s.code = http.StatusOK
	}
	return s.ResponseWriter.Write(p)
}

// Unwrap serves http.ResponseController.
func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }

const targetPrefix = "DynamoDB_20120810."

func (r *Recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	operation, ok := strings.CutPrefix(req.Header.Get("X-Amz-Target"), targetPrefix)
	if _, known := kinds[operation]; !ok || !known || req.Body == nil {
		r.handler.ServeHTTP(w, req)
		return
	}
	at := time.Since(r.start)
	body := &kept{ReadCloser: req.Body}
	copied := req.WithContext(req.Context())
	copied.Body = body
	s := &status{ResponseWriter: w}
	r.handler.ServeHTTP(s, copied)
	if s.code == http.StatusOK {
		r.note(operation, at, body.copy.Bytes(), req)
	}
}

// kinds are the operations that are recorded, and what they are if nothing in them says more.
var kinds = map[string]drive.Kind{
	"GetItem": drive.Get, "PutItem": drive.Put, "UpdateItem": drive.Add, "DeleteItem": drive.Delete, "Query": drive.Query, "Scan": drive.Scan,
	"BatchGetItem": drive.GetMany, "BatchWriteItem": drive.PutMany, "TransactWriteItems": drive.Transact,
}

// What a request says that counts here.
type request struct {
	TableName                 string
	Key, Item                 attributes
	ExclusiveStartKey         attributes
	IndexName                 string
	Limit                     int
	FilterExpression          string
	ExpressionAttributeValues json.RawMessage
	RequestItems              map[string]json.RawMessage
	TransactItems             []map[string]struct {
		TableName string
		Key, Item attributes
	}
}

type attributes map[string]json.RawMessage

func (r *Recorder) note(operation string, at time.Duration, body []byte, req *http.Request) {
	var q request
	if json.Unmarshal(body, &q) != nil {
		return // the server has understood it, so it is larger than what is kept
	}
	e := entry{at: at, kind: kinds[operation], length: q.Limit}
	table, key := q.TableName, q.Key
	switch operation {
	case "PutItem":
		key, e.size = q.Item, len(body)
	case "UpdateItem":
		e.size = len(body)
	case "Query":
		if q.IndexName != "" {
			e.kind = drive.Index
		}
		key = attributes{"": q.ExpressionAttributeValues}
	case "Scan":
		if q.FilterExpression != "" {
			e.kind = drive.Filter
		}
		key = q.ExclusiveStartKey
	case "BatchGetItem", "BatchWriteItem":
		table, key, e.length, e.size = firstOf(q.RequestItems)
	case "TransactWriteItems":
		e.length = len(q.TransactItems)
		for _, item := range q.TransactItems[:min(1, len(q.TransactItems))] {
			for _, what := range item {
				if table, key = what.TableName, what.Key; what.Item != nil {
					key = what.Item
				}
			}
		}
		e.size = len(body) / max(1, e.length)
	}
	if key == nil {
		key = attributes{}
	}
	if e.size > 0 {
		e.size = min(max(e.size, bench.MinValueBytes), drive.MaxValueBytes)
	}
	if (operation == "PutItem" || operation == "BatchWriteItem" || operation == "TransactWriteItems") && len(key) > 0 {
		key = key.only(r.keysOf(table, req))
	}
	e.key = r.hide(key.bytes(table))
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed && r.err == nil {
		r.err = r.out.add(e)
	}
}

// firstOf is the first item of a batch, how many there are, and their size on average. Which of several tables
// is first does not matter.
func firstOf(items map[string]json.RawMessage) (table string, key attributes, length, size int) {
	for name, raw := range items {
		var get struct{ Keys []attributes }
		var write []struct {
			PutRequest    *struct{ Item attributes }
			DeleteRequest *struct{ Key attributes }
		}
		if json.Unmarshal(raw, &write) == nil && len(write) > 0 {
			length += len(write)
			size += len(raw)
			if table = name; write[0].PutRequest != nil {
				key = write[0].PutRequest.Item
			} else if write[0].DeleteRequest != nil {
				key = write[0].DeleteRequest.Key
			}
		} else if json.Unmarshal(raw, &get) == nil && len(get.Keys) > 0 {
			length += len(get.Keys)
			table, key = name, get.Keys[0]
		}
	}
	return table, key, length, size / max(1, length)
}

// only returns the attributes of these names; all, if the names are not known.
func (a attributes) only(names []string) attributes {
	if names == nil {
		return a
	}
	some := attributes{}
	for _, n := range names {
		some[n] = a[n]
	}
	return some
}

// bytes are the same for the same key, in whatever way it was written: JSON with sorted names.
func (a attributes) bytes(table string) []byte {
	text, err := json.Marshal(a)
	if err != nil { // of raw JSON that was parsed: does not happen
		return []byte(table)
	}
	return append(append([]byte(table), 0), text...)
}

func (r *Recorder) hide(key []byte) []byte {
	if r.salt == nil && len(key) <= maxKey {
		return key
	}
	h := xxhash.New()
	h.Write(r.salt)
	h.Write(key)
	return binary.LittleEndian.AppendUint64(nil, h.Sum64())
}

// keysOf asks the server, once for each table, which attributes are its key.
func (r *Recorder) keysOf(table string, req *http.Request) []string {
	id := credential(req) + "\x00" + table
	r.mu.Lock()
	names, known := r.keys[id]
	r.mu.Unlock()
	if known {
		return names
	}
	names, err := r.describe(table, req)
	if err != nil {
		return nil
	}
	r.mu.Lock()
	r.keys[id] = names
	r.mu.Unlock()
	return names
}

// credential says in whose name a request is.
func credential(req *http.Request) string {
	_, after, _ := strings.Cut(req.Header.Get("Authorization"), "Credential=")
	id, _, _ := strings.Cut(after, ",")
	return id
}

// describe asks in the caller's name, so that it is the caller's table.
func (r *Recorder) describe(table string, like *http.Request) ([]string, error) {
	body, err := json.Marshal(map[string]string{"TableName": table})
	if err != nil {
		return nil, err
	}
	req := httptest.NewRequestWithContext(like.Context(), http.MethodPost, "/", bytes.NewReader(body))
	req.Header = like.Header.Clone()
	req.Header.Del("Content-Length")
	req.Header.Set("X-Amz-Target", targetPrefix+"DescribeTable")
	answer := httptest.NewRecorder()
	r.handler.ServeHTTP(answer, req)
	var a struct {
		Table struct {
			KeySchema []struct{ AttributeName string }
		}
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &a); err != nil || len(a.Table.KeySchema) == 0 {
		return nil, errors.Join(err, errors.New("no key schema"))
	}
	var names []string
	for _, k := range a.Table.KeySchema {
		names = append(names, k.AttributeName)
	}
	return names, nil
}
