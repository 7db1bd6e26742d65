package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// fakeTable answers the four calls a load makes and keeps the items.
type fakeTable struct {
	mu      sync.Mutex
	keys    []string // partition key, sort key
	items   map[string]string
	puts    int
	failAt  int // the put number that answers 400, 0 = none
	refuse  string
	partial bool // every batch leaves its last item unprocessed once
}

func (f *fakeTable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	switch op := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_20120810."); op {
	case "DescribeTable":
		if f.keys == nil {
			f.error(w, "ResourceNotFoundException", "Requested resource not found")
			return
		}
		out := map[string]any{"TableStatus": "ACTIVE"}
		var schema, defs []map[string]string
		for i, k := range f.keys {
			schema = append(schema, map[string]string{"AttributeName": k, "KeyType": [...]string{"HASH", "RANGE"}[i]})
			defs = append(defs, map[string]string{"AttributeName": k, "AttributeType": "S"})
		}
		out["KeySchema"], out["AttributeDefinitions"] = schema, defs
		json.NewEncoder(w).Encode(map[string]any{"Table": out})
	case "CreateTable":
		var in struct {
			KeySchema []struct{ AttributeName string }
		}
		json.Unmarshal(body, &in)
		for _, k := range in.KeySchema {
			f.keys = append(f.keys, k.AttributeName)
		}
		io.WriteString(w, "{}")
	case "BatchWriteItem":
		f.batch(w, body)
	case "PutItem":
		var in struct{ Item map[string]json.RawMessage }
		json.Unmarshal(body, &in)
		if f.refuse != "" && strings.Contains(string(body), f.refuse) {
			f.error(w, "ValidationException", "refused")
			return
		}
		f.store(in.Item)
		io.WriteString(w, "{}")
	default:
		f.error(w, "UnknownOperationException", op)
	}
}

func (f *fakeTable) batch(w http.ResponseWriter, body []byte) {
	var in struct {
		RequestItems map[string][]putRequest
	}
	json.Unmarshal(body, &in)
	for table, puts := range in.RequestItems {
		if f.refuse != "" && strings.Contains(string(body), f.refuse) {
			f.error(w, "ValidationException", "refused")
			return
		}
		f.puts += len(puts)
		if f.failAt > 0 && f.puts >= f.failAt {
			f.error(w, "AccessDeniedException", "no more")
			return
		}
		left := map[string][]putRequest{}
		if f.partial && len(puts) > 1 {
			left[table] = puts[len(puts)-1:]
			puts = puts[:len(puts)-1]
		}
		for _, p := range puts {
			f.store(p.PutRequest.Item)
		}
		json.NewEncoder(w).Encode(map[string]any{"UnprocessedItems": left})
	}
}

func (f *fakeTable) store(item map[string]json.RawMessage) {
	key := ""
	for _, k := range f.keys {
		key += string(item[k]) + "|"
	}
	b, _ := json.Marshal(item)
	f.items[key] = string(b)
}

func (f *fakeTable) error(w http.ResponseWriter, typ, msg string) {
	w.WriteHeader(400)
	json.NewEncoder(w).Encode(map[string]string{"__type": "com.amazonaws.dynamodb.v20120810#" + typ, "message": msg})
}

func start(t *testing.T, f *fakeTable, o Options) Options {
	t.Helper()
	f.items = map[string]string{}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	o.Client, o.Endpoint, o.Table = srv.Client(), srv.URL, "t"
	return o
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestShapes(t *testing.T) {
	want := map[string]string{
		`{"S":"a"}|`: `{"n":{"N":"1.50"},"pk":{"S":"a"}}`,
		`{"S":"b"}|`: `{"l":{"L":[{"BOOL":true},{"NULL":true}]},"pk":{"S":"b"}}`,
	}
	for name, content := range map[string]string{
		"lines.json":      "{\"pk\":\"a\",\"n\":1.50}\n{\"pk\":\"b\",\"l\":[true,null]}\n",
		"array.json":      `[{"pk":"a","n":1.50},{"pk":"b","l":[true,null]}]`,
		"wrapped.json":    `{"639-3": [ {"pk":"a","n":1.50}, {"pk":"b","l":[true,null]} ]}`,
		"typed.json":      `{"pk":{"S":"a"},"n":{"N":"1.50"}} {"pk":{"S":"b"},"l":{"L":[{"BOOL":true},{"NULL":true}]}}`,
		"export.json":     `{"Item":{"pk":{"S":"a"},"n":{"N":"1.50"}}}` + "\n" + `{"Item":{"pk":{"S":"b"},"l":{"L":[{"BOOL":true},{"NULL":true}]}}}`,
		"with-header.csv": "pk,n,l\na,1.50,\nb,,\"[true,null]\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeTable{}
			o := start(t, f, Options{Create: []Key{{"pk", "S"}}})
			if strings.HasSuffix(name, ".csv") {
				o.Columns = []Column{{"n", "n", "N"}, {"l", "l", "JSON"}}
			}
			res, err := File(t.Context(), write(t, name, content), o)
			if err != nil || res.Stored != 2 {
				t.Fatalf("File = %+v, %v; want 2 stored", res, err)
			}
			if !reflect.DeepEqual(f.items, want) {
				t.Errorf("items = %v\nwant %v", f.items, want)
			}
		})
	}
}

