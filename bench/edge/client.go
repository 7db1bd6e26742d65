package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// appendRequest adds a request as SDKs send it. What differs from request to
// request (the id of the call, time, signature) differs with i.
func appendRequest(dst []byte, addr, operation string, body []byte, i int) []byte {
	dst = fmt.Appendf(dst, "POST / HTTP/1.1\r\nHost: %s\r\nUser-Agent: aws-sdk-go-v2/1.30 os/linux lang/go api/dynamodb\r\nContent-Length: %d\r\n", addr, len(body))
	dst = fmt.Appendf(dst, "Amz-Sdk-Invocation-Id: 6f0d1c1e-0000-4000-8000-%012x\r\nAmz-Sdk-Request: attempt=1; max=3\r\n", i)
	dst = fmt.Appendf(dst, "Content-Type: application/x-amz-json-1.0\r\nX-Amz-Date: 20260101T0000%02dZ\r\nX-Amz-Target: DynamoDB_20120810.%s\r\n", i%60, operation)
	dst = fmt.Appendf(dst, "Authorization: AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host;x-amz-date, Signature=%064x\r\n", i)
	dst = append(dst, "Accept-Encoding: identity\r\n\r\n"...)
	return append(dst, body...)
}

// A client is one connection. It is not net/http's, which costs more than
// most servers here and would blur them.
type client struct {
	addr string
	c    net.Conn
	r    *bufio.Reader
	body []byte
}

func dial(addr string) (*client, error) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &client{addr: addr, c: c, r: bufio.NewReaderSize(c, 64<<10)}, nil
}

func (c *client) close() { c.c.Close() }

// do sends a request and returns the answer's body, which is valid until the next call.
func (c *client) do(request []byte) ([]byte, error) {
	if _, err := c.c.Write(request); err != nil {
		return nil, err
	}
	status, length, chunked, err := c.head()
	if err != nil {
		return nil, err
	}
	switch {
	case chunked:
		b := bytes.NewBuffer(c.body[:0])
		if _, err = b.ReadFrom(httputil.NewChunkedReader(c.r)); err == nil {
			_, err = c.r.ReadSlice('\n') // there are no trailers
		}
		c.body = b.Bytes()
	default:
		c.body = slices.Grow(c.body[:0], length)[:length]
		_, err = io.ReadFull(c.r, c.body)
	}
	if err == nil && status != "200" {
		err = fmt.Errorf("status %s: %.300s", status, c.body)
	}
	return c.body, err
}

func (c *client) head() (status string, length int, chunked bool, err error) {
	for i := 0; ; i++ {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return "", 0, false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case i == 0 && len(line) >= len("HTTP/1.1 200"):
			status = string(line[9:12])
		case len(line) == 0:
			return status, length, chunked, nil
		case bytes.EqualFold(name, []byte("Content-Length")):
			length, err = strconv.Atoi(string(bytes.TrimSpace(value)))
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
		if err != nil {
			return "", 0, false, err
		}
	}
}

// call makes one request on a connection of its own and returns the answer.
func call(url, operation string, body []byte) ([]byte, error) {
	c, err := dial(strings.TrimPrefix(url, "http://"))
	if err != nil {
		return nil, err
	}
	defer c.close()
	b, err := c.do(appendRequest(nil, c.addr, operation, body, 0))
	if err != nil {
		err = fmt.Errorf("%s at %s: %w", operation, url, err)
	}
	return b, err
}

// A sample is what one measurement of one server gave.
type sample struct {
	rate     float64 // requests per second
	cpu      float64 // seconds for each request; 0 if unknown
	p50, p99 float64 // seconds
}

// hammer sends requests over c connections for some time. Those are made
// beforehand; each connection begins somewhere else in their list.
func (p *process) hammer(w *workload, c int, length time.Duration) (sample, error) {
	requests := make([][]byte, len(w.bodies))
	for i, b := range w.bodies {
		requests[i] = appendRequest(nil, p.addr(), w.operation, b, i)
	}
	type result struct {
		times []time.Duration
		err   error
	}
	results := make([]result, c)
	before, began := p.cpu(), time.Now()
	var wg sync.WaitGroup
	for k := range c {
		wg.Go(func() {
			r := &results[k]
			conn, err := dial(p.addr())
			if err != nil {
				r.err = err
				return
			}
			defer conn.close()
			for i := k * len(requests) / c; time.Since(began) < length; i++ {
				sent := time.Now()
				answer, err := conn.do(requests[i%len(requests)])
				if err == nil && len(answer) < w.least {
					err = fmt.Errorf("an answer of %d bytes: %.300s", len(answer), answer)
				}
				if err != nil {
					r.err = err
					return
				}
				r.times = append(r.times, time.Since(sent))
			}
		})
	}
	wg.Wait()
	took, cpu := time.Since(began), p.cpu()-before
	var times []time.Duration
	for _, r := range results {
		if r.err != nil {
			return sample{}, fmt.Errorf("%s, %s: %w", p.name, w.name, r.err)
		}
		times = append(times, r.times...)
	}
	slices.Sort(times)
	n := len(times)
	return sample{
		rate: float64(n) / took.Seconds(),
		cpu:  cpu.Seconds() / float64(n),
		p50:  times[n/2].Seconds(),
		p99:  times[n*99/100].Seconds(),
	}, nil
}
