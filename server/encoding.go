package server

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
)

// minCompressed is the smallest answer, in bytes, that gets compressed.
const minCompressed = 4 << 10

// negotiate chooses the coding of an answer from an Accept-Encoding header:
// "gzip", "deflate" or "" for none. The highest quality wins; at the same one
// gzip goes before deflate, and compression before none.
func negotiate(accept string) string {
	if accept == "" || accept == "identity" { // as SDKs say
		return ""
	}
	quality := map[string]float64{}
	for part := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(part, ";")
		quality[strings.ToLower(strings.TrimSpace(name))] = qualityValue(params)
	}
	of := func(coding string, absent float64) float64 {
		if q, ok := quality[coding]; ok {
			return q
		}
		if q, ok := quality["*"]; ok {
			return q
		}
		return absent
	}
	gzip, deflate, identity := of("gzip", 0), of("deflate", 0), of("identity", 0)
	switch {
	case gzip > 0 && gzip >= deflate && gzip >= identity:
		return "gzip"
	case deflate > 0 && deflate >= identity:
		return "deflate"
	}
	return ""
}

// qualityValue reads "q=0.5" among a coding's parameters; the default is 1.
func qualityValue(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(param), "=")
		if !ok || !strings.EqualFold(name, "q") {
			continue
		}
		if q, err := strconv.ParseFloat(value, 64); err == nil {
			return q
		}
		return 0
	}
	return 1
}

// Compressors keep large tables, so they are used again.
var (
	gzipWriters = sync.Pool{New: func() any {
		w, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
		return w
	}}
	zlibWriters = sync.Pool{New: func() any {
		w, _ := zlib.NewWriterLevel(io.Discard, zlib.BestSpeed)
		return w
	}}
)

type compressor interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// compress appends body in the given coding to dst.
func compress(dst []byte, coding string, body []byte) []byte {
	pool := &gzipWriters
	if coding == "deflate" {
		pool = &zlibWriters
	}
	w := pool.Get().(compressor)
	defer pool.Put(w)
	out := bytes.NewBuffer(dst)
	w.Reset(out)
	w.Write(body) // neither fails: a Buffer takes everything
	w.Close()
	return out.Bytes()
}

// errBadCompression is a body that is not what its Content-Encoding says. The
// service answers with an internal error.
var errBadCompression = errors.New("server: compressed body cannot be read")

// decompress returns the meaning of body and the bytes taken from the budget;
// see read. deflate is read in both its forms, with and without the zlib
// header, because clients send both.
func (b *budget) decompress(coding string, body []byte) (plain []byte, taken int64, err error) {
	var r io.ReadCloser
	switch coding {
	case "gzip":
		r, err = gzip.NewReader(bytes.NewReader(body))
	default:
		r, err = zlib.NewReader(bytes.NewReader(body))
		if errors.Is(err, zlib.ErrHeader) {
			r, err = flate.NewReader(bytes.NewReader(body)), nil
		}
	}
	if err != nil {
		return nil, 0, errBadCompression
	}
	defer r.Close()
	plain, taken, err = b.read(r, -1, nil)
	if err != nil && err != errBodyTooLarge && err != errBusy {
		err = errBadCompression
	}
	return plain, taken, err
}