func TestKeyTypeWins(t *testing.T) {
	f := &fakeTable{keys: []string{"pk"}}
	o := start(t, f, Options{})
	if _, err := File(t.Context(), write(t, "x.json", `[{"pk":7}]`), o); err != nil {
		t.Fatal(err)
	}
	if f.items[`{"S":"7"}|`] == "" {
		t.Errorf("a number for a string key was stored as %v", f.items)
	}
}

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"pk\":\"k%d\",\"v\":%d}\n", i, i)
	}
	return b.String()
}

func TestResume(t *testing.T) {
	f := &fakeTable{keys: []string{"pk"}, failAt: 500}
	o := start(t, f, Options{Workers: 3})
	path := write(t, "x.json", lines(1000))
	first, err := File(t.Context(), path, o)
	f.mu.Lock()
	if err == nil || len(f.items) >= 1000 {
		t.Fatalf("the first run should have stopped: %+v, %d items", first, len(f.items))
	}
	f.failAt = 0
	f.mu.Unlock()
	second, err := File(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.items) != 1000 || second.Resumed == 0 || second.Resumed+second.Stored != 1000 {
		t.Errorf("after resuming: %d items, %+v", len(f.items), second)
	}
	if left, _ := filepath.Glob(path + ".*"); left != nil {
		t.Errorf("state left behind after success: %v", left)
	}
}

func TestStateOfAnotherLoadIsIgnored(t *testing.T) {
	f := &fakeTable{keys: []string{"pk"}}
	o := start(t, f, Options{})
	path := write(t, "x.json", lines(10))
	if err := (State{Table: "t", Endpoint: "elsewhere", Size: 1, Done: 9}).save(statePath(path, "t")); err != nil {
		t.Fatal(err)
	}
	if res, err := File(t.Context(), path, o); err != nil || res.Stored != 10 {
		t.Errorf("File = %+v, %v; want all 10 stored", res, err)
	}
}

func TestLaterRecordWins(t *testing.T) {
	f := &fakeTable{keys: []string{"pk"}, partial: true}
	o := start(t, f, Options{Workers: 4})
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, "{\"pk\":\"k%d\",\"v\":%d}\n", i%7, i)
	}
	if _, err := File(t.Context(), write(t, "x.json", b.String()), o); err != nil {
		t.Fatal(err)
	}
	for i := 293; i < 300; i++ {
		key := fmt.Sprintf(`{"S":"k%d"}|`, i%7)
		if want := fmt.Sprintf(`"v":{"N":"%d"}`, i); !strings.Contains(f.items[key], want) {
			t.Errorf("%s = %s, want %s", key, f.items[key], want)
		}
	}
}

func TestBadRecords(t *testing.T) {
	content := lines(60) + `{"other":1}` + "\n" + `{"pk":"evil"}` + "\n" + `[1]` + "\n" + lines(3)
	f := &fakeTable{keys: []string{"pk"}, refuse: "evil"}
	o := start(t, f, Options{})
	path := write(t, "x.json", content)
	_, err := File(t.Context(), path, o)
	var bad *RecordError
	if err == nil || !errors.As(err, &bad) {
		t.Fatalf("error = %v, want a RecordError", err)
	}
	var mu sync.Mutex
	var skipped []int64
	o.SkipBad, o.OnSkipped = true, func(err error) {
		mu.Lock()
		defer mu.Unlock()
		var bad *RecordError
		errors.As(err, &bad)
		skipped = append(skipped, bad.Number)
	}
	res, err := File(t.Context(), path, o)
	if err != nil || res.Skipped != 3 || len(skipped) != 3 {
		t.Errorf("File = %+v, %v, skipped %v; want 3 skipped", res, err, skipped)
	}
	if len(f.items) != 60 {
		t.Errorf("%d items, want 60", len(f.items))
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"truncated.json", `[{"pk":"a"},`, "unexpected EOF"},
		{"number.json", `7`, "neither JSON objects"},
		{"text.json", `hello`, "neither JSON objects"},
		{"ragged.csv", "pk,v\na\n", "wrong number of fields"},
		{"empty.csv", "", "no header row"},
	} {
		f := &fakeTable{keys: []string{"pk"}}
		_, err := File(t.Context(), write(t, c.name, c.content), start(t, f, Options{}))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error = %v, want %q", c.name, err, c.want)
		}
	}
	f := &fakeTable{}
	if _, err := File(t.Context(), write(t, "x.json", "{}"), start(t, f, Options{})); err == nil || !strings.Contains(err.Error(), "--key") {
		t.Errorf("missing table: %v", err)
	}
}

func TestCancelled(t *testing.T) {
	f := &fakeTable{keys: []string{"pk"}}
	o := start(t, f, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = func(_, _, n int64) {
		if n == 100 {
			cancel()
		}
	}
	path := write(t, "x.json", lines(5000))
	if _, err := File(ctx, path, o); err == nil {
		t.Fatal("a cancelled load reported success")
	}
	o.Progress = nil
	if _, err := File(t.Context(), path, o); err != nil || len(f.items) != 5000 {
		t.Errorf("resumed: %v, %d items", err, len(f.items))
	}
}
