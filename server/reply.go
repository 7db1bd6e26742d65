package server

import (
	"hash/crc32"
	"net/http"
	"slices"
	"strconv"
)

// Header names in canonical form, so that they can be set without a copy.
const (
	headerRequestID     = "X-Amzn-Requestid"
	headerCRC           = "X-Amz-Crc32"
	headerContentType   = "Content-Type"
	headerContentLength = "Content-Length"
)

const (
	jsonType    = "application/json"
	amzJSONType = "application/x-amz-json-1.0"
)

// notFoundBody answers whatever is not an API request.
const notFoundBody = "<UnknownOperationException/>\n"

// reply sends an answer with the headers that every answer has. The checksum
// is that of the bytes sent, after compression.
func (x *exchange) reply(status int, contentType string, body []byte) {
	h := x.w.Header()
	if coding := x.coding(body); coding != "" {
		x.packed = compress(x.packed[:0], coding, body)
		body = x.packed
		x.dropLarge() // while the packed one is sent
		h.Set("Content-Encoding", coding)
	}
	// One array holds all values: a header is a slice of strings.
	values := []string{
		x.id,
		strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10),
		strconv.Itoa(len(body)),
		contentType,
	}
	h[headerRequestID] = values[0:1:1]
	h[headerCRC] = values[1:2:2]
	h[headerContentLength] = values[2:3:3]
	h[headerContentType] = values[3:4:4]
	if contentType == "" {
		h[headerContentType] = nil // keeps net/http from guessing one
	}
	if origin := x.r.Header["Origin"]; origin != nil {
		x.allow(h, origin[0])
	}
	x.replied = true
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body) // a client that went away does not matter
}

var anyOrigin = []string{"*"}

// allow says that pages of an origin may read the answer, if they may.
func (x *exchange) allow(h http.Header, origin string) {
	switch allowed := x.edge.origins; {
	case len(allowed) == 0:
		h["Access-Control-Allow-Origin"] = anyOrigin
	case slices.Contains(allowed, origin):
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Vary", "Origin")
	}
}

func (x *exchange) coding(body []byte) string {
	if len(body) <= minCompressed {
		return ""
	}
	return negotiate(firstHeader(x.r, "Accept-Encoding"))
}

func (x *exchange) notFound() {
	x.reply(http.StatusNotFound, "", []byte(notFoundBody))
}

// health answers GET / for load balancers and humans.
func (x *exchange) health(region string) {
	x.reply(http.StatusOK, "", []byte("healthy: dynamodb."+region+".amazonaws.com "))
}

// preflight answers a browser that asks whether it may call.
func (x *exchange) preflight() {
	h := x.w.Header()
	if asked := firstHeader(x.r, "Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	if asked := firstHeader(x.r, "Access-Control-Request-Method"); asked != "" {
		h.Set("Access-Control-Allow-Methods", asked)
	}
	h.Set("Access-Control-Max-Age", "172800")
	x.reply(http.StatusOK, "", nil)
}
