package transport

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
)

const (
	echo Method = 1 + iota
	fails
	slow
)

// A pair is two nodes with calls, in two zones.
type pair struct {
	w     *env.World
	n     *Network
	envs  [3]*env.Env // by id
	calls [3]*Calls
}

func newPair(t *testing.T, seed uint64) *pair {
	p := &pair{w: env.NewWorld(seed, env.Options{})}
	t.Cleanup(p.w.Close)
	p.n = NewNetwork(p.w, NetworkOptions{})
	for id := NodeID(1); id <= 2; id++ {
		name := fmt.Sprint("n", id)
		p.envs[id] = p.w.NewNode(name)
		p.n.Add(id, Site{Name: name, Zone: name})
		p.boot(id)
	}
	return p
}

func (p *pair) boot(id NodeID) {
	e := p.envs[id]
	c := NewCalls(e, p.n.Start(id, e))
	c.Serve(echo, func(from NodeID, request []byte) ([]byte, error) {
		return fmt.Appendf(nil, "%d got %s from %d", id, request, from), nil
	})
	c.Serve(fails, func(NodeID, []byte) ([]byte, error) { return nil, errors.New("out of tea") })
	c.Serve(slow, func(NodeID, []byte) ([]byte, error) {
		e.Sleep(time.Second)
		return []byte("at last"), nil
	})
	p.calls[id] = c
}

// do runs f as a task of node 1.
func (p *pair) do(t *testing.T, f func(c *Calls)) {
	t.Helper()
	if err := p.w.Do(p.envs[1], "test", func() { f(p.calls[1]) }); err != nil {
		t.Fatal(err)
	}
}

func TestCallAnswers(t *testing.T) {
	p := newPair(t, 1)
	p.do(t, func(c *Calls) {
		for _, to := range []NodeID{1, 2} {
			got, err := c.Call(to, echo, []byte("tea"), time.Second)
			if want := fmt.Sprintf("%d got tea from 1", to); err != nil || string(got) != want {
				t.Errorf("Call(%d) = %q, %v; want %q", to, got, err, want)
			}
		}
		var remote *RemoteError
		if _, err := c.Call(2, fails, nil, time.Second); !errors.As(err, &remote) || remote.Node != 2 || remote.Text != "out of tea" {
			t.Errorf("a failing method gave %v", err)
		}
	})
}

func TestCallErrors(t *testing.T) {
	cut := func(p *pair, ways []Way, after time.Duration) {
		p.w.After(after, func() { p.n.Cut(ways) })
	}
	both := Between([]NodeID{1}, []NodeID{2})
	for _, test := range []struct {
		name    string
		prepare func(*pair)
		to      NodeID
		method  Method
		timeout time.Duration
		want    error
		takes   time.Duration // at most
	}{
		{"no such node", nil, 7, echo, time.Second, ErrUnreachable, 0},
		{"no such method", nil, 2, 99, time.Second, ErrNoMethod, 10 * time.Millisecond},
		{"too slow", nil, 2, slow, 500 * time.Millisecond, ErrTimeout, 501 * time.Millisecond},
		{"down", func(p *pair) { p.w.Crash("n2"); _ = p.w.Run(p.w.Now().Add(time.Second)) }, 2, echo, time.Second, ErrUnreachable, 0},
		{"goes down", func(p *pair) { p.w.After(100*time.Millisecond, func() { p.w.Crash("n2") }) }, 2, slow, 5 * time.Second, ErrLost, 110 * time.Millisecond},
		{"request lost", func(p *pair) { p.n.Cut(both) }, 2, echo, time.Second, ErrTimeout, time.Second + time.Millisecond},
		{"cut off", func(p *pair) { cut(p, both, 100*time.Millisecond) }, 2, slow, 9 * time.Second, ErrLost, 3200 * time.Millisecond},
		{"answer lost", func(p *pair) { cut(p, Toward([]NodeID{2}, []NodeID{1}), 0) }, 2, echo, 2 * time.Second, ErrTimeout, 2001 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPair(t, 2)
			if test.prepare != nil {
				test.prepare(p)
			}
			p.do(t, func(c *Calls) {
				began := p.w.Now()
				got, err := c.Call(test.to, test.method, nil, test.timeout)
				if !errors.Is(err, test.want) {
					t.Errorf("Call = %q, %v; want %v", got, err, test.want)
				}
				if took := p.w.Now().Sub(began); took > test.takes+time.Millisecond {
					t.Errorf("it took %v, want at most %v", took, test.takes)
				}
				if len(c.pending) > 0 {
					t.Errorf("%d calls are still pending", len(c.pending))
				}
			})
		})
	}
}

