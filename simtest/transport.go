package simtest

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/statordb/stator/server"
	"github.com/statordb/stator/sim"
)

// HTTPClient returns a client whose requests reach the cluster, whatever host their URL
// names. Give it to an SDK client as its HTTP client. It talks to one node, and to the next
// one after a connection was refused or reset or a node has answered with a status of 500
// or more, as behind a name with several addresses. Each call returns a client of its own:
// the first begins with node 1, the second with node 2.
func (c *Cluster) HTTPClient() *http.Client {
	c.driver.mu.Lock()
	defer c.driver.mu.Unlock()
	c.calls++
	return &http.Client{Transport: &transport{c: c, node: 1 + (c.calls-1)%c.Nodes(), id: c.calls}}
}

// A transport carries requests of one client into the world.
type transport struct {
	c    *Cluster
	node int // that it talks to; used in the world only
	id   int
}

// A request is one of the service, on its way.
type request struct {
	who       server.Caller
	operation string
	body      []byte

	answer []byte
	status int
	err    error
}

const (
	targetHeader = "X-Amz-Target"
	jsonType     = "application/x-amz-json-1.0"
	region       = "us-east-1" // of requests that name none
)

// RoundTrip implements http.RoundTripper. It waits in the goroutine of its caller while
// the world carries out the request.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	r := &request{}
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err := errors.Join(err, req.Body.Close()); err != nil {
			return nil, err
		}
		r.body = canonical(body)
	}
	if req.Method != http.MethodPost {
		return nil, fmt.Errorf("simtest: %s %s is not a request of the service", req.Method, req.URL)
	}
	_, r.operation, _ = strings.Cut(req.Header.Get(targetHeader), ".")
	if r.who, r.answer, r.status = server.Signer(req, region); r.status != http.StatusOK {
		return t.response(req, r), nil
	}
	err := t.c.driver.do(req.Context(), r.operation+" "+string(r.body), func() { t.exchange(r) })
	switch {
	case err != nil:
		return nil, err
	case r.err != nil:
		return nil, r.err
	}
	return t.response(req, r), nil
}

// exchange carries out a request at the client's node, and chooses another one if that
// is of no use. It runs as a task of the world's clients.
func (t *transport) exchange(r *request) {
	node := t.node
	t.c.exchange(r, node)
	if (r.err != nil || r.status >= http.StatusInternalServerError) && t.node == node {
		t.node = node%t.c.Nodes() + 1
	}
}

// exchange carries out a request at a node, 0: the first that is up, and notes it in the
// history.
func (c *Cluster) exchange(r *request, node int) {
	for number := 1; node == 0 && number <= c.Nodes(); number++ {
		if c.world.Up(number) {
			node = number
		}
	}
	noted := c.history.begin(r)
	r.answer, r.status, r.err = c.world.Ask(max(1, node), r.who, r.operation, r.body)
	c.history.end(noted, r)
	switch {
	case errors.Is(r.err, sim.ErrRefused):
		r.err = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case errors.Is(r.err, sim.ErrReset):
		r.err = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
}

func (t *transport) response(req *http.Request, r *request) *http.Response {
	header := http.Header{}
	header.Set("Content-Type", jsonType)
	header.Set("X-Amz-Crc32", fmt.Sprint(crc32.ChecksumIEEE(r.answer)))
	return &http.Response{
		Status: fmt.Sprintf("%d %s", r.status, http.StatusText(r.status)), StatusCode: r.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(r.answer)), ContentLength: int64(len(r.answer)), Request: req,
	}
}
