package transport

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/statordb/stator/internal/env"
)

// A Method names what a request asks for.
type Method byte

// A Handler carries out a request in a task of its own. The request is its to
// keep. What it returns must not be changed afterwards. An error reaches the
// caller as a *RemoteError, as text only: outcomes that the caller acts on
// belong into the answer.
type Handler func(from NodeID, request []byte) ([]byte, error)

// What a call may fail with, beside a *RemoteError.
var (
	// ErrUnreachable means that the request was not carried out, and will not
	// be: it was not sent, or was refused (see ErrBusy).
	ErrUnreachable = errors.New("transport: node is unreachable")
	// ErrBusy means that the other node has too many requests in hand. It
	// comes with ErrUnreachable.
	ErrBusy = errors.New("transport: node is busy")
	// ErrNoMethod means that the other node does not know the method. It comes
	// with ErrUnreachable.
	ErrNoMethod = errors.New("transport: no such method")
	// ErrTimeout means that no answer came in time. The request may have been
	// carried out, or may still be.
	ErrTimeout = errors.New("transport: no answer in time")
	// ErrLost means that the other node became unreachable before its answer
	// came. The request may have been carried out, or may still be.
	ErrLost = errors.New("transport: connection lost")
	// ErrTooLarge means that the request is longer than a message may be. It
	// was not sent.
	ErrTooLarge = errors.New("transport: message too large")
	// ErrClosed means that this end is closed. Requests that were sent may have
	// been carried out.
	ErrClosed = errors.New("transport: closed")
)

// A RemoteError is an error that a method returned on another node.
type RemoteError struct {
	Node NodeID
	Text string
}

func (e *RemoteError) Error() string { return fmt.Sprintf("node %d: %s", e.Node, e.Text) }

const (
	// maxServing bounds the requests that a node carries out at a time; those
	// beyond are refused with ErrBusy.
	maxServing = 4096
	// maxSeen is how many of the last requests are remembered, so that one that
	// the network doubles is carried out once.
	maxSeen = 4096
	// maxAnswer leaves room for what surrounds an answer.
	maxAnswer = MaxMessage - 64
)

// Calls are requests with answers between nodes, on the lane Call.
//
// A request is carried out at most once as long as no more than 4,096 others
// come between it and its double; methods bear the rest. Nothing is sent
// again: that is the caller's to decide.
//
// Calls is safe for concurrent use.
type Calls struct {
	env   *env.Env
	net   Transport
	tasks *env.Group // that carry out requests

	mu      env.Leaf
	methods [256]Handler
	pending map[uint64]*pendingCall
	next    uint64
	serving int
	closed  bool
	seen    seenRequests
}

type pendingCall struct {
	to     NodeID
	answer *env.Future[[]byte]
}

// NewCalls takes charge of the lane Call of t.
func NewCalls(e *env.Env, t Transport) *Calls {
	// Numbers begin anywhere: an answer to an earlier life of this node must not
	// be taken for one to this.
	c := &Calls{env: e, net: t, tasks: env.NewGroup(e), pending: map[uint64]*pendingCall{}, next: e.Rand()}
	c.mu.Bind(e)
	c.seen.numbers = map[requestName]struct{}{}
	t.Handle(Call, c.receive)
	if w, ok := t.(Watcher); ok {
		w.Watch(func(node NodeID, reachable bool) {
			if !reachable {
				c.lose(node)
			}
		})
	}
	return c
}

// Self returns the node's own id.
func (c *Calls) Self() NodeID { return c.net.Self() }

// Unreachable is a hint that messages to a node are being lost now.
func (c *Calls) Unreachable(node NodeID) bool { return c.net.Unreachable(node) }

// Serve says who carries out the requests of a method; there is one for each.
func (c *Calls) Serve(m Method, h Handler) {
	c.mu.Lock()
	taken := c.methods[m] != nil
	c.methods[m] = h
	c.mu.Unlock()
	if taken {
		panic(fmt.Sprintf("transport: method %d has a handler already", m))
	}
}

// Call sends a request and parks until its answer is there, the timeout has
// passed or the node cannot be reached. A node can call itself. The request
// must not be changed afterwards; the answer is the caller's.
func (c *Calls) Call(to NodeID, m Method, request []byte, timeout time.Duration) ([]byte, error) {
	switch {
	case len(request) > maxAnswer:
		return nil, ErrTooLarge
	case c.net.Unreachable(to):
		return nil, fmt.Errorf("%w: node %d", ErrUnreachable, to)
	}
	number, answer, err := c.expect(to)
	if err != nil {
		return nil, err
	}
	c.net.Send(to, Call, callFrame{kind: requestKind, number: number, method: m, bytes: request}.encode())
	b, err, ok := answer.AwaitFor(timeout)
	if !ok {
		c.take(number, to)
		return nil, fmt.Errorf("%w: node %d, %v", ErrTimeout, to, timeout)
	}
	return b, err
}

