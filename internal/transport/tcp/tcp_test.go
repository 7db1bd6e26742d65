package tcp

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
)

// patience bounds how long a test waits for what must happen.
const patience = 20 * time.Second

// A node is a transport whose messages go to a channel.
type node struct {
	*Transport
	got chan message
}

type message struct {
	from transport.NodeID
	lane transport.Lane
	text string
}

func start(t testing.TB, o Options) *node { return startOn(t, "127.0.0.1:0", o) }

func startOn(t testing.TB, addr string, o Options) *node {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if o.Beat == 0 {
		o.Beat = 250 * time.Millisecond
	}
	n := &node{New(l, o), make(chan message, 1000)}
	t.Cleanup(func() { n.Close() })
	for lane := range transport.Lanes {
		n.Handle(lane, func(from transport.NodeID, m []byte) { n.got <- message{from, lane, string(m)} })
	}
	return n
}

// receive waits for one message.
func (n *node) receive(t testing.TB) message {
	t.Helper()
	select {
	case m := <-n.got:
		return m
	case <-time.After(patience):
		t.Fatalf("node %d waits in vain for a message", n.Self())
		panic("not reached")
	}
}

// couple starts nodes 1 and 2 that know each other.
func couple(t testing.TB, o Options) (a, b *node) {
	o.Self = 1
	a = start(t, o)
	o.Self = 2
	b = start(t, o)
	a.SetPeer(2, b.Addr().String())
	b.SetPeer(1, a.Addr().String())
	return a, b
}

// until waits for a condition.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// reaches sends until something arrives: the first messages may be lost while a
// connection is made or found broken.
func reaches(t testing.TB, from, to *node) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		from.Send(to.Self(), transport.Raft, []byte("hello"))
		select {
		case <-to.got:
			return
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("node %d never reaches node %d: %+v", from.Self(), to.Self(), from.Peers())
		}
	}
}

func TestMessagesArriveInOrder(t *testing.T) {
	for _, secured := range []bool{false, true} {
		t.Run(fmt.Sprint("tls ", secured), func(t *testing.T) {
			o := Options{}
			if secured {
				o.TLS = newAuthority(t).config(t)
			}
			a, b := couple(t, o)
			for lane := range transport.Lanes {
				for i := range 300 {
					a.Send(2, lane, fmt.Append(nil, i))
				}
				for i := range 300 {
					if got, want := b.receive(t), (message{1, lane, fmt.Sprint(i)}); got != want {
						t.Fatalf("got %v, want %v", got, want)
					}
				}
			}
			for _, size := range []int{0, 1, wholeBytes, wholeBytes + 1, batchBytes, firstBytes + 1, 3 << 20} {
				want := string(bytes.Repeat([]byte{'x'}, size))
				a.Send(2, transport.Snapshot, []byte(want))
				if got := b.receive(t); got.text != want {
					t.Fatalf("%d bytes arrive as %d", size, len(got.text))
				}
			}
			a.Send(1, transport.Call, []byte("self"))
			if got := a.receive(t); got != (message{1, transport.Call, "self"}) {
				t.Errorf("to itself: %v", got)
			}
			if a.Unreachable(2) || a.Unreachable(1) || !a.Unreachable(3) {
				t.Error("Unreachable is wrong")
			}
		})
	}
}

// TestRestart: a node that comes back at another address is found, and its
// going and coming noticed.
func TestRestart(t *testing.T) {
	a, b := couple(t, Options{})
	var gone, back atomic.Int64
	reaches(t, a, b)
	a.Watch(func(node transport.NodeID, reachable bool) {
		if node == 2 && reachable {
			back.Add(1)
		} else if node == 2 {
			gone.Add(1)
		}
	})
	b.Close()
	until(t, "node 1 notices", func() bool { return a.Unreachable(2) && gone.Load() > 0 })
	b = start(t, Options{Self: 2})
	a.SetPeer(2, b.Addr().String())
	reaches(t, a, b)
	if a.Unreachable(2) || back.Load() == 0 {
		t.Error("node 1 does not notice that node 2 is back")
	}
	a.RemovePeer(2)
	if !a.Unreachable(2) || len(a.Peers()) != 0 {
		t.Error("node 2 is still known after RemovePeer")
	}
}

// TestCalledBack: who waits for a long time until it tries again to reach a node does so
// when that one calls. So a node that comes back is answered at once.
func TestCalledBack(t *testing.T) {
	a, b := couple(t, Options{backoff: time.Hour})
	reaches(t, a, b)
	b.Close()
	until(t, "node 1 has given node 2 up", func() bool { return a.Unreachable(2) })
	b = startOn(t, b.Addr().String(), Options{Self: 2})
	b.SetPeer(1, a.Addr().String())
	reaches(t, a, b)
}

