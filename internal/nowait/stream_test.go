//go:build unix

package nowait

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// pair returns both ends of a connection; the first one is a stream, too.
func pair(t *testing.T) (near *net.TCPConn, s io.ReadWriter, far net.Conn) {
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
	t.Cleanup(func() { c.Close(); far.Close() })
	near = c.(*net.TCPConn)
	if s, err = NewStream(near); err != nil {
		t.Fatal(err)
	}
	return near, s, far
}

// What is larger than any buffer arrives as it was sent, in both directions, and its end is io.EOF.
func TestStreamBothWays(t *testing.T) {
	_, s, far := pair(t)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	go func() { // ends with the connection
		got, _ := io.ReadAll(io.LimitReader(far, int64(len(sent))))
		_, _ = far.Write(got)
		far.Close()
	}()
	if n, err := s.Write(sent); n != len(sent) || err != nil {
		t.Fatalf("wrote %d of %d: %v", n, len(sent), err)
	}
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("read %d of %d: %v", len(got), len(sent), err)
	}
}

// A stream has the deadlines and the end of its connection.
func TestStreamEnds(t *testing.T) {
	near, s, _ := pair(t)
	b := make([]byte, 8)
	_ = near.SetReadDeadline(time.Now())
	if _, err := s.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after its deadline, a read fails with %v", err)
	}
	_ = near.SetReadDeadline(time.Time{})
	near.Close()
	if _, err := s.Read(b); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close, a read fails with %v", err)
	}
	if _, err := s.Write(b); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close, a write fails with %v", err)
	}
}

// A write to somebody who has gone fails, and says so.
func TestStreamBroken(t *testing.T) {
	_, s, far := pair(t)
	_ = far.(*net.TCPConn).SetLinger(0)
	far.Close()
	var err error
	for range 1000 {
		if _, err = s.Write(make([]byte, 64<<10)); err != nil {
			break
		}
	}
	if err == nil {
		t.Error("a peer that has gone takes everything")
	}
}
