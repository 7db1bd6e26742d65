package http1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// echo answers with what it understood: a line of header fields and the body.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	names := slices.Sorted(maps.Keys(r.Header))
	w.Header().Set("X-Served-By", fmt.Sprintf("%T", w))
	fmt.Fprintf(w, "%s %s %s %d %v ", r.Method, r.RequestURI, r.Host, r.ContentLength, names)
	for _, name := range names {
		fmt.Fprintf(w, "%q ", r.Header[name])
	}
	w.Write(body)
}

func serve(t *testing.T, h http.HandlerFunc, configure ...func(*http.Server)) (*Server, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	inner := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	for _, c := range configure {
		c(inner)
	}
	s := NewServer(inner)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-done; err != http.ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, dial(t, l.Addr().String())
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

func request(body string, fields ...string) string {
	return "POST / HTTP/1.1\r\nHost: a:80\r\n" + strings.Join(append(fields, ""), "\r\n") +
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

// receive reads one answer.
func receive(t *testing.T, r *bufio.Reader) (*http.Response, string) {
	t.Helper()
	answer, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

// Requests of one connection: each has its own header although lines are kept,
// and the odd one out takes the connection to net/http, for good.
func TestConnection(t *testing.T) {
	const ours, theirs = "*http1.response", "*http.response"
	_, c := serve(t, echo)
	answers := bufio.NewReader(c)
	for i, tt := range []struct{ send, want, by string }{
		{request("one", "X-Id: 1", "X-Same: s"), `POST / a:80 3 [Content-Length X-Id X-Same] ["3"] ["1"] ["s"] one`, ours},
		{request("one", "X-Id: 1", "X-Same: s"), `POST / a:80 3 [Content-Length X-Id X-Same] ["3"] ["1"] ["s"] one`, ours},
		{request("four", "X-Id: 2", "X-Same: s"), `POST / a:80 4 [Content-Length X-Id X-Same] ["4"] ["2"] ["s"] four`, ours},
		{request("", "X-Same: s"), `POST / a:80 0 [Content-Length X-Same] ["0"] ["s"] `, ours},
		{request("x", "X-Id:", "x-same: \t t \t"), `POST / a:80 1 [Content-Length X-Id X-Same] ["1"] [""] ["t"] x`, ours},
		{"POST / HTTP/1.1\r\nHost: b\r\n\r\n", `POST / b 0 [] `, ours},
		{request("y", "Connection: Keep-Alive"), `POST / a:80 1 [Connection Content-Length] ["Keep-Alive"] ["1"] y`, ours},
		{"POST /path HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nz", `POST /path a 1 [Content-Length] ["1"] z`, theirs},
		{request("one"), `POST / a:80 3 [Content-Length] ["3"] one`, theirs},
	} {
		io.WriteString(c, tt.send)
		answer, got := receive(t, answers)
		if got != tt.want || answer.Header.Get("X-Served-By") != tt.by || answer.Header.Get("Date") == "" {
			t.Errorf("request %d: got %q by %s\nwant %q by %s", i, got, answer.Header.Get("X-Served-By"), tt.want, tt.by)
		}
	}
}

func TestForeign(t *testing.T) {
	for _, fields := range []string{
		"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
		"Content-Length: 1\r\nExpect: 100-continue\r\n\r\nx",
		"Content-Length: 1\r\nConnection: close\r\n\r\nx",
		"Content-Length: 1\r\nX: 1\r\nX: 2\r\n\r\nx",
		"Content-Length: +1\r\n\r\nx",
		"Content-Length: 1\r\nX-Byte: \xff\r\n\r\nx",
		"Content-Length: 1\r\nX Y: 1\r\n\r\nx",
		"Content-Length: 1\r\nX-Long: " + strings.Repeat("x", 2*turnBytes) + "\r\n\r\nx",
	} {
		_, c := serve(t, echo)
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\n%s", fields)
		answers := bufio.NewReader(c)
		answer, body := receive(t, answers)
		if answer.StatusCode == http.StatusContinue {
			answer, body = receive(t, answers)
		}
		if by := answer.Header.Get("X-Served-By"); by != "*http.response" && answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%.40q: %s %q by %s", fields, answer.Status, body, by)
		}
	}
}

// Requests that arrive byte by byte, or several at once, are the same requests.
func TestArrival(t *testing.T) {
	_, c := serve(t, echo)
	all := request("first") + request(strings.Repeat("s", 3*turnBytes)) + request("third", "X: y")
	go func() {
		for i := range all[:300] {
			io.WriteString(c, all[i:i+1])
		}
		io.WriteString(c, all[300:])
	}()
	answers := bufio.NewReader(c)
	for _, want := range []string{"first", strings.Repeat("s", 3*turnBytes), "third"} {
		if answer, body := receive(t, answers); !strings.HasSuffix(body, want) || answer.Header.Get("X-Served-By") != "*http1.response" {
			t.Errorf("got %s %.80q", answer.Status, body)
		}
	}
}

// Answers: statuses, large bodies, wrong lengths, fields that would be two.
func TestAnswers(t *testing.T) {
	large := strings.Repeat("0123456789", maxCopied)
	next := make(chan http.HandlerFunc, 1)
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) { (<-next)(w, r) })
	answers := bufio.NewReader(c)
	for i, tt := range []struct {
		h      http.HandlerFunc
		status int
		body   string
	}{
		{func(w http.ResponseWriter, r *http.Request) {}, 200, ""},
		{func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404); w.WriteHeader(500) }, 404, ""},
		{func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }, 204, ""},
		{func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(large)))
			io.WriteString(w, large)
		}, 200, large},
		{func(w http.ResponseWriter, r *http.Request) { io.Copy(w, iotest.HalfReader(strings.NewReader(large))) }, 200, large},
		{func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "7")
			io.WriteString(w, "12345")
		}, 200, "12345"},
		{func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X", "a\r\nContent-Length: 99\r\n") }, 200, ""},
	} {
		next <- tt.h
		io.WriteString(c, request(""))
		answer, body := receive(t, answers)
		if answer.StatusCode != tt.status || body != tt.body {
			t.Errorf("answer %d: got %s %.40q", i, answer.Status, body)
		}
	}
}

