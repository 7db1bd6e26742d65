package server

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/statordb/stator/internal/jsonscan"
	"github.com/statordb/stator/table"
)

// A Caller says on whose tables an operation works: an account's, in a region. Both
// are ignored if all callers share one set of tables.
type Caller struct {
	Account string // twelve digits
	Region  string
}

// Handle carries out an operation of the service without HTTP: body is the JSON of
// the request, the answer that of its outcome or error, status as HTTP has it. It
// is the entrance for simulated clients, and for requests that another node hands on.
func (s *Server) Handle(who Caller, operation string, body []byte) (answer []byte, status int) {
	return s.handle(who, operation, body, s.operations(who)[operation])
}

// Signer returns the caller that has signed a request, by the rules of the HTTP edge;
// else the answer that says what is wrong with the signature, and its status.
func Signer(r *http.Request, region string) (who Caller, answer []byte, status int) {
	by, err := signedBy(r)
	if err != nil {
		answer, status = appendError(nil, err)
		return Caller{}, answer, status
	}
	return Caller{Account: accountOf(by.key), Region: cmp.Or(by.region, region)}, nil, http.StatusOK
}

// operations returns those on the tables of a caller.
func (s *Server) operations(who Caller) map[string]operation {
	c := &s.edge.callers
	if c.enter == nil {
		return c.shared
	}
	return c.operations(caller{key: who.Account, region: who.Region})
}

func (s *Server) handle(who Caller, name string, body []byte, run operation) ([]byte, int) {
	out, err := carryOut(run, body)
	if err == nil {
		return out, http.StatusOK
	}
	answer := translate(err)
	var missing *table.NotFoundError
	switch {
	case errors.As(err, &missing):
		answer = s.edge.missing(who.Account, name, missing)
	case answer == nil:
		s.edge.log.Error("request failed", "operation", name, "error", err)
		answer = internalFault(internalMessage(err, "of "+name))
	}
	return appendError(nil, answer)
}

// carryOut runs an operation on a body that nobody has looked at.
func carryOut(run operation, body []byte) ([]byte, error) {
	switch {
	case run == nil:
		return nil, errUnknownOperation
	case jsonscan.Valid(body, maxDepth) != nil || !isObject(body):
		return nil, errSerialization
	}
	answer, err := run(body)
	if err != nil {
		return nil, err
	}
	return answer.AppendJSON(nil), nil
}
