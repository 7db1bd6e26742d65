package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"
)

// warmup is what all harnesses leave out at the beginning.
const warmup = 200 * time.Millisecond

// goroutines are a harness: one for each connection, and the runtime's sockets.
type goroutines struct{ *requests }

func (*goroutines) name() string { return "goroutines" }

func (h *goroutines) measure(_ context.Context, l load, length time.Duration) (measured, error) {
	requests := h.of(l)
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