// expect makes room for an answer.
func (c *Calls) expect(to NodeID) (number uint64, answer *env.Future[[]byte], err error) {
	p := &pendingCall{to: to, answer: env.NewFuture[[]byte](c.env)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, nil, ErrClosed
	}
	c.next++
	c.pending[c.next] = p
	return c.next, p.answer, nil
}

// take ends the wait for an answer; nil: nobody waits for it from there.
func (c *Calls) take(number uint64, from NodeID) *pendingCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pending[number]
	if p == nil || p.to != from {
		return nil
	}
	delete(c.pending, number)
	return p
}

// lose ends the waits for answers of a node.
func (c *Calls) lose(node NodeID) {
	c.mu.Lock()
	var numbers []uint64
	for number, p := range c.pending {
		if p.to == node {
			numbers = append(numbers, number)
		}
	}
	c.mu.Unlock()
	slices.Sort(numbers)
	for _, number := range numbers {
		if p := c.take(number, node); p != nil {
			p.answer.Set(nil, fmt.Errorf("%w: node %d", ErrLost, node))
		}
	}
}

// receive takes what comes on the lane.
func (c *Calls) receive(from NodeID, message []byte) {
	f, ok := decodeCall(message)
	switch {
	case !ok:
	case f.kind == requestKind:
		c.begin(from, f)
	default:
		if p := c.take(f.number, from); p != nil {
			p.answer.Set(f.outcome(from))
		}
	}
}

// outcome is what an answer or a fault means to the caller.
func (f callFrame) outcome(from NodeID) ([]byte, error) {
	if f.kind == answerKind {
		return f.bytes, nil
	}
	switch f.code {
	case faultUnknown:
		return nil, fmt.Errorf("%w: %w: node %d", ErrUnreachable, ErrNoMethod, from)
	case faultBusy:
		return nil, fmt.Errorf("%w: %w: node %d", ErrUnreachable, ErrBusy, from)
	case faultStopping:
		return nil, fmt.Errorf("%w: node %d is closing", ErrUnreachable, from)
	}
	return nil, &RemoteError{Node: from, Text: string(f.bytes)}
}

// begin starts the task of a request, or refuses it.
func (c *Calls) begin(from NodeID, f callFrame) {
	if code := c.start(from, f); code != faultMethod {
		c.net.Send(from, Call, callFrame{kind: faultKind, number: f.number, code: code}.encode())
	}
}

// start starts the task of a request unless it came before. Any other code than
// faultMethod is why it refuses to.
func (c *Calls) start(from NodeID, f callFrame) faultCode {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.methods[f.method]
	switch {
	case c.closed:
		return faultStopping
	case !c.seen.add(requestName{from, f.number}): // also of one that is refused: the caller believes that
		return faultMethod
	case h == nil:
		return faultUnknown
	case c.serving >= maxServing:
		return faultBusy
	}
	c.serving++
	c.tasks.Go("call", func() error {
		c.serve(from, f, h)
		return nil
	})
	return faultMethod
}

func (c *Calls) serve(from NodeID, f callFrame, h Handler) {
	answer, err := h(from, f.bytes)
	out := callFrame{kind: answerKind, number: f.number, bytes: answer}
	if err == nil && len(answer) > maxAnswer {
		err = ErrTooLarge
	}
	if err != nil {
		out.kind, out.bytes = faultKind, []byte(err.Error())
	}
	c.mu.Lock()
	c.serving--
	c.mu.Unlock()
	c.net.Send(from, Call, out.encode())
}

// Close is Stop, and waits for the requests in hand. Whatever they wait for must
// still be able to end.
func (c *Calls) Close() {
	c.Stop()
	_ = c.tasks.Wait()
}

// Stop fails the calls that wait, and refuses later ones and further requests.
func (c *Calls) Stop() {
	c.mu.Lock()
	c.closed = true
	var numbers []uint64
	for number := range c.pending {
		numbers = append(numbers, number)
	}
	c.mu.Unlock()
	slices.Sort(numbers)
	for _, number := range numbers {
		c.mu.Lock()
		p := c.pending[number]
		delete(c.pending, number)
		c.mu.Unlock()
		if p != nil {
			p.answer.Set(nil, ErrClosed)
		}
	}
}

// A requestName names a request among all that a node receives.
type requestName struct {
	from   NodeID
	number uint64
}

// seenRequests are the last maxSeen requests.
type seenRequests struct {
	numbers map[requestName]struct{}
	ring    []requestName
	oldest  int
}

// add reports whether the request was not seen before.
func (s *seenRequests) add(r requestName) bool {
	if _, seen := s.numbers[r]; seen {
		return false
	}
	s.numbers[r] = struct{}{}
	if len(s.ring) < maxSeen {
		s.ring = append(s.ring, r)
		return true
	}
	delete(s.numbers, s.ring[s.oldest])
	s.ring[s.oldest] = r
	s.oldest = (s.oldest + 1) % maxSeen
	return true
}
