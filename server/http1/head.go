package http1

import (
	"bytes"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// A head is what a request says before its body. It is kept from request to
// request, because clients say nearly the same every time: a line equal to the
// one in the same place of the last head means what that meant.
//
//	POST / HTTP/1.1
//	Host: 127.0.0.1:8000
//	X-Amz-Target: DynamoDB_20120810.GetItem
//	...
type head struct {
	lines  []line
	header http.Header // of lines, without Host; one value each, in line.value
	stale  bool        // header is not that of lines

	host   string
	length int64 // of the body
}

// A line is one field of a head.
type line struct {
	text  string // with the line's end
	name  string // canonical
	kind  kind
	value []string // one
}

// A kind is what a field means for the way a request is read.
type kind byte

const (
	plain      kind = iota
	ofLength        // Content-Length
	ofHost          // Host
	ofKeeping       // Connection: only "keep-alive", which is the default, is known
	ofStranger      // changes how the body is read, or what net/http makes of the head
)

var kinds = map[string]kind{
	"Connection":        ofKeeping,
	"Content-Length":    ofLength,
	"Expect":            ofStranger,
	"Host":              ofHost,
	"Http2-Settings":    ofStranger,
	"Pragma":            ofStranger, // net/http derives Cache-Control from it
	"Trailer":           ofStranger,
	"Transfer-Encoding": ofStranger,
	"Upgrade":           ofStranger,
}

// A verdict is what parse found.
type verdict byte

const (
	partial verdict = iota // more must arrive
	whole
	foreign // for net/http
)

const requestLine = "POST / HTTP/1.1\r\n"

// parse reads the head at the beginning of in. If that is whole, it has size
// bytes and the head's fields are set. A foreign one leaves nothing behind.
func (h *head) parse(in []byte) (size int, v verdict) {
	size, v = h.read(in)
	if v == foreign {
		*h = head{}
	}
	return size, v
}

func (h *head) read(in []byte) (size int, v verdict) {
	if n := min(len(in), len(requestLine)); string(in[:n]) != requestLine[:n] {
		return 0, foreign
	} else if n < len(requestLine) {
		return 0, partial
	}
	at := len(requestLine)
	for i := 0; ; i++ {
		n := bytes.IndexByte(in[at:], '\n') + 1
		if n == 0 {
			return 0, partial
		}
		text := in[at : at+n]
		at += n
		if string(text) == "\r\n" {
			return at, h.settle(i)
		}
		if i < len(h.lines) && string(text) == h.lines[i].text {
			continue
		}
		if !h.set(i, text) {
			return 0, foreign
		}
	}
}

// set makes text the i-th line. It reports whether that is a field that is
// well formed and known.
func (h *head) set(i int, text []byte) bool {
	colon := bytes.IndexByte(text, ':')
	end := len(text) - len("\r\n")
	if colon <= 0 || colon > end || text[end] != '\r' {
		return false
	}
	from := colon + 1
	for from < end && isBlank(text[from]) {
		from++
	}
	for end > from && isBlank(text[end-1]) {
		end--
	}
	if !all(text[:colon], inName) || !all(text[from:end], inValue) {
		return false
	}
	known := i < len(h.lines) && string(text[:colon]) == h.lines[i].text[:strings.IndexByte(h.lines[i].text, ':')]
	if !known {
		name := textproto.CanonicalMIMEHeaderKey(string(text[:colon]))
		if h.lines = append(h.lines[:min(i, len(h.lines))], line{name: name, kind: kinds[name], value: []string{""}}); kinds[name] == ofStranger {
			return false
		}
		h.stale = true
	}
	l := &h.lines[i]
	l.text = string(text)
	l.value[0] = l.text[from:end]
	return true
}

// settle ends a head of n lines.
func (h *head) settle(n int) verdict {
	if n < len(h.lines) {
		h.lines, h.stale = h.lines[:n], true
	}
	if h.stale && !h.collect() {
		return foreign
	}
	h.length, h.host = 0, ""
	for i := range h.lines {
		l := &h.lines[i]
		value := l.value[0]
		switch l.kind {
		case ofLength:
			var ok bool
			if h.length, ok = bodyLength(value); !ok {
				return foreign
			}
		case ofHost:
			if h.host = value; !all(value, inHost) {
				return foreign
			}
		case ofKeeping:
			if !strings.EqualFold(value, "keep-alive") {
				return foreign
			}
		}
	}
	if h.host == "" {
		return foreign
	}
	return whole
}

// collect makes the header anew. It reports false if a name is there twice.
func (h *head) collect() bool {
	if h.header == nil {
		h.header = make(http.Header, len(h.lines))
	}
	clear(h.header)
	hosts := 0
	for i := range h.lines {
		l := &h.lines[i]
		if l.kind == ofHost {
			hosts++
			continue
		}
		if h.header[l.name] != nil {
			return false
		}
		h.header[l.name] = l.value
	}
	h.stale = false
	return hosts == 1
}

func bodyLength(value string) (int64, bool) {
	if value == "" || len(value) > 15 || !all(value, inNumber) {
		return 0, false
	}
	n, err := strconv.ParseInt(value, 10, 64)
	return n, err == nil
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// The classes of characters; see classes.
const (
	inName byte = 1 << iota
	inValue
	inHost
	inNumber
)

// classes has what each byte may be part of. Values are narrower than in RFC
// 9110, which allows bytes above 127, and so are hosts.
var classes = func() (c [256]byte) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	mark := func(s string, class byte) {
		for i := range len(s) {
			c[s[i]] |= class
		}
	}
	const digits = "0123456789"
	mark(letters+digits+"!#$%&'*+-.^_`|~", inName)
	mark(letters+digits+"-._:[]", inHost)
	mark(digits, inNumber)
	mark("\t", inValue)
	for b := ' '; b <= '~'; b++ {
		c[b] |= inValue
	}
	return c
}()

func all[T string | []byte](s T, class byte) bool {
	for i := range len(s) {
		if classes[s[i]]&class == 0 {
			return false
		}
	}
	return true
}
