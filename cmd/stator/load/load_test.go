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

// change alters the table while handlers of given-up requests may still run.
func (f *fakeTable) change(alter func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	alter()
}

// count returns how many items there are.
func (f *fakeTable) count() (n int) {
	f.change(func() { n = len(f.items) })
	return n
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
	if err == nil || f.count() >= 1000 {
		t.Fatalf("the first run should have stopped: %+v, %d items", first, f.count())
	}
	f.change(func() { f.failAt = 0 })
	second, err := File(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	if f.count() != 1000 || second.Resumed == 0 || second.Resumed+second.Stored != 1000 {
		t.Errorf("after resuming: %d items, %+v", f.count(), second)
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
	if f.count() != 60 {
		t.Errorf("%d items, want 60", f.count())
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"truncated.json", `[{"pk":"a"},`, "unexpected EOF"},
		{"number.json", `7`, "neither JSON objects"},
		{"text.json", `hello`, "neither JSON objects"},
		{"ragged.csv", "pk,v\na\n", "wrong number of fields"},
		{"empty.csv", "", "no header row"},
		{"comma.tsv", "pk,v\na,b\n", `no column for key attribute "pk"`},
		{"twice.csv", "pk,v,v\na,b,c\n", `both attribute "v"`},
		{"utf16.csv", "\xff\xfep\x00k\x00", "UTF-16"},
		{"latin1.csv", "pk,v\na,\xe9\n", "record 1: column v: not UTF-8"},
		{"latin1.json", "{\"pk\":\"\xe9\"}", "record 1: not UTF-8"},
		{"text.csv.gz", "pk,value\na,b\n", "gzip"},
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

func TestColumnOptions(t *testing.T) {
	for _, c := range []struct {
		name   string
		column Column
		want   string
	}{
		{"x.csv", Column{"v", "v", "Q"}, `type "Q" is none of`},
		{"x.csv", Column{"w", "w", "N"}, `no column "w"`},
		{"x.csv", Column{"v", "pk", ""}, `both attribute "pk"`},
		{"x.json", Column{"v", "v", "N"}, "columns are for CSV"},
	} {
		f := &fakeTable{}
		o := start(t, f, Options{Create: []Key{{"pk", "S"}}, Columns: []Column{c.column}})
		_, err := File(t.Context(), write(t, c.name, "pk,v\na,1\n"), o)
		if err == nil || !strings.Contains(err.Error(), c.want) || f.keys != nil {
			t.Errorf("column %v of %s: error = %v, want %q; table made: %v", c.column, c.name, err, c.want, f.keys != nil)
		}
	}
}

func TestOddCSV(t *testing.T) {
	f := &fakeTable{keys: []string{"pk"}}
	o := start(t, f, Options{})
	content := "\ufeffpk,\"a \"\"b\"\", c\",\r\n1,\"x\ty\r\nz\",unnamed\r\n\r\n2,,\r\n"
	if res, err := File(t.Context(), write(t, "X.CSV", content), o); err != nil || res.Stored != 2 {
		t.Fatalf("File = %+v, %v; want 2 stored", res, err)
	}
	want := map[string]string{
		`{"S":"1"}|`: `{"a \"b\", c":{"S":"x\ty\nz"},"pk":{"S":"1"}}`,
		`{"S":"2"}|`: `{"pk":{"S":"2"}}`,
	}
	if !reflect.DeepEqual(f.items, want) {
		t.Errorf("items = %v\nwant %v", f.items, want)
	}
}

func TestBadRowsAreSkipped(t *testing.T) {
	f := &fakeTable{keys: []string{"pk"}}
	o := start(t, f, Options{SkipBad: true})
	res, err := File(t.Context(), write(t, "x.tsv", "pk\tv\na\tb\nb\n\"c\"d\te\nf\tg\n"), o)
	if err != nil || res.Stored != 2 || res.Skipped != 2 {
		t.Errorf("File = %+v, %v; want 2 stored, 2 skipped", res, err)
	}
}

// What stands before the first bad record is stored, so that "record n" tells
// how far the load came.
func TestStoresUpToTheBadRecord(t *testing.T) {
	for _, bad := range []string{"{", "[1]", "{}", `{"pk":"evil"}`} {
		f := &fakeTable{keys: []string{"pk"}, refuse: "evil"}
		path := write(t, "x.json", lines(30)+bad+"\n")
		res, err := File(t.Context(), path, start(t, f, Options{}))
		if err == nil || f.count() != 30 || !res.Resumable {
			t.Errorf("before %q: %+v, %v, %d items; want 30", bad, res, err, f.count())
		}
	}
}

func TestWrongKey(t *testing.T) {
	f := &fakeTable{}
	path := write(t, "x.json", lines(2))
	if _, err := File(t.Context(), path, start(t, f, Options{Create: []Key{{"kp", "S"}}})); err == nil || f.keys != nil {
		t.Errorf("a key that no record has: %v, table made: %v", err, f.keys != nil)
	}
	f = &fakeTable{keys: []string{"pk"}}
	if _, err := File(t.Context(), path, start(t, f, Options{Create: []Key{{"pk", "N"}}})); err == nil || !strings.Contains(err.Error(), "exists with the key") {
		t.Errorf("another key than the table's: %v", err)
	}
	if left, _ := filepath.Glob(path + ".*"); left != nil {
		t.Errorf("state left behind although nothing was stored: %v", left)
	}
}

// A server that never answered is not waited for; one that did may be gone for
// the moment.
func TestNoServer(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	c := client{http: srv.Client(), endpoint: srv.URL}
	if err := c.call(t.Context(), "DescribeTable", nil, new(any)); err == nil || c.mayHelp(err) {
		t.Errorf("error = %v, tried again: %v", err, err != nil && c.mayHelp(err))
	}
	c.answered.Store(true)
	if !c.mayHelp(errors.New("connection refused")) {
		t.Error("a server that was there before is given up at once")
	}
}

// The state cannot be written beside the input: the load works all the same,
// and an interrupted one says that it cannot be resumed.
func TestStateCannotBeWritten(t *testing.T) {
	f := &fakeTable{keys: []string{"pk"}}
	o := start(t, f, Options{})
	path := write(t, "x.json", lines(100)+"[1]\n")
	if err := os.Mkdir(statePath(path, o.Table)+".new", 0o755); err != nil { // in the way
		t.Fatal(err)
	}
	res, err := File(t.Context(), path, o)
	if err == nil || !strings.Contains(err.Error(), "begins anew") || res.Resumable {
		t.Errorf("File = %+v, %v; want an error that says that the next import begins anew", res, err)
	}
	o.SkipBad = true
	if res, err := File(t.Context(), path, o); err != nil || res.Stored != 100 {
		t.Errorf("File = %+v, %v; want 100 stored", res, err)
	}
}

// A state is worth nothing for another table, or another reading of the file.
func TestStateOfAnotherReading(t *testing.T) {
	f := &fakeTable{keys: []string{"pk"}, failAt: 500}
	o := start(t, f, Options{})
	path := write(t, "x.json", lines(1000))
	if first, err := File(t.Context(), path, o); err == nil || !first.Resumable {
		t.Fatalf("the first run should have stopped half-way: %+v, %v", first, err)
	}
	f.change(func() { f.failAt = 0 })
	o.Format = FormatPlain
	if res, err := File(t.Context(), path, o); err != nil || res.Resumed != 0 {
		t.Errorf("with other options: %+v, %v; want a new beginning", res, err)
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
	if _, err := File(t.Context(), path, o); err != nil || f.count() != 5000 {
		t.Errorf("resumed: %v, %d items", err, f.count())
	}
}