func TestCutAndHeal(t *testing.T) {
	a, b := couple(t, Options{})
	reaches(t, a, b)
	reaches(t, b, a)
	a.Cut(2)
	until(t, "both notice", func() bool { return a.Unreachable(2) && b.Unreachable(1) })
	for len(b.got) > 0 {
		<-b.got
	}
	a.Send(2, transport.Raft, []byte("lost"))
	if !a.Peers()[0].Cut {
		t.Error("the status does not say that node 2 is cut")
	}
	a.Heal()
	reaches(t, a, b)
	reaches(t, b, a)
}

// TestStrangersAreRefused: a connection of the wrong cluster, node, version or
// lane gets a verdict and nothing it sends arrives.
func TestStrangersAreRefused(t *testing.T) {
	b := start(t, Options{Self: 2, Cluster: ClusterID{7}, Tick: 100 * time.Millisecond})
	good := hello{version: version, lane: transport.Raft, cluster: ClusterID{7}, from: 1, to: 2, incarnation: 5, tick: 100 * time.Millisecond}
	for _, test := range []struct {
		name   string
		change func(*hello)
		want   error
	}{
		{"version", func(h *hello) { h.version = 9 }, errVersion},
		{"cluster", func(h *hello) { h.cluster = ClusterID{8} }, errCluster},
		{"receiver", func(h *hello) { h.to = 3 }, errNode},
		{"no sender", func(h *hello) { h.from = 0 }, errNode},
		{"itself", func(h *hello) { h.from = 2 }, errNode},
		{"lane", func(h *hello) { h.lane = 77 }, errRefused},
		{"tick", func(h *hello) { h.tick = 50 * time.Millisecond }, errTick},
		{"greeting", func(h *hello) { h.lane = greetLane }, errRefused},
	} {
		h := good
		test.change(&h)
		if _, _, err := dial(t.Context(), b.Addr().String(), nil, h); !errors.Is(err, test.want) {
			t.Errorf("%s: %v; want %v", test.name, err, test.want)
		}
	}
	c, _, err := dial(t.Context(), b.Addr().String(), nil, good)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = (&batchWriter{out: c}).write(transport.Raft, nil, [][]byte{[]byte("fine")})
	if got := b.receive(t); got.text != "fine" {
		t.Errorf("the first thing that arrives is %v", got)
	}
}

// TestHostileBytes: whatever comes, the connection ends and the node lives on.
func TestHostileBytes(t *testing.T) {
	b := start(t, Options{Self: 2})
	h := hello{version: version, lane: transport.Raft, from: 1, to: 2}
	bad := h.encode()
	bad[20] ^= 1
	long := transport.FrameHead(transport.Raft, nil)
	long[3] = 255
	wrongLane := transport.FrameHead(transport.Call, nil)
	huge := transport.FrameHead(transport.Raft, nil)
	copy(huge[:], []byte{0, 0, 0, 2}) // 32 MiB, of which nothing comes
	for name, sent := range map[string][]byte{
		"http":       []byte("POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 100\r\n\r\n"),
		"bad hello":  bad,
		"zeros":      make([]byte, 500),
		"long frame": append(h.encode(), long[:]...),
		"wrong lane": append(h.encode(), wrongLane[:]...),
		"no more":    append(h.encode(), huge[:]...),
		"garbage":    append(h.encode(), bytes.Repeat([]byte{0xa5}, 1000)...),
	} {
		c, err := net.Dial("tcp", b.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write(sent)
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection is still open", name)
		}
		c.Close()
	}
	if len(b.got) > 0 {
		t.Errorf("%v arrived", <-b.got)
	}
	a := start(t, Options{Self: 1})
	a.SetPeer(2, b.Addr().String())
	reaches(t, a, b)
}

// TestHalfOpen: a peer that has vanished without a word is noticed from either
// side. A proxy that stops forwarding stands in for the broken cable.
func TestHalfOpen(t *testing.T) {
	b := start(t, Options{Self: 2})
	p := newProxy(t, b.Addr().String())
	a := start(t, Options{Self: 1})
	a.SetPeer(2, p.addr)
	reaches(t, a, b)
	p.stuck.Store(true)
	until(t, "the dialler notices", func() bool { return a.Unreachable(2) })
	until(t, "the acceptor notices", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.inbound) == 0
	})
	p.stuck.Store(false)
	reaches(t, a, b)
}

