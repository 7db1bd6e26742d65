package http1

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// A response collects an answer and sends it in one piece.
type response struct {
	c      *conn
	header http.Header
	status int    // 0 until WriteHeader
	body   []byte // written and not sent
	out    []byte
	sent   bool
	close  bool // the connection ends after this answer
	err    error
}

// maxCopied is the largest body that is copied behind its head; larger ones
// are written from where they are.
const maxCopied = 32 << 10

// Header implements http.ResponseWriter.
func (r *response) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter. There are no 1xx answers.
func (r *response) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
}

// Write implements http.ResponseWriter.
func (r *response) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	switch {
	case r.sent:
		return 0, http.ErrContentLength
	case !hasBody(r.status):
		return 0, http.ErrBodyNotAllowed
	case len(r.body) == 0 && r.declares(len(p)):
		r.send(p)
		return len(p), r.err
	}
	r.body = append(r.body, p...)
	return len(p), nil
}

func hasBody(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

// declares reports whether the handler said that the body has n bytes.
func (r *response) declares(n int) bool {
	v := r.header["Content-Length"]
	if len(v) != 1 {
		return false
	}
	declared, err := strconv.Atoi(v[0])
	return err == nil && declared == n
}

// finish sends what was not sent yet.
func (r *response) finish() {
	r.WriteHeader(http.StatusOK)
	if !r.sent {
		r.send(r.body)
	}
}

// send writes head and body.
func (r *response) send(body []byte) {
	r.sent = true
	r.close = r.close || r.c.server.closing.Load() || r.c.unread > 0 || says(r.header["Connection"], "close")
	r.out = r.appendHead(r.out[:0], len(body))
	now := time.Now()
	r.c.allowWrite(now)
	if len(body) > maxCopied {
		pieces := net.Buffers{r.out, body}
		_, r.err = pieces.WriteTo(r.c.nc)
		return
	}
	r.out = append(r.out, body...)
	_, r.err = r.c.out.Write(r.out)
}

func says(values []string, token string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

func (r *response) appendHead(dst []byte, bodyBytes int) []byte {
	if r.status == http.StatusOK {
		dst = append(dst, "HTTP/1.1 200 OK\r\nDate: "...)
	} else {
		dst = append(dst, "HTTP/1.1 "...)
		dst = strconv.AppendInt(dst, int64(r.status), 10)
		dst = append(append(append(dst, ' '), http.StatusText(r.status)...), "\r\nDate: "...)
	}
	dst = append(append(dst, date()...), "\r\n"...)
	for name, values := range r.header {
		if name == "Content-Length" || name == "Connection" || name == "Date" {
			continue
		}
		for _, v := range values {
			dst = append(append(append(dst, name...), ": "...), oneLine(v)...)
			dst = append(dst, "\r\n"...)
		}
	}
	if hasBody(r.status) {
		dst = append(dst, "Content-Length: "...)
		dst = append(strconv.AppendInt(dst, int64(bodyBytes), 10), "\r\n"...)
	}
	if r.close {
		dst = append(dst, "Connection: close\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// oneLine keeps a value from becoming more than one field.
func oneLine(v string) string {
	if strings.IndexByte(v, '\n') < 0 && strings.IndexByte(v, '\r') < 0 {
		return v
	}
	return strings.NewReplacer("\n", " ", "\r", " ").Replace(v)
}

// A dated text is the value of Date in one second.
type dated struct {
	second int64
	text   string
}

var lastDate atomic.Pointer[dated]

// date returns the value of Date. It is spelt once in a second.
func date() string {
	now := time.Now()
	if d := lastDate.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}
	d := &dated{now.Unix(), now.UTC().Format(http.TimeFormat)}
	lastDate.Store(d)
	return d.text
}