// A body that the handler leaves unread, or "Connection: close", ends the
// connection after the answer, which the client gets even if it is still sending.
func TestClosing(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"unread": func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "no") },
		"close": func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Connection", "close")
			io.WriteString(w, "no")
		},
	} {
		_, c := serve(t, h)
		io.WriteString(c, request(strings.Repeat("x", 1<<20)))
		answers := bufio.NewReader(c)
		answer, body := receive(t, answers)
		if _, err := answers.ReadByte(); !answer.Close || body != "no" || err != io.EOF {
			t.Errorf("%s: close %v, %q, then %v", name, answer.Close, body, err)
		}
	}
}

// A handler that panics ends its connection only.
func TestPanic(t *testing.T) {
	s, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > 0 {
			panic("broken")
		}
	})
	io.WriteString(c, request("x"))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	other := dial(t, c.RemoteAddr().String())
	io.WriteString(other, request(""))
	receive(t, bufio.NewReader(other))
	waitFor(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.conns) == 1 })
}

func waitFor(t *testing.T, f func() bool) {
	t.Helper()
	for limit := time.Now().Add(10 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("did not happen")
		}
	}
}

// Who says nothing, half a head or half a body is let go of.
func TestTimeouts(t *testing.T) {
	_, c := serve(t, echo, func(s *http.Server) {
		s.IdleTimeout, s.ReadHeaderTimeout, s.ReadTimeout = 20*time.Millisecond, 20*time.Millisecond, 20*time.Millisecond
	})
	for _, send := range []string{"", request("")[:20], strings.TrimSuffix(request("12345678"), "5678")} {
		c := dial(t, c.RemoteAddr().String())
		io.WriteString(c, send)
		b, _ := io.ReadAll(c)
		if len(b) > 0 && !bytes.HasPrefix(b, []byte("HTTP/1.1 400 ")) {
			t.Errorf("%q: got %q", send, b)
		}
	}
}

