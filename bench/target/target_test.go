package target

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/statordb/stator"
	"github.com/statordb/stator/bench"
	"github.com/statordb/stator/bench/drive"
	"github.com/statordb/stator/server"
)

func parse(t *testing.T, text string) *drive.Workload {
	t.Helper()
	w, err := drive.Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func run(t *testing.T, target drive.Target, w *drive.Workload) *drive.Measurement {
	t.Helper()
	m, err := drive.Run(t.Context(), w, target, drive.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if m.Errors > 0 {
		t.Fatalf("%d errors; the first: %v", m.Errors, m.First)
	}
	return m
}

const everything = `{"name":"all","operations":{"get":5,"miss":1,"put":5,"insert":1,"add":2,"delete":1,"scan":1,"query":1,"getmany":1,"putmany":1`

func TestEngine(t *testing.T) {
	w := parse(t, everything+`,"filter":0.1,"transact":1},"keys":{"count":500,"choose":"zipfian","group":5},"values":{"min":20,"max":300},"workers":2,"length":"2s","warmup":"1ms","count":3000}`)
	e, err := OpenEngine(bench.Stator(), t.TempDir(), w, bench.Settings{MemoryBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	m := run(t, e, w)
	if len(m.ByKind) != 12 || m.Ops < 3000 || !m.Measured || m.Usage.UserBytes == 0 {
		t.Errorf("%d operations of %d kinds: %+v", m.Ops, len(m.ByKind), m.Usage)
	}
}

// A fill ends when all keys are written, and those are there.
func TestFill(t *testing.T) {
	w := parse(t, `{"name":"fill","empty":true,"operations":{"put":1},"keys":{"count":1000,"choose":"scattered"},"workers":2,"length":"20s"}`)
	e, err := OpenEngine(bench.Stator(), t.TempDir(), w, bench.Settings{MemoryBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if m := run(t, e, w); m.Ops != 1000 {
		t.Errorf("%d puts", m.Ops)
	}
	reads := parse(t, `{"name":"read","operations":{"get":1},"keys":{"count":1000,"choose":"sequential"},"count":1000,"length":"20s","warmup":"1ns"}`)
	e.w, e.mayBeOut = reads, false
	run(t, e, reads)
}

// A wrong value is found out.
func TestWrongValue(t *testing.T) {
	w := parse(t, `{"name":"wrong","operations":{"get":1},"keys":{"count":10}}`)
	e, err := OpenEngine(bench.Stator(), t.TempDir(), w, bench.Settings{MemoryBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	s, _ := e.engine.NewSession()
	for n := range uint64(10) {
		s.Set(bench.Counter.AppendKey(nil, 2*n), bench.AppendValue(nil, 100, 2*n+2, 0))
	}
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := drive.Run(t.Context(), w, e, drive.Options{}); err == nil || !strings.Contains(err.Error(), "never written") {
		t.Errorf("got %v", err)
	}
}

const overTheAPI = `},"keys":{"count":120,"group":4},"indexes":1,"workers":2,"length":"20s","warmup":"1ms","count":400,"batch":5}`

func TestDatabase(t *testing.T) {
	w := parse(t, everything+`,"filter":1,"index":1`+overTheAPI)
	for _, dir := range []string{"", t.TempDir()} {
		d, err := OpenDatabase(t.Context(), dir, w)
		if err != nil {
			t.Fatal(err)
		}
		m := run(t, d, w)
		if len(m.ByKind) != 12 || m.Usage.CPU == 0 {
			t.Errorf("%d kinds: %+v", len(m.ByKind), m.Usage)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEndpoint(t *testing.T) {
	db, err := stator.Open("", stator.Memory())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := server.NewHTTPServer(db.Handler())
	go srv.Serve(l)
	defer srv.Close()
	w := parse(t, everything+`,"index":1`+overTheAPI)
	d, err := OpenEndpoint(t.Context(), "http://"+l.Addr().String(), Elsewhere{}, w)
	if err != nil {
		t.Fatal(err)
	}
	run(t, d, w)
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := OpenEndpoint(t.Context(), "localhost:8000", Elsewhere{}, w); err == nil {
		t.Error("not a URL, but taken for one")
	}
}

// Workers share the nodes of a cluster, and a request that finds its node gone is tried at the next one.
func TestSeveralEndpoints(t *testing.T) {
	db, err := stator.Open("", stator.Memory())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var urls []string
	var servers []*httptest.Server
	var asked [2]atomic.Int64
	for i := range asked {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked[i].Add(1)
			db.Handler().ServeHTTP(w, r)
		}))
		defer s.Close()
		servers, urls = append(servers, s), append(urls, s.URL)
	}
	w := parse(t, `{"name":"several","operations":{"get":1,"put":1},"keys":{"count":50},"workers":2,"length":"20s","warmup":"1ms","count":100,"attempts":2}`)
	d, err := OpenEndpoint(t.Context(), strings.Join(urls, "+"), Elsewhere{}, w)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	run(t, d, w)
	if asked[0].Load() == 0 || asked[1].Load() == 0 {
		t.Errorf("%d and %d requests", asked[0].Load(), asked[1].Load())
	}
	if u := d.Usage(); runtime.GOOS == "linux" && (u.CPU == 0 || u.ResidentBytes == 0) {
		t.Errorf("this process serves, but its usage is %+v", u)
	}
	servers[1].CloseClientConnections()
	servers[1].Close()
	run(t, d, w) // without an error
	w.Attempts = 1
	m, err := drive.Run(t.Context(), w, d, drive.Options{})
	if err != nil || m.Errors == 0 {
		t.Errorf("one attempt: %v, %+v", err, m)
	}
}

// What a server does not offer ends the run as unsupported.
func TestUnsupported(t *testing.T) {
	h := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), "GetItem") {
			rw.WriteHeader(400)
			rw.Write([]byte(`{"__type":"com.amazonaws.dynamodb.v20120810#UnknownOperationException","message":"no"}`))
			return
		}
		rw.Write([]byte(`{"Table":{"TableStatus":"ACTIVE"}}`))
	})
	w := parse(t, `{"name":"u","operations":{"get":1},"keys":{"count":2},"empty":true}`)
	d, err := OpenHandler(t.Context(), &http.Client{Transport: transport{h}}, w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := drive.Run(t.Context(), w, d, drive.Options{}); !errors.Is(err, drive.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}

type transport struct{ h http.Handler }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	t.h.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// The signature is the one that the SDK makes, whatever was signed before: it keeps what it can.
func TestSign(t *testing.T) {
	for _, token := range []string{"", "a-token"} {
		c := Credentials{Key: "AKID", Secret: "secret", Token: token, Region: "eu-west-1"}
		s := newSigner(c, "dynamodb.eu-west-1.amazonaws.com")
		at := time.Date(2026, 11, 28, 23, 59, 58, 0, time.UTC)
		for i, operation := range []string{"GetItem", "GetItem", "PutItem", "PutItem", "GetItem"} {
			body := []byte(strings.Repeat(`{"TableName":"x"}`, 1+50*i))
			got := s.sign(at, "DynamoDB_20120810."+operation, body)
			r, err := http.NewRequest("POST", "https://dynamodb.eu-west-1.amazonaws.com/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", contentType)
			r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
			sum := fmt.Sprintf("%x", sha256.Sum256(body))
			err = v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: c.Key, SecretAccessKey: c.Secret, SessionToken: token}, r, sum, "dynamodb", c.Region, at)
			if err != nil {
				t.Fatal(err)
			}
			if want := r.Header.Get("Authorization"); string(got.authorization) != want || string(got.date) != r.Header.Get("X-Amz-Date") {
				t.Errorf("request %d: got\n%s\nwant\n%s", i, got.authorization, want)
			}
			at = at.Add(700 * time.Millisecond) // into the next second, and the next day
		}
	}
}

// Making and signing a request allocates nothing.
func TestPrepareDoesNotAllocate(t *testing.T) {
	s, prepare := preparing(t)
	defer s.Close()
	for _, op := range []drive.Op{{Kind: drive.Get, Key: 77}, {Kind: drive.Put, Key: 77, Size: 100}} {
		if n := testing.AllocsPerRun(100, func() { prepare(&op) }); n > 0.1 { // a new second formats its time
			t.Errorf("%s: %v allocations", op.Kind, n)
		}
	}
}

// Whatever a server sends, reading the head ends, with sane numbers or an error.
func FuzzHead(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
	f.Add("HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := readHead(bufio.NewReader(strings.NewReader(text)))
		if err == nil && !strings.Contains(text, "\n\n") && !strings.Contains(text, "\n\r") {
			t.Fatalf("%+v of a head without an end", h)
		}
	})
}

// A transaction that was cancelled because of others is no error, unless there was another reason.
func TestConflict(t *testing.T) {
	const cancelled = "TransactionCanceledException"
	for _, c := range []struct {
		kind, message string
		want          bool
	}{
		{cancelled, "Transaction cancelled, please refer cancellation reasons for specific reasons [None, TransactionConflict]", true},
		{cancelled, "Transaction cancelled, please refer cancellation reasons for specific reasons [TransactionConflict]", true},
		{cancelled, "Transaction cancelled, please refer cancellation reasons for specific reasons [TransactionConflict, ConditionalCheckFailed]", false},
		{cancelled, "Transaction cancelled, please refer cancellation reasons for specific reasons [None]", false},
		{cancelled, "Transaction cancelled [TransactionConflict", false},
		{cancelled, "", false},
		{"TransactionConflictException", "Transaction is ongoing for the item", true},
		{"ValidationException", "[TransactionConflict]", false},
	} {
		err := conflictOr(&APIError{400, c.kind, c.message})
		if got := errors.Is(err, drive.ErrConflict); got != c.want {
			t.Errorf("%s: %s: a conflict: %v, want %v", c.kind, c.message, got, c.want)
		}
	}
	if err := conflictOr(context.Canceled); err != context.Canceled {
		t.Errorf("another error becomes %v", err)
	}
}
