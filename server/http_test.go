package server

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/statordb/stator/server/http1"
	"github.com/statordb/stator/table"
)

// listen serves h on a loopback port as the product does, and returns the address.
func listen(t testing.TB, h http.Handler, configure ...func(*http1.Server)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewHTTPServer(h)
	s.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	for _, c := range configure {
		c(s)
	}
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	return l.Addr().String()
}

// bigPage answers every scan with one large item.
func bigPage() *fakeTables {
	f := idle()
	f.get = func(*table.GetRequest) (*table.GetResult, error) {
		return &table.GetResult{Item: testItem("a", strings.Repeat("x", 10000))}, nil
	}
	return f
}

const getABC = `{"TableName":"abc","Key":{"a":{"S":"x"}}}`

// Both protocols, over real connections, with checked checksums and lengths.
func TestHTTP1AndH2C(t *testing.T) {
	addr := listen(t, fakeEdge(bigPage()))
	for _, major := range []int{1, 2} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(major == 1)
		protocols.SetUnencryptedHTTP2(major == 2)
		client := &http.Client{Transport: &http.Transport{Protocols: protocols, DisableCompression: true}}
		r := newRequest("GetItem", getABC)
		r.RequestURI, r.URL.Scheme, r.URL.Host = "", "http", addr
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != 200 || answer.ProtoMajor != major {
			t.Errorf("HTTP/%d: got %s over %s, %v", major, answer.Status, answer.Proto, err)
		}
		if got, want := answer.Header.Get("x-amz-crc32"), fmt.Sprint(crc32.ChecksumIEEE(body)); got != want {
			t.Errorf("HTTP/%d: checksum %s, want %s", major, got, want)
		}
		if got := answer.Header.Get("Content-Length"); got != strconv.Itoa(len(body)) {
			t.Errorf("HTTP/%d: length %s, want %d", major, got, len(body))
		}
		client.CloseIdleConnections()
	}
}

func TestRequestIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := newRequestID()
		if len(id) != 52 || strings.Trim(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" || seen[id] {
			t.Fatalf("bad or repeated id %q", id)
		}
		seen[id] = true
	}
}

