package target

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"
)

// blocking returns both ends of a connection, the near one as a stream.
func blocking(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	if near, err = newStream(c); err != nil {
		t.Fatal(err)
	}
	if _, ok := near.(*stream); !ok {
		t.Fatalf("a %T", near)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// What is larger than any buffer goes both ways, and the end is io.EOF. The far end is slower than patience, so that some calls are told of.
func TestStreamCarries(t *testing.T) {
	near, far := blocking(t)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	go func() { // ends with the connection
		time.Sleep(3 * patience)
		got, _ := io.ReadAll(io.LimitReader(far, int64(len(sent))))
		time.Sleep(3 * patience)
		_, _ = far.Write(got)
		far.Close()
	}()
	if n, err := near.Write(sent); n != len(sent) || err != nil {
		t.Fatalf("wrote %d of %d: %v", n, len(sent), err)
	}
	if got, err := io.ReadAll(near); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("read %d of %d: %v", len(got), len(sent), err)
	}
	if near.RemoteAddr().String() != far.LocalAddr().String() {
		t.Errorf("addresses %v and %v", near.RemoteAddr(), far.LocalAddr())
	}
}

// Who says nothing, who reads nothing and who sends byte by byte: each ends by the deadline.
func TestStreamKeepsDeadlines(t *testing.T) {
	soon := func(c net.Conn) { _ = c.SetDeadline(time.Now().Add(2 * patience)) }
	near, _ := blocking(t)
	soon(near)
	if n, err := near.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes of nothing: %v", n, err)
	}
	near, _ = blocking(t)
	soon(near)
	if _, err := near.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("wrote to who does not read: %v", err)
	}
	near, far := blocking(t)
	soon(near)
	go func() { // ends with the connection
		for {
			if _, err := far.Write([]byte("x")); err != nil {
				return
			}
			time.Sleep(patience / 10)
		}
	}()
	if _, err := io.ReadFull(near, make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read byte by byte: %v", err)
	}
}

// A connection that was reset, and one that is closed, are errors.
func TestStreamFails(t *testing.T) {
	near, far := blocking(t)
	if err := far.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	far.Close()
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Error("read from a reset connection")
	}
	if err := near.Close(); err != nil {
		t.Error(err)
	}
	if _, err := near.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("read from a closed stream: %v", err)
	}
	if _, err := near.Write([]byte{1}); err == nil {
		t.Error("wrote to a closed stream")
	}
	if err := near.Close(); err == nil {
		t.Error("closed twice")
	}
}

// TLS works over it.
func TestStreamUnderTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) }))
	defer s.Close()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if c, err = newStream(c); err != nil {
		t.Fatal(err)
	}
	config := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName = "example.com" // as in the server's certificate
	secured := tls.Client(c, config)
	defer secured.Close()
	if _, err := io.WriteString(secured, "GET /there HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(secured); err != nil || !bytes.HasSuffix(answer, []byte("/there")) {
		t.Errorf("%q, %v", answer, err)
	}
}