// TestHalfOpenWhileWriting: that is also noticed, by its silence, when the dialler has more to say than fits on the way: a write that
// is stuck, and would be for an hour, does not keep it from that.
func TestHalfOpenWhileWriting(t *testing.T) {
	b := start(t, Options{Self: 2})
	p := newProxy(t, b.Addr().String())
	a := start(t, Options{Self: 1, writeLimit: time.Hour})
	a.SetPeer(2, p.addr)
	reaches(t, a, b)
	p.stuck.Store(true)
	for range 64 {
		a.Send(2, transport.Raft, make([]byte, 256<<10))
	}
	until(t, "the dialler notices", func() bool { return a.Unreachable(2) })
	p.stuck.Store(false)
	until(t, "it is reached again", func() bool { return !a.Unreachable(2) })
}

// A proxy forwards connections, and holds everything while it is stuck.
type proxy struct {
	addr  string
	stuck atomic.Bool
}

func newProxy(t *testing.T, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &proxy{addr: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d, err := net.Dial("tcp", to)
			if err != nil {
				c.Close()
				continue
			}
			go p.forward(c, d)
			go p.forward(d, c)
		}
	}()
	return p
}

func (p *proxy) forward(from, to net.Conn) {
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		for p.stuck.Load() {
			time.Sleep(time.Millisecond)
		}
		if err != nil {
			to.Close()
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			from.Close()
			return
		}
	}
}

// TestSlowReader: what a peer does not take in waits up to the lane's budget,
// the rest is dropped, and other lanes are not held up.
func TestSlowReader(t *testing.T) {
	a, b := couple(t, Options{LaneBytes: [transport.Lanes]int{transport.Snapshot: 1 << 20}, Beat: time.Second})
	release := make(chan struct{})
	var taken atomic.Int64
	b.Handle(transport.Snapshot, func(transport.NodeID, []byte) { <-release; taken.Add(1) })
	const size, count = 64 << 10, 1000
	for range count {
		a.Send(2, transport.Snapshot, make([]byte, size))
	}
	s := a.peer(2).lanes[transport.Snapshot]
	s.mu.Lock()
	waiting := s.bytes
	s.mu.Unlock()
	if waiting > 1<<20 {
		t.Errorf("%d bytes wait on a lane that takes a megabyte", waiting)
	}
	if s.dropped.Load() == 0 {
		t.Error("nothing was dropped")
	}
	a.Send(2, transport.Raft, []byte("urgent"))
	if got := b.receive(t); got.text != "urgent" {
		t.Errorf("got %v", got)
	}
	close(release)
	until(t, "what was not dropped arrives", func() bool { return uint64(taken.Load())+s.dropped.Load() == count })
}

func TestTLSKeepsOthersOut(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	b := start(t, Options{Self: 2, TLS: ours.config(t)})
	h := hello{version: version, lane: transport.Raft, from: 1, to: 2}
	for name, config := range map[string]*tls.Config{
		"without TLS":       nil,
		"other authority":   theirs.config(t),
		"no certificate":    {InsecureSkipVerify: true, MinVersion: tls.VersionTLS13},
		"old version":       old(ours.config(t)),
		"authority unknown": {Certificates: ours.config(t).Certificates, RootCAs: x509.NewCertPool()},
	} {
		if c, _, err := dial(t.Context(), b.Addr().String(), config, h); err == nil {
			c.Close()
			t.Errorf("%s: welcome", name)
		}
	}
	c, _, err := dial(t.Context(), b.Addr().String(), ours.config(t), h)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func old(c *tls.Config) *tls.Config {
	c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	return c
}

func TestGreet(t *testing.T) {
	o := Options{Self: 2, Cluster: ClusterID{7}, TLS: newAuthority(t).config(t)}
	o.Greet = func(request []byte) []byte { return append([]byte("hello, "), request...) }
	b := start(t, o)
	got, err := Greet(t.Context(), b.Addr().String(), o.TLS, []byte("stranger"))
	if err != nil || string(got) != "hello, stranger" {
		t.Errorf("Greet = %q, %v", got, err)
	}
	o.Greet, o.Self = nil, 3
	if _, err := Greet(t.Context(), start(t, o).Addr().String(), o.TLS, nil); !errors.Is(err, errRefused) {
		t.Errorf("a node that greets nobody: %v", err)
	}
}

// TestCalls runs requests with answers over it.
func TestCalls(t *testing.T) {
	a, b := couple(t, Options{})
	e := env.New()
	client, server := transport.NewCalls(e, a), transport.NewCalls(e, b)
	defer client.Close()
	defer server.Close()
	hang := make(chan struct{})
	defer close(hang)
	server.Serve(1, func(from transport.NodeID, request []byte) ([]byte, error) { return append(request, byte(from)), nil })
	server.Serve(2, func(transport.NodeID, []byte) ([]byte, error) { <-hang; return nil, nil })
	reaches(t, a, b)
	if got, err := client.Call(2, 1, []byte("x"), patience); err != nil || string(got) != "x\x01" {
		t.Errorf("Call = %q, %v", got, err)
	}
	lost := make(chan error, 1)
	go func() {
		_, err := client.Call(2, 2, nil, time.Hour)
		lost <- err
	}()
	until(t, "the request is on its way", func() bool { return b.Transport.inboundLanes(1) == 2 })
	b.Cut(1)
	select {
	case err := <-lost:
		if !errors.Is(err, transport.ErrLost) && !errors.Is(err, transport.ErrUnreachable) {
			t.Errorf("a call whose connection broke ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("a call whose connection broke still waits")
	}
}

func (t *Transport) inboundLanes(from transport.NodeID) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key := range t.inbound {
		if key.from == from {
			n++
		}
	}
	return n
}

// An authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	return &authority{cert, key}
}

// config returns that of a node with a certificate of its own.
func (a *authority) config(t testing.TB) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return newTLS(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots)
}

