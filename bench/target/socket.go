package target

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/statordb/stator/bench"
)

// An endpoint is where a server listens.
type endpoint struct {
	host   string // as in the Host header
	addr   string // HOST:PORT
	secure bool
}

func parseEndpoint(text string) (endpoint, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
		return endpoint{}, fmt.Errorf("%q is not a URL of the form http://HOST:PORT or https://HOST", text)
	}
	e := endpoint{host: u.Host, addr: u.Host, secure: u.Scheme == "https"}
	if u.Port() == "" {
		port := "80"
		if e.secure {
			port = "443"
		}
		e.addr = net.JoinHostPort(u.Hostname(), port)
	}
	return e, nil
}

// parseEndpoints reads URLs with + between them: nodes of one cluster.
func parseEndpoints(text string) (all []endpoint, err error) {
	for one := range strings.SplitSeq(text, "+") {
		e, err := parseEndpoint(one)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// Bounds of a socket: a connection that takes longer is an error, and an answer that is larger.
const (
	dialTimeout = 5 * time.Second
	maxAnswer   = 32 << 20
)

// A socket is one connection. It is not net/http's, which costs more than some servers
// and would blur them. After an error it is dialled again.
type socket struct {
	endpoints []endpoint
	at        int           // the endpoint in use
	timeout   time.Duration // of an answer
	blocks    bool          // its worker has a thread
	signer    *signer
	conn      net.Conn
	r         *bufio.Reader
	request   []byte
	body      []byte

	operation, target string // the last one, and what the API calls it
}

func (s *socket) prepare(operation string, body []byte) error {
	if operation != s.operation {
		s.operation, s.target = operation, "DynamoDB_20120810."+operation
	}
	target := s.target
	sig := s.signer.sign(time.Now(), target, body)
	b := append(s.request[:0], "POST / HTTP/1.1\r\nHost: "...)
	b = append(b, s.signer.host...) // also if another node gets it: it is part of what is signed
	b = append(b, "\r\nContent-Type: "+contentType+"\r\nAccept-Encoding: identity\r\nX-Amz-Target: "...)
	b = append(b, target...)
	b = append(append(b, "\r\nX-Amz-Date: "...), sig.date...)
	if t := s.signer.c.Token; t != "" {
		b = append(append(b, "\r\nX-Amz-Security-Token: "...), t...)
	}
	b = append(append(b, "\r\nAuthorization: "...), sig.authorization...)
	b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), int64(len(body)), 10)
	b = append(b, "\r\n\r\n"...)
	s.request = append(b, body...)
	return nil
}

func (s *socket) dial() (err error) {
	e := s.endpoints[s.at]
	d := net.Dialer{Timeout: min(dialTimeout, s.timeout)}
	c, err := d.Dial("tcp", e.addr)
	if err != nil {
		return err
	}
	if s.blocks {
		if c, err = newStream(c); err != nil {
			return err
		}
	}
	if e.secure {
		if err := c.SetDeadline(time.Now().Add(d.Timeout)); err != nil {
			return errors.Join(err, c.Close())
		}
		name, _, err := net.SplitHostPort(e.addr)
		if err != nil {
			return errors.Join(err, c.Close())
		}
		secured := tls.Client(c, &tls.Config{ServerName: name})
		if err := secured.Handshake(); err != nil {
			return errors.Join(err, c.Close())
		}
		c = secured
	}
	s.conn = c
	s.r = bufio.NewReaderSize(s.conn, 64<<10)
	return nil
}

func (s *socket) do() ([]byte, error) {
	if s.conn == nil {
		if err := s.dial(); err != nil {
			return nil, err
		}
	}
	status, err := s.exchange()
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	if status != 200 {
		return nil, apiError(status, s.body)
	}
	return s.body, nil
}

func (s *socket) exchange() (status int, err error) {
	if err := s.conn.SetDeadline(time.Now().Add(s.timeout)); err != nil {
		return 0, err
	}
	if _, err := s.conn.Write(s.request); err != nil {
		return 0, err
	}
	h, err := readHead(s.r)
	if err != nil {
		return 0, err
	}
	switch {
	case h.chunked:
		b := bytes.NewBuffer(s.body[:0])
		if _, err = b.ReadFrom(io.LimitReader(httputil.NewChunkedReader(s.r), maxAnswer)); err == nil {
			_, err = s.r.ReadSlice('\n') // there are no trailers
		}
		s.body = b.Bytes()
	case h.length < 0 || h.length > maxAnswer:
		return 0, fmt.Errorf("an answer of %d bytes", h.length)
	default:
		s.body = slices.Grow(s.body[:0], h.length)[:h.length]
		_, err = io.ReadFull(s.r, s.body)
	}
	if err == nil && h.close {
		err = s.close()
	}
	return h.status, err
}

// move makes the next request one to the next node.
func (s *socket) move() (choices int) {
	if n := len(s.endpoints); n > 1 {
		s.close() // whatever it says, the connection is given up
		s.at = (s.at + 1) % n
	}
	return len(s.endpoints)
}

func (s *socket) close() error {
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	s.conn = nil
	return err
}

// A head is what counts of an answer's head.
type head struct {
	status, length int // length -1: not said
	chunked, close bool
}

// maxHeaders bounds the lines of a head.
const maxHeaders = 200

func readHead(r *bufio.Reader) (head, error) {
	h := head{length: -1}
	for i := range maxHeaders {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return h, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if i == 0 {
			if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
				return h, fmt.Errorf("not an HTTP answer: %.60q", line)
			}
			if h.status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return h, err
			}
			continue
		}
		if len(line) == 0 {
			return h, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if h.length, err = strconv.Atoi(string(value)); err != nil {
				return h, err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			h.chunked = true
		case bytes.EqualFold(name, []byte("Connection")):
			h.close = bytes.EqualFold(value, []byte("close"))
		}
	}
	return h, errors.New("a head of too many lines")
}

// process is that of this machine which listens there; 0 if there is none.
func (e endpoint) process() int {
	host, text, err := net.SplitHostPort(e.addr)
	if err != nil {
		return 0
	}
	ip := net.ParseIP(host)
	if host != "localhost" && !ip.IsLoopback() {
		return 0 // also one's own address may be another machine's, seen through a tunnel
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return bench.ListenerOf(port)
}
