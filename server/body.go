package server

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

const (
	// maxBody is the largest request body, after decompression.
	maxBody = 16 << 20

	// maxDrain is how much of a body that is too large is read and dropped, so
	// that a client that writes first and reads later finds the answer instead
	// of a reset connection.
	maxDrain = 64 << 20

	// firstRead is the initial size of a body's buffer. What a client declares
	// is not believed before it arrives, but the buffer does not grow beyond it.
	firstRead = 8 << 10
)

var (
	errBodyTooLarge = errors.New("server: body larger than 16 MiB")
	errBusy         = errors.New("server: too many large bodies at once")
)

// A budget bounds the memory of all request bodies together; the first 8 KiB of
// each are not counted. A request takes several times as much as its body
// while it is carried out: the attribute values in binary form, what they are
// sorted by, the answer.
type budget struct {
	left atomic.Int64 // bytes
}

// bodyBudget lets 16 of the largest bodies in at a time.
const bodyBudget = 16 * (maxBody + 1)

func (b *budget) take(n int64) bool {
	if b.left.Add(-n) >= 0 {
		return true
	}
	b.left.Add(n)
	return false
}

func (b *budget) give(n int64) { b.left.Add(n) }

// readBody reads r's body; see read. A body that is too large is drained.
func (b *budget) readBody(r *http.Request, buf []byte) (body []byte, taken int64, err error) {
	if r.ContentLength > maxBody {
		drain(r)
		return buf, 0, errBodyTooLarge
	}
	if r.ContentLength == 0 || r.Body == nil {
		return buf[:0], 0, nil
	}
	body, taken, err = b.read(r.Body, r.ContentLength, buf)
	if err == errBodyTooLarge {
		drain(r)
	}
	return body, taken, err
}

// read reads all of r, whose length is known or -1, into buf's memory or a
// larger one, and returns it with the bytes taken from the budget, which the
// caller gives back. Memory grows with what has arrived.
//
// Errors: errBodyTooLarge, errBusy, or whatever r says.
func (b *budget) read(r io.Reader, length int64, buf []byte) (body []byte, taken int64, err error) {
	buf = buf[:0]
	for {
		if len(buf) == cap(buf) {
			grown := grownBody(cap(buf), length)
			if grown > firstRead {
				if !b.take(int64(grown - cap(buf))) {
					return buf, taken, errBusy
				}
				taken += int64(grown - cap(buf))
			}
			buf = append(make([]byte, 0, grown), buf...)
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > maxBody:
			return buf, taken, errBodyTooLarge
		case err == io.EOF:
			return buf, taken, nil
		case err != nil:
			return buf, taken, err
		}
	}
}

// grownBody is the next size of a buffer for a body of the given length, -1 if
// that is not known. One byte more than the body makes the read that finds its
// end.
func grownBody(size int, length int64) int {
	grown := max(firstRead, 2*size)
	if length >= 0 && size <= int(length) {
		grown = min(grown, int(length)+1)
	}
	return min(grown, maxBody+1)
}

// drain drops the rest of a body. A client that waits for permission to send
// it (Expect: 100-continue) is told the answer instead.
func drain(r *http.Request) {
	if r.Body == nil || r.Header.Get("Expect") != "" {
		return
	}
	_, _ = io.CopyN(io.Discard, r.Body, maxDrain) // whatever ends it, the answer is the same
}
