package table

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/statordb/stator/internal/transport"
)

// The link between two nodes may be away while a third one reaches both. Then the leader on the one side keeps its
// majority, and what comes to the node on the other side would wait for as long as that lasts. So who could
// not reach a leader, and hears that it leads all the same, has another node pass the request on:
//
//	+-------+-----------+-------------------------+
//	| to 8B | method 1B | request (appendRequest) |
//	+-------+-----------+-------------------------+
//
// The answer is that of the node that it was passed on to. There is one such step at most, and only
// what is harmless when it comes late or twice is passed on: reads, and commands that have ids.
const callRelay transport.Method = 28

const relayHeader = 8 + 1

var errRelay = errors.New("table: not to be passed on")

// serveRelay passes a request on.
func (c *core) serveRelay(_ transport.NodeID, b []byte) ([]byte, error) {
	if len(b) < relayHeader {
		return nil, errCall
	}
	to, method := transport.NodeID(binary.LittleEndian.Uint64(b)), transport.Method(b[8])
	if method != callPropose && method != callRead && method != callStatus || uint64(to) == c.self {
		return nil, errRelay
	}
	c.env.Sometimes("table: request is passed on")
	return c.calls.Call(to, method, b[relayHeader:], callPatience)
}

// ask sends the request of a trip to the leader: by way of another node if this one did not get through to
// it, and the last attempt to go around did not fail.
func (t *trip) ask(to uint64, method transport.Method, flags byte, body []byte) (answer, error) {
	via := t.via(to)
	t.around = via != 0
	if !t.around {
		return t.core.ask(to, method, t.group, flags, body, callPatience)
	}
	c := t.core
	request := binary.LittleEndian.AppendUint64(make([]byte, 0, relayHeader+callHeader+len(body)), to)
	request = append(appendRequest(append(request, byte(method)), c.clock.Last(), t.group, flags), body...)
	return c.await(via, callRelay, request, callPatience+callPatience/4)
}

// via returns who is to pass a request on, 0 = nobody.
func (t *trip) via(to uint64) uint64 {
	if !t.leader || !slices.Contains(t.lost, to) {
		return 0
	}
	var nodes []uint64
	for _, n := range t.core.catalog.snapshot().nodes {
		if n.state == nodeActive && n.id != to && n.id != t.core.self && !slices.Contains(t.lost, n.id) {
			nodes = append(nodes, n.id)
		}
	}
	if nodes = t.core.nearest(nodes); len(nodes) == 0 {
		return 0
	}
	return nodes[0]
}

// noteWay takes note of an attempt that failed: after one to go straight comes one to go around, and the other way
// round. It reports whether the node that was asked may well lead, and shall be asked by that way now.
func (t *trip) noteWay(err error) bool {
	var refused *transport.RemoteError
	isAway := errors.Is(err, transport.ErrUnreachable)
	isLost := isAway || errors.Is(err, transport.ErrTimeout) || errors.Is(err, transport.ErrLost)
	switch {
	case t.asked == 0 || t.asked == t.core.self:
	case t.around && (isLost || errors.As(err, &refused)):
		t.lost = slices.DeleteFunc(t.lost, func(id uint64) bool { return id == t.asked })
	case isLost && !slices.Contains(t.lost, t.asked):
		t.lost = append(t.lost, t.asked)
		return isAway && t.via(t.asked) != 0
	}
	return false
}

// await sends a request as it is, and returns the answer.
func (c *core) await(to uint64, method transport.Method, request []byte, patience time.Duration) (answer, error) {
	b, err := c.calls.Call(transport.NodeID(to), method, request, patience)
	if err != nil {
		return answer{}, err
	}
	a, err := decodeAnswer(b)
	if err == nil {
		c.showClock(a.clock) // else it is too far ahead: its requests are refused, but what it answers is good
	}
	return a, err
}
