package stator

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// HTTPClient returns a client whose requests reach this database without a
// socket, whatever host their URL names. Any AWS SDK client that is given it
// talks to this process. It is safe for concurrent use; after Close its
// requests fail.
func (db *DB) HTTPClient() *http.Client {
	return &http.Client{Transport: inProcess{db.Handler()}}
}

// inProcess is a transport that calls a handler in the caller's goroutine.
type inProcess struct{ h http.Handler }

func (t inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	in := serverSide(req)
	defer in.Body.Close()
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	w := &answer{header: make(http.Header)}
	t.h.ServeHTTP(w, in)
	w.WriteHeader(http.StatusOK)
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)),
		StatusCode:    w.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        w.sent,
		Body:          io.NopCloser(bytes.NewReader(w.body.Bytes())),
		ContentLength: int64(w.body.Len()),
		Request:       req,
	}, nil
}

// serverSide gives the request the fields that a server fills in and a client
// leaves empty. The caller's request is not changed.
func serverSide(req *http.Request) *http.Request {
	in := *req
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	in.URL = &url.URL{Path: req.URL.Path, RawPath: req.URL.RawPath, RawQuery: req.URL.RawQuery}
	if in.URL.Path == "" {
		in.URL.Path = "/"
	}
	in.RequestURI = in.URL.RequestURI()
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	in.RemoteAddr = "in-process"
	if in.Header == nil {
		in.Header = make(http.Header)
	}
	return &in
}

// answer collects what the handler writes.
type answer struct {
	header http.Header
	sent   http.Header // as it was when the status was written
	status int
	body   bytes.Buffer
}

func (w *answer) Header() http.Header { return w.header }

func (w *answer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		w.sent = w.header.Clone()
	}
}

func (w *answer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}
