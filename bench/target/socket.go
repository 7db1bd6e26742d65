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

// Bounds of a socket: an answer that takes longer is an error, and one that is larger.
const (
	dialTimeout   = 5 * time.Second
	answerTimeout = 30 * time.Second
	maxAnswer     = 32 << 20
)

// A socket is one connection. It is not net/http's, which costs more than some servers
// and would blur them. After an error it is dialled again.
type socket struct {
	endpoint endpoint
	signer   *signer
	conn     net.Conn
	r        *bufio.Reader
	request  []byte
	body     []byte
}

func (s *socket) prepare(operation string, body []byte) error {
	target := "DynamoDB_20120810." + operation
	sig := s.signer.sign(time.Now(), target, body)
	b := append(s.request[:0], "POST / HTTP/1.1\r\nHost: "...)
	b = append(b, s.endpoint.host...)
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
	d := &net.Dialer{Timeout: dialTimeout}
	if s.endpoint.secure {
		s.conn, err = tls.DialWithDialer(d, "tcp", s.endpoint.addr, nil)
	} else {
		s.conn, err = d.Dial("tcp", s.endpoint.addr)
	}
	if err != nil {
		s.conn = nil
		return err
	}
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
	if err := s.conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
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