// TestCallRefusedMeansNotCarriedOut: what is refused comes with ErrUnreachable,
// on which callers rely when they send it elsewhere.
func TestCallRefusedMeansNotCarriedOut(t *testing.T) {
	p := newPair(t, 3)
	p.do(t, func(c *Calls) {
		tasks := env.NewGroup(p.envs[1])
		refused := 0
		for range maxServing + 10 {
			tasks.Go("caller", func() error {
				_, err := c.Call(2, slow, nil, 5*time.Second)
				if err != nil && !(errors.Is(err, ErrBusy) && errors.Is(err, ErrUnreachable)) {
					t.Errorf("Call: %v; want ErrBusy with ErrUnreachable", err)
				}
				if err != nil {
					refused++
				}
				return nil
			})
		}
		_ = tasks.Wait()
		if refused != 10 {
			t.Errorf("%d of %d requests at once were refused; want 10", refused, maxServing+10)
		}
		if _, err := c.Call(2, echo, nil, time.Second); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// TestRefusedCallComesTwice: a double of what was refused, which comes when there is somebody to
// carry it out, is not.
func TestRefusedCallComesTwice(t *testing.T) {
	p := newPair(t, 6)
	count := 0
	p.do(t, func(*Calls) {
		request := callFrame{kind: requestKind, number: 7, method: 60}.encode()
		p.calls[2].receive(1, request)
		p.calls[2].Serve(60, func(NodeID, []byte) ([]byte, error) { count++; return nil, nil })
		p.calls[2].receive(1, request)
		p.envs[1].Sleep(time.Second)
	})
	if count != 0 {
		t.Errorf("it was carried out %d times", count)
	}
}

// TestCallIsCarriedOutOnce although the network doubles everything.
func TestCallIsCarriedOutOnce(t *testing.T) {
	p := newPair(t, 4)
	p.n.Apply(Between([]NodeID{1}, []NodeID{2}), Trouble{Double: 1e6, Reorder: 5e5})
	count := 0
	p.calls[2].Serve(50, func(NodeID, []byte) ([]byte, error) { count++; return nil, nil })
	p.do(t, func(c *Calls) {
		for range 100 {
			if _, err := c.Call(2, 50, nil, time.Second); err != nil {
				t.Error(err)
			}
		}
		p.envs[1].Sleep(time.Second)
	})
	if count != 100 {
		t.Errorf("100 calls were carried out %d times", count)
	}
}

// TestAnswerToAnEarlierLife: what was asked before a crash is not an answer to
// what is asked after it.
func TestAnswerToAnEarlierLife(t *testing.T) {
	p := newPair(t, 5)
	p.envs[1].Go("asks", func() { _, _ = p.calls[1].Call(2, slow, nil, time.Hour) })
	_ = p.w.Run(env.Mono(500 * time.Millisecond))
	p.w.Crash("n1")
	p.envs[1] = p.w.Restart("n1")
	p.boot(1)
	p.do(t, func(c *Calls) {
		if got, err := c.Call(2, slow, nil, 5*time.Second); err != nil || string(got) != "at last" {
			t.Errorf("Call = %q, %v", got, err)
		}
		if took := p.w.Now(); took < env.Mono(1500*time.Millisecond) {
			t.Errorf("the answer came at %v, before it was made", took)
		}
	})
}

func TestCallsClose(t *testing.T) {
	p := newPair(t, 6)
	p.do(t, func(c *Calls) {
		waits := env.NewFuture[error](p.envs[1])
		p.envs[1].Go("asks", func() {
			_, err := c.Call(2, slow, nil, time.Hour)
			waits.Set(err, nil)
		})
		p.envs[1].Sleep(10 * time.Millisecond)
		c.Close()
		if err, _ := waits.Await(); !errors.Is(err, ErrClosed) {
			t.Errorf("a waiting call ended with %v", err)
		}
		if _, err := c.Call(2, echo, nil, time.Second); !errors.Is(err, ErrClosed) {
			t.Errorf("a later call: %v", err)
		}
	})
}

// TestCallsAreTheSameInTheRealWorld runs a transport without a network over
// goroutines.
func TestCallsAreTheSameInTheRealWorld(t *testing.T) {
	e := env.New()
	c := NewCalls(e, &loop{e: e})
	defer c.Close()
	c.Serve(echo, func(_ NodeID, request []byte) ([]byte, error) { return request, nil })
	g := env.NewGroup(e)
	for i := range 200 {
		g.Go("caller", func() error {
			want := []byte(fmt.Sprint(i))
			if got, err := c.Call(1, echo, want, time.Minute); err != nil || !bytes.Equal(got, want) {
				t.Errorf("Call = %q, %v; want %q", got, err, want)
			}
			return nil
		})
	}
	_ = g.Wait()
}

// A loop sends to itself.
type loop struct {
	e       *env.Env
	receive func(NodeID, []byte)
}

func (l *loop) Self() NodeID { return 1 }
func (l *loop) Send(to NodeID, lane Lane, message []byte) {
	l.e.Go("deliver", func() { l.receive(1, bytes.Clone(message)) })
}
func (l *loop) Handle(_ Lane, receive func(NodeID, []byte)) { l.receive = receive }
func (l *loop) Unreachable(to NodeID) bool                  { return to != 1 }

func FuzzDecodeCall(f *testing.F) {
	for _, frame := range []callFrame{
		{kind: requestKind, number: 7, method: 3, bytes: []byte("what")},
		{kind: answerKind, number: 1 << 60, bytes: []byte("that")},
		{kind: faultKind, number: 9, code: faultBusy, bytes: []byte{}},
	} {
		f.Add(frame.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if frame, ok := decodeCall(b); ok && !bytes.Equal(frame.encode(), b) {
			t.Errorf("decode then encode of %x gave %x", b, frame.encode())
		}
	})
}
