package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/statordb/stator/internal/jsonscan"
)

const (
	targetPrefix  = "DynamoDB_20120810."
	streamsPrefix = "DynamoDBStreams_20120810."

	// maxDepth bounds the nesting of arrays and objects in a request. A value
	// of the 32 levels that DynamoDB allows takes 65 within a member of an
	// element of a request; what is deeper gets its own error up to here.
	maxDepth = 1000
)

// An edge is the HTTP side of a server: it turns POST requests into operations
// and everything else into what DynamoDB answers to it.
//
// A request passes these checks in this order: size, method and content type,
// JSON syntax, operation, form of the signature, presence of a body. Then the
// operation decodes and validates (see operation.go).
type edge struct {
	region  string
	log     *slog.Logger
	callers callers
	origins []string // of pages that may call; empty: all
	bodies  budget
	answers budget // large ones, while they are sent
	pages   turns  // answers while they are made
	batches turns
	admin   http.HandlerFunc // nil: not there
}

// newEdge serves one set of operations to all callers.
func newEdge(region string, log *slog.Logger, operations map[string]operation) *edge {
	e := &edge{region: region, log: log}
	e.callers.region, e.callers.shared = region, operations
	e.bodies.left.Store(bodyBudget)
	e.answers.left.Store(answerBudget)
	e.pages, e.batches = make(turns, pageTurns), make(turns, batchTurns)
	return e
}

// An exchange is one request and its answer. Its buffers are used again.
type exchange struct {
	w http.ResponseWriter
	r *http.Request

	edge    *edge
	id      string
	target  string // operation, once known; for the log
	replied bool

	body   []byte // request
	out    []byte // answer
	packed []byte // answer, compressed
	taken  int64  // of the body budget
	held   int64  // of the answer budget
}

// maxKept is the largest buffer that an idle exchange keeps.
const maxKept = 64 << 10

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// ServeHTTP answers one request.
func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchanges.Get().(*exchange)
	x.edge, x.w, x.r, x.id = e, w, r, newRequestID()
	defer e.finish(x)
	e.serve(x)
}

// finish answers for an operation that panicked and recycles the exchange.
func (e *edge) finish(x *exchange) {
	if p := recover(); p != nil {
		if p == http.ErrAbortHandler {
			panic(p)
		}
		e.log.Error("request panicked", "request", x.id, "operation", x.target, "panic", p, "stack", string(debug.Stack()))
		if !x.replied {
			e.fail(x, internalFault("Internal failure; see the log for request "+x.id))
		}
	}
	e.bodies.give(x.taken)
	e.answers.give(x.held)
	kept := exchange{}
	if cap(x.body) <= maxKept {
		kept.body = x.body[:0]
	}
	x.dropLarge()
	kept.out = x.out[:0]
	if cap(x.packed) <= maxKept {
		kept.packed = x.packed[:0]
	}
	*x = kept
	exchanges.Put(x)
}

func (e *edge) serve(x *exchange) {
	switch {
	case x.r.ContentLength > maxBody:
		drain(x.r)
		x.tooLarge()
	case x.r.Method == http.MethodPost && x.r.URL.Path == "/":
		e.post(x)
	case x.r.Method == http.MethodOptions && x.r.Header["Origin"] != nil:
		x.preflight()
	case x.r.Method == http.MethodGet && x.r.URL.Path == "/":
		x.health(e.region)
	case e.admin != nil && strings.HasPrefix(x.r.URL.Path, adminPath):
		x.replied = true
		e.admin(x.w, x.r)
	default:
		x.notFound()
	}
}

func (x *exchange) tooLarge() {
	x.w.Header().Set("Connection", "close")
	x.reply(http.StatusRequestEntityTooLarge, "", nil)
}

func (e *edge) post(x *exchange) {
	var err error
	x.body, x.taken, err = e.bodies.readBody(x.r, x.body)
	if err != nil {
		e.unreadable(x, err)
		return
	}
	answerType, known := contentType(firstHeader(x.r, headerContentType))
	if len(x.body) > 0 && !known {
		x.notFound()
		return
	}
	body, err := e.plainBody(x)
	if err != nil {
		e.unreadable(x, err)
		return
	}
	out, err := e.operate(x, body)
	status := http.StatusOK
	if err != nil {
		out, status = appendError(x.out[:0], e.translated(x, err))
	}
	if x.out = out; !x.hold(out) {
		x.out = nil
		x.reply(http.StatusServiceUnavailable, "", nil)
		return
	}
	x.reply(status, answerType, out)
}

// contentType returns the type to answer with, and whether got is one that API
// requests have.
func contentType(got string) (answer string, known bool) {
	if got == amzJSONType {
		return amzJSONType, true // as nearly all clients have it
	}
	got, _, _ = strings.Cut(got, ";")
	got = strings.TrimSpace(got)
	if strings.EqualFold(got, amzJSONType) {
		return amzJSONType, true
	}
	return jsonType, strings.EqualFold(got, jsonType)
}

// plainBody is the body without its Content-Encoding. Codings that are not
// known stay, and fail as JSON.
func (e *edge) plainBody(x *exchange) ([]byte, error) {
	coding := strings.ToLower(firstHeader(x.r, "Content-Encoding"))
	if coding != "gzip" && coding != "deflate" {
		return x.body, nil
	}
	body, taken, err := e.bodies.decompress(coding, x.body)
	x.taken += taken
	return body, err
}

// unreadable answers for a body that did not arrive whole.
func (e *edge) unreadable(x *exchange, err error) {
	x.w.Header().Set("Connection", "close")
	switch {
	case errors.Is(err, errBodyTooLarge):
		x.tooLarge()
	case errors.Is(err, errBadCompression):
		e.fail(x, internalFault("The request could not be decompressed"))
	case errors.Is(err, errBusy):
		x.reply(http.StatusServiceUnavailable, "", nil)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		x.reply(http.StatusRequestTimeout, "", nil)
	default:
		x.reply(http.StatusBadRequest, "", nil)
	}
}

// fail answers with an error outside of an operation.
func (e *edge) fail(x *exchange, err error) {
	answerType, _ := contentType(firstHeader(x.r, headerContentType))
	out, status := appendError(x.out[:0], err)
	x.out = out
	x.reply(status, answerType, out)
}

// operate runs the operation that the request names and returns the answer,
// which lies in the exchange's buffer.
func (e *edge) operate(x *exchange, body []byte) ([]byte, error) {
	if len(body) > 0 {
		if jsonscan.Valid(body, maxDepth) != nil || !isObject(body) {
			return nil, errSerialization
		}
	}
	target := firstHeader(x.r, "X-Amz-Target")
	name, ok := strings.CutPrefix(target, targetPrefix)
	run, known := e.callers.shared[name]
	if !ok || !known {
		return nil, unknownTarget(target)
	}
	x.target = name
	who, err := signedBy(x.r)
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		return nil, errSerialization
	}
	if e.callers.enter != nil {
		run = e.callers.operations(who)[name]
	}
	if p := portions[name]; p != anItem {
		return x.collect(p, run, body)
	}
	return x.run(run, body)
}

// unknownTarget refuses operations that there are none of, and those of streams,
// which are not built yet.
func unknownTarget(target string) error {
	name, ok := strings.CutPrefix(target, streamsPrefix)
	if ok && slices.Contains([]string{"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"}, name) {
		return notBuiltFault(name)
	}
	return errUnknownOperation
}

func isObject(body []byte) bool {
	s := jsonscan.New(body)
	return s.Peek() == jsonscan.Object
}
