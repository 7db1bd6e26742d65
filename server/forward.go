package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

// Operations on tables are done by the node that leads the catalog. Any other hands
// the request on as a whole, with the caller's identity, and its answer back.

// The methods that nodes call. Those of package server are 32 to 47.
const (
	callOperate transport.Method = 32 // an operation of the service
)

const (
	// forwardPatience is how long a request looks for the node in charge.
	forwardPatience = 10 * time.Second
	// forwardTimeout is how long that node may take. CreateTable with many
	// partitions takes a while.
	forwardTimeout = 30 * time.Second
	// describeTimeout is the same for what only shows: if that node hangs, another one
	// is in charge by then, and can be asked.
	describeTimeout = 3 * time.Second
	forwardPause    = 20 * time.Millisecond
)

// A forwarded request, and the answer to it. Integers are uvarints, text is a size
// and that many bytes.
//
//	request  | format 1B | account | region | operation | body ...      |
//	answer   | format 1B | verdict 1B | leader | status | answer ... |
//
// format is 1. verdict is 0 for an answer, whose status is that of HTTP; 1 says
// that the node is not in charge either, and that nothing has happened: leader is the
// one that is, or 0.
type forwarded struct {
	who  Caller
	name string
	body []byte
}

type forwardAnswer struct {
	elsewhere bool
	leader    uint64
	status    int
	body      []byte
}

const forwardFormat = 1

var errForward = errors.New("server: malformed message from another node")

func (f *forwarded) encode() []byte {
	b := []byte{forwardFormat}
	for _, text := range []string{f.who.Account, f.who.Region, f.name} {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	return append(b, f.body...)
}

func decodeForwarded(b []byte) (*forwarded, error) {
	if len(b) == 0 || b[0] != forwardFormat {
		return nil, errForward
	}
	b = b[1:]
	var texts [3]string
	for i := range texts {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return nil, errForward
		}
		texts[i] = string(b[size : size+int(n)])
		b = b[size+int(n):]
	}
	return &forwarded{Caller{texts[0], texts[1]}, texts[2], b}, nil
}

func (a *forwardAnswer) encode() []byte {
	b := []byte{forwardFormat, 0}
	if a.elsewhere {
		b[1] = 1
	}
	b = binary.AppendUvarint(b, a.leader)
	b = binary.AppendUvarint(b, uint64(a.status))
	return append(b, a.body...)
}

func decodeForwardAnswer(b []byte) (*forwardAnswer, error) {
	if len(b) < 2 || b[0] != forwardFormat || b[1] > 1 {
		return nil, errForward
	}
	a := &forwardAnswer{elsewhere: b[1] == 1}
	b = b[2:]
	var numbers [2]uint64
	for i := range numbers {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			return nil, errForward
		}
		numbers[i], b = n, b[size:]
	}
	if numbers[1] > 999 {
		return nil, errForward
	}
	a.leader, a.status, a.body = numbers[0], int(numbers[1]), b
	return a, nil
}

// serveOperate carries out what another node hands on.
func (s *Server) serveOperate(_ transport.NodeID, request []byte) ([]byte, error) {
	f, err := decodeForwarded(request)
	if err != nil {
		return nil, err
	}
	var elsewhere *table.ElsewhereError
	run := s.operation(f)
	a := &forwardAnswer{}
	a.body, a.status = s.handle(f.who, f.name, f.body, func(body []byte) (api.Output, error) {
		if run == nil {
			return nil, errUnknownOperation
		}
		out, err := run(body)
		errors.As(err, &elsewhere)
		return out, err
	})
	if elsewhere != nil {
		a = &forwardAnswer{elsewhere: true, leader: elsewhere.Leader}
	}
	return a.encode(), nil
}

// operation returns what a forwarded request asks for; nil: there is no such thing.
func (s *Server) operation(f *forwarded) operation {
	if name, ok := strings.CutPrefix(f.name, adminPrefix); ok {
		return s.adminOperations()[name]
	}
	return s.here(f.who)[f.name]
}

// forwarding has operations that must be done elsewhere done there.
func (s *Server) forwarding(who Caller, all map[string]operation) map[string]operation {
	if s.calls == nil {
		return all
	}
	for name, run := range all {
		all[name] = func(body []byte) (api.Output, error) {
			out, err := run(body)
			var elsewhere *table.ElsewhereError
			if !errors.As(err, &elsewhere) {
				return out, err
			}
			return s.forward(&forwarded{who, name, body}, elsewhere.Leader, run)
		}
	}
	return all
}

// forward looks for the node in charge, which may turn out to be this one, and has it
// carry out a request.
func (s *Server) forward(f *forwarded, leader uint64, run operation) (api.Output, error) {
	request := f.encode()
	shows, timeout := f.name == "DescribeTable", forwardTimeout
	if shows {
		timeout = describeTimeout
	}
	until := s.env.Now().Add(forwardPatience)
	for {
		var err error
		switch leader {
		case 0:
			err = errNoLeader
		case uint64(s.calls.Self()):
			var out api.Output
			var elsewhere *table.ElsewhereError
			if out, err = run(f.body); !errors.As(err, &elsewhere) {
				return out, err
			}
		default:
			var out api.Output
			if out, leader, err = s.ask(leader, request, timeout); err == nil && out != nil {
				return out, nil
			}
			if err != nil && !errors.Is(err, transport.ErrUnreachable) && !(shows && isLost(err)) {
				return nil, err // it may have been carried out, or was refused
			}
		}
		if s.env.Now() >= until {
			return nil, fmt.Errorf("server: nobody is in charge of tables: %w", errors.Join(err, errUnavailable))
		}
		s.env.Sleep(forwardPause)
		if leader == 0 || err != nil {
			leader, _ = s.tables.Leader()
		}
	}
}

// isLost reports whether no answer has come: who only wanted to know can ask again.
func isLost(err error) bool {
	return errors.Is(err, transport.ErrLost) || errors.Is(err, transport.ErrTimeout)
}

var errNoLeader = errors.New("server: no node leads the catalog")

// ask hands a request to another node. Without an answer it returns the node to ask
// next, or an error.
func (s *Server) ask(to uint64, request []byte, timeout time.Duration) (out api.Output, leader uint64, err error) {
	b, err := s.calls.Call(transport.NodeID(to), callOperate, request, timeout)
	if err != nil {
		return nil, 0, err
	}
	a, err := decodeForwardAnswer(b)
	switch {
	case err != nil:
		return nil, 0, err
	case a.elsewhere:
		return nil, a.leader, nil
	case a.status != 200:
		return nil, 0, &foreignError{a.status, a.body}
	}
	return foreignAnswer(a.body), 0, nil
}

// A foreignAnswer is JSON that another node made.
type foreignAnswer []byte

func (a foreignAnswer) AppendJSON(b []byte) []byte { return append(b, a...) }

// A foreignError is an error answer that another node made.
type foreignError struct {
	status int
	body   []byte
}

func (e *foreignError) Error() string { return fmt.Sprintf("status %d: %s", e.status, e.body) }
