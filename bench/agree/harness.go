package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// warmup is what both harnesses leave out at the beginning.
const warmup = 200 * time.Millisecond

// A harness has all requests as bytes.
type harness struct {
	addr       string
	gets, puts [][]byte
}

const table = "agree-independent"

// newHarness makes and fills a table like that of package target.
func newHarness(addr string) (*harness, error) {
	h := &harness{addr: addr}
	for i := range keys {
		key := fmt.Sprintf(`"pk":{"S":"%032x"}`, i)
		h.gets = append(h.gets, h.request("GetItem", `{"TableName":"`+table+`","ConsistentRead":true,"Key":{`+key+`}}`))
		half := make([]byte, valueSize/2)
		for j := range half {
			half[j] = byte(rand.Uint32())
		}
		value := base64.StdEncoding.EncodeToString(slices.Concat(half, half))
		h.puts = append(h.puts, h.request("PutItem", `{"TableName":"`+table+`","Item":{`+key+`,"v":{"B":"`+value+`"},"n":{"N":"0"},"p":{"N":"`+strconv.Itoa(i%100)+`"}}}`))
	}
	c, err := dial(addr)
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	create := `{"TableName":"` + table + `","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}]}`
	if err := c.do(h.request("CreateTable", create)); err != nil {
		return nil, err
	}
	for describe := h.request("DescribeTable", `{"TableName":"`+table+`"}`); ; time.Sleep(20 * time.Millisecond) {
		if err := c.do(describe); err != nil {
			return nil, err
		}
		if bytes.Contains(c.body, []byte(`"ACTIVE"`)) {
			break
		}
	}
	for _, put := range h.puts {
		if err := c.do(put); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// request is one whose signature is no signature: the server takes any.
func (h *harness) request(operation, body string) []byte {
	now := time.Now().UTC()
	return []byte("POST / HTTP/1.1\r\nHost: " + h.addr + "\r\nContent-Type: application/x-amz-json-1.0\r\nAccept-Encoding: identity\r\nX-Amz-Target: DynamoDB_20120810." + operation +
		"\r\nX-Amz-Date: " + now.Format("20060102T150405Z") + "\r\nAuthorization: AWS4-HMAC-SHA256 Credential=any/" + now.Format("20060102") +
		"/us-east-1/dynamodb/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=" + strings.Repeat("0", 64) +
		"\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

// measure makes the load.
func (h *harness) measure(l load, length time.Duration) (measured, error) {
	requests := h.gets
	if l.put {
		requests = h.puts
	}
	if l.rate > 0 {
		// Connections sleep in system calls, each of which keeps one of the runtime's processors: there must be more than these, or answers wait for one.
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(32))
	}
	var wg sync.WaitGroup
	took, errs := make([][]time.Duration, l.connections), make([]error, l.connections)
	begin := time.Now()
	from := begin.Add(warmup)
	until := from.Add(length)
	for i := range l.connections {
		wg.Go(func() {
			c, err := dial(h.addr)
			if err != nil {
				errs[i] = err
				return
			}
			defer c.conn.Close()
			gap := time.Duration(0)
			due := begin
			if l.rate > 0 {
				gap = time.Duration(float64(l.connections) / l.rate * float64(time.Second))
				due = begin.Add(gap * time.Duration(i) / time.Duration(l.connections))
			}
			for {
				request := requests[rand.IntN(len(requests))]
				start := time.Now()
				if gap > 0 {
					await(due)
					start, due = due, due.Add(gap)
				}
				if !start.Before(until) {
					return
				}
				if errs[i] = c.do(request); errs[i] != nil {
					return
				}
				if end := time.Now(); !start.Before(from) {
					took[i] = append(took[i], end.Sub(start))
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return measured{}, err
	}
	all := slices.Concat(took...)
	if len(all) == 0 {
		return measured{}, errors.New("not one request was answered")
	}
	slices.Sort(all)
	at := func(share float64) float64 { return float64(all[int(share*float64(len(all)-1))]) }
	return measured{float64(len(all)) / time.Since(from).Seconds(), at(0.50), at(0.90), at(0.99)}, nil
}

// await sleeps in the kernel and watches the clock at the end.
func await(due time.Time) {
	for {
		left := time.Until(due)
		if left <= 0 {
			return
		}
		if left > 130*time.Microsecond {
			nap(left - 130*time.Microsecond)
		}
	}
}

// A connection reads answers that say their length.
type connection struct {
	conn net.Conn
	r    *bufio.Reader
	body []byte
}

func dial(addr string) (*connection, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &connection{conn: c, r: bufio.NewReader(c)}, nil
}

func (c *connection) do(request []byte) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	length, good := -1, false
	for first := true; ; first = false {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first {
			good = bytes.HasPrefix(line, []byte("HTTP/1.1 200"))
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("an answer without a length")
	}
	c.body = slices.Grow(c.body[:0], length)[:length]
	if _, err := io.ReadFull(c.r, c.body); err != nil {
		return err
	}
	if !good {
		return fmt.Errorf("the server refuses: %.300s", c.body)
	}
	return nil
}
