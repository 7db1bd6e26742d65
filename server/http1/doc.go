// Package http1 serves an http.Handler to clients that call an API over and
// over: POST / of HTTP/1.1 with a known length, on connections that stay.
//
// Such a request costs no parsing of what the one before it said already, no
// copy of its head, no task besides the connection's own, and one write. Every
// connection that says anything else (another method or path, HTTP/2, chunks,
// Expect, a head that is large or not quite right) is handed to net/http
// together with the bytes that were read, and stays there. So this package
// decides nothing about unusual requests, and what it accepts, net/http
// accepts and reads the same way; a fuzz test compares the two.
//
// A connection that waits for its next request holds no buffer.
//
// Read server.go, conn.go, head.go, response.go.
package http1