func TestCompressedAnswers(t *testing.T) {
	h := fakeEdge(bigPage())
	_, plain := call(t, h, "GetItem", getABC)
	tests := map[string]string{
		"":                          "",
		"identity":                  "",
		"gzip":                      "gzip",
		"deflate":                   "deflate",
		"deflate, gzip":             "gzip",
		"gzip;q=0.5, deflate":       "deflate",
		"gzip;q=0, deflate;q=0":     "",
		"gzip;q=0.1,identity;q=0.5": "",
		"*":                         "gzip",
		"br":                        "",
		"GZIP ; q=1.0":              "gzip",
		"gzip;q=x":                  "",
	}
	for accept, coding := range tests {
		r := newRequest("GetItem", getABC)
		if accept != "" {
			r.Header.Set("Accept-Encoding", accept)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("Content-Encoding"); got != coding {
			t.Errorf("Accept-Encoding %q: answered %q, want %q", accept, got, coding)
			continue
		}
		wire := w.Body.Bytes()
		if got, want := w.Header().Get("X-Amz-Crc32"), fmt.Sprint(crc32.ChecksumIEEE(wire)); got != want {
			t.Errorf("Accept-Encoding %q: checksum %s, want that of the compressed bytes, %s", accept, got, want)
		}
		if got := unpack(t, coding, wire); got != plain {
			t.Errorf("Accept-Encoding %q: got %.80s", accept, got)
		}
	}
}

func unpack(t *testing.T, coding string, b []byte) string {
	t.Helper()
	var r io.Reader = bytes.NewReader(b)
	var err error
	switch coding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "deflate":
		r, err = zlib.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestSmallAnswersStayPlain(t *testing.T) {
	r := newRequest("ListTables", "{}")
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	fakeEdge(idle()).ServeHTTP(w, r)
	if got := w.Header().Get("Content-Encoding"); got != "" || w.Body.String() != `{"TableNames":[]}` {
		t.Errorf("got coding %q, body %s", got, w.Body)
	}
}

func pack(coding, s string) []byte {
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zlib":
		w = zlib.NewWriter(&b)
	case "raw":
		w, _ = flate.NewWriter(&b, flate.BestSpeed)
	}
	io.WriteString(w, s)
	w.Close()
	return b.Bytes()
}

func TestCompressedRequests(t *testing.T) {
	half := len(getABC) / 2
	tests := []struct {
		name, coding string
		body         []byte
		status       int
	}{
		{"gzip", "gzip", pack("gzip", getABC), 200},
		{"two members", "gzip", append(pack("gzip", getABC[:half]), pack("gzip", getABC[half:])...), 200},
		{"capital letters", "GZip", pack("gzip", getABC), 200},
		{"zlib", "deflate", pack("zlib", getABC), 200},
		{"raw deflate", "deflate", pack("raw", getABC), 200},
		{"not compressed", "gzip", []byte(getABC), 500},
		{"empty", "gzip", nil, 500},
		{"cut off", "gzip", pack("gzip", getABC)[:20], 500},
		{"bomb", "gzip", pack("gzip", strings.Repeat(" ", maxBody+1)), 413},
		{"largest", "gzip", pack("gzip", getABC+strings.Repeat(" ", maxBody-len(getABC))), 200},
	}
	h := fakeEdge(bigPage())
	for _, test := range tests {
		r := newRequest("GetItem", string(test.body))
		r.Header.Set("Content-Encoding", test.coding)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != test.status {
			t.Errorf("%s: got %d %.100s, want %d", test.name, w.Code, w.Body, test.status)
		}
		if w.Code == 500 && !strings.Contains(w.Body.String(), "#InternalServerError") {
			t.Errorf("%s: got %s", test.name, w.Body)
		}
	}
	if left := h.bodies.left.Load(); left != bodyBudget {
		t.Errorf("%d bytes of the budget were not given back", bodyBudget-left)
	}
}

// Too large is 413 before anything else, whether the client says so or not,
// and a client that only reads after it wrote sees it.
func TestTooLarge(t *testing.T) {
	addr := listen(t, fakeEdge(idle()))
	for _, chunked := range []bool{false, true} {
		body := io.Reader(bytes.NewReader(bytes.Repeat([]byte("a"), 20<<20)))
		if chunked {
			body = struct{ io.Reader }{body} // hides the length
		}
		answer, err := http.Post("http://"+addr+"/", amzJSONType, body)
		if err != nil {
			t.Errorf("chunked %v: %v", chunked, err)
			continue
		}
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != 413 || len(text) != 0 || answer.Header.Get("X-Amzn-Requestid") == "" {
			t.Errorf("chunked %v: got %s %q %v", chunked, answer.Status, text, answer.Header)
		}
	}
}

func TestLargestBody(t *testing.T) {
	body := `{"TableName":"abc","Item":{"a":{"S":"` + strings.Repeat("x", maxBody) // cut off, so not JSON
	status, got := call(t, fakeEdge(idle()), "PutItem", body[:maxBody])
	if status != 400 || !strings.Contains(got, "SerializationException") {
		t.Errorf("got %d %.100s", status, got)
	}
}

// A client that declares a body and does not send it is told so and let go.
func TestSlowBody(t *testing.T) {
	addr := listen(t, fakeEdge(idle()), func(s *http1.Server) { s.ReadTimeout = 100 * time.Millisecond })
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: 100\r\n\r\n{", amzJSONType)
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusRequestTimeout || !answer.Close {
		t.Errorf("got %s, close %v", answer.Status, answer.Close)
	}
}

// A client that closes its side in the middle of a body gets an answer or an
// end, not a hanging connection.
func TestHalfClosed(t *testing.T) {
	addr := listen(t, fakeEdge(idle()))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: 100\r\n\r\n{", amzJSONType)
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusBadRequest {
		t.Errorf("got %s", answer.Status)
	}
}

func TestLongHeaders(t *testing.T) {
	addr := listen(t, fakeEdge(idle()))
	r, _ := http.NewRequest(http.MethodPost, "http://"+addr+"/", nil)
	r.Header.Set("X-Long", strings.Repeat("a", 16<<10))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %s", answer.Status)
	}
}

func TestHostileJSON(t *testing.T) {
	deepValue := func(n int) string {
		return strings.Repeat(`{"L":[`, n) + `{"NULL":true}` + strings.Repeat(`]}`, n)
	}
	const serialization = `{"__type":"com.amazon.coral.service#SerializationException"}`
	tests := []struct{ name, body, want string }{
		{"100-deep arrays", strings.Repeat("[", 100) + strings.Repeat("]", 100), serialization},
		{"a million deep", strings.Repeat(`{"a":`, 1e6) + "1" + strings.Repeat("}", 1e6), serialization},
		{"a million open", strings.Repeat("[", 1e6), serialization},
		{"unknown member 100 deep", `{"TableName":"abc","Item":{},"X":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, ""},
		{"value 31 lists deep", `{"TableName":"abc","Item":{"a":` + deepValue(31) + `}}`, ""},
		{"value 100 lists deep", `{"TableName":"abc","Item":{"a":` + deepValue(100) + `}}`,
			validation("Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit")},
		{"invalid UTF-8", "{\"TableName\":\"a\xffb\"}", serialization},
		{"invalid UTF-8 in a name", "{\"\xc0\x80\":1}", serialization},
		{"NUL", "{\"a\":\x00}", serialization},
		{"two values", `{}{}`, serialization},
		{"duplicate members", `{"TableName":"a b","TableName":"abc","Item":{"a":{"S":"x"},"a":{"S":"y"}}}`, ""},
		{"byte order mark", "\ufeff{}", serialization},
		{"string", `"abc"`, serialization},
		{"null", `null`, serialization},
	}
	h := fakeEdge(idle())
	for _, test := range tests {
		want := test.want
		if want == "" {
			want = `{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"Requested resource not found"}`
		}
		if status, got := call(t, h, "PutItem", test.body); status != 400 || got != want {
			t.Errorf("%s:\n got %d %.200s\nwant 400 %s", test.name, status, got, want)
		}
	}
}

// A panic and an unknown error are logged with the id that the client sees.
func TestInternalErrors(t *testing.T) {
	f := idle()
	f.put = func(*table.PutRequest) (*table.WriteResult, error) { panic("broken") }
	f.get = func(*table.GetRequest) (*table.GetResult, error) { return nil, errors.New("broken") }
	var log bytes.Buffer
	h := fakeEdge(f)
	h.log = slog.New(slog.NewTextHandler(&log, nil))
	for operation, body := range map[string]string{"PutItem": `{"TableName":"abc","Item":{}}`, "GetItem": getABC} {
		log.Reset()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, newRequest(operation, body))
		id := w.Header().Get("X-Amzn-Requestid")
		want := `{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"Internal failure; see the log for request ` + id + `"}`
		if w.Code != 500 || w.Body.String() != want {
			t.Errorf("%s: got %d %s", operation, w.Code, w.Body)
		}
		if line := log.String(); !strings.Contains(line, id) || !strings.Contains(line, operation) || !strings.Contains(line, "broken") {
			t.Errorf("%s: log says %s", operation, line)
		}
	}
}

// Large bodies wait for nothing: beyond the budget they are refused.
func TestBodyBudget(t *testing.T) {
	h := fakeEdge(idle())
	h.bodies.left.Store(0)
	status, _ := call(t, h, "PutItem", `{"TableName":"abc","Item":{"a":{"S":"`+strings.Repeat("x", 1<<20)+`"}}}`)
	if status != http.StatusServiceUnavailable {
		t.Errorf("got %d, want 503", status)
	}
	if status, _ := call(t, h, "PutItem", `{"TableName":"abc","Item":{}}`); status != http.StatusBadRequest {
		t.Errorf("small body: got %d, want 400", status)
	}
}

// A body's buffer grows with what has arrived, up to what was declared.
func TestGrownBody(t *testing.T) {
	for _, tt := range []struct {
		size   int
		length int64
		want   int
	}{
		{0, 100, 101}, {0, 1 << 20, firstRead}, {firstRead, 1 << 20, 2 * firstRead}, {512 << 10, 1 << 20, 1 << 20}, {1 << 20, 1 << 20, 1<<20 + 1},
		{0, -1, firstRead}, {8 << 20, -1, maxBody + 1 - 1}, {16 << 20, -1, maxBody + 1}, {12 << 20, maxBody, maxBody + 1},
	} {
		if got := grownBody(tt.size, tt.length); got != tt.want {
			t.Errorf("grownBody(%d, %d) = %d, want %d", tt.size, tt.length, got, tt.want)
		}
	}
}

// Senders that never finish hold what they have sent, and all of them together
// no more than the budget.
func TestSlowSenders(t *testing.T) {
	var b budget
	b.left.Store(100 << 10)
	slow := func(arrived int) (taken int64, err error) {
		r := io.MultiReader(bytes.NewReader(make([]byte, arrived)), iotest.ErrReader(os.ErrDeadlineExceeded))
		_, taken, err = b.read(r, maxBody, nil)
		return taken, err
	}
	for _, tt := range []struct {
		arrived int
		taken   int64
		want    error
	}{
		{firstRead - 1, 0, os.ErrDeadlineExceeded},
		{40 << 10, 56 << 10, os.ErrDeadlineExceeded}, // 64 KiB, of which 8 are not counted
		{10 << 10, 8 << 10, os.ErrDeadlineExceeded},
		{60 << 10, 24 << 10, errBusy},
	} {
		if taken, err := slow(tt.arrived); taken != tt.taken || err != tt.want {
			t.Errorf("%d bytes: took %d, %v, want %d, %v", tt.arrived, taken, err, tt.taken, tt.want)
		}
	}
}

// Errors quote the request, but not all of it.
func TestMessagesAreBounded(t *testing.T) {
	h := fakeEdge(idle())
	for _, body := range []string{
		`{"TableName":"abc","Item":{"a":{"N":"` + strings.Repeat("é", 3<<20) + `"}}}`,
		`{"TableName":"abc","Item":{"a":{"SS":["` + strings.Repeat("é", 3<<20) + `","x","x"]}}}`,
	} {
		if status, got := call(t, h, "PutItem", body); status != 400 || len(got) > maxMessage+200 || !strings.HasSuffix(got, `é..."}`) {
			t.Errorf("got %d, %d bytes, ending in %q", status, len(got), got[len(got)-20:])
		}
	}
}

// Shutdown lets a request under way finish.
func TestShutdownDrains(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	f := idle()
	f.get = func(*table.GetRequest) (*table.GetResult, error) {
		close(entered)
		<-leave
		return &table.GetResult{}, nil
	}
	var s *http1.Server
	addr := listen(t, fakeEdge(f), func(server *http1.Server) { s = server })
	status := make(chan int, 1)
	go func() {
		r := newRequest("GetItem", getABC)
		r.RequestURI, r.URL.Scheme, r.URL.Host = "", "http", addr
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			status <- 0
			return
		}
		answer.Body.Close()
		status <- answer.StatusCode
	}()
	<-entered
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(context.Background()) }()
	close(leave)
	if got := <-status; got != 200 {
		t.Errorf("got %d, want 200", got)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}