// The limit of a head that came in pieces ends with it.
func TestLimitEnds(t *testing.T) {
	const limit = 100 * time.Millisecond
	s, c := serve(t, echo, func(s *http.Server) { s.ReadHeaderTimeout = limit })
	answers := bufio.NewReader(c)
	r := request("x")
	io.WriteString(c, r[:10])
	waitFor(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.conns {
			return c.state.Load() == active
		}
		return false
	})
	io.WriteString(c, r[10:])
	receive(t, answers)
	c.SetReadDeadline(time.Now().Add(2 * limit))
	if _, err := answers.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a waiting connection: %v", err)
	}
}

// Shutdown ends connections that wait and lets the others answer.
func TestShutdown(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	s, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > 0 {
			entered <- true
			<-leave
		}
	})
	waiting := dial(t, c.RemoteAddr().String())
	io.WriteString(waiting, request(""))
	answers := bufio.NewReader(waiting)
	receive(t, answers)
	io.WriteString(c, request("x"))
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown with a request under way: %v", err)
	}
	if _, err := answers.ReadByte(); err == nil {
		t.Error("a waiting connection goes on")
	}
	close(leave)
	if answer, _ := receive(t, bufio.NewReader(c)); answer.StatusCode != 200 || !answer.Close {
		t.Errorf("got %s, close %v", answer.Status, answer.Close)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", c.RemoteAddr().String()); err == nil {
		t.Error("still listening")
	}
}

// Close does not wait for a handler that hangs.
func TestCloseNow(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	s, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		entered <- true
		<-leave
	})
	defer close(leave)
	io.WriteString(c, request(""))
	<-entered
	s.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection goes on")
	}
}

// A served request allocates for what is new in its head only.
func TestAllocations(t *testing.T) {
	t1 := &turn{}
	text := []byte(request("x", "X-Amz-Target: DynamoDB_20120810.GetItem", "Content-Type: application/x-amz-json-1.0"))
	t1.head.parse(text)
	if n := testing.AllocsPerRun(100, func() {
		if _, v := t1.head.parse(text); v != whole {
			t.Fatal("not whole")
		}
	}); n != 0 {
		t.Errorf("%v allocations for the same head again", n)
	}
}

// What parse takes for a whole head, net/http reads and understands the same
// way, whatever heads came before.
func FuzzHead(f *testing.F) {
	f.Add([]byte(request("x", "X-Amz-Target: a.B", "Authorization: AWS4-HMAC-SHA256 Credential=k/d/r/s/t")), []byte(request("")))
	f.Add([]byte("POST / HTTP/1.1\r\nhost: [::1]:8\r\ncontent-length: 007\r\nX: \t v\t\r\n\r\n1234567"), []byte("POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nTe: trailers\r\n\r\n"), []byte("POST / HTTP/1.1\r\nA: 1\r\nHost: a\r\n\r\n"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var h head
		for _, in := range [][]byte{first, second, first} {
			size, v := h.parse(in)
			if v != whole {
				continue
			}
			want, err := http.ReadRequest(bufio.NewReaderSize(bytes.NewReader(in), 64<<10))
			if err != nil {
				t.Fatalf("net/http refuses %q: %v", in, err)
			}
			if h.host != want.Host || h.length != want.ContentLength || len(want.TransferEncoding) > 0 || want.Close || want.RequestURI != "/" ||
				!maps.EqualFunc(h.header, want.Header, slices.Equal) {
				t.Fatalf("%q: got %q, %d, %q\nwant %q, %d, %q", in, h.host, h.length, h.header, want.Host, want.ContentLength, want.Header)
			}
			body, err := io.ReadAll(want.Body)
			if rest := in[size:]; !bytes.Equal(body, rest[:min(int64(len(rest)), h.length)]) {
				t.Fatalf("%q: body %q, %v", in, body, err)
			}
		}
	})
}