func FuzzFrames(f *testing.F) {
	var good bytes.Buffer
	for lane, text := range []string{"a", "", "a longer one"} {
		head := transport.FrameHead(transport.Lane(lane), []byte(text))
		good.Write(head[:])
		good.WriteString(text)
	}
	f.Add(good.Bytes())
	f.Add([]byte{1, 0, 0, 2, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := newFrameReader(bytes.NewReader(stream))
		var again bytes.Buffer
		for {
			lane, m, err := r.next()
			if err != nil {
				break
			}
			head := transport.FrameHead(lane, m)
			again.Write(head[:])
			again.Write(m)
		}
		if !bytes.HasPrefix(stream, again.Bytes()) {
			t.Errorf("frames of %x encode to %x", stream, again.Bytes())
		}
	})
}

func FuzzHello(f *testing.F) {
	f.Add(hello{version: 1, lane: 2, cluster: ClusterID{3}, from: 4, to: 5, incarnation: 6, tick: 7}.encode())
	f.Add(welcome{version: 1, verdict: refused, incarnation: 9, tick: 1}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ok := decodeHello(b); ok && !bytes.Equal(h.encode(), b) {
			t.Errorf("hello %x encodes to %x", b, h.encode())
		}
		if w, ok := decodeWelcome(b); ok && !bytes.Equal(w.encode(), b) {
			t.Errorf("welcome %x encodes to %x", b, w.encode())
		}
	})
}

func BenchmarkSend(b *testing.B) {
	for _, size := range []int{100, 4 << 10, 1 << 20} {
		for _, secured := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d bytes, tls %v", size, secured), func(b *testing.B) {
				o := Options{Beat: time.Second}
				if secured {
					o.TLS = newAuthority(b).config(b)
				}
				from, to := couple(b, o)
				var got atomic.Int64
				to.Handle(transport.Raft, func(transport.NodeID, []byte) { got.Add(1) })
				message := make([]byte, size)
				window := int64(max(16, min(4096, 8<<20/size)))
				b.SetBytes(int64(size))
				b.ReportAllocs()
				sent := int64(0)
				for b.Loop() {
					for sent-got.Load() >= window {
						time.Sleep(10 * time.Microsecond)
					}
					from.Send(2, transport.Raft, message)
					sent++
				}
				until(b, "all arrive", func() bool { return got.Load() == sent })
			})
		}
	}
}

// A levels is a log of which only the levels are kept.
type levels chan slog.Level

func (levels) Enabled(context.Context, slog.Level) bool { return true }
func (l levels) Handle(_ context.Context, r slog.Record) error {
	l <- r.Level
	return nil
}
func (l levels) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l levels) WithGroup(string) slog.Handler      { return l }

// A peer that has not started yet is nothing to warn of; one that was there is.
func TestWarnsOfLostPeersOnly(t *testing.T) {
	said := make(levels, 1000)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	a := start(t, Options{Self: 1, Log: slog.New(said)})
	a.SetPeer(2, addr)
	if level := <-said; level != slog.LevelInfo {
		t.Errorf("a peer that was never there: %s", level)
	}
	b := startOn(t, addr, Options{Self: 2})
	connected := func() bool { return !a.Peers()[0].Unreachable && a.Peers()[0].Error == "" && len(said) > 0 }
	for end := time.Now().Add(patience); !connected() && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
	}
	b.Close()
	for end := time.After(patience); ; {
		select {
		case level := <-said:
			if level == slog.LevelWarn {
				return
			}
		case <-end:
			t.Fatal("nobody is warned of a peer that was lost")
		}
	}
}
